"""Built-in backends: a template writer, the formant voice and the cartoon face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from avemo_harness import media
from avemo_harness.benchmark.origin import BUILTIN_FACE, BUILTIN_VOICE
from avemo_harness.data.pipeline.backends import (
    EmotionInput,
    Script,
    ScriptLine,
    ScriptRequest,
    SpeechAudio,
    Utterance,
    seed_of,
)
from avemo_harness.data.synthesis.affect import ASSISTANT_INTENSITY, Affect, Floats, Speaker
from avemo_harness.data.synthesis.clips import GENERATOR_VERSION, ClipSpec, draw_clip, make_speech, rated_affect
from avemo_harness.data.synthesis.face import FPS
from avemo_harness.data.synthesis.planning import draw_frames, draw_sentence_length, emotion_of, role_of
from avemo_harness.data.synthesis.sentences import Situation
from avemo_harness.data.synthesis.voice import RATE

WRITER_VERSION = 1
"""Raised whenever equal requests begin to give other dialogues."""

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


@dataclass(frozen=True)
class NoArguments:
    """Arguments of a tool without settings."""


class BuiltinWriter:
    """Fills templates of everyday sentences."""

    Arguments = NoArguments

    def __init__(self, arguments: NoArguments) -> None:
        del arguments

    def identity(self) -> Mapping[str, str]:
        return {"tool": "builtin writer", "version": str(WRITER_VERSION)}

    def write(self, request: ScriptRequest) -> Script:
        """Write a dialogue: words drawn by seed and topic alone, styles by the take too."""
        words = np.random.default_rng([request.seed, request.topic])
        styles = np.random.default_rng([request.seed, request.topic, request.take, 1])
        lines = []
        for turn, text in enumerate(Situation.draw(words).talk(request.turns, words)):
            emotion = emotion_of(turn, request.emotions)
            lines.append(ScriptLine(role_of(turn), text, emotion, _style(emotion, styles)))
        return Script(tuple(lines))


def _style(emotion: str, rng: np.random.Generator) -> str:
    return _STYLES[emotion][rng.integers(len(_STYLES[emotion]))]


CLIPS_VERSION = 1
_INTENSITY = (0.35, 1.0)
"""Range of how much of an emotion a voice and a face show; drawn for each by itself."""
_WINDOW_S = 0.03


class BuiltinSpeech:
    """Speaks without words."""

    Arguments = NoArguments

    def __init__(self, arguments: NoArguments) -> None:
        del arguments

    def identity(self) -> Mapping[str, str]:
        return {"tool": BUILTIN_VOICE, "version": f"{CLIPS_VERSION}.{GENERATOR_VERSION}"}

    def speak(self, utterance: Utterance) -> SpeechAudio:
        """The sound of an utterance, decided by its text, emotion, speaker and seed."""
        return SpeechAudio(make_speech(clip_spec(utterance)).samples.astype(np.float32), RATE)


class BuiltinFace:
    """Draws a face in the utterance's emotion, whose mouth follows the loudness of any voice."""

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
        return {"tool": BUILTIN_FACE, "version": f"{CLIPS_VERSION}.{GENERATOR_VERSION}", "side": str(self._side)}

    def animate(self, utterance: Utterance, speech: SpeechAudio) -> bytes:
        """The video of an utterance."""
        frames = max(2, round(speech.duration_s * FPS))
        spec = clip_spec(utterance, frames, self._side)
        samples = media.resample(speech.samples, speech.rate_hz, RATE)
        pictures = draw_clip(spec, mouth_opening(samples, frames))
        return media.encode_clip(pictures, samples, fps=FPS, rate=RATE)


def clip_spec(utterance: Utterance, frames: int | None = None, side: int = 176) -> ClipSpec:
    """The generator's specification of a clip; `frames` of the picture are by default those of the built-in voice."""
    line = utterance.line
    rng = np.random.default_rng([utterance.seed, 7])
    intensities = rng.uniform(*_INTENSITY, 2) if line.role == "user" else np.full(2, ASSISTANT_INTENSITY)
    if frames is None:
        sentence = np.random.default_rng(seed_of(line.text, 8))
        frames = draw_frames(draw_sentence_length(sentence), rng)
    return ClipSpec(
        text=line.text,
        speaker=Speaker.draw(utterance.speaker.speaker_id, utterance.speaker.number),
        emotion=line.emotion,
        frames=frames,
        audio_intensity=float(intensities[0]),
        video_intensity=float(intensities[1]),
        seed=utterance.seed,
        side=side,
    )


def affect_of(utterance: Utterance, duration_s: float) -> Affect:
    """Valence and arousal that the built-in voice and face follow, as a release stores them."""
    return rated_affect(clip_spec(utterance, frames=max(2, round(duration_s * FPS))))


def mouth_opening(samples: media.Samples, frames: int) -> Floats:
    """Opening of a mouth that speaks a sound at 16 kHz, at every frame, in [0, 1]: the smoothed loudness."""
    width = round(_WINDOW_S * RATE)
    power = np.convolve(samples.astype(np.float64) ** 2, np.full(width, 1 / width), "same")
    middles = np.minimum((np.arange(frames) + 0.5) / FPS * RATE, len(samples) - 1).astype(int)
    loudness = np.sqrt(power[middles])
    loudest = np.quantile(loudness, 0.95)
    return np.clip(loudness / loudest, 0, 1) if loudest > 0 else np.zeros(frames)
