"""Speech backends: OpenAI-compatible servers, CosyVoice, a command; validation of their audio."""

from __future__ import annotations

import glob
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from avemo_harness import media
from avemo_harness.data.pipeline.backends import (
    UTTERANCE_PLACEHOLDERS,
    SpeechAudio,
    Template,
    Utterance,
    utterance_values,
)
from avemo_harness.data.pipeline.command import Command, CommandArguments
from avemo_harness.data.pipeline.servers import Answer, ServerArguments, form_body, json_body
from avemo_harness.errors import BuildError, MediaError, UsageError
from avemo_harness.http_answers import AnswerError
from avemo_harness.media import Samples

SILENCE_PEAK = 1e-3
"""Peak below which sound is taken for silence: -60 dBFS."""
MAX_CHARACTERS_A_SECOND = 60
"""Characters a second that no voice can say; twice as many as a hurried one does."""
MAX_SPEECH_S = 120.0
_OTHER_FORMATS = (b"ID3", b"OggS", b"fLaC", b"<!DOC", b"<html")


def check_speech(samples: Samples, rate_hz: int, text: str) -> SpeechAudio:
    """Samples as audio, where they can be the speech of a text.

    Raises:
        MediaError: there are none, they are not finite, silent, or of a length that the text cannot have.
    """
    if not np.isfinite(samples).all():
        raise MediaError("sound with samples that are no numbers")
    sound = SpeechAudio(samples, rate_hz)
    if sound.duration_s * MAX_CHARACTERS_A_SECOND < len(text):
        raise MediaError(f"{sound.duration_s:.2f} s of sound for {len(text)} characters: it is cut off")
    if sound.duration_s > MAX_SPEECH_S:
        raise MediaError(
            f"{sound.duration_s:.0f} s of sound for {len(text)} characters, at most {MAX_SPEECH_S:g} s fit"
        )
    if not len(samples) or np.abs(samples).max() < SILENCE_PEAK:
        raise MediaError("silence where speech was expected")
    return sound


def read_wave_answer(answer: Answer, text: str) -> SpeechAudio:
    """The speech of an answer that is a WAV file; raises an AnswerError or MediaError where it is none or cut off."""
    _refuse_text(answer)
    samples, rate_hz = media.read_wave(answer.body)
    return check_speech(samples, rate_hz, text)


def read_pcm_answer(answer: Answer, rate_hz: int, text: str) -> SpeechAudio:
    """The speech of an answer that is bare 16-bit samples of a declared rate, or a WAV file of that rate.

    Raises:
        AnswerError, MediaError: it is something else, half a sample is missing, its rate is another, or it is
            no speech.
    """
    _refuse_text(answer)
    stated = _stated_rate(answer)
    if media.is_wave(answer.body):
        samples, stated = media.read_wave(answer.body)
    elif answer.body.startswith(_OTHER_FORMATS):
        raise AnswerError(f"no 16-bit samples but a file that begins with {answer.body[:8]!r}")
    else:
        samples = media.read_pcm16(answer.body)
    if stated not in (None, rate_hz):
        raise AnswerError(f"sound of {stated} samples a second, sample_rate declares {rate_hz}")
    return check_speech(samples, rate_hz, text)


def _stated_rate(answer: Answer) -> int | None:
    """The rate in ``X-Custom-Header-sampleRate`` (CosyVoice), ``X-Sample-Rate`` or ``audio/L16;rate=…``."""
    for name, value in answer.headers.items():
        if name.lower().replace("-", "").endswith("samplerate") and value.isascii() and value.isdigit():
            return int(value)
    found = re.search(r"\brate=(\d{4,6})\b", answer.headers.get("content-type", ""))
    return int(found[1]) if found else None


def _refuse_text(answer: Answer) -> None:
    """Refuse an error message that is sent with the status of success."""
    kind = answer.headers.get("content-type", "").split(";")[0].strip().lower()
    is_text = kind.startswith("text/") or kind == "application/json"
    if not is_text and answer.body[:1] in (b"{", b"["):
        try:
            is_text = isinstance(json.loads(answer.body), dict | list)
        except ValueError:  # samples may begin like that
            is_text = False
        except RecursionError:  # brackets alone, thousands of them
            is_text = True
    if is_text:
        shown = answer.body[:120].decode(errors="replace")
        raise AnswerError(f"no sound but {shown!r}")


