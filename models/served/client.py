"""Chat completions of servers that are alike: whole or streamed, without the fields that a server does not know."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from avemo_harness import http
from avemo_harness.errors import GenerationError, ModelError
from avemo_harness.http import BOUNDS, Bounds
from avemo_harness.http_addresses import shown_address
from avemo_harness.http_bodies import parse_json, read_body, read_events
from avemo_harness.http_errors import RequestError, error_of_body, server_message
from avemo_harness.models.served import answers
from avemo_harness.models.served.answers import Told

if TYPE_CHECKING:
    import httpx

OPTIONAL = ("structured_outputs", "seed", "stream_options", "modalities")
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

    async def complete(self, payload: Mapping[str, Any], use: Callable[[Told], Result]) -> Result:
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

    async def _read_whole(self, response: httpx.Response) -> Told:
        body = parse_json(await read_body(response, self._http.bounds.most_bytes))
        _refuse_error(body)
        return answers.read_answer(body)

    async def _read_stream(self, response: httpx.Response) -> Told:
        events = await read_events(response, self._http.bounds.most_bytes)
        for event in events:
            _refuse_error(event)
        return answers.read_events(map(_chunk, events))


def _refuse_error(body: object) -> None:
    failure = error_of_body(body)
    if failure is not None:
        raise failure


def _chunk(event: Any) -> Any:
    """An event as a part of a completion: gateways keep streams alive by events without choices, or with null."""
    return {**event, "choices": []} if isinstance(event, dict) and event.get("choices") is None else event


def _optional(sent: Mapping[str, Any]) -> set[str]:
    # Speech is not optional where it is asked for.
    return {name for name in OPTIONAL if name in sent and not (name == "modalities" and "audio" in sent[name])}


def _names_no_field(error: RequestError, sent: Mapping[str, Any]) -> bool:
    """True where a server refuses a request without a word on which part of it."""
    message = server_message(error.told.encode())
    # Gateways end every message with the name of a "model group", which says nothing about the field.
    named = _details(error.told) or any(re.search(rf"\b{name}\b", message) for name in sent if name != "model")
    return error.status in (400, 422) and not named


def _unknown_fields(error: RequestError, sent: Mapping[str, Any]) -> set[str]:
    """Optional fields that a server names as unknown to it, as pydantic's details or in a sentence."""
    if error.status not in (400, 422):
        return set()
    optional = _optional(sent)
    message = server_message(error.told.encode())
    if details := _details(error.told):
        places = [one.get("loc") for one in details if "extra" in str(one.get("type"))]
        return optional & {
            part for place in places if isinstance(place, list) for part in place if isinstance(part, str)
        }
    return {name for name in optional if re.search(rf"\b{name}\b", message)} if _UNKNOWN.search(message) else set()


def _details(told: str) -> list[dict[str, Any]]:
    """Pydantic's list of what is wrong with a request: FastAPI's ``detail``, or that in the message of an error."""
    try:
        body = json.loads(told)
    except (ValueError, RecursionError):
        return []
    for name in ("error", "message", "detail"):
        body = body.get(name) or body if isinstance(body, dict) else body
    return [one for one in body if isinstance(one, dict)] if isinstance(body, list) else []
