"""A small release of real clips of which a third are voices without a face and a third faces without a voice."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
from support.real_release import EMOTION_CODES

from avemo_harness import media
from avemo_harness.benchmark.release import EMOTIONS, Clip, ConflictPair, Dialogue, Turn
from avemo_harness.benchmark.release_writer import write_release

CONFIG = "multiturn_real"
ACTORS = {"train": range(1, 5), "test": range(5, 9)}
FACE_S = 2.4
"""Length that faces are cut to where the eight that there are have been used once."""


def write_mixed_release(folder: Path, sources: Path) -> Path:
    """Write train and test: twelve dialogues each of a voice, a face and a dubbed clip, in every order of the three.

    Conflict pairs of the test part: 16 of dubbed clips, one whose sound is a voice without a face, and one whose sound
    would be that of a face without a voice.
    """
    splits = {split: list(_dialogues(split, sources)) for split in ACTORS}
    write_release(folder, CONFIG, splits, {"test": list(_pairs(splits["test"]))})
    return folder


def _dialogues(split: str, sources: Path) -> Iterator[Dialogue]:
    faces = _faces(sources)
    for actor in ACTORS[split]:
        for index, emotion in enumerate(("happy", "sad", "angry")):
            other = EMOTIONS[(actor + index) % 4]
            parts = [_voice(sources, actor, other), next(faces), _dubbed(sources, actor, emotion)]
            turns = [*parts[index:], *parts[:index]]
            yield Dialogue(f"a{actor:02}-{emotion}", "real clips", "en", "research only", tuple(_numbered(turns)))


def _numbered(said: list[Turn]) -> Iterator[Turn]:
    for position, (index, turn) in enumerate(zip(range(0, 5, 2), said, strict=True)):
        if position:
            yield Turn(index - 1, "assistant", "assistant", "Tell me more about it.")
        yield Turn(index, "user", turn.speaker_id, turn.text, turn.emotion, clip=turn.clip, duration_s=turn.duration_s)


def _voice(sources: Path, actor: int, emotion: str) -> Turn:
    """A recording as it is given out: FLAC."""
    return _turn(f"actor{actor:02}", emotion, _recordings(sources, actor, emotion)[0].read_bytes())


def _faces(sources: Path) -> Iterator[Turn]:
    """Faces as they are, then again cut to a part: no two clips are alike."""
    paths = sorted((sources / "mead_faces").glob("*.mp4"))
    for number, path in enumerate(cycle(paths)):
        speaker, _, emotion, *_ = path.stem.split("_")
        data = path.read_bytes()
        if number >= len(paths):
            silence = media.encode_sound(np.zeros(round((FACE_S + 0.04 * number) * 16_000), np.float32))
            data = media.remove_sound(media.join_streams(video_from=data, sound_from=silence))
        yield _turn(speaker, emotion, data)


def _dubbed(sources: Path, actor: int, emotion: str) -> Turn:
    samples, rate = media.read_sound_file(_recordings(sources, actor, emotion)[1])
    speaker = ("M030", "W009")[actor % 2]
    face = next((sources / "mead_faces").glob(f"{speaker}_front_{emotion}_*.mp4"))
    voice = media.encode_sound(media.resample(samples, rate, 16_000))
    return _turn(f"actor{actor:02}", emotion, media.join_streams(video_from=face, sound_from=voice))


def _recordings(sources: Path, actor: int, emotion: str) -> list[Path]:
    paths = sorted((sources / "ravdess_speech" / f"Actor_{actor:02}").glob("*.flac"))
    return [path for path in paths if EMOTION_CODES[path.stem.split("-")[2]] == emotion]


def _turn(speaker: str, emotion: str, data: bytes) -> Turn:
    text = "Kids are talking by the door."
    return Turn(0, "user", speaker, text, emotion, clip=Clip.from_bytes(data), duration_s=media.probe(data).duration_s)


def _pairs(dialogues: list[Dialogue]) -> Iterator[ConflictPair]:
    dubbed = {dialogue.dialogue_id: (dialogue, _index(dialogue, sound=True, picture=True)) for dialogue in dialogues}
    for actor in ACTORS["test"]:
        for other in ("sad", "angry"):
            one, two = dubbed[f"a{actor:02}-happy"], dubbed[f"a{actor:02}-{other}"]
            yield from (_pair(*one, *two), _pair(*two, *one))
    first, (second, seen) = dialogues[0], dubbed[dialogues[1].dialogue_id]
    yield _pair(first, _index(first, sound=True, picture=False), second, seen)
    yield _pair(first, _index(first, sound=False, picture=True), second, seen)


def _index(dialogue: Dialogue, sound: bool, picture: bool) -> int:
    """The user turn whose clip has just these streams."""
    for turn in dialogue.turns:
        if turn.clip is not None:
            info = media.probe(turn.clip.read())
            if (info.sound is not None, info.video is not None) == (sound, picture):
                return turn.turn_index
    raise AssertionError(f"{dialogue.dialogue_id} has no such turn")


def _pair(audio: Dialogue, heard: int, video: Dialogue, seen: int) -> ConflictPair:
    return ConflictPair(
        pair_id=f"{audio.dialogue_id}/{heard}+{video.dialogue_id}/{seen}",
        audio_dialogue_id=audio.dialogue_id,
        audio_turn=heard,
        video_dialogue_id=video.dialogue_id,
        video_turn=seen,
        audio_emotion=str(audio.turns[heard].emotion),
        video_emotion=str(video.turns[seen].emotion),
        speaker_id=audio.turns[heard].speaker_id,
    )
