"""HTTP client of models and builds: retries with exponential backoff and jitter, failover, limits of time and bytes."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from asyncio import sleep
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.util import find_spec
from ipaddress import ip_address
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from avemo_harness.errors import UsageError, first_line
from avemo_harness.http_answers import (
    MAX_ERROR_BYTES,
    AnswerError,
    RequestError,
    error_of_exception,
    error_of_status,
    parse_json,
    parse_url,
    read_body,
    read_start,
    shown_url,
)

if TYPE_CHECKING:
    import ssl

    import httpx

INFO_TIMEOUT_S = 30.0
"""Seconds for an attempt to get what a server tells of itself."""

SUCCESS_STATUSES = (200, 201)
"""Statuses of an answer; 201 is what some frameworks give to every POST."""
NOT_READY_STATUSES = (429, 502, 503, 504)
"""Statuses of a server that may be starting; one of 500 is rather a page that is broken."""

_CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of the attempts at one request.

    Args:
        attempts: most times that it is sent.
        timeout_s: for one attempt, up to the last byte of its answer.
        silence_s: between two pieces of an answer (read timeout).
        connect_s: until a connection stands.
        total_s: after the first attempt, beyond which none is begun.
        unreachable_s: without an answer from any server, until a request is given up for lack of a connection.
        ready_s: after the first attempt, during which a server that is still starting is asked beyond `attempts`.
        backoff_s: pause before the second attempt; doubled before each further one, with jitter.
        max_backoff_s: longest pause, also where a server's Retry-After is longer.
        max_bytes: of an answer, decompressed.
    """

    attempts: int = 6
    timeout_s: float = 300.0
    silence_s: float = 300.0
    connect_s: float = 30.0
    total_s: float = 1800.0
    unreachable_s: float = 60.0
    ready_s: float = 0.0
    backoff_s: float = 0.5
    max_backoff_s: float = 60.0
    max_bytes: int = 24 * 2**20


BOUNDS = Bounds()


@dataclass
class Server:
    """A server and the connection pool to it.

    Args:
        in_flight: requests that it is answering, or that wait for it.
        retry_at: monotonic time before which it is sent nothing.
        failures: failed connections since it last answered, each followed by a pause.
    """

    url: httpx.URL
    pool: httpx.AsyncClient
    in_flight: int = 0
    retry_at: float = 0.0
    failures: int = 0


