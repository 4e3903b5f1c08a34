"""Configuration of a build: one YAML file with variables of the environment, all problems at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, model_validator

from avemo_harness.benchmark.task_file import validated
from avemo_harness.benchmark.yaml_file import Document, KeyPath, Problem, key_name, read_yaml
from avemo_harness.errors import UsageError
from avemo_harness.registry import hint

RECIPES = Path(__file__).parents[1] / "recipes"
"""Configurations that come with the package."""

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_SHORTEST = 8
"""Characters of a value that is hidden: shorter ones hold no key, and stand in many a text by chance."""


def hide_variables(text: str, names: Iterable[str]) -> str:
    """A text with these names in place of their values, as far as those are long enough to be keys."""
    values = {os.environ.get(name, ""): name for name in names}
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _SHORTEST:
            text = text.replace(value, f"${{{values[value]}}}")
    return text


STAGES = ("dialogue", "speech", "face")
"""Those that a tool is named for."""


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _multiple_of_four(count: int) -> int:
    if count % 4:
        raise ValueError(f"must be a multiple of four, as every transcript is said in four emotions; found {count}")
    return count


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class BackendConfig(BaseModel):
    """A stage's tool: its name, and beside it the tool's own arguments."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, use_attribute_docstrings=True)

    backend: str = "builtin"
    licence: str = ""
    """Of what the tool makes, or of its weights, as their owner words it."""

    @property
    def arguments(self) -> Mapping[str, Any]:
        return self.model_extra or {}


class PortraitConfig(_Section):
    """Pictures to animate."""

    folder: str
    """With PNG or JPEG files."""
    table: str | None = None
    """CSV with a row a picture: id (the file's name without its ending), gender (male or female), licence."""
    licence: str = ""
    """Of pictures that the table says nothing of."""
    per: Literal["speaker", "segment"] = "speaker"
    """``segment`` draws a picture for each utterance, as the paper does."""


class SplitConfig(_Section):
    """Size of a split."""

    dialogues: Annotated[int, Field(ge=0, le=100_000), AfterValidator(_multiple_of_four)]
    """A multiple of four: every transcript is said in the four emotions."""
    conflict_pairs: Annotated[int, Field(ge=0)]
    """At most; even, since both orders count."""


class SplitsConfig(_Section):
    """Size of each split."""

    singleturn_synthetic: SplitConfig = SplitConfig(dialogues=200, conflict_pairs=50)
    multiturn_synthetic: SplitConfig = SplitConfig(dialogues=60, conflict_pairs=30)


class BuildConfig(_Section):
    """Everything that decides a release."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_\-]+$")] = "release"
    language: str = "en"
    licence: str = "CC0-1.0"
    """Of the release's clips and texts; has to be given where something is not made by the harness itself."""
    seed: Annotated[int, Field(ge=0)] = 0
    speakers: Annotated[int, Field(ge=1, le=1000)] = 8
    voices: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = ()
    """Names of the speech tool's voices; speakers take them in turn."""
    splits: SplitsConfig = SplitsConfig()
    dialogue: BackendConfig = BackendConfig()
    speech: BackendConfig = BackendConfig()
    face: BackendConfig = BackendConfig()
    portraits: PortraitConfig | None = None
    workers: Annotated[int, Field(ge=1, le=256)] = 2
    """Units of a stage that are made at a time; changes nothing of what is made."""

    _written: dict[KeyPath, str] = PrivateAttr(default_factory=dict)
    """Texts of the file that name variables of the environment, by the path of their key."""

    @model_validator(mode="after")
    def _check_licence(self) -> BuildConfig:
        foreign = [f"{stage}: {tool.backend}" for stage in STAGES if (tool := self.tool(stage)).backend != "builtin"]
        foreign += ["portraits"] if self.portraits else []
        if foreign and not ("licence" in self.model_fields_set and self.licence.strip()):
            raise ValueError(
                f"licence is needed, since not all is made by the harness itself ({', '.join(foreign)}); name that of "
                "the release's clips and texts, such as CC-BY-NC-4.0"
            )
        return self

    def tool(self, stage: str) -> BackendConfig:
        """The tool of one of the `STAGES`."""
        return {"dialogue": self.dialogue, "speech": self.speech, "face": self.face}[stage]

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that decides the release beside its tools and pictures, which have identities of their own."""
        values = self.model_dump(mode="json", exclude={"workers": True, "portraits": {"folder", "table"}})
        return {**values, **{stage: self.tool(stage).licence for stage in STAGES}}

    @property
    def record(self) -> dict[str, Any]:
        """Everything but `workers`, as the file has it: variables of the environment by their names."""
        values = self.model_dump(mode="json", exclude={"workers"})
        for path, text in self._written.items():
            section: Any = values
            for part in path[:-1]:
                section = section[part]
            section[path[-1]] = text
        return values

    def hide(self, text: str) -> str:
        """A text with the names of the file's variables in place of their values."""
        return hide_variables(text, _VARIABLE.findall(" ".join(self._written.values())))


def recipe_summaries() -> dict[str, str]:
    """Name and first comment line of each recipe."""
    return {
        path.stem: path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        for path in sorted(RECIPES.glob("*.yaml"))
    }


def open_recipe(recipe: str) -> BuildConfig:
    """Load a recipe by its name, or a configuration of the user's by its path.

    Raises:
        UsageError: there is no recipe of that name.
        TaskError: as `load_config` does.
    """
    path = Path(recipe)
    if path.suffix in (".yaml", ".yml") or path.name != recipe or path.is_file():
        return load_config(path)
    names = recipe_summaries()
    if recipe not in names:
        raise UsageError(f"there is no recipe {recipe!r}{hint(recipe, names)}; or give the path of a YAML file")
    return load_config(RECIPES / f"{recipe}.yaml")


def load_config(file: Path) -> BuildConfig:
    """Read and check a configuration; ``${NAME}`` in a text takes a variable of the environment.

    Raises:
        TaskError: lists every problem with file, line, key and, for a wrong name, the nearest valid one.
    """
    document = read_yaml(file)
    written: dict[KeyPath, str] = {}
    values = _expand(document.values, (), written)
    problems = list(document.problems)
    for path, text in written.items():
        for name in _VARIABLE.findall(text):
            if name not in os.environ:
                problem = f"the environment variable {name} is not set"
                problems.append(Problem(*document.origin(path), key_name(path), problem))
    config = validated(BuildConfig, Document(values, document.origins, tuple(problems)), None)
    config._written.update(written)
    return config


def _expand(value: Any, path: KeyPath, written: dict[KeyPath, str]) -> Any:
    """A value with variables of the environment filled in; texts that name one are kept in `written`."""
    if isinstance(value, dict):
        return {key: _expand(one, (*path, key), written) for key, one in value.items()}
    if isinstance(value, list):
        return [_expand(one, (*path, index), written) for index, one in enumerate(value)]
    if not isinstance(value, str) or not _VARIABLE.search(value):
        return value
    written[path] = value
    return _VARIABLE.sub(lambda found: os.environ.get(found[1], found[0]), value)
