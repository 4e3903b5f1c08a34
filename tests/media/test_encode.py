from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clips import make_clip, melody, pattern

from avemo_harness import media
from avemo_harness.errors import MediaError


def test_equal_input_gives_equal_bytes(clip: bytes) -> None:
    assert make_clip(3.0) == clip


def test_frames_are_read_one_at_a_time() -> None:
    frames = (pattern(position) for position in range(5))
    assert media.probe(media.encode_clip(frames, melody(0.2))).video == media.VideoInfo(
        width=96, height=64, fps=25.0, frames=5, duration_s=0.2, codec="h264"
    )


def test_other_rates_are_kept() -> None:
    info = media.probe(media.encode_clip([pattern(k) for k in range(30)], melody(1.0, 48_000), fps=30, rate=48_000))
    assert info.video is not None
    assert info.sound is not None
    assert (info.video.fps, info.video.duration_s) == (30.0, 1.0)
    assert (info.sound.rate, info.sound.duration_s) == (48_000, 1.0)


@settings(max_examples=15)
@given(count=st.integers(1, 5000))
def test_sound_of_any_length_comes_back_as_long(count: int) -> None:
    sound = melody(count / 16_000)
    assert len(media.decode_sound(media.encode_sound(sound))) == len(sound)


def test_without_x264_the_video_is_mpeg4(monkeypatch: pytest.MonkeyPatch) -> None:
    import av

    monkeypatch.setattr(av, "codecs_available", {"aac", "mpeg4"})
    clip = make_clip(1.0)
    info = media.probe(clip)
    assert info.video is not None
    assert (info.video.codec, info.video.frames) == ("mpeg4", 25)
    frozen = media.decode_frames(media.freeze_video(clip)).pixels
    assert len(frozen) == 25
    assert np.abs(frozen.astype(int) - media.decode_frames(clip).pixels[0]).mean() < 2


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [np.zeros((65, 96, 3), dtype=np.uint8)],
        [np.zeros((64, 96), dtype=np.uint8)],
        [np.zeros((64, 96, 3), dtype=np.float32)],
        [np.zeros((0, 0, 3), dtype=np.uint8)],
        [np.zeros((64, 96, 3), dtype=np.uint8), np.zeros((64, 98, 3), dtype=np.uint8)],
    ],
    ids=["none", "odd", "grey", "float", "empty", "uneven"],
)
def test_unfit_frames_are_refused(frames: list[np.ndarray]) -> None:
    with pytest.raises(MediaError, match="frame"):
        media.encode_clip(frames, melody(0.1))


@pytest.mark.parametrize(
    "sound",
    [np.zeros(0, np.float32), np.zeros((2, 9), np.float32), np.zeros(9, np.int16), np.array([np.nan], np.float32)],
    ids=["empty", "stereo", "integers", "nan"],
)
def test_unfit_sound_is_refused(sound: np.ndarray) -> None:
    with pytest.raises(MediaError, match="sound must be"):
        media.encode_sound(sound)


def test_a_rate_that_aac_lacks_is_refused() -> None:
    with pytest.raises(MediaError, match="resample"):
        media.encode_sound(melody(0.1), rate=10_000)


def test_an_error_of_the_frames_own_source_passes_unchanged() -> None:
    def frames():
        yield pattern(0)
        raise KeyError("from the drawing")

    with pytest.raises(KeyError, match="from the drawing"):
        media.encode_clip(frames(), melody(0.1))


def test_flac_keeps_sixteen_bits(tmp_path: Path) -> None:
    sound = melody(0.5)
    (tmp_path / "a.flac").write_bytes(media.encode_flac(sound, 16_000))
    again, rate = media.read_sound_file(tmp_path / "a.flac")
    assert rate == 16_000
    assert again.dtype == np.float32
    np.testing.assert_allclose(again, sound, atol=1 / 2**15)


def test_loud_flac_is_clipped(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(media.encode_flac(np.array([2.0, -2.0, 0.0], np.float32), 16_000))
    np.testing.assert_allclose(media.read_sound_file(tmp_path / "a.flac")[0], [1, -1, 0], atol=1 / 2**15)


def test_sound_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    for name in ("text.wav", "missing.wav"):
        with pytest.raises(MediaError, match=name):
            media.read_sound_file(tmp_path / name)


@pytest.mark.parametrize(("rate_in", "rate_out"), [(44_100, 16_000), (16_000, 48_000), (22_050, 16_000)])
def test_resampling_keeps_tones_in_place(rate_in: int, rate_out: int) -> None:
    tone = [np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32) for rate in (rate_in, rate_out)]
    sound = media.resample(tone[0], rate_in, rate_out)
    assert len(sound) == rate_out
    np.testing.assert_allclose(sound[200:-200], tone[1][200:-200], atol=2e-3)


@settings(max_examples=30)
@given(
    count=st.integers(1, 3000),
    rate_in=st.sampled_from([8_000, 22_050, 48_000]),
    rate_out=st.sampled_from([16_000, 44_100]),
)
def test_resampling_scales_the_length(count: int, rate_in: int, rate_out: int) -> None:
    sound = media.resample(np.full(count, 0.5, np.float32), rate_in, rate_out)
    assert len(sound) == max(1, round(count * rate_out / rate_in))


def test_equal_rates_give_a_copy() -> None:
    sound = melody(0.1)
    copy = media.resample(sound, 16_000, 16_000)
    np.testing.assert_array_equal(copy, sound)
    assert not np.shares_memory(copy, sound)
