"""Input and output of a scorer: answers with judgements, score lines, metric values, cluster counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from operator import attrgetter
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.request import Item, StoredResponse
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.metrics.bootstrap import Estimate
from avemo_harness.metrics.profiles import Calibration
from avemo_harness.metrics.trajectory import Dimension, Trajectory
from avemo_harness.registry import Plugin
from avemo_harness.scorers.metric import Metric
from avemo_harness.text import publishable

UserView = Literal["audio_video", "audio", "video"]
"""Streams that a user's turn was judged by."""


@dataclass(frozen=True, slots=True)
class Judge:
    """The recogniser that judged a run.

    Args:
        name: how the user calls it.
        digest: of everything that decides its judgements.
        calibration: its own thresholds, where it has any; see `no_calibration`.
        rmse: its error for sound and face together, by dimension, on the unit scale; empty where unknown.
        card: what it was trained on and how far it can be trusted; JSON-ready.
        embedded: it knows the built-in voice and face alone, as the embedded one does: its scores mean something there.
    """

    name: str
    digest: str
    calibration: Calibration | None = None
    rmse: Mapping[Dimension, float] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)
    embedded: bool = False

    @property
    def title(self) -> str:
        """Subject of a sentence about it, which may stand on a page for others and so names no folder of this machine.

        >>> Judge("embedded", "").title, Judge("/home/ann/judges/mine", "").title
        ('the embedded judge', 'the judge …/mine')
        """
        return "the embedded judge" if self.name == "embedded" else f"the judge {publishable(self.name)}"

    @property
    def learned_labels(self) -> bool:
        """True where it was trained on labels in place of ratings, which stand still through a recording."""
        return self.card.get("placement") is not None

    @property
    def no_calibration(self) -> str | None:
        """Why replies cannot be scored under the profile `calibrated`; None where they can."""
        if self.calibration is None:
            reason = self.card.get("no_calibration")
            return "the recogniser has no calibration" + (f": {reason}" if reason else "")
        problem = self.calibration.problem()
        return f"the recogniser's calibration cannot be used: {problem}" if problem else None


@dataclass(frozen=True, slots=True)
class Judgement:
    """One item's judgement.

    Args:
        user: the user's turn, by all streams that its recording has.
        user_audio: the user's turn by its sound alone; None where it has none.
        reply: the spoken answer; None where there is nothing to judge.
        why: what keeps a reply from being judged: ``empty`` or ``silent``; None where nothing does.
        turn_number: of the asked turn among its dialogue's user turns, from 0 on.
        has_reference: the release holds an answer to the same turn.
        user_view: what `user` was judged by; None where there is no such trajectory, or it was not noted yet.
        n_clipped: values of the three trajectories that lay a little off the scale and were clipped.
        error: why the item could not be judged; such an item is counted and never scored.
    """

    judge: Judge
    user: Trajectory | None = None
    user_audio: Trajectory | None = None
    reply: Trajectory | None = None
    why: str | None = None
    turn_number: int = 0
    has_reference: bool = False
    error: str | None = None
    user_view: UserView | None = None
    n_clipped: int = 0


@dataclass(frozen=True, slots=True)
class Grader:
    """The model that grades the answers to a task, by one rubric.

    Args:
        name: the registered model.
        identity: everything about it that may change a grade.
        rubric: digest of the rubric with its scale, samples and settings.
        digest: of identity and rubric; grades of different digests are different measurements.
        arguments: of the model, but for those that decide about this machine's secrets and code.
    """

    name: str
    identity: Mapping[str, Any]
    rubric: str
    digest: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The grader for readers: the model's own name where it is behind another, and both digests."""
        model = str(self.identity.get("model") or self.name)
        name = self.name if model == self.name else f"{self.name} {model}"
        return f"{name} ({self.digest[:12]}), rubric {self.rubric[:12]}"

    def told(self) -> dict[str, Any]:
        """The grader as results name it, without the arguments, which may hold addresses; JSON-ready."""
        named = {"name": self.name, "identity": dict(self.identity), "shown": self.shown}
        return {**named, "digest": self.digest, "rubric": self.rubric}


