from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clips import make_clip, melody, pattern, positions

from avemo_harness import media
from avemo_harness.errors import MediaError

AAC_FRAME_S = 1024 / 16_000


def frame_times(clip: bytes) -> list[Fraction]:
    """When each video frame is shown, in seconds."""
    import av

    with av.open(io.BytesIO(clip)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def planes(clip: bytes) -> list[np.ndarray]:
    """The decoded Y, U and V planes of each frame, before any conversion to RGB."""
    import av

    with av.open(io.BytesIO(clip)) as container:
        return [frame.to_ndarray(format="yuv420p").astype(int) for frame in container.decode(video=0)]


def has_b_frames(clip: bytes) -> bool:
    import av

    with av.open(io.BytesIO(clip)) as container:
        times = [packet.pts for packet in container.demux(video=0) if packet.size]
    return times != sorted(times)


def test_digests_cover_every_packet(clip: bytes, sound_only: bytes) -> None:
    digests = media.packet_digests(clip)
    assert len(digests.video) == 75
    assert len(set(digests.video) | set(digests.sound)) == len(digests.video) + len(digests.sound)
    assert media.packet_digests(sound_only).video == ()


def test_replaced_sound_leaves_the_video_packets_alone(clip: bytes) -> None:
    sound = melody(3.0, seed=8)
    replaced = media.replace_sound(clip, sound)
    assert media.packet_digests(replaced).video == media.packet_digests(clip).video
    assert frame_times(replaced) == frame_times(clip)
    np.testing.assert_array_equal(media.decode_frames(replaced).pixels, media.decode_frames(clip).pixels)
    np.testing.assert_array_equal(media.decode_sound(replaced), media.decode_sound(media.encode_sound(sound)))


def test_replaced_sound_is_used_whole(clip: bytes) -> None:
    for seconds in (0.5, 3.0, 4.0):
        info = media.probe(media.replace_sound(clip, melody(seconds)))
        assert info.video is not None
        assert info.sound is not None
        assert (info.video.duration_s, info.sound.duration_s) == (3.0, seconds)


def test_a_film_without_sound_can_be_given_one(silent_film: bytes) -> None:
    replaced = media.replace_sound(silent_film, melody(2.0))
    assert media.packet_digests(replaced).video == media.packet_digests(silent_film).video
    assert frame_times(replaced) == frame_times(silent_film)
    assert len(media.decode_sound(replaced)) == 32_000


def test_a_frozen_clip_shows_its_first_frame_throughout(clip: bytes) -> None:
    frozen = media.freeze_video(clip)
    shown = planes(frozen)
    assert len(shown) == 75
    assert all(np.array_equal(frame, shown[0]) for frame in shown)
    assert np.abs(shown[0] - planes(clip)[0]).max() <= 1


def test_a_frozen_clip_keeps_its_times_and_its_sound(clip: bytes) -> None:
    frozen = media.freeze_video(clip)
    assert media.probe(frozen) == media.probe(clip)
    assert frame_times(frozen) == frame_times(clip)
    assert media.packet_digests(frozen).sound == media.packet_digests(clip).sound
    np.testing.assert_array_equal(media.decode_sound(frozen), media.decode_sound(clip))


def test_uneven_frame_times_survive_freezing(silent_film: bytes) -> None:
    frozen = media.freeze_video(silent_film)
    assert frame_times(frozen) == frame_times(silent_film)
    assert media.probe(frozen).duration_s == media.probe(silent_film).duration_s


@pytest.mark.parametrize(("width", "height"), [(63, 65), (64, 65), (63, 64)])
def test_a_clip_of_odd_size_is_frozen_without_its_last_row_or_column(width: int, height: int) -> None:
    source = encoded("mpeg4", [pattern(position, width, height) for position in range(5)])
    frozen = media.decode_frames(media.freeze_video(source)).pixels
    assert frozen.shape == (5, height & ~1, width & ~1, 3)
    assert (frozen == frozen[0]).all()
    first = media.decode_frames(source).pixels[0][: height & ~1, : width & ~1]
    assert np.abs(frozen[0].astype(int) - first).mean() < 4


def test_packets_are_copied_of_a_codec_that_is_only_decoded_here() -> None:
    """AV1, whose decoder (dav1d) has no encoder of its name."""
    source = encoded("libsvtav1", [pattern(position) for position in range(25)])
    for made in (media.replace_sound(source, melody(1.0)), media.join_streams(source, media.encode_sound(melody(1.0)))):
        assert media.packet_digests(made).video == media.packet_digests(source).video
        np.testing.assert_array_equal(media.decode_frames(made).pixels, media.decode_frames(source).pixels)


def encoded(codec: str, frames: list[np.ndarray]) -> bytes:
    """An MP4 of frames, 25 a second, in some codec; the test is skipped where FFmpeg cannot write it."""
    import av

    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


def test_a_frozen_clip_is_small_and_plays_anywhere(clip: bytes) -> None:
    import av

    with av.open(io.BytesIO(media.freeze_video(clip))) as container:
        context = container.streams.video[0].codec_context
        sizes = [packet.size for packet in container.demux(video=0) if packet.size]
        assert (context.profile, context.pix_fmt) == ("High", "yuv420p")
    assert max(sizes[1:]) < 40


def test_full_range_video_is_frozen_without_a_shift() -> None:
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        stream.codec_context.thread_count = 1
        for position in range(0, 80, 10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pattern(position), "rgb24")))
        container.mux(stream.encode(None))
    source = media.decode_frames(file.getvalue()).pixels[0].astype(int)
    frozen = media.decode_frames(media.freeze_video(file.getvalue())).pixels
    assert np.abs(frozen - source).max() <= 5


