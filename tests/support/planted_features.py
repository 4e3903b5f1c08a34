"""Recordings that are made of numbers, and extractors that read them: what is learned from them is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.release import Clip
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.recognizers.features.base import Features
from avemo_harness.recognizers.features.feature_set import FeatureSet
from avemo_harness.recognizers.recordings import Modality, Part, RatedRecording, Recording

WIDTH = 6


class _Planted:
    """Reads float32 rows from a clip's bytes."""

    width = WIDTH
    modality: Modality

    @dataclass(frozen=True)
    class Arguments:
        version: str = "1"

    def __init__(self, arguments: Arguments | None = None) -> None:
        self._version = (arguments or self.Arguments()).version

    def identity(self) -> Mapping[str, str]:
        return {"extractor": f"planted-{self.modality}", "version": self._version, "transformers": "1.0"}

    def extract(self, streams: Recording, count: int, view: Modality) -> Features:
        clip = streams.sound if self.modality == "audio" else streams.face
        assert clip is not None
        return np.frombuffer(clip.read(), dtype=np.float32).reshape(-1, WIDTH)[:count]


class PlantedSound(_Planted):
    modality: Modality = "audio"


class PlantedFace(_Planted):
    modality: Modality = "video"


NAMES = {
    "planted-sound": f"{__name__}:PlantedSound",
    "planted-face": f"{__name__}:PlantedFace",
}


def planted_features() -> FeatureSet:
    return FeatureSet((PlantedSound(), PlantedFace()))


def rated(values: NDArray[np.float64]) -> Trajectory:
    return Trajectory(values, ("valence", "arousal"), "unit", 2.0)


def planted_recording(
    name: str,
    speaker: str,
    seed: int,
    length: int = 12,
    part: Part | None = None,
    noise: tuple[float, float] = (0.3, 0.1),
) -> RatedRecording:
    """A recording whose rows show its ratings: sound with more noise, face with less.

    Args:
        noise: deviation of the noise in sound and in face, where ratings deviate by about 0.3.
    """
    rng = np.random.default_rng(seed)
    phases, centre = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.25, 0.75, 2)
    steps = np.arange(length)[:, None]
    values = np.clip(centre + 0.2 * np.sin(steps * 0.35 + phases), 0, 1)
    mixing = np.random.default_rng(99).normal(size=(2, WIDTH))
    clips = []
    for amount in noise:
        rows = (values - 0.5) @ mixing * 3 + rng.normal(0, amount * 3, (length, WIDTH))
        clips.append(Clip.from_bytes(rows.astype(np.float32).tobytes(), name))
    return RatedRecording(name, speaker, speaker, part, Recording(clips[0], clips[1], length / 2), rated(values))


def planted_corpus(speakers: int, each: int = 4, parts: Sequence[Part | None] = (None,)) -> list[RatedRecording]:
    """Recordings of several speakers; a speaker's part is taken from `parts` in turn."""
    return [
        planted_recording(f"s{s}/{i}", f"s{s}", seed=100 * s + i, length=8 + (s + i) % 5, part=parts[s % len(parts)])
        for s in range(speakers)
        for i in range(each)
    ]
