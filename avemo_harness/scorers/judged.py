"""What a recogniser says of a user's turn and of the spoken reply to it, as scorers see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from avemo_harness.metrics.profiles import Calibration
from avemo_harness.metrics.trajectory import Dimension, Trajectory

UserView = Literal["audio_video", "audio", "video"]
"""What a user's turn was judged by."""


@dataclass(frozen=True, slots=True)
class Judge:
    """The recogniser that judged a run.

    Args:
        name: how the user calls it.
        digest: of everything that decides its judgements.
        calibration: its own thresholds, where it has any; see `no_calibration`.
        rmse: its error for sound and face together, by dimension, on the unit scale; empty where unknown.
        card: what it was trained on and how far it can be trusted; JSON-ready.
        embedded: it is the built-in one, whose scores mean something on the demo alone.
    """

    name: str
    digest: str
    calibration: Calibration | None = None
    rmse: Mapping[Dimension, float] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)
    embedded: bool = False

    @property
    def no_calibration(self) -> str | None:
        """Why replies cannot be scored under the profile `calibrated`; None where they can."""
        if self.calibration is None:
            reason = self.card.get("no_calibration")
            return "the recogniser has no calibration" + (f": {reason}" if reason else "")
        problem = self.calibration.problem()
        return f"the recogniser's calibration cannot be used: {problem}" if problem else None


@dataclass(frozen=True, slots=True)
class Judged:
    """One item's judgement.

    Args:
        user: the user's turn, by all streams that its recording has.
        user_audio: the user's turn by its sound alone; None where it has none.
        reply: the spoken answer; None where there is nothing to judge.
        why: what keeps a reply from being judged: ``empty`` or ``silent``; None where nothing does.
        place: which of its dialogue's user turns the item asks about, from 0 on.
        has_reference: the release holds an answer to the same turn.
        user_view: what `user` was judged by; None where there is no such trajectory, or it was not noted yet.
        n_clipped: values of the three trajectories that lay a little off the scale and were clipped.
        error: why the item could not be judged; such an item is counted and never scored.
    """

    judge: Judge
    user: Trajectory | None = None
    user_audio: Trajectory | None = None
    reply: Trajectory | None = None
    why: str | None = None
    place: int = 0
    has_reference: bool = False
    error: str | None = None
    user_view: UserView | None = None
    n_clipped: int = 0
