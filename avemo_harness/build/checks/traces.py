"""What the conditions leave of a clip, as numbers from which an emotion might be guessed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.task import NoiseName
from avemo_harness.recognizers.face_features import describe_face, normalised_face
from avemo_harness.recognizers.logistic import Floats
from avemo_harness.recognizers.spectrum import RATE

_BANDS = 8


@dataclass(frozen=True, slots=True, eq=False)
class ConditionTraces:
    """Rows of numbers of one clip.

    Args:
        noise: of the sound that video_only leaves, (9,).
        voice: of the clip's own sound, measured in the same way, (9,).
        still: of the frame that audio_only leaves, (n,).
        later_frame: of the frame in the clip's middle, measured in the same way, (n,).
    """

    noise: Floats
    voice: Floats
    still: Floats
    later_frame: Floats


def condition_traces(
    clip: Clip,
    samples: media.Samples,
    frames: NDArray[np.uint8],
    conditions: ConditionCache,
    noise: NoiseName,
) -> ConditionTraces:
    """Make the conditioned clips and describe what is in them.

    Args:
        samples: the clip's sound at `RATE`.
        frames: some of its frames in order, uint8 [T, H, W, 3].

    Raises:
        MediaError: a condition cannot be made.
    """
    height, width = frames.shape[1:3]
    silenced = conditions.video_only(clip, noise).read()
    frozen = conditions.audio_only(clip).read()
    still = media.decode_frames(frozen, fps=1.0, size=(width, height)).pixels[:1]
    middle = len(frames) // 2
    return ConditionTraces(
        noise=describe_sound(media.decode_sound(silenced, rate=RATE)),
        voice=describe_sound(samples),
        still=_describe_frame(still),
        later_frame=_describe_frame(frames[middle : middle + 1]),
    )


def describe_sound(samples: media.Samples) -> Floats:
    """Level, and the power in eight bands of equal width, in dB, (9,).

    >>> float(describe_sound(np.full(16_000, 0.1, dtype=np.float32))[0].round())
    -20.0
    """
    power = np.abs(np.fft.rfft(samples)) ** 2 / len(samples)
    bands = [band.mean() for band in np.array_split(power, _BANDS)]
    found: Floats = 10 * np.log10(np.array([np.mean(np.square(samples)), *bands], dtype=np.float64) + 1e-12)
    return found


def _describe_frame(frame: NDArray[np.uint8]) -> Floats:
    face = normalised_face(frame)
    return describe_face(face[0], face)
