"""Answers of HTTP servers: addresses, a taxonomy of failures, and bodies read within limits."""

from __future__ import annotations

import asyncio
import html
import json
import re
import ssl
import zlib
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal

from avemo_harness.errors import UsageError, first_line
from avemo_harness.text import printable

if TYPE_CHECKING:
    import httpx


def parse_url(text: str) -> httpx.URL:
    """The address of a server (UsageError: it is none, or httpx is not installed)."""
    try:
        import httpx
    except ImportError as error:
        raise UsageError("a server cannot be asked without httpx; pip install 'avemo-harness[api]'") from error
    try:
        url = httpx.URL(text)
        url.host.encode("idna")
    except (httpx.InvalidURL, UnicodeError) as error:
        raise UsageError(f"base_url: no URL ({first_line(error)}); give one such as http://host:8000/v1") from error
    if url.port is not None and not 0 < url.port < 2**16:
        raise UsageError(f"base_url: {shown_url(url)} has no port of 1 to 65535; give one such as http://host:8000/v1")
    if url.scheme not in ("http", "https") or not url.host:
        raise UsageError(f"base_url: {shown_url(url)} is no http address; give one such as http://host:8000/v1")
    return url


def shown_url(url: httpx.URL) -> str:
    """An address without user, password and query, which may hold keys."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None)).rstrip("/")


def shown_address(text: str) -> str:
    """The same of an address that was given as text, which need not be one.

    >>> shown_address("http://me:secret@host:8000/v1?key=secret")
    'http://host:8000/v1'
    """
    return re.sub(r"//.*@", "//", re.split(r"[?#]", text)[0]).rstrip("/")


MAX_MESSAGE_LENGTH = 300
MAX_ERROR_BYTES = 2**16
_MAX_PAGE_BYTES = 2**14
"""Bytes of an HTML page in which its text is looked for."""

Scope = Literal["attempt", "request", "run"]

_QUOTA_CODES = frozenset(
    {"insufficient_quota", "insufficient_user_quota", "insufficient_balance", "exceeded_current_quota_error"}
    | {"billing_hard_limit_reached", "billing_not_active", "arrearage"}
)
"""Codes and types of errors of an account without credit; other errors of status 429 are temporary."""
_TRANSIENT_STATUSES = (408, 409, 425, 429)
"""Statuses below 500 after which the same request may succeed."""
_UNSUPPORTED_STATUSES = (501, 505)
"""Statuses from 500 on that no retry mends."""
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
"""Reasons of OpenSSL's errors where what answers a handshake is no TLS."""


class RequestError(Exception):
    """A request that failed, in one attempt or for good.

    Args:
        reason: one line.
        scope: of the failure: this attempt (a retry may succeed), this request, or every request of the run.
        status: of the answer, where there was one.
        body_text: the beginning of the body of the answer.
        retry_after_s: seconds until the server wants the next request.
        rate_limited: too many requests for the server.
        unreachable: no connection could be made.
    """

    def __init__(
        self,
        reason: str,
        scope: Scope = "attempt",
        *,
        status: int | None = None,
        body_text: str = "",
        retry_after_s: float | None = None,
        rate_limited: bool = False,
        unreachable: bool = False,
    ) -> None:
        super().__init__(reason)
        self.scope = scope
        self.status = status
        self.body_text = body_text
        self.retry_after_s = retry_after_s
        self.rate_limited = rate_limited
        self.unreachable = unreachable


class AnswerError(RequestError):
    """An answer that cannot be used, though the server called it one; another attempt may give a whole one."""


def error_of_status(status: int, headers: Mapping[str, str], body: bytes) -> RequestError:
    """Classify an answer of another status than 200."""
    body_text = body[:MAX_ERROR_BYTES].decode("utf-8", "replace")
    reason = f"the server answered {status}: {server_message(body) or 'nothing'}"

    def failure(advice: str, scope: Scope) -> RequestError:
        return RequestError(reason + advice, scope, status=status, body_text=body_text)

    if status == 402 or _QUOTA_CODES & _codes(body):
        return failure("; the account has no quota left: top it up, then give the same command again", "run")
    if status == 401:
        return failure("; is the key right? api_key_env names the variable that holds it", "run")
    if status in (404, 405):
        return failure("; base_url ends in /v1 with most servers", "run")
    if status == 413:
        return failure("; a shorter history or smaller clips make the request smaller", "request")
    if 300 <= status < 400 and (there := _destination(headers.get("location", ""))):
        return failure(f"; it leads to {there}, which base_url may name", "request")
    if status in _TRANSIENT_STATUSES or (status >= 500 and status not in _UNSUPPORTED_STATUSES):
        wait_s = retry_after_s(headers.get("retry-after", ""))
        rate_limited = status == 429 or (status == 503 and "retry-after" in headers)
        return RequestError(reason, status=status, body_text=body_text, retry_after_s=wait_s, rate_limited=rate_limited)
    return failure("", "request")


