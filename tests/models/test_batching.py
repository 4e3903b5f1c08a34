"""Batches join like with like, and shrink where memory runs out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from support.questions import ask_in_words

from avemo_harness.benchmark.request import Request, Response
from avemo_harness.models.neural import Batcher, Bucket


@dataclass(frozen=True)
class Asked:
    name: str
    bucket: Bucket
    length: int = 100

    @property
    def request(self) -> Request:
        return ask_in_words(self.name)


BOTH, SEEN = Bucket((True, True), "label"), Bucket((True, False), "label")


class Noting:
    """Answers by name, notes its batches, and runs out of memory above a size."""

    def __init__(self, room: int = 1000) -> None:
        self.room, self.batches = room, list[list[str]]()

    def __call__(self, asked: Sequence[Asked]) -> Sequence[Response]:
        import torch

        self.batches.append([one.name for one in asked])
        if len(asked) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return [Response(text=one.name) for one in asked]


def test_responses_come_in_the_order_of_the_requests() -> None:
    asked = [Asked("a", BOTH), Asked("b", SEEN, 300), Asked("c", BOTH), Asked("d", SEEN, 100), Asked("e", BOTH, 900)]
    noting = Noting()
    assert [one.text for one in Batcher().answer(asked, noting)] == ["a", "b", "c", "d", "e"]
    assert noting.batches == [["e"], ["a", "c"], ["b"], ["d"]]


def test_lengths_of_a_batch_are_within_a_factor_of_two() -> None:
    asked = [Asked(str(n), BOTH, n) for n in (255, 256, 257, 511, 513, 1030)]
    noting = Noting()
    Batcher().answer(asked, noting)
    assert noting.batches == [["1030"], ["513", "511", "257"], ["256", "255"]]


def test_a_batch_that_does_not_fit_is_halved_and_the_size_is_remembered() -> None:
    noting, freed = Noting(room=3), list[str]()
    batcher = Batcher(free=lambda: freed.append("freed"))
    asked = [Asked(str(i), BOTH) for i in range(8)]
    assert [one.text for one in batcher.answer(asked, noting)] == [str(i) for i in range(8)]
    assert [len(batch) for batch in noting.batches] == [8, 4, 2, 2, 2, 2]
    assert len(freed) == 2
    noting.batches.clear()
    batcher.answer(asked, noting)
    assert [len(batch) for batch in noting.batches] == [2, 2, 2, 2]
    noting.batches.clear()
    batcher.answer([Asked(str(i), SEEN) for i in range(3)], noting)
    assert [len(batch) for batch in noting.batches] == [3], "another bucket has a size of its own"


def test_a_request_that_does_not_fit_alone_is_an_error_of_its_own() -> None:
    class Greedy(Noting):
        def __call__(self, asked: Sequence[Asked]) -> Sequence[Response]:
            self.room = 0 if any(one.name == "huge" for one in asked) else 1000
            return super().__call__(asked)

    answers = Batcher().answer([Asked("a", BOTH), Asked("huge", BOTH), Asked("b", BOTH)], Greedy())
    assert [one.text for one in answers] == ["a", None, "b"]
    assert "does not fit" in (answers[1].error or "")


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def broken(asked: Sequence[Asked]) -> Sequence[Response]:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        Batcher().answer([Asked("a", BOTH), Asked("b", BOTH)], broken)
