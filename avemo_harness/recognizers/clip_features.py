"""The features of a clip's two streams."""

from __future__ import annotations

from dataclasses import dataclass

from avemo_harness import media
from avemo_harness.media.types import Source
from avemo_harness.recognizers.face_features import SIDE, FaceFeatures, face_features
from avemo_harness.recognizers.sound_features import SoundFeatures, sound_features
from avemo_harness.recognizers.spectrum import RATE

FRAMES_PER_SECOND = 5.0


@dataclass(frozen=True, slots=True)
class ClipFeatures:
    """What is known of a clip; None for a stream that it does not have."""

    sound: SoundFeatures | None
    face: FaceFeatures | None


def clip_features(source: Source) -> ClipFeatures:
    """Decode a clip and describe its sound and its face.

    Raises:
        MediaError: the clip cannot be read.
    """
    info = media.probe(source)
    sound = face = None
    if info.sound is not None:
        sound = sound_features(media.decode_sound(source, rate=RATE))
    if info.video is not None:
        scale = min(1.0, 2 * SIDE / min(info.video.width, info.video.height))
        size = (round(info.video.width * scale), round(info.video.height * scale))
        face = face_features(media.decode_frames(source, fps=FRAMES_PER_SECOND, size=size).pixels)
    return ClipFeatures(sound, face)
