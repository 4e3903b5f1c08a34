"""The results of a run, computed from its directory alone and in item order: who asked what when does not matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from avemo_harness.benchmark.group import ColumnSpec, GroupSpec
from avemo_harness.benchmark.release import DEMO
from avemo_harness.benchmark.request import ItemKey
from avemo_harness.benchmark.task import SpokenOutput, TaskSpec
from avemo_harness.files import exclusive_lock, write_atomically
from avemo_harness.garbage import collection_paused
from avemo_harness.metrics.bootstrap import RESAMPLES, SEED
from avemo_harness.report.values import marked_contrast, sentences_of, with_marks
from avemo_harness.run.config import ReleaseRecord, RunRecord, read_run
from avemo_harness.run.gradings import Gradings, chosen_gradings
from avemo_harness.run.json_files import checked_lines, sealed_json
from avemo_harness.run.judging import Judgements, chosen_judgements
from avemo_harness.run.ratings import read_ratings
from avemo_harness.run.store import RunStore, read_counts, read_items
from avemo_harness.scorers import grades_labels, is_judged, load_scorer
from avemo_harness.scorers.base import Answer, Grading, Judge, Judgement, MetricValue, ScoreLine, TaskScores
from avemo_harness.scorers.chance import chance_rows
from avemo_harness.scorers.metric import RUBRIC
from avemo_harness.scorers.understanding import compare_streams

RESULTS_SCHEMA = 3


@dataclass(frozen=True, slots=True)
class TaskResult:
    """One task's scores and counts.

    Args:
        status: ``complete``, ``incomplete`` (errors, or items not answered or judged yet) or ``skipped`` (not asked).
        reason: why the task was skipped.
        n_unjudged: spoken answers that no recogniser has judged yet.
        n_spoken: answers that carry speech; None where none was asked for.
        flags: how many answers carry each flag; only those that occur, by name.
        rows: what answers that take no understanding would score on the same items, by name.
        comparable: the scores may be held against those of other runs with the same judge.
        n_available: items that the whole split holds for the task, where the run knows.
        not_asked: how many turns (or pairs) lack a stream that the condition needs, by what they lack, such as
            ``no face``; they are no items.
    """

    task: str
    version: int
    digest: str
    condition: str
    status: str
    reason: str | None
    headline: str | None
    n_items: int = 0
    n_answered: int = 0
    n_invalid: int = 0
    n_errors: int = 0
    n_missing: int = 0
    n_unjudged: int = 0
    n_clusters: int = 0
    n_spoken: int | None = None
    comparable: bool = True
    n_available: int | None = None
    not_asked: Mapping[str, int] = field(default_factory=dict)
    flags: Mapping[str, int] = field(default_factory=dict)
    metrics: Mapping[str, MetricValue] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, Mapping[str, MetricValue]] = field(default_factory=dict)

    @property
    def resampled(self) -> str:
        """The unit that intervals resample, in the singular: ``dialogue`` or ``speaker``."""
        return str(self.details.get("clusters", "dialogue"))

    @property
    def n_ungraded(self) -> int:
        """Answers that no model has graded yet, or could not."""
        return int(self.details.get(RUBRIC, {}).get("n_ungraded", 0))

    @property
    def grader(self) -> Mapping[str, Any] | None:
        """The model that graded the answers, as `Grader.told` has it; None where none did."""
        found: Mapping[str, Any] | None = self.details.get(RUBRIC, {}).get("grader")
        return found


@dataclass(frozen=True, slots=True)
class GroupResult:
    """One row of the benchmark's table.

    Args:
        row: what the model is called in this table: its name, and of `reference` what the group calls that.
        columns: the value of each column in order; None where its task was not asked.
        trivial: the columns of answers that take no understanding, by row.
        fusion_gain: ``Acc_AV - max(Acc_A, Acc_V)`` on the same turns; None unless all three were asked.
        av_minus_a, av_minus_v: ``Acc_AV - Acc_A`` and ``Acc_AV - Acc_V`` on these turns; None where there is no gain.
    """

    group: str
    title: str
    row: str
    columns: Mapping[str, MetricValue | None]
    trivial: Mapping[str, Mapping[str, MetricValue | None]]
    fusion_gain: MetricValue | None
    av_minus_a: MetricValue | None = None
    av_minus_v: MetricValue | None = None

    @property
    def contrasts(self) -> Mapping[str, MetricValue | None]:
        """The gain of hearing and seeing together, by its formula."""
        return {
            "Acc_AV - max(Acc_A, Acc_V)": self.fusion_gain,
            "Acc_AV - Acc_A": self.av_minus_a,
            "Acc_AV - Acc_V": self.av_minus_v,
        }


@dataclass(frozen=True, slots=True)
class RunResult:
    """Everything a run says: what was asked of whom, and the scores.

    Args:
        judge: the recogniser whose trajectories the replies are scored by, with its card; None where none was asked.
        partial: only some of the items were asked for (`--limit`, `--ids`, `--where`).
        provisional: some items failed or are missing, so the scores may still change.
        marks: the sentence behind each mark that a metric of `groups` or `tasks` carries, by mark.
        damage: lines and files of the run that are damaged and were not asked or judged again since, in sentences.
        absent: of a collection, the groups whose data are not here, and how they come.
    """

    schema_version: int
    model: str
    identity: Mapping[str, str]
    releases: tuple[ReleaseRecord, ...]
    bootstrap: Mapping[str, int]
    judge: Judge | None
    partial: bool
    provisional: bool
    tasks: Mapping[str, TaskResult]
    groups: Mapping[str, GroupResult]
    marks: Mapping[str, str] = field(default_factory=dict)
    damage: tuple[str, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)

    @property
    def n_errors(self) -> int:
        return sum(task.n_errors for task in self.tasks.values())

    @property
    def n_missing(self) -> int:
        return sum(task.n_missing for task in self.tasks.values())

    def to_json(self) -> str:
        """The text of `results.json`: keys in a fixed order, equal for equal answers."""
        values = asdict(self)
        if not self.absent:
            del values["absent"]
        return sealed_json(values)


def score_run(folder: Path) -> RunResult:
    """Score what a run directory holds, and write `scores/<task>.jsonl` and `results.json`. Needs no model.

    Raises:
        StoreError: the directory is damaged or cannot be written.
        UsageError: it is not a run.
    """
    run = read_run(folder)
    # Of several processes that score at the end, the last one sees all answers and writes last.
    with exclusive_lock(folder / "claims" / ".scoring", before_waiting=lambda: None):
        result, lines = _score_answers(folder, run)
        for task, text in lines.items():
            write_atomically(folder / "scores" / f"{task}.jsonl", text)
        write_atomically(folder / "results.json", result.to_json())
    return result


def compute_results(folder: Path) -> RunResult:
    """Score what a run directory holds, and write nothing, so that it need not be writable.

    Raises:
        StoreError: the directory is damaged.
        UsageError: it is not a run.
    """
    return _score_answers(folder, read_run(folder))[0]


@collection_paused()
def _score_answers(folder: Path, run: RunRecord) -> tuple[RunResult, dict[str, str]]:
    """The results, and by task the text of its `scores/<task>.jsonl`."""
    store = RunStore(folder)
    store.refresh()
    judgements = chosen_judgements(folder)
    judged = judgements.read() if judgements else {}
    judge = judgements.judge if judgements else None
    gradings = chosen_gradings(folder)
    rated = read_ratings(folder, store.answers)
    benchmarks = {group.group for group in run.groups if group.benchmark is not None}
    scored: dict[str, TaskScores] = {}
    tasks: dict[str, TaskResult] = {}
    lines: dict[str, str] = {}
    for task in run.tasks:
        if task.task in run.skipped:
            tasks[task.task] = _task_result(task, run, status="skipped", reason=run.skipped[task.task])
            continue
        answers = answers_of(task, store, judged, _graded(task, gradings, store), rated)
        scores = _score(task, answers)
        if scores is not None:
            if task.group in benchmarks:
                scores = replace(scores, rows={**scores.rows, **chance_rows(task, answers)})
            scored[task.task] = scores
            lines[task.task] = checked_lines(line.to_json() for line in scores.lines)
        counts = read_counts(folder, task.task)
        of_task = _task_result(
            task,
            run,
            comparable=is_comparable(task, judge, run),
            n_available=counts.available,
            not_asked=counts.not_asked,
            **_counted(task, answers, scores),
        )
        partial = run.config.names_part or _asks_part(of_task)
        tasks[task.task] = with_marks(of_task, task, partial, judge is not None and judge.learned_labels)
    groups = {group.group: _group_result(group, run, tasks, scored) for group in run.groups}
    result = RunResult(
        schema_version=RESULTS_SCHEMA,
        model=run.shown_model,
        identity=dict(run.identity),
        releases=run.releases,
        bootstrap={"resamples": RESAMPLES, "seed": SEED},
        judge=judge,
        partial=run.config.names_part or any(_asks_part(task) for task in tasks.values()),
        provisional=any(task.status == "incomplete" for task in tasks.values()),
        tasks=tasks,
        groups=groups,
        marks=sentences_of(_shown(tasks, groups)),
        damage=tuple(_damage(store, judgements, gradings.values(), tasks.values())),
        absent=dict(run.absent or {}),
    )
    return result, lines


def _damage(
    store: RunStore, judgements: Judgements | None, gradings: Iterable[Gradings], tasks: Collection[TaskResult]
) -> Iterator[str]:
    """Damage that costs something still: once all is answered and judged again, a damaged line is only litter."""
    if any(task.n_missing for task in tasks):
        yield from store.damage
    if judgements is not None and any(task.n_unjudged for task in tasks):
        yield from judgements.damage
    if any(task.n_ungraded for task in tasks):
        yield from dict.fromkeys(sentence for one in gradings for sentence in one.damage)


def _asks_part(task: TaskResult) -> bool:
    return task.n_available is not None and task.n_items < task.n_available


def _graded(task: TaskSpec, gradings: Mapping[str, Gradings], store: RunStore) -> Mapping[ItemKey, Grading]:
    """The grades of a task's answers; none where no grader was asked."""
    if task.task not in gradings:
        return {}
    samples = next((int(s.parameters.get("samples", 1)) for s in task.scorers if s.name == RUBRIC), 1)
    return gradings[task.task].of_answers(task.task, store.answers, samples)


