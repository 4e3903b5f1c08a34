"""Streams of clips as features look at them, each decoded once for all conditions and extractors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.benchmark.release import Clip
from avemo_harness.lru_cache import LruCache
from avemo_harness.media.types import Source
from avemo_harness.recognizers.features.face import SIDE, FaceFeatures, describe_clip, grey_squares
from avemo_harness.recognizers.features.sound import RATE, SoundFeatures, sound_features
from avemo_harness.recognizers.recordings import clip_info

FACE_FRAMES_PER_SECOND = 5.0

_REMEMBERED_BYTES = 2**26
_REMEMBERED = 4096
_digests: LruCache[str, media.StreamDigests] = LruCache(16 * _REMEMBERED, lambda digests: 1)
_squares: LruCache[str, NDArray[np.float32]] = LruCache(_REMEMBERED_BYTES, lambda squares: squares.nbytes)
_samples: LruCache[str, media.Samples] = LruCache(_REMEMBERED_BYTES, lambda samples: samples.nbytes)
_faces: LruCache[str, FaceFeatures] = LruCache(_REMEMBERED, lambda face: 1)
_sounds: LruCache[str, SoundFeatures] = LruCache(_REMEMBERED, lambda sound: 1)


def sound_samples(clip: Clip) -> media.Samples:
    """The sound of a clip, mono at 16 kHz (MediaError: it has none, or cannot be read)."""
    stream = _streams_of(clip).sound
    return _decode_sound(clip) if stream is None else _samples.get(stream, lambda: _decode_sound(clip))


def described_sound(clip: Clip) -> SoundFeatures:
    """The features of a clip's sound (MediaError: it has none, or cannot be read)."""
    stream = _streams_of(clip).sound
    return _sounds.get(stream or clip.sha256, lambda: sound_features(sound_samples(clip)))


def face_squares(clip: Clip) -> NDArray[np.float32] | None:
    """The middles of a clip's frames, grey, (T, SIDE, SIDE), five a second; None where it has no video (MediaError)."""
    stream = _streams_of(clip).video
    return None if stream is None else _remembered_squares(stream, clip)


def described_face(clip: Clip) -> FaceFeatures | None:
    """The features of a clip's face; None where it has no video (MediaError: it cannot be read)."""
    stream = _streams_of(clip).video
    return None if stream is None else _faces.get(stream, lambda: describe_clip(_remembered_squares(stream, clip)))


def decode_face(source: Source, info: media.VideoInfo) -> NDArray[np.uint8]:
    """Frames of a video, scaled down to about twice the side of a normalised face (MediaError: it cannot be read)."""
    scale = min(1.0, 2 * SIDE / min(info.width, info.height))
    size = (round(info.width * scale), round(info.height * scale))
    return media.decode_frames(source, fps=FACE_FRAMES_PER_SECOND, size=size).pixels


def _streams_of(clip: Clip) -> media.StreamDigests:
    return _digests.get(clip.sha256, lambda: media.stream_digests(clip.read()))


def _decode_sound(clip: Clip) -> media.Samples:
    return media.decode_sound(clip.read(), rate=RATE)


def _remembered_squares(stream: str, clip: Clip) -> NDArray[np.float32]:
    def decode() -> NDArray[np.float32]:
        info = clip_info(clip).video
        assert info is not None  # its packets have been read
        return grey_squares(decode_face(clip.read(), info))

    return _squares.get(stream, decode)
