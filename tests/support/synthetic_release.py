"""A small release of made-up clips with everything that the benchmark's tasks ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support.clips import make_clip

from avemo_harness.benchmark.release import EMOTIONS, Clip, ConflictPair, Dialogue, Turn
from avemo_harness.benchmark.release_writer import write_release

CONFIG = "multiturn_synthetic"


def write_synthetic_release(
    folder: Path,
    dialogues: int = 2,
    turns: int = 3,
    licence: str = "CC0-1.0",
    make: Callable[[float, int], bytes] = make_clip,
) -> Path:
    """Write dialogues of `turns` user turns; each in two versions whose last turn differs, joined by conflict pairs.

    Args:
        make: makes a clip of about so many seconds, and of a seed.
    """
    rows, pairs = [], []
    for number in range(dialogues):
        before = [_turn(make, number, position, EMOTIONS[(number + position) % 4]) for position in range(turns - 1)]
        for version, emotion in (("a", "happy"), ("b", ("sad", "angry")[number % 2])):
            said = [*before, _turn(make, number, turns - 1, emotion)]
            rows.append(Dialogue(f"d{number}{version}", "test", "en", licence, tuple(_with_replies(said))))
        names = (f"d{number}a", f"d{number}b")
        for audio, video in (names, names[::-1]):
            pairs.append(_pair(number, audio, video, 2 * (turns - 1), rows))
    write_release(folder, CONFIG, {"test": rows}, {"test": pairs})
    return folder


def _turn(make: Callable[[float, int], bytes], number: int, position: int, emotion: str) -> Turn:
    seconds = 1.0 + 0.2 * ((number + position) % 3)
    clip = Clip.from_bytes(make(seconds, 4 * number + position + 10 * EMOTIONS.index(emotion)))
    words = f"Sentence {position} of dialogue {number}."
    return Turn(2 * position, "user", f"speaker{number}", words, emotion, clip=clip, duration_s=seconds)


def _with_replies(said: list[Turn]) -> list[Turn]:
    replies = [Turn(turn.turn_index + 1, "assistant", "assistant", f"Reply to: {turn.text}") for turn in said]
    return [turn for pair in zip(said, replies, strict=True) for turn in pair]


def _pair(number: int, audio: str, video: str, turn: int, rows: list[Dialogue]) -> ConflictPair:
    emotions = {row.dialogue_id: str(row.turns[turn].emotion) for row in rows}
    return ConflictPair(
        pair_id=f"{audio}-{video}",
        audio_dialogue_id=audio,
        audio_turn=turn,
        video_dialogue_id=video,
        video_turn=turn,
        audio_emotion=emotions[audio],
        video_emotion=emotions[video],
        speaker_id=f"speaker{number}",
    )
