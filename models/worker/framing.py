"""Messages on a stream socket: a mark and two lengths, a JSON header, raw buffers."""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

VERSION = 1
"""Of the messages; raised whenever their meaning changes. Each side begins by telling its own."""

LARGEST_HEADER = 2**26
LARGEST_BODY = 2**31

_PREFIX = struct.Struct("<4sIQ")
_MARK = b"AVEM"


class StreamError(Exception):
    """What came is no message; nothing after it can be understood."""


class StreamEndError(StreamError):
    """The other side has closed the stream between two messages."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Args:
        content: what JSON can say.
        buffers: what is sent as it is, such as a clip's bytes.
    """

    kind: str
    content: Mapping[str, Any] = field(default_factory=dict)
    buffers: Sequence[bytes | bytearray | memoryview] = ()


class Connection:
    """One end of a stream. Any thread may send; one at a time receives.

    Args:
        timeout_s: how long a started message may take, either way; None waits forever.
    """

    def __init__(self, end: socket.socket, timeout_s: float | None = None) -> None:
        end.settimeout(timeout_s)
        self._end, self._sending = end, threading.Lock()

    def send(self, message: Message) -> None:
        """Send a message whole.

        Raises:
            StreamError: it is too large, in which case nothing was sent, or the other side takes no more.
        """
        sizes = [memoryview(buffer).nbytes for buffer in message.buffers]
        header = json.dumps({"kind": message.kind, "content": dict(message.content), "buffers": sizes}).encode("ascii")
        _check_sizes(len(header), sum(sizes))
        with self._sending:
            try:
                self._end.sendall(_PREFIX.pack(_MARK, len(header), sum(sizes)) + header)
                for buffer in message.buffers:
                    self._end.sendall(buffer)
            except OSError as error:  # a timeout is one too
                raise StreamError(f"the message cannot be sent ({error})") from error

    def ready(self, within_s: float) -> bool:
        """Whether something can be received, or the stream has ended, within a time."""
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        return bool(poll.poll(within_s * 1000))

    def receive(self) -> Message:
        """The next message.

        Raises:
            StreamEndError: there is none: the other side is gone.
            StreamError: what comes is no message, is too large, or ends or stalls in the middle.
        """
        prefix = self._read(_PREFIX.size, may_end=True)
        mark, header_size, body_size = _PREFIX.unpack(prefix)
        if mark != _MARK:
            raise StreamError(f"what came is no message: it begins with {bytes(mark)!r}")
        _check_sizes(header_size, body_size)
        header = _parsed(self._read(header_size))
        body = memoryview(self._read(body_size))
        if sum(header.sizes) != body_size:
            raise StreamError(f"the message {header.kind!r} announces other buffers than it has")
        buffers, start = [], 0
        for size in header.sizes:
            buffers.append(body[start : start + size])
            start += size
        return Message(header.kind, header.content, tuple(buffers))

    def close(self) -> None:
        """End the stream; the other side notices."""
        self._end.close()

    def _read(self, size: int, may_end: bool = False) -> bytearray:
        data = bytearray(size)
        view, got = memoryview(data), 0
        while got < size:
            try:
                count = self._end.recv_into(view[got:])
            except OSError as error:
                raise StreamError(f"the stream broke ({error})") from error
            if not count:
                if may_end and not got:
                    raise StreamEndError("the stream has ended")
                raise StreamError("the stream ended inside a message")
            got += count
        return data


@dataclass(frozen=True, slots=True)
class _Header:
    kind: str
    content: dict[str, Any]
    sizes: list[int]


def _parsed(data: bytearray) -> _Header:
    try:
        header = json.loads(data)
        kind, content, sizes = header["kind"], header["content"], header["buffers"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StreamError(f"the header of a message cannot be read ({error})") from error
    whole = isinstance(kind, str) and isinstance(content, dict) and isinstance(sizes, list)
    if not whole or not all(type(size) is int and size >= 0 for size in sizes):
        raise StreamError("the header of a message lacks its kind, content or buffers")
    return _Header(kind, content, sizes)


def _check_sizes(header: int, body: int) -> None:
    if header > LARGEST_HEADER or body > LARGEST_BODY:
        raise StreamError(
            f"a message of {header} + {body} bytes is too large; at most {LARGEST_HEADER} + {LARGEST_BODY} go"
        )
