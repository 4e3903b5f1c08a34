"""Paired comparison: of runs on the same items, and of conditions within one run on the same turns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from avemo_harness.benchmark.group import GroupSpec
from avemo_harness.benchmark.task import LabelOutput, TaskSpec
from avemo_harness.errors import UsageError
from avemo_harness.metrics.paired import holm
from avemo_harness.report.comparison import Comparison, Contrast, Family, Flip, MetricDifference
from avemo_harness.report.paired_metrics import ItemPair, paired_differences
from avemo_harness.report.results import is_comparable
from avemo_harness.report.scored_run import ScoredRun, read_scored_run, run_labels
from avemo_harness.run.config import ReleaseRecord, RunRecord
from avemo_harness.scorers import grades_labels, is_judged, metrics_of, reported_metrics
from avemo_harness.scorers.base import ScoreLine
from avemo_harness.scorers.metric import Metric


def differences_that_matter(first: ScoredRun, second: ScoredRun, tasks: tuple[str, ...]) -> Iterator[str]:
    """Say, a sentence each, why answers to shared tasks, or their scores, are two different measurements."""
    yield from differences_of_questions(first.record, second.record, tasks)
    judges = different_judges(first, second)
    if judges and any(is_judged(first.task(name)) for name in tasks):
        yield judges
    yield from filter(None, (different_graders(first, second, name) for name in tasks))


def differences_of_questions(first: RunRecord, second: RunRecord, tasks: Collection[str]) -> Iterator[str]:
    """Say, a sentence each, why shared tasks asked something else of the two."""
    for name in tasks:
        one, other = (record.task_digests[name] for record in (first, second))
        if one != other:
            yield f"task {name} differs: {_version(first, name)} and {_version(second, name)}"
    yield from dict.fromkeys(_release_differences(first, second, (task for task in first.tasks if task.task in tasks)))


def _release_differences(first: RunRecord, second: RunRecord, tasks: Iterable[TaskSpec]) -> Iterator[str]:
    for task in tasks:
        one, other = first.release_of(task), second.release_of(task)
        if one.fingerprint != other.fingerprint and not _is_one_commit(one, other):
            where = f"{one.source} and {other.source}"
            yield f"release {one.name}, split {one.split} differs: {where} have different fingerprints"


def _is_one_commit(one: ReleaseRecord, other: ReleaseRecord) -> bool:
    """Tell whether both are one commit of the Hub, of which a run may have streamed but the first dialogues."""
    return one.commit is not None and (one.source, one.commit) == (other.source, other.commit)


def different_judges(first: ScoredRun, second: ScoredRun) -> str | None:
    """Say that two judges judged the replies, and how they get one; None where they have one."""
    judges = [run.result.judge for run in (first, second)]
    if len({judge and judge.digest for judge in judges}) == 1:
        return None
    one, other = (f"{judge.name} ({judge.digest[:12]})" if judge else "nobody" for judge in judges)
    return f"replies were judged by {one} and by {other}; avemo-eval judge RUN --recognizer NAME"


def different_graders(first: ScoredRun, second: ScoredRun, task: str) -> str | None:
    """Say that two graders, or one by two rubrics, graded the answers to a task; None where one did, by one rubric."""
    graders = [run.result.tasks[task].grader for run in (first, second)]
    if len({grader and grader["digest"] for grader in graders}) == 1:
        return None
    one, other = (grader["shown"] if grader else "nobody" for grader in graders)
    return f"answers to {task} were graded by {one} and by {other}; avemo-eval grade RUN --grader NAME"


def differences_to_know(first: RunRecord, second: RunRecord) -> Iterator[str]:
    """Settings of the run that differ and may be what is compared: a sentence each."""
    for name in ("generation", "seed"):
        one, other = getattr(first.config, name), getattr(second.config, name)
        if one != other:
            yield f"{name} differs: {one!r} and {other!r}"


def _version(record: RunRecord, name: str) -> str:
    version = next(task.version for task in record.tasks if task.task == name)
    return f"version {version} (digest {record.task_digests[name][:12]})"


COVERAGE_GAP = 0.05
"""Shares of spoken replies further apart than this get a warning: the other scores are then of different turns."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two things compared.

    Args:
        label: how a reader knows it.
        task: what it was asked.
    """

    label: str
    run: ScoredRun
    task: TaskSpec

    @property
    def lines(self) -> Mapping[str, ScoreLine]:
        return self.run.lines[self.task.task]


def contrast_runs(first: Side, second: Side, columns: Mapping[str, str]) -> Contrast:
    """Two runs on the same task, by every metric that it reports; what cannot be compared is named with the reason.

    Args:
        columns: what the table calls the metrics that fill its columns.
    """
    pairs = _shared(first, second)
    differences: list[MetricDifference] = []
    notes: list[str] = []
    for scorer in first.task.scorers:
        metrics = reported_metrics(scorer)
        found, refusal = _paired(metrics, pairs, first, second)
        differences += _differences(found, scorer.metrics, columns)
        if lacking := [metric for metric in metrics if metric.name not in found]:
            why = f"the scorer {scorer.name} gives them no values of single items"
            if any(metric.needs_ranking for metric in lacking):
                why = _not_ranked(first, second)
            notes.append(f"not compared: {', '.join(metric.name for metric in lacking)}: {refusal or why}")
        if any(metric.needs_judge for metric in metrics_of(scorer.name)):
            notes += _reply_notes(pairs, first, second)
    notes += _reported_by_one(first, second)
    return _contrast(first.task.task, (first, second), pairs, _columns_first(differences), notes)


def _paired(
    metrics: Iterable[Metric], pairs: Sequence[ItemPair], first: Side, second: Side
) -> tuple[Mapping[str, MetricDifference], str | None]:
    return paired_differences(metrics, pairs, (first.run, second.run), first.task, _labels(first.task, second.task))


def _not_ranked(first: Side, second: Side) -> str:
    outputs = [side.task.output for side in (first, second)]
    if all(isinstance(output, LabelOutput) and output.method == "rank" for output in outputs):
        return "no item has ranked labels on both sides; avemo-eval score RUN, if a run was scored by an older version"
    return "labels were generated, not ranked"


def _reply_notes(pairs: Sequence[ItemPair], first: Side, second: Side) -> Iterator[str]:
    yield from _coverage_notes(pairs, first, second)
    judge = first.run.result.judge
    if judge and not is_comparable(first.task, judge, first.run.record):
        yield f"{judge.title} knows the demo's voices only: these differences mean nothing"


def _reported_by_one(first: Side, second: Side) -> Iterator[str]:
    here, there = (dict.fromkeys(_reported(side.task)) for side in (first, second))
    if alone := [name for name in there if name not in here]:
        yield f"not compared: {', '.join(alone)}: reported for {second.label} alone"


def contrast_conditions(first: Side, second: Side) -> Contrast:
    """Two conditions of one run on the same turns, by the metrics of graded labels that both report."""
    pairs = _shared(first, second)
    graded = [metric for scorer in first.task.scorers if grades_labels(scorer) for metric in reported_metrics(scorer)]
    both = [metric for metric in graded if metric.name in _reported(second.task)]
    found, _ = _paired(both, pairs, first, second)
    title = f"{first.task.group or first.task.task}: {second.label} against {first.label}"
    differences = _differences(
        found, [metric.name for metric in both], {metric.name: metric.column for metric in both if metric.column}
    )
    return _contrast(title, (first, second), pairs, _columns_first(differences), [])


def table_columns(task: TaskSpec, groups: Iterable[GroupSpec]) -> dict[str, str]:
    """The metrics of a task that fill columns of its group's table, with their names; of a task in no table, all."""
    reported = _reported(task)
    group = next((spec for spec in groups if spec.group == task.group), None)
    names = {
        column.metric: column.name
        for column in (group.columns if group else ())
        if column.condition == task.condition.name and column.metric in reported
    }
    return names or {metric: metric for metric in reported}


