"""Failed HTTP requests: one taxonomy for models and builds, and the messages of servers in one short line."""

from __future__ import annotations

import html
import json
import re
import ssl
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal

from avemo_harness.errors import first_line

if TYPE_CHECKING:
    import httpx

LONGEST_MESSAGE = 300
"""Characters of a server's message that are told."""
LONGEST_ERROR = 2**16
"""Bytes of the body of an error that are read."""
LONGEST_PAGE = 2**14
"""Bytes of a page in which its text is looked for."""

Scope = Literal["attempt", "request", "run"]

_QUOTA = frozenset(
    {
        "insufficient_quota",
        "insufficient_user_quota",
        "insufficient_balance",
        "exceeded_current_quota_error",
        "billing_hard_limit_reached",
        "billing_not_active",
        "arrearage",
    }
)
"""Codes and types of errors that say that nothing is left to pay with; other errors of status 429 pass."""
_PASSING = (408, 409, 425, 429)
"""Statuses below 500 after which the same request may succeed."""
_NEVER = (501, 505)
"""Statuses from 500 on that say that a server cannot do what it is asked."""
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
"""Reasons of OpenSSL's errors where what answers a handshake is no TLS."""


class RequestError(Exception):
    """A request that failed, in one attempt or for good.

    Args:
        reason: one line.
        scope: what fails again: nothing (the same request may be answered next time), this request, or every one.
        status: of the answer, where there was one.
        told: the beginning of what the server answered.
        retry_after_s: seconds that the server wants to be left alone for, where it says so.
        rate_limited: the server wants fewer requests.
        unreachable: there was no connection.
    """

    def __init__(
        self,
        reason: str,
        scope: Scope = "attempt",
        *,
        status: int | None = None,
        told: str = "",
        retry_after_s: float | None = None,
        rate_limited: bool = False,
        unreachable: bool = False,
    ) -> None:
        super().__init__(reason)
        self.scope = scope
        self.status = status
        self.told = told
        self.retry_after_s = retry_after_s
        self.rate_limited = rate_limited
        self.unreachable = unreachable


class AnswerError(RequestError):
    """An answer that cannot be used, though the server called it one; another attempt may give a whole one."""


def error_of_status(status: int, headers: Mapping[str, str], body: bytes) -> RequestError:
    """The failure that an answer of another status than 200 is."""
    told = body[:LONGEST_ERROR].decode("utf-8", "replace")
    reason = f"the server answered {status}: {server_message(body) or 'nothing'}"

    def failure(advice: str, scope: Scope) -> RequestError:
        return RequestError(reason + advice, scope, status=status, told=told)

    if status == 402 or _QUOTA & _codes(body):
        return failure("; the account has no quota left: top it up, then give the same command again", "run")
    if status == 401:
        return failure("; is the key right? api_key_env names the variable that holds it", "run")
    if status in (404, 405):
        return failure("; base_url ends in /v1 with most servers", "run")
    if status == 413:
        return failure("; a shorter history or smaller clips make the request smaller", "request")
    if 300 <= status < 400 and (there := _destination(headers.get("location", ""))):
        return failure(f"; it leads to {there}, which base_url may name", "request")
    if status in _PASSING or (status >= 500 and status not in _NEVER):
        wait_s = retry_after_s(headers.get("retry-after", ""))
        rate_limited = status == 429 or (status == 503 and "retry-after" in headers)
        return RequestError(reason, status=status, told=told, retry_after_s=wait_s, rate_limited=rate_limited)
    return failure("", "request")


def _destination(location: str) -> str:
    """A redirect as a base URL without its query, which may hold keys; empty where it leads to no web address."""
    if not re.match(r"https?://|/", location):
        return ""
    return shown(re.split(r"[?#]", location)[0]).removesuffix("/chat/completions")


def error_of_body(body: object) -> RequestError | None:
    """The failure that a body of status 200 tells of; None where it does not.

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
    """The failure that it is when no whole answer came."""
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
    told = _parsed(body)
    if told is None:
        return shown(_page_text(body[:LONGEST_PAGE].decode("utf-8", "replace")))
    for name in ("error", "detail", "message"):
        if isinstance(told, dict) and told.get(name):
            told = told[name]
    try:
        return shown(told if isinstance(told, str) else json.dumps(told))
    except RecursionError:
        return shown(body[:LONGEST_MESSAGE].decode("utf-8", "replace"))


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body[:LONGEST_ERROR])
    except (ValueError, RecursionError):
        return None


def _codes(body: bytes) -> set[str]:
    """Codes and types of an error, in small letters."""
    told = _parsed(body)
    error = told.get("error", told) if isinstance(told, dict) else None
    return (
        {str(error[name]).lower() for name in ("code", "type") if name in error} if isinstance(error, dict) else set()
    )


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


def shown(text: str) -> str:
    """A text of unknown origin, short, printable and on one line.

    >>> shown("one\\ntwo\\x1b[31m")
    'one two[31m'
    """
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:LONGEST_MESSAGE]