@dataclass(frozen=True, slots=True)
class Grading:
    """The grade of one answer.

    Args:
        grade: the mean of its samples, on the rubric's scale; None where there is none.
        reason: the grader's, of the first sample.
        error: why there is no grade.
    """

    grader: Grader
    grade: float | None
    reason: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An item with what the run holds for it.

    Args:
        response: None where nothing was stored yet. One with an error is counted and never scored.
        judged: the judgement of the user's turn and of the spoken reply; None before the run was judged.
        graded: the grade that a model gave the answer; None before it was asked.
        rated: people's mean rating of the answer, on the scale of the task's rubric; None where nobody rated it.
    """

    item: Item
    response: StoredResponse | None = None
    judged: Judgement | None = None
    graded: Grading | None = None
    rated: float | None = None

    @property
    def missing(self) -> bool:
        return self.response is None

    @property
    def error(self) -> str | None:
        return self.response.error if self.response else None

    @property
    def scorable(self) -> StoredResponse | None:
        """The response, unless it is missing or an error."""
        return None if self.response is None or self.response.error is not None else self.response


@dataclass(frozen=True, slots=True)
class MetricValue:
    """A value with its 95 % interval and what it was computed from. Null value: undefined.

    Args:
        n: items, or dialogues, that the value is a mean of.
        n_undefined: those scored for which the metric has no value.
        n_clusters: independent clusters (dialogues) in which the metric has a value; what the interval rests on.
        note: a qualification of the interval, such as ``too few dialogues`` or ``approximate``.
        marks: keys of `avemo_harness.report.results.RunResult.marks`, the caveats that belong into the cell itself.
    """

    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    n_invalid: int
    n_errors: int
    n_undefined: int = 0
    n_clusters: int = 0
    note: str | None = None
    marks: tuple[str, ...] = ()


def metric_value(estimate: Estimate, n: int, n_invalid: int, n_errors: int, n_undefined: int = 0) -> MetricValue:
    """Put an estimate and the counts of its items together."""
    return MetricValue(
        value=estimate.value,
        ci_low=estimate.ci_low,
        ci_high=estimate.ci_high,
        n=n,
        n_invalid=n_invalid,
        n_errors=n_errors,
        n_undefined=n_undefined,
        n_clusters=estimate.n_clusters,
        note=estimate.note,
    )


UNSCORED = frozenset({"error", "missing", "unjudged", "ungraded", "no truth"})
"""Verdicts of items that have no score."""


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """The score of one item: what came in, what came out, why. A line of `scores/<task>.jsonl`, field by field.

    Args:
        item: its id.
        label: the label read from the answer; None where it is invalid or there is none.
        verdict: ``right``, ``wrong``, ``audio``, ``video``, ``other``, ``error`` or ``missing``; of replies ``spoken``,
            ``unspoken``, ``unjudged``, ``error`` or ``missing``; of numbers ``number`` or ``no number``; of texts
            ``compared`` by similarity, and ``no truth`` where the data set has none; by a rubric ``graded`` or
            ``ungraded``.
        why: the parsing rule that decided, the grader's reason, or the error.
        flags: those of the answer.
        values: the metrics of this item alone, where it has any; None where undefined.
    """

    item: str
    cluster: str
    gold: str | None
    audio_label: str | None
    video_label: str | None
    answer: str | None
    label: str | None
    verdict: str
    why: str
    flags: tuple[str, ...] = ()
    values: Mapping[str, float | None] = field(default_factory=dict)

    @classmethod
    def of(
        cls, answer: Answer, label: str | None, verdict: str, why: str, values: Mapping[str, float | None] | None = None
    ) -> ScoreLine:
        """Score an answer; one that failed or is missing has no text."""
        item, response = answer.item, answer.response
        truth = (item.gold, item.audio_label, item.video_label)
        text = answer.scorable.text if answer.scorable else None
        flags = response.flags if response else ()
        return cls(item.item_id, item.cluster, *truth, text, label, verdict, why, flags, values or {})

    @classmethod
    def unscored(cls, answer: Answer) -> ScoreLine:
        """The line of an item that has no answer to score."""
        if answer.missing:
            return cls.of(answer, None, "missing", "not answered yet")
        return cls.of(answer, None, "error", answer.error or "")

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> ScoreLine:
        """Read a stored line (KeyError: a field is missing)."""
        needed = {name: line[name] for name in _NEEDED}
        return cls(**needed, flags=tuple(line.get("flags", ())), values=line.get("values", {}))

    def to_json(self) -> dict[str, Any]:
        """The stored line; without values where the item has none of its own."""
        stored = dict(zip(_ALWAYS_STORED, _stored_values(self), strict=True))
        return {**stored, "values": dict(self.values)} if self.values else stored

    @property
    def scored(self) -> bool:
        return self.verdict not in UNSCORED


_ALWAYS_STORED = tuple(part.name for part in fields(ScoreLine) if part.name != "values")
_stored_values = attrgetter(*_ALWAYS_STORED)
_NEEDED = tuple(name for name in _ALWAYS_STORED if name != "flags")


@dataclass(frozen=True, slots=True)
class TaskScores:
    """A scorer's result for one task.

    Args:
        details: JSON-ready.
        rows: what answers that take no understanding would score on the same items, by name.
    """

    metrics: Mapping[str, MetricValue]
    lines: tuple[ScoreLine, ...]
    details: Mapping[str, Any]
    rows: Mapping[str, Mapping[str, MetricValue]] = field(default_factory=dict)


class Scorer(Protocol):
    """Turns the answers of one task into scores. Pure: the same answers give the same scores.

    Attributes:
        metrics: each as a `Metric`, or as a name where nothing else is known of it. A scorer of spoken replies that
            gives names also has ``needs_judge = True``.
    """

    metrics: Collection[str | Metric]

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores: ...


@dataclass(frozen=True, slots=True)
class Tally:
    """Numbers of items: scored, invalid, and failed."""

    n: int
    n_invalid: int
    n_errors: int

    @classmethod
    def of(cls, lines: Sequence[ScoreLine]) -> Tally:
        scored = [line for line in lines if line.scored]
        return cls(
            n=len(scored),
            n_invalid=sum(line.label is None for line in scored),
            n_errors=sum(line.verdict == "error" for line in lines),
        )

    def metric(self, estimate: Estimate) -> MetricValue:
        """Put an estimate and these counts together."""
        return metric_value(estimate, self.n, self.n_invalid, self.n_errors)


Floats = NDArray[np.float64]


def by_cluster(lines: Sequence[ScoreLine], count: Callable[[Sequence[ScoreLine]], Floats]) -> Floats:
    """Count the scored lines of each cluster.

    Args:
        count: gives K counts, in an array of any shape, for the lines of one cluster.

    Returns:
        Shape (D, K), clusters in order of their names; items without a score are left out, as are clusters of nothing
        else.
    """
    groups: dict[str, list[ScoreLine]] = {}
    for line in lines:
        if line.scored:
            groups.setdefault(line.cluster, []).append(line)
    if not groups:
        return np.zeros((0, count([]).size))
    return np.stack([count(groups[name]).ravel() for name in sorted(groups)])


class PluginScorer:
    """Scores as the package's scorer does, and refuses what a run's results cannot hold."""

    def __init__(self, scorer: Scorer, plugin: Plugin) -> None:
        self._scorer, self._plugin = scorer, plugin
        self.metrics = scorer.metrics

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        """Score the answers of a task.

        Raises:
            UsageError: the package's scorer fails, or gives something else than scores.
        """
        with self._plugin.running("its score()"):
            scores = self._scorer.score(task, answers)
            problem = _problem(scores, answers)
        if problem:
            raise self._plugin.problem(f"its score() {problem}")
        return scores


def _problem(scores: Any, answers: Sequence[Answer]) -> str | None:
    """Why results cannot hold some scores; None where they can.

    Raises:
        TypeError, ValueError: the scores hold what is no JSON.
    """
    if not isinstance(scores, TaskScores):
        return f"gives {type(scores).__name__}, expected TaskScores"
    lines = scores.lines
    if not all(isinstance(line, ScoreLine) for line in lines) or len(lines) != len(answers):
        return f"gives {len(lines)} lines, expected a ScoreLine for each of {len(answers)} answers"
    if [line.item for line in lines] != [answer.item.item_id for answer in answers]:
        return "gives lines of other items, or in another order, than the answers"
    by_row = [scores.metrics, *scores.rows.values()]
    if not all(isinstance(metric, MetricValue) for metrics in by_row for metric in metrics.values()):
        return "gives a metric that is no Metric"
    shown = [[{name: asdict(metric) for name, metric in metrics.items()} for metrics in by_row], dict(scores.details)]
    json.dumps([shown, [dict(line.values) for line in lines]], allow_nan=False)
    return None
