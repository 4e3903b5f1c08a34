"""Requests to the servers of tools, with errors that name the unit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from avemo_harness.errors import BuildError, MediaError, UsageError
from avemo_harness.http import Bounds, Client, EventLoop, read_key
from avemo_harness.http_addresses import shown_url
from avemo_harness.http_bodies import parse_json, read_body
from avemo_harness.http_errors import AnswerError, RequestError

if TYPE_CHECKING:
    import httpx

BOUNDS = Bounds(attempts=5, timeout_s=600.0, silence_s=120.0, connect_s=10.0)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class JsonRequest:
    """A path below the server's URL, and what is sent to it as JSON."""

    path: str
    content: Mapping[str, object]

    def body(self) -> dict[str, Any]:
        """How httpx takes it."""
        return {"content": json.dumps(self.content).encode(), "headers": {"Content-Type": "application/json"}}


@dataclass(frozen=True, slots=True)
class FormRequest:
    """A path below the server's URL, and the fields and WAV files that are sent to it as a multipart form."""

    path: str
    fields: Mapping[str, str]
    files: Mapping[str, bytes] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """How httpx takes it; a field without a file name makes the form multipart also where there is no file."""
        fields = {name: (None, value) for name, value in self.fields.items()}
        files = {name: (f"{name}.wav", data, "audio/wav") for name, data in self.files.items()}
        return {"files": {**fields, **files}}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; names of headers in small letters."""

    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            AnswerError: it is none.
        """
        return parse_json(self.body)


class Server:
    """A server of a tool. May be used by several threads.

    Args:
        base_url: what the paths of requests are added to, such as ``http://127.0.0.1:8000/v1``.
        api_key_env: the environment variable that holds the key, sent as a bearer token; empty for none.

    Raises:
        UsageError: the URL is none, the variable is not set, httpx is not installed, or a variable of proxies or
            certificates cannot be used.
    """

    def __init__(self, base_url: str, api_key_env: str = "", bounds: Bounds = BOUNDS) -> None:
        key = read_key(api_key_env) if api_key_env else None
        if api_key_env and key is None:
            raise UsageError(
                f"api_key_env: the environment variable {api_key_env} is not set; export it, or leave it out"
            )
        self._http = Client([base_url], key, bounds)
        self._loop = EventLoop()

    def ask(self, unit: str, request: JsonRequest | FormRequest, read: Callable[[Answer], Result]) -> Result:
        """Send a request until it is answered.

        Args:
            unit: what it is for, in messages.
            read: makes something of an answer; raises an AnswerError or a MediaError where another attempt may give a
                better one.

        Raises:
            BuildError: the server refuses the request, or no attempt was answered well.
            UsageError: it would refuse every request, or is gone.
        """

        async def read_whole(response: httpx.Response) -> Result:
            answer = Answer(dict(response.headers), await read_body(response, self._http.bounds.most_bytes))
            try:
                return read(answer)
            except AnswerError as error:
                raise AnswerError(f"it answered {error}", error.scope) from error
            except MediaError as error:
                raise AnswerError(f"it answered {error}") from error

        try:
            return self._loop.submit(self._http.post(request.path, request.body(), read_whole)).result()
        except RequestError as error:
            where = shown_url(self._http.servers[0].url) + request.path
            raise (UsageError if error.scope == "run" else BuildError)(f"{unit}: {where}: {error}") from error
