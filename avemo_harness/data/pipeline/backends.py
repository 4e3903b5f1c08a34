"""Backends of the stages: inputs and outputs, protocols, registry, placeholders of their settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from string import Formatter
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.release import Role
from avemo_harness.data.pipeline.config import BackendConfig
from avemo_harness.errors import UsageError
from avemo_harness.registry import Kind, Registry, hint, is_json_mapping, typed_arguments

EmotionInput = Literal["label", "style_clip", "text", "none"]
"""Input by which an emotion reaches the face of an animation tool; ``none``: the sound alone, if anything."""


@dataclass(frozen=True, slots=True)
class ScriptRequest:
    """A dialogue to be written.

    Args:
        script_id: unique in the release.
        turns: utterances, the user's first, in turns.
        emotions: of the user's utterances, in order.
        take: dialogues of equal `topic` and different `take` are the same words said in different emotions.
    """

    script_id: str
    turns: int
    emotions: tuple[str, ...]
    topic: int
    take: int
    language: str
    seed: int


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """A written utterance; `style` tells a speech tool how to say it, such as ``warm and lively``."""

    role: Role
    text: str
    emotion: str
    style: str


@dataclass(frozen=True, slots=True)
class Script:
    """A written dialogue, the user's line first.

    Args:
        written_by: what the tool called itself, such as the dated name of a model; empty where it says no more than its
            `identity`.
    """

    lines: tuple[ScriptLine, ...]
    written_by: str = ""


@dataclass(frozen=True, slots=True)
class Portrait:
    """A picture to animate; with `no_derivatives`, what is made of it may not be given to others."""

    portrait_id: str
    path: Path
    sha256: str
    gender: str
    licence: str
    no_derivatives: bool


@dataclass(frozen=True, slots=True)
class SpeakerProfile:
    """Voice and face of a speaker, the same in all of their dialogues.

    Args:
        number: of the built-in person (`avemo_harness.data.synthesis.affect.Speaker.draw`).
        voice: its name for the speech tool; empty for the tool's default.
        portrait: None for the built-in face, or where no face is shown.
    """

    speaker_id: str
    number: int
    gender: str
    voice: str
    portrait: Portrait | None


@dataclass(frozen=True, slots=True)
class Utterance:
    """A line to be spoken; `unit_id` is for messages, such as ``single-0003, turn 0``."""

    unit_id: str
    line: ScriptLine
    speaker: SpeakerProfile
    seed: int


@dataclass(frozen=True, slots=True)
class SpeechAudio:
    """Mono samples, float32 [n] with full scale at 1."""

    samples: NDArray[np.float32]
    rate_hz: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate_hz


class DialogueBackend(Protocol):
    """Writes dialogues.

    As of every backend, `identity` gives name, version and every setting that may change what is made, and no keys or
    passwords. A unit is recorded as failed where making it raises a BuildError: the tool failed, or gave what cannot be
    used.
    """

    def identity(self) -> Mapping[str, str]: ...

    def write(self, request: ScriptRequest) -> Script: ...


class SpeechBackend(Protocol):
    """Speaks utterances."""

    def identity(self) -> Mapping[str, str]: ...

    def speak(self, utterance: Utterance) -> SpeechAudio: ...


class FaceBackend(Protocol):
    """Animates faces."""

    emotion_input: EmotionInput

    def identity(self) -> Mapping[str, str]: ...

    def animate(self, utterance: Utterance, speech: SpeechAudio) -> bytes:
        """A video of the face, as long as the speech; whether it carries sound does not matter."""
        ...


UTTERANCE_PLACEHOLDERS = ("speaker", "voice", "gender", "style", "emotion")


@dataclass(frozen=True, slots=True)
class Template:
    """A text in parts.

    Args:
        parts: literal text, and the placeholder that follows it; None at the end.
    """

    parts: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, where: str, text: str, known: Iterable[str] = UTTERANCE_PLACEHOLDERS) -> Template:
        """Split a text; braces that are meant themselves are doubled, as in Python's formats.

        Args:
            where: name of the setting, for the message.

        Raises:
            UsageError: a single brace, an unknown placeholder, or a format in one.

        >>> Template.parse("voice", "{gender}-{{1}}", ["gender"]).fill({"gender": "male"})
        'male-{1}'
        """
        known = list(known)
        try:
            parsed = list(Formatter().parse(text))
        except ValueError as error:
            raise UsageError(f"{where}: {text!r} has a brace too many or too few ({error}); double it") from error
        for _, name, form, conversion in parsed:
            if name is not None and (name not in known or form or conversion):
                raise UsageError(f"{where}: {text!r} has no valid placeholder {{{name}}}{hint(name, known)}")
        return cls(tuple((literal, name) for literal, name, _, _ in parsed))

    @property
    def names(self) -> frozenset[str]:
        """The placeholders in it."""
        return frozenset(name for _, name in self.parts if name is not None)

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with values in place of its placeholders; what stands in a value is taken as it is."""
        return "".join(literal + (values[name] if name is not None else "") for literal, name in self.parts)


def utterance_values(utterance: Utterance) -> Mapping[str, str]:
    """Values of the `UTTERANCE_PLACEHOLDERS`."""
    speaker, line = utterance.speaker, utterance.line
    return {
        "speaker": speaker.speaker_id,
        "voice": speaker.voice,
        "gender": speaker.gender,
        "style": line.style,
        "emotion": line.emotion,
    }


def seed_of(text: str, size: int = 4) -> int:
    """A seed of `size` bytes, drawn from a text by its digest."""
    return int.from_bytes(sha256(text.encode()).digest()[:size], "big")


_HERE = "avemo_harness.data.pipeline"
REGISTRIES: Mapping[str, Registry] = {
    "dialogue": Registry(
        Kind("dialogue_backend", UsageError),
        {"builtin": f"{_HERE}.builtin:BuiltinWriter", "openai": f"{_HERE}.writer:OpenAIWriter"},
    ),
    "speech": Registry(
        Kind("speech_backend", UsageError),
        {
            "builtin": f"{_HERE}.builtin:BuiltinSpeech",
            "openai_speech": f"{_HERE}.speech:OpenAISpeech",
            "cosyvoice": f"{_HERE}.speech:CosyVoice",
            "command": f"{_HERE}.speech:CommandSpeech",
        },
    ),
    "face": Registry(
        Kind("face_backend", UsageError),
        {"builtin": f"{_HERE}.builtin:BuiltinFace", "command": f"{_HERE}.animation:CommandFace"},
    ),
}


def make_backend(stage: str, config: BackendConfig) -> Any:
    """Make the tool of a stage: a `DialogueBackend`, `SpeechBackend` or `FaceBackend`.

    Raises:
        UsageError: there is none of that name, it does not take its arguments, or its package is broken.
    """
    backend, plugin = REGISTRIES[stage].load(config.backend), REGISTRIES[stage].plugin(config.backend)
    if plugin is None:
        return _make(stage, backend, config)
    with plugin.running("its construction"):
        made = _make(stage, backend, config)
    plugin.read("its identity()", lambda: made.identity(), is_json_mapping, "a mapping of names to texts")
    return made


def _make(stage: str, backend: Any, config: BackendConfig) -> Any:
    return backend(typed_arguments(f"{stage}: {config.backend}", backend.Arguments, config.arguments, UsageError))
