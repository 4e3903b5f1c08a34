"""What stands beside a categorical recogniser: what it was trained on, and how well it did where it was tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from avemo_harness.metrics.bootstrap import Estimate
from avemo_harness.recognizers.streams import VIEW_NAMES, View
from avemo_harness.recognizers.training_record import Training


@dataclass(frozen=True, slots=True)
class LabelScore:
    """F1 of one label with its 95 % interval.

    Args:
        support: recordings that have the label.
    """

    label: str
    f1: Estimate
    support: int


@dataclass(frozen=True, slots=True)
class Recognition:
    """How well the emotions of some recordings are told from one view. Intervals resample whole clusters.

    Args:
        part: of which recordings: ``validation``, ``test``, or how a split calls them.
        trained_on: the views that the recogniser learned from: all three, or one where it is of a single modality.
        labels: F1 of each label.
        weighted_f1: mean of F1 over labels, weighted by support.
        balanced_accuracy: mean recall over labels (UAR).
        clusters: what the intervals resample: ``dialogues`` or ``speakers``.
        confusion: recordings by gold and told label, both in the order of `labels`.
    """

    part: str
    view: View
    trained_on: tuple[View, ...]
    labels: tuple[LabelScore, ...]
    weighted_f1: Estimate
    accuracy: Estimate
    balanced_accuracy: Estimate
    n_recordings: int
    n_clusters: int
    clusters: str
    confusion: tuple[tuple[int, ...], ...]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Recognition:
        """Read what `dataclasses.asdict` gave; KeyError or TypeError where it is something else."""
        labels = tuple(LabelScore(one["label"], Estimate(**one["f1"]), one["support"]) for one in values["labels"])
        estimates = {name: Estimate(**values[name]) for name in ("weighted_f1", "accuracy", "balanced_accuracy")}
        confusion = tuple(tuple(row) for row in values["confusion"])
        given = {"labels": labels, "trained_on": tuple(values["trained_on"]), "confusion": confusion, **estimates}
        return cls(**{**values, **given})


@dataclass(frozen=True, slots=True)
class LabelCard:
    """What stands beside every label that a recogniser gives.

    Args:
        extractors: how its features are made.
        versions: of the packages that made it.
    """

    training: Training
    recognitions: tuple[Recognition, ...]
    extractors: tuple[str, ...]
    versions: Mapping[str, str]

    def lines(self) -> list[str]:
        """The card in a few lines for a terminal."""
        lines = [*self.training.lines(), f"features: {', '.join(self.extractors)}"]
        for one in self.recognitions:
            labels = ", ".join(f"{score.label} {_text(score.f1.value)}" for score in one.labels)
            lines.append(
                f"weighted F1 {one.part}, {VIEW_NAMES[one.view]}: {with_interval(one.weighted_f1)}; {labels}  "
                f"({one.n_recordings} recordings)"
            )
        return lines

    def to_json(self) -> dict[str, Any]:
        """As a mapping of plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> LabelCard:
        """Read what `to_json` gave; KeyError or TypeError where it is something else."""
        return cls(
            training=Training(**values["training"]),
            recognitions=tuple(Recognition.from_json(one) for one in values["recognitions"]),
            extractors=tuple(values["extractors"]),
            versions=dict(values["versions"]),
        )


def with_interval(estimate: Estimate) -> str:
    """A value with its interval, as far as they are known.

    >>> with_interval(Estimate(0.5, 0.4, 0.6)), with_interval(Estimate(None, None, None))
    ('0.500 (0.40-0.60)', '—')
    """
    if estimate.ci_low is None or estimate.ci_high is None:
        return _text(estimate.value)
    return f"{_text(estimate.value)} ({estimate.ci_low:.2f}-{estimate.ci_high:.2f})"


def _text(value: float | None) -> str:
    return "—" if value is None else f"{value:.3f}"
