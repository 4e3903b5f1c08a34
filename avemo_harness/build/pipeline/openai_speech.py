"""Speech of a server that speaks OpenAI's ``POST /v1/audio/speech``, as vLLM-Omni and hosted services also do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal

from avemo_harness.build.pipeline.backends import Sound, Utterance
from avemo_harness.build.pipeline.placeholders import UTTERANCE_PLACEHOLDERS, Template, utterance_values
from avemo_harness.build.pipeline.speech_answer import read_pcm_answer, read_wave_answer
from avemo_harness.build.pipeline.tool_server import BOUNDS, Answer, JsonRequest, Server

_NOT_IDENTITY = ("base_url", "api_key_env", "attempts", "timeout_s")


class OpenAISpeech:
    """Speaks utterances by a text-to-speech model that takes instructions in words."""

    @dataclass(frozen=True)
    class Arguments:
        """Where the model is and how it is asked; what is empty or None is not sent.

        Args:
            base_url: up to and with ``/v1``.
            model: as the server calls it.
            api_key_env: the environment variable that holds the key; empty for none.
            voice, instructions: may hold {speaker}, {voice}, {gender}, {style} and {emotion} of the utterance.
            response_format: ``wav``, or ``pcm`` for bare 16-bit mono samples.
            sample_rate: of ``pcm``, in samples a second.
            language, speed: as the server takes them.
            send_seed: whether to send the utterance's seed; not every server takes one.
            version: of the model, where its name does not tell it; only recorded.
            attempts, timeout_s: for each utterance, and between two pieces of an answer.
        """

        base_url: str
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
        attempts: int = 5
        timeout_s: float = 120.0

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._voice = Template.parse("voice", arguments.voice, UTTERANCE_PLACEHOLDERS)
        self._instructions = Template.parse("instructions", arguments.instructions, UTTERANCE_PLACEHOLDERS)
        bounds = replace(BOUNDS, attempts=arguments.attempts, silence_s=arguments.timeout_s)
        self._server = Server(arguments.base_url, arguments.api_key_env, bounds)

    def identity(self) -> Mapping[str, str]:
        """The model and how it is asked; not where it is."""
        settings = {name: str(value) for name, value in asdict(self._arguments).items() if name not in _NOT_IDENTITY}
        return {"tool": "openai_speech", **settings}

    def speak(self, utterance: Utterance) -> Sound:
        """The sound of an utterance; raises a BuildError where the server gives none."""
        request = JsonRequest("/audio/speech", self._content(utterance))
        text = utterance.line.text
        return self._server.ask(utterance.unit_id, request, lambda answer: self._read(answer, text))

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
        fixed = {
            "model": arguments.model,
            "input": utterance.line.text,
            "response_format": arguments.response_format,
        }
        return {**fixed, **sent}

    def _read(self, answer: Answer, text: str) -> Sound:
        if self._arguments.response_format == "wav":
            return read_wave_answer(answer, text)
        return read_pcm_answer(answer, self._arguments.sample_rate, text)
