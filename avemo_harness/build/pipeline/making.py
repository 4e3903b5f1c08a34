"""How the unit of each stage is made from a tool and its inputs; these functions run in workers."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from avemo_harness import media
from avemo_harness.build.face import FPS
from avemo_harness.build.pipeline.backends import (
    Brief,
    DialogueBackend,
    FaceBackend,
    Line,
    Script,
    Shot,
    Sound,
    SpeechBackend,
    Utterance,
)
from avemo_harness.build.pipeline.builtin_clips import BuiltinFace
from avemo_harness.build.pipeline.workers import Facts, Files
from avemo_harness.build.voice import RATE
from avemo_harness.errors import BuildError, MediaError

STAGE_VERSIONS = {"dialogue": 1, "speech": 1, "face": 1, "sound": 1}
"""Raised whenever equal inputs begin to give another unit."""


def write_script(writer: DialogueBackend, brief: Brief) -> tuple[Files, Facts]:
    """A dialogue as JSON."""
    script = writer.write(brief)
    emotions = tuple(line.emotion for line in script.lines if line.role == "user")
    if len(script.lines) != brief.turns or emotions != brief.emotions:
        raise BuildError(f"{brief.script_id}: the dialogue that was written is not the one that was asked for")
    content = {"lines": [asdict(line) for line in script.lines], "written_by": script.written_by}
    return {"script.json": json.dumps(content, sort_keys=True).encode()}, {"written_by": script.written_by}


def read_script(data: bytes) -> Script:
    """The dialogue that `write_script` made."""
    content = json.loads(data)
    return Script(tuple(Line(**line) for line in content["lines"]), content["written_by"])


def speak_utterance(speech: SpeechBackend, utterance: Utterance) -> tuple[Files, Facts]:
    """The sound of an utterance as WAV."""
    sound = speech.speak(utterance)
    if not len(sound.samples) or not np.isfinite(sound.samples).all() or not sound.samples.any():
        raise BuildError(f"{utterance.unit_id}: the voice gave no sound")
    return {"speech.wav": media.write_wave(sound.samples, sound.rate_hz)}, {"duration_s": round(sound.duration_s, 4)}


def animate_utterance(face: FaceBackend, utterance: Utterance, speech: Path) -> tuple[Files, Facts]:
    """The clip of a user's utterance: h264 at 25 frames a second, AAC at 16 kHz, both equally long."""
    samples = _at_rate(speech)
    frames = max(2, round(len(samples) / RATE * FPS))
    samples = _fitted(samples, frames * RATE // FPS)
    clip = face.animate(Shot(utterance, Sound(samples, RATE)))
    if not isinstance(face, BuiltinFace):
        clip = _normalised(utterance, clip, samples, frames)
    return {"clip.mp4": clip}, {"duration_s": round(frames / FPS, 4)}


def encode_utterance(speech: Path) -> tuple[Files, Facts]:
    """The clip of an assistant's utterance: sound alone."""
    samples = _at_rate(speech)
    return {"clip.mp4": media.encode_sound(samples, RATE)}, {"duration_s": round(len(samples) / RATE, 4)}


def _at_rate(speech: Path) -> media.Samples:
    samples, rate = media.read_wave(speech.read_bytes())
    return media.resample(samples, rate, RATE)


def _fitted(samples: media.Samples, count: int) -> media.Samples:
    return np.pad(samples[:count], (0, max(0, count - len(samples))))


def _normalised(utterance: Utterance, clip: bytes, samples: media.Samples, frames: int) -> bytes:
    try:
        pixels = media.decode_frames(clip, fps=FPS).pixels[:frames]
        even = pixels[:, : pixels.shape[1] // 2 * 2, : pixels.shape[2] // 2 * 2]
        held = np.concatenate([even, np.repeat(even[-1:], frames - len(even), axis=0)])
        return media.encode_clip(held, samples, fps=FPS, rate=RATE)
    except MediaError as error:
        raise BuildError(f"{utterance.unit_id}: the video of its face cannot be used ({error})") from error
