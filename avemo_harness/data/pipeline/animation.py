"""Face backend: a command that animates portraits, and the check that its video is a talking face."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avemo_harness import media
from avemo_harness.data.pipeline.backends import EmotionInput, Portrait, SpeechAudio, Utterance
from avemo_harness.data.pipeline.command import Command, CommandArguments, require_each_emotion
from avemo_harness.data.pipeline.speech import SILENCE_PEAK
from avemo_harness.errors import BuildError, MediaError, UsageError, first_line
from avemo_harness.media import DEFAULT_LIMITS
from avemo_harness.media.reader import open_media

SLACK_FRAMES = 3
"""Frames by which a video may be shorter or longer than the voice."""
LEAST_MOTION = 1.0
"""Grey levels, of 255, by which the liveliest twentieth of a small picture changes from frame to frame.

Talking faces change by 4 to 10 on average and by more than 2 in each second, still pictures by less than 0.1.
"""
_SIDE = 64


def check_talking_face(clip: bytes, duration_s: float, fps: float, min_side: int) -> None:
    """Refuse a video that is not the talking face of a voice.

    Args:
        duration_s: of the voice.
        fps, min_side: frames a second, and least width and height in pixels, as declared of the tool.

    Raises:
        MediaError: it does not decode to its end, has not exactly one video stream, another size, rate or length,
            sound that is silent, or a picture that stands still.
    """
    with open_media(clip, DEFAULT_LIMITS) as opened:
        streams, info = len(opened.container.streams.video), opened.info
    if streams != 1 or info.video is None:
        raise MediaError(f"it has {streams} video streams, expected is one")
    video = info.video
    if abs(video.fps - fps) > 0.01:
        raise MediaError(f"it has {video.fps:g} frames a second, declared are {fps:g}")
    if min(video.width, video.height) < min_side:
        raise MediaError(f"it has {video.width}x{video.height} pixels, each side must have {min_side} at least")
    if abs(video.duration_s - duration_s) > (SLACK_FRAMES + 1e-3) / fps:
        raise MediaError(
            f"it lasts {video.duration_s:.2f} s and the voice {duration_s:.2f} s, more than {SLACK_FRAMES} frames apart"
        )
    if info.sound is not None and np.abs(media.decode_sound(clip)).max() < SILENCE_PEAK:
        raise MediaError("its sound is silent; give a tool that keeps the voice, or none at all")
    moving = _moving_share(clip)
    if moving < 0.5:
        raise MediaError(f"its picture moves in {moving:.0%} of its seconds: it is no talking face")


def _moving_share(clip: bytes) -> float:
    """Share of the seconds of a video in which its picture moves; it is decoded to its end."""
    frames = media.decode_frames(clip, size=(_SIDE, _SIDE))
    grey = frames.pixels.astype(np.float32).mean(axis=3).reshape(len(frames.pixels), -1)
    changes = np.abs(np.diff(grey, axis=0))
    if not len(changes):
        return 0.0
    seconds = np.array_split(changes, max(1, round(len(changes) / frames.fps)))
    liveliest = [np.sort(second.mean(axis=0))[-(_SIDE**2) // 20 :].mean() for second in seconds]
    return float(np.mean([change >= LEAST_MOTION for change in liveliest]))


FACE_PLACEHOLDERS = ("in.wav", "in.png", "text", "style", "emotion", "style_clip", "seed")
_EMOTION_PLACEHOLDERS = {"label": "emotion", "style_clip": "style_clip", "text": "style"}
"""The placeholder by which an emotion reaches a face; the words of an utterance tell none."""


class CommandFace:
    """Animates portraits by a command that writes a video to {out.mp4}.

    Its arguments may hold {in.wav}, the voice as 16-bit WAV; {in.png}, the portrait; {emotion}, {style}, {text} and
    {seed} of the utterance; and {style_clip}, a file that shows its emotion.
    """

    @dataclass(frozen=True)
    class Arguments(CommandArguments):
        """Those of every command, and properties of its videos.

        Args:
            style_clips: a file for each emotion, such as the 3DMM coefficients of DreamTalk; absolute or below `cwd`.
            min_side: width and height in pixels, at least.
        """

        emotion_input: EmotionInput = "none"
        style_clips: Mapping[str, str] = field(default_factory=dict)
        fps: float = 25.0
        min_side: int = 224

    def __init__(self, arguments: Arguments) -> None:
        self._arguments, self.emotion_input = arguments, arguments.emotion_input
        self._command = Command(arguments, FACE_PLACEHOLDERS, "out.mp4")
        self._command.require("in.wav", "the voice that the face speaks with")
        if arguments.emotion_input != "none":
            shows = _EMOTION_PLACEHOLDERS[arguments.emotion_input]
            self._command.require(shows, f"and emotion_input: {arguments.emotion_input} is declared")
        if "style_clip" in self._command.placeholders and not arguments.style_clips:
            raise UsageError("style_clips: argv holds {style_clip}; name a file for each emotion")
        if arguments.style_clips:
            require_each_emotion("style_clips", arguments.style_clips)
        self._clip_digests = {
            emotion: self._clip_digest(emotion, path) for emotion, path in sorted(arguments.style_clips.items())
        }

    def identity(self) -> Mapping[str, str]:
        """The tool and how it is called, with the digests of its style clips."""
        arguments = self._arguments
        return {
            **self._command.identity(),
            "emotion_input": arguments.emotion_input,
            "style_clips": json.dumps(self._clip_digests),
            "fps": str(arguments.fps),
            "min_side": str(arguments.min_side),
        }

    def animate(self, utterance: Utterance, speech: SpeechAudio) -> bytes:
        """The video of an utterance; raises a BuildError where the tool fails or gives no talking face."""
        unit, line = utterance.unit_id, utterance.line
        files = {"in.wav": media.write_wave(speech.samples, speech.rate_hz)}
        values = {
            "text": line.text,
            "style": line.style,
            "emotion": self._command.emotion(line.emotion),
            "seed": str(utterance.seed % 2**31),
        }
        if "in.png" in self._command.placeholders:
            files["in.png"] = _png(unit, utterance.speaker.portrait)
        if "style_clip" in self._command.placeholders:
            values["style_clip"] = self._arguments.style_clips[line.emotion]
        return self._command.make(unit, files, values, lambda path: self._read(path, speech.duration_s))

    def _read(self, path: Path, duration_s: float) -> bytes:
        clip = path.read_bytes()
        check_talking_face(clip, duration_s, self._arguments.fps, self._arguments.min_side)
        return clip

    def _clip_digest(self, emotion: str, path: str) -> str:
        clip = Path(self._arguments.cwd) / path
        try:
            return hashlib.sha256(clip.read_bytes()).hexdigest()
        except OSError as error:
            raise UsageError(
                f"style_clips: {clip}, which is to show {emotion!r}, cannot be read ({error.strerror}); correct it"
            ) from error


def _png(unit: str, portrait: Portrait | None) -> bytes:
    """A portrait as PNG, upright, in colour."""
    from PIL import Image, ImageOps

    if portrait is None:
        raise BuildError(f"{unit}: the tool needs a portrait, and the speaker has none; give a folder of portraits")
    try:
        with Image.open(portrait.path) as picture:
            file = io.BytesIO()
            ImageOps.exif_transpose(picture).convert("RGB").save(file, "PNG")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BuildError(f"{unit}: {portrait.path}: no picture that can be read ({first_line(error)})") from error
    return file.getvalue()
