"""The whole way of a run: tasks and releases are resolved, the model is asked, the answers are scored."""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from avemo_harness import paths
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.planning import Asking, plan_items
from avemo_harness.benchmark.release import Release
from avemo_harness.benchmark.release_loader import (
    ReleaseOptions,
    configured_release,
    has_split,
    load_release,
)
from avemo_harness.benchmark.request import Item
from avemo_harness.benchmark.task import GenerationSpec, LabelOutput, TaskSpec
from avemo_harness.benchmark.task_file import Task
from avemo_harness.benchmark.task_library import SHIPPED, TaskLibrary
from avemo_harness.benchmark.yaml_file import read_yaml
from avemo_harness.errors import TaskError, UsageError
from avemo_harness.models import check_model_name, load_model
from avemo_harness.models.base import Capabilities, ModelSetup, OmniModel, Output
from avemo_harness.report.results import RunResult, score_run
from avemo_harness.run.claims import Claims
from avemo_harness.run.config import RunConfig, RunRecord, describe_release, open_run
from avemo_harness.run.loop import Asker, Listener, Question, Unit
from avemo_harness.run.selection import select_items
from avemo_harness.run.store import Record, RunStore, Segment, cut_torn_lines
from avemo_harness.scorers import METRICS

DEMO = "builtin:demo"
LARGEST_BATCH = 64

BatchSize = int | Literal["auto"] | None
"""Requests given to a model at once: ``auto`` for as many as fit, None for what the model declares as usual."""

Say = Callable[[str], None]
"""Takes a sentence for the user: what slow thing starts now, what was repaired."""


def evaluate(
    model: str | OmniModel,
    tasks: str | Sequence[str],
    *,
    output_path: str | Path | None = None,
    batch_size: BatchSize = None,
    device: str | None = None,
    **options: Any,
) -> RunResult:
    """Evaluate a model on tasks, as the command does: start or continue the run, score it, return the results.

    Args:
        model: a registered name, or an object with the interface of `avemo_harness.models.base.OmniModel`.
        tasks: names, globs, groups or YAML paths; a string may hold several, separated by commas.
        output_path: the run directory; by default one under ``runs/`` that is named after what is asked.
        batch_size: requests given to the model at once; ``auto``: as many as fit; by default what the model declares.
        device: where a neural model should run.
        options: the other fields of `avemo_harness.run.config.RunConfig`: ``model_args``, ``dataset``, ``limit``, …

    Raises:
        UsageError: something the caller can fix.
        StoreError: the run directory is damaged or cannot be written.
    """
    names = tasks.split(",") if isinstance(tasks, str) else list(tasks)
    label = model if isinstance(model, str) else dict(model.identity()).get("model", type(model).__name__)
    asked = {"model": label, "tasks": [name.strip() for name in names], **options}
    config = RunConfig.from_mapping(asked, "evaluate()")
    given = None if isinstance(model, str) else model
    prepared = prepare(config, output_path=output_path, device=device, model=given)
    prepared.ask(batch_size=batch_size)
    return score_run(prepared.folder)


def load_task(name: str, include: Sequence[str | Path] = ()) -> Task:
    """Read and check one task by name or path.

    Args:
        include: folders with more task YAMLs.

    Raises:
        TaskError: no such task, several of them, or everything that is wrong with its file.
    """
    tasks = TaskLibrary(METRICS, [Path(folder) for folder in include]).load([name])
    if len(tasks) > 1:
        raise TaskError(f"{name!r} stands for {len(tasks)} tasks: {', '.join(task.name for task in tasks)}")
    return tasks[0]


def _requests_at_once(asked: BatchSize, capabilities: Capabilities) -> int:
    if isinstance(asked, int):
        return min(asked, capabilities.largest_batch)
    usual = None if asked == "auto" else capabilities.usual_batch
    return usual or min(LARGEST_BATCH, capabilities.largest_batch)


