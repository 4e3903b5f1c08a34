"""Synthetic clips: paths of affect, voice and face that express them, equal bytes for equal specifications."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.data.synthesis.affect import AffectCues, AffectPath, Speaker
from avemo_harness.data.synthesis.clips import ClipSpec, make_clip, make_sound_clip
from avemo_harness.data.synthesis.face import FPS, FaceVariation, draw_face
from avemo_harness.data.synthesis.voice import Speech, VoiceVariation, control_times, speak
from avemo_harness.recognizers.features.sound import sound_features

seeds = st.integers(0, 2**32 - 1)
emotions = st.sampled_from(EMOTIONS)
TIMES_S = np.arange(0, 3, 0.01)


def path_to(emotion: str, seed: int = 1) -> AffectPath:
    return AffectPath.draw(emotion, np.random.default_rng(seed))


@given(emotions, seeds, st.floats(0, 1))
def test_every_path_stays_on_the_unit_scale_and_starts_neutral(emotion: str, seed: int, intensity: float) -> None:
    affect = path_to(emotion, seed).at(TIMES_S, intensity)
    for track in (affect.valence, affect.arousal):
        assert track[0] == 0.5
        assert track.min() >= 0
        assert track.max() <= 1


@given(emotions, seeds, st.floats(0.05, 60))
def test_two_values_a_second_are_stored(emotion: str, seed: int, duration_s: float) -> None:
    affect = path_to(emotion, seed).rated(duration_s)
    assert len(affect.valence) == len(affect.arousal) == max(1, round(2 * duration_s))


@pytest.mark.parametrize(("emotion", "valence", "arousal"), [("happy", 1, 1), ("angry", -1, 1), ("sad", -1, -1)])
@given(seed=seeds)
def test_an_emotion_is_reached_within_a_second(emotion: str, valence: int, arousal: int, seed: int) -> None:
    affect = path_to(emotion, seed).at(TIMES_S)
    late = TIMES_S > 1
    assert (valence * (affect.valence[late] - 0.5) > 0.1).all()
    assert (arousal * (affect.arousal[late] - 0.5) > 0.05).all()


@pytest.mark.parametrize("emotion", ["joy", "anger", "sorrow"])
def test_each_corner_is_nearest_to_its_own_emotion(emotion: str) -> None:
    named = {"happy": "joy", "angry": "anger", "sad": "sorrow"}
    nearness = {
        named.get(label, label): getattr(AffectCues.of(path_to(label).at(TIMES_S)), emotion).mean()
        for label in EMOTIONS
    }
    assert max(nearness, key=lambda label: nearness[label]) == emotion


TEXT = "The blue box is on the kitchen table."
HABITS = VoiceVariation(level_db=0, pitch_semitones=0, brightness_db=0, tempo=1, liveliness=1, noise_db=-60)


def say(emotion: str, speaker: Speaker, habits: VoiceVariation = HABITS, seed: int = 3) -> Speech:
    path = AffectPath.draw(emotion, np.random.default_rng(seed))
    return speak(TEXT, speaker, path.at(control_times(2.4)), habits, np.random.default_rng(seed))


def level_db(speech: Speech) -> float:
    return float(10 * np.log10(np.mean(speech.samples**2)))


@pytest.fixture(scope="module", params=range(4))
def speaker(request: pytest.FixtureRequest) -> Speaker:
    return Speaker.draw("someone", request.param)


def test_sound_and_mouth_are_as_long_as_asked(speaker: Speaker) -> None:
    speech = say("neutral", speaker)
    assert speech.samples.shape == (38_400,)
    assert speech.opening.shape == (481,)


def test_samples_are_whole_16_bit_steps_within_full_scale(speaker: Speaker) -> None:
    steps = say("angry", speaker, replace(HABITS, level_db=12)).samples * np.float32(32767)
    assert np.abs(steps - steps.round()).max() < 0.01
    assert np.abs(steps).max() <= 32767


def test_the_mouth_is_closed_before_the_first_sound_and_opens_later(speaker: Speaker) -> None:
    opening = say("happy", speaker).opening
    assert (opening[:20] == 0).all()
    assert 0.4 < opening.max() <= 1


def test_speech_is_heard(speaker: Speaker) -> None:
    assert sound_features(say("neutral", speaker).samples).has_speech


def test_sadness_is_quieter_and_anger_louder(speaker: Speaker) -> None:
    levels = {emotion: level_db(say(emotion, speaker)) for emotion in ("sad", "neutral", "angry")}
    assert levels["sad"] < levels["neutral"] - 2
    assert levels["angry"] > levels["neutral"] + 2


def test_level_differs_between_recordings(speaker: Speaker) -> None:
    louder = say("neutral", speaker, replace(HABITS, level_db=6))
    assert level_db(louder) - level_db(say("neutral", speaker)) == pytest.approx(6, abs=1)


def test_a_text_without_vowels_is_still_spoken() -> None:
    path = AffectPath.draw("neutral", np.random.default_rng(0))
    affect = path.at(control_times(1.0))
    speech = speak("...", Speaker.draw("someone", 0), affect, HABITS, np.random.default_rng(0))
    assert speech.opening.max() > 0


FRAMES, SIDE = 40, 96


def draw(emotion: str, person: int = 0, seed: int = 5, intensity: float = 1.0) -> NDArray[np.int16]:
    """Frames of a face that keeps its mouth shut, int16 [T, H, W, 3]."""
    rng = np.random.default_rng(seed)
    habits = FaceVariation.draw(FRAMES, rng)
    affect = AffectPath.draw(emotion, rng).at(np.arange(FRAMES) / FPS, intensity)
    frames = draw_face(Speaker.draw("someone", person), affect, np.zeros(FRAMES), habits, SIDE)
    return np.stack(list(frames)).astype(np.int16)


@pytest.mark.parametrize("person", range(6))
def test_the_first_frame_is_the_same_whatever_the_emotion(person: int) -> None:
    first, *others = (draw(emotion, person)[0] for emotion in EMOTIONS)
    assert all((other == first).all() for other in others)


def test_later_frames_differ_between_emotions() -> None:
    last = [draw(emotion)[-1] for emotion in EMOTIONS]
    for i in range(4):
        for j in range(i):
            assert np.abs(last[i] - last[j]).max() > 60


def test_people_look_different() -> None:
    faces = [draw("neutral", person)[0] for person in range(8)]
    assert all(np.abs(faces[i] - faces[j]).mean() > 2 for i in range(8) for j in range(i))


def test_recordings_of_a_person_differ_in_framing_and_light() -> None:
    assert np.abs(draw("neutral", seed=1)[0] - draw("neutral", seed=2)[0]).mean() > 5


def test_an_open_mouth_is_seen() -> None:
    rng = np.random.default_rng(0)
    habits, affect = FaceVariation.draw(2, rng), AffectPath.draw("neutral", rng).at(np.zeros(2))
    shut, wide = draw_face(Speaker.draw("someone", 1), affect, np.array([0.0, 1.0]), habits, SIDE)
    changed = np.argwhere(np.abs(shut.astype(int) - wide).max(axis=2) > 60)
    assert len(changed) > 20
    assert np.median(changed[:, 0]) > SIDE // 2


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
