"""Agreement of judges: runs judged by several, and how alike these rank turns and systems.

Each turn has ECS, EBS and ESS by each judge; two judges are held against each other on the turns that both
give a value. A system's score is that of its own table, of turns or across turns. Intervals resample dialogues.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.errors import UsageError
from avemo_harness.metrics.bootstrap import ClusterBootstrap, Estimate
from avemo_harness.metrics.rank_correlation import correlations_of_rows, kendall_estimate, spearman_estimate
from avemo_harness.report.compare import differences_of_questions
from avemo_harness.report.results import answers_of
from avemo_harness.report.scored_run import run_labels
from avemo_harness.report.values import UNDEFINED, figure
from avemo_harness.run.config import RunRecord, read_run
from avemo_harness.run.judging import Judgements
from avemo_harness.run.prepare import judge_replies
from avemo_harness.run.releases import RunReleases
from avemo_harness.run.store import RunStore
from avemo_harness.scorers import is_judged
from avemo_harness.scorers.reasoning import exchange_problem, profile_of, read_reply
from avemo_harness.scorers.reasoning_columns import Column, Floats, Scores, column_sums, mean_metrics, mean_statistic
from avemo_harness.text import aligned

TURN_METRICS = ("ecs", "ebs", "ess")
SYSTEM_METRICS = (*TURN_METRICS, "ers")
"""Of which each task reports the one of turns, or the one across turns."""

JudgePair = tuple[str, str]
"""Names of two judges."""


@dataclass(frozen=True, slots=True)
class RankAgreement:
    """Rank correlation of two judges by one metric; 1 for one order, -1 for the reverse, 0 for none in common.

    Args:
        system: whose turns are ranked; None where the systems are.
        n: turns, or systems, that both judges give a value.
    """

    task: str
    system: str | None
    metric: str
    judges: JudgePair
    n: int
    spearman: Estimate
    kendall: Estimate


@dataclass(frozen=True, slots=True)
class SystemScore:
    """A system's mean by one metric and judge, over the `n` turns, or dialogues, that have a value."""

    task: str
    system: str
    judge: str
    metric: str
    score: Estimate
    n: int


