"""A feature extractor: the level of a recording's sound, twice a second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.errors import MediaError
from avemo_harness.recognizers.features.base import RATE_HZ
from avemo_harness.recognizers.recordings import Modality, Recording

SOUND_RATE = 16_000


class Level:
    """One column: the level in dB of full scale, divided by 60 dB, so that it lies in [-1, 0]."""

    @dataclass(frozen=True, slots=True)
    class Arguments:
        """Given by users as ``example_level:floor_dbfs=-50``.

        Args:
            floor_dbfs: what is quieter counts as silence, in dB of full scale.
        """

        floor_dbfs: float = -60.0

    modality: Literal["audio"] = "audio"
    width = 1

    def __init__(self, arguments: Arguments) -> None:
        # A network would be loaded by the first `extract`: construction is cheap.
        self._floor = arguments.floor_dbfs

    def identity(self) -> Mapping[str, str]:
        """Everything that may change a feature; features are kept by it, weights would be named by their content."""
        return {
            "extractor": "example_level",
            "version": version("avemo-example-plugin"),
            "floor_dbfs": str(self._floor),
        }

    def extract(self, recording: Recording, count: int, modality: Modality) -> NDArray[np.float32]:
        """Levels of `count` half seconds, float32 (count, 1); a sound that ends earlier goes on with its last one."""
        if recording.sound is None:
            raise MediaError("example_level: the recording has no sound")
        samples = media.decode_sound(recording.sound.read(), rate=SOUND_RATE)
        step = int(SOUND_RATE / RATE_HZ)
        pieces = [samples[start : start + step] for start in range(0, max(1, len(samples)), step)][:count]
        power = np.array([np.mean(np.square(piece, dtype=np.float64)) if len(piece) else 0.0 for piece in pieces])
        levels = np.maximum(10 * np.log10(power + 1e-12), self._floor) / 60
        return np.pad(levels, (0, count - len(levels)), mode="edge").astype(np.float32)[:, np.newaxis]
