"""Run configuration, whose fields are options, and the record of it in `run.json`."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo_harness.benchmark.corpora import Sources, named_sources
from avemo_harness.errors import RunConflictError, StorageError, StoreError, UsageError, storage_errors
from avemo_harness.files import link_new, part_of
from avemo_harness.options import option

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from avemo_harness.benchmark.group import GroupSpec
    from avemo_harness.benchmark.release import Release
    from avemo_harness.benchmark.task import GenerationSpec, TaskSpec

RUN_SCHEMA = 1
AMOUNT = ("limit", "ids", "where")
"""Fields of a config that say how much is asked."""
ELSEWHERE = "replies"
"""The model whose answers other systems gave."""
UNRECORDED = "trust_code"
"""The model argument that trusts the code of a folder: it decides no answer, and a file must not hand it on."""
COMMAND_LINE_ONLY: Mapping[str, str] = {
    "trust_code": "what code runs here",
    "api_key_env": "which of your secrets a server gets",
}
"""Arguments of models that are for whoever runs the command to give, and what they decide.

Of a model that has ``trust_code`` it is all of them: a commit of a Hub id, too, says that its code may run.
"""
RECORDED_PACKAGES = ("avemo-harness", "av", "datasets", "numpy", "scikit-learn", "torch", "transformers")


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Options that define a run.

    The amount (`AMOUNT`) decides no answer, so it is no part of a run's identity and not kept in `run.json`:
    the same directory grows from a part to the whole, and `items.json` tells how far.

    Args:
        limit: dialogues (or conflict pairs): a count, or a share below 1.
        where: conditions on the asked turn.
    """

    model: str = field(metadata=option("a model's name (see `avemo-eval ls models`)"))
    tasks: tuple[str, ...] = field(
        metadata=option("tasks, groups, globs or YAML paths, separated by commas", metavar="T,…", separator=",")
    )
    model_args: Mapping[str, Any] = field(
        default_factory=dict, metadata=option("the model's own arguments", metavar="K=V,…")
    )
    dataset: Sources = field(
        default=None,
        metadata=option(
            "release, or table of a task: Hub id, folder or file; NAME=DIR for the corpus of that name, which may be "
            "repeated",
            metavar="ID_OR_PATH",
        ),
    )
    revision: str | None = field(default=None, metadata=option("Hub revision of the release"))
    media_root: str | None = field(
        default=None, metadata=option("folder of the clips that a release names by path", metavar="DIR")
    )
    include_path: tuple[str, ...] = field(
        default=(), metadata=option("a folder with more task YAMLs; may be repeated", metavar="DIR")
    )
    limit: float | None = field(
        default=None,
        metadata=option(
            "N dialogues, drawn in the split's shares of labels, or that share if below 1; the run can grow later",
            metavar="N",
        ),
    )
    ids: tuple[str, ...] = field(
        default=(), metadata=option("only these dialogues, pairs or items", metavar="ID,…", separator=",")
    )
    where: tuple[str, ...] = field(
        default=(),
        metadata=option("only such turns, e.g. emotion=angry; may be repeated", metavar="FIELD=VALUE"),
    )
    generation: Mapping[str, Any] = field(
        default_factory=dict,
        metadata=option("override the tasks' generation settings", name="gen_kwargs", metavar="K=V,…"),
    )
    skip_speech: bool = field(default=False, metadata=option("leave tasks with spoken replies out"))
    streaming: bool = field(
        default=False,
        metadata=option(
            "download clips of a Hub release only when asked; with --limit, read only the first 1,000 rows of a table"
        ),
    )
    seed: int = field(default=0, metadata=option("seed of every random draw (default: 0)"))

    @property
    def release(self) -> str | None:
        """The release, or table, that tasks are asked of which name no corpus; None where none is given."""
        return self.dataset.get("") if isinstance(self.dataset, Mapping) else self.dataset

    @property
    def corpora(self) -> Mapping[str, str]:
        """The folders that are given for corpora, by name."""
        given = self.dataset if isinstance(self.dataset, Mapping) else {}
        return {name: folder for name, folder in given.items() if name}

    @property
    def names_part(self) -> bool:
        """True where only some of the tasks' items are asked for now."""
        return self.limit is not None or bool(self.ids) or bool(self.where)

    def generation_of(self, task: TaskSpec) -> GenerationSpec:
        """The settings that a task is asked with: its own, with the run's overrides.

        Raises:
            UsageError: an override is no such setting, or has a value that it cannot have.
        """
        if not self.generation:
            return task.generation
        from pydantic import ValidationError

        from avemo_harness.benchmark.task import GenerationSpec

        try:
            return GenerationSpec.model_validate({**task.generation.model_dump(), **self.generation}, strict=False)
        except ValidationError as error:
            key, first = _first_problem(error)
            known = ", ".join(GenerationSpec.model_fields)
            raise UsageError(f"--gen_kwargs {key}: {first['msg']} (known: {known})") from error

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], where: str) -> RunConfig:
        """Make a config from a file's values; a saved `run.json` is one.

        Raises:
            UsageError: an unknown key, or no model or task.
        """
        values = values.get("config", values)
        known = {option.name for option in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise UsageError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}")
        from pydantic import TypeAdapter, ValidationError

        if isinstance(values.get("dataset"), list | tuple):
            values = {**values, "dataset": named_sources(map(str, values["dataset"]))}
        try:
            return TypeAdapter(cls).validate_python(dict(values))
        except ValidationError as error:
            key, first = _first_problem(error)
            raise UsageError(f"{where}: {key}: {first['msg']}, found {first['input']!r}") from error


