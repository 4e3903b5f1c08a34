"""The whole way of a run: tasks and releases are resolved, the model is asked, the answers are scored."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from avemo_harness import paths
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.planning import (
    Asking,
    Plan,
    describe_not_asked,
    plan_items,
    turn_item_id,
    turns_to_answer_first,
)
from avemo_harness.benchmark.release import Release
from avemo_harness.benchmark.request import Item
from avemo_harness.benchmark.task import LabelOutput, TaskSpec
from avemo_harness.benchmark.task_file import Task
from avemo_harness.benchmark.task_library import TaskLibrary
from avemo_harness.errors import TaskError, UsageError
from avemo_harness.models import check_model_name, load_model
from avemo_harness.models.base import Capabilities, Concurrent, Logging, ModelSetup, OmniModel, Output
from avemo_harness.recognizers import EMBEDDED
from avemo_harness.recognizers.judges import JudgeSetup, open_judge
from avemo_harness.releases import RunReleases
from avemo_harness.report.results import RunResult, score_run
from avemo_harness.run.claims import Claims
from avemo_harness.run.config import RunConfig, RunRecord, describe_release, open_run, read_run
from avemo_harness.run.items import add_items
from avemo_harness.run.judgements import Judgements, chosen_judgements
from avemo_harness.run.judging import judge_run
from avemo_harness.run.loop import Asker, Listener, Question, Unit
from avemo_harness.run.selection import Selection
from avemo_harness.run.side_by_side import SideBySideAsker
from avemo_harness.run.store import Record, RunStore, Segment, cut_torn_lines
from avemo_harness.scorers import METRICS, is_judged

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
    recognizer: str | None = None,
    **options: Any,
) -> RunResult:
    """Evaluate a model on tasks, as the command does: start or continue the run, judge it, score it.

    Args:
        model: a registered name, or an object with the interface of `avemo_harness.models.base.OmniModel`.
        tasks: names, globs, groups or YAML paths; a string may hold several, separated by commas.
        output_path: the run directory; by default one under ``runs/`` that is named after what is asked.
        batch_size: requests given to the model at once; ``auto``: as many as fit; by default what the model declares.
        device: where a neural model should run.
        recognizer: judges spoken replies; see `judge_replies`.
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
    judge_replies(prepared.folder, recognizer, prepared.releases, device=device)
    return score_run(prepared.folder)


