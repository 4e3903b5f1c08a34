"""Recordings of an emotion each that are made of numbers: the face shows it plainly, the sound fairly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from support.planted_features import WIDTH

from avemo_harness.benchmark.release import EMOTIONS, Clip
from avemo_harness.recognizers.heads.labels import LabelSettings
from avemo_harness.recognizers.recordings import LabelledRecording, Part, Recording

SOUND_NOISE, FACE_NOISE = 0.5, 0.1
"""Deviation of a recording from what its label looks like, where labels are about 1.7 apart."""
QUICK = LabelSettings(hidden=16, most_epochs=40, learning_rate=1e-2, dropout=0.1, weight_decay=0.01, folds=2)
"""LabelSettings that are enough for these recordings."""

_LENGTH = 8


def labelled(
    name: str,
    label: str,
    speaker: str,
    part: Part | None = None,
    face: str = "",
    dialogue: str = "",
    sound_noise: float = SOUND_NOISE,
) -> LabelledRecording:
    """A recording of 4 s whose rows lie about a place that its label decides, and drift a little."""
    rng = np.random.default_rng([*name.encode()])
    places = np.random.default_rng(77).normal(size=(2, len(EMOTIONS), WIDTH)) / np.sqrt(2)
    clips = []
    for stream, noise in enumerate((sound_noise, FACE_NOISE)):
        centre = places[stream, EMOTIONS.index(label)] + rng.normal(0, noise, WIDTH)
        rows = centre + rng.normal(0, 0.2, (_LENGTH, WIDTH))
        clips.append(Clip.from_bytes(rows.astype(np.float32).tobytes(), name))
    streams = Recording(clips[0], clips[1], _LENGTH / 2)
    return LabelledRecording(name, speaker, face or speaker, label, part, dialogue or name, streams)


def labelled_corpus(
    speakers: int, each: int = 2, parts: Sequence[Part | None] = (None,), sound_noise: float = SOUND_NOISE
) -> list[LabelledRecording]:
    """Recordings of several speakers, `each` of every emotion; a speaker's part is taken from `parts` in turn."""
    return [
        labelled(
            f"s{speaker:02}/{label}{number}",
            label,
            f"s{speaker:02}",
            parts[speaker % len(parts)],
            sound_noise=sound_noise,
        )
        for speaker in range(speakers)
        for label in EMOTIONS
        for number in range(each)
    ]