@dataclass(frozen=True, slots=True)
class JudgeComparison:
    """Scores of the same runs by several judges, and the judges' agreement.

    Args:
        judges: by name, the digest of everything that decides its judgements.
        notes: what keeps turns out, a sentence each.
    """

    judges: Mapping[str, str]
    scores: tuple[SystemScore, ...]
    turns: tuple[RankAgreement, ...]
    systems: tuple[RankAgreement, ...]
    notes: tuple[str, ...]

    def to_json(self) -> str:
        """As the text of a JSON file."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


@dataclass(frozen=True, slots=True, eq=False)
class _JudgedSystem:
    """A run's answers to one task.

    Args:
        dialogues: of each turn that any judge scored.
        turns: by judge and metric, the scores of these turns; NaN where there is none.
        columns: by judge and metric, what the system's own score is the mean of; nothing of a judge that cannot score.
    """

    name: str
    dialogues: Sequence[str]
    turns: Mapping[str, Mapping[str, Floats]]
    columns: Mapping[str, Mapping[str, Column]]


def compare_judges(
    folders: Sequence[Path],
    judges: Sequence[str],
    releases_of: Callable[[RunRecord], RunReleases],
    device: str | None = None,
) -> JudgeComparison:
    """Judge runs by several judges, where these have not judged them yet, and hold the judges against each other.

    By which judge a run is scored stays as it is, and so do its results.

    Args:
        judges: see `avemo_harness.recognizers.judging.open_judge`.
        releases_of: finds the releases that a run asked about.
        device: where neural judges should run.

    Raises:
        UsageError: fewer than two judges, two names of one, a run without spoken replies, or runs of other questions.
        StoreError: a run directory is damaged or cannot be written.
    """
    if len(judges) < 2:
        raise UsageError("name the judges to compare, at least two: --recognizer A --recognizer B")
    records = [read_run(folder) for folder in folders]
    tasks = _shared_tasks(folders, records)
    judged = [
        _judge(folder, releases_of(record), judges, device) for folder, record in zip(folders, records, strict=True)
    ]
    names = run_labels([(record.config.model, folder) for record, folder in zip(records, folders, strict=True)])
    scores: list[SystemScore] = []
    turns: list[RankAgreement] = []
    systems: list[RankAgreement] = []
    notes: list[str] = []
    for task in tasks:
        found = [
            _read_system(name, folder, task, by_judge, notes)
            for name, folder, by_judge in zip(names, folders, judged, strict=True)
        ]
        for system in found:
            scores += _system_scores(task.task, system)
            turns += _turn_agreements(task.task, system)
        systems += _system_agreements(task, found)
    digests = {name: judgements.judge.digest for name, judgements in judged[0].items()}
    return JudgeComparison(digests, tuple(scores), tuple(turns), tuple(systems), tuple(notes))


def _shared_tasks(folders: Sequence[Path], records: Sequence[RunRecord]) -> list[TaskSpec]:
    """The tasks of spoken replies that all runs asked."""
    asked = [
        {task.task: task for task in record.tasks if is_judged(task) and task.task not in record.skipped}
        for record in records
    ]
    for folder, of_run in zip(folders, asked, strict=True):
        if not of_run:
            raise UsageError(f"{folder}: it asked no task of spoken replies, so there is nothing to judge")
    shared = [task for name, task in asked[0].items() if all(name in of_run for of_run in asked)]
    if not shared:
        raise UsageError("the runs share no task of spoken replies; name runs of the same tasks")
    for folder, record in zip(folders[1:], records[1:], strict=True):
        names = [task.task for task in shared]
        if problem := next(differences_of_questions(records[0], record, names), None):
            raise UsageError(f"{folders[0]} and {folder} were not asked the same: {problem}")
    return shared


def _judge(folder: Path, releases: RunReleases, judges: Sequence[str], device: str | None) -> dict[str, Judgements]:
    found: dict[str, Judgements] = {}
    for name in judges:
        judgements = judge_replies(folder, name, releases, device=device, choose=False)
        if judgements is None:
            raise UsageError(f"{folder}: it holds no spoken replies yet; ask the model first")
        for other, before in found.items():
            if before.judge.digest == judgements.judge.digest:
                raise UsageError(f"{other!r} and {name!r} are one judge; name two that differ")
        found[name] = judgements
    return found


def _read_system(
    name: str, folder: Path, task: TaskSpec, judged: Mapping[str, Judgements], notes: list[str]
) -> _JudgedSystem:
    """The scores of a run's spoken replies; what keeps any from being scored is noted."""
    store = RunStore(folder)
    store.refresh()
    items: dict[str, str] = {}
    turns: dict[str, dict[str, dict[str, float]]] = {}
    columns: dict[str, dict[str, Column]] = {}
    for judge, judgements in judged.items():
        answers = answers_of(task, store, judgements.read())
        replies = [(answer, *read_reply(answer)) for answer in answers]
        failed = sum(line.verdict == "error" for answer, line, _ in replies if answer.scorable is not None)
        if failed:
            notes.append(f"{name}, {task.task}: {failed} turns could not be judged by {judge} and are left out")
        kept = [(answer.item, exchange) for answer, _, exchange in replies if exchange is not None]
        items |= {item.item_id: item.cluster for item, _ in kept}
        exchanges = [exchange for _, exchange in kept]
        profile, refusal = profile_of(task, judgements.judge)
        if refusal := refusal or exchange_problem(exchanges, profile):
            notes.append(f"{name}, {task.task}: not scored by {judge}: {refusal}")
            turns[judge], columns[judge] = {}, {}
            continue
        scores = Scores.of(exchanges, profile)
        ids = [item.item_id for item, _ in kept]
        turns[judge] = {
            metric: dict(zip(ids, scores.column(metric).values.tolist(), strict=True)) for metric in TURN_METRICS
        }
        columns[judge] = {metric: scores.column(metric) for metric in _reported(task)}
    aligned_turns = {
        judge: {
            metric: np.array([of_judge.get(metric, {}).get(item, np.nan) for item in items], dtype=np.float64)
            for metric in TURN_METRICS
        }
        for judge, of_judge in turns.items()
    }
    return _JudgedSystem(name, tuple(items.values()), aligned_turns, columns)


def _reported(task: TaskSpec) -> list[str]:
    """`SYSTEM_METRICS` as the task has them in its table."""
    reported = {metric for scorer in task.scorers for metric in scorer.metrics}
    return [f"ct_{metric}" if f"ct_{metric}" in reported else metric for metric in SYSTEM_METRICS]


def _system_scores(task: str, system: _JudgedSystem) -> Iterator[SystemScore]:
    for judge, columns in system.columns.items():
        for metric, value in mean_metrics(columns, 0).items():
            score = Estimate(value.value, value.ci_low, value.ci_high)
            yield SystemScore(task, system.name, judge, metric, score, value.n)


