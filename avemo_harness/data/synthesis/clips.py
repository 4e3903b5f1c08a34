"""Synthetic clips: a specification in, the bytes of an MP4 out, deterministically."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.data.synthesis.affect import Affect, AffectPath, Floats, Speaker
from avemo_harness.data.synthesis.face import FPS, FaceVariation, draw_face
from avemo_harness.data.synthesis.voice import CONTROL_HZ, RATE, Speech, VoiceVariation, control_times, speak

GENERATOR_VERSION = 1
"""Raised whenever equal specifications begin to give other clips."""

_PATH, _VOICE, _FACE, _SPEECH = range(4)
"""Separate streams of random numbers, so that changing one part of a clip leaves the others as they are."""


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """Everything that decides a clip.

    Args:
        text: what is said; decides the sounds, not the emotion.
        emotion: where valence and arousal go: neutral, happy, angry or sad.
        frames: length at 25 a second.
        audio_intensity, video_intensity: how much of the emotion voice and face show, in [0, 1].
        seed: of everything else that differs between two recordings.
        side: width and height of the picture in pixels, even.
    """

    text: str
    speaker: Speaker
    emotion: str
    frames: int
    audio_intensity: float
    video_intensity: float
    seed: int
    side: int = 176

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / FPS


def affect_path(spec: ClipSpec) -> AffectPath:
    """The path of valence and arousal that the clip follows."""
    return AffectPath.draw(spec.emotion, _rng(spec, _PATH))


def rated_affect(spec: ClipSpec) -> Affect:
    """The clip's valence and arousal as a release stores them, 2 a second."""
    return affect_path(spec).rated(spec.duration_s)


def make_clip(spec: ClipSpec) -> bytes:
    """Make the video with its sound: MP4, h264 and AAC."""
    speech = make_speech(spec)
    frames = draw_clip(spec, speech.opening[:: CONTROL_HZ // FPS][: spec.frames])
    return media.encode_clip(frames, speech.samples, fps=FPS, rate=RATE)


def draw_clip(spec: ClipSpec, opening: Floats) -> Iterator[NDArray[np.uint8]]:
    """The pictures of a clip, RGB, uint8 (side, side, 3).

    Args:
        opening: of the mouth at every frame, in [0, 1].
    """
    habits = FaceVariation.draw(spec.frames, _rng(spec, _FACE))
    affect = affect_path(spec).at(np.arange(spec.frames) / FPS, spec.video_intensity)
    return draw_face(spec.speaker, affect, opening, habits, spec.side)


def make_sound_clip(spec: ClipSpec) -> bytes:
    """Make the sound alone: MP4, AAC."""
    return media.encode_sound(make_speech(spec).samples, RATE)


def make_speech(spec: ClipSpec) -> Speech:
    """The sound of a clip, with how the mouth opens."""
    affect = affect_path(spec).at(control_times(spec.duration_s), spec.audio_intensity)
    habits = VoiceVariation.draw(_rng(spec, _VOICE))
    return speak(spec.text, spec.speaker, affect, habits, _rng(spec, _SPEECH))


def _rng(spec: ClipSpec, stream: int) -> np.random.Generator:
    return np.random.default_rng([spec.seed, stream])