@dataclass
class Client:
    """Sends requests to one server, or to the least busy of several replicas. All of it runs in one event loop.

    Proxies of the environment are used, but never for this machine itself.

    Args:
        urls: base URLs, to which the paths of requests are added.
        key: bearer token; cut out of every message.
        say: takes a sentence for the user before something slow.

    Raises:
        UsageError: a URL is none, httpx is not installed, or a variable of proxies or certificates cannot be used.
    """

    urls: Sequence[str]
    key: str | None = None
    bounds: Bounds = BOUNDS
    say: Callable[[str], object] = lambda sentence: None
    servers: list[Server] = field(init=False)
    _unreachable_since: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        urls = [parse_url(url) for url in self.urls]
        if any(map(os.environ.get, _CERTIFICATE_VARIABLES)):
            _tls()
        self.servers = [Server(url, _pool(url, self.key, self.bounds)) for url in urls]
        self._jitter = random.Random(0)

    async def post(
        self, path: str, body: Mapping[str, Any], read: Callable[[httpx.Response], Awaitable[Result]]
    ) -> Result:
        """Send a request until it is answered.

        Args:
            path: below the servers' URLs.
            body: keyword arguments of httpx's ``stream``.
            read: parses an answer; a RequestError of its own counts as a failed attempt.

        Raises:
            RequestError: a server refuses the request, or no attempt was answered well.
        """

        async def send(server: Server) -> Result:
            async with server.pool.stream("POST", _below(server.url, path), **body) as response:
                if response.status_code not in SUCCESS_STATUSES:
                    raise await _refusal(response)
                return await read(response)

        return await self._retry(self.servers, send, self.bounds)

    async def get(self, url: str, path: str, ready_s: float = 0.0) -> Any:
        """The JSON that a server gives for a path beside ``/v1``; None where there is no such page.

        Args:
            url: of the server, as it was given.
            ready_s: seconds to wait for a server that is starting.

        Raises:
            RequestError: the server is not reached or not ready, wants another key, or gives more than is read.
        """

        async def send(server: Server) -> Any:
            async with server.pool.stream("GET", server.url.copy_with(path=root + path)) as response:
                if response.status_code != 200:
                    refusal = await _refusal(response)
                    if refusal.scope == "attempt" or response.status_code in (401, 402, 403):
                        raise refusal
                    return None
                try:
                    body = await read_body(response, self.bounds.max_bytes)
                except AnswerError as error:
                    raise RequestError(f"{path}: {error}", "request") from error
            try:
                return parse_json(body)
            except AnswerError:
                return None

        server = self.servers[self.urls.index(url)]
        root = server.url.path.rstrip("/").removesuffix("/v1")
        timeout_s = min(INFO_TIMEOUT_S, self.bounds.timeout_s)
        return await self._retry(
            [server], send, replace(self.bounds, timeout_s=timeout_s, unreachable_s=0.0, ready_s=ready_s)
        )

    def clean(self, message: str) -> str:
        """Redact the key and the passwords of addresses."""
        for secret in filter(None, (self.key, *(server.url.password for server in self.servers))):
            message = message.replace(secret, "***")
        return message

    async def _retry(
        self, servers: Sequence[Server], send: Callable[[Server], Awaitable[Result]], bounds: Bounds
    ) -> Result:
        begun, number, server = monotonic(), 0, None
        while True:
            server = _choose(servers, server)
            try:
                return await self._attempt(server, send, bounds)
            except RequestError as failure:
                # Failing over to another server costs no attempt and no pause.
                fails_over = failure.unreachable and any(not server.failures for server in servers)
                number += not fails_over
                pause = 0.0 if fails_over else self._pause(server, failure, number)
                self._give_up(servers, failure, number, monotonic() - begun + pause, bounds)
                if failure.rate_limited:
                    server.retry_at = max(server.retry_at, monotonic() + pause)
                elif not failure.unreachable:
                    await sleep(pause)

    async def _attempt(self, server: Server, send: Callable[[Server], Awaitable[Result]], bounds: Bounds) -> Result:
        import httpx

        server.in_flight += 1
        try:
            if (pause := server.retry_at - monotonic()) > 0:
                await sleep(pause)
            answer = await asyncio.wait_for(send(server), bounds.timeout_s)
            self._mark_reachable(server)
            return answer
        except asyncio.TimeoutError as error:
            raise RequestError(f"no whole answer came within {bounds.timeout_s:g} s") from error
        except httpx.HTTPError as error:
            failure = error_of_exception(error)
            if failure.unreachable:
                self._mark_unreachable(server, failure)
            raise failure from error
        except RequestError as failure:
            self._mark_reachable(server)
            # Its frames hold what was read of the answer, up to the next collection of garbage.
            failure.__context__ = None
            raise failure.with_traceback(None) from None
        finally:
            server.in_flight -= 1

    def _mark_reachable(self, server: Server) -> None:
        server.failures = 0
        self._unreachable_since = None

    def _mark_unreachable(self, server: Server, failure: RequestError) -> None:
        """Back off from a server; the pause grows once a pause, not with each of the requests that found it away."""
        now = monotonic()
        if not server.failures:
            self.say(self.clean(f"{shown_url(server.url)}: {failure}; trying again"))
        if now >= server.retry_at:
            server.failures += 1
            server.retry_at = now + self._backoff(server.failures)
        self._unreachable_since = now if self._unreachable_since is None else self._unreachable_since

    def _give_up(
        self, servers: Sequence[Server], failure: RequestError, number: int, elapsed_s: float, bounds: Bounds
    ) -> None:
        reason, scope = str(failure), failure.scope
        late = elapsed_s > bounds.total_s
        if scope == "attempt" and failure.unreachable and all(server.failures for server in servers):
            silence_s = monotonic() - (self._unreachable_since or monotonic())
            if not late and (number < bounds.attempts or silence_s < bounds.unreachable_s):
                return
            advice = "is the server up? Start it again, then give the same command again"
            reason, scope = f"no server has answered for {silence_s:.0f} s: {reason}; {advice}", "run"
        elif scope == "attempt":
            patience_s = bounds.ready_s if failure.status in NOT_READY_STATUSES else 0.0
            if not late and (number < bounds.attempts or elapsed_s < patience_s):
                if patience_s and number == 1:
                    self.say(self.clean(f"{shown_url(servers[0].url)}: {reason}; waiting until it is ready"))
                return
            ended = "no time is left for another" if late and number < bounds.attempts else ""
            tried = f"{number} attempt{'s' if number > 1 else ''}{', and ' if ended else ''}{ended}"
            reason, scope = f"not answered in {tried}; the last one: {reason}", "request"
        raise RequestError(self.clean(reason), scope, status=failure.status, body_text=failure.body_text)

    def _pause(self, server: Server, failure: RequestError, number: int) -> float:
        if failure.unreachable:
            return max(0.0, server.retry_at - monotonic())
        if failure.retry_after_s is not None:
            return min(failure.retry_after_s, self.bounds.max_backoff_s)
        return min(self._backoff(number) * self._jitter.uniform(0.5, 1.5), self.bounds.max_backoff_s)

    def _backoff(self, number: int) -> float:
        return min(self.bounds.backoff_s * 2.0 ** min(number - 1, 32), self.bounds.max_backoff_s)


