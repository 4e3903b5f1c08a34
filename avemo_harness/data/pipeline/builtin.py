"""Built-in backends: a template writer, the formant voice and the cartoon face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from avemo_harness import media
from avemo_harness.data.pipeline.backends import (
    EmotionInput,
    Script,
    ScriptLine,
    ScriptRequest,
    SpeechAudio,
    SpokenUtterance,
    Utterance,
)
from avemo_harness.data.synthesis.affect import Affect, Floats, Speaker
from avemo_harness.data.synthesis.clips import GENERATOR_VERSION, ClipSpec, draw_clip, make_speech, rated_affect
from avemo_harness.data.synthesis.face import FPS
from avemo_harness.data.synthesis.sentences import Situation
from avemo_harness.data.synthesis.voice import RATE

WRITER_VERSION = 1
"""Raised whenever equal briefs begin to give other dialogues."""

_STYLES = {
    "neutral": (
        "even and matter-of-fact, at a steady pace",
        "plain, as when reading a list, the pitch level",
        "quiet and unhurried, without stress on any word",
    ),
    "happy": (
        "bright and quick, the pitch rising",
        "warm and lively, with a smile in the voice",
        "light and playful, a little louder than usual",
    ),
    "angry": (
        "loud and clipped, with hard consonants",
        "tense and fast, stressing every other word",
        "sharp, through clenched teeth, the pitch low",
    ),
    "sad": (
        "slow and soft, the pitch falling",
        "low and breathy, with long pauses",
        "faint and heavy, trailing off at the end",
    ),
}
_REPLY_EMOTIONS = {"neutral": "neutral", "happy": "happy", "angry": "neutral", "sad": "neutral"}
"""The assistant shares joy and stays even otherwise."""


class BuiltinWriter:
    """Fills templates of everyday sentences."""

    @dataclass(frozen=True)
    class Arguments:
        """There are none."""

    def __init__(self, arguments: Arguments) -> None:
        del arguments

    def identity(self) -> Mapping[str, str]:
        return {"tool": "builtin writer", "version": str(WRITER_VERSION)}

    def write(self, brief: ScriptRequest) -> Script:
        """The dialogue of a brief: words drawn by seed and topic alone, styles by the take too."""
        words = np.random.default_rng([brief.seed, brief.topic])
        manner = np.random.default_rng([brief.seed, brief.topic, brief.take, 1])
        situation = Situation.draw(words)
        lines = []
        for turn in range(brief.turns):
            heard = brief.emotions[turn // 2]
            if turn % 2:
                emotion = _REPLY_EMOTIONS[heard]
                lines.append(ScriptLine("assistant", situation.reply(words), emotion, _style(emotion, manner)))
            else:
                text = situation.sequel(words) if turn else situation.opening(words)
                lines.append(ScriptLine("user", text, heard, _style(heard, manner)))
        return Script(tuple(lines))


def _style(emotion: str, rng: np.random.Generator) -> str:
    return _STYLES[emotion][rng.integers(len(_STYLES[emotion]))]


CLIPS_VERSION = 1
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
        return {"tool": "builtin voice", "version": f"{CLIPS_VERSION}.{GENERATOR_VERSION}"}

    def speak(self, utterance: Utterance) -> SpeechAudio:
        """The sound of an utterance, decided by its text, emotion, speaker and seed."""
        return SpeechAudio(make_speech(clip_spec(utterance)).samples.astype(np.float32), RATE)


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
        return {"tool": "builtin face", "version": f"{CLIPS_VERSION}.{GENERATOR_VERSION}", "side": str(self._side)}

    def animate(self, shot: SpokenUtterance) -> bytes:
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
