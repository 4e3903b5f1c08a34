"""Whether what a condition takes away still shows: the noise alone, the first frame alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from avemo_harness.build.checks.base import Finding
from avemo_harness.build.checks.guessing import Guess, guess_emotions, tell_part, tell_too_few
from avemo_harness.build.checks.material import Material
from avemo_harness.build.checks.traces import ConditionTraces
from avemo_harness.recognizers.logistic import Floats


@dataclass(frozen=True, slots=True)
class LeakDetails:
    """How well emotions are guessed from what is left, and from the positive control; None where there is too little.

    Args:
        control: from the same numbers of something that does show the emotion. Unless that is told, nothing is known.
    """

    left: Guess | None
    control: Guess | None


def check_noise(material: Material) -> Finding:
    """Whether the noise that replaces speech under video_only tells the emotion; the control is the voice itself."""
    return _leak(material, "noise alone", "the voice", lambda traces: (traces.noise, traces.voice))


def check_first_frame(material: Material) -> Finding:
    """Whether the frame that audio_only repeats tells the emotion; the control is the frame in the clip's middle."""
    return _leak(
        material, "first frame alone", "a frame in the middle", lambda traces: (traces.still, traces.later_frame)
    )


def _leak(
    material: Material, name: str, control_name: str, rows_of: Callable[[ConditionTraces], tuple[Floats, Floats]]
) -> Finding:
    clips = [(one, one.facts.traces) for one in material.labelled() if one.facts.traces is not None]
    emotions, speakers = [one.emotion for one, _ in clips], [one.speaker for one, _ in clips]
    left = control = None
    if clips:
        rows, control_rows = zip(*(rows_of(traces) for _, traces in clips), strict=True)
        left = guess_emotions(np.stack(rows), emotions, speakers)
        control = guess_emotions(np.stack(control_rows), emotions, speakers)
    details = LeakDetails(left, control)
    if left is None or control is None:
        return Finding(name, material.config, "cannot tell", tell_too_few(speakers), details)
    if left.tells:
        return Finding(name, material.config, "fail", f"the emotion is guessed from it: {left}", details)
    if not control.tells:
        why = f"{left.n:,} clips do not even tell it from {control_name}: {control}"
        return Finding(name, material.config, "cannot tell", why, details)
    if part := tell_part(left.n, len(clips) + material.unread()):
        return Finding(name, material.config, "cannot tell", part, details)
    summary = f"guessed with {left}; from {control_name} with {control.accuracy:.2f}"
    return Finding(name, material.config, "pass", summary, details)