class EventLoop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="requests", daemon=True).start()

    def submit(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Schedule a coroutine from any other thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)


def _choose(servers: Sequence[Server], last: Server | None) -> Server:
    """The server that may be asked first, then the least busy; another than the last one where there are several."""
    now = monotonic()
    others = [server for server in servers if server is not last] or servers

    def cost(server: Server) -> tuple[float, int, int]:
        # One that was unreachable is tried by one request at a time.
        probes = server.in_flight if server.failures else 0
        return max(0.0, server.retry_at - now), probes, server.in_flight

    return min(others, key=cost)


@lru_cache(maxsize=64)
def _below(url: httpx.URL, path: str) -> httpx.URL:
    return url.copy_with(path=url.path.rstrip("/") + path)


async def _refusal(response: httpx.Response) -> RequestError:
    body = await read_start(response, MAX_ERROR_BYTES)
    return error_of_status(response.status_code, response.headers, body)


def read_key(variable: str) -> str | None:
    """The API key in a variable of the environment, or None (UsageError: it is not printable ASCII)."""
    key = os.environ.get(variable, "").strip()
    if not key.isascii() or not key.isprintable():
        raise UsageError(f"api_key_env: the environment variable {variable} holds no key but other characters")
    return key or None


def _pool(url: httpx.URL, key: str | None, bounds: Bounds) -> httpx.AsyncClient:
    import httpx

    proxy = _proxy(url)
    return httpx.AsyncClient(
        # Without it httpx would ask for whatever compression there is a package for.
        headers={"Accept-Encoding": "gzip", **({"Authorization": f"Bearer {key}"} if key else {})},
        # The number of requests under way is bounded by whoever asks.
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=256),
        timeout=httpx.Timeout(bounds.silence_s, connect=min(bounds.connect_s, bounds.timeout_s), pool=None),
        trust_env=False,
        proxy=proxy,
        # Reading the certificates takes a while; without TLS none are needed.
        verify=_tls() if url.scheme == "https" else False,
    )


def _tls() -> ssl.SSLContext:
    import httpx

    given = {variable: value for variable in _CERTIFICATE_VARIABLES if (value := os.environ.get(variable))}
    for variable, is_there in (("SSL_CERT_FILE", os.path.isfile), ("SSL_CERT_DIR", os.path.isdir)):
        if variable in given and not is_there(given[variable]):
            raise UsageError(f"{variable}={given[variable]}: there are no certificates; correct it, or unset it")
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        named = " or ".join(f"{variable}={value}" for variable, value in given.items()) or "the certificates"
        raise UsageError(f"{named} cannot be used for TLS ({first_line(error)}); correct it, or unset it") from error


def _proxy(url: httpx.URL) -> httpx.Proxy | None:
    """The proxy that the environment names for an address; None for this machine itself."""
    from urllib.request import proxy_bypass

    import httpx

    port = f":{url.port}" if url.port else ""
    if _is_loopback(url.host) or proxy_bypass(url.host + port):
        return None
    names = [name for lower in (f"{url.scheme}_proxy", "all_proxy") for name in (lower, lower.upper())]
    variable = next((name for name in names if os.environ.get(name)), None)
    if variable is None:
        return None
    given = os.environ[variable]
    try:
        proxy = httpx.URL(given if "://" in given else f"http://{given}")
    except httpx.InvalidURL as error:
        raise UsageError(f"{variable} names no proxy ({first_line(error)}); correct or unset the variable") from error
    advice = f"correct or unset it, or name {url.host} in NO_PROXY"
    if proxy.scheme in ("socks5", "socks5h") and find_spec("socksio") is None:
        raise UsageError(f"{variable} names a SOCKS proxy, which needs pip install 'httpx[socks]'; or {advice}")
    if proxy.scheme not in ("http", "https", "socks5", "socks5h") or not proxy.host:
        raise UsageError(f"{variable}={shown_url(proxy)} is no http, https or socks5 proxy; {advice}")
    return httpx.Proxy(proxy, ssl_context=_tls() if proxy.scheme == "https" else None)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
