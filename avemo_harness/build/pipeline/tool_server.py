"""Requests to the servers of tools: bounded in number, time and size, with errors that name the unit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeVar

from avemo_harness.errors import BuildError, MediaError, UsageError, first_line
from avemo_harness.server_words import retry_after_s, server_message, shown

if TYPE_CHECKING:
    import httpx

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TRY_AGAIN = (408, 425, 429)
"""Statuses below 500 after which the same request may succeed."""

Result = TypeVar("Result")


class UnusableAnswerError(Exception):
    """What a server answered cannot be used; another attempt may give something better."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is tried for one request.

    Args:
        attempts: how often it is sent at most.
        connect_s: until a connection stands.
        silence_s: between two pieces of an answer.
        answer_s: for a whole answer.
        pause_s: before the second attempt; doubled before each further one.
        longest_pause_s: above which no pause grows, a server's wish included.
        most_bytes: of an answer.
    """

    attempts: int = 5
    connect_s: float = 10.0
    silence_s: float = 120.0
    answer_s: float = 600.0
    pause_s: float = 0.5
    longest_pause_s: float = 60.0
    most_bytes: int = 2**26


BOUNDS = Bounds()


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
            UnusableAnswerError: it is none.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise UnusableAnswerError(f"no JSON but {shown(self.body.decode(errors='replace'))!r}") from error


@dataclass(frozen=True, slots=True)
class _Failure:
    """An attempt that failed; `pause_s` is the server's wish, and None where it has none."""

    why: str
    final: bool = False
    pause_s: float | None = None


class Server:
    """A server of a tool. May be used by several threads.

    Proxies of the environment are used, but not for this machine itself.

    Args:
        base_url: what the paths of requests are added to, such as ``http://127.0.0.1:8000/v1``.
        api_key_env: the environment variable that holds the key, sent as a bearer token; empty for none.

    Raises:
        UsageError: the URL is none, the variable is not set, or httpx is not installed.
    """

    def __init__(self, base_url: str, api_key_env: str = "", bounds: Bounds = BOUNDS) -> None:
        try:
            import httpx
        except ImportError as error:
            raise UsageError("a server cannot be asked without httpx; pip install 'avemo-harness[api]'") from error
        self._bounds = bounds
        self._key = _key(api_key_env)
        try:
            self._url = httpx.URL(base_url)
            self._url.host.encode("idna")
        except (httpx.InvalidURL, UnicodeError) as error:
            raise UsageError(f"base_url: no URL ({first_line(error)}); give one such as http://host:8000/v1") from error
        if self._url.scheme not in ("http", "https") or not self._url.host:
            raise UsageError(f"base_url: {self._shown_url('')} is no http address; give one such as http://host:8000")
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=httpx.Timeout(bounds.silence_s, connect=bounds.connect_s, pool=None),
            trust_env=self._url.host not in _LOOPBACK,
            # Reading the certificates takes a while; without TLS none are needed.
            verify=self._url.scheme == "https",
        )

    def ask(self, unit: str, request: JsonRequest | FormRequest, read: Callable[[Answer], Result]) -> Result:
        """Send a request until it is answered.

        Args:
            unit: what it is for, in messages.
            read: makes something of an answer; raises an UnusableAnswerError or a MediaError where another attempt may
                give a better one.

        Raises:
            BuildError: the server refuses the request, or no attempt was answered well.
        """
        bounds, why = self._bounds, ""
        for number in range(bounds.attempts):
            outcome = self._attempt(request, read)
            if isinstance(outcome, tuple):
                return outcome[0]
            why = f"{unit}: {self._shown_url(request.path)}: {self._clean(outcome.why)}"
            if outcome.final:
                raise BuildError(why)
            if number + 1 < bounds.attempts:
                wish = bounds.pause_s * 2**number if outcome.pause_s is None else outcome.pause_s
                sleep(min(wish, bounds.longest_pause_s))
        raise BuildError(f"{why}, in the last of {bounds.attempts} attempts")

    def _attempt(
        self, request: JsonRequest | FormRequest, read: Callable[[Answer], Result]
    ) -> tuple[Result] | _Failure:
        """What was made of the answer, in a tuple of one, or what failed."""
        import httpx

        url = self._url.copy_with(path=self._url.path.rstrip("/") + request.path)
        try:
            with self._http.stream("POST", url, **request.body()) as response:
                body = self._body(response)
                if response.status_code == 200:
                    return (read(Answer(dict(response.headers), body)),)
                return _refusal(response, body)
        except httpx.TimeoutException as error:
            return _Failure(f"no answer in time ({type(error).__name__})")
        except httpx.RequestError as error:
            return _Failure(f"the connection failed ({first_line(error)})")
        except (UnusableAnswerError, MediaError) as error:
            return _Failure(f"it answered {error}")

    def _body(self, response: httpx.Response) -> bytes:
        end = monotonic() + self._bounds.answer_s
        parts, size = [], 0
        for part in response.iter_bytes():
            size += len(part)
            if size > self._bounds.most_bytes:
                raise UnusableAnswerError(f"more than {self._bounds.most_bytes} bytes")
            if monotonic() > end:
                raise UnusableAnswerError(f"with an end later than {self._bounds.answer_s:g} s")
            parts.append(part)
        return b"".join(parts)

    def _shown_url(self, path: str) -> str:
        """The address of a path without user, password and query, which may hold keys."""
        url = self._url.copy_with(userinfo=b"", query=None, fragment=None)
        return str(url).rstrip("/") + path

    def _clean(self, message: str) -> str:
        for secret in filter(None, (self._key, self._url.password)):
            message = message.replace(secret, "***")
        return message


def _key(variable: str) -> str:
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UsageError(f"api_key_env: the environment variable {variable} is not set; export it, or leave it out")
    if not key.isascii() or not key.isprintable():
        raise UsageError(f"api_key_env: the environment variable {variable} holds no key but other characters")
    return key


def _refusal(response: httpx.Response, body: bytes) -> _Failure:
    status = response.status_code
    told = server_message(body)
    why = f"it answered {status}" + (f" ({told})" if told else "")
    if status >= 500 or status in _TRY_AGAIN:
        return _Failure(why, pause_s=retry_after_s(response.headers.get("retry-after", "")))
    return _Failure(why, final=True)
