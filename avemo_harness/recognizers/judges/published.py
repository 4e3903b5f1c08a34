"""Base of the judges made of published checkpoints: cards, sound by half second, late loading."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import RecognitionError
from avemo_harness.metrics.classification import Floats
from avemo_harness.metrics.profiles import Calibration
from avemo_harness.metrics.trajectory import Dimension, Trajectory
from avemo_harness.recognizers.features.base import RATE_HZ
from avemo_harness.recognizers.features.speech import SPAN_BATCH, Samples, spans_around_rows
from avemo_harness.recognizers.recordings import SINGLE_MODALITIES, SingleModality
from avemo_harness.text import printable
from avemo_harness.torch_setup import Weights

AUDEERING = "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim"
MSP_PODCAST_BASELINE = "3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes"
SUPERB = "superb/wav2vec2-base-superb-er"

_PUBLISHED = {
    AUDEERING: ("cc-by-nc-sa-4.0", "MSP-Podcast (utterances of English podcasts)"),
    MSP_PODCAST_BASELINE: ("mit", "MSP-Podcast (utterances of English podcasts)"),
    SUPERB: ("apache-2.0", "IEMOCAP (English, acted dialogues)"),
}
"""Licence and training data of the default checkpoints, where their own model card does not state them."""

NO_CALIBRATION = "a published model comes without the ratings that thresholds would be taken from"
HEARD_ALONE = "hears sound alone: users are heard by voice alone, and ECS compares two voices"
SMOOTHED = (
    "each value is of the 3 s of sound around its half second: neighbours share 2.5 s, so steps are small and ESS says "
    "little"
)
SEEN_AND_HEARD = "hears sound and sees faces: users are judged by both, replies by sound"


@dataclass(frozen=True, slots=True)
class CheckpointFacts:
    """A published checkpoint as a card states it.

    Args:
        weights: identity by commit or content.
        licence: as its model card names it; None where it is not stated.
        trained_on: data sets; None where they are not stated.
    """

    weights: str
    licence: str | None
    trained_on: str | None

    def line(self) -> str:
        """In a line for a terminal."""
        data = f"trained on {self.trained_on}" if self.trained_on else "training data not stated"
        return f"{self.weights}: licence {self.licence or 'not stated'}; {data}"


def checkpoint_facts(weights: Weights) -> CheckpointFacts:
    """Licence and training data of a checkpoint by its own model card, else by what is known of the default ones."""
    stated = weights.stated_facts()
    licence, data = _PUBLISHED.get(weights.path, (None, None))
    return CheckpointFacts(
        weights.content, _listed(stated.get("license")) or licence, _listed(stated.get("datasets")) or data
    )


def _listed(stated: Any) -> str | None:
    """A text or a list of texts as one text; None where nothing is stated."""
    return printable(", ".join(map(str, stated if isinstance(stated, list) else [stated]))) if stated else None


Made = TypeVar("Made")


def made_once(make: Callable[[], Made]) -> Callable[[], Made]:
    """Make something when it is first asked for, once for all threads; a failure is tried again."""
    lock, made = Lock(), list[Made]()

    def get() -> Made:
        with lock:
            if not made:
                made.append(make())
            return made[0]

    return get


class PublishedJudge:
    """A judge of published checkpoints: two values a second on the unit scale, no ratings of its own.

    A class also has a frozen dataclass `Arguments`; it is made as ``Class(arguments, setup)``. Construction is cheap:
    weights are loaded when first used.

    Attributes:
        name: in its identity, on its card and in messages.
        modalities: streams that it makes use of.
    """

    name: ClassVar[str]
    modalities: frozenset[SingleModality] = frozenset({"audio"})
    calibration: Calibration | None = None
    errors: Mapping[Dimension, float] = {}

    @property
    def card_values(self) -> Mapping[str, Any]:
        """Licence, what it hears, what it was trained on; JSON-ready."""
        checkpoints = self._checkpoints()
        hears = SEEN_AND_HEARD if "video" in self.modalities else HEARD_ALONE
        notes = [*self._notes(), SMOOTHED]
        return {
            "lines": [
                *(one.line() for one in checkpoints),
                hears,
                *notes,
                "agreement with people: not measured here",
                f"no calibration: {NO_CALIBRATION}",
            ],
            "checkpoints": [asdict(one) for one in checkpoints],
            "modalities": [one for one in SINGLE_MODALITIES if one in self.modalities],
            "notes": notes,
            "no_calibration": NO_CALIBRATION,
        }

    def _checkpoints(self) -> Sequence[CheckpointFacts]:
        raise NotImplementedError

    def _notes(self) -> Sequence[str]:
        """Further lines of its card."""
        raise NotImplementedError

    def _followed(self, values: Floats, columns: tuple[Dimension, ...]) -> Trajectory:
        """The trajectory of such values, (T, columns).

        Raises:
            RecognitionError: a value is not a number, or further off the scale than is clipped.
        """
        try:
            return Trajectory(values, columns, "unit", RATE_HZ)
        except ValueError as error:
            raise RecognitionError(f"judge {self.name}: {error}") from error


def by_half_second(
    sound: Samples, count: int, predict: Callable[[list[Samples]], NDArray[np.float32]]
) -> NDArray[np.float64]:
    """Outputs of a network for the 3 seconds around each half second of a sound, (count, outputs).

    Args:
        predict: gives the outputs of spans of one length, (spans, outputs).
    """
    spans, span_of = spans_around_rows(sound, count)
    parts = [predict(spans[at : at + SPAN_BATCH]) for at in range(0, len(spans), SPAN_BATCH)]
    rows: NDArray[np.float64] = np.concatenate(parts)[span_of].astype(np.float64)
    return rows
