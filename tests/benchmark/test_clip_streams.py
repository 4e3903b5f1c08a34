"""Which streams a clip has: a column of the release, else probed once and remembered by content."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.clips import make_clip, melody

from avemo_harness import media
from avemo_harness.benchmark.release import Clip, Dialogue, Release, Stream, Turn, make_release
from avemo_harness.benchmark.release_loader import load_release, with_known_streams
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.errors import ReleaseError
from avemo_harness.media.wave import write_wave

WHOLE = make_clip(0.4)
MUTE = media.remove_sound(WHOLE)
VOICE = write_wave(melody(0.4), 16_000)


def dialogue_of(*clips: bytes | None) -> Dialogue:
    turns = tuple(
        Turn(number, "user", "ann", "", "sad", clip=None if data is None else Clip.from_bytes(data))
        for number, data in enumerate(clips)
    )
    return Dialogue("d", "made for tests", "en", "CC0-1.0", turns)


def release_of(dialogue: Dialogue) -> Release:
    return make_release("source", "name", "test", None, [dialogue], [])


def streams(release: Release) -> list[frozenset[Stream] | None]:
    return [turn.clip and turn.clip.streams for turn in release.dialogues[0].turns]


BOTH, SOUND, PICTURE = frozenset({"sound", "picture"}), frozenset({"sound"}), frozenset({"picture"})


def quiet(sentence: str) -> None:
    del sentence


def test_a_written_release_says_which_streams_each_clip_has(tmp_path: Path) -> None:
    write_release(tmp_path, "name", {"test": [dialogue_of(WHOLE, MUTE, VOICE, None, b"no clip")]})
    read = load_release(str(tmp_path), "name")
    assert streams(read) == [BOTH, PICTURE, SOUND, None, None]


def test_streams_are_probed_where_the_release_does_not_say(tmp_path: Path) -> None:
    release = release_of(dialogue_of(WHOLE, MUTE, VOICE, None))
    known = with_known_streams(release, tmp_path, quiet)
    assert streams(known) == [BOTH, PICTURE, SOUND, None]
    assert known.fingerprint == release.fingerprint


def test_a_clip_is_probed_once_and_then_remembered_by_its_digest(tmp_path: Path) -> None:
    release = release_of(dialogue_of(WHOLE, VOICE))
    known = with_known_streams(release, tmp_path, quiet)

    def unreadable() -> bytes:
        raise AssertionError("the clip is read again")

    turns = tuple(
        replace(turn, clip=turn.clip and replace(turn.clip, fetch=unreadable)) for turn in release.dialogues[0].turns
    )
    gone = replace(release, dialogues=(replace(release.dialogues[0], turns=turns),))
    assert streams(with_known_streams(gone, tmp_path, quiet)) == streams(known)


def test_a_damaged_memory_is_made_again(tmp_path: Path) -> None:
    release = release_of(dialogue_of(WHOLE))
    known = with_known_streams(release, tmp_path, quiet)
    (file,) = tmp_path.iterdir()
    for damage in ("", "{", "[]", '{"a": 1}', '{"a": []}', '{"a": ["smell"]}'):
        file.write_text(damage, encoding="utf-8")
        assert streams(with_known_streams(release, tmp_path, quiet)) == streams(known)


def test_a_clip_that_cannot_be_read_has_unknown_streams_and_is_tried_again(tmp_path: Path) -> None:
    broken = release_of(dialogue_of(b"no clip"))
    assert streams(with_known_streams(broken, tmp_path, quiet)) == [None]
    assert list(tmp_path.iterdir()) == []


def test_the_columns_change_no_fingerprint(tmp_path: Path) -> None:
    dialogue = dialogue_of(WHOLE, VOICE)
    write_release(tmp_path, "name", {"test": [dialogue]})
    assert load_release(str(tmp_path), "name").fingerprint == release_of(dialogue).fingerprint


def test_a_column_of_another_type_is_refused(tmp_path: Path) -> None:
    write_release(tmp_path, "name", {"test": [dialogue_of(WHOLE)]})
    file = tmp_path / "name" / "test-00000.parquet"
    rows = pq.read_table(file).to_pylist()
    rows[0]["turns"][0]["has_sound"] = "yes"
    pq.write_table(type(pq.read_table(file)).from_pylist(rows), file)
    with pytest.raises(ReleaseError, match="turn 0: has_sound must be true, false or null, found 'yes'"):
        load_release(str(tmp_path), "name")
