"""Messages come through whole or not at all."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.models.worker import protocol
from avemo_harness.models.worker.protocol import Connection, Frame, StreamEndError, StreamError

CONTENT = st.dictionaries(
    st.text(),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def through(message: Frame) -> Frame:
    one, other = socket.socketpair()
    with one, other:
        sender = threading.Thread(target=Connection(one).send, args=(message,))
        sender.start()
        try:
            return Connection(other).receive()
        finally:
            sender.join()


@given(st.text(), CONTENT, st.lists(st.binary(max_size=300), max_size=4))
def test_a_message_comes_through_as_it_was(kind: str, content: dict[str, object], buffers: list[bytes]) -> None:
    got = through(Frame(kind, content, buffers))
    assert (got.kind, got.content) == (kind, content)
    assert [bytes(buffer) for buffer in got.buffers] == buffers


def test_buffers_may_be_larger_than_what_the_socket_holds() -> None:
    data = bytes(range(256)) * 2**14
    assert bytes(through(Frame("clip", {}, [data, data])).buffers[1]) == data


def test_a_closed_stream_is_told_from_a_torn_message(ends: tuple[socket.socket, socket.socket]) -> None:
    one, other = ends
    one.close()
    with pytest.raises(StreamEndError):
        Connection(other).receive()


@given(st.data())
def test_a_torn_message_is_an_error(data: st.DataObject) -> None:
    one, other = socket.socketpair()
    with one, other:
        Connection(one).send(Frame("answer", {"call": 1}, [b"12345"]))
        whole = other.recv(2**16)
        one.sendall(whole[: data.draw(st.integers(1, len(whole) - 1))])
        one.close()
        with pytest.raises(StreamError, match="ended inside a message"):
            Connection(other).receive()


def test_a_message_that_stalls_is_an_error(ends: tuple[socket.socket, socket.socket]) -> None:
    one, other = ends
    one.sendall(b"AVEM")
    with pytest.raises(StreamError, match="timed out"):
        Connection(other, timeout_s=0.05).receive()


def test_a_side_that_takes_nothing_is_an_error(ends: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(StreamError, match="cannot be sent"):
        Connection(ends[0], timeout_s=0.05).send(Frame("clip", {}, [bytes(2**22)]))


@pytest.mark.parametrize("sizes", [(protocol.LARGEST_HEADER + 1, 0), (2, protocol.LARGEST_BODY + 1), (2, 2**63)])
def test_an_oversized_message_is_refused_before_any_room_is_made_for_it(
    ends: tuple[socket.socket, socket.socket], sizes: tuple[int, int]
) -> None:
    ends[0].sendall(struct.pack("<4sIQ", b"AVEM", *sizes))
    with pytest.raises(StreamError, match="too large"):
        Connection(ends[1]).receive()


def test_an_oversized_message_is_not_begun(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "LARGEST_BODY", 10)
    connection = Connection(ends[0])
    with pytest.raises(StreamError, match="too large"):
        connection.send(Frame("clip", {}, [bytes(11)]))
    connection.send(Frame("clip", {"fits": True}))
    assert Connection(ends[1]).receive().content == {"fits": True}


@pytest.mark.parametrize(
    "header",
    [
        b"\xff\xfe",
        b"[]",
        b'{"kind": "x"}',
        b'{"kind": 3, "content": {}, "buffers": []}',
        b'{"kind": "x", "content": [], "buffers": []}',
        b'{"kind": "x", "content": {}, "buffers": [-1]}',
        b'{"kind": "x", "content": {}, "buffers": [4]}',
        b'{"kind": "x", "content": {}, "buffers": [true]}',
        b"[" * 100_000,
    ],
)
def test_a_header_that_is_none_is_an_error(ends: tuple[socket.socket, socket.socket], header: bytes) -> None:
    sender = threading.Thread(
        target=ends[0].sendall, args=(struct.pack("<4sIQ", b"AVEM", len(header), 0) + header,), daemon=True
    )
    sender.start()
    with pytest.raises(StreamError):
        Connection(ends[1]).receive()
    sender.join()


@given(st.binary(min_size=16, max_size=100).filter(lambda data: not data.startswith(b"AVEM")))
def test_whatever_else_comes_is_no_message(data: bytes) -> None:
    one, other = socket.socketpair()
    with one, other:
        one.sendall(data)
        with pytest.raises(StreamError, match="no message"):
            Connection(other).receive()


def test_messages_of_several_threads_do_not_mix(ends: tuple[socket.socket, socket.socket]) -> None:
    connection = Connection(ends[0])

    def send(number: int) -> None:
        for _ in range(20):
            connection.send(Frame("x", {"number": number}, [bytes([number]) * 40_000]))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    receiver = Connection(ends[1])
    got = [receiver.receive() for _ in range(80)]
    for thread in threads:
        thread.join()
    assert all(bytes(one.buffers[0]) == bytes([one.content["number"]]) * 40_000 for one in got)
    assert json.dumps(sorted(one.content["number"] for one in got)) == json.dumps(sorted(list(range(4)) * 20))
