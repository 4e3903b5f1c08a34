"""Send requests without fields that the server refuses, and find out what it is and can do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import numpy as np

from avemo_harness import http, media
from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Message, Text
from avemo_harness.errors import GenerationError, ModelError
from avemo_harness.http import BOUNDS, Bounds
from avemo_harness.http_answers import (
    RequestError,
    error_of_body,
    parse_json,
    read_body,
    read_events,
    server_message,
    shown_address,
)
from avemo_harness.models.inputs import SOUND_RATE
from avemo_harness.models.served import answers
from avemo_harness.models.served.answers import ChatCompletion
from avemo_harness.models.served.messages import Messenger

if TYPE_CHECKING:
    import httpx

OPTIONAL = ("structured_outputs", "seed", "stream_options", "modalities", "response_format")
"""Fields without which a request still asks for the same."""

_UNKNOWN = re.compile(
    r"unknown|unrecogni[sz]ed|unsupported|unexpected|extra|not (supported|permitted|allowed)", re.IGNORECASE
)

Result = TypeVar("Result")


class Client:
    """Asks for chat completions. All of it runs in one event loop.

    Args:
        urls: of the servers, up to and with ``/v1``.
        key: sent with every request; None for none. It is cut out of every message.
        say: takes a sentence for the user.

    Raises:
        UsageError: a URL is none, or a variable of proxies or certificates cannot be used.
    """

    def __init__(
        self,
        urls: Sequence[str],
        key: str | None,
        bounds: Bounds = BOUNDS,
        say: Callable[[str], object] = lambda sentence: None,
    ) -> None:
        self._http = http.Client(urls, key, bounds, say)
        self._say = say
        self._unknown: set[str] = set()
        self._taken: set[str] = set()

    async def complete(self, payload: Mapping[str, Any], use: Callable[[ChatCompletion], Result]) -> Result:
        """Ask for a chat completion.

        Args:
            payload: the request; with ``stream`` it is read as a stream.
            use: makes something of the answer; raises an AnswerError where another attempt may give a better one.

        Raises:
            GenerationError: the server refuses this request, or no attempt was answered.
            ModelError: it would refuse every request, or is gone.
        """

        async def read(response: httpx.Response) -> Result:
            # Some servers answer whole though they are asked for a stream, or the other way round.
            kind = response.headers.get("content-type", "")
            streamed = "event-stream" in kind or (payload.get("stream") and "json" not in kind)
            return use(await (self._read_stream if streamed else self._read_whole)(response))

        trials: list[set[str]] | None = None
        tried: set[str] = set()
        while True:
            left_out = (self._unknown | tried) & _optional(payload)
            sent = {name: value for name, value in payload.items() if name not in left_out}
            body = {"content": json.dumps(sent).encode(), "headers": {"Content-Type": "application/json"}}
            try:
                result = await self._http.post("/chat/completions", body, read)
            except GenerationError as error:
                raise GenerationError(self._http.clean(str(error))) from error
            except RequestError as error:
                if unknown := _unknown_fields(error, sent):
                    self._leave_out(unknown)
                    continue
                if trials is None:
                    trials = self._trials(sent)
                if not trials or not _names_no_field(error, sent):
                    raise (ModelError if error.scope == "run" else GenerationError)(str(error)) from error
                tried = trials.pop(0)
            else:
                self._leave_out(tried)
                self._taken |= _optional(sent)
                return result

    def _trials(self, sent: Mapping[str, Any]) -> list[set[str]]:
        """Fields to leave out by turns, since not every server says what it does not know: each alone, then all.

        Those of a request that was answered are known.
        """
        doubtful = [name for name in reversed(OPTIONAL) if name in _optional(sent) - self._taken]
        return [*({name} for name in doubtful), *([set(doubtful)] if len(doubtful) > 1 else [])]

    def _leave_out(self, fields: set[str]) -> None:
        if fields - self._unknown:
            self._say(f"the server does not know {', '.join(sorted(fields))}: asking without")
        self._unknown |= fields

    async def get(self, url: str, path: str, ready_s: float = 0.0) -> Any:
        """The JSON that a server gives for a path, beside ``/v1``; None where there is none.

        Args:
            ready_s: for which a server that is starting is waited for.

        Raises:
            ModelError: the server cannot be reached, is not ready in time, or does not take the key.
        """
        try:
            return await self._http.get(url, path, ready_s)
        except RequestError as error:
            if error.status == 500:  # a page that is broken, not a server that is not ready
                return None
            raise ModelError(f"{shown_address(url)}: {error}") from error

    async def _read_whole(self, response: httpx.Response) -> ChatCompletion:
        body = parse_json(await read_body(response, self._http.bounds.max_bytes))
        _refuse_error(body)
        return answers.read_answer(body)

    async def _read_stream(self, response: httpx.Response) -> ChatCompletion:
        events = await read_events(response, self._http.bounds.max_bytes)
        for event in events:
            _refuse_error(event)
        return answers.read_events(events)


def _refuse_error(body: object) -> None:
    failure = error_of_body(body)
    if failure is not None:
        raise failure


def _optional(sent: Mapping[str, Any]) -> set[str]:
    # Speech is not optional where it is asked for.
    return {name for name in OPTIONAL if name in sent and not (name == "modalities" and "audio" in sent[name])}


def _names_no_field(error: RequestError, sent: Mapping[str, Any]) -> bool:
    """True where a server refuses a request without a word on which part of it."""
    message = server_message(error.body_text.encode())
    # Gateways end every message with the name of a "model group", which says nothing about the field.
    named = _details(error.body_text) or any(re.search(rf"\b{name}\b", message) for name in sent if name != "model")
    return error.status in (400, 422) and not named


def _unknown_fields(error: RequestError, sent: Mapping[str, Any]) -> set[str]:
    """Optional fields that a server names as unknown to it, as pydantic's details or in a sentence."""
    if error.status not in (400, 422):
        return set()
    optional = _optional(sent)
    message = server_message(error.body_text.encode())
    if details := _details(error.body_text):
        locations = [detail.get("loc") for detail in details if "extra" in str(detail.get("type"))]
        names = [name for location in locations if isinstance(location, list) for name in location]
        return {name for name in optional if name in names}
    return {name for name in optional if re.search(rf"\b{name}\b", message)} if _UNKNOWN.search(message) else set()


