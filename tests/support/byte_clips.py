"""A release whose clips are arbitrary bytes: enough for whatever does not decode them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from avemo_harness.benchmark.release import Clip, ConflictPair, Dialogue, Turn
from avemo_harness.benchmark.release_writer import write_release

CONFIG = "multiturn_real"


def byte_dialogue(number: int, licence: str = "CC0-1.0", source: str = "made for tests") -> Dialogue:
    """User, assistant, user; the user's turns have clips."""
    first, second = (Clip.from_bytes(f"recording {number} {turn} ".encode() * 40) for turn in (0, 2))
    turns = (
        Turn(0, "user", f"speaker{number % 2}", f"Guten Tag {number} …", "happy", "warm", first, 1.5, (0.7, 0.8)),
        Turn(1, "assistant", "assistant", "Tell me more."),
        Turn(2, "user", f"speaker{number % 2}", "It rained.", "sad", None, second, 2.25, (0.2,), (0.3,), 2.0),
    )
    return Dialogue(f"d{number}", source, "en", licence, turns)


def write_byte_release(
    folder: Path,
    dialogues: int = 3,
    licence: str = "CC0-1.0",
    path_of: Callable[[Clip], str] | None = None,
    config: str = CONFIG,
) -> Path:
    """Write `test` with two conflict pairs, and `train` with one dialogue."""
    test = [byte_dialogue(number, licence) for number in range(dialogues)]
    pairs = [
        ConflictPair("p0", "d0", 0, "d0", 2, "happy", "sad", "speaker0"),
        ConflictPair("p1", "d0", 2, "d0", 0, "sad", "happy", "speaker0"),
    ]
    write_release(folder, config, {"test": test, "train": [byte_dialogue(100, licence)]}, {"test": pairs}, path_of)
    return folder


def write_clips_beside(folder: Path, dialogues: int = 3) -> Path:
    """The same, with the clips in files that the rows name."""
    for number in (*range(dialogues), 100):
        for turn in byte_dialogue(number).turns:
            if turn.clip is not None:
                path = folder / clip_path(turn.clip)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(turn.clip.read())
    return write_byte_release(folder, dialogues, path_of=clip_path)


def write_lost_clips_task(folder: Path, dialogues: int, name: str = "lost") -> Path:
    """A task about two turns a dialogue whose clips are named and not there: each item is an error."""
    release = write_byte_release(folder / "lost", dialogues, path_of=clip_path)
    shipped = Path(__file__).parents[2] / "tasks" / "_understanding.yaml"
    file = folder / f"{name}.yaml"
    file.write_text(
        f"task: {name}\nextends: {shipped}\ndataset: {{path: {release}, name: {CONFIG}}}\ncondition: audio_only\n",
        encoding="utf-8",
    )
    return file


def clip_path(clip: Clip) -> str:
    """Path at which `write_clips_beside` puts a clip."""
    return f"clips/{clip.sha256}.mp4"
