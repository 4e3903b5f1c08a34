"""Bodies of HTTP answers, read within bounds of decompressed bytes, values and depth."""

from __future__ import annotations

import asyncio
import json
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from avemo_harness.http_errors import AnswerError, server_message, shown

if TYPE_CHECKING:
    import httpx

MOST_ELEMENTS = 2**19
"""Keys and values of a JSON answer, or of all events of a stream; each takes about 80 bytes of memory."""
DEEPEST = 64
"""Levels of a JSON answer."""
_TOO_DEEP = f"JSON of more than {DEEPEST} levels"
PIECE = 2**16
"""Bytes that are decompressed at a time."""
LINGER_S = 1.0
"""Seconds without a byte after which a stream that said ``[DONE]`` is at its end."""

_GZIP_START = b"\x1f"

_LINE_END = re.compile(rb"\r\n|\r|\n")


async def read_body(response: httpx.Response, most_bytes: int) -> bytes:
    """The body of an answer, decompressed.

    Raises:
        AnswerError: it is larger than allowed, or damaged.
    """
    body = bytearray()
    async for piece in read_pieces(response):
        body += piece
        if len(body) > most_bytes:
            raise AnswerError(f"an answer of more than {most_bytes} bytes", "request")
    return bytes(body)


async def read_start(response: httpx.Response, most_bytes: int) -> bytes:
    """The beginning of a body, decompressed; b"" where its compression is not known or damaged."""
    body = bytearray()
    try:
        async for piece in read_pieces(response):
            body += piece
            if len(body) >= most_bytes:
                break
    except AnswerError:
        return bytes(body)
    return bytes(body[:most_bytes])


async def read_events(response: httpx.Response, most_bytes: int) -> list[Any]:
    """The JSON of server-sent events (WHATWG HTML, section 9.2), without OpenAI's ``[DONE]``.

    An event that is named ``error`` becomes ``{"error": …}``. A server that leaves the connection open after
    ``[DONE]``, or cuts it there, has told everything.

    Raises:
        AnswerError: they are larger than allowed, or no JSON.
    """
    events: list[Any] = []
    elements, name, data, done = 0, b"", list[bytes](), False
    lines = read_lines(response, most_bytes)
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
                elements += count_elements(text)
                if elements > MOST_ELEMENTS:
                    raise AnswerError(f"a stream of more than {MOST_ELEMENTS} values", "request")
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


async def read_lines(response: httpx.Response, most_bytes: int) -> AsyncIterator[bytes]:
    """Lines that end at CR, LF or CRLF, and nowhere else: JSON may hold U+2028 and others as they are.

    A byte order mark before the first is no part of it. The last one is empty, so that it ends an event that the server
    left open.

    Raises:
        AnswerError: they are larger than allowed.
    """
    size, begun, after_cr, first_line = 0, list[bytes](), False, True
    async for piece in read_pieces(response):
        size += len(piece)
        if size > most_bytes:
            raise AnswerError(f"a stream of more than {most_bytes} bytes", "request")
        first, *rest = _LINE_END.split(piece[1:] if after_cr and piece.startswith(b"\n") else piece)
        after_cr = piece.endswith(b"\r") or (after_cr and not piece)
        begun.append(first)
        for line in rest:
            whole, first_line = b"".join(begun).removeprefix(BOM_UTF8 if first_line else b""), False
            yield whole
            begun = [line]
    yield b"".join(begun).removeprefix(BOM_UTF8 if first_line else b"")
    yield b""


async def read_pieces(response: httpx.Response) -> AsyncIterator[bytes]:
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
        raise AnswerError(f"an answer that is compressed as {shown(encoding)!r}, which was not asked for")
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
                yield inflater.decompress(data, PIECE)
            except zlib.error as error:
                raise AnswerError(f"an answer whose compression is damaged ({error})") from error
            data = inflater.unconsumed_tail or inflater.unused_data
    if begun and not inflater.eof:
        raise AnswerError("an answer whose compression is cut off")


def parse_json(data: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        AnswerError: it is none, is nested too deeply, or holds more values than are read.
    """
    if count_elements(data) > MOST_ELEMENTS:
        raise AnswerError(f"JSON of more than {MOST_ELEMENTS} values", "request")
    try:
        value = json.loads(data)
    except RecursionError as error:
        raise AnswerError(_TOO_DEEP, "request") from error
    except ValueError as error:
        raise AnswerError(f"no JSON but {server_message(data)[:100]!r}") from error
    if data.count(b"[") + data.count(b"{") > DEEPEST:
        _require_flat(value)
    return value


def count_elements(data: bytes) -> int:
    """At least as many as there are keys and values in a JSON text; marks inside of strings count too."""
    return sum(map(data.count, (b",", b":", b"[", b"{")))


def _require_flat(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST + 1):
        lists = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [child for children in lists for child in children]
        if not level:
            return
    raise AnswerError(_TOO_DEEP, "request")
