"""What the stages of a build hand on, and what a backend of each stage must offer.

A backend makes one unit: a dialogue, the sound of an utterance, the face of one. It knows nothing of where units are
kept or in which order they are made; what it is given decides what it makes, as far as its tool allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.release import Role

EmotionInput = Literal["label", "style_clip", "text", "none"]
"""How an emotion reaches the face of an animation tool; ``none``: through the sound alone, if at all."""


@dataclass(frozen=True, slots=True)
class Brief:
    """What a dialogue is to be.

    Args:
        script_id: unique in the release.
        turns: utterances, the user's first, in turns.
        emotions: of the user's utterances, in order.
        take: dialogues of equal `topic` and different `take` are the same words said in different emotions.
        topic: number of what it is about.
        language: such as ``en``.
        seed: of everything drawn.
    """

    script_id: str
    turns: int
    emotions: tuple[str, ...]
    topic: int
    take: int
    language: str
    seed: int


@dataclass(frozen=True, slots=True)
class Line:
    """An utterance as it is written; `style` tells a speech tool how to say it, such as ``warm and lively``."""

    role: Role
    text: str
    emotion: str
    style: str


@dataclass(frozen=True, slots=True)
class Script:
    """A dialogue as it is written.

    Args:
        lines: in order, the user's first.
        written_by: what the tool called itself, such as the dated name of a model; empty where it says no more than its
            `identity`.
    """

    lines: tuple[Line, ...]
    written_by: str = ""


@dataclass(frozen=True, slots=True)
class Portrait:
    """A picture that is animated.

    Args:
        no_derivatives: what is made of it may not be given to others.
    """

    portrait_id: str
    path: Path
    sha256: str
    gender: str
    licence: str
    no_derivatives: bool


@dataclass(frozen=True, slots=True)
class Character:
    """Who speaks: the same in all utterances of a dialogue, and in all dialogues of a speaker.

    Args:
        number: of the built-in person (`avemo_harness.build.speakers.Speaker.draw`).
        voice: what the speech tool calls the voice; empty for its own default.
        portrait: None for the built-in face, or where no face is shown.
    """

    speaker_id: str
    number: int
    gender: str
    voice: str
    portrait: Portrait | None


@dataclass(frozen=True, slots=True)
class Utterance:
    """A line to be spoken.

    Args:
        unit_id: for messages, such as ``single-0003, turn 0``.
    """

    unit_id: str
    line: Line
    character: Character
    seed: int


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono samples, float32 [n] with full scale at 1."""

    samples: NDArray[np.float32]
    rate_hz: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate_hz


@dataclass(frozen=True, slots=True)
class Shot:
    """A spoken utterance whose face is to be shown."""

    utterance: Utterance
    sound: Sound


class DialogueBackend(Protocol):
    """Writes dialogues."""

    def identity(self) -> Mapping[str, str]:
        """Name, version and every setting that may change what is written; no keys or passwords."""
        ...

    def write(self, brief: Brief) -> Script:
        """The dialogue that a brief asks for.

        Raises:
            BuildError: the tool failed, or what it wrote cannot be used; the unit is recorded as failed.
        """
        ...


class SpeechBackend(Protocol):
    """Speaks utterances."""

    def identity(self) -> Mapping[str, str]:
        """As in `DialogueBackend`."""
        ...

    def speak(self, utterance: Utterance) -> Sound:
        """The sound of an utterance.

        Raises:
            BuildError: the tool failed, or what it gave is no speech; the unit is recorded as failed.
        """
        ...


class FaceBackend(Protocol):
    """Animates faces."""

    emotion_input: EmotionInput

    def identity(self) -> Mapping[str, str]:
        """As in `DialogueBackend`."""
        ...

    def animate(self, shot: Shot) -> bytes:
        """A video of the face, as long as the sound; whether it carries sound does not matter.

        Raises:
            BuildError: the tool failed, or what it gave is no talking face; the unit is recorded as failed.
        """
        ...