def _details(body_text: str) -> list[dict[str, Any]]:
    """Pydantic's list of what is wrong with a request: FastAPI's ``detail``, or that in the message of an error."""
    try:
        body = json.loads(body_text)
    except (ValueError, RecursionError):
        return []
    for name in ("error", "message", "detail"):
        body = body.get(name) or body if isinstance(body, dict) else body
    return [detail for detail in body if isinstance(detail, dict)] if isinstance(body, list) else []


VERSION_PATHS = ("/version", "/server_info", "/get_server_info")
CHOICE = "quartz-lantern"
"""Nothing that a model says by itself."""
QUESTION = "Describe what you see and hear in at most three words."
SENSES = {
    "video": "Is there a picture, and of which colour? Answer in at most three words.",
    "sound": "Is there a sound, and of which kind? Answer in at most three words.",
}
"""Questions that single out what is sent, where it is counted and yet the answer stays the same."""


@dataclass(frozen=True, slots=True)
class Server:
    """The software behind a URL.

    Args:
        name: of the software with its version, or of the host where it tells none.
        root: what the model is called where the server took it from; its own name where the server does not say.
    """

    name: str
    root: str


async def identify(client: Client, urls: Sequence[str], model: str, ready_s: float) -> Server:
    """Ask all servers what they are.

    Args:
        ready_s: for which each is waited for while it is starting.

    Raises:
        ModelError: one is not reached or lacks the model, or they are not alike.
    """
    found = {url: await _identify_one(client, url, model, ready_s) for url in urls}
    servers = set(found.values())
    if len(servers) > 1:
        rows = "; ".join(f"{shown_address(url)}: {server.name}, {server.root}" for url, server in found.items())
        raise ModelError(f"servers that share a run must be alike: {rows}")
    return servers.pop()