def _destination(location: str) -> str:
    """A redirect as a base URL without its query, which may hold keys; empty where it leads to no web address."""
    if not re.match(r"https?://|/", location):
        return ""
    return one_line(re.split(r"[?#]", location)[0]).removesuffix("/chat/completions")


def error_of_body(body: object) -> RequestError | None:
    """The error that a body of status 200 holds; None where it holds none.

    Errors are ``{"error": …}`` or, in an older shape, ``{"object": "error", "message": …}``.
    """
    if not isinstance(body, dict):
        return None
    error = body if body.get("object") == "error" else body.get("error")
    if not error:
        return None
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    return error_of_status(status, {}, json.dumps(body).encode())


def error_of_exception(error: httpx.HTTPError) -> RequestError:
    """Classify an exception of httpx: no whole answer came."""
    import httpx

    unreachable = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)
    if isinstance(error, httpx.TimeoutException):
        return RequestError(f"no answer in time ({type(error).__name__})", unreachable=unreachable)
    reason = f"the connection failed ({first_line(error)})"
    tls = _tls_error(error)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return RequestError(f"{reason}; SSL_CERT_FILE may name the certificates of who signed the server's", "run")
    if tls is not None and tls.reason in _NO_TLS:
        return RequestError(f"{reason}; no TLS is spoken there: base_url may have to begin with http://", "run")
    if isinstance(error, httpx.RemoteProtocolError) and "illegal" in reason:
        reason += "; no HTTP is spoken there: base_url may have to begin with https://"
    return RequestError(reason, unreachable=unreachable)


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def retry_after_s(value: str) -> float | None:
    """Seconds that a Retry-After header (RFC 9110, section 10.2.3) asks for; None where it says nothing of use.

    >>> retry_after_s("2"), retry_after_s("Thu, 01 Jan 1970 00:00:00 GMT"), retry_after_s("soon")
    (2.0, None, None)
    """
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return float(value)
    try:
        then = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    then = then if then.tzinfo else then.replace(tzinfo=timezone.utc)
    # A time that is past tells of clocks that differ.
    seconds = (then - datetime.now(timezone.utc)).total_seconds()
    return seconds if seconds > 0 else None


def server_message(body: bytes) -> str:
    """The message of an error, short and on one line.

    It is OpenAI's ``error.message``, FastAPI's ``detail``, the title of a page, or a text.

    >>> server_message(b'{"error": {"message": "no such model"}}')
    'no such model'
    >>> server_message(b"<html><head><title>502 Bad Gateway</title></head><body><hr>nginx</body></html>")
    '502 Bad Gateway'
    """
    message = _parsed(body)
    if message is None:
        return one_line(_page_text(body[:_MAX_PAGE_BYTES].decode("utf-8", "replace")))
    for name in ("error", "detail", "message"):
        if isinstance(message, dict) and message.get(name):
            message = message[name]
    try:
        return one_line(message if isinstance(message, str) else json.dumps(message))
    except RecursionError:
        return one_line(body[:MAX_MESSAGE_LENGTH].decode("utf-8", "replace"))


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body[:MAX_ERROR_BYTES])
    except (ValueError, RecursionError):
        return None


def _codes(body: bytes) -> set[str]:
    values = _parsed(body)
    error = values.get("error", values) if isinstance(values, dict) else None
    if not isinstance(error, dict):
        return set()
    return {str(error[name]).lower() for name in ("code", "type") if name in error}


def _page_text(text: str) -> str:
    """The title of an HTML page, or where it has none its text; other texts as they are."""
    if not re.match(r"\s*<[!a-zA-Z]", text):
        return text
    title = re.search(r"<title[^>]*>([^<]*[^<\s][^<]*)", text, re.IGNORECASE)
    if title:
        return html.unescape(title[1])
    # What is left of a script is the end of its last tag, which goes with the other tags.
    without_code = re.sub(r"<(script|style)\b.*?(</\1|\Z)", "<", text, flags=re.IGNORECASE | re.DOTALL)
    return html.unescape(re.sub(r"<[^<>]*>", " ", without_code))


def one_line(text: str) -> str:
    """A text of unknown origin, short, printable and on one line.

    >>> one_line("one\\ntwo\\x1b[31m")
    'one two[31m'
    """
    return printable(" ".join(text.split()))[:MAX_MESSAGE_LENGTH]


MAX_ELEMENTS = 2**19
"""Keys and values of a JSON answer, or of all events of a stream; each takes about 80 bytes of memory."""
MAX_DEPTH = 64
_TOO_DEEP = f"JSON of more than {MAX_DEPTH} levels"
_PIECE_BYTES = 2**16
LINGER_S = 1.0
"""Seconds without a byte after which a stream that said ``[DONE]`` is at its end."""

_GZIP_START = b"\x1f"

_LINE_END = re.compile(rb"\r\n|\r|\n")


async def read_body(response: httpx.Response, max_bytes: int) -> bytes:
    """The body of an answer, decompressed (AnswerError: it is larger than allowed, or damaged)."""
    body = bytearray()
    async for piece in _read_pieces(response):
        body += piece
        if len(body) > max_bytes:
            raise AnswerError(f"an answer of more than {max_bytes} bytes", "request")
    return bytes(body)


