"""Prepare, ask and judge a run, from Python and from the command; load the releases it asks about."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from avemo_harness import files
from avemo_harness.benchmark.columns import DatasetSpec
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.origin import is_builtin
from avemo_harness.benchmark.planning import Plan, with_labels_of
from avemo_harness.benchmark.release import DEMO, Release
from avemo_harness.benchmark.release_loader import (
    ReleaseOptions,
    configured_release,
    has_split,
    load_release,
    with_known_streams,
)
from avemo_harness.benchmark.request_builder import output_of
from avemo_harness.benchmark.table_loader import FIRST_ROWS, load_table
from avemo_harness.benchmark.table_sources import find_training_part
from avemo_harness.benchmark.task import LabelOutput, TaskSpec
from avemo_harness.benchmark.task_file import Task
from avemo_harness.benchmark.task_library import SHIPPED, TaskLibrary
from avemo_harness.benchmark.yaml_file import read_yaml
from avemo_harness.errors import ReleaseError, StoreError, TaskError, UsageError
from avemo_harness.models import check_model, load_model
from avemo_harness.models.base import AnswersByItem, Capabilities, Logging, ModelSetup, OmniModel
from avemo_harness.phases import PhaseClock, phase
from avemo_harness.recognizers.judging import JudgeSetup, open_judge
from avemo_harness.run.answers import FailureStreak
from avemo_harness.run.claims import Claims
from avemo_harness.run.config import ReleaseRecord, RunConfig, RunRecord, open_run, read_run
from avemo_harness.run.json_files import WorkerTiming, add_timing
from avemo_harness.run.judge_choice import JudgeChoice, choose_judge, holds_replies, judged_tasks
from avemo_harness.run.judging import Judgements, judge_run
from avemo_harness.run.loop import Asker, Listener
from avemo_harness.run.selection import Unit, group_into_units, output_kind, plan_tasks, select_items
from avemo_harness.run.store import RunStore, Segment, add_items
from avemo_harness.scorers import METRICS
from avemo_harness.text import Notify

SourceRevision = tuple[str, str | None]
"""Hub id, path or ``builtin:demo``, with the revision that belongs to it."""


@dataclass
class RunReleases:
    """Finds and loads what a run's tasks ask about.

    Args:
        say: takes a sentence for the user before something slow.
    """

    config: RunConfig
    say: Notify
    _loaded: dict[DatasetSpec, Release] = field(default_factory=dict)
    _with_pairs: dict[str, Release] = field(default_factory=dict)

    def source(self, task: TaskSpec) -> SourceRevision:
        """Where a task's release comes from.

        Raises:
            ReleaseError: none is named anywhere.
        """
        config = self.config
        if config.dataset is None and task.dataset.path is not None:
            return task.dataset.path, config.revision or task.dataset.revision
        if config.dataset is None and task.dataset.columns is not None:
            raise ReleaseError(
                f"{task.task}: its dataset has columns and no path; write the path of its table there, or give it as "
                "--dataset"
            )
        shipped = read_yaml(SHIPPED / "_release.yaml").values
        source = configured_release(config.dataset, task.group or task.task, shipped["path"])
        return source, config.revision or (shipped["revision"] if source == shipped["path"] else None)

    def load(self, task: TaskSpec) -> Release:
        """The release of a task.

        Raises:
            ReleaseError: it is missing, unreachable or malformed.
        """
        path, revision = self.source(task)
        release = self._read(task.dataset.model_copy(update={"path": path, "revision": revision}))
        if task.condition.name != "conflict" or not task.opposites:
            return release
        return self._paired(task, release)

    def _paired(self, task: TaskSpec, release: Release) -> Release:
        from avemo_harness.data.conflict_pairs import with_pairs_of_task

        paired = with_pairs_of_task(task, release, files.cache_dir() / "durations" / f"{release.fingerprint}.json")
        # Tasks that pair alike ask of one release.
        return self._with_pairs.setdefault(paired.fingerprint, paired)

    def training(self, which: str, asked: Sequence[Release]) -> tuple[Release, ...]:
        """Labelled releases to learn from; see `avemo_harness.models.base.ModelSetup.training`."""
        if which == "demo":
            return (self.demo_training(),)
        if which != "auto":
            names = dict.fromkeys(release.name for release in asked)
            return tuple(self._read(_training_part(which, name)) for name in names)
        own = [part for release in asked if (part := self._own_training(release)) is not None]
        if own:
            return tuple(map(self._read, own))
        self.say("the release has no train part: training on the built-in demo's")
        return self.training("demo", asked)

    def _own_training(self, release: Release) -> DatasetSpec | None:
        """The train part of a release or of a table; None where it has none."""
        named = (release.source, release.name, release.split)
        tables = [
            dataset
            for dataset, read in self._loaded.items()
            if dataset.columns is not None and (read.source, read.name, read.split) == named
        ]
        if tables:
            return find_training_part(tables[0], release.commit)
        if has_split(release, self._path(release.source), "train"):
            return _training_part(release.source, release.name, release.commit)
        return None

    def demo_training(self) -> Release:
        """The train part of the demo, which is made where it is not there yet."""
        return self._read(_training_part(DEMO, "demo"))

    def _path(self, source: str) -> str:
        if source != DEMO:
            return source
        from avemo_harness.data.synthesis.demo import demo_release

        return str(demo_release(files.cache_dir(), self.say))

    def _read(self, dataset: DatasetSpec) -> Release:
        source = dataset.path or ""
        if dataset in self._loaded:
            return self._loaded[dataset]
        options = ReleaseOptions(
            revision=dataset.revision,
            media_root=Path(self.config.media_root) if self.config.media_root else None,
            streaming=self.config.streaming,
        )
        if dataset.columns is not None:
            release = load_table(dataset, options, self.say)
        else:
            release = replace(load_release(self._path(source), dataset.name, dataset.split, options), source=source)
        # Probing what is streamed would read every clip; what its columns do not say stays unknown.
        if not self.config.streaming or (release.commit is None and dataset.columns is None):
            release = with_known_streams(release, files.cache_dir() / "streams", self.say)
        self._loaded[dataset] = release
        return release


def _training_part(source: str, name: str, revision: str | None = None) -> DatasetSpec:
    return DatasetSpec(path=source, name=name, split="train", revision=revision)


LARGEST_BATCH = 64
_DAMAGE_REPORTED = 20
"""Damaged lines that are named one by one."""

BatchSize = int | Literal["auto"] | None
"""Requests given to a model at once: ``auto`` for as many as fit, None for what the model declares as usual."""


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
    setup = JudgeSetup(releases.demo_training, files.cache_dir(), releases.say, device)
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


def _batch_size(asked: BatchSize, capabilities: Capabilities) -> int:
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
            size = _batch_size(batch_size, self.model.capabilities)
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
    say: Notify = lambda sentence: None,
) -> PreparedRun:
    """Resolve a config and start its run directory, or join the same run there. The model is made, not yet asked.

    What can be refused cheaply is refused first: tasks, then releases, then the model's name and the versions that
    it runs on, before anything is built or loaded.
    """
    library = TaskLibrary(METRICS, [Path(folder) for folder in config.include_path])
    tasks = library.load(config.tasks)
    releases = RunReleases(config, say)
    for task in tasks:
        releases.source(task.spec)
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
        say=say,
        device=device,
        outputs=frozenset(wanted - {"spoken_response"} if config.skip_speech else wanted),
    )
    if model is None:
        model = load_model(config.model, config.model_args, setup)
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
    spec = next((task.spec for task in tasks if isinstance(task.spec.output, LabelOutput)), None)
    return releases if spec is None else tuple(with_labels_of(spec, release) for release in releases)


def _training(
    tasks: Sequence[Task], asked: tuple[Release, ...], releases: RunReleases, which: str
) -> tuple[Release, ...]:
    found = releases.training(which, asked)
    return found if which == "demo" else _in_labels_of(tasks, found)


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
