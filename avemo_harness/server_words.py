"""What servers say besides their answers: how long to wait, and what went wrong."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

LONGEST_MESSAGE = 300
"""Characters of a server's message that are told."""


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
    """What a server says was wrong, short and on one line: OpenAI's ``error.message``, FastAPI's ``detail``, or a text.

    >>> server_message(b'{"error": {"message": "no such model"}}')
    'no such model'
    """
    text = body.decode("utf-8", "replace")
    try:
        told: Any = json.loads(text)
    except (ValueError, RecursionError):
        return shown(text)
    for name in ("error", "detail", "message"):
        if isinstance(told, dict) and told.get(name):
            told = told[name]
    return shown(told if isinstance(told, str) else json.dumps(told))


def shown(text: str) -> str:
    """A text of unknown origin, short, printable and on one line.

    >>> shown("one\\ntwo\\x1b[31m")
    'one two[31m'
    """
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:LONGEST_MESSAGE]