def judge_replies(
    folder: Path, recognizer: str | None, releases: RunReleases, *, device: str | None = None
) -> Judgements | None:
    """Judge the spoken replies of a run, and let the run be scored by these judgements from now on. Needs no model.

    Args:
        recognizer: see `avemo_harness.recognizers.judges.open_judge`; by default the one that judged the run before,
            else the embedded one.
        releases: those of the run's config.
        device: where a neural recogniser should run.

    Returns:
        None where the run has no task to judge, or no answers to one yet.

    Raises:
        UsageError: there is no such recogniser, or a release is not the one that the run asked about.
        StoreError: the run directory is damaged or cannot be written.
    """
    record = read_run(folder)
    tasks = [task for task in record.tasks if is_judged(task) and task.task not in record.skipped]
    store = RunStore(folder)
    store.refresh()
    if not {task.task for task in tasks} & {task for task, _ in store.answers}:
        return None
    before = chosen_judgements(folder)
    name = recognizer or (before.judge.name if before else EMBEDDED)
    setup = JudgeSetup(releases.demo_training, paths.cache_dir(), releases.say, device)
    judge = open_judge(name, setup)
    by_task = {task.task: releases.load(task) for task in tasks}
    for task in tasks:
        release = by_task[task.task]
        if release.fingerprint != record.release_of(task)["fingerprint"]:
            raise UsageError(
                f"{task.task}: {release.source} is not the release that {folder} asked about (another fingerprint); "
                "restore that release"
            )
    return judge_run(folder, name, judge, by_task, releases.say)


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
    releases: RunReleases
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
        if isinstance(self.model, Logging):
            self.model.log_to(self.folder / "logs" / f"{worker}.log")
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
                asker = SideBySideAsker if isinstance(self.model, Concurrent) else Asker
                asker(self.model, store, segment, claims, size, listener).ask(self.units)
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
    releases = RunReleases(config, say)
    for task in tasks:
        releases.source(task.spec)
    if model is None:
        check_model_name(config.model)
    by_task = {task.name: releases.load(task.spec) for task in tasks}
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
    plans: dict[str, Plan] = {}
    for task in tasks:
        if task.name not in skipped:
            plan = _plan(task.spec, by_task[task.name], config, model)
            if plan.items:
                plans[task.name] = plan
            else:
                skipped[task.name] = describe_not_asked(plan.not_asked, task.spec.condition.name)
    record = RunRecord(
        config=config,
        identity=dict(model.identity()),
        tasks=tuple(task.spec for task in tasks),
        task_digests={task.name: task.digest for task in tasks},
        groups=_groups(tasks, library),
        releases=tuple(
            describe_release(release, [name for name, one in by_task.items() if one is release]) for release in distinct
        ),
        skipped=skipped,
        answers_from_release=model.capabilities.needs_reference,
    )
    asked = [task for task in tasks if task.name not in skipped]
    selected = _select(asked, by_task, plans, config)
    folder = Path(output_path) if output_path else Path("runs") / _default_name(record)
    open_run(folder, record)
    items, held_more = add_items(folder, plans, selected)
    if held_more and config.names_part:
        say(f"{folder} was asked for more items before than --limit, --ids or --where name now; all of them count")
    conditions = ConditionCache(paths.cache_dir() / "conditions")
    units = _units(asked, by_task, items, record, conditions)
    return PreparedRun(folder, record, model, units, conditions, releases, say)


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


def _plan(task: TaskSpec, release: Release, config: RunConfig, model: OmniModel) -> Plan:
    """What a task asks of the whole split, where the model can answer it."""
    plan = plan_items(task, release)
    if not model.capabilities.needs_reference:
        return plan
    kept = replace(plan, items=tuple(item for item in plan.items if _has_reply(release, item)))
    if plan.items and not kept.items:
        raise UsageError(f"{task.task}: the release holds no reply that {config.model} could give")
    return kept


def _select(
    tasks: Sequence[Task], releases: Mapping[str, Release], plans: Mapping[str, Plan], config: RunConfig
) -> dict[str, list[Item]]:
    """The items of each task that are asked for now.

    Raises:
        UsageError: an id that no release has, a property or a limit that cannot be understood, or nothing is left.
    """
    by_release = {id(release): Selection(release, config) for release in releases.values()}
    unknown = [set(selection.unknown_ids()) for selection in by_release.values()]
    if nowhere := sorted(set.intersection(*unknown)) if unknown else []:
        raise UsageError(f"--ids: no dialogue, pair or user turn is called {nowhere[0]!r}")
    selected = {task.name: by_release[id(releases[task.name])].of(plans[task.name].items) for task in tasks}
    if tasks and not any(selected.values()):
        available = sum(len(plan.items) for plan in plans.values())
        raise UsageError(f"--ids, --where and --limit leave nothing to ask of {available} items")
    for task in tasks:
        _refuse_holes(task.spec, releases[task.name], selected[task.name])
    return selected


def _refuse_holes(task: TaskSpec, release: Release, items: Sequence[Item]) -> None:
    """Refuse to ask about a turn without the turns before it, where the model's replies to those are its history."""
    asked = {item.item_id for item in items}
    for item in items:
        for turn in turns_to_answer_first(task, release, item):
            if turn_item_id(item.dialogue_id, turn) not in asked:
                raise UsageError(
                    f"{task.task}: {item.item_id} needs the model's reply to turn {turn}, which --ids or --where leave "
                    "out; choose whole dialogues"
                )


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
            generation=record.config.generation_of(task.spec),
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