def answers_of(
    task: TaskSpec,
    store: RunStore,
    judged: Mapping[ItemKey, Judgement],
    graded: Mapping[ItemKey, Grading] = MappingProxyType({}),
    rated: Mapping[ItemKey, float] = MappingProxyType({}),
) -> list[Answer]:
    """Every item of a task with what the run holds for it, in item order."""
    answers = []
    for item in read_items(store.folder, task.task):
        key = (task.task, item.item_id)
        response = store.answers.get(key) or store.errors.get(key)
        answers.append(Answer(item, response, judged.get(key), graded.get(key), rated.get(key)))
    return answers


def _score(task: TaskSpec, answers: Sequence[Answer]) -> TaskScores | None:
    """Run the task's scorers; None for a task that has none. Their metrics and details stand side by side."""
    results = [load_scorer(scorer.name, scorer.parameters).score(task, answers) for scorer in task.scorers]
    if not results:
        return None
    found = {name: value for result in results for name, value in result.metrics.items()}
    metrics = {name: found[name] for scorer in task.scorers for name in scorer.metrics if name in found}
    lines = tuple(map(_with_values, *(result.lines for result in results)))
    details = {name: value for result in results for name, value in result.details.items()}
    rows = {name: values for result in results for name, values in result.rows.items()}
    return TaskScores(metrics, lines, details, rows)