class OpenAISpeech:
    """Speaks utterances by a text-to-speech model that takes instructions in words."""

    @dataclass(frozen=True)
    class Arguments(ServerArguments):
        """Server and model, `base_url` up to and with ``/v1``; what is empty or None is not sent.

        Args:
            api_key_env: the environment variable that holds the key; empty for none.
            voice, instructions: may hold {speaker}, {voice}, {gender}, {style} and {emotion} of the utterance.
            response_format: ``wav``, or ``pcm`` for bare 16-bit mono samples, `sample_rate` a second.
            send_seed: send the utterance's seed, which not every server takes.
            version: of the model, where its name does not tell it; only recorded.
        """

        model: str
        api_key_env: str = ""
        voice: str = "{voice}"
        instructions: str = "{style}"
        response_format: Literal["wav", "pcm"] = "wav"
        sample_rate: int = 24_000
        language: str = ""
        speed: float | None = None
        send_seed: bool = False
        version: str = ""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._voice = Template.parse("voice", arguments.voice)
        self._instructions = Template.parse("instructions", arguments.instructions)
        self._server = arguments.server(arguments.api_key_env)

    def identity(self) -> Mapping[str, str]:
        """The model and its settings; not the server's address."""
        return {"tool": "openai_speech", **self._arguments.identity()}

    def speak(self, utterance: Utterance) -> SpeechAudio:
        """The sound of an utterance; raises a BuildError where the server gives none."""
        body, text = json_body(self._content(utterance)), utterance.line.text
        return self._server.ask(utterance.unit_id, "/audio/speech", body, lambda answer: self._read(answer, text))

    def _content(self, utterance: Utterance) -> Mapping[str, object]:
        arguments, values = self._arguments, utterance_values(utterance)
        wanted: dict[str, object] = {
            "voice": self._voice.fill(values),
            "instructions": self._instructions.fill(values),
            "language": arguments.language,
            "speed": arguments.speed,
            "seed": utterance.seed % 2**31 if arguments.send_seed else None,
        }
        sent = {name: value for name, value in wanted.items() if value not in ("", None)}
        fixed = {"model": arguments.model, "input": utterance.line.text}
        return {**fixed, "response_format": arguments.response_format, **sent}

    def _read(self, answer: Answer, text: str) -> SpeechAudio:
        if self._arguments.response_format == "wav":
            return read_wave_answer(answer, text)
        return read_pcm_answer(answer, self._arguments.sample_rate, text)


