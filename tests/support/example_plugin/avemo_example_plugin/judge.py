"""A judge of spoken replies: louder is more aroused, and nothing is known of valence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from avemo_example_plugin.extractor import Level
from avemo_harness.metrics.profiles import Calibration
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.recognizers.features.base import RATE_HZ
from avemo_harness.recognizers.judging import JudgeSetup
from avemo_harness.recognizers.recordings import Modality, Recording


class LoudnessJudge:
    """Follows a recording by its level; the same recording always gives the same trajectory."""

    # Thresholds of its own, for the profile `calibrated`, and errors on a corpus: it was never tried on any.
    calibration: Calibration | None = None
    errors: Mapping[Any, float] = {}
    card_values: Mapping[str, Any] = {"lines": ["arousal from the level of the sound; made up, not trained"]}
    modalities = frozenset({"audio"})

    def __init__(self) -> None:
        self._level = Level(Level.Arguments())

    def identity(self) -> Mapping[str, str]:
        """Everything that decides its trajectories; judgements are kept by it."""
        return {"judge": "example_loudness", **self._level.identity()}

    def trajectory(self, recording: Recording, modality: Modality) -> Trajectory:
        """Valence and arousal on the unit scale, two values a second."""
        count = max(1, round(RATE_HZ * recording.duration_s))
        arousal = 1 + self._level.extract(recording, count, modality)[:, 0].astype(np.float64)
        return Trajectory(np.stack([np.full(count, 0.5), arousal], axis=1), ("valence", "arousal"), "unit", RATE_HZ)


def open_loudness(setup: JudgeSetup) -> LoudnessJudge:
    """Louder is more aroused, and nothing is known of valence."""
    # A judge with weights loads them onto `setup.device`, from or into `setup.cache_dir`. One that takes arguments is a
    # class with a dataclass `Arguments`, made as `Class(arguments, setup)`.
    del setup
    return LoudnessJudge()
