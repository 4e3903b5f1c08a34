"""A judge that needs no training: it hears the level of a recording as arousal, and notes what it was shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from avemo_harness import media
from avemo_harness.errors import MediaError
from avemo_harness.metrics.profiles import Calibration
from avemo_harness.metrics.trajectory import Dimension, Trajectory, count_steps
from avemo_harness.recognizers import JUDGES
from avemo_harness.recognizers.recordings import Modality, Recording

RATE = 16_000


class LevelJudge:
    """Valence 0.5; arousal 1 at full scale, 0 at -60 dBFS; louder by 0.1 where the face is shown, 0.5 without sound."""

    calibration: Calibration | None = None
    errors: Mapping[Dimension, float] = {"valence": 0.1, "arousal": 0.1}
    card_values: Mapping[str, Any] = {"lines": ["a planted judge"]}
    modalities: frozenset[str] = frozenset({"audio", "video"})

    def __init__(
        self,
        name: str = "level",
        fails_on: frozenset[str] = frozenset(),
        fail: Callable[[str], Trajectory | None] | None = None,
    ) -> None:
        """
        Args:
            fails_on: digests of clips on which it fails.
            fail: what it does there, given the clip's name; by default the clip is damaged.
        """
        self.name, self.fails_on, self.fail = name, fails_on, fail or _damaged
        self.shown: list[tuple[str, Modality]] = []

    def identity(self) -> Mapping[str, str]:
        return {"judge": self.name}

    def trajectory(self, streams: Recording, view: Modality) -> Any:
        clip = streams.sound or streams.face
        assert clip is not None
        self.shown.append((clip.name, view))
        if clip.sha256 in self.fails_on:
            return self.fail(clip.name)
        count = count_steps(streams.duration_s, 2.0)
        if streams.sound is None:
            return Trajectory(np.full((count, 2), 0.5), ("valence", "arousal"), "unit", 2.0)
        samples = media.decode_sound(streams.sound.read(), rate=RATE)
        level_db = 20 * np.log10(max(media.active_level(samples, RATE), 1e-3))
        arousal = np.clip(1 + level_db / 60 + 0.1 * (view == "both"), 0, 1)
        values = np.column_stack([np.full(count, 0.5), np.full(count, arousal)])
        return Trajectory(values, ("valence", "arousal"), "unit", 2.0)


def _damaged(name: str) -> None:
    raise MediaError(f"{name}: damaged")


def plant(patch: pytest.MonkeyPatch, judge: LevelJudge, name: str = "embedded") -> LevelJudge:
    """Let a judge stand under a name."""
    patch.setattr(sys.modules[__name__], f"open_{name}", lambda setup: judge, raising=False)
    patch.setitem(JUDGES, name, f"{__name__}:open_{name}")
    return judge
