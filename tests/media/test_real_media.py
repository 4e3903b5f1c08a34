"""The same promises on real voices and faces, where `AVEMO_TEST_MEDIA` names a folder of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avemo_harness import media


@pytest.fixture(scope="module")
def heads(real_media: Path) -> list[Path]:
    """Clips with video and sound."""
    return sorted((real_media / "talking_heads").glob("*.mp4"))


@pytest.fixture(scope="module")
def faces(real_media: Path) -> list[Path]:
    """Clips without sound."""
    return sorted((real_media / "mead_faces").glob("*.mp4"))


@pytest.fixture(scope="module")
def voices(real_media: Path) -> list[Path]:
    return sorted((real_media / "ravdess_speech").glob("Actor_0[12]/*.flac"))[::6]


def test_every_clip_decodes_as_long_as_it_says(heads: list[Path], faces: list[Path]) -> None:
    for path in [*heads, *faces]:
        info = media.probe(path)
        assert info.video is not None
        frames = media.decode_frames(path, size=(64, 64))
        assert (len(frames.pixels), frames.fps) == (info.video.frames, 25.0)
        if info.sound is not None:
            assert len(media.decode_sound(path)) == round(info.sound.duration_s * 16_000)


def test_a_voice_and_a_face_make_a_clip(faces: list[Path], voices: list[Path]) -> None:
    assert voices
    for face, path in zip(faces, voices, strict=False):
        voice, rate = media.read_sound_file(path)
        clip = media.replace_sound(face, voice, rate=rate)
        assert media.packet_digests(clip).video == media.packet_digests(face).video
        heard = media.decode_sound(clip, rate=rate)
        assert len(heard) == len(voice)
        assert np.corrcoef(heard, voice)[0, 1] > 0.98


def test_a_frozen_face_is_one_picture(heads: list[Path], faces: list[Path]) -> None:
    for path in [heads[0], *faces]:
        frozen = media.decode_frames(media.freeze_video(path)).pixels
        first = media.decode_frames(path, fps=1.0).pixels[0]
        assert (frozen == frozen[0]).all()
        # One level in Y, U or V is up to five in RGB.
        assert np.abs(frozen[0].astype(int) - first).max() <= 5
        assert np.abs(frozen[0].astype(int) - first).mean() < 1


def test_streams_are_joined_across_sources(heads: list[Path], faces: list[Path], voices: list[Path]) -> None:
    head = heads[0]
    for face, path in zip(faces[::3], voices, strict=False):
        voice, rate = media.read_sound_file(path)
        clip = media.replace_sound(face, voice, rate=rate)
        for pictures, sound in ((head, clip), (clip, head), (clip, clip)):
            joined = media.join_streams(pictures, sound)
            frames, heard = media.decode_frames(joined).pixels, media.decode_sound(joined)
            np.testing.assert_array_equal(frames, media.decode_frames(pictures).pixels[: len(frames)])
            shared = min(len(heard), len(whole := media.decode_sound(sound)))
            np.testing.assert_array_equal(heard[:shared], whole[:shared])
            assert abs(len(frames) / 25 - len(heard) / 16_000) <= 0.04 + 0.064 + 1e-6
