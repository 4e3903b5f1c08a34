"""Messages between a run and its worker: frames of JSON and raw buffers, and what they hold."""

from __future__ import annotations

import inspect
import json
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness import errors
from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Message, Request, Response, Speech, Text
from avemo_harness.benchmark.task import GenerationSpec, LabelOutput, ModelOutput, SpokenOutput, TextOutput
from avemo_harness.errors import AvemoError, GenerationError, message_of

VERSION = 2
"""Of the messages; raised whenever their meaning changes. Each side begins by telling its own."""

LARGEST_HEADER = 2**26
LARGEST_BODY = 2**31

_PREFIX = struct.Struct("<4sIQ")  # mark, bytes of the header, bytes of all buffers
_MARK = b"AVEM"


class StreamError(Exception):
    """The bytes that came are no message; nothing after them can be understood."""


class StreamEndError(StreamError):
    """The other side has closed the stream between two messages."""


@dataclass(frozen=True, slots=True)
class Frame:
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

    def send(self, message: Frame) -> None:
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
        """True once something can be received or the stream has ended; False after a time without either."""
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        return bool(poll.poll(within_s * 1000))

    def receive(self) -> Frame:
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
        kind, content, sizes = _parse_header(self._read(header_size))
        body = memoryview(self._read(body_size))
        if sum(sizes) != body_size:
            raise StreamError(f"the message {kind!r} announces other buffers than it has")
        buffers, start = [], 0
        for size in sizes:
            buffers.append(body[start : start + size])
            start += size
        return Frame(kind, content, tuple(buffers))

    def close(self) -> None:
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


def _parse_header(data: bytearray) -> tuple[str, dict[str, Any], list[int]]:
    try:
        header = json.loads(data)
        kind, content, sizes = header["kind"], header["content"], header["buffers"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StreamError(f"the header of a message cannot be read ({error})") from error
    whole = isinstance(kind, str) and isinstance(content, dict) and isinstance(sizes, list)
    if not whole or not all(type(size) is int and size >= 0 for size in sizes):
        raise StreamError("the header of a message lacks its kind, content or buffers")
    return kind, content, sizes


def _check_sizes(header: int, body: int) -> None:
    if header > LARGEST_HEADER or body > LARGEST_BODY:
        raise StreamError(
            f"a message of {header} + {body} bytes is too large; at most {LARGEST_HEADER} + {LARGEST_BODY} go"
        )


Fetch = Callable[[str], bytes]
"""Gives the bytes of the clip of a digest."""

Buffer = bytes | bytearray | memoryview

_OUTPUTS: dict[str, type[ModelOutput]] = {
    "label": LabelOutput,
    "spoken_response": SpokenOutput,
    "text": TextOutput,
}
_NUMBERS = frozenset("fiu")
_ERROR_CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind)
    and issubclass(kind, AvemoError)
    and kind is not AvemoError
    and "__init__" not in vars(kind)
}
"""Errors that are made again of what they say."""


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """The model that a worker is to host.

    Args:
        name: of the model, for messages.
        class_path: of its class, as ``module:attribute``.
        arguments: of the model, by name.
        device, outputs: as in `avemo_harness.models.base.ModelSetup`.
        paths: folders to import from, after all others.
        stand_ins: modules that may have to come from one of `paths`.
        scratch: folder for temporary files, which the worker deletes when it ends.
        beat_s: seconds between two signs of life while the worker is busy.
    """

    name: str
    class_path: str
    arguments: Mapping[str, Any]
    device: str | None = None
    outputs: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()
    scratch: str | None = None
    beat_s: float = 2.0

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> WorkerConfig:
        """Read what JSON made of `dataclasses.asdict` of one: its tuples are lists."""
        lists = {name: tuple(content[name]) for name in ("outputs", "paths", "stand_ins")}
        return cls(**{**content, **lists})


def request_content(request: Request) -> dict[str, Any]:
    """A request for JSON; of its clips, their digests and names."""
    return {
        "key": request.key,
        "dialogue_id": request.dialogue_id,
        "turn_index": request.turn_index,
        "messages": [
            {"role": message.role, "content": [_block_content(block) for block in message.content]}
            for message in request.messages
        ],
        "output": request.output.model_dump(mode="json"),
        "generation": request.generation.model_dump(mode="json"),
    }


