"""Middleware before the study's pages: origin checks, rate limits and response headers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from avemo_harness.errors import UsageError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 16 * 1024
BURST, A_SECOND = 240.0, 30.0
"""Requests that a rater may make at once and then each second."""
CROWD = 20
"""Raters that may come from one address, such as that of a laboratory or of a proxy."""
_MAX_KNOWN = 10_000
_COOKIE = re.compile("[0-9a-f]{32}")
_DEFAULT_PORTS = {"http": 80, "https": 443}

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""Sent with every answer."""


def require_packages() -> None:
    """Refuse where Starlette or uvicorn is not installed (UsageError)."""
    for package in ("starlette", "uvicorn"):
        if find_spec(package) is None:
            raise UsageError(f"{package} is not installed; the rating pages need: pip install 'avemo-harness[human]'")


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """Address by which raters find the study.

    Args:
        origins: such as ``https://ratings.example.org``, without a path.
    """

    origins: frozenset[str]

    @property
    def hosts(self) -> frozenset[str]:
        """Accepted values of a request's Host header."""
        return frozenset(urlsplit(origin).netloc for origin in self.origins)

    @property
    def encrypted(self) -> bool:
        return all(origin.startswith("https://") for origin in self.origins)

    @property
    def exposed(self) -> bool:
        """True where traffic between raters and server is readable and may be changed on the way."""
        return not self.encrypted and not all(is_loopback(urlsplit(one).hostname or "") for one in self.origins)


def public_address(host: str, port: int, url: str | None) -> PublicAddress:
    """The address that a server at `host` and `port` is reached by.

    Args:
        url: the public one, where a proxy or another machine stands before it.

    Raises:
        UsageError: others than this machine can reach the server, and no URL says by which name.

    >>> sorted(public_address("127.0.0.1", 8000, None).origins)
    ['http://127.0.0.1:8000', 'http://localhost:8000']
    """
    if url is not None:
        if not _is_origin(url):
            raise UsageError(f"--url must be like https://ratings.example.org, found {url!r}")
        return PublicAddress(frozenset({_origin(url)}))
    if not is_loopback(host):
        raise UsageError(f"--host {host} lets others in; say with --url by which address they come")
    return PublicAddress(frozenset(_origin(f"http://{name}:{port}") for name in (bracketed(host), "localhost")))


def bracketed(host: str) -> str:
    """A host as it stands in an address.

    >>> bracketed("::1"), bracketed("localhost")
    ('[::1]', 'localhost')
    """
    return f"[{host}]" if ":" in host else host


def _origin(url: str) -> str:
    """Scheme, host and port as browsers send them: in small letters, and without the port that is meant anyway."""
    parts = urlsplit(url.lower())
    host = bracketed(parts.hostname or "")
    return f"{parts.scheme}://{host}" + ("" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}")


def _is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in _DEFAULT_PORTS and bool(parts.hostname) and parts.port != 0 and not parts.path.strip("/")
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """True for a host that only this machine can reach."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass
class RateLimit:
    """A token bucket for every caller: each request takes a token, and time refills them.

    >>> limit = RateLimit(clock=lambda: 0.0, burst=2)
    >>> [limit.allows("somebody") for _ in range(3)]
    [True, True, False]
    """

    clock: Callable[[], float]
    burst: float = BURST
    a_second: float = A_SECOND
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def allows(self, caller: str) -> bool:
        """Take a token for one more request of a caller; False where its bucket is empty."""
        now = self.clock()
        left, at = self._left.pop(caller, (self.burst, now))
        left = min(self.burst, left + (now - at) * self.a_second)
        if len(self._left) >= _MAX_KNOWN:
            del self._left[next(iter(self._left))]
        self._left[caller] = (max(0.0, left - 1), now)
        return left >= 1


class Guard:
    """Lets through what the study's own page may ask for, and puts `HEADERS` on every answer.

    Args:
        app: what is guarded.
        clock: seconds.
        cookie: the name of the cookie that callers are told apart by.
    """

    def __init__(self, app: ASGIApp, address: PublicAddress, clock: Callable[[], float], cookie: str) -> None:
        self._app = app
        self._address = address
        self._of_cookies = RateLimit(clock)
        self._of_addresses = RateLimit(clock, CROWD * BURST, CROWD * A_SECOND)
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of ASGI."""
        from starlette.requests import Request
        from starlette.responses import JSONResponse

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        refusal = self._refusal(Request(scope))
        if refusal is None:
            await self._app(scope, receive, send_with_headers)
        else:
            status, text = refusal
            await JSONResponse({"message": text}, status)(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> tuple[int, str] | None:
        host, cookie = request.client.host if request.client else "", request.cookies.get(self._cookie)
        # Others are no cookie of ours, and could be of any length.
        known = cookie is not None and _COOKIE.fullmatch(cookie) is not None
        if not self._of_addresses.allows(host) or (known and not self._of_cookies.allows(str(cookie))):
            return 429, "Too many requests; wait a minute."
        if request.headers.get("host", "").lower() not in self._address.hosts:
            return 421, "The study is not at this address."
        if request.method != "POST":
            return None
        if request.headers.get("origin") not in self._address.origins:
            return 403, "This was not sent by the study's own page."
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return 415, "Expected JSON."
        return None
