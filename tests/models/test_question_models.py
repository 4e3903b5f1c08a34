"""A forced choice between two recordings, asked of models through their own classes and servers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.chat_server import MODEL, ChatServer, running
from support.clips import make_clip
from support.question_runs import QuestionBench, asked_turn, release_of_turns
from support.whole_runs import responses_of, results_of

from avemo_harness.benchmark.release import Clip

if TYPE_CHECKING:
    from avemo_harness.models.qwen_omni import QwenOmni

pytestmark = pytest.mark.slow

WHICH = {
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "clip"},
                {"type": "text", "text": "Which reply fits what {{ turn.text }} says?"},
                {"type": "choices"},
                {"type": "text", "text": "Answer with a letter."},
            ],
        }
    ]
}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> QuestionBench:
    """Six dialogues of two turns, each with two recordings to choose from."""

    def recording(seed: int) -> Clip:
        return Clip.from_bytes(make_clip(0.5, seed), f"clip{seed}.mp4")

    dialogues = [
        [
            asked_turn(
                turn,
                str((number + turn) % 2),
                (recording(6 * number + 3 * turn), recording(6 * number + 3 * turn + 1)),
                recording(6 * number + 3 * turn + 2),
                f"speaker {number} in turn {turn}",
            )
            for turn in range(2)
        ]
        for number in range(6)
    ]
    return QuestionBench.of(tmp_path, release_of_turns(dialogues), monkeypatch)


@pytest.mark.parametrize(("method", "order"), [("generate", "shuffled"), ("rank", "rotations")])
def test_a_tiny_qwen_hears_both_recordings_and_its_letters_are_scored(
    bench: QuestionBench, make_qwen: Callable[..., QwenOmni], method: str, order: str
) -> None:
    task = bench.task(output={"type": "choice", "method": method, "order": order}, **WHICH)
    result = bench.run(make_qwen(), task, name="qwen")
    of_task = results_of(bench.folder / "qwen")["tasks"]["which"]
    assert (result.n_errors, of_task["status"]) == (0, "complete")
    assert of_task["n_items"] == (24 if order == "rotations" else 12)
    if method == "rank":
        lines = responses_of(bench.folder / "qwen")
        assert all(set(line["label_logprobs"]) == set("AB") == set(line["label_priors"]) for line in lines)
        assert of_task["n_invalid"] == 0
        assert of_task["metrics"]["consistency"]["n"] == 12


def test_a_tiny_qwen_is_asked_a_dialogue_of_questions(bench: QuestionBench, make_qwen: Callable[..., QwenOmni]) -> None:
    task = bench.task(output={"type": "choice", "method": "rank"}, context={"turns": "questions"}, **WHICH)
    assert bench.run(make_qwen(), task, name="qwen", batch_size=4).n_errors == 0
    alone = bench.run(make_qwen(), task, name="alone", batch_size=1)
    assert alone.to_json() == (bench.folder / "qwen" / "results.json").read_text(encoding="utf-8")


def test_a_server_is_held_to_the_letters_of_the_options(bench: QuestionBench) -> None:
    with running(ChatServer()) as server:
        arguments = {"base_url": server.url, "model": MODEL}
        result = bench.run("openai", bench.task(**WHICH), model_args=arguments)
        asked = [payload for payload in server.payloads if "Answer with a letter." in str(payload["messages"])]
    assert result.n_errors == 0
    assert {tuple(payload["structured_outputs"]["choice"]) for payload in asked} == {("A", "B")}
    assert results_of(bench.folder / "openai")["tasks"]["which"]["n_invalid"] == 0
    kinds = [[part["type"] for part in payload["messages"][-1]["content"]] for payload in asked]
    assert all(kind.count("video_url") == 3 for kind in kinds)


def test_a_server_is_asked_for_texts_and_numbers_as_words(bench: QuestionBench) -> None:
    task = bench.task(
        "strength",
        output={"type": "number", "low": 0.0, "high": 9.0},
        messages=[{"role": "user", "content": [{"type": "clip"}, {"type": "text", "text": "How strong?"}]}],
        scorers=[{"name": "numbers", "metrics": ["mae", "answered"]}],
        headline="mae",
    )
    with running(ChatServer()) as server:
        result: Any = bench.run("openai", task, model_args={"base_url": server.url, "model": MODEL})
        assert not [payload for payload in server.payloads if "How strong?" in str(payload) and "structured" in payload]
    assert result.n_errors == 0
    # The server says "1 videos, 1 sounds." and words.
    assert results_of(bench.folder / "openai")["tasks"]["strength"]["metrics"]["answered"]["value"] == 1.0
