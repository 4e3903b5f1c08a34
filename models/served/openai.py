"""Any OpenAI-compatible server, asked for many requests side by side."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from avemo_harness.benchmark.request import Message, Request, Response, Text
from avemo_harness.benchmark.task import LabelOutput, SpokenOutput
from avemo_harness.errors import ModelError, SampleError, describe
from avemo_harness.http import Bounds, EventLoop, read_key
from avemo_harness.http_answers import shown_address
from avemo_harness.models.base import Capabilities, ModelSetup
from avemo_harness.models.decoding import flags_of
from avemo_harness.models.served.answers import ChatCompletion, speech_of, without_thoughts
from avemo_harness.models.served.client import Client, Server, check_senses, identify, takes_choices
from avemo_harness.models.served.messages import Layout, Messenger, SoundPart
from avemo_harness.models.served.ranking import fitting_priors, label_priors, rank_labels

VERSION = "2"
MOST, USUAL = 1024, 16
"""Requests under way at once, at most and where the user names no number."""
ALTERNATIVES = 20
"""Likeliest first tokens that a ranking is read from; what most servers tell at most."""

_SECRET = re.compile(r"key|token|secret|passw|auth|sig", re.IGNORECASE)

SpeechFormat = Literal["wav", "pcm16", "bare_wav"]


class OpenAi:
    """Any model behind a server that speaks OpenAI's chat protocol, asked many requests at a time."""

    @dataclass(frozen=True, slots=True)
    class Arguments:
        """
        Args:
            base_url: of the server, with its ``/v1``; several that are alike are joined by ``+``.
            model: its name there.
            api_key_env: variable of the environment that holds the key, if there is one.
            speech: replies are asked for in speech; else the model is not asked for any.
            voice: of spoken replies; empty for the server's own.
            stream: answers are asked for as streams, as some hosted models want it.
            speech_format: what speech is asked for in: ``wav``; ``pcm16``, bare samples; ``bare_wav``, samples that are
                called wav and come without a header, as Alibaba's streams have them. A sound file that comes is read
                as what it is; bare samples are believed only where they were asked for.
            speech_rate_hz: of speech that comes as bare samples.
            system: system prompt; empty for none.
            layout: ``clips`` or, for MiniCPM-o, ``seconds``.
            sound_part: how a sound is sent: ``input_audio``, ``input_audio_url``, ``audio_url`` or ``in_video``.
            choices: answers are held to the labels where the server can do that; else it is left to the model.
            probe: the server is first shown that video and sound make a difference to it.
            attempts: how often a request is sent at most.
            timeout_s: for one attempt.
            total_s: for all of them.
        """

        base_url: str
        model: str
        api_key_env: str = "OPENAI_API_KEY"
        speech: bool = False
        voice: str = ""
        stream: bool = False
        speech_format: SpeechFormat = "wav"
        speech_rate_hz: int = 24_000
        system: str = ""
        layout: Layout = "clips"
        sound_part: SoundPart = "input_audio"
        choices: bool = True
        probe: bool = True
        attempts: int = 6
        timeout_s: float = 300.0
        total_s: float = 1800.0

    capabilities = Capabilities(frozenset({"label_text", "label_ranking", "spoken_response", "text"}), MOST, USUAL)

    def __init__(self, arguments: Arguments, setup: ModelSetup) -> None:
        if find_spec("httpx") is None:
            raise ModelError("openai needs the package httpx: pip install 'avemo-harness[api]'")
        self._arguments, self._setup = arguments, setup
        self._urls = _urls(arguments.base_url)
        if not arguments.speech:
            self.capabilities = Capabilities(frozenset({"label_text", "label_ranking", "text"}), MOST, USUAL)
        self._messenger = Messenger(arguments.system, arguments.layout, arguments.sound_part)
        self._priors: dict[tuple[tuple[str, ...], tuple[str, ...]], asyncio.Task[Mapping[str, float] | None]] = {}

    def identity(self) -> Mapping[str, str]:
        given, server = self._arguments, self._server
        names = ("voice", "stream", "speech_format", "speech_rate_hz", "system", "layout", "sound_part")
        return {
            "model": given.model,
            "version": VERSION,
            "root": server.root,
            "server": server.name,
            "choices": str(self._choices),
            "senses": "probed" if given.probe else "not probed",
            **{name: str(getattr(given, name)) for name in names},
        }

    def prefetch(self, request: Request) -> None:
        """Make the media of a request ready to be sent; what is wrong with one is told when it is asked."""
        try:
            self._messenger.messages(request.messages)
        except SampleError:
            return

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        return [future.result() for future in [self.submit(request) for request in requests]]

    def submit(self, request: Request) -> Future[Response]:
        """Ask a request; others may be asked before it is answered."""
        try:
            messages = self._messenger.messages(request.messages)
        except SampleError as error:
            failed: Future[Response] = Future()
            failed.set_result(Response(error=describe(error)))
            return failed
        if isinstance(request.output, LabelOutput) and request.output.method == "rank":
            return self._loop.submit(self._ranked(request, self._ranking(messages), request.output.labels))
        return self._loop.submit(self._answered(request, self._payload(request, messages)))

    async def _answered(self, request: Request, payload: Mapping[str, Any]) -> Response:
        try:
            return await self._client.complete(payload, lambda completion: self._response(request, completion))
        except SampleError as error:
            return Response(error=describe(error))

    def _payload(self, request: Request, messages: list[dict[str, Any]]) -> dict[str, Any]:
        generation = request.generation
        payload: dict[str, Any] = {
            **self._request,
            "messages": messages,
            "seed": request.seed % 2**31,
            "max_tokens": generation.max_new_tokens,
        }
        if generation.do_sample:
            settings = {"temperature": generation.temperature or 1.0, "top_p": generation.top_p}
            payload.update({name: value for name, value in settings.items() if value is not None})
        if isinstance(request.output, SpokenOutput):
            voice = {"voice": self._arguments.voice} if self._arguments.voice else {}
            form = self._arguments.speech_format.removeprefix("bare_")
            payload |= {"modalities": ["text", "audio"], "audio": {**voice, "format": form}}
        elif self._choices and isinstance(request.output, LabelOutput) and request.output.method == "generate":
            payload["structured_outputs"] = {"choice": list(request.output.labels)}
        elif request.schema is not None:
            named = {"name": "answer", "schema": dict(request.schema), "strict": True}
            payload["response_format"] = {"type": "json_schema", "json_schema": named}
        return payload

    def _response(self, request: Request, completion: ChatCompletion) -> Response:
        given, spoken = self._arguments, isinstance(request.output, SpokenOutput)
        bare_rate_hz = None if given.speech_format == "wav" else given.speech_rate_hz
        speech = speech_of(completion.sound, bare_rate_hz) if spoken else None
        reply = without_thoughts(completion.text or "")
        words = reply.split()
        numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
        flags = flags_of([numbers[word] for word in words], completion.ended is not False)
        return Response(
            # A reply becomes a part of the dialogue; of a label, scorers pass over the thoughts themselves.
            text=reply if spoken else completion.text or "",
            speech=speech,
            prompt_tokens=completion.prompt_tokens,
            new_tokens=completion.new_tokens,
            flags=(*flags, *(["no_speech"] if spoken and speech is None else [])),
        )

    async def _ranked(self, request: Request, payload: Mapping[str, Any], labels: tuple[str, ...]) -> Response:
        try:
            ranking, prompt_tokens = await self._client.complete(
                payload, lambda completion: (rank_labels(completion, labels), completion.prompt_tokens)
            )
            priors = fitting_priors(ranking, await self._prior(request, labels))
        except SampleError as error:
            return Response(error=describe(error))
        return Response(
            label_logprobs=ranking.logprobs,
            label_tokens=dict.fromkeys(labels, 1),
            label_priors=priors,
            prompt_tokens=prompt_tokens,
        )

    def _ranking(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        return {**self._request, "messages": messages, "max_tokens": 1, "logprobs": True, "top_logprobs": ALTERNATIVES}

    async def _prior(self, request: Request, labels: tuple[str, ...]) -> Mapping[str, float] | None:
        """Log-probabilities of labels when the question is asked without any clip or history; asked once."""
        question = tuple(block for block in request.messages[-1].content if isinstance(block, Text))
        known = (tuple(block.text for block in question), labels)
        if known not in self._priors:
            messages = self._messenger.messages([Message("user", question)])
            asked = self._client.complete(self._ranking(messages), lambda completion: label_priors(completion, labels))
            self._priors[known] = asyncio.ensure_future(asked)
        try:
            return await self._priors[known]
        except SampleError:
            self._priors.pop(known, None)  # the next request asks again
            raise

    @cached_property
    def _request(self) -> dict[str, Any]:
        """The fields that every request has."""
        return {
            "model": self._arguments.model,
            "temperature": 0.0,
            "modalities": ["text"],  # some servers speak all they say
            **({"stream": True, "stream_options": {"include_usage": True}} if self._arguments.stream else {}),
        }

    @cached_property
    def _server(self) -> Server:
        given = self._arguments
        self._setup.say(f"asking {' and '.join(map(shown_address, self._urls))} what it is")
        server = self._loop.submit(identify(self._client, self._urls, given.model, given.total_s)).result()
        if given.probe:
            self._setup.say("showing it a picture and a tone, to see that both are noticed")
            self._loop.submit(check_senses(self._client, self._request, self._messenger)).result()
        return server

    @cached_property
    def _choices(self) -> bool:
        return self._arguments.choices and self._loop.submit(takes_choices(self._client, self._request)).result()

    @cached_property
    def _client(self) -> Client:
        given = self._arguments
        bounds = Bounds(given.attempts, timeout_s=given.timeout_s, silence_s=given.timeout_s, total_s=given.total_s)
        return Client(self._urls, read_key(given.api_key_env), bounds, self._setup.say)

    @cached_property
    def _loop(self) -> EventLoop:
        return EventLoop()


def _urls(text: str) -> tuple[str, ...]:
    """Several URLs that are joined by plus signs.

    >>> _urls("http://a:1/v1+http://b:2/v1/")
    ('http://a:1/v1', 'http://b:2/v1')
    """
    urls = tuple(url.rstrip("/") for url in re.split(r"\+(?=https?://)", text))
    for url in urls:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ModelError(f"base_url must be like http://localhost:8000/v1, found {shown_address(url)!r}")
        names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True) if _SECRET.search(name)]
        if parts.username or parts.password or names:
            advice = "api_key_env names the variable of a key"
            raise ModelError(f"base_url must not hold a user, password or key, for it is kept; {advice}")
    return urls
