"""How the embedded default replies: by a stated rule from the emotion that it hears and sees, in a made voice."""

from __future__ import annotations

from typing import Literal

import numpy as np

from avemo_harness.benchmark.request import Response, Speech
from avemo_harness.build.affect import NEUTRAL, PLACES, AffectPath
from avemo_harness.build.speakers import Speaker
from avemo_harness.build.voice import RATE, VoiceHabits, control_times, speak

Rule = Literal["mirror", "balance", "neutral"]
Place = tuple[float, float]
"""Valence and arousal on the unit scale [0, 1], 0.5 = neutral."""

TEXT = "I see. Thank you for telling me. Tell me more about it."
LENGTH_S = 2.6

_VOICE = Speaker.draw("assistant", 99)
_HABITS = VoiceHabits(level_db=0, pitch_semitones=0, brightness_db=0, tempo=1, liveliness=1, noise_db=-60)
_UNPLEASANT, _EXCITED = 0.46, 0.67
_MORE_PLEASANT, _CALMER = 0.17, 0.08


def heard_place(probabilities: dict[str, float]) -> Place:
    """Where the speaker's emotion is expected to be: the emotions' places, weighted by their probabilities.

    >>> heard_place({"neutral": 1.0})
    (0.5, 0.5)
    """
    valence = sum(PLACES[name][0] * share for name, share in probabilities.items())
    arousal = sum(PLACES[name][1] * share for name, share in probabilities.items())
    return valence, arousal


def reply_place(rule: Rule, heard: Place) -> Place:
    """Where the reply's voice goes.

    ``mirror``: where the speaker is. ``balance``: 0.11 more pleasant than a speaker below 0.46, 0.05 calmer than one
    above 0.67, else where the speaker is. ``neutral``: nowhere.

    >>> [round(x, 2) for x in reply_place("balance", (0.2, 0.8))]
    [0.31, 0.75]
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
    affect = path.at(control_times(LENGTH_S), 0.8)
    speech = speak(TEXT, _VOICE, affect, _HABITS, np.random.default_rng(seed))
    return Response(text=TEXT, speech=Speech(speech.samples, RATE))
