"""The judge card: what a recogniser was trained on, and how far it agrees with people where it was tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from avemo_harness.metrics.trajectory import Dimension
from avemo_harness.recognizers.streams import VIEW_NAMES, View
from avemo_harness.recognizers.training_record import Training
from avemo_harness.text import fixed

EMBEDDED_WARNING = "a smoke test: scores on other data than the demo are not comparable"


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well the trajectories of some recordings agree with the gold standard, under one view, in one dimension.

    Args:
        part: of which recordings: ``validation``, ``test``, or how a split calls them.
        ccc: concordance over all values together, with its 95 % interval over resampled recordings.
        ccc_of_recordings: mean of the recordings' own concordances, over those whose ratings move.
        rmse: root mean squared error on the unit scale.
        pearson: correlation over all values together.
        n_constant: recordings whose ratings do not move, left out of `ccc_of_recordings`.
    """

    part: str
    view: View
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


@dataclass(frozen=True, slots=True)
class JudgeCard:
    """What stands beside every score that a recogniser gives.

    Args:
        extractors: how its features are made.
        versions: of the packages that made it.
        embedded: it is the built-in one.
        no_calibration: why it has no calibration; None where it has one.
    """

    training: Training
    agreements: tuple[Agreement, ...]
    extractors: tuple[str, ...]
    versions: Mapping[str, str]
    embedded: bool = False
    no_calibration: str | None = None

    def lines(self) -> list[str]:
        """The card in a few lines for a terminal."""
        lines = [*self.training.lines(), f"features: {', '.join(self.extractors)}"]
        for part, view in dict.fromkeys((one.part, one.view) for one in self.agreements):
            shown = [one for one in self.agreements if (one.part, one.view) == (part, view)]
            values = ", ".join(_agreement_text(one) for one in shown)
            lines.append(f"CCC {part}, {VIEW_NAMES[view]}: {values}  ({shown[0].n_recordings} recordings)")
        if self.no_calibration:
            lines.append(f"no calibration: {self.no_calibration}")
        return [*lines, EMBEDDED_WARNING] if self.embedded else lines

    def find(self, view: View, dimension: Dimension) -> Agreement | None:
        """What is known of a view and dimension: of the test part, else of another one."""
        found = [one for one in self.agreements if (one.view, one.dimension) == (view, dimension)]
        return next((one for one in found if one.part == "test"), found[-1] if found else None)

    def to_json(self) -> dict[str, Any]:
        """As a mapping of plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> JudgeCard:
        """Read what `to_json` gave; KeyError or TypeError where it is something else."""
        return cls(
            training=Training(**values["training"]),
            agreements=tuple(Agreement(**one) for one in values["agreements"]),
            extractors=tuple(values["extractors"]),
            versions=dict(values["versions"]),
            embedded=bool(values["embedded"]),
            no_calibration=values.get("no_calibration"),
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