def _reported(task: TaskSpec) -> list[str]:
    return [metric for scorer in task.scorers for metric in scorer.metrics]


def adjusted(contrasts: Sequence[Contrast]) -> tuple[tuple[Contrast, ...], dict[Family, int]]:
    """The contrasts with p-values adjusted for all tests of their family (Holm), and the numbers of these tests.

    What fills the benchmark's table was chosen beforehand and stands for itself; other metrics do not weaken it.
    """
    families: dict[Family, list[float]] = {"table": [], "other": []}
    for difference in (difference for contrast in contrasts for difference in contrast.differences):
        if difference.p_value is not None:
            families[difference.family].append(difference.p_value)
    results = {family: iter(holm(p_values)) for family, p_values in families.items()}
    done = [
        replace(
            contrast,
            differences=tuple(
                difference
                if difference.p_value is None
                else replace(difference, p_holm=next(results[difference.family]))
                for difference in contrast.differences
            ),
        )
        for contrast in contrasts
    ]
    return tuple(done), {family: len(p_values) for family, p_values in families.items()}


def _shared(first: Side, second: Side) -> list[ItemPair]:
    """Items scored on both sides, in the first side's order."""
    return [
        (line, other)
        for name, line in first.lines.items()
        if line.scored and (other := second.lines.get(name)) is not None and other.scored
    ]


