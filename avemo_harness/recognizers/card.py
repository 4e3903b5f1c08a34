"""The cards of trained recognisers: training data, agreement with people, F1 by label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from avemo_harness.metrics.bootstrap import Estimate
from avemo_harness.metrics.trajectory import Dimension
from avemo_harness.recognizers.placement import Placement
from avemo_harness.recognizers.recordings import MODALITY_NAMES, Modality
from avemo_harness.text import fixed


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """Training data and settings of a recogniser.

    Args:
        corpus: the corpora's names.
        fingerprint: digest of the recordings and their ratings.
        split: how the validation part was chosen, in words.
        delay_s: by how much the ratings were moved earlier, as raters who follow live lag behind.
    """

    corpus: str
    fingerprint: str
    n_recordings: int
    n_speakers: int
    seconds: float
    split: str
    seed: int
    delay_s: float = 0.0

    def line(self) -> str:
        """In a line for a terminal."""
        delay = f"; ratings moved earlier by {self.delay_s:g} s" if self.delay_s else ""
        return (
            f"trained on {self.corpus}: {self.n_recordings} recordings of {self.n_speakers} speakers, "
            f"{self.seconds / 60:.1f} min; {self.split}{delay}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Model card of a trained recogniser.

    Args:
        extractors: how its features are made.
        versions: of the packages that made it.
    """

    training: TrainingRecord
    extractors: tuple[str, ...]
    versions: Mapping[str, str]

    def lines(self) -> list[str]:
        """The card in a few lines for a terminal."""
        return [self.training.line(), f"features: {', '.join(self.extractors)}"]

    def to_json(self) -> dict[str, Any]:
        """As a mapping of plain values."""
        return asdict(self)

    @staticmethod
    def _common(values: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of every card, of what `to_json` gave."""
        return {
            "training": TrainingRecord(**values["training"]),
            "extractors": tuple(values["extractors"]),
            "versions": dict(values["versions"]),
        }


DEMO_CORPUS = "the built-in demo"
"""The demo's name as a corpus."""
EMBEDDED_WARNING = "a smoke test: scores on other data than the demo are not comparable"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of trajectories with the gold standard, for one view and dimension.

    Args:
        part: of which recordings: ``validation``, ``test``, or how a split calls them.
        ccc: concordance over all values together, with its 95 % interval over resampled recordings.
        ccc_of_recordings: mean of the recordings' own concordances, over those whose ratings move.
        rmse: root mean squared error on the unit scale.
        pearson: correlation over all values together.
        n_constant: recordings whose ratings do not move, left out of `ccc_of_recordings`.
    """

    part: str
    view: Modality
    dimension: Dimension
    ccc: float | None
    ccc_low: float | None
    ccc_high: float | None
    ccc_of_recordings: float | None
    rmse: float | None
    pearson: float | None
    n_recordings: int
    n_values: int
    n_constant: int = 0


_ENOUGH_SPEAKERS = 20
FEW_SPEAKERS = "; few speakers: about 92 of 100 such intervals of AUC hold the truth, not 95"
"""Simulated: 0.91 to 0.93 of 5 to 12 speakers, 0.935 and more from 20 on."""


@dataclass(frozen=True, slots=True)
class Discrimination:
    """Discrimination by the trajectories of one view. Intervals (95 %) resample speakers.

    Args:
        part: of which recordings, as of an `Agreement`.
        profile: of ECS and of extreme turns.
        auc: the chance that ECS of two speakers is higher where both have one emotion; 0.5 for a judge that hears none.
            No value where the recordings have no labels, or too few of them.
        extreme_share: turns that are extreme in a dimension, as EBS takes users' turns; recordings of more than 24 s
            in pieces of 6 s.
        movement: by dimension, the standard deviation within a recording, mean over recordings; its dynamic range.
        n_labelled, n_pairs: recordings and pairs that the AUC is made of.
    """

    part: str
    view: Modality
    profile: str
    auc: Estimate
    extreme_share: Estimate
    movement: Mapping[Dimension, Estimate]
    n_recordings: int
    n_speakers: int
    n_labelled: int
    n_pairs: int

    def line(self) -> str:
        """In a line for a terminal."""
        movement = ", ".join(f"{name} {with_interval(one)}" for name, one in sorted(self.movement.items()))
        return (
            f"tells apart {self.part}, {MODALITY_NAMES[self.view]}: AUC of ECS {with_interval(self.auc)}, "
            f"extreme turns {with_interval(self.extreme_share)}, deviation within a recording {movement}  "
            f"({self.n_recordings} recordings of {self.n_speakers} speakers){self.caution}"
        )

    @property
    def caution(self) -> str:
        """End of a sentence on an AUC whose interval is of too few speakers to keep its promise; else empty."""
        return FEW_SPEAKERS if self.auc.ci_low is not None and self.n_speakers < _ENOUGH_SPEAKERS else ""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Discrimination:
        """Read what `dataclasses.asdict` gave; KeyError or TypeError where it is something else."""
        estimates = {name: Estimate(**values[name]) for name in ("auc", "extreme_share")}
        movement = {name: Estimate(**one) for name, one in values["movement"].items()}
        return cls(**{**values, **estimates, "movement": movement})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrajectoryCard(Card):
    """Model card of a recogniser of trajectories.

    Args:
        discrimination: none on cards from before it was measured.
        embedded: it knows the built-in voice and face alone, as the embedded judge does.
        no_calibration: why it has no calibration; None where it has one.
        placement: where labels lie, if it learned from them instead of ratings; agreement is then with these points.
    """

    agreements: tuple[Agreement, ...] = ()
    discrimination: tuple[Discrimination, ...] = ()
    embedded: bool = False
    no_calibration: str | None = None
    placement: Placement | None = None

    def to_json(self) -> dict[str, Any]:
        values = Card.to_json(self)
        for name, given in (("discrimination", self.discrimination), ("placement", self.placement)):
            if not given:
                del values[name]  # as on cards from before there was any
        return values

    def lines(self) -> list[str]:
        lines = [*Card.lines(self), *(self.placement.lines() if self.placement else ())]
        agreement = "CCC with anchors," if self.placement else "CCC"
        for part, view in dict.fromkeys((one.part, one.view) for one in self.agreements):
            selected = [one for one in self.agreements if (one.part, one.view) == (part, view)]
            values = ", ".join(_agreement_text(one) for one in selected)
            lines.append(
                f"{agreement} {part}, {MODALITY_NAMES[view]}: {values}  ({selected[0].n_recordings} recordings)"
            )
        lines += [one.line() for one in self.discrimination]
        if self.no_calibration:
            lines.append(f"no calibration: {self.no_calibration}")
        return [*lines, EMBEDDED_WARNING] if self.embedded else lines

    def find(self, view: Modality, dimension: Dimension) -> Agreement | None:
        """The agreement of a view and dimension: on the test part, else of another one."""
        found = [one for one in self.agreements if (one.view, one.dimension) == (view, dimension)]
        return next((one for one in found if one.part == "test"), found[-1] if found else None)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TrajectoryCard:
        """Read what `to_json` gave; KeyError or TypeError where it is something else."""
        return cls(
            **cls._common(values),
            agreements=tuple(Agreement(**agreement) for agreement in values["agreements"]),
            discrimination=tuple(map(Discrimination.from_json, values.get("discrimination", ()))),
            # Before the corpus decided, a folder that was trained on the demo did not say so.
            embedded=bool(values["embedded"]) or values["training"]["corpus"] == DEMO_CORPUS,
            no_calibration=values.get("no_calibration"),
            placement=Placement.from_json(values["placement"]) if "placement" in values else None,
        )


def _agreement_text(one: Agreement) -> str:
    if one.ccc is None:
        return f"{one.dimension} —"
    interval = (
        f" ({fixed(one.ccc_low, 2)}-{fixed(one.ccc_high, 2)})"
        if one.ccc_low is not None and one.ccc_high is not None
        else ""
    )
    return f"{one.dimension} {fixed(one.ccc, 2)}{interval}"


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
class LabelEvaluation:
    """Accuracy of the labels predicted from one view. Intervals resample whole clusters.

    Args:
        part: of which recordings: ``validation``, ``test``, or how a split calls them.
        trained_on: the views that the recogniser learned from: all three, or one where it is of a single modality.
        labels: F1 of each label.
        weighted_f1: mean of F1 over labels, weighted by support.
        balanced_accuracy: mean recall over labels (UAR).
        clusters: what the intervals resample: ``dialogues`` or ``speakers``.
        confusion: recordings by gold and predicted label, both in the order of `labels`.
    """

    part: str
    view: Modality
    trained_on: tuple[Modality, ...]
    labels: tuple[LabelScore, ...]
    weighted_f1: Estimate
    accuracy: Estimate
    balanced_accuracy: Estimate
    n_recordings: int
    n_clusters: int
    clusters: str
    confusion: tuple[tuple[int, ...], ...]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> LabelEvaluation:
        """Read what `dataclasses.asdict` gave; KeyError or TypeError where it is something else."""
        labels = tuple(LabelScore(one["label"], Estimate(**one["f1"]), one["support"]) for one in values["labels"])
        estimates = {name: Estimate(**values[name]) for name in ("weighted_f1", "accuracy", "balanced_accuracy")}
        confusion = tuple(tuple(row) for row in values["confusion"])
        given = {"labels": labels, "trained_on": tuple(values["trained_on"]), "confusion": confusion, **estimates}
        return cls(**{**values, **given})


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCard(Card):
    """Model card of a recogniser of labels."""

    recognitions: tuple[LabelEvaluation, ...] = ()

    def lines(self) -> list[str]:
        lines = Card.lines(self)
        for one in self.recognitions:
            labels = ", ".join(f"{score.label} {score_text(score.f1.value)}" for score in one.labels)
            lines.append(
                f"weighted F1 {one.part}, {MODALITY_NAMES[one.view]}: {with_interval(one.weighted_f1)}; {labels}  "
                f"({one.n_recordings} recordings)"
            )
        return lines

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> LabelCard:
        """Read what `to_json` gave; KeyError or TypeError where it is something else."""
        evaluations = tuple(LabelEvaluation.from_json(evaluation) for evaluation in values["recognitions"])
        return cls(**cls._common(values), recognitions=evaluations)


def with_interval(estimate: Estimate) -> str:
    """A value with its interval, as far as they are known.

    >>> with_interval(Estimate(0.5, 0.4, 0.6)), with_interval(Estimate(None, None, None))
    ('0.500 (0.40-0.60)', '—')
    """
    if estimate.ci_low is None or estimate.ci_high is None:
        return score_text(estimate.value)
    return f"{score_text(estimate.value)} ({fixed(estimate.ci_low, 2)}-{fixed(estimate.ci_high, 2)})"


def score_text(value: float | None) -> str:
    return "—" if value is None else fixed(value)
