from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from support.clips import make_clip, melody
from support.people_clips import turned_clip

from avemo_harness import media
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Clip
from avemo_harness.media.orientation import upright_frame, upright_pixels

WHITE = {90: np.s_[:, :, :28], 180: np.s_[:, 36:], 270: np.s_[:, :, 36:]}
"""Where the half of `turned_clip` that is stored above is seen, by the degrees of its turn, without the border."""
BLACK = {90: np.s_[:, :, 36:], 180: np.s_[:, :28], 270: np.s_[:, :, :28]}


def require_upright(frames: NDArray[np.uint8], degrees: int) -> None:
    assert frames.shape[1:] == ((64, 96, 3) if degrees == 180 else (96, 64, 3))
    assert frames[WHITE[degrees]].mean() > 230
    assert frames[BLACK[degrees]].mean() < 25


@pytest.mark.parametrize("degrees", WHITE)
def test_a_video_that_is_stored_turned_is_decoded_upright(degrees: int) -> None:
    clip = turned_clip(degrees)
    for frames in (media.decode_frames(clip), media.decode_frames(clip, fps=5.0)):
        require_upright(frames.pixels, degrees)
    assert len(media.decode_frames(clip).pixels) == 10


def test_the_size_that_is_asked_for_is_that_of_the_upright_frame() -> None:
    frames = media.decode_frames(turned_clip(90), size=(32, 48)).pixels
    assert frames.shape[1:] == (48, 32, 3)
    assert frames[:, :, :12].mean() > 230


def test_frames_are_scaled_in_one_thread_to_the_pixels_that_several_give() -> None:
    given: list[dict[str, Any]] = []
    frame = av.VideoFrame.from_ndarray(np.random.default_rng(0).integers(0, 255, (96, 64, 3), np.uint8), "rgb24")

    class Scaled:
        width, height = frame.width, frame.height

        def to_ndarray(self, **options: Any) -> NDArray[np.uint8]:
            given.append(options)
            return frame.to_ndarray(**options)

    pixels = upright_pixels(Scaled(), 0, (33, 50))
    (options,) = given
    if options.pop("threads", None) is None:
        pytest.skip("this PyAV has no threads to scale by")
    np.testing.assert_array_equal(pixels, frame.to_ndarray(**options))


@pytest.mark.parametrize("degrees", WHITE)
@pytest.mark.parametrize(
    "copy",
    [
        media.copy_streams,
        media.remove_sound,
        media.freeze_video,
        lambda clip: media.replace_sound(clip, melody(0.4)),
        lambda clip: media.join_streams(clip, make_clip(0.4)),
    ],
)
def test_copies_of_a_turned_video_are_shown_upright(degrees: int, copy: Callable[[bytes], bytes]) -> None:
    made = copy(turned_clip(degrees))
    media.check_whole(made)
    require_upright(media.decode_frames(made).pixels, degrees)


@pytest.mark.parametrize("degrees", WHITE)
def test_every_condition_of_a_turned_clip_is_shown_upright(degrees: int, tmp_path: Path) -> None:
    cache, clip = ConditionCache(tmp_path), Clip.from_bytes(turned_clip(degrees))
    other = Clip.from_bytes(make_clip(0.4))
    for made in (cache.full_av(clip), cache.audio_only(clip), cache.video_only(clip), cache.conflict(other, clip)):
        require_upright(media.decode_frames(made.read()).pixels, degrees)


def test_a_frozen_video_that_was_turned_needs_no_turn() -> None:
    info = media.probe(media.freeze_video(turned_clip(90))).video
    assert info is not None
    assert (info.width, info.height, info.quarter_turns) == (64, 96, 0)


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_each_plane_of_a_frame_is_turned_alike(quarter_turns: int) -> None:
    import av

    ramp = np.tile(np.arange(0, 192, 2, dtype=np.uint8)[None, :, None], (64, 1, 3)) + np.uint8([0, 30, 60])
    frame = av.VideoFrame.from_ndarray(ramp, "rgb24").reformat(format="yuv420p")
    shown = upright_frame(frame, quarter_turns).to_ndarray(format="rgb24").astype(int)
    assert np.abs(shown - np.rot90(frame.to_ndarray(format="rgb24"), quarter_turns)).mean() < 2