def _with_values(line: ScoreLine, *others: ScoreLine) -> ScoreLine:
    """The first scorer's line of an item, with the values that the others gave it too."""
    values = {name: value for other in others for name, value in other.values.items()}
    return replace(line, values={**line.values, **values}) if values else line


def _task_result(task: TaskSpec, run: RunRecord, status: str, reason: str | None = None, **found: Any) -> TaskResult:
    return TaskResult(
        task=task.task,
        version=task.version,
        digest=run.task_digests[task.task],
        condition=task.condition.name,
        status=status,
        reason=reason,
        headline=task.headline,
        **found,
    )


def _counted(task: TaskSpec, answers: Sequence[Answer], scores: TaskScores | None) -> dict[str, Any]:
    """Status, counts and scores of a task, as fields of its result."""
    failed = sum(answer.error is not None for answer in answers)
    errors = failed if scores is None else sum(line.verdict == "error" for line in scores.lines)
    missing = sum(answer.missing for answer in answers)
    lines = scores.lines if scores else ()
    unjudged = sum(line.verdict == "unjudged" for line in lines)
    ungraded = scores is not None and scores.details.get(RUBRIC, {}).get("n_ungraded", 0)
    answered = [(answer.item, response) for answer in answers if (response := answer.scorable)]
    spoken = sum(response.speech_path is not None for _, response in answered)
    flags = Counter(flag for _, response in answered for flag in response.flags)
    invalid = sum(line.label is None and line.scored for line in lines)
    return {
        "status": "incomplete" if errors or missing or unjudged or ungraded else "complete",
        "n_items": len(answers),
        "n_answered": len(answered),
        "n_invalid": 0 if isinstance(task.output, SpokenOutput) else invalid,
        "n_errors": errors,
        "n_missing": missing,
        "n_unjudged": unjudged,
        "n_clusters": len({item.cluster for item, _ in answered}),
        "n_spoken": spoken if isinstance(task.output, SpokenOutput) else None,
        "flags": dict(sorted(flags.items())),
        **({"metrics": scores.metrics, "details": _details(task, scores), "rows": scores.rows} if scores else {}),
    }


