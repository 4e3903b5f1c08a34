"""What may go wrong with a request to a server, as values that say what to do next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from avemo_harness.errors import AvemoError, GenerationError, ModelError
from avemo_harness.server_words import retry_after_s, server_message

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, slots=True)
class RateLimited:
    """The server wants fewer requests for a while; `after_s` is how long, where it says so."""

    why: str
    after_s: float | None


@dataclass(frozen=True, slots=True)
class Transient:
    """The same request may be answered next time.

    Args:
        unreachable: nothing was heard of the server at all.
    """

    why: str
    unreachable: bool = False


@dataclass(frozen=True, slots=True)
class Fatal:
    """The same request will fail again."""

    error: AvemoError


Failure: TypeAlias = RateLimited | Transient | Fatal


class AnswerError(Exception):
    """An answer that cannot be used, though the server called it one; another attempt may give a whole one."""


class RequestRefusedError(GenerationError):
    """The server calls a request malformed (400 or 422), which an unknown field may be the reason of."""


def failure_of_status(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """What an answer of another status than 200 means."""
    why = f"the server answered {status}: {server_message(body) or 'nothing'}"
    if status == 429:
        return RateLimited(why, retry_after_s(headers.get("retry-after", "")))
    if status == 503 and "retry-after" in headers:
        return RateLimited(why, retry_after_s(headers["retry-after"]))
    if status in (408, 409, 425) or status >= 500:
        return Transient(why)
    if status in (401, 403):
        return Fatal(ModelError(f"{why}; is the key right? api_key_env names the variable that holds it"))
    if status == 404:
        return Fatal(ModelError(f"{why}; base_url ends in /v1 with most servers"))
    return Fatal((RequestRefusedError if status in (400, 422) else GenerationError)(why))


def failure_of_body(body: object) -> Failure | None:
    """What an answer of status 200 means that tells of an error; None where it does not."""
    if not isinstance(body, dict) or not body.get("error"):
        return None
    error = body["error"]
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    return failure_of_status(status, {}, json.dumps(body).encode())


def failure_of_exception(error: httpx.HTTPError) -> Transient:
    """What it means that no whole answer came."""
    import httpx

    unreachable = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    return Transient(f"no answer came ({type(error).__name__}: {str(error) or 'no message'})", unreachable)
