"""The face: it starts neutral, then shows the emotion, and differs between people and recordings."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.data.synthesis.affect import AffectPath, Speaker
from avemo_harness.data.synthesis.face import FPS, FaceVariation, draw_face

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


def test_no_intensity_shows_no_emotion() -> None:
    assert (draw("angry", intensity=0.0) == draw("happy", intensity=0.0)).all()


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
