"""Batches join like with like, and shrink where memory runs out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from support.questions import ask_in_words

from avemo_harness.benchmark.request import Response, Text
from avemo_harness.models.neural import Batcher, PreparedRequest

BOTH, SEEN = (True, True), (True, False)


def prepared(name: str, streams: tuple[bool, bool], length: int = 100) -> PreparedRequest[Any]:
    """A request, asked by its name, whose inputs are never needed."""
    return PreparedRequest(ask_in_words(name), streams, (), length, lambda: None)


def name_of(one: PreparedRequest[Any]) -> str:
    (block,) = one.request.messages[-1].content
    assert isinstance(block, Text)
    return block.text


class Noting:
    """Answers by name, notes its batches, and runs out of memory above a size."""

    def __init__(self, room: int = 1000) -> None:
        self.room, self.batches = room, list[list[str]]()

    def __call__(self, batch: Sequence[PreparedRequest[Any]]) -> Sequence[Response]:
        import torch

        self.batches.append([name_of(one) for one in batch])
        if len(batch) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return [Response(text=name_of(one)) for one in batch]


def test_responses_come_in_the_order_of_the_requests() -> None:
    asked = [
        prepared("a", BOTH),
        prepared("b", SEEN, 300),
        prepared("c", BOTH),
        prepared("d", SEEN, 100),
        prepared("e", BOTH, 900),
    ]
    noting = Noting()
    assert [one.text for one in Batcher().answer(asked, noting)] == ["a", "b", "c", "d", "e"]
    assert noting.batches == [["e"], ["a", "c"], ["b"], ["d"]]


def test_lengths_of_a_batch_are_within_a_factor_of_two() -> None:
    asked = [prepared(str(n), BOTH, n) for n in (255, 256, 257, 511, 513, 1030)]
    noting = Noting()
    Batcher().answer(asked, noting)
    assert noting.batches == [["1030"], ["513", "511", "257"], ["256", "255"]]


def test_a_batch_that_does_not_fit_is_halved_and_the_size_is_remembered() -> None:
    noting, freed = Noting(room=3), list[str]()
    batcher = Batcher(free=lambda: freed.append("freed"))
    asked = [prepared(str(i), BOTH) for i in range(8)]
    assert [one.text for one in batcher.answer(asked, noting)] == [str(i) for i in range(8)]
    assert [len(batch) for batch in noting.batches] == [8, 4, 2, 2, 2, 2]
    assert len(freed) == 2
    noting.batches.clear()
    batcher.answer(asked, noting)
    assert [len(batch) for batch in noting.batches] == [2, 2, 2, 2]
    noting.batches.clear()
    batcher.answer([prepared(str(i), SEEN) for i in range(3)], noting)
    assert [len(batch) for batch in noting.batches] == [3], "another bucket has a size of its own"


def test_a_request_that_does_not_fit_alone_is_an_error_of_its_own() -> None:
    class Greedy(Noting):
        def __call__(self, batch: Sequence[PreparedRequest[Any]]) -> Sequence[Response]:
            self.room = 0 if any(name_of(one) == "huge" for one in batch) else 1000
            return super().__call__(batch)

    answers = Batcher().answer([prepared("a", BOTH), prepared("huge", BOTH), prepared("b", BOTH)], Greedy())
    assert [one.text for one in answers] == ["a", None, "b"]
    assert "does not fit" in (answers[1].error or "")


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def broken(batch: Sequence[PreparedRequest[Any]]) -> Sequence[Response]:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        Batcher().answer([prepared("a", BOTH), prepared("b", BOTH)], broken)
