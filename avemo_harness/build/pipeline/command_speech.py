"""Speech of a tool that is started for each utterance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from avemo_harness import media
from avemo_harness.build.pipeline.backends import Sound, Utterance
from avemo_harness.build.pipeline.command import Command, CommandArguments, require
from avemo_harness.build.pipeline.placeholders import UTTERANCE_PLACEHOLDERS, utterance_values
from avemo_harness.build.pipeline.speech_answer import checked_speech


class CommandSpeech:
    """Speaks utterances by a command that writes a sound file to {out.wav}.

    Its arguments may hold {text}, {style}, {emotion}, {voice}, {speaker}, {gender} and {seed}.
    """

    @dataclass(frozen=True)
    class Arguments(CommandArguments):
        """Those of every command."""

    def __init__(self, arguments: Arguments) -> None:
        self._command = Command(arguments, (*UTTERANCE_PLACEHOLDERS, "text", "seed"), "out.wav")
        require(self._command, "text", "the words to be spoken")

    def identity(self) -> Mapping[str, str]:
        """The tool and how it is called."""
        return self._command.identity()

    def speak(self, utterance: Utterance) -> Sound:
        """The sound of an utterance; raises a BuildError where the tool fails or gives no speech."""
        text = utterance.line.text
        values = {
            **utterance_values(utterance),
            "emotion": self._command.emotion(utterance.line.emotion),
            "text": text,
            "seed": str(utterance.seed % 2**31),
        }
        return self._command.make(utterance.unit_id, {}, values, lambda path: _read(path, text))


def _read(path: Path, text: str) -> Sound:
    data = path.read_bytes()
    # libsndfile takes a WAV file that is cut off for a shorter one.
    samples, rate_hz = media.read_wave(data) if media.is_wave(data) else media.read_sound_file(path)
    return checked_speech(samples, rate_hz, text)
