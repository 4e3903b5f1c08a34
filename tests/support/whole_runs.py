"""Files that a run of the command on a split leaves behind, and what must be in them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonlines
import numpy as np

from avemo_harness import media

CONDITIONS = ("full_av", "audio_only", "video_only", "conflict")


def results_of(folder: Path) -> dict[str, Any]:
    """The results of a run."""
    results: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return results


def responses_of(folder: Path) -> list[dict[str, Any]]:
    """Every stored line."""
    return [line for path in (folder / "responses").glob("*.jsonl") for line in jsonlines.open(path)]


def check_everything_was_answered(folder: Path, config: str) -> None:
    """Every item of the four conditions has a text, and of the replies a text and, where it was spoken, its sound."""
    results = results_of(folder)
    asked = {f"{config}_{name}" for name in (*CONDITIONS, "reply")}
    assert set(results["tasks"]) == asked
    assert all(task["status"] == "complete" and task["n_errors"] == 0 for task in results["tasks"].values())
    responses = responses_of(folder)
    assert Counter(Counter((line["task"], line["item"]) for line in responses).values()).keys() == {1}
    replies = [line for line in responses if line["task"] == f"{config}_reply"]
    spoken = [line for line in replies if "speech" in line]
    assert spoken, "the checkpoint never speaks"
    assert all("speech" in line or "no_speech" in line["flags"] for line in replies)
    for line in spoken:
        samples, rate = media.read_sound_file(folder / line["speech"])
        assert (rate, samples.ndim) == (24_000, 1)
        assert len(samples) > 0
        assert np.isfinite(samples).all()
