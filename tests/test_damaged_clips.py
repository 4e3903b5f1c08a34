"""Two hundred damaged clips through the whole way: an error for each sample, no crash, no hang, no score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.damage import damaged_copies

from avemo_harness import evaluate, media
from avemo_harness.benchmark.release import EMOTIONS, Clip, Dialogue, Turn
from avemo_harness.benchmark.release_loader import streams_of
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.errors import MediaError
from avemo_harness.report.results import TaskResult

COPIES, FRAMES = 200, 50
TASK = """task: damaged
extends: {parent}
dataset: {{path: {release}, name: damaged}}
condition: {condition}
"""


@pytest.fixture(scope="module")
def whole() -> bytes:
    rng = np.random.default_rng(5)
    scene = rng.integers(0, 255, (96, 96, 3), dtype=np.uint8)
    frames = [np.roll(scene, 2 * i, axis=1) for i in range(FRAMES)]
    return media.encode_clip(frames, (0.2 * rng.standard_normal(32_000)).astype(np.float32))


@pytest.fixture(scope="module")
def copies(whole: bytes) -> list[bytes]:
    return damaged_copies(whole, COPIES, seed=11)


def run(folder: Path, clips: list[Clip], condition: str, model: str) -> TaskResult:
    dialogues = [
        Dialogue(f"d{i:03}", "test", "en", "CC0-1.0", (Turn(0, "user", "s", "", EMOTIONS[i % 4], clip=clip),))
        for i, clip in enumerate(clips)
    ]
    write_release(folder / "release", "damaged", {"test": dialogues})
    parent = Path(__file__).parents[1] / "tasks" / "_understanding.yaml"
    task = folder / "damaged.yaml"
    task.write_text(TASK.format(parent=parent, release=folder / "release", condition=condition))
    return evaluate(model, str(task), output_path=folder / "run", max_errors=COPIES).tasks["damaged"]


def spoil_after_release(whole: bytes, copies: list[bytes]) -> list[Clip]:
    """Clips that were whole when the release was made: its digests are those of the whole file."""
    honest = Clip.from_bytes(whole)

    class Spoiled(Clip):
        def read(self) -> bytes:
            return self.fetch()

    return [Spoiled(honest.sha256, "spoiled", lambda data=data: data, streams_of(honest)) for data in copies]


@pytest.mark.parametrize(("condition", "model"), [("full_av", "video-oracle"), ("audio_only", "random")])
def test_clips_that_changed_since_the_release_are_all_errors(
    tmp_path: Path, whole: bytes, copies: list[bytes], condition: str, model: str
) -> None:
    result = run(tmp_path, spoil_after_release(whole, copies), condition, model)
    assert (result.n_items, result.n_errors, result.n_answered) == (COPIES, COPIES, 0)
    assert result.metrics["accuracy"].value is None


def test_clips_released_damaged_are_errors_unless_they_still_decode_whole(tmp_path: Path, copies: list[bytes]) -> None:
    decodable = 0
    for data in copies:
        try:
            frames = media.decode_frames(data).pixels
        except MediaError:
            continue
        decodable += 1
        assert abs(len(frames) - FRAMES) <= 1
    result = run(tmp_path, [Clip.from_bytes(data) for data in copies], "full_av", "video-oracle")
    # In a few of them the damage took the announcement of a stream, which as released they do not have.
    unasked = sum(result.not_asked.values())
    assert (result.n_errors, result.n_answered, result.n_missing) == (COPIES - decodable - unasked, decodable, 0)
    assert unasked < COPIES // 20
    assert decodable < COPIES // 3