def _first_problem(error: ValidationError) -> tuple[str, ErrorDetails]:
    first = error.errors(include_url=False)[0]
    return ".".join(map(str, first["loc"])), first


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """A release that a run asked about: its source and content, and the tasks that were asked of it."""

    source: str
    name: str
    split: str
    commit: str | None
    fingerprint: str
    dialogues: int
    pairs: int
    tasks: tuple[str, ...]

    @classmethod
    def of(cls, release: Release, tasks: Iterable[str]) -> ReleaseRecord:
        return cls(
            source=release.source,
            name=release.name,
            split=release.split,
            commit=release.commit,
            fingerprint=release.fingerprint,
            dialogues=len(release.dialogues),
            pairs=len(release.pairs),
            tasks=tuple(tasks),
        )


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The content of `run.json`: the config as resolved, and everything it resolved to.

    Args:
        answers_from_release: the model's replies are the release's own recordings.
        builtin: tasks on other releases than the demo that are of the built-in voice and face too; none in runs that
            were begun before it was noted.
        absent: by group, or task of none, how the data come that were not here, of a run that grows with them: of a
            collection, or a glob; None where every task was asked for by name.
    """

    config: RunConfig
    identity: Mapping[str, str]
    tasks: tuple[TaskSpec, ...]
    task_digests: Mapping[str, str]
    groups: tuple[GroupSpec, ...]
    releases: tuple[ReleaseRecord, ...]
    skipped: Mapping[str, str]
    answers_from_release: bool
    builtin: tuple[str, ...] = ()
    absent: Mapping[str, str] | None = None

    def defining(self) -> dict[str, Any]:
        """Fields that decide the answers of a run, as `run.json` keeps them."""
        config = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self.config).items()
            if key not in AMOUNT
        }
        arguments = {key: value for key, value in self.config.model_args.items() if key != UNRECORDED}
        return {
            "config": {**config, "model_args": arguments},
            "identity": dict(self.identity),
            "task_digests": dict(self.task_digests),
            "releases": [{**asdict(release), "tasks": list(release.tasks)} for release in self.releases],
        }

    def compared(self) -> dict[str, Any]:
        """The defining fields without folders of what is known by its content: answers from elsewhere, corpora."""
        values = self.defining()
        values["config"]["dataset"] = self.config.release
        for release in values["releases"]:
            if self.of_corpus(release["tasks"]):
                del release["source"]
        if self.config.model == ELSEWHERE:
            values["config"]["model_args"].pop("path", None)
        return values

    def of_corpus(self, tasks: Collection[str]) -> bool:
        """True where one of these tasks is asked of a corpus that users have."""
        return any(task.dataset.corpus is not None for task in self.tasks if task.task in tasks)

    def restriction_of(self, task: TaskSpec) -> str | None:
        """Why recordings, texts and ids that a task is asked of are not passed on; None where they may be."""
        for group in self.groups:
            if group.group == task.group and group.benchmark is not None and group.benchmark.restricted:
                return f"{group.title}: the licence ({group.benchmark.licence}) lets nobody pass them on"
        return None

    @property
    def shown_model(self) -> str:
        """The model's name in tables: the one that it was run by, or that of the system which answered elsewhere."""
        return self.identity["model"] if self.config.model == ELSEWHERE else self.config.model

    def release_of(self, task: TaskSpec) -> ReleaseRecord:
        """The release that a task was asked of.

        Raises:
            StoreError: there is no such record.
        """
        for release in self.releases:
            if task.task in release.tasks:
                return release
        raise StoreError(f"run.json names no release for {task.task}; run it anew")

    def digest(self) -> str:
        """Short name of the run: equal for equal `defining` content."""
        values = self.compared()
        if self.absent is not None:
            # Of a run that grows they are of what is here today.
            del values["task_digests"], values["releases"]
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def to_json(self) -> dict[str, Any]:
        return {
            "schema_version": RUN_SCHEMA,
            **self.defining(),
            "tasks": [task.model_dump(mode="json") for task in self.tasks],
            "groups": [group.model_dump(mode="json") for group in self.groups],
            "skipped": dict(self.skipped),
            "answers_from_release": self.answers_from_release,
            **({"builtin": list(self.builtin)} if self.builtin else {}),
            **({"absent": dict(self.absent)} if self.absent is not None else {}),
            "environment": _environment(),
        }


