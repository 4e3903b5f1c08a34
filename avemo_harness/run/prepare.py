"""Prepare, ask and judge a run, from Python and from the command."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from avemo_harness import files
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.origin import is_builtin
from avemo_harness.benchmark.planning import Plan, keeps_labels, with_labels_of
from avemo_harness.benchmark.release import DEMO, EMOTIONS, Release
from avemo_harness.benchmark.request_builder import output_of
from avemo_harness.benchmark.table_loader import FIRST_ROWS
from avemo_harness.benchmark.task import LabelOutput, TaskSpec
from avemo_harness.benchmark.task_file import Task
from avemo_harness.benchmark.task_library import TaskLibrary
from avemo_harness.errors import StoreError, TaskError, UsageError
from avemo_harness.models import check_model, load_model
from avemo_harness.models.base import AnswersByItem, BatchSize, Logging, ModelSetup, OmniModel, batch_size_of
from avemo_harness.phases import PhaseClock, phase
from avemo_harness.recognizers.judging import JudgeSetup, open_judge
from avemo_harness.run.answers import FailureStreak
from avemo_harness.run.availability import Availability, absence_lines, with_named_corpora
from avemo_harness.run.claims import Claims
from avemo_harness.run.config import ReleaseRecord, RunConfig, RunRecord, open_run, read_run
from avemo_harness.run.json_files import WorkerTiming, add_timing
from avemo_harness.run.judge_choice import JudgeChoice, choose_judge, holds_replies, judged_tasks
from avemo_harness.run.judging import Judgements, judge_run
from avemo_harness.run.loop import Asker, Listener
from avemo_harness.run.releases import RunReleases
from avemo_harness.run.selection import Unit, group_into_units, output_kind, plan_tasks, select_items
from avemo_harness.run.store import RunStore, Segment, add_items
from avemo_harness.scorers import METRICS
from avemo_harness.text import Notify

_DAMAGE_REPORTED = 20
"""Damaged lines that are named one by one."""


def judge_replies(
    folder: Path, recognizer: str | None, releases: RunReleases, *, device: str | None = None, choose: bool = True
) -> Judgements | None:
    """Judge the spoken replies of a run, and let the run be scored by these judgements from now on. Needs no model.

    Args:
        recognizer: see `avemo_harness.recognizers.judging.open_judge`; by default as `find_judge` says.
        releases: those of the run's config.
        device: where a neural recogniser should run.
        choose: whether the run is scored by it from now on; else that stays as it is.

    Returns:
        None where the run has no task to judge, no answers to one yet, or no judge.

    Raises:
        UsageError: there is no such recogniser, or a release is not the one that the run asked about.
        StoreError: the run directory is damaged or cannot be written.
    """
    if not holds_replies(folder):
        return None
    choice = find_judge(folder, recognizer, releases)
    if choice.name is None:
        return None
    setup = JudgeSetup(
        releases.demo_training, files.cache_dir(), releases.say, device, lambda: releases.demo_digest("demo", ())
    )
    judge = open_judge(choice.name, setup)
    by_task = {task.task: releases.load(task) for task in judged_tasks(read_run(folder)) if task.task in choice.tasks}
    return judge_run(folder, choice.name, judge, by_task, releases.say, choose=choose)


def find_judge(folder: Path, recognizer: str | None, releases: RunReleases) -> JudgeChoice:
    """Find the judge of a run and the tasks that have none, before anything is asked or judged.

    Args:
        recognizer: the judge that is named; by default the run's own, that of ``AVEMO_JUDGE``, the remembered one, and
            the embedded one for the demo and releases of the built-in voice and face.
        releases: those of the run's config.

    Raises:
        UsageError: there is no such recogniser, or a release is not the one that the run asked about.
        StoreError: the run directory is damaged.
    """
    record = read_run(folder)
    by_task: dict[str, Release] = {}
    for task in judged_tasks(record):
        release = by_task[task.task] = releases.load(task)
        if release.fingerprint != record.release_of(task).fingerprint:
            raise UsageError(
                f"{task.task}: {release.source} is not the release that {folder} asked about (another fingerprint); "
                "restore that release"
            )
    return choose_judge(folder, recognizer, by_task, record.config.media_root)


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


MakeModel = Callable[[str, Mapping[str, Any], ModelSetup], OmniModel]
"""Makes a model of its name and arguments, as `avemo_harness.models.load_model` does."""


@dataclass(frozen=True)
class PreparedRun:
    """A run whose directory exists and whose model and questions are at hand."""

    folder: Path
    record: RunRecord
    model: OmniModel
    units: tuple[Unit, ...]
    conditions: ConditionCache
    releases: RunReleases
    say: Notify

    @property
    def n_items(self) -> int:
        return sum(len(unit.questions) for unit in self.units)

    def ask(
        self,
        *,
        batch_size: BatchSize = None,
        max_errors: int = 0,
        listener: Listener | None = None,
        clock: PhaseClock | None = None,
    ) -> None:
        """Ask what is not answered yet, together with any other worker on the same directory.

        Args:
            max_errors: see `evaluate`.
            clock: counts the time of the phases, which the run keeps; by default one that waits for no GPU.
        """
        clock = clock or PhaseClock()
        with clock.asking():
            self._ask(batch_size, max_errors, listener, clock)
        self.conditions.prune()

    def _ask(self, batch_size: BatchSize, max_errors: int, listener: Listener | None, clock: PhaseClock) -> None:
        worker = secrets.token_hex(6)
        started = time.time()
        if isinstance(self.model, Logging):
            self.model.log_to(self.folder / "logs" / f"{worker}.log")
        store = RunStore(self.folder)
        claims = Claims(self.folder / "claims", worker)
        with _closing_with(claims.close):
            with claims.alone(), phase("store"):
                # Who lives is asked first: what a worker stored before it went is then read, and not cut.
                live = claims.live_workers()
                stored = store.refresh()
                if listener is not None:
                    listener.stored(stored)
                cut = store.cut_torn_lines(live)
                files.remove_leftovers(self.folder)
            for sentence in store.damage[:_DAMAGE_REPORTED]:
                self.say(sentence)
            if cut:
                self.say(f"{cut} torn last line(s) of a killed worker were cut off")
            segment = Segment(self.folder, worker)
            size = batch_size_of(batch_size, self.model.capabilities)
            with _closing_with(lambda: self._end_shift(segment, worker, started, clock)):
                failures = FailureStreak(max_errors, store.errors)
                Asker(self.model, store, segment, claims, size, listener, failures).ask(self.units)

    def _end_shift(self, segment: Segment, worker: str, started: float, clock: PhaseClock) -> None:
        segment.close()
        add_timing(self.folder, WorkerTiming.of(worker, started, segment.written, clock), self.say)


@contextmanager
def _closing_with(clear: Callable[[], None]) -> Iterator[None]:
    """Clear away after the block. Where the block fails, its error is told, and none of the clearing away."""
    try:
        yield
    except BaseException:
        with suppress(StoreError):
            clear()
        raise
    clear()


def prepare(
    config: RunConfig,
    *,
    output_path: str | Path | None = None,
    device: str | None = None,
    model: OmniModel | None = None,
    make_model: MakeModel = load_model,
    say: Notify = lambda sentence: None,
) -> PreparedRun:
    """Resolve a config and start its run directory, or join the same run there. The model is made, not yet asked.

    What can be refused cheaply is refused first: tasks, then releases, then the model's name and the versions that
    it runs on, before anything is built or loaded.
    """
    library = TaskLibrary(METRICS, [Path(folder) for folder in config.include_path])
    tasks = library.load(config.tasks)
    config = with_named_corpora(config, [task.spec for task in tasks])
    releases = RunReleases(config, say)
    availability = Availability.of(tasks, library, releases)
    absent, tasks = availability.absent, availability.present
    if absent:
        present = ", ".join(dict.fromkeys(task.spec.group or task.name for task in tasks))
        say("\n".join([f"asked are {present}; the data of the others are not here:", *absence_lines(absent)]))
    for task in tasks:
        if config.streaming and task.spec.dataset.columns is not None and not config.names_part:
            raise UsageError(
                f"{task.name}: --streaming reads the first {FIRST_ROWS:,} rows of a table; say with --limit N how many "
                "of their dialogues to ask about, or leave --streaming out to ask about all"
            )
    if model is None:
        check_model(config.model)
    by_task = {task.name: releases.load(task.spec) for task in tasks}
    distinct = tuple({id(release): release for release in by_task.values()}.values())
    wanted = {output_kind(task.spec) for task in tasks}
    setup = ModelSetup(
        releases=_in_labels_of(tasks, distinct),
        training=partial(_training, tasks, distinct, releases),
        demo_digest=partial(_demo_digest, tasks, distinct, releases),
        say=say,
        device=device,
        outputs=frozenset(wanted - {"spoken_response"} if config.skip_speech else wanted),
    )
    if model is None:
        model = make_model(config.model, config.model_args, setup)
    plans, skipped = plan_tasks(tasks, by_task, model.capabilities, config)
    if isinstance(model, AnswersByItem):
        skipped |= _leave_out_unanswered(model, tasks, plans)
    record = RunRecord(
        config=config,
        identity=dict(model.identity()),
        tasks=tuple(task.spec for task in tasks),
        task_digests={task.name: task.digest for task in tasks},
        groups=_groups(tasks, library),
        releases=tuple(
            ReleaseRecord.of(release, [name for name, used in by_task.items() if used is release])
            for release in distinct
        ),
        skipped=skipped,
        answers_from_release=model.capabilities.needs_reference,
        builtin=tuple(name for name, used in by_task.items() if used.source != DEMO and is_builtin(used)),
        absent=absent if availability.grows else None,
    )
    asked = [task for task in tasks if task.name not in skipped]
    selected = select_items(asked, by_task, plans, config)
    if isinstance(model, AnswersByItem):
        model.expect([(i.without_labels(), output_of(task.spec, i)) for task in asked for i in selected[task.name]])
    folder = Path(output_path) if output_path else Path("runs") / _default_name(record)
    open_run(folder, record)
    items, more = add_items(folder, plans, selected, say)
    if more and config.names_part:
        say(f"{folder} was asked for more items before than --limit, --ids or --where name now; all of them count")
    conditions = ConditionCache(files.cache_dir() / "conditions")
    units = group_into_units(asked, by_task, items, record, conditions, isinstance(model, AnswersByItem))
    return PreparedRun(folder, record, model, units, conditions, releases, say)


def _in_labels_of(tasks: Sequence[Task], releases: tuple[Release, ...]) -> tuple[Release, ...]:
    """Releases in the labels of the first task that asks for some."""
    spec = _first_of_labels(tasks)
    return releases if spec is None else tuple(with_labels_of(spec, release) for release in releases)


def _first_of_labels(tasks: Sequence[Task]) -> TaskSpec | None:
    return next((task.spec for task in tasks if isinstance(task.spec.output, LabelOutput)), None)


def _training(
    tasks: Sequence[Task], asked: tuple[Release, ...], releases: RunReleases, which: str
) -> tuple[Release, ...]:
    found = releases.training(which, asked)
    return found if which == "demo" else _in_labels_of(tasks, found)


def _demo_digest(tasks: Sequence[Task], asked: tuple[Release, ...], releases: RunReleases, which: str) -> str | None:
    digest = releases.demo_digest(which, asked)
    spec = None if which == "demo" else _first_of_labels(tasks)
    return digest if spec is None or keeps_labels(spec, EMOTIONS) else None


def _leave_out_unanswered(model: AnswersByItem, tasks: Sequence[Task], plans: dict[str, Plan]) -> dict[str, str]:
    """Take the tasks of which no item has an answer out of the plans; why each is not asked, by task."""
    unanswered = [
        task.name
        for task in tasks
        if task.name in plans
        and not any(model.has_answer(i.without_labels(), output_of(task.spec, i)) for i in plans[task.name].items)
    ]
    for name in unanswered:
        del plans[name]
    return dict.fromkeys(unanswered, "no answer is to an item of this task")


def _groups(tasks: Sequence[Task], library: TaskLibrary) -> tuple[Any, ...]:
    names = dict.fromkeys(task.spec.group for task in tasks if task.spec.group)
    return tuple(group for name in names if (group := library.load_group(name)))


def _default_name(record: RunRecord) -> str:
    tasks = "+".join(Path(name).stem.replace("*", "all") for name in record.config.tasks)[:60]
    return f"{tasks}-{record.config.model}-{record.digest()}"
