"""How the embedded default replies: by a stated rule from the valence and arousal that it follows, in a made voice."""

from __future__ import annotations

from typing import Literal

import numpy as np

from avemo_harness.benchmark.request import Response, Speech
from avemo_harness.build.affect import NEUTRAL, AffectPath
from avemo_harness.build.speakers import Speaker
from avemo_harness.build.voice import RATE, VoiceHabits, control_times, speak
from avemo_harness.metrics.trajectory import Trajectory

Rule = Literal["mirror", "balance", "neutral"]
Place = tuple[float, float]
"""Valence and arousal on the unit scale [0, 1], 0.5 = neutral."""

TEXT = "I see. Thank you for telling me. Tell me more about it."
LENGTH_S = 2.6

_VOICE = Speaker.draw("assistant", 6)
"""One of the demo's train part: the embedded judge's errors about strangers' voices would drown the rules."""
_INTENSITY = 0.9
_HABITS = VoiceHabits(level_db=0, pitch_semitones=0, brightness_db=0, tempo=1, liveliness=1, noise_db=-60)
_UNPLEASANT, _EXCITED = 0.46, 0.67
_MORE_PLEASANT, _CALMER = 0.17, 0.09


def heard_place(heard: Trajectory) -> Place:
    """Where the speaker is on average once past the first half second, in which expressions only begin.

    >>> heard_place(Trajectory(np.array([[0.5, 0.5], [0.2, 0.7], [0.2, 0.9]]), ("valence", "arousal"), "unit", 2.0))
    (0.2, 0.8)
    """
    valence, arousal = (heard.column(name) for name in ("valence", "arousal"))
    begun = min(1, len(heard) - 1)
    return float(valence[begun:].mean()), float(arousal[begun:].mean())


def reply_place(rule: Rule, heard: Place) -> Place:
    """Where the reply's voice goes.

    ``mirror``: where the speaker is. ``balance``: 0.17 more pleasant than a speaker below 0.46, 0.09 calmer than one
    above 0.67, else where the speaker is; about half more than what counts as perfect balance, for a judge that hears
    less than is there. ``neutral``: nowhere.

    >>> [round(x, 2) for x in reply_place("balance", (0.2, 0.8))]
    [0.37, 0.71]
    """
    if rule == "neutral":
        return NEUTRAL, NEUTRAL
    valence, arousal = heard
    if rule == "balance":
        valence += _MORE_PLEASANT * (valence < _UNPLEASANT)
        arousal -= _CALMER * (arousal > _EXCITED)
    return valence, arousal


def reply_path(rule: Rule, heard: Place) -> AffectPath:
    """The path of the reply's voice: from neutral to its place, where it stays."""
    return AffectPath(*reply_place(rule, heard), wander_hz=(0.0, 0.0), wander_phase=(0.0, 0.0))


def spoken_reply(path: AffectPath, seed: int) -> Response:
    """Say the reply along a path; the same for every speaker but for how it is said."""
    affect = path.at(control_times(LENGTH_S), _INTENSITY)
    speech = speak(TEXT, _VOICE, affect, _HABITS, np.random.default_rng(seed))
    return Response(text=TEXT, speech=Speech(speech.samples, RATE))