def test_joined_streams_are_the_beginnings_of_their_sources(clip: bytes, longer_clip: bytes) -> None:
    assert has_b_frames(clip)
    assert has_b_frames(longer_clip)
    for pictures, voice in ((clip, longer_clip), (longer_clip, clip)):
        joined = media.join_streams(pictures, voice)
        parts, video, sound = (media.packet_digests(source) for source in (joined, pictures, voice))
        assert parts.video == video.video[: len(parts.video)]
        assert parts.sound == sound.sound[: len(parts.sound)]
        frames, heard = media.decode_frames(joined).pixels, media.decode_sound(joined)
        np.testing.assert_array_equal(frames, media.decode_frames(pictures).pixels[: len(frames)])
        whole = media.decode_sound(voice)
        shared = min(len(heard), len(whole))
        np.testing.assert_array_equal(heard[:shared], whole[:shared])
        assert frame_times(joined) == frame_times(pictures)[: len(frames)]


@settings(max_examples=12)
@given(seconds=st.integers(2, 90).map(lambda hundredths: 0.04 * hundredths), first=st.booleans())
def test_joined_streams_end_together(clip: bytes, seconds: float, first: bool) -> None:
    other = make_clip(seconds, seed=3)
    joined = media.join_streams(clip, other) if first else media.join_streams(other, clip)
    info = media.probe(joined)
    assert info.video is not None
    assert info.sound is not None
    assert abs(info.sound.duration_s - info.video.duration_s) <= 0.04 + AAC_FRAME_S + 1e-6
    # x264 stores at most three B-frames in a row here, so the cut loses at most four frames and one packet.
    assert info.video.duration_s >= min(seconds, 3.0) - 4 * 0.04 - AAC_FRAME_S
    assert positions(media.decode_frames(joined))[0] == (0 if first else 3)


def test_a_clip_joined_with_itself_is_whole(clip: bytes) -> None:
    joined = media.join_streams(clip, clip)
    assert media.packet_digests(joined) == media.packet_digests(clip)
    np.testing.assert_array_equal(media.decode_sound(joined), media.decode_sound(clip))


def test_equal_sources_give_equal_bytes(clip: bytes, longer_clip: bytes) -> None:
    assert media.freeze_video(clip) == media.freeze_video(clip)
    assert media.join_streams(clip, longer_clip) == media.join_streams(clip, longer_clip)
    assert media.replace_sound(clip, melody(1.0)) == media.replace_sound(clip, melody(1.0))


def test_what_a_source_lacks_is_an_error(clip: bytes, sound_only: bytes, silent_film: bytes) -> None:
    for make in (
        lambda: media.replace_sound(sound_only, melody(1.0)),
        lambda: media.freeze_video(sound_only),
        lambda: media.join_streams(sound_only, clip),
    ):
        with pytest.raises(MediaError, match="no video"):
            make()
    with pytest.raises(MediaError, match="no sound"):
        media.join_streams(clip, silent_film)


def test_a_sound_shorter_than_a_frame_leaves_nothing_to_join(clip: bytes) -> None:
    blip = media.encode_sound(melody(0.01))
    with pytest.raises(MediaError, match="not one frame"):
        media.join_streams(clip, blip)
