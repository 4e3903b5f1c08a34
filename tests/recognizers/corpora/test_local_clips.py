"""Files of a corpus as clips."""

from __future__ import annotations

import hashlib
import os
import wave
from pathlib import Path

import numpy as np
import pytest
from support.tiny_corpora import write_clip, write_silent_clip, write_wav

from avemo_harness import files, media
from avemo_harness.errors import MediaError
from avemo_harness.recognizers.corpora.local_clips import LocalClips


def test_a_file_is_a_clip_of_the_streams_that_it_holds(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", 1.0)
    write_clip(tmp_path / "b.mp4", 2.0)
    with LocalClips(tmp_path) as clips:
        sound, both = clips.streams(tmp_path / "a.wav"), clips.streams(tmp_path / "b.mp4")
    assert (sound.views, sound.duration_s) == (("audio",), 1.0)
    assert both.views == ("both", "audio", "video")
    assert both.duration_s == pytest.approx(2.0, abs=0.1)
    assert sound.sound is not None
    assert sound.sound.sha256 == hashlib.sha256((tmp_path / "a.wav").read_bytes()).hexdigest()
    assert sound.sound.read() == (tmp_path / "a.wav").read_bytes()


def test_a_file_is_read_once_as_long_as_it_stays_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, 0.5)
    with LocalClips(tmp_path) as clips:
        first = clips.streams(path)
    with monkeypatch.context() as patch:
        patch.setattr(media, "probe", lambda source: pytest.fail("read again"))
        with LocalClips(tmp_path) as clips:
            assert clips.streams(path) == first
    write_wav(path, 0.6)
    with LocalClips(tmp_path) as clips:
        assert clips.streams(path).duration_s == 0.6
    with LocalClips(tmp_path) as clips:
        assert clips.streams(path).duration_s == 0.6


def test_what_was_found_out_before_an_error_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_wav(tmp_path / "a.wav", 0.5)

    def read_both() -> None:
        with LocalClips(tmp_path) as clips:
            clips.streams(tmp_path / "a.wav")
            clips.streams(tmp_path / "b.wav")

    with pytest.raises(MediaError, match="put the file there"):
        read_both()
    monkeypatch.setattr(media, "probe", lambda source: pytest.fail("read again"))
    with LocalClips(tmp_path) as clips:
        assert clips.streams(tmp_path / "a.wav").duration_s == 0.5


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", 0.5)
    with LocalClips(tmp_path) as clips:
        known = clips.streams(tmp_path / "a.wav")
    for path in (files.cache_dir() / "corpora").glob("*.jsonl"):
        path.write_text('["x", 1]\n{', encoding="utf-8")
    with LocalClips(tmp_path) as clips:
        assert clips.streams(tmp_path / "a.wav") == known


def test_a_cache_that_cannot_be_written_costs_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AVEMO_CACHE", str(tmp_path / "file"))
    write_wav(tmp_path / "a.wav", 0.5)
    with LocalClips(tmp_path) as clips:
        assert clips.streams(tmp_path / "a.wav").duration_s == 0.5


def test_a_file_that_changed_since_is_refused_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, 0.5)
    with LocalClips(tmp_path) as clips:
        sound = clips.streams(path).sound
    write_wav(path, 0.5, seed=1)
    assert sound is not None
    with pytest.raises(MediaError, match=r"a\.wav"):
        sound.read()
    os.unlink(path)
    with pytest.raises(MediaError, match="put the file back"):
        sound.read()


def test_a_stretch_of_a_wav_file_has_its_samples_unchanged(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", 3.0)
    with LocalClips(tmp_path) as clips:
        streams = clips.stretch(tmp_path / "a.wav", 1.0, 1.5)
        again = clips.stretch(tmp_path / "a.wav", 1.0, 1.5)
        other = clips.stretch(tmp_path / "a.wav", 1.5, 2.0)
    assert streams == again != other
    assert streams.sound is not None
    assert streams.duration_s == 0.5
    whole = media.decode_sound(tmp_path / "a.wav")
    np.testing.assert_array_equal(media.decode_sound(streams.sound.read()), whole[16_000:24_000])


def test_a_stretch_ends_where_the_file_does_and_must_hold_something(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", 1.0)
    with LocalClips(tmp_path) as clips:
        assert clips.stretch(tmp_path / "a.wav", 0.8, 5.0).duration_s == pytest.approx(0.2)
        with pytest.raises(MediaError, match="nothing from 2 s to 3 s, it lasts 1 s"):
            clips.stretch(tmp_path / "a.wav", 2.0, 3.0)


def test_a_stretch_of_what_is_no_wav_file_is_refused(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.wav", 1.0)
    with LocalClips(tmp_path) as clips, pytest.raises(MediaError, match="convert it to 16-bit PCM"):
        clips.stretch(tmp_path / "a.wav", 0.0, 0.5)


def test_stereo_stays_stereo(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as target:
        target.setparams((2, 2, 8_000, 0, "NONE", ""))
        target.writeframes(bytes(range(200)) * 160)
    with LocalClips(tmp_path) as clips:
        cut = clips.stretch(tmp_path / "a.wav", 0.25, 0.5).sound
    assert cut is not None
    info = media.probe(cut.read()).sound
    assert info is not None
    assert (info.channels, info.rate, info.duration_s) == (2, 8_000, 0.25)


def test_sound_and_face_may_be_in_two_files(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", 1.0)
    write_silent_clip(tmp_path / "a.mp4", 2.0)
    with LocalClips(tmp_path) as clips:
        both = clips.joined(tmp_path / "a.wav", tmp_path / "a.mp4")
        assert both.views == ("both", "audio", "video")
        assert both.duration_s == 2.0
        with pytest.raises(MediaError, match=r"a\.mp4: it has no sound"):
            clips.joined(tmp_path / "a.mp4", None)
        with pytest.raises(MediaError, match=r"a\.wav: it has no video"):
            clips.joined(tmp_path / "a.wav", tmp_path / "a.wav")
