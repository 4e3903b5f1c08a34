"""Labels as points of the plane of valence and arousal: the emotion's anchor, nearer or farther by intensity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from avemo_harness.errors import UsageError
from avemo_harness.recognizers.anchors import ANCHORS, Anchors
from avemo_harness.registry import hint, parse_arguments

Intensity = Literal["low", "medium", "high"]
"""Of an emotion, where a corpus tells it: by instruction to the actors of RAVDESS and CREMA-D."""

INTENSITIES: Mapping[str, float] = {"low": 0.75, "medium": 1.0, "high": 1.25}
"""Factor on the distance from neutral. A convention: both corpora publish that raters hear the order of the levels
(Livingstone and Russo 2018, doi 10.1371/journal.pone.0196391; Cao et al. 2014, doi 10.1109/TAFFC.2014.2336244), neither
says how far they lie from neutral. Recordings of no known intensity lie where those of a medium one do."""

_MOST = 4.0


@dataclass(frozen=True, slots=True)
class Placement:
    """Anchors of labels in the plane of valence and arousal.

    Args:
        anchors: of each emotion, on the unit scale.
        intensities: factors on the distance from the anchor of neutral.
    """

    anchors: Anchors
    intensities: Mapping[str, float]

    def point(self, emotion: str, intensity: Intensity | None) -> tuple[float, float]:
        """Valence and arousal on the unit scale, cut to it; KeyError for an emotion without an anchor.

        >>> Placement({"neutral": (0.5, 0.5), "sad": (0.1, 0.3)}, {"high": 1.5}).point("sad", "high")
        (0.0, 0.2)
        """
        factor = 1.0 if intensity is None else self.intensities[intensity]
        pairs = zip(self.anchors["neutral"], self.anchors[emotion], strict=True)
        valence, arousal = (
            round(min(1.0, max(0.0, neutral + factor * (anchor - neutral))), 6) for neutral, anchor in pairs
        )
        return valence, arousal

    @property
    def replaced(self) -> tuple[str, ...]:
        """The emotions whose anchors are not the shipped ones."""
        return tuple(emotion for emotion, point in self.anchors.items() if point != ANCHORS.get(emotion))

    def lines(self) -> list[str]:
        """For a card: what was learned in place of ratings, and what that says nothing of."""
        anchors = ", ".join(
            f"{emotion} {valence:g}/{arousal:g}" for emotion, (valence, arousal) in self.anchors.items()
        )
        factors = ", ".join(f"{intensity} x {factor:g}" for intensity, factor in self.intensities.items())
        scaled = f"; distance from neutral by intensity: {factors}" if factors else ""
        return [
            f"anchors, not ratings: each label as valence/arousal: {anchors}{scaled}",
            "a label stands still through its recording: nothing was learned of how emotion moves, so ESS by it says "
            "little",
        ]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Placement:
        """Read what `dataclasses.asdict` gave; KeyError or TypeError where it is something else."""
        anchors = {
            emotion: (float(valence), float(arousal)) for emotion, (valence, arousal) in values["anchors"].items()
        }
        return cls(anchors, dict(values["intensities"]))


PLACEMENT = Placement(ANCHORS, INTENSITIES)


def parse_intensities(text: str | None) -> Mapping[str, float]:
    """`INTENSITIES` with some of them replaced.

    Args:
        text: ``intensity=factor``, several joined by commas; None or nothing leaves all as they are.

    Raises:
        UsageError: it is written otherwise, names an intensity that there is not, or a factor is none.

    >>> parse_intensities("high=1.5")
    {'low': 0.75, 'medium': 1.0, 'high': 1.5}
    """
    found = dict(INTENSITIES)
    for name, given in parse_arguments(text or "").items():
        if name not in get_args(Intensity):
            raise UsageError(f"intensity {name!r}: there is no such intensity{hint(name, get_args(Intensity))}")
        try:
            factor = float(given)
        except ValueError:
            factor = math.nan
        if not 0.0 <= factor <= _MOST:
            raise UsageError(
                f"intensity {name}={given}: expected a factor on the distance from neutral, 0 to {_MOST:g}, such as "
                f"{INTENSITIES[name]:g}"
            )
        found[name] = factor
    return found
