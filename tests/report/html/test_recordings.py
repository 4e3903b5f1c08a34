"""The recordings of a report: small and within bounds inside the page, whole beside it, none that are private."""

from __future__ import annotations

import base64
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from report.html.conftest import Finished
from support.real_release import TEST_ACTORS, real_dialogues

from avemo_harness import media
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Clip, Release
from avemo_harness.report.html import recordings
from avemo_harness.report.html.recordings import Recording, Sources, bundle, embed
from avemo_harness.report.html.turns import Entry


def bytes_of(recording: Recording) -> bytes:
    return base64.b64decode(recording["url"].partition(",")[2])


def test_small_copies_are_as_long_as_the_recordings(finished: Finished) -> None:
    found = embed(finished.entries, finished.sources)
    assert found.notes == ()
    assert set(found.users) == {one.key for one in finished.entries}
    assert set(found.replies) == {one.key for one in finished.entries if one.speech}
    for key in ("d0a/0", "d1b/4"):
        clip = finished.sources.user(finished.entry(key))
        assert clip is not None
        whole, small = media.probe(clip), media.probe(bytes_of(found.users[key]))
        assert small.duration_s == pytest.approx(whole.duration_s, abs=0.1)
        assert small.video is not None
        assert max(small.video.width, small.video.height) <= 160
        assert found.users[key]["kind"] == "video"
        assert found.users[key]["url"].startswith("data:video/mp4;base64,")
        reply = media.probe(bytes_of(found.replies[key]))
        assert (reply.video, found.replies[key]["kind"]) == (None, "audio")


def test_a_conflict_pair_shows_one_face_and_sounds_like_the_other(finished: Finished) -> None:
    joined = finished.sources.user(finished.entry("d0a-d0b"))
    release = next(iter(finished.sources.releases.values()))
    heard, seen = (release.dialogue(name).turns[4].clip for name in ("d0a", "d0b"))
    assert joined is not None
    assert heard is not None
    assert seen is not None
    assert media.packet_digests(joined).sound == media.packet_digests(heard.read()).sound
    assert media.packet_digests(joined).video == media.packet_digests(seen.read()).video


def test_the_turns_with_most_to_look_at_come_first_within_bounds(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "MOST_TURNS_EMBEDDED", 3)
    found = embed(finished.entries, finished.sources)
    assert set(found.users) == {"d0a/0", "d0a/2", "d0a/4"}
    assert "3 of 16 turns can be played here" in found.notes[0]
    assert "--bundle DIR" in found.notes[0]
    monkeypatch.setattr(recordings, "MOST_BYTES_EMBEDDED", sum(len(one["url"]) for one in found.users.values()))
    smaller = embed(finished.entries, finished.sources)
    assert 0 < len(smaller.users) < 3


def test_recordings_of_users_that_are_withheld_stay_out_and_replies_stay_in(finished: Finished) -> None:
    found = embed(finished.entries, replace(finished.sources, withheld={"user": "these are private"}))
    assert found.users == {}
    assert len(found.replies) == 12
    assert found.notes[0].startswith("these are private; avemo-eval report RUN --bundle DIR")


def test_replies_that_are_withheld_stay_out_too(finished: Finished) -> None:
    found = embed(finished.entries, replace(finished.sources, withheld={"reply": "those are the release's"}))
    assert (len(found.users), found.replies) == (16, {})
    whys = {"user": "these are private", "reply": "those are the release's"}
    none = embed(finished.entries, replace(finished.sources, withheld=whys))
    assert (none.users, none.replies) == ({}, {})
    assert [note.partition("; avemo-eval")[0] for note in none.notes] == ["; ".join(whys.values())]


def test_what_cannot_be_read_is_named_and_the_rest_is_there(finished: Finished, tmp_path: Path) -> None:
    broken = [replace(one, speech="speech/gone.flac") if one.key == "d1a/0" else one for one in finished.entries]
    found = embed(broken, finished.sources)
    assert "d1a/0 (reply)" in found.notes[-1]
    assert "gone.flac" in found.notes[-1]
    assert "d1a/0" in found.users
    assert len(found.replies) == 11


def test_a_bundle_holds_each_recording_once_as_it_is(finished: Finished, tmp_path: Path) -> None:
    found = bundle(finished.entries, finished.sources, tmp_path)
    assert found.notes == ()
    assert set(found.users) == {one.key for one in finished.entries}
    urls = [one["url"] for of_all in (found.users, found.replies) for one in of_all.values()]
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")} == set(urls)
    clip = finished.sources.user(finished.entry("d0a/0"))
    assert (tmp_path / found.users["d0a/0"]["url"]).read_bytes() == clip
    # The dialogues' first turns are alike in both versions.
    assert found.users["d0a/0"] == found.users["d0b/0"]


def test_a_bundle_is_whole_whatever_is_withheld(finished: Finished, tmp_path: Path) -> None:
    private = replace(finished.sources, withheld={"user": "private", "reply": "private"})
    found = bundle(finished.entries, private, tmp_path)
    assert (len(found.users), len(found.replies)) == (16, 12)


def test_what_browsers_do_not_play_is_encoded_anew(finished: Finished, tmp_path: Path) -> None:
    wave = media.write_wave(media.make_noise("white", 16_000, rate=16_000, seed=1), 16_000)
    entry = finished.entry("d0a/0")
    release = next(iter(finished.sources.releases.values()))
    turns = (replace(release.dialogue("d0a").turns[0], clip=Clip.from_bytes(wave)),)
    odd = replace(release, dialogues=(replace(release.dialogue("d0a"), turns=turns),))
    found = bundle([entry], replace(finished.sources, releases={entry.dataset: odd}), tmp_path)
    assert found.users["d0a/0"]["kind"] == "audio"
    data = (tmp_path / found.users["d0a/0"]["url"]).read_bytes()
    assert data[4:8] == b"ftyp"
    assert media.probe(data).duration_s == pytest.approx(1.0, abs=0.05)


def test_twenty_real_clips_take_at_most_two_megabytes(real_media: Path, tmp_path: Path) -> None:
    dialogues = tuple(islice(real_dialogues(real_media, "test", TEST_ACTORS), 7))
    release = Release("real", "real", "test", None, dialogues, (), "")
    turns = [(one.dialogue_id, turn.turn_index) for one in dialogues for turn in one.turns if turn.clip][:20]
    entries = [
        Entry(
            shown={"key": f"{name}/{turn}", "dialogue": name, "turn": turn},
            dataset=("real", "test", ""),
            pair="",
            speech=None,
            interest=0,
        )
        for name, turn in turns
    ]
    conditions = ConditionCache(tmp_path / "conditions")
    found = embed(entries, Sources(tmp_path, {("real", "test", ""): release}, conditions, tmp_path / "shown"))
    assert len(found.users) == 20
    assert sum(len(one["url"]) for one in found.users.values()) <= 2_000_000
