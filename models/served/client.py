"""Requests to servers that are alike: shared out, tried again within bounds, never waited on for ever."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from avemo_harness.errors import GenerationError, ModelError
from avemo_harness.models.served.answers import Told, parse_event, read_answer, read_events
from avemo_harness.models.served.failures import (
    AnswerError,
    Failure,
    Fatal,
    RateLimited,
    Transient,
    failure_of_body,
    failure_of_exception,
    failure_of_status,
)

if TYPE_CHECKING:
    import httpx

GONE = 10
"""Requests in a row that found no server at all, after which no more are sent."""
LONGEST_ANSWER = 2**28

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is tried for one request.

    Args:
        attempts: how often it is sent at most.
        timeout_s: for one attempt.
        total_s: from the first attempt on; none is begun after it.
        pause_s: before the second attempt; doubled before each further one, with jitter.
        longest_pause_s: above which no pause grows, a server's wish included.
    """

    attempts: int = 6
    timeout_s: float = 300.0
    total_s: float = 1800.0
    pause_s: float = 0.5
    longest_pause_s: float = 60.0


@dataclass
class _Server:
    """One server: how many requests it is answering, and before when it wants no more."""

    url: str
    busy: int = 0
    closed_until: float = 0.0


@dataclass
class Client:
    """Sends requests. All of it runs in one event loop.

    Args:
        urls: of the servers, up to and with ``/v1``.
        key: sent with every request; None for none. It is cut out of every message.
    """

    urls: Sequence[str]
    key: str | None
    bounds: Bounds = field(default_factory=Bounds)

    def __post_init__(self) -> None:
        import httpx

        self._servers = [_Server(url.rstrip("/")) for url in self.urls]
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        # The number of requests under way is bounded by whoever asks.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=256)
        timeout = httpx.Timeout(self.bounds.timeout_s, connect=min(30.0, self.bounds.timeout_s))
        self._http = httpx.AsyncClient(headers=headers, limits=limits, timeout=timeout)
        self._jitter = random.Random(0)
        self._unreachable = 0

    async def complete(self, payload: Mapping[str, Any], use: Callable[[Told], Result]) -> Result:
        """Ask for a chat completion.

        Args:
            payload: the request; with ``stream`` it is read as a stream.
            use: makes something of the answer; raises an AnswerError where another attempt may give a better one.

        Raises:
            GenerationError: the server refuses this request, or no attempt was answered.
            ModelError: it would refuse every request, or is gone.
        """
        body = json.dumps(payload).encode()
        streamed = bool(payload.get("stream"))
        answer: Result = await self._tried(lambda server: self._completion(server, body, streamed, use))
        return answer

    async def get(self, url: str, path: str) -> Any:
        """The JSON that a server gives for a path, beside ``/v1``; None where there is none.

        Raises:
            ModelError: the server cannot be reached.
        """
        import httpx

        root = url.rstrip("/").removesuffix("/v1")
        try:
            answer = await self._http.get(root + path, timeout=min(30.0, self.bounds.timeout_s))
        except httpx.HTTPError as error:
            raise ModelError(self._clean(f"{url}: {failure_of_exception(error).why}; is the server up?")) from None
        if answer.status_code in (401, 403):
            told = failure_of_status(answer.status_code, answer.headers, answer.content)
            raise ModelError(self._clean(f"{url}: {told.error}" if isinstance(told, Fatal) else url))
        try:
            return answer.json() if answer.status_code == 200 else None
        except ValueError:
            return None

    async def close(self) -> None:
        """End all connections."""
        await self._http.aclose()

    async def _tried(self, attempt: Callable[[_Server], Any]) -> Any:
        bounds, begun = self.bounds, time.monotonic()
        why, last = "", None
        for number in range(bounds.attempts):
            if self._unreachable >= GONE:
                raise ModelError(
                    f"no server was reached {self._unreachable} times in a row: it is gone; start it again"
                )
            server = self._choose(last)
            server.busy += 1
            try:
                await asyncio.sleep(max(0.0, server.closed_until - time.monotonic()))
                outcome = await attempt(server)
            finally:
                server.busy -= 1
            if not isinstance(outcome, RateLimited | Transient | Fatal):
                self._unreachable = 0
                return outcome[0]
            if isinstance(outcome, Fatal):
                raise type(outcome.error)(self._clean(str(outcome.error)))
            unreachable = isinstance(outcome, Transient) and outcome.unreachable
            self._unreachable = self._unreachable + 1 if unreachable else 0
            why, last = outcome.why, server
            pause = self._pause(outcome, number)
            if number + 1 == bounds.attempts or time.monotonic() - begun + pause > bounds.total_s:
                break
            if isinstance(outcome, RateLimited):
                server.closed_until = max(server.closed_until, time.monotonic() + pause)
            else:
                await asyncio.sleep(pause)
        raise GenerationError(self._clean(f"not answered in {number + 1} attempts; the last one: {why}"))

    async def _completion(
        self, server: _Server, body: bytes, streamed: bool, use: Callable[[Told], Result]
    ) -> tuple[Result] | Failure:
        """One attempt: what was made of the answer, in a tuple of one, or what failed."""
        import httpx

        url = f"{server.url}/chat/completions"
        try:
            return await asyncio.wait_for(self._answer(url, body, streamed, use), self.bounds.timeout_s)
        except httpx.HTTPError as error:
            return failure_of_exception(error)
        except asyncio.TimeoutError:
            return Transient(f"no whole answer came within {self.bounds.timeout_s:g} s")
        except AnswerError as error:
            return Transient(str(error))
        except GenerationError as error:
            return Fatal(error)

    async def _answer(
        self, url: str, body: bytes, streamed: bool, use: Callable[[Told], Result]
    ) -> tuple[Result] | Failure:
        async with self._http.stream("POST", url, content=body, headers={"Content-Type": "application/json"}) as answer:
            if answer.status_code != 200:
                return failure_of_status(answer.status_code, answer.headers, await _all_of(answer))
            if streamed:
                events = [event async for line in answer.aiter_lines() if (event := parse_event(line)) is not None]
                failures = [failure for event in events if (failure := failure_of_body(event))]
                return failures[0] if failures else (use(read_events(events)),)
            told = _parsed(await _all_of(answer))
            return failure_of_body(told) or (use(read_answer(told)),)

    def _choose(self, last: _Server | None) -> _Server:
        """The server that is open first and least busy, another than the last one where there are several."""
        now = time.monotonic()
        others = [server for server in self._servers if server is not last] or self._servers
        return min(others, key=lambda server: (max(0.0, server.closed_until - now), server.busy))

    def _pause(self, failure: RateLimited | Transient, number: int) -> float:
        if isinstance(failure, RateLimited) and failure.after_s is not None:
            return min(failure.after_s, self.bounds.longest_pause_s)
        pause: float = self.bounds.pause_s * 2**number * self._jitter.uniform(0.5, 1.5)
        return min(pause, self.bounds.longest_pause_s)

    def _clean(self, message: str) -> str:
        return message.replace(self.key, "***") if self.key else message


async def _all_of(answer: httpx.Response) -> bytes:
    """The body of an answer, up to a bound."""
    parts, size = [], 0
    async for part in answer.aiter_bytes():
        size += len(part)
        if size > LONGEST_ANSWER:
            raise AnswerError(f"an answer of more than {LONGEST_ANSWER} bytes")
        parts.append(part)
    return b"".join(parts)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise AnswerError(f"an answer that is no JSON ({error})") from error
