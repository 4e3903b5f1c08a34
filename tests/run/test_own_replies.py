"""Replies after a model's own earlier replies: asked turn by turn, whatever is asked beside and wherever it stopped."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from support.releases import write_text_release

from avemo_harness import evaluate
from avemo_harness.benchmark.request import Request, Response, Text
from avemo_harness.errors import UsageError
from avemo_harness.models.base import Capabilities

REPLY = Path(__file__).parents[2] / "tasks" / "_reply.yaml"


class Counting:
    """Replies with how many assistant messages it was shown, and which; fails where it is told to."""

    def __init__(self, fails_at: tuple[str, int] | None = None) -> None:
        self.capabilities = Capabilities(frozenset({"spoken_response"}), largest_batch=8)
        self.asked: list[Request] = []
        self.fails_at = fails_at

    def identity(self) -> Mapping[str, str]:
        return {"model": "counting"}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        self.asked += requests
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Response:
        if (request.dialogue_id, request.turn_index) == self.fails_at:
            return Response(error="GenerationError: planted")
        return Response(text=f"own reply to {request.dialogue_id}/{request.turn_index}")


class Concurrently(Counting):
    """The same, each reply after a while that differs from request to request."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = ThreadPoolExecutor(8)

    def submit(self, request: Request) -> Future[Response]:
        return self.pool.submit(self._later, request)

    def _later(self, request: Request) -> Response:
        time.sleep(0.002 * (request.seed % 7))
        return self.generate([request])[0]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text_release(tmp_path_factory.mktemp("release"), dialogues=5, turns=3)


def write_task(file: Path, release: Path, replies: str) -> str:
    file.write_text(
        f"""task: {file.stem}
extends: {REPLY}
dataset: {{path: {release}, name: text}}
context: {{assistant_replies: {replies}}}
messages:
- role: user
  content: [{{type: text, text: "{{{{ turn.text }}}}"}}]
scorers: []
headline: null
"""
    )
    return str(file)


@pytest.fixture
def own(data: Path, tmp_path: Path) -> str:
    return write_task(tmp_path / "own.yaml", data, "own")


def texts(request: Request) -> list[tuple[str, str]]:
    return [
        (message.role, block.text)
        for message in request.messages
        for block in message.content
        if isinstance(block, Text)
    ]


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_the_history_holds_what_the_model_itself_replied(own: str, tmp_path: Path, batch_size: int) -> None:
    model = Counting()
    result = evaluate(model, own, output_path=tmp_path / "run", batch_size=batch_size)
    assert result.tasks["own"].n_answered == 15
    asked = {(request.dialogue_id, request.turn_index): request for request in model.asked}
    assert len(model.asked) == 15
    assert texts(asked["d00001", 4]) == [
        ("user", "sentence 0 of dialogue 1"),
        ("assistant", "own reply to d00001/0"),
        ("user", "sentence 2 of dialogue 1"),
        ("assistant", "own reply to d00001/2"),
        ("user", "sentence 4 of dialogue 1"),
    ]


@pytest.mark.parametrize("concurrency", [1, 2, 8])
def test_a_model_that_answers_concurrently_gets_a_turn_once_the_turns_before_it_have_replies(
    own: str, data: Path, tmp_path: Path, concurrency: int
) -> None:
    both = [own, write_task(tmp_path / "gold.yaml", data, "gold")]
    whole = evaluate(Counting(), both, output_path=tmp_path / "batches")
    model = Concurrently()
    result = evaluate(model, both, output_path=tmp_path / "run", batch_size=concurrency)
    assert result.to_json() == whole.to_json()
    assert len(model.asked) == 25


def test_replies_after_the_releases_own_are_another_question(own: str, data: Path, tmp_path: Path) -> None:
    gold = write_task(tmp_path / "gold.yaml", data, "gold")
    model = Counting()
    result = evaluate(model, [gold, own], output_path=tmp_path / "run", batch_size=4)
    assert (result.tasks["own"].n_answered, result.tasks["gold"].n_answered) == (15, 15)
    # The first turns have no history, so both tasks ask the same there.
    assert len(model.asked) == 25


def test_a_turn_without_a_reply_keeps_the_turns_after_it_from_being_asked_until_it_has_one(
    own: str, tmp_path: Path
) -> None:
    model = Counting(fails_at=("d00002", 0))
    result = evaluate(model, own, output_path=tmp_path / "run", batch_size=2)
    assert (result.tasks["own"].n_errors, result.tasks["own"].n_answered) == (3, 12)
    model.fails_at = None
    again = evaluate(model, own, output_path=tmp_path / "run", batch_size=2)
    assert (again.tasks["own"].n_errors, again.tasks["own"].n_answered) == (0, 15)
    whole = evaluate(Counting(), own, output_path=tmp_path / "whole", batch_size=8)
    assert whole.to_json() == again.to_json()


def test_turns_cannot_be_left_out_of_a_dialogue(own: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="choose whole dialogues"):
        evaluate(Counting(), own, output_path=tmp_path / "run", where=("turn_index=2",))
    part = evaluate(Counting(), own, output_path=tmp_path / "part", ids=("d00003",))
    assert part.tasks["own"].n_answered == 3


def test_the_turns_after_a_missing_reply_are_no_failures_of_their_own(tmp_path: Path) -> None:
    long = write_text_release(tmp_path / "long", dialogues=2, turns=30)
    task = write_task(tmp_path / "own.yaml", long, "own")
    result = evaluate(Counting(fails_at=("d00000", 0)), task, output_path=tmp_path / "run", batch_size=1)
    assert (result.tasks["own"].n_errors, result.tasks["own"].n_answered) == (30, 30)
