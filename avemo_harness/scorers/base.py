"""What a scorer takes and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from avemo_harness.benchmark.request import Item
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.metrics.bootstrap import Estimate
from avemo_harness.scorers.judged import Judged


@dataclass(frozen=True, slots=True)
class Answer:
    """One item with what the run holds for it.

    Args:
        label_logprobs, label_tokens, label_priors: by label, as in `avemo_harness.benchmark.request.Response`.
        speech: path of the spoken answer inside the run directory.
        flags: what is odd about the answer; it is scored as it is.
        error: why there is no answer; such an item is counted and never scored.
        missing: nothing was stored yet.
        judged: what a recogniser says of the user's turn and of the spoken answer; None before it was asked.
    """

    item: Item
    text: str | None = None
    label_logprobs: Mapping[str, float] | None = None
    label_tokens: Mapping[str, int] | None = None
    label_priors: Mapping[str, float] | None = None
    speech: str | None = None
    flags: tuple[str, ...] = ()
    error: str | None = None
    missing: bool = False
    judged: Judged | None = None

    @property
    def scorable(self) -> bool:
        return self.error is None and not self.missing


@dataclass(frozen=True, slots=True)
class Metric:
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


def metric_of(estimate: Estimate, n: int, n_invalid: int, n_errors: int, n_undefined: int = 0) -> Metric:
    """Put an estimate and the counts of its items together."""
    return Metric(
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


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """How one item was scored: what came in, what came out, why.

    Args:
        label: the label read from the answer; None where it is invalid or there is none.
        verdict: ``right``, ``wrong``, ``audio``, ``video``, ``other``, ``error`` or ``missing``; of replies ``spoken``,
            ``unspoken``, ``unjudged``, ``error`` or ``missing``.
        why: the parsing rule that decided, or the error.
        values: the metrics of this item alone, where it has any; None where undefined.
    """

    item: Item
    answer: str | None
    label: str | None
    verdict: str
    why: str
    values: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskScores:
    """A scorer's result for one task.

    Args:
        details: JSON-ready.
        rows: what answers that take no understanding would score on the same items, by name.
    """

    metrics: Mapping[str, Metric]
    lines: tuple[ScoreLine, ...]
    details: Mapping[str, Any]
    rows: Mapping[str, Mapping[str, Metric]] = field(default_factory=dict)


class Scorer(Protocol):
    """Turns the answers of one task into scores. Pure: the same answers give the same scores."""

    metrics: frozenset[str]

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores: ...


@dataclass(frozen=True, slots=True)
class Tally:
    """How many items were scored, and how many of them or of the rest were invalid or failed."""

    n: int
    n_invalid: int
    n_errors: int

    @classmethod
    def of(cls, lines: Sequence[ScoreLine]) -> Tally:
        scored = [line for line in lines if line.verdict not in ("error", "missing")]
        return cls(
            n=len(scored),
            n_invalid=sum(line.label is None for line in scored),
            n_errors=sum(line.verdict == "error" for line in lines),
        )

    def metric(self, estimate: Estimate) -> Metric:
        """Put an estimate and these counts together."""
        return metric_of(estimate, self.n, self.n_invalid, self.n_errors)
