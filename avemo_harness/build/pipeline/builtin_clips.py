"""The built-in voice and face as tools of a build. Both follow the utterance's path of valence and arousal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from avemo_harness import media
from avemo_harness.build.affect import Affect, Floats
from avemo_harness.build.clips import GENERATOR_VERSION, ClipSpec, draw_clip, make_speech, rated_affect
from avemo_harness.build.face import FPS
from avemo_harness.build.pipeline.backends import EmotionInput, Shot, Sound, Utterance
from avemo_harness.build.speakers import Speaker
from avemo_harness.build.voice import RATE

VERSION = 1
_LENGTH_S, _SPREAD_S = (2.4, 2.8), 0.4
"""A sentence has a length, and each recording of it differs from that by at most the spread, whatever the emotion."""
_INTENSITY = (0.35, 1.0)
"""Range of how much of an emotion a voice and a face show; drawn for each by itself."""
_ASSISTANT_INTENSITY = 0.6
_WINDOW_S = 0.03


class BuiltinSpeech:
    """Speaks without words."""

    @dataclass(frozen=True)
    class Arguments:
        """There are none."""

    def __init__(self, arguments: Arguments) -> None:
        del arguments

    def identity(self) -> Mapping[str, str]:
        return {"tool": "builtin voice", "version": f"{VERSION}.{GENERATOR_VERSION}"}

    def speak(self, utterance: Utterance) -> Sound:
        """The sound of an utterance, decided by its text, emotion, speaker and seed."""
        return Sound(make_speech(clip_spec(utterance)).samples.astype(np.float32), RATE)


class BuiltinFace:
    """Draws a face that feels as the utterance says and opens its mouth as the sound does, whoever speaks."""

    emotion_input: EmotionInput = "label"

    @dataclass(frozen=True)
    class Arguments:
        """
        Args:
            side: width and height of the picture in pixels, even.
        """

        side: int = 176

    def __init__(self, arguments: Arguments) -> None:
        self._side = arguments.side

    def identity(self) -> Mapping[str, str]:
        return {"tool": "builtin face", "version": f"{VERSION}.{GENERATOR_VERSION}", "side": str(self._side)}

    def animate(self, shot: Shot) -> bytes:
        """The video of an utterance."""
        frames = max(2, round(shot.sound.duration_s * FPS))
        spec = clip_spec(shot.utterance, frames, self._side)
        samples = media.resample(shot.sound.samples, shot.sound.rate_hz, RATE)
        pictures = draw_clip(spec, mouth_opening(samples, frames))
        return media.encode_clip(pictures, samples, fps=FPS, rate=RATE)


def clip_spec(utterance: Utterance, frames: int | None = None, side: int = 176) -> ClipSpec:
    """What the generator is asked for.

    Args:
        frames: of the picture; by default those of the built-in voice.
    """
    line, character = utterance.line, utterance.character
    rng = np.random.default_rng([utterance.seed, 7])
    intensities = rng.uniform(*_INTENSITY, 2) if line.role == "user" else np.full(2, _ASSISTANT_INTENSITY)
    sentence = np.random.default_rng(int.from_bytes(sha256(line.text.encode()).digest()[:8], "big"))
    length_s = sentence.uniform(*_LENGTH_S) + rng.uniform(-_SPREAD_S, _SPREAD_S)
    return ClipSpec(
        text=line.text,
        speaker=Speaker.draw(character.speaker_id, character.number),
        emotion=line.emotion,
        frames=round(length_s * FPS) if frames is None else frames,
        audio_intensity=float(intensities[0]),
        video_intensity=float(intensities[1]),
        seed=utterance.seed,
        side=side,
    )


def affect_of(utterance: Utterance, duration_s: float) -> Affect:
    """Valence and arousal that the built-in voice and face follow, as a release stores them."""
    return rated_affect(clip_spec(utterance, frames=max(2, round(duration_s * FPS))))


def mouth_opening(samples: media.Samples, frames: int) -> Floats:
    """How far a mouth opens with a sound at 16 kHz, at every frame, in [0, 1]: its loudness, smoothed."""
    width = round(_WINDOW_S * RATE)
    power = np.convolve(samples.astype(np.float64) ** 2, np.full(width, 1 / width), "same")
    places = np.minimum((np.arange(frames) + 0.5) / FPS * RATE, len(samples) - 1).astype(int)
    loudness = np.sqrt(power[places])
    loudest = np.quantile(loudness, 0.95)
    opening: Floats = np.clip(loudness / loudest, 0, 1) if loudest > 0 else np.zeros(frames)
    return opening