def _labels(first: TaskSpec, second: TaskSpec) -> list[str]:
    outputs = (first.output, second.output)
    return list(dict.fromkeys(x for output in outputs if isinstance(output, LabelOutput) for x in output.labels))


def _coverage_notes(pairs: Sequence[ItemPair], first: Side, second: Side) -> list[str]:
    shares = [sum(pair[side].verdict == "spoken" for pair in pairs) / max(1, len(pairs)) for side in (0, 1)]
    if abs(shares[1] - shares[0]) <= COVERAGE_GAP:
        return []
    return [
        f"{first.label} spoke in {100 * shares[0]:.0f} % of the turns, {second.label} in {100 * shares[1]:.0f} %: the "
        "other differences are of the turns that both answered in speech, which may be the easier ones"
    ]


def _differences(
    found: Mapping[str, MetricDifference], metrics: Iterable[str], columns: Mapping[str, str]
) -> list[MetricDifference]:
    """The differences in the metrics' order; those that fill columns by the names of these."""
    return [
        replace(found[metric], column=columns[metric], family="table") if metric in columns else found[metric]
        for metric in metrics
        if metric in found
    ]


def _columns_first(differences: Iterable[MetricDifference]) -> tuple[MetricDifference, ...]:
    return tuple(sorted(differences, key=lambda difference: difference.family != "table"))


def _contrast(
    title: str,
    sides: tuple[Side, Side],
    pairs: Sequence[ItemPair],
    differences: tuple[MetricDifference, ...],
    notes: Sequence[str],
) -> Contrast:
    scored = [{name for name, line in side.lines.items() if line.scored} for side in sides]
    return Contrast(
        title=title,
        first=sides[0].label,
        second=sides[1].label,
        n_shared=len(pairs),
        n_clusters=len({pair[0].cluster for pair in pairs}),
        only_first=tuple(sorted(scored[0] - scored[1])),
        only_second=tuple(sorted(scored[1] - scored[0])),
        differences=differences,
        flips=tuple(_flips(pairs)),
        notes=tuple(notes),
        clusters=sides[0].task.clusters,
        restriction=next(filter(None, (side.run.record.restriction_of(side.task) for side in sides)), None),
    )


def _flips(pairs: Iterable[ItemPair]) -> Iterator[Flip]:
    for line, other in pairs:
        if line.verdict != other.verdict:
            yield {
                "item": line.item,
                "gold": line.gold or (f"heard {line.audio_label}, seen {line.video_label}" if line.audio_label else ""),
                "first_label": line.label,
                "second_label": other.label,
                "first_verdict": line.verdict,
                "second_verdict": other.verdict,
            }


CONDITIONS = {"video_only": "V", "audio_only": "A", "full_av": "AV"}
"""In the order that makes a difference what the second of two adds: hearing over seeing, both over either."""


