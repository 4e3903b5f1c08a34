"""Face features: oriented gradients, change and motion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recognizers.signals import face, onset

from avemo_harness import media
from avemo_harness.recognizers.features.face import LIVE_MOTION, face_features

SMILE = face(onset(1.0))


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(face_features(one).values - face_features(other).values).mean())


def test_a_smile_differs_from_a_frown_more_than_from_a_darker_smile() -> None:
    between = distance(SMILE, face(onset(-1.0)))
    assert distance(SMILE, face(onset(1.0), brightness=0.7)) < 0.35 * between


def test_the_size_of_the_picture_does_not_matter() -> None:
    doubled = SMILE.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(face_features(doubled).values, face_features(SMILE).values, atol=1e-4)


def test_a_face_and_its_mirror_image_give_the_same_row() -> None:
    np.testing.assert_allclose(
        face_features(SMILE).values, face_features(face(onset(1.0), mirrored=True)).values, atol=1e-3
    )


def test_a_wide_picture_is_cut_to_its_middle() -> None:
    margins = np.random.default_rng(0).integers(0, 255, (len(SMILE), 96, 40, 3)).astype(np.uint8)
    wide = np.concatenate([margins, SMILE, margins], axis=2)
    np.testing.assert_allclose(face_features(wide).values, face_features(SMILE).values, atol=1e-9)


@settings(max_examples=30)
@given(st.integers(1, 5), st.integers(1, 130), st.integers(1, 130), st.integers(0, 2**32 - 1))
def test_every_video_gives_a_finite_row_of_the_same_length(count: int, height: int, width: int, seed: int) -> None:
    frames = np.random.default_rng(seed).integers(0, 256, (count, height, width, 3)).astype(np.uint8)
    features = face_features(frames)
    assert features.values.shape == face_features(SMILE).values.shape
    assert np.isfinite(features.values).all()
    assert 0 <= features.motion <= 255


def test_frames_that_are_equal_up_to_two_levels_are_frozen() -> None:
    jitter = np.random.default_rng(1).integers(-2, 3, SMILE.shape)
    still = np.clip(SMILE[:1].astype(np.int64) + jitter, 0, 255).astype(np.uint8)
    worst = np.where(np.arange(12)[:, None, None, None] > 5, still[:1] // 2 + 2, still[:1] // 2).astype(np.uint8)
    assert face_features(still).motion < LIVE_MOTION / 2
    assert face_features(worst).motion <= 2.01
    assert not face_features(worst).is_live


def test_a_single_frame_is_frozen() -> None:
    assert face_features(SMILE[:1]).motion == 0


def test_a_moving_mouth_is_live() -> None:
    assert face_features(SMILE).motion > 5 * LIVE_MOTION


def test_a_coded_still_is_frozen_and_the_coded_face_is_live() -> None:
    clip = media.encode_clip(face(np.repeat(onset(1.0, 20), 3)), np.zeros(38_400, dtype=np.float32))
    frozen = media.freeze_video(clip)
    assert face_features(media.decode_frames(clip, fps=5).pixels).is_live
    assert face_features(media.decode_frames(frozen, fps=5).pixels).motion < LIVE_MOTION / 2


def test_every_real_face_is_live_until_it_is_frozen(real_media: Path) -> None:
    for path in sorted(real_media.glob("mead_faces/*.mp4")):
        frozen = media.freeze_video(path)
        assert face_features(media.decode_frames(path, fps=5).pixels).motion > 5 * LIVE_MOTION
        assert face_features(media.decode_frames(frozen, fps=5).pixels).motion < LIVE_MOTION / 2


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((0, 8, 8, 3), dtype=np.uint8),
        np.zeros((2, 8, 8), dtype=np.uint8),
        np.zeros((2, 8, 8, 3), dtype=np.float32),
    ],
    ids=["empty", "grey", "float"],
)
def test_what_is_not_rgb_video_is_refused(frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match="RGB frames"):
        face_features(frames)