def request_from(content: Mapping[str, Any], fetch: Fetch) -> Request:
    """The request that `request_content` described; its clips are fetched when they are read."""
    return Request(
        key=content["key"],
        dialogue_id=content["dialogue_id"],
        turn_index=content["turn_index"],
        messages=tuple(
            Message(message["role"], tuple(_block_from(block, fetch) for block in message["content"]))
            for message in content["messages"]
        ),
        output=_OUTPUTS[content["output"]["type"]].model_validate(content["output"]),
        generation=GenerationSpec.model_validate(content["generation"]),
    )


def clips_of(request: Request) -> dict[str, Clip]:
    """A request's clips by their digest."""
    blocks = (block for message in request.messages for block in message.content)
    return {block.sha256: block for block in blocks if isinstance(block, Clip)}


def _block_content(block: Text | Clip) -> dict[str, str]:
    return {"text": block.text} if isinstance(block, Text) else {"clip": block.sha256, "name": block.name}


def _block_from(content: Mapping[str, str], fetch: Fetch) -> Text | Clip:
    if "text" in content:
        return Text(content["text"])
    digest = content["clip"]
    return Clip(digest, content["name"], lambda: fetch(digest))


def responses_content(responses: Sequence[Response]) -> tuple[list[dict[str, Any]], list[Buffer]]:
    """Responses for JSON, and the samples of what they say aloud."""
    described: list[dict[str, Any]] = []
    buffers: list[Buffer] = []
    for response in responses:
        content = {column.name: _plain(getattr(response, column.name)) for column in fields(Response)}
        if response.speech is not None:
            samples = np.ascontiguousarray(response.speech.samples)
            if samples.dtype.kind not in _NUMBERS:
                raise GenerationError(f"speech is samples of numbers, not of {samples.dtype}")
            # Of an empty array no view as bytes can be had.
            buffers.append(samples.data.cast("B") if samples.size else b"")
            content["speech"] = {
                "rate_hz": int(response.speech.rate_hz),
                "dtype": samples.dtype.str,
                "shape": list(response.speech.samples.shape),
            }
        described.append(content)
    return described, buffers


def responses_from(content: Sequence[Mapping[str, Any]], buffers: Sequence[Buffer]) -> list[Response]:
    spoken = iter(buffers)
    return [_response_from(values, spoken) for values in content]


def _response_from(values: Mapping[str, Any], spoken: Iterator[Buffer]) -> Response:
    described = values["speech"]
    speech = described and Speech(_samples(described, next(spoken)), described["rate_hz"])
    return Response(**{**values, "flags": tuple(values["flags"]), "speech": speech})


def _samples(content: Mapping[str, Any], buffer: Buffer) -> NDArray[Any]:
    dtype = np.dtype(content["dtype"])
    if dtype.kind not in _NUMBERS:
        raise ValueError(f"samples of {dtype} are no numbers")
    # A copy, since a view of what was received cannot be written and keeps all of it alive.
    samples: NDArray[Any] = np.frombuffer(buffer, dtype).reshape(content["shape"]).copy()
    return samples


def _plain(value: Any) -> Any:
    """A field of a response as JSON has it: models give numbers of numpy and torch, too."""
    if isinstance(value, Mapping):
        return {name: _plain(number) for name, number in value.items()}
    return value.item() if hasattr(value, "item") else value


def error_content(error: Exception) -> dict[str, str]:
    """An exception for JSON: its class by name, and what it says.

    One of the package that cannot be made again of that alone goes as the nearest class above it that can.

    >>> error_content(errors.StorageError("cache", "written", OSError(28, "full")))["error"]
    'StoreError'
    """
    above = [kind.__name__ for kind in type(error).__mro__ if kind in _ERROR_CLASSES.values()]
    return {"error": above[0] if above else type(error).__name__, "message": message_of(error)}


def error_from(content: Mapping[str, str]) -> AvemoError:
    """The exception that `error_content` described; one that is not of this package becomes a GenerationError.

    >>> error_from({"error": "MediaError", "message": "clip.mp4: no video"})
    MediaError('clip.mp4: no video')
    >>> error_from({"error": "ZeroDivisionError", "message": "division by zero"})
    GenerationError('ZeroDivisionError: division by zero')
    """
    kind = _ERROR_CLASSES.get(content["error"])
    if kind is None:
        return GenerationError(f"{content['error']}: {content['message'] or 'no message'}")
    return kind(content["message"])