def compare_runs(folders: Sequence[Path], force: bool) -> Comparison:
    """Compare runs with the first of them, task by task, on the items that both have scored.

    Where two judges or graders scored the answers, these are left out, and a note says so.

    Args:
        force: compare although tasks, releases, judges or graders differ; what differs is then a note.

    Raises:
        UsageError: a folder is no scored run, comes twice, or the runs differ in what they were asked, have no task in
            common, or none but such that two judges or graders scored.
        StoreError: a file of a run is damaged.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UsageError("the same run is given twice; give the folders of different runs")
    runs = [_read_run(folder) for folder in folders]
    labels = run_labels([(run.record.shown_model, run.folder) for run in runs])
    contrasts: list[Contrast] = []
    notes: list[str] = []
    for label, run in zip(labels[1:], runs[1:], strict=True):
        tasks = tuple(name for name in runs[0].lines if name in run.lines)
        if not tasks:
            raise UsageError(f"{runs[0].folder} and {run.folder} have no scored task in common")
        apart = {} if force else _scored_apart(runs[0], run, tasks)
        for sentence in dict.fromkeys(apart.values()):
            names = [name for name in apart if apart[name] == sentence]
            notes.append(f"{labels[0]}, {label}: left out, {', '.join(names)}: {sentence}")
        tasks = tuple(name for name in tasks if name not in apart)
        matter = list(differences_that_matter(runs[0], run, tasks))
        if matter and not force:
            raise UsageError(
                f"{labels[0]} and {label} are not two measurements of the same thing (--force compares all the same):\n"
                + "\n".join(f"  {sentence}" for sentence in matter)
            )
        notes += [
            f"{labels[0]}, {label}: {sentence}"
            for sentence in (*matter, *differences_to_know(runs[0].record, run.record))
        ]
        notes += _left_out(labels[0], runs[0], label, run)
        for name in tasks:
            task = runs[0].task(name)
            columns = table_columns(task, runs[0].record.groups)
            sides = Side(labels[0], runs[0], task), Side(label, run, run.task(name))
            contrasts.append(contrast_runs(*sides, columns))
    return _comparison(labels, runs, contrasts, notes)


def compare_conditions(folder: Path) -> Comparison:
    """Compare what one run understood of voice and face together, of voice alone and of face alone, turn by turn.

    Raises:
        UsageError: the folder is no scored run, or asked the labels of fewer than two of the conditions.
        StoreError: a file of the run is damaged.
    """
    run = _read_run(folder)
    groups = dict.fromkeys(task.group for task in run.record.tasks if task.group)
    contrasts = []
    for group in groups:
        tasks = _by_condition(run, group)
        sides = [Side(short, run, tasks[name]) for name, short in CONDITIONS.items() if name in tasks]
        contrasts += [contrast_conditions(first, second) for first, second in combinations(sides, 2)]
    if not contrasts:
        raise UsageError(
            f"{folder}: no group of its tasks asks for labels under two of {', '.join(CONDITIONS)}; give a second run "
            "to compare it with"
        )
    return _comparison([run.record.shown_model], [run], contrasts, [])


def _read_run(folder: Path) -> ScoredRun:
    run = read_scored_run(folder)
    run.refuse_other_judge()
    return run


def _by_condition(run: ScoredRun, group: str) -> dict[str, TaskSpec]:
    """The first task of each condition that asks for labels."""
    tasks: dict[str, TaskSpec] = {}
    for task in run.record.tasks:
        if task.group == group and any(map(grades_labels, task.scorers)) and task.task in run.lines:
            tasks.setdefault(task.condition.name, task)
    return tasks


def _scored_apart(first: ScoredRun, second: ScoredRun, tasks: Sequence[str]) -> dict[str, str]:
    """The tasks that two judges or two graders scored, with a sentence on these, where there are others to compare."""
    judges = different_judges(first, second)
    judged = {name: judges for name in tasks if judges and is_judged(first.task(name))}
    graded = {name: graders for name in tasks if (graders := different_graders(first, second, name))}
    apart = {**graded, **judged}
    return apart if len(apart) < len(tasks) else {}


def _left_out(first: str, one: ScoredRun, second: str, other: ScoredRun) -> list[str]:
    return [
        f"{first}, {second}: left out, scored for {label} alone: {', '.join(names)}"
        for label, here, there in ((first, one, other), (second, other, one))
        if (names := [name for name in here.lines if name not in there.lines])
    ]


def _comparison(
    labels: Sequence[str], runs: Sequence[ScoredRun], contrasts: Sequence[Contrast], notes: Sequence[str]
) -> Comparison:
    done, tests = adjusted(contrasts)
    sides = {label: str(run.folder) for label, run in zip(labels, runs, strict=True)}
    return Comparison(sides, done, tuple(notes), tests["table"], tests["other"])