@dataclass(frozen=True)
class PreparedRun:
    """A run whose directory exists and whose model and questions are at hand."""

    folder: Path
    record: RunRecord
    model: OmniModel
    units: tuple[Unit, ...]
    conditions: ConditionCache
    say: Say

    @property
    def n_items(self) -> int:
        return sum(len(unit.questions) for unit in self.units)

    def question(self, place: tuple[str, str]) -> Question:
        """The question of a stored record."""
        return self._by_place[place]

    @cached_property
    def _by_place(self) -> dict[tuple[str, str], Question]:
        return {question.place: question for unit in self.units for question in unit.questions}

    def ask(self, *, batch_size: BatchSize = None, listener: Listener | None = None) -> None:
        """Ask what is not answered yet, together with any other worker on the same directory."""
        worker = secrets.token_hex(6)
        started = time.time()
        listener = listener or _Silent()
        store = RunStore(self.folder)
        claims = Claims(self.folder / "claims", worker)
        try:
            with claims.alone():
                # Who lives is asked first: what a worker stored before it went is then read, and not cut.
                live = claims.live_workers()
                listener.stored(store.refresh())
                cut = cut_torn_lines(store, live)
            if cut:
                self.say(f"{cut} torn last line(s) of a killed worker were cut off")
            segment = Segment(self.folder, worker)
            size = _requests_at_once(batch_size, self.model.capabilities)
            try:
                Asker(self.model, store, segment, claims, size, listener).ask(self.units)
            finally:
                segment.close()
                with claims.alone():
                    self._write_timing(worker, started, segment.written)
        finally:
            claims.close()
        self.conditions.prune()

    def _write_timing(self, worker: str, started: float, records: int) -> None:
        path = self.folder / "timing.json"
        entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        seconds = time.time() - started
        entry = {
            "worker": worker,
            "started": round(started, 3),
            "seconds": round(seconds, 3),
            "records": records,
        }
        paths.write_atomically(path, json.dumps([*entries, entry], indent=1) + "\n")


class _Silent:
    def stored(self, records: Sequence[Record]) -> None:
        del records

    def waiting(self, units: int) -> None:
        del units


def prepare(
    config: RunConfig,
    *,
    output_path: str | Path | None = None,
    device: str | None = None,
    model: OmniModel | None = None,
    say: Say = lambda sentence: None,
) -> PreparedRun:
    """Resolve a config and start its run directory, or join the same run there. The model is made, not yet asked.

    What can be refused cheaply is refused first: tasks, then releases, then the model's name, before anything is built
    or loaded.
    """
    library = TaskLibrary(METRICS, [Path(folder) for folder in config.include_path])
    tasks = library.load(config.tasks)
    sources = {task.name: _source(task.spec, config) for task in tasks}
    if model is None:
        check_model_name(config.model)
    releases = _Releases(config, say)
    by_task = {task.name: releases.load(sources[task.name], task.spec) for task in tasks}
    distinct = tuple({id(release): release for release in by_task.values()}.values())
    wanted = {_kind_of(task.spec) for task in tasks}
    setup = ModelSetup(
        releases=distinct,
        training=lambda which: releases.training(which, distinct),
        say=say,
        device=device,
        outputs=frozenset(wanted - {"spoken_response"} if config.skip_speech else wanted),
    )
    if model is None:
        model = load_model(config.model, config.model_args, setup)
    skipped = {
        task.name: reason
        for task in tasks
        if (reason := _not_asked(task.spec, by_task[task.name], model.capabilities, config))
    }
    record = RunRecord(
        config=config,
        identity=dict(model.identity()),
        tasks=tuple(task.spec for task in tasks),
        task_digests={task.name: task.digest for task in tasks},
        groups=_groups(tasks, library),
        releases=tuple(describe_release(release) for release in distinct),
        skipped=skipped,
    )
    asked = [task for task in tasks if task.name not in skipped]
    items = {task.name: _items(task.spec, by_task[task.name], config, model) for task in asked}
    folder = Path(output_path) if output_path else Path("runs") / _default_name(record)
    open_run(folder, record)
    store = RunStore(folder)
    for name, planned in items.items():
        store.write_items(name, planned)
    conditions = ConditionCache(paths.cache_dir() / "conditions")
    units = _units(asked, by_task, items, record, conditions)
    return PreparedRun(folder, record, model, units, conditions, say)


def _source(task: TaskSpec, config: RunConfig) -> tuple[str, str | None]:
    """Where a task's release comes from, with the revision that belongs to it."""
    if config.dataset is None and task.dataset.path is not None:
        return task.dataset.path, config.revision or task.dataset.revision
    shipped = read_yaml(SHIPPED / "_release.yaml").values
    source = configured_release(config.dataset, task.group or task.task, shipped["path"])
    return source, config.revision or (shipped["revision"] if source == shipped["path"] else None)


