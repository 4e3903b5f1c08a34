"""What is asked side by side: dialogues of equal length, turn after turn, labels before replies."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from support.releases import write_text_task

from avemo_harness import evaluate
from avemo_harness.benchmark.release import Dialogue, Turn
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.benchmark.request import Request, Response, Speech
from avemo_harness.models.base import Capabilities
from avemo_harness.run.claims import Claims


class NotingModel:
    """Notes every batch it is given."""

    def __init__(self, usual_batch: int | None = None) -> None:
        outputs = frozenset({"label_text", "spoken_response"})
        self.capabilities = Capabilities(outputs, largest_batch=6, usual_batch=usual_batch)
        self.batches: list[list[Request]] = []

    def identity(self) -> Mapping[str, str]:
        return {"model": "noting"}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        import numpy as np

        self.batches.append(list(requests))
        return [Response(text="sad", speech=Speech(np.zeros(240, np.float32), 24_000)) for _ in requests]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A label task and a reply task over dialogues of one, two and three user turns, in mixed order."""
    folder = tmp_path_factory.mktemp("schedule")
    dialogues = [_dialogue(f"d{i}", turns) for i, turns in enumerate((1, 3, 2, 3, 1, 2, 3))]
    write_release(folder / "release", "text", {"test": dialogues})
    reply = write_text_task(folder / "reply.yaml", folder / "release", "a_reply")
    words = reply.read_text(encoding="utf-8").split("extends:")[0]
    reply.write_text(
        f"""{words}version: 1
dataset: {{path: {folder / "release"}, name: text}}
condition: full_av
messages: [{{role: user, content: [{{type: text, text: "Reply to {{{{ turn.text }}}}."}}]}}]
output: {{type: spoken_response}}
""",
        encoding="utf-8",
    )
    return [str(reply), str(write_text_task(folder / "label.yaml", folder / "release", "label"))]


def _dialogue(name: str, turns: int) -> Dialogue:
    said = []
    for index in range(2 * turns - 1):
        role = "user" if index % 2 == 0 else "assistant"
        said.append(Turn(index, role, name, f"{name} {index}", "sad" if role == "user" else None))
    return Dialogue(name, "test", "en", "CC0-1.0", tuple(said))


def test_a_batch_joins_equal_turns_of_several_dialogues(tasks: list[str], tmp_path: Path) -> None:
    model = NotingModel()
    result = evaluate(model, tasks, output_path=tmp_path / "run", batch_size=3)
    assert sum(task.n_answered for task in result.tasks.values()) == 30
    assert all(len({request.turn_index for request in batch}) == 1 for batch in model.batches)
    assert [sorted({request.dialogue_id for request in batch}) for batch in model.batches[:6]] == [
        ["d1", "d3", "d6"]
    ] * 6


def test_labels_are_asked_before_replies_about_the_same_turn(tasks: list[str], tmp_path: Path) -> None:
    model = NotingModel()
    evaluate(model, tasks, output_path=tmp_path / "run", batch_size=3)
    kinds = [{request.output.type for request in batch} for batch in model.batches[:6]]
    assert kinds == [{"label"}, {"spoken_response"}] * 3
    assert [batch[0].turn_index for batch in model.batches[:6]] == [0, 0, 2, 2, 4, 4]


def test_a_worker_claims_no_more_than_its_share(tasks: list[str], tmp_path: Path) -> None:
    model = NotingModel()
    other = Claims(tmp_path / "run" / "claims", "other")
    try:
        evaluate(model, tasks, output_path=tmp_path / "run", batch_size=6)
    finally:
        other.close()
    # Seven dialogues, two workers; then the four that are left, and so on.
    assert sorted({request.dialogue_id for request in model.batches[0]}) == ["d1", "d2", "d3", "d6"]


def test_long_dialogues_come_first(tasks: list[str], tmp_path: Path) -> None:
    model = NotingModel()
    evaluate(model, tasks, output_path=tmp_path / "run", batch_size=1)
    asked = list(dict.fromkeys(batch[0].dialogue_id for batch in model.batches))
    assert asked == ["d1", "d3", "d6", "d2", "d5", "d0", "d4"]


@pytest.mark.parametrize(
    ("usual", "asked", "largest"), [(None, None, 6), (2, None, 2), (2, "auto", 6), (2, 4, 4), (2, 100, 6)]
)
def test_how_many_requests_a_model_is_given_at_once(
    usual: int | None, asked: int | None, largest: int, tasks: list[str], tmp_path: Path
) -> None:
    model = NotingModel(usual)
    evaluate(model, tasks, output_path=tmp_path / "run", batch_size=asked)
    assert max(len(batch) for batch in model.batches) == largest


def test_clips_are_made_ready_before_and_beside_the_answering(tasks: list[str], tmp_path: Path) -> None:
    class Prefetched(NotingModel):
        def __init__(self) -> None:
            super().__init__()
            self.ready: dict[str, str] = {}

        def prefetch(self, request: Request) -> None:
            self.ready[request.key] = threading.current_thread().name

        def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
            assert {request.key for request in requests} <= set(self.ready)
            return super().generate(requests)

    model = Prefetched()
    result = evaluate(model, tasks, output_path=tmp_path / "run")
    assert result.n_errors == 0
    assert threading.current_thread().name not in model.ready.values()
