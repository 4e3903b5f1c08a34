"""Features of whole clips as extractors: every row describes all of the recording. No weights, signal processing only.

Against rows of half a second, they tell one label of a recording better and what happens within it not at all.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from avemo_harness import media
from avemo_harness.errors import MediaError
from avemo_harness.recognizers.clip_features import FRAMES_PER_SECOND
from avemo_harness.recognizers.extractors.base import Features
from avemo_harness.recognizers.extractors.builtin import NoArguments
from avemo_harness.recognizers.face_features import SIDE, face_features
from avemo_harness.recognizers.sound_features import sound_features
from avemo_harness.recognizers.spectrum import RATE
from avemo_harness.recognizers.streams import Streams, View


class ClipSound:
    """Spectrum, timbre, loudness, intonation and rhythm of the whole sound, independent of its level and length.

    See `avemo_harness.recognizers.sound_features`.
    """

    Arguments = NoArguments
    modality: View = "audio"
    width = 293

    def __init__(self, arguments: NoArguments | None = None) -> None:
        del arguments

    def identity(self) -> Mapping[str, str]:
        return {"extractor": "clip-sound", "version": "1"}

    def extract(self, streams: Streams, count: int, view: View) -> Features:
        del view
        if streams.sound is None:
            raise MediaError("clip-sound: the recording has no sound")
        found = sound_features(media.decode_sound(streams.sound.read(), rate=RATE))
        return np.tile(found.values.astype(np.float32), (count, 1))


class ClipFace:
    """Shape of the face, its change since the first frame and its movement (`avemo_harness.recognizers.face_features`).

    The face is expected about the middle of the picture.
    """

    Arguments = NoArguments
    modality: View = "video"
    width = 760

    def __init__(self, arguments: NoArguments | None = None) -> None:
        del arguments

    def identity(self) -> Mapping[str, str]:
        return {"extractor": "clip-face", "version": "1"}

    def extract(self, streams: Streams, count: int, view: View) -> Features:
        del view
        source = None if streams.face is None else streams.face.read()
        info = None if source is None else media.probe(source).video
        if source is None or info is None:
            raise MediaError("clip-face: the recording has no video")
        scale = min(1.0, 2 * SIDE / min(info.width, info.height))
        size = (round(info.width * scale), round(info.height * scale))
        found = face_features(media.decode_frames(source, fps=FRAMES_PER_SECOND, size=size).pixels)
        return np.tile(found.values.astype(np.float32), (count, 1))
