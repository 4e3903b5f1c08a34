"""Streams of clips: decoded once for every condition and extractor that looks at them, to the same features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import make_clip

from avemo_harness import media
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Clip
from avemo_harness.errors import MediaError
from avemo_harness.recognizers.features.builtin import BuiltinFace, BuiltinSound, clip_features, recording_features
from avemo_harness.recognizers.features.streams import described_face, described_sound, face_squares, sound_samples
from avemo_harness.recognizers.recordings import Recording


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the functions that decode, a name a call."""
    calls: list[str] = []

    def counting(name: str) -> Callable[..., Any]:
        plain = getattr(media, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            calls.append(name)
            return plain(*arguments, **options)

        return counted

    for name in ("decode_frames", "decode_sound"):
        monkeypatch.setattr(media, name, counting(name))
    return calls


def test_conditions_of_a_clip_are_described_as_if_each_was_decoded(tmp_path: Path) -> None:
    conditions = ConditionCache(tmp_path)
    clip, other = (Clip.from_bytes(make_clip(seconds, seed)) for seconds, seed in ((1.2, 71), (1.0, 72)))
    shown = [clip, conditions.audio_only(clip), conditions.video_only(clip), conditions.conflict(other, clip)]
    for one in shown:
        found, expected = recording_features(Recording.of(one), "both"), clip_features(one.read())
        assert found.sound is not None
        assert expected.sound is not None
        assert found.face is not None
        assert expected.face is not None
        assert found.sound.values.tobytes() == expected.sound.values.tobytes()
        assert found.face.values.tobytes() == expected.face.values.tobytes()
        assert found.face.motion == expected.face.motion


def test_a_stream_is_decoded_once_for_all_conditions_and_extractors(decoded: list[str], tmp_path: Path) -> None:
    conditions = ConditionCache(tmp_path)
    clip = Clip.from_bytes(make_clip(1.2, seed=73))
    recording = Recording.of(clip)
    recording_features(recording, "both")
    assert sorted(decoded) == ["decode_frames", "decode_sound"]
    BuiltinFace().extract(recording, 2, "both")
    BuiltinSound().extract(recording, 2, "both")
    described_sound(conditions.audio_only(clip))
    described_face(conditions.video_only(clip))
    assert sorted(decoded) == ["decode_frames", "decode_sound"]


def test_streams_that_differ_are_told_apart(tmp_path: Path) -> None:
    conditions = ConditionCache(tmp_path)
    clip = Clip.from_bytes(make_clip(1.2, seed=74))
    still, noisy = conditions.audio_only(clip), conditions.video_only(clip)
    squares = [face_squares(one) for one in (clip, still, noisy)]
    assert all(one is not None for one in squares)
    assert [np.array_equal(squares[0], one) for one in squares] == [True, False, True]
    assert [np.array_equal(sound_samples(clip), sound_samples(one)) for one in (still, noisy)] == [True, False]


def test_a_clip_without_a_stream_has_no_features_of_it() -> None:
    silent = Clip.from_bytes(media.remove_sound(make_clip(1.0, seed=75)))
    heard = Clip.from_bytes(media.encode_sound(media.decode_sound(make_clip(1.0, seed=75))))
    assert face_squares(heard) is described_face(heard) is None
    with pytest.raises(MediaError, match="it has no sound"):
        described_sound(silent)
