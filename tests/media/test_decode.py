from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from support.clips import RATE, melody, pattern, positions
from support.sound_files import SOUND_FORMATS, sound_file

from avemo_harness import media
from avemo_harness.errors import MediaError


def lag(heard: np.ndarray, played: np.ndarray) -> int:
    """By how many samples `heard` comes late."""
    size = 2 * len(played)
    product = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(played, size))
    best = int(np.argmax(np.fft.irfft(product, size)))
    return best if best < size // 2 else best - size


def test_probe_says_what_the_header_says(clip: bytes, sound_only: bytes) -> None:
    assert media.probe(clip) == media.MediaInfo(
        video=media.VideoInfo(width=96, height=64, fps=25.0, frames=75, duration_s=3.0, codec="h264"),
        sound=media.SoundInfo(rate=16_000, channels=1, duration_s=3.0, codec="aac"),
    )
    assert media.probe(clip).duration_s == 3.0
    assert media.probe(sound_only).video is None


def test_a_path_and_its_bytes_give_the_same(clip: bytes, tmp_path: Path) -> None:
    path = tmp_path / "ä clip.mp4"
    path.write_bytes(clip)
    assert media.probe(path) == media.probe(clip)
    np.testing.assert_array_equal(media.decode_frames(path).pixels, media.decode_frames(clip).pixels)
    np.testing.assert_array_equal(media.decode_sound(path), media.decode_sound(clip))


def test_every_frame_comes_back_in_order(clip: bytes) -> None:
    frames = media.decode_frames(clip)
    assert frames.pixels.shape == (75, 64, 96, 3)
    assert frames.pixels.dtype == np.uint8
    assert frames.fps == 25.0
    assert positions(frames) == list(range(75))
    original = np.stack([pattern(position) for position in range(75)])
    assert np.abs(frames.pixels.astype(int) - original).mean() < 6


@pytest.mark.parametrize("fps", [1.0, 2.0, 5.0, 12.5, 25.0, 30.0, 50.0])
def test_a_sampled_video_shows_the_frame_on_show_at_each_time(clip: bytes, fps: float) -> None:
    frames = media.decode_frames(clip, fps=fps)
    assert frames.fps == fps
    assert len(frames.pixels) == round(3.0 * fps)
    every = media.decode_frames(clip).pixels
    shown = [min(int(k * 25 / fps + 1e-6), 74) for k in range(len(frames.pixels))]
    np.testing.assert_array_equal(frames.pixels, every[shown])


def test_uneven_frame_times_are_kept_when_sampling(silent_film: bytes) -> None:
    frames = media.decode_frames(silent_film, fps=62.5)
    starts = np.array([40 * position + (0, -8, 0)[position % 3] for position in range(50)])
    expected = [int(np.searchsorted(starts, 16 * k, side="right")) - 1 for k in range(len(frames.pixels))]
    assert positions(frames) == expected


def test_the_first_frame_is_given_however_slow_the_sampling(clip: bytes) -> None:
    frames = media.decode_frames(clip, fps=0.01)
    assert len(frames.pixels) == 1
    np.testing.assert_array_equal(frames.pixels[0], media.decode_frames(clip).pixels[0])


def test_frames_can_be_scaled(clip: bytes) -> None:
    assert media.decode_frames(clip, fps=2.0, size=(48, 30)).pixels.shape == (6, 30, 48, 3)


def test_sound_comes_back_whole_and_in_place(clip: bytes) -> None:
    sound = media.decode_sound(clip)
    played = melody(3.0)
    assert sound.dtype == np.float32
    assert len(sound) == len(played)
    assert np.abs(sound).max() <= 1.0
    assert lag(sound, played) == 0
    assert np.corrcoef(sound, played)[0, 1] > 0.99


@pytest.mark.parametrize("rate", [8_000, 22_050, 24_000, 48_000])
def test_sound_is_resampled_in_place(clip: bytes, rate: int) -> None:
    sound = media.decode_sound(clip, rate=rate)
    assert len(sound) == 3 * rate
    assert abs(lag(sound, melody(3.0, rate))) <= 1