def refuse_arguments_of_file(
    where: str, model: str, arguments: Mapping[str, Any], option: str = "--model_args"
) -> None:
    """Refuse arguments by which whoever wrote a file would decide what code runs here, or what secret a server gets.

    Raises:
        UsageError: there are such; the message shows how to give them on the command line, by `option`.
    """
    if not model or not arguments:
        return
    from avemo_harness.models import REGISTRY

    trusting = [field.name for field in fields(REGISTRY.load(model).Arguments) if field.name in COMMAND_LINE_ONLY]
    decided = [COMMAND_LINE_ONLY[name] for name in trusting if name in arguments or name == "trust_code"]
    if decided:
        text = ",".join(f"{key}={value}" for key, value in arguments.items() if value is not None)
        raise UsageError(
            f"{where}: the arguments of {model} decide {decided[0]}, which a file must not; if you trust whoever wrote "
            f"it, give them on this command line: {option} {shlex.quote(text)}"
        )


def open_run(folder: Path, record: RunRecord) -> None:
    """Start a run in a directory, or join the same run that is there, which may grow by tasks.

    Raises:
        RunConflictError: the directory holds another run; the message shows what differs.
        StoreError: the directory cannot be written.
    """
    from avemo_harness.run.growth import compared_with, extend_run
    from avemo_harness.run.json_files import sealed_json

    path = folder / "run.json"
    with storage_errors(path, "written"):
        folder.mkdir(parents=True, exist_ok=True)
        with part_of(path) as fresh:
            fresh.write(sealed_json(record.to_json()).encode())
            fresh.flush()
            os.fsync(fresh.fileno())
            # A link, unlike a rename, fails where another worker was first.
            if not link_new(Path(fresh.name), path):
                known = read_run(folder)
                differences = _differences(compared_with(known, record), compared_with(record, known))
                if differences:
                    raise RunConflictError(
                        f"{folder} holds a run of another configuration; choose another --output_path, or ask for the "
                        "same:\n" + "\n".join(differences)
                    )
                extend_run(folder, record)
            os.unlink(fresh.name)


def read_run(folder: Path) -> RunRecord:
    """Read a run's `run.json`.

    Raises:
        StoreError: it is missing or damaged.
    """
    from avemo_harness.benchmark.group import GroupSpec
    from avemo_harness.benchmark.task import TaskSpec
    from avemo_harness.run.json_files import read_sealed_json

    path = folder / "run.json"
    try:
        values = read_sealed_json(path)
        return RunRecord(
            config=RunConfig.from_mapping(values, str(path)),
            identity=values["identity"],
            tasks=tuple(TaskSpec.model_validate(task) for task in values["tasks"]),
            task_digests=values["task_digests"],
            groups=tuple(GroupSpec.model_validate(group) for group in values["groups"]),
            releases=tuple(
                ReleaseRecord(**{**release, "tasks": tuple(release["tasks"])}) for release in values["releases"]
            ),
            skipped=values["skipped"],
            answers_from_release=values["answers_from_release"],
            builtin=tuple(values.get("builtin", ())),
            absent=values.get("absent"),
        )
    except StorageError as error:
        if not error.missing:
            raise
        raise UsageError(
            f"{folder}: not a run directory (no run.json); give the folder that a run was written to"
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"{path}: cannot be read as a run ({error}); restore it from a copy, or begin another run in a folder of "
            "its own"
        ) from error


def _differences(old: Any, new: Any, path: str = "") -> Sequence[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(set(old) | set(new))
        nested = [_differences(old.get(k), new.get(k), f"{path}.{k}" if path else k) for k in keys]
        return [line for lines in nested for line in lines]
    return [] if old == new else [f"  {path}: {old!r} there, {new!r} asked for"]


def _environment() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for package in RECORDED_PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": str(os.cpu_count()),
        **versions,
    }