@dataclass
class _Releases:
    """Loads each release of a run once."""

    config: RunConfig
    say: Say
    _loaded: dict[tuple[str, str, str, str | None], Release] = field(default_factory=dict)

    def load(self, source: tuple[str, str | None], task: TaskSpec) -> Release:
        path, revision = source
        key = (path, task.dataset.name, task.dataset.split, revision)
        if key not in self._loaded:
            limit = self.config.limit
            enough = int(limit) if self.config.streaming and limit and 1 <= limit < math.inf else None
            self._loaded[key] = self._read(*key, limit=enough)
        return self._loaded[key]

    def training(self, which: str, asked: Sequence[Release]) -> tuple[Release, ...]:
        """Labelled releases to learn from; see `ModelSetup.training`."""
        if which == "demo":
            return (self._read(DEMO, "demo", "train", None),)
        if which != "auto":
            return tuple(self._read(which, name, "train", None) for name in dict.fromkeys(r.name for r in asked))
        own = [release for release in asked if has_split(release, self._path(release.source), "train")]
        if own:
            return tuple(self._read(release.source, release.name, "train", release.commit) for release in own)
        self.say("the release has no train part: training on the built-in demo's")
        return self.training("demo", asked)

    def _path(self, source: str) -> str:
        if source != DEMO:
            return source
        from avemo_harness.build.demo import demo_release

        return str(demo_release(paths.cache_dir(), self.say))

    def _read(self, source: str, name: str, split: str, revision: str | None, limit: int | None = None) -> Release:
        options = ReleaseOptions(
            revision=revision,
            media_root=Path(self.config.media_root) if self.config.media_root else None,
            streaming=self.config.streaming,
            limit=limit,
        )
        return replace(load_release(self._path(source), name, split, options), source=source)


def _not_asked(task: TaskSpec, release: Release, capabilities: Capabilities, config: RunConfig) -> str | None:
    """Why a task is outside what the release has, the model can do or the run wants; None where it is asked."""
    if task.condition.name == "conflict" and not release.pairs:
        return f"the release has no conflict pairs (config {release.name}_conflict)"
    needed = _kind_of(task)
    if needed not in capabilities.outputs:
        return f"the model gives no {needed.replace('_', ' ')}"
    if config.skip_speech and needed == "spoken_response":
        return "spoken replies are left out (--skip_speech)"
    return None


def _kind_of(task: TaskSpec) -> Output:
    if isinstance(task.output, LabelOutput):
        return "label_ranking" if task.output.method == "rank" else "label_text"
    return "spoken_response"


def _items(task: TaskSpec, release: Release, config: RunConfig, model: OmniModel) -> list[Item]:
    items = plan_items(task, release)
    if model.capabilities.needs_reference:
        items = [item for item in items if _has_reply(release, item)]
        if not items:
            raise UsageError(f"{task.task}: the release holds no reply that {config.model} could give")
    return select_items(items, release, config)


def _has_reply(release: Release, item: Item) -> bool:
    turns = release.dialogue(item.dialogue_id).turns
    return item.turn_index + 1 < len(turns) and turns[item.turn_index + 1].role == "assistant"


def _groups(tasks: Sequence[Task], library: TaskLibrary) -> tuple[Any, ...]:
    names = dict.fromkeys(task.spec.group for task in tasks if task.spec.group)
    return tuple(group for name in names if (group := library.load_group(name)))


def _default_name(record: RunRecord) -> str:
    tasks = "+".join(Path(name).stem.replace("*", "all") for name in record.config.tasks)[:60]
    return f"{tasks}-{record.config.model}-{record.digest()}"


def _units(
    tasks: Sequence[Task],
    releases: Mapping[str, Release],
    items: Mapping[str, Sequence[Item]],
    record: RunRecord,
    conditions: ConditionCache,
) -> tuple[Unit, ...]:
    """Group questions into units.

    Long dialogues come first, so that those asked side by side are equally long, and what does not fit into memory is
    met early; the conditions of a dialogue follow each other, since they share streams.
    """
    questions: dict[str, list[Question]] = {}
    for task in sorted(tasks, key=lambda task: not isinstance(task.spec.output, LabelOutput)):
        asking = Asking(
            task=task.spec,
            release=releases[task.name],
            conditions=conditions,
            generation=_overridden(task.spec.generation, record.config.generation),
            identity=record.identity,
            seed=record.config.seed,
        )
        for item in items[task.name]:
            questions.setdefault(item.unit, []).append(Question(asking, item))
    units = [
        Unit(name, tuple(sorted(group, key=lambda question: question.item.turn_index)))
        for name, group in questions.items()
    ]
    return tuple(
        sorted(units, key=lambda unit: (-unit.questions[-1].item.turn_index, unit.questions[0].item.dialogue_id))
    )


def _overridden(generation: GenerationSpec, overrides: Mapping[str, Any]) -> GenerationSpec:
    if not overrides:
        return generation
    from pydantic import ValidationError

    try:
        return GenerationSpec.model_validate({**generation.model_dump(), **overrides}, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        known = ", ".join(GenerationSpec.model_fields)
        key = ".".join(map(str, first["loc"]))
        raise UsageError(f"--gen_kwargs {key}: {first['msg']} (known: {known})") from error
