"""Generated clips: exact lengths, equal bytes for equal specifications, and two separate intensities."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from avemo_harness import media
from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.data.synthesis.affect import Speaker
from avemo_harness.data.synthesis.clips import ClipSpec, make_clip, make_sound_clip

SPEC = ClipSpec("I saw the letter.", Speaker.draw("someone", 2), "happy", 26, 0.8, 0.8, seed=11, side=96)
PRINT_DIGEST = """
import hashlib
from avemo_harness.data.synthesis.clips import ClipSpec, make_clip
from avemo_harness.data.synthesis.affect import Speaker
spec = ClipSpec("I saw the letter.", Speaker.draw("someone", 2), "happy", 26, 0.8, 0.8, seed=11, side=96)
print(hashlib.sha256(make_clip(spec)).hexdigest())
"""


def test_a_clip_is_exactly_as_long_as_specified() -> None:
    info = media.probe(make_clip(SPEC))
    assert info.video is not None
    assert (info.video.frames, info.video.width, info.video.fps) == (26, 96, 25)
    assert len(media.decode_sound(make_clip(SPEC))) == pytest.approx(26 * 640, abs=1024)


def test_a_sound_clip_has_the_sound_of_the_clip_and_no_video() -> None:
    sound = make_sound_clip(SPEC)
    assert media.probe(sound).video is None
    assert media.packet_digests(sound).sound == media.packet_digests(make_clip(SPEC)).sound


def test_equal_specifications_give_equal_bytes() -> None:
    assert make_clip(SPEC) == make_clip(replace(SPEC))


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_another_process_gives_the_same_bytes(hash_seed: str) -> None:
    environment = {
        **os.environ,
        "PYTHONHASHSEED": hash_seed,
        "TZ": "Asia/Tokyo",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, "-c", PRINT_DIGEST], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == hashlib.sha256(make_clip(SPEC)).hexdigest()


@pytest.mark.parametrize("change", [{"seed": 12}, {"emotion": "sad"}, {"text": "Where is it?"}, {"frames": 27}])
def test_everything_that_is_specified_shows(change: dict[str, object]) -> None:
    assert make_clip(replace(SPEC, **change)) != make_clip(SPEC)


def test_the_intensity_of_the_face_leaves_the_voice_alone() -> None:
    plain, strong = (media.packet_digests(make_clip(replace(SPEC, video_intensity=level))) for level in (0.0, 1.0))
    assert plain.sound == strong.sound
    assert plain.video != strong.video


def test_without_intensity_all_emotions_are_the_same_clip() -> None:
    clips = {
        make_clip(replace(SPEC, emotion=emotion, audio_intensity=0.0, video_intensity=0.0)) for emotion in EMOTIONS
    }
    assert len(clips) == 1
