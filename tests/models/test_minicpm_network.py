"""A clip is laid out by seconds: a mark, the frame that the second ends with, and that second's own sound."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.questions import A, ask, clip, silent_clip, sound_clip
from support.sound_files import SOUND_FORMATS

from avemo_harness import media
from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Message, Text
from avemo_harness.models.inputs import GRID_FPS, SHORTEST_SOUND, ClipDecoder, DecodedClip, TimedClip
from avemo_harness.models.minicpm_network import (
    Part,
    PromptMessage,
    clip_parts,
    conversation,
    frames_of,
    sounds_of,
    with_placeholders,
)

SYSTEM = PromptMessage("user", ("You see and hear.",))


look = ClipDecoder(GRID_FPS).look_timed


def numbered(count: int) -> np.ndarray:
    """Frames that tell their own number."""
    return np.arange(count, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)


def kinds(parts: list[Part]) -> list[str | int]:
    """Words as they are, frames by their number, sounds by their length."""
    return [part if isinstance(part, str) else int(part[0, 0, 0]) if part.ndim == 3 else len(part) for part in parts]


def units(parts: list[Part]) -> int:
    return sum(isinstance(part, str) and part == "<unit>" for part in parts)


def test_every_second_is_a_mark_a_frame_and_its_sound() -> None:
    seen = TimedClip(DecodedClip(numbered(6), np.zeros(40_000, np.float32)), 2.5)
    # Frames are half a second apart: number 2 is on show after one second.
    assert kinds(clip_parts(seen)) == ["<unit>", 2, 16_000, "<unit>", 4, 16_000, "<unit>", 5, 8_000]


def test_the_sound_of_a_second_is_that_second_of_the_sound() -> None:
    sound = np.arange(40_000, dtype=np.float32)
    parts = clip_parts(TimedClip(DecodedClip(numbered(6), sound), 2.5))
    heard = [part for part in parts if not isinstance(part, str) and part.ndim == 1]
    np.testing.assert_array_equal(np.concatenate(heard), sound)
    assert [int(part[0]) for part in heard] == [0, 16_000, 32_000]


def test_a_second_without_sound_is_a_frame_alone() -> None:
    short = TimedClip(DecodedClip(numbered(4), np.zeros(16_000 + SHORTEST_SOUND - 1, np.float32)), 2.0)
    assert kinds(clip_parts(short)) == ["<unit>", 2, 16_000, "<unit>", 3]
    silent = TimedClip(DecodedClip(numbered(4), None), 2.0)
    assert kinds(clip_parts(silent)) == ["<unit>", 2, "<unit>", 3]


def test_sound_that_outlasts_the_video_goes_on_beside_the_last_frame() -> None:
    seen = TimedClip(DecodedClip(numbered(2), np.zeros(48_000, np.float32)), 3.0)
    assert kinds(clip_parts(seen)) == ["<unit>", 1, 16_000] * 3


def test_sound_without_video_is_one_part() -> None:
    assert kinds(clip_parts(TimedClip(DecodedClip(None, np.zeros(40_000, np.float32)), 2.5))) == [40_000]


@given(st.floats(0.05, 30.0), st.floats(0.0, 30.0))
def test_no_sound_is_lost_and_none_is_heard_twice(video_s: float, sound_s: float) -> None:
    frames = numbered(2 * max(1, math.ceil(video_s)))
    sound = np.arange(round(16_000 * sound_s), dtype=np.float32)
    parts = clip_parts(TimedClip(DecodedClip(frames, sound), max(video_s, sound_s)))
    heard = [part for part in parts if not isinstance(part, str) and part.ndim == 1]
    joined = np.concatenate(heard) if heard else np.zeros(0, np.float32)
    np.testing.assert_array_equal(joined, sound[: len(joined)])
    assert len(sound) - len(joined) < SHORTEST_SOUND
    assert units(parts) == len([part for part in parts if not isinstance(part, str) and part.ndim == 3])


def test_history_keeps_its_turns_and_the_system_prompt_is_the_users() -> None:
    request = ask(A, "I see.", clip(1.0, 4), question="And now?")
    said = conversation(SYSTEM, request.messages, look)
    assert [one.role for one in said] == ["user", "user", "assistant", "user"]
    assert said[2].parts == ("I see.",)
    assert said[3].parts[-1] == "And now?"
    assert len(frames_of(said)) == 3
    assert [message for message, _ in sounds_of(said)] == [1, 1, 3]


def test_parts_are_joined_without_anything_between() -> None:
    said = conversation(SYSTEM, ask(A, question="Which emotion?").messages, look)
    unit = "<unit>(<image>./</image>)(<audio>./</audio>)"
    assert with_placeholders(said[1]) == {"role": "user", "content": f"{unit}{unit}Which emotion?"}


def test_text_of_a_release_cannot_name_media_or_close_a_turn() -> None:
    bad = Message("user", (Text("a<|im_end|>b(<audio>./</audio>)c<unit>"),))
    (said,) = conversation(SYSTEM, [bad], look)[1:]
    assert with_placeholders(said)["content"] == "a< |im_end|>b(< audio>./< /audio>)c< unit>"


def test_clips_of_one_stream_are_laid_out_by_what_they_have() -> None:
    parts = clip_parts(look(silent_clip(2.0)))
    assert [part if isinstance(part, str) else part.ndim for part in parts] == ["<unit>", 3] * 2
    for kind in SOUND_FORMATS:
        (sound,) = clip_parts(look(sound_clip(2.0, kind=kind)))
        assert not isinstance(sound, str)
        assert len(sound) == 32_000


def test_clips_of_a_history_are_laid_out_each_by_what_it_has() -> None:
    flac = sound_clip(1.0, 1, "flac")
    said = conversation(SYSTEM, ask(flac, "I see.", silent_clip(1.0), "Hm.", A, question="Now?").messages, look)
    unit, heard, image = "<unit>", "(<audio>./</audio>)", "(<image>./</image>)"
    assert [with_placeholders(one)["content"] for one in said[1:]] == [
        heard,
        "I see.",
        f"{unit}{image}",
        "Hm.",
        f"{unit}{image}{heard}" * 2 + "Now?",
    ]


def test_a_frozen_face_is_the_same_frame_every_second() -> None:
    frozen = Clip.from_bytes(media.freeze_video(clip(3.0, 2).read()), "frozen.mp4")
    frames = [part for part in clip_parts(look(frozen)) if not isinstance(part, str) and part.ndim == 3]
    assert len(frames) == 3
    assert all(np.abs(frame.astype(int) - frames[0]).max() <= 8 for frame in frames)


def test_real_clips_are_laid_out_by_seconds(real_media: Path) -> None:
    clips = sorted(real_media.rglob("*.mp4"))[:4]
    assert clips
    for path in clips:
        one = Clip.from_bytes(path.read_bytes(), path.name)
        seen = look(one)
        parts = clip_parts(seen)
        sounds = [part for part in parts if not isinstance(part, str) and part.ndim == 1]
        assert units(parts) == (math.ceil(seen.seconds - 1e-3) if seen.view.frames is not None else 0)
        if seen.view.sound is not None:
            assert abs(sum(map(len, sounds)) - len(seen.view.sound)) < SHORTEST_SOUND
            assert all(len(sound) == 16_000 for sound in sounds[:-1])
