"""The configuration of a build: one YAML file, every problem of it told at once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from avemo_harness.benchmark.task_file import validated
from avemo_harness.benchmark.yaml_file import Document, KeyPath, Problem, key_name, read_yaml

_VARIABLE = re.compile(r"\$\{(\w+)\}")


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class BackendConfig(BaseModel):
    """A stage's tool: its name, and beside it the tool's own arguments."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    backend: str = "builtin"

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What the tool takes."""
        return self.model_extra or {}


class PortraitConfig(_Section):
    """Pictures to animate."""

    folder: str
    """With PNG or JPEG files."""
    table: str | None = None
    """CSV with a row a picture: id (the file's name without its ending), gender, licence."""
    licence: str = ""
    """Of pictures that the table says nothing of."""
    per: Literal["speaker", "segment"] = "speaker"
    """``segment`` draws a picture for each utterance, as the paper does."""


class SplitConfig(_Section):
    """How much of a kind of dialogue."""

    dialogues: Annotated[int, Field(ge=0, le=100_000)]
    """A multiple of four: every transcript is said in the four emotions."""
    conflict_pairs: Annotated[int, Field(ge=0)]
    """At most; even, since both orders count."""


class SplitsConfig(_Section):
    """How much of everything."""

    singleturn_synthetic: SplitConfig = SplitConfig(dialogues=200, conflict_pairs=50)
    multiturn_synthetic: SplitConfig = SplitConfig(dialogues=60, conflict_pairs=30)


class BuildConfig(_Section):
    """Everything that decides a release."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_\-]+$")] = "release"
    language: str = "en"
    licence: str = "CC0-1.0"
    """Of the release's clips and texts."""
    seed: Annotated[int, Field(ge=0)] = 0
    speakers: Annotated[int, Field(ge=1, le=1000)] = 8
    voices: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = ()
    """What the speech tool calls its voices; speakers take them in turn."""
    splits: SplitsConfig = SplitsConfig()
    dialogue: BackendConfig = BackendConfig()
    speech: BackendConfig = BackendConfig()
    face: BackendConfig = BackendConfig()
    portraits: PortraitConfig | None = None
    workers: Annotated[int, Field(ge=1, le=256)] = 2
    """Units of a stage that are made at a time; changes nothing of what is made."""

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the release, for comparing and recording."""
        return self.model_dump(mode="json", exclude={"workers"})


def load_config(file: Path) -> BuildConfig:
    """Read and check a configuration; ``${NAME}`` in a text takes a variable of the environment.

    Raises:
        TaskError: lists every problem with file, line, key and, for a wrong name, the nearest valid one.
    """
    document = read_yaml(file)
    problems = list(document.problems)
    values = _filled(document.values, (), document, problems)
    return validated(BuildConfig, Document(values, document.origins, tuple(problems)), None)


def _filled(value: Any, path: KeyPath, document: Document, problems: list[Problem]) -> Any:
    """A value with variables of the environment in place of their names."""
    if isinstance(value, dict):
        return {key: _filled(one, (*path, key), document, problems) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, (*path, place), document, problems) for place, one in enumerate(value)]
    if not isinstance(value, str):
        return value
    for name in _VARIABLE.findall(value):
        if name not in os.environ:
            file, line = document.origin(path)
            problems.append(Problem(file, line, key_name(path), f"the environment variable {name} is not set"))
    return _VARIABLE.sub(lambda found: os.environ.get(found[1], found[0]), value)