def test_stereo_is_mixed_to_the_mean_of_its_channels() -> None:
    import av

    left, right = melody(1.0, 44_100), np.zeros(44_100, dtype=np.float32)
    file = io.BytesIO()
    with av.open(file, "w", format="wav") as container:
        stream = container.add_stream("pcm_f32le", rate=44_100, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.stack([left, right], axis=1).reshape(1, -1), "flt", "stereo")
        frame.sample_rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    np.testing.assert_allclose(media.decode_sound(file.getvalue(), rate=44_100), left / 2, atol=1e-6)


@pytest.mark.parametrize("kind", sorted(SOUND_FORMATS))
def test_sound_files_of_every_format_come_back_whole_and_in_place(kind: str) -> None:
    played = melody(1.3)
    data = sound_file(kind, played)
    info = media.probe(data)
    assert info.video is None
    assert info.sound is not None
    heard = media.decode_sound(data)
    assert len(heard) == len(played)
    assert lag(heard, played) == 0
    assert np.corrcoef(heard, played)[0, 1] > 0.99


@pytest.mark.parametrize("kind", sorted(SOUND_FORMATS))
def test_a_stream_is_known_by_its_packets_in_every_format(kind: str) -> None:
    one, same, other = (media.packet_digests(sound_file(kind, melody(1.0, seed=seed))) for seed in (1, 1, 2))
    assert one.video == ()
    assert one.sound == same.sound
    assert one.sound != other.sound


def test_the_cover_of_a_sound_file_is_no_video() -> None:
    import av
    from av.stream import Disposition

    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        sound = container.add_stream("libmp3lame", rate=RATE, layout="mono")
        cover = container.add_stream("png", rate=25)
        cover.width, cover.height, cover.pix_fmt = 96, 64, "rgb24"
        cover.disposition = Disposition.attached_pic.value
        frame = av.AudioFrame.from_ndarray(melody(1.0)[None], "fltp", "mono")
        frame.sample_rate = RATE
        packets = [*cover.encode(av.VideoFrame.from_ndarray(pattern(0), "rgb24")), *cover.encode(None)]
        container.mux([*packets, *sound.encode(frame), *sound.encode(None)])
    info = media.probe(file.getvalue())
    assert info.video is None
    assert info.sound is not None
    assert media.packet_digests(file.getvalue()).video == ()


def test_a_tag_that_is_no_utf8_hinders_nothing() -> None:
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        container.metadata["title"] = "some film"
        sound = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(melody(1.0)[None], "fltp", "mono")
        frame.sample_rate = RATE
        container.mux([*sound.encode(frame), *sound.encode(None)])
    assert b"some film" in file.getvalue()
    assert media.probe(file.getvalue().replace(b"some film", b"som\xe9 film")).sound is not None


def test_what_a_clip_lacks_is_an_error(sound_only: bytes, silent_film: bytes) -> None:
    with pytest.raises(MediaError, match="no video"):
        media.decode_frames(sound_only)
    with pytest.raises(MediaError, match="no sound"):
        media.decode_sound(silent_film)


def test_errors_name_the_clip(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no clip at all")
    with pytest.raises(MediaError, match=r"broken\.mp4"):
        media.probe(broken)
    with pytest.raises(MediaError, match=r"^clip sha256:[0-9a-f]{8}…: "):
        media.probe(b"no clip at all")


@pytest.mark.parametrize("name", ["missing.mp4", "."])
def test_a_path_must_be_that_of_a_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(MediaError, match="no such file"):
        media.probe(tmp_path / name)


def test_a_playlist_cannot_name_other_files(clip: bytes, tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    target.write_bytes(clip)
    hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile://{target}\n#EXT-X-ENDLIST\n"
    for text in (hls, f"ffconcat version 1.0\nfile '{target}'\n"):
        (tmp_path / "list.mp4").write_text(text)
        for source in (text.encode(), tmp_path / "list.mp4"):
            with pytest.raises(MediaError):
                media.probe(source)


def test_webm_is_decoded() -> None:
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="webm") as container:
        video = container.add_stream("libvpx-vp9", rate=25, options={"cpu-used": "8", "deadline": "realtime"})
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        for position in range(25):
            container.mux(video.encode(av.VideoFrame.from_ndarray(pattern(position), "rgb24")))
        container.mux(video.encode(None))
    frames = media.decode_frames(file.getvalue())
    assert positions(frames) == list(range(25))
    with pytest.raises(MediaError, match="MP4"):
        media.freeze_video(file.getvalue())