def _details(task: TaskSpec, scores: TaskScores) -> Mapping[str, Any]:
    """Details of a scorer, with the unit that intervals resample where that is no dialogue."""
    return scores.details if task.clusters == "dialogue" else {**scores.details, "clusters": task.clusters}


def is_comparable(task: TaskSpec, judge: Judge | None, run: RunRecord) -> bool:
    """Tell whether a task's scores mean anything beside others: some judges know the built-in voice alone."""
    if not (judge and judge.embedded and is_judged(task)):
        return True
    return run.release_of(task).source == DEMO or task.task in run.builtin


def _group_result(
    group: GroupSpec, run: RunRecord, tasks: Mapping[str, TaskResult], scored: Mapping[str, TaskScores]
) -> GroupResult:
    members = [task for task in run.tasks if task.group == group.group]
    columns: dict[str, MetricValue | None] = {}
    trivial: dict[str, dict[str, MetricValue | None]] = {}
    for column in group.columns:
        task = task_of_column(members, column)
        columns[column.name] = tasks[task.task].metrics.get(column.metric) if task else None
        for name, metrics in (tasks[task.task].rows if task else {}).items():
            trivial.setdefault(name, {})[column.name] = metrics.get(column.metric)
    row = group.reference_row if run.config.model == "reference" else None
    of_members = [tasks[task.task] for task in members]
    partial = run.config.names_part or any(map(_asks_part, of_members))
    gain, over_a, over_v = (
        marked_contrast(contrast, of_members, partial) for contrast in _fusion(members, scored) or (None, None, None)
    )
    return GroupResult(
        group=group.group,
        title=group.title,
        row=row or run.shown_model,
        columns=columns,
        trivial=trivial,
        fusion_gain=gain,
        av_minus_a=over_a,
        av_minus_v=over_v,
    )


def _shown(tasks: Mapping[str, TaskResult], groups: Mapping[str, GroupResult]) -> Iterator[MetricValue | None]:
    """Every value that a table may show; columns of groups are values of tasks."""
    for task in tasks.values():
        yield from task.metrics.values()
        yield from (metric for row in task.rows.values() for metric in row.values())
    for group in groups.values():
        yield from group.contrasts.values()


def task_of_column(tasks: Sequence[TaskSpec], column: ColumnSpec) -> TaskSpec | None:
    """The first of a group's tasks that reports a column's metric under its condition; None where there is none."""
    return next((t for t in tasks if t.condition.name == column.condition and _reports(t, column.metric)), None)


def _reports(task: TaskSpec, metric: str) -> bool:
    return any(metric in scorer.metrics for scorer in task.scorers)


def _fusion(members: Sequence[TaskSpec], scored: Mapping[str, TaskScores]) -> Sequence[MetricValue] | None:
    """From the group's tasks whose labels are graded; None unless there is one of all three conditions."""
    lines: dict[str, Sequence[ScoreLine]] = {}
    for task in members:
        if task.task in scored and any(map(grades_labels, task.scorers)):
            lines.setdefault(task.condition.name, scored[task.task].lines)
    single = [lines[name] for name in ("full_av", "audio_only", "video_only") if name in lines]
    return compare_streams(*single) if len(single) == 3 else None
