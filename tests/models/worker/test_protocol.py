"""Messages arrive whole or not at all, and requests, responses and errors say the same on the other side."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from avemo_harness import errors
from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import FLAGS, Message, Request, Response, Speech, Text
from avemo_harness.benchmark.task import GenerationSpec, LabelOutput, SpokenOutput
from avemo_harness.errors import AvemoError, GenerationError, StorageError, StoreError
from avemo_harness.models.worker import protocol
from avemo_harness.models.worker.protocol import (
    Connection,
    Frame,
    StreamEndError,
    StreamError,
    WorkerConfig,
    clips_of,
    error_content,
    error_from,
    request_content,
    request_from,
    responses_content,
    responses_from,
)

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


LABELS = st.sampled_from([("neutral", "happy", "angry", "sad"), ("ja", "nein")])
OUTPUTS = st.one_of(
    st.builds(lambda labels: LabelOutput(type="label", labels=labels), LABELS),
    st.builds(
        lambda labels, by: LabelOutput(
            type="label", labels=labels, method="rank", rank_by=by, synonyms={labels[0]: ("like that",)}
        ),
        LABELS,
        st.sampled_from(["raw", "length_normalised", "prior_corrected"]),
    ),
    st.just(SpokenOutput(type="spoken_response")),
)
GENERATIONS = st.one_of(
    st.builds(lambda most: GenerationSpec(max_new_tokens=most), st.integers(1, 32_768)),
    st.builds(
        lambda heat, most: GenerationSpec(do_sample=True, temperature=heat, top_p=most),
        st.none() | st.floats(0.01, 10),
        st.none() | st.floats(0.01, 1),
    ),
)
BLOCKS = st.one_of(st.builds(Text, st.text(st.characters())), st.builds(Clip.from_bytes, st.binary(), st.text()))
MESSAGES = st.builds(Message, st.sampled_from(["user", "assistant"]), st.lists(BLOCKS, max_size=4).map(tuple))
REQUESTS = st.builds(
    Request,
    st.text("0123456789abcdef", min_size=64, max_size=64),
    st.text(),
    st.integers(0, 1000),
    st.lists(MESSAGES, min_size=1, max_size=4).map(tuple),
    OUTPUTS,
    GENERATIONS,
)
SCORES = st.none() | st.dictionaries(st.text(max_size=8), st.floats(allow_nan=False))
SAMPLES = arrays.arrays(st.sampled_from([np.float32, np.float64, np.int16]), st.integers(0, 50))
RESPONSES = st.builds(
    Response,
    text=st.none() | st.text(st.characters()),
    label_logprobs=SCORES,
    label_tokens=st.none() | st.dictionaries(st.text(max_size=8), st.integers(0, 99)),
    label_priors=SCORES,
    speech=st.none() | st.builds(Speech, SAMPLES, st.sampled_from([16_000, 24_000])),
    prompt_tokens=st.none() | st.integers(0),
    new_tokens=st.none() | st.integers(0),
    flags=st.lists(st.sampled_from(list(FLAGS)), unique=True).map(tuple),
    error=st.none() | st.text(),
)


def through_json(content: Any) -> Any:
    return json.loads(json.dumps(content))


@given(REQUESTS)
def test_a_request_says_the_same_on_the_other_side(request_: Request) -> None:
    clips = clips_of(request_)
    got = request_from(through_json(request_content(request_)), lambda digest: clips[digest].read())
    assert got == request_
    assert {digest: (clip.name, clip.read()) for digest, clip in clips_of(got).items()} == {
        digest: (got_name(request_, digest), clip.read()) for digest, clip in clips.items()
    }


def got_name(request_: Request, digest: str) -> str:
    return clips_of(request_)[digest].name


@given(st.lists(RESPONSES, max_size=3))
def test_responses_say_the_same_on_the_other_side(responses: list[Response]) -> None:
    content, buffers = responses_content(responses)
    got = responses_from(through_json(content), buffers)
    assert [plain(one) for one in got] == [plain(one) for one in responses]


def plain(response: Response) -> tuple[Any, ...]:
    speech = response.speech
    return (
        response.text,
        response.label_logprobs,
        response.label_tokens,
        response.label_priors,
        response.prompt_tokens,
        response.new_tokens,
        response.flags,
        response.error,
        None if speech is None else (speech.rate_hz, speech.samples.dtype, speech.samples.tobytes()),
    )


def test_speech_that_is_a_view_of_something_larger_comes_through() -> None:
    samples = np.arange(10, dtype=np.float32)[::2]
    content, buffers = responses_content([Response(speech=Speech(samples, 24_000))])
    speech = responses_from(through_json(content), buffers)[0].speech
    assert speech is not None
    assert speech.samples.tolist() == [0, 2, 4, 6, 8]
    speech.samples[0] = 1.0  # the receiver's own


def test_numbers_of_numpy_come_through_as_numbers() -> None:
    response = Response(label_logprobs={"sad": np.float32(-0.5)}, label_tokens={"sad": np.int64(2)})
    content, buffers = responses_content([response])
    assert responses_from(through_json(content), buffers) == [
        Response(label_logprobs={"sad": -0.5}, label_tokens={"sad": 2})
    ]


def test_samples_that_are_no_numbers_are_refused_on_both_sides() -> None:
    with pytest.raises(GenerationError, match="samples of numbers"):
        responses_content([Response(speech=Speech(np.array([object()]), 24_000))])
    content, _ = responses_content([Response(speech=Speech(np.zeros(1, np.float32), 24_000))])
    content[0]["speech"]["dtype"] = "O"
    with pytest.raises(ValueError, match="no numbers"):
        responses_from(content, [bytes(8)])


@pytest.mark.parametrize("name", ["UsageError", "ModelError", "StoreError", "SampleError", "MediaError"])
def test_errors_of_the_package_travel_by_name_and_message(name: str) -> None:
    error = getattr(errors, name)("clip.mp4: no video")
    got = error_from(through_json(error_content(error)))
    assert (type(got), str(got)) == (type(error), "clip.mp4: no video")


def package_errors() -> list[type[AvemoError]]:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AvemoError)]
    return [kind for kind in found if kind is not AvemoError]


@pytest.mark.parametrize("kind", package_errors())
def test_every_error_of_the_package_arrives_as_one_that_is_treated_like_it(kind: type[AvemoError]) -> None:
    full = OSError(28, "No space left on device")
    error = StorageError("cache/a.bin", "written", full) if issubclass(kind, StorageError) else kind("said")
    got = error_from(through_json(error_content(error)))
    assert str(got) == str(error)
    assert isinstance(error, type(got))
    assert isinstance(got, StoreError) == isinstance(error, StoreError)


def test_an_error_of_a_models_own_class_is_treated_as_the_class_above_it() -> None:
    class NoWeightsError(errors.ModelError):
        pass

    got = error_from(through_json(error_content(NoWeightsError("no weights at hub/x"))))
    assert (type(got), str(got)) == (errors.ModelError, "no weights at hub/x")


def test_any_other_error_becomes_one_of_generation_that_names_it() -> None:
    got: AvemoError = error_from(error_content(KeyError("x")))
    assert (type(got), str(got)) == (GenerationError, "KeyError: 'x'")


def test_an_order_says_the_same_on_the_other_side() -> None:
    order = WorkerConfig(
        "tiny", "a.b:C", {"n": 3, "path": None}, "cuda:0", ("label_text",), ("/x",), ("flash_attn",), 0.5
    )
    assert WorkerConfig.from_json(through_json(asdict(order))) == order
