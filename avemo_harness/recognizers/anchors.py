"""Places of emotions in the plane of valence and arousal, by which labels become trajectories."""

from __future__ import annotations

import re
from collections.abc import Mapping

from avemo_harness.errors import UsageError
from avemo_harness.registry import hint

Anchors = Mapping[str, tuple[float, float]]
"""Valence and arousal of each emotion on the unit scale, 0.5 = neutral."""

ANCHORS: Anchors = {
    "neutral": (0.5, 0.5),
    "happy": (0.875, 0.75),
    "angry": (0.175, 0.85),
    "sad": (0.175, 0.225),
    "calm": (0.67, 0.28),
    "fear": (0.18, 0.84),
    "disgust": (0.23, 0.69),
    "surprise": (0.74, 0.89),
    "contempt": (0.22, 0.65),
}
"""The benchmark's four lie in the quadrants of the circumplex (Russell 1980, doi 10.1037/h0077714), where its built-in
voice and face put them too. The others are the rated valence and arousal of these words (Warriner, Kuperman and
Brysbaert 2013, doi 10.3758/s13428-012-0314-x; 1 to 9), moved so that the word "neutral" lies at 0.5.

They are conventions, not ratings of any recording.
"""

ANCHORS_EXAMPLE = "happy=0.9/0.7+sad=0.2/0.3"
_ANCHOR = re.compile(r"(?P<emotion>[^=]+)=(?P<valence>[^/]+)/(?P<arousal>[^/]+)")


def parse_anchors(text: str | None) -> Anchors:
    """`ANCHORS` with some of them replaced.

    Args:
        text: ``emotion=valence/arousal``, several joined by ``+`` or commas; None or nothing leaves all as they are.

    Raises:
        UsageError: it is written otherwise, names an emotion that has no anchor, or leaves the unit scale.

    >>> parse_anchors("sad=0.2/0.3")["sad"], parse_anchors(None) == ANCHORS
    ((0.2, 0.3), True)
    """
    anchors = dict(ANCHORS)
    for part in filter(None, (part.strip() for part in re.split(r"[+,]", text or ""))):
        found = _ANCHOR.fullmatch(part)
        if found is None:
            raise UsageError(f"anchor {part!r}: expected emotion=valence/arousal, such as {ANCHORS_EXAMPLE}")
        emotion = found["emotion"].strip()
        if emotion not in ANCHORS:
            raise UsageError(f"anchor {part!r}: no emotion {emotion!r}{hint(emotion, ANCHORS)}")
        anchors[emotion] = (_unit(found["valence"], part), _unit(found["arousal"], part))
    return anchors


def _unit(number: str, part: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise UsageError(f"anchor {part!r}: expected numbers from 0 to 1, found {number!r}; 0.5 is neutral")
    return value
