"""MELD's tasks: whoever speaks is asked about, alone, after all that was said before, and after its words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.benchmark_walk import Expected, run, tiny_qwen, walk
from support.corpus_trees import MeldRow, write_meld

ROWS: tuple[MeldRow, ...] = (
    (0, 0, "Mark", "surprise", "Why do all you’re coffee mugs have numbers on the bottom?"),
    (0, 1, "Rachel", "anger", "Oh. That’s so Monica can keep track."),
    (0, 2, "Rachel", "neutral", "Y'know what?"),
    (0, 3, "Mark", "fear", "What?"),
    (1, 0, "Monica", "disgust", "Eew."),
    (1, 1, "All", "joy", "Hey!"),
    (1, 2, "Joey", "sadness", "I’m hungry."),
)
CONDITIONS = ("full_av", "audio_only", "video_only")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    corpus = write_meld(tmp_path / "MELD.Raw", {"test": ROWS})
    (corpus / "output_repeated_splits_test" / "dia0_utt1.mp4").unlink()
    out = tmp_path / "release"
    run("data", "import", "meld", str(corpus), "--labels", "all", "--dialogues", "whole", "--embed", "--out", str(out))
    return out


def texts_of_last(folder: Path, task: str) -> list[str]:
    """The texts of the only message of a task's question about the fourth turn, which one conversation has."""
    lines = (folder / "questions" / "requests.jsonl").read_text(encoding="utf-8").splitlines()
    (question,) = (found for line in lines if (found := json.loads(line))["task"] == task and found["turn"] == 3)
    (message,) = question["messages"]
    if isinstance(message["content"], str):
        return [message["content"]]
    return [part["text"] for part in message["content"] if part["type"] == "text"]


@pytest.mark.slow
def test_every_task_is_asked_of_every_kind_of_model(
    release: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    seen = Expected(asked=6, not_asked={"no recording": 1})
    groups = ("meld", "meld_utterance", "meld_transcript")
    tasks = {f"{group}_{condition}": seen for group in groups for condition in CONDITIONS} | {"meld_words": Expected(7)}
    walk(tmp_path, tasks, [f"meld={release}"], tiny_qwen(tmp_path_factory))
    names = ["Mark: ", "\nRachel: Oh. That’s so Monica can keep track.\nRachel: ", "\nMark: "]
    for condition in CONDITIONS:
        *before, question = texts_of_last(tmp_path, f"meld_{condition}")
        assert (before, "happy, surprised" in question) == (names, True)
        before = texts_of_last(tmp_path, f"meld_transcript_{condition}")[0].splitlines()
        assert before == [*(f"{speaker}: {words}" for _, _, speaker, _, words in ROWS[:3]), "Mark: "]
        assert len(texts_of_last(tmp_path, f"meld_utterance_{condition}")) == 1
    (words,) = texts_of_last(tmp_path, "meld_words")
    assert words.splitlines()[:4] == [f"{speaker}: {words}" for _, _, speaker, _, words in ROWS[:4]]