async def _identify_one(client: Client, url: str, model: str, ready_s: float) -> Server:
    listed = await client.get(url, "/v1/models", ready_s)
    data = listed.get("data") if isinstance(listed, dict) else None
    entries = data if isinstance(data, list) else []
    known = {str(entry.get("id")): entry for entry in entries if isinstance(entry, dict)}
    if known and model not in known:
        raise ModelError(f"{shown_address(url)} has no model {model!r}; it has {', '.join(sorted(known)[:10])}")
    about = known.get(model, {})
    host, owner = urlsplit(url).hostname or url, str(about.get("owned_by") or "")
    for path in VERSION_PATHS:
        page = await client.get(url, path)
        if isinstance(page, dict) and page.get("version"):
            return Server(f"{owner or 'server'} {page['version']}", str(about.get("root") or model))
    return Server(f"{host} {owner}".strip(), str(about.get("root") or model))


async def takes_choices(client: Client, request: Mapping[str, Any]) -> bool:
    """True where the server holds an answer to given choices; some ignore what they do not know.

    Args:
        request: a chat completion without messages.
    """
    messages = [{"role": "user", "content": "Say hello."}]
    asked = {**request, "messages": messages, "max_tokens": 32, "structured_outputs": {"choice": [CHOICE]}}
    try:
        return await client.complete(asked, lambda completion: (completion.text or "").strip() == CHOICE)
    except GenerationError:
        return False


async def check_senses(client: Client, request: Mapping[str, Any], messenger: Messenger) -> None:
    """Refuse a server to which a face or a voice makes no difference.

    Args:
        request: a chat completion without messages.

    Raises:
        ModelError: it is blind or deaf, or does not take what is sent.
    """
    ask = partial(_ask_about, client, request, messenger)
    silent, loud = _clips()
    after = await ask(QUESTION)
    for sense, without, clip in (("video", (), silent), ("sound", (silent,), loud)):
        before, after = after, await ask(QUESTION, clip)
        noticed = before.text != after.text
        counted = None not in (before.prompt_tokens, after.prompt_tokens)
        # Counts alone prove nothing: a server may count words only, or placeholder tokens that it leaves empty.
        if noticed and counted and before.prompt_tokens == after.prompt_tokens:
            noticed = (await ask(QUESTION, *without)).text == before.text
        elif not noticed and counted and before.prompt_tokens != after.prompt_tokens:
            question = SENSES[sense]
            noticed = not after.text or (await ask(question, *without)).text != (await ask(question, clip)).text
        if not noticed:
            raise ModelError(
                f"the server drops the {sense}: with it and without it, it counts {after.prompt_tokens} and "
                f"{before.prompt_tokens} tokens and answers {after.text!r}; serve the model so that it takes {sense}, "
                "or give probe=false"
            )


def _clips() -> tuple[Clip, Clip]:
    """A second of a red square: alone, and with a tone."""
    frames = np.zeros((26, 64, 64, 3), np.uint8)
    frames[:, 16:48, 16:48] = (200, 40, 40)
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(SOUND_RATE) / SOUND_RATE)).astype(np.float32)
    loud = media.encode_clip(frames, tone, fps=25, rate=SOUND_RATE)
    return Clip.from_bytes(media.remove_sound(loud)), Clip.from_bytes(loud)


async def _ask_about(
    client: Client, request: Mapping[str, Any], messenger: Messenger, question: str, *clips: Clip
) -> ChatCompletion:
    messages = messenger.messages([Message("user", (*clips, Text(question)))])
    try:
        return await client.complete({**request, "messages": messages, "max_tokens": 16}, lambda completion: completion)
    except GenerationError as error:
        content = messages[-1]["content"]
        kinds = ", ".join(part["type"] for part in content) if isinstance(content, list) else "text"
        raise ModelError(f"the server does not take a message of {kinds}: {error}") from error
