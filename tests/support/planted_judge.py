"""A judge that needs no training: it hears the level of a recording as arousal, and notes what it was shown."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from avemo_harness import media
from avemo_harness.errors import MediaError
from avemo_harness.metrics.profiles import Calibration
from avemo_harness.metrics.trajectory import Dimension, Trajectory, count_steps
from avemo_harness.recognizers import JUDGES
from avemo_harness.recognizers.streams import Streams, View

RATE = 16_000


class LevelJudge:
    """Valence 0.5; arousal 1 at full scale, 0 at -60 dBFS; louder by 0.1 where the face is shown."""

    calibration: Calibration | None = None
    errors: Mapping[Dimension, float] = {"valence": 0.1, "arousal": 0.1}
    card_values: Mapping[str, Any] = {"lines": ["a planted judge"]}

    def __init__(self, name: str = "level", fails_on: frozenset[str] = frozenset()) -> None:
        self.name, self.fails_on = name, fails_on
        self.shown: list[tuple[str, View]] = []

    def identity(self) -> Mapping[str, str]:
        return {"judge": self.name}

    def trajectory(self, streams: Streams, view: View) -> Trajectory:
        assert streams.sound is not None
        self.shown.append((streams.sound.name, view))
        if streams.sound.sha256 in self.fails_on:
            raise MediaError(f"{streams.sound.name}: damaged")
        samples = media.decode_sound(streams.sound.read(), rate=RATE)
        count = count_steps(streams.duration_s, 2.0)
        level_db = 20 * np.log10(max(media.active_level(samples, RATE), 1e-3))
        arousal = np.clip(1 + level_db / 60 + 0.1 * (view == "both"), 0, 1)
        values = np.column_stack([np.full(count, 0.5), np.full(count, arousal)])
        return Trajectory(values, ("valence", "arousal"), "unit", 2.0)


def plant(patch: pytest.MonkeyPatch, judge: LevelJudge, name: str = "embedded") -> LevelJudge:
    """Let a judge stand under a name."""
    patch.setattr(sys.modules[__name__], f"open_{name}", lambda setup: judge, raising=False)
    patch.setitem(JUDGES, name, f"{__name__}:open_{name}")
    return judge