def _turn_agreements(task: str, system: _JudgedSystem) -> Iterator[RankAgreement]:
    for judges in combinations(system.turns, 2):
        for metric in TURN_METRICS:
            x, y = (system.turns[judge][metric] for judge in judges)
            both = ~np.isnan(x) & ~np.isnan(y)
            dialogues = [dialogue for dialogue, known in zip(system.dialogues, both, strict=True) if known]
            clusters = np.unique(np.array(dialogues, dtype=np.str_), return_inverse=True)[1].astype(np.int64)
            rho, tau = (estimate(x[both], y[both], clusters) for estimate in (spearman_estimate, kendall_estimate))
            yield RankAgreement(task, system.name, metric, judges, int(both.sum()), rho, tau)


def _system_agreements(task: TaskSpec, systems: Sequence[_JudgedSystem]) -> Iterator[RankAgreement]:
    """Of two systems or more that both judges give a score: of fewer there is no order."""
    names = sorted({dialogue for system in systems for dialogue in system.dialogues})
    index = {name: i for i, name in enumerate(names)}
    for judges in combinations(systems[0].turns, 2):
        for metric in _reported(task):
            pairs = [[system.columns[judge].get(metric) for judge in judges] for system in systems]
            scored = [
                [column for column in columns if column is not None and column.defined.any()] for columns in pairs
            ]
            scored = [columns for columns in scored if len(columns) == 2]
            if len(scored) < 2:
                continue
            sums = [column_sums(columns[side], index) for side in (0, 1) for columns in scored]
            bootstrap = ClusterBootstrap(np.concatenate(sums, axis=1))
            rho, tau = (
                bootstrap.estimate(partial(_correlation_of_means, count=len(scored), kind=kind), low=-1.0)
                for kind in (0, 1)
            )
            yield RankAgreement(task.task, None, metric, judges, len(scored), rho, tau)


def _correlation_of_means(sums: Floats, count: int, kind: int) -> Floats:
    """Spearman's (0) or Kendall's (1) correlation of the means of `count` systems by one judge and by another."""
    means = np.stack([mean_statistic(position)(sums) for position in range(2 * count)], axis=-1)
    return correlations_of_rows(means[..., :count], means[..., count:])[kind]


def format_judge_comparison(comparison: JudgeComparison) -> str:
    """Scores of every system by every judge, and rank correlations, for a terminal."""
    blocks: list[list[str]] = []
    for task in dict.fromkeys(score.task for score in comparison.scores):
        judges = list(comparison.judges)
        rows = [[f"{task}: system", "metric", *judges, "n"]]
        of_task = [score for score in comparison.scores if score.task == task]
        for metric in dict.fromkeys(score.metric for score in of_task):
            for system in dict.fromkeys(score.system for score in of_task):
                found = {score.judge: score for score in of_task if (score.metric, score.system) == (metric, system)}
                cells = [_text(found[judge].score) if judge in found else UNDEFINED for judge in judges]
                counts = dict.fromkeys(str(score.n) for score in found.values())
                rows.append([system, _shown(metric), *cells, "/".join(counts)])
        blocks.append(aligned(rows))
        agreements = [agreement for agreement in (*comparison.turns, *comparison.systems) if agreement.task == task]
        head = [f"{task}: judges, what is ranked", "metric", "Spearman", "Kendall", "n"]
        blocks.append(aligned([head, *map(_agreement_row, agreements)]))
    blocks.append(
        [
            "Scores by each judge, and rank correlations of two judges on what both give a value (1: the same order),",
            "with 95 % intervals over dialogues. By which judge a run is scored has not changed.",
            *comparison.notes,
        ]
    )
    return "\n\n".join("\n".join(block) for block in blocks)


def _agreement_row(agreement: RankAgreement) -> list[str]:
    what = f"turns of {agreement.system}" if agreement.system is not None else "systems"
    return [
        f"{agreement.judges[0]} and {agreement.judges[1]}, {what}",
        _shown(agreement.metric),
        _text(agreement.spearman),
        _text(agreement.kendall),
        str(agreement.n),
    ]


def _shown(metric: str) -> str:
    return metric.upper().replace("_", "-")


def _text(estimate: Estimate) -> str:
    if estimate.value is None or estimate.ci_low is None or estimate.ci_high is None:
        return figure(estimate.value)
    return f"{figure(estimate.value)} ({figure(estimate.ci_low, 2)} to {figure(estimate.ci_high, 2)})"
