"""Durations and levels by emotion, and whether either alone tells the emotion.

Voices do get louder and faster with emotion, so this is no defect. But a model may be right for that reason alone, and
a duration stays under every condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.build.checks.base import Finding
from avemo_harness.build.checks.guessing import Guess, guess_emotions, planted, tell_part, tell_too_few
from avemo_harness.build.checks.material import LabelledClip, Material


@dataclass(frozen=True, slots=True)
class Spread:
    """Of the clips of one emotion: mean and standard deviation, smallest and largest."""

    emotion: str
    n: int
    mean: float
    deviation: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class GiveawayDetails:
    """A table, and how well emotions are guessed from its numbers.

    Args:
        unit: of the table.
        control: how well they are guessed once a difference of one standard deviation is put in; None as for `guess`.
    """

    unit: str
    table: tuple[Spread, ...]
    guess: Guess | None
    control: Guess | None


def check_durations(material: Material) -> Finding:
    """Seconds by emotion."""
    clips = list(material.labelled())
    lengths = [max(one.facts.sound_s or 0.0, one.facts.video_s or 0.0) for one in clips]
    return _giveaway(material, "durations", "s", clips, lengths)


def check_loudness(material: Material) -> Finding:
    """Levels of speech by emotion."""
    clips = [one for one in material.labelled() if one.facts.level_dbfs is not None]
    return _giveaway(material, "loudness", "dBFS", clips, [one.facts.level_dbfs or 0.0 for one in clips])


def _giveaway(
    material: Material, name: str, unit: str, clips: Sequence[LabelledClip], values: Sequence[float]
) -> Finding:
    emotions, speakers = [one.emotion for one in clips], [one.speaker for one in clips]
    table = tuple(
        _spread(label, [value for one, value in zip(emotions, values, strict=True) if one == label])
        for label in EMOTIONS
        if label in emotions
    )
    guess = control = None
    if values:
        rows = np.array(values, dtype=np.float64)[:, None]
        guess = guess_emotions(rows, emotions, speakers)
        control = guess_emotions(planted(rows, emotions), emotions, speakers)
    details = GiveawayDetails(unit, table, guess, control)
    means = ", ".join(f"{one.emotion} {one.mean:.1f}" for one in table) + f" {unit}"
    if guess is None or control is None:
        few = tell_too_few(speakers)
        return Finding(name, material.config, "cannot tell", f"{means}: {few}" if table else few, details)
    if guess.tells:
        return Finding(name, material.config, "warn", f"{means}: the emotion is guessed from it: {guess}", details)
    if not control.tells:
        why = f"{means}: {guess.n:,} clips are too few to notice a difference of a standard deviation"
        return Finding(name, material.config, "cannot tell", why, details)
    if part := tell_part(guess.n, len(clips) + material.unread()):
        return Finding(name, material.config, "cannot tell", f"{means}: {part}", details)
    return Finding(name, material.config, "pass", f"{means}: guessed with {guess}", details)


def _spread(label: str, values: Sequence[float]) -> Spread:
    return Spread(
        label,
        len(values),
        round(float(np.mean(values)), 3),
        round(float(np.std(values)), 3),
        round(min(values), 3),
        round(max(values), 3),
    )