async def read_start(response: httpx.Response, max_bytes: int) -> bytes:
    """The beginning of a body, decompressed; b"" where its compression is not known or damaged."""
    body = bytearray()
    with suppress(AnswerError):
        async for piece in _read_pieces(response):
            body += piece
            if len(body) >= max_bytes:
                break
    return bytes(body[:max_bytes])


async def read_events(response: httpx.Response, max_bytes: int) -> list[Any]:
    """The JSON of server-sent events (WHATWG HTML, section 9.2), without OpenAI's ``[DONE]``.

    An event that is named ``error`` becomes ``{"error": …}``. A server that leaves the connection open after
    ``[DONE]``, or cuts it there, has sent everything.

    Raises:
        AnswerError: they are larger than allowed, or no JSON.
    """
    events: list[Any] = []
    elements, name, data, done = 0, b"", list[bytes](), False
    lines = read_lines(response, max_bytes)
    while (line := await _next_line(lines, done)) is not None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
        elif not line:
            text = b"\n".join(data)
            if text.strip() == b"[DONE]":
                done = True
            elif data:
                elements += _count_elements(text)
                if elements > MAX_ELEMENTS:
                    raise AnswerError(f"a stream of more than {MAX_ELEMENTS} values", "request")
                event = parse_json(text)
                events.append({"error": event} if name == b"error" else event)
            name, data = b"", []
    return events


async def _next_line(lines: AsyncIterator[bytes], done: bool) -> bytes | None:
    import httpx

    if not done:
        return await anext(lines, None)
    try:
        return await asyncio.wait_for(anext(lines, None), LINGER_S)
    except (asyncio.TimeoutError, httpx.TransportError):
        return None


async def read_lines(response: httpx.Response, max_bytes: int) -> AsyncIterator[bytes]:
    """Lines that end at CR, LF or CRLF, and nowhere else: JSON may hold U+2028 and others as they are.

    A byte order mark before the first is no part of it. The last one is empty, so that it ends an event that the server
    left open.

    Raises:
        AnswerError: they are larger than allowed.
    """
    size, begun, after_cr, is_first = 0, list[bytes](), False, True
    async for piece in _read_pieces(response):
        size += len(piece)
        if size > max_bytes:
            raise AnswerError(f"a stream of more than {max_bytes} bytes", "request")
        first, *rest = _LINE_END.split(piece[1:] if after_cr and piece.startswith(b"\n") else piece)
        after_cr = piece.endswith(b"\r") or (after_cr and not piece)
        begun.append(first)
        for line in rest:
            whole, is_first = b"".join(begun).removeprefix(BOM_UTF8 if is_first else b""), False
            yield whole
            begun = [line]
    yield b"".join(begun).removeprefix(BOM_UTF8 if is_first else b"")
    yield b""


async def _read_pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body of an answer in pieces, decompressed step by step: httpx would inflate 64 KiB to as many MiB at once.

    Raises:
        AnswerError: it is compressed otherwise than by gzip, or damaged or cut.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        async for data in response.aiter_raw():
            yield data
        return
    if encoding not in ("gzip", "x-gzip"):
        raise AnswerError(f"an answer that is compressed as {one_line(encoding)!r}, which was not asked for")
    inflater, begun = zlib.decompressobj(zlib.MAX_WBITS | 16), False
    async for data in response.aiter_raw():
        begun = begun or bool(data)
        while data:
            if inflater.eof:
                # A body may be several files in a row (RFC 1952, section 2.2); what else follows is no part of it.
                if not data.startswith(_GZIP_START):
                    return
                inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                yield inflater.decompress(data, _PIECE_BYTES)
            except zlib.error as error:
                raise AnswerError(f"an answer whose compression is damaged ({error})") from error
            data = inflater.unconsumed_tail or inflater.unused_data
    if begun and not inflater.eof:
        raise AnswerError("an answer whose compression is cut off")


def parse_json(data: bytes) -> Any:
    """The value of a JSON text (AnswerError: it is none, is nested too deeply, or holds more values than are read)."""
    if _count_elements(data) > MAX_ELEMENTS:
        raise AnswerError(f"JSON of more than {MAX_ELEMENTS} values", "request")
    try:
        value = json.loads(data)
    except RecursionError as error:
        raise AnswerError(_TOO_DEEP, "request") from error
    except ValueError as error:
        raise AnswerError(f"no JSON but {server_message(data)[:100]!r}") from error
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        _require_flat(value)
    return value


def _count_elements(data: bytes) -> int:
    """At least as many as there are keys and values in a JSON text; marks inside of strings count too."""
    return sum(map(data.count, (b",", b":", b"[", b"{")))


def _require_flat(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        nested = [value for value in level if isinstance(value, dict | list)]
        level = [child for value in nested for child in (value.values() if isinstance(value, dict) else value)]
        if not level:
            return
    raise AnswerError(_TOO_DEEP, "request")