class CosyVoice:
    """Speaks utterances by CosyVoice.

    The style reaches the voice by words in the mode ``instruct2``, and in ``zero_shot`` only by the reference
    recording, which may differ between emotions; in ``sft`` the voices are fixed and there is no style.
    """

    @dataclass(frozen=True)
    class Arguments(ServerArguments):
        """Server, `base_url` such as ``http://127.0.0.1:50000``, and mode of synthesis.

        Args:
            mode: of its entry points ``/inference_…``.
            sample_rate: of the model it serves: 22050 for CosyVoice 1, 24000 for 2 and 3.
            prompt_wav: path of the reference recording; for ``instruct2`` and ``zero_shot``. In the latter, a text file
                of the same name with ``.txt`` holds its words.
            instruct_text: for ``instruct2``.
            speaker: name of a voice of the model's, for ``sft``. All three may hold {speaker}, {voice}, {gender},
                {style} and {emotion} of the utterance.
            version: of the model; only recorded.
        """

        mode: Literal["instruct2", "zero_shot", "sft"] = "instruct2"
        sample_rate: int = 24_000
        prompt_wav: str = ""
        instruct_text: str = "{style}"
        speaker: str = "{voice}"
        version: str = ""

    def __init__(self, arguments: Arguments) -> None:
        if arguments.mode != "sft" and not arguments.prompt_wav:
            raise UsageError(f"prompt_wav: the mode {arguments.mode} needs a reference recording; give its path")
        self._arguments = arguments
        self._prompt_wav = Template.parse("prompt_wav", arguments.prompt_wav)
        self._instruct_text = Template.parse("instruct_text", arguments.instruct_text)
        self._speaker = Template.parse("speaker", arguments.speaker)
        if arguments.mode != "sft" and not self._prompts():
            raise UsageError(f"prompt_wav: there is no file {arguments.prompt_wav}; correct the path")
        self._server = arguments.server()

    def identity(self) -> Mapping[str, str]:
        """Mode and model, and a digest of all reference recordings and their words; not the server's address."""
        return {"tool": "cosyvoice", **self._arguments.identity(), "prompts_sha256": self._prompts_digest()}

    def speak(self, utterance: Utterance) -> SpeechAudio:
        """The sound of an utterance; raises a BuildError where the server gives none."""
        arguments, text = self._arguments, utterance.line.text
        return self._server.ask(
            utterance.unit_id,
            f"/inference_{arguments.mode}",
            self._body(utterance),
            lambda answer: read_pcm_answer(answer, arguments.sample_rate, text),
        )

    def _body(self, utterance: Utterance) -> dict[str, Any]:
        mode, values = self._arguments.mode, utterance_values(utterance)
        fields = {"tts_text": utterance.line.text}
        if mode == "sft":
            return form_body({**fields, "spk_id": self._speaker.fill(values)}, {})
        prompt = Path(self._prompt_wav.fill(values))
        if mode == "instruct2":
            fields["instruct_text"] = self._instruct_text.fill(values)
        else:
            words = _read_prompt(utterance.unit_id, prompt.with_suffix(".txt"))
            fields["prompt_text"] = words.decode(errors="replace").strip()
        return form_body(fields, {"prompt_wav": _read_prompt(utterance.unit_id, prompt)})

    def _prompts(self) -> list[Path]:
        """The files that `prompt_wav` can name, whatever its placeholders stand for."""
        any_utterance = dict.fromkeys(UTTERANCE_PLACEHOLDERS, "*")
        pattern = Template.parse("prompt_wav", glob.escape(self._arguments.prompt_wav))
        return [path for path in map(Path, sorted(glob.glob(pattern.fill(any_utterance)))) if path.is_file()]

    def _prompts_digest(self) -> str:
        """Of all recordings, and of their words where they are sent too."""
        if self._arguments.mode == "sft":
            return ""
        digest = hashlib.sha256()
        for path in self._prompts():
            words = path.with_suffix(".txt")
            sent = [path, words] if self._arguments.mode == "zero_shot" and words.is_file() else [path]
            for file in sent:
                digest.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
        return digest.hexdigest()


def _read_prompt(unit: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BuildError(f"{unit}: {path}: the reference recording cannot be read ({error.strerror})") from error


class CommandSpeech:
    """Speaks utterances by a command that writes a sound file to {out.wav}.

    Its arguments may hold {text}, {style}, {emotion}, {voice}, {speaker}, {gender} and {seed}.
    """

    Arguments = CommandArguments

    def __init__(self, arguments: CommandArguments) -> None:
        self._command = Command(arguments, (*UTTERANCE_PLACEHOLDERS, "text", "seed"), "out.wav")
        self._command.require("text", "the words to be spoken")

    def identity(self) -> Mapping[str, str]:
        return self._command.identity()

    def speak(self, utterance: Utterance) -> SpeechAudio:
        """The sound of an utterance; raises a BuildError where the tool fails or gives no speech."""
        text = utterance.line.text
        values = {
            **utterance_values(utterance),
            "emotion": self._command.emotion(utterance.line.emotion),
            "text": text,
            "seed": str(utterance.seed % 2**31),
        }
        return self._command.make(utterance.unit_id, {}, values, lambda path: _read_speech_file(path, text))


def _read_speech_file(path: Path, text: str) -> SpeechAudio:
    data = path.read_bytes()
    # libsndfile takes a WAV file that is cut off for a shorter one.
    samples, rate_hz = media.read_wave(data) if media.is_wave(data) else media.read_sound_file(path)
    return check_speech(samples, rate_hz, text)
