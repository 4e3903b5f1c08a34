"""The judge that turns posteriors of published label models into valence and arousal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.clips import melody
from support.tiny_extractors import RATE, SIDE, face, moving_face, voice
from support.tiny_judges import FOUR, audio_classifier, change_config, image_classifier

from avemo_harness import media
from avemo_harness.errors import RecognitionError, UsageError
from avemo_harness.recognizers.anchors import ANCHORS
from avemo_harness.recognizers.features import speech
from avemo_harness.recognizers.judging import JudgeSetup, TrajectoryJudge, judge_modalities, open_judge
from avemo_harness.torch_setup import import_transformers

SEVEN = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
VOICE_EMOTIONS = ("neutral", "happy", "angry", "sad")


@pytest.fixture(scope="module")
def sound_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return audio_classifier(tmp_path_factory.mktemp("sound"))


@pytest.fixture(scope="module")
def face_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return image_classifier(tmp_path_factory.mktemp("face"), SEVEN)


def judge_of(spec: str, tmp_path: Path) -> TrajectoryJudge:
    return open_judge(spec, JudgeSetup(lambda: pytest.fail("the demo is not needed"), tmp_path))


def expected_places(logits: NDArray[np.float64], emotions: Sequence[str]) -> NDArray[np.float64]:
    """Valence and arousal expected under the posteriors, (rows, 2)."""
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return sum(shares[:, [column]] * np.array(ANCHORS[emotion]) for column, emotion in enumerate(emotions))


def voice_places(folder: Path, sound: NDArray[np.float32]) -> NDArray[np.float64]:
    import torch

    transformers = import_transformers()
    model = transformers.Wav2Vec2ForSequenceClassification.from_pretrained(folder).eval()
    inputs = transformers.AutoFeatureExtractor.from_pretrained(folder)(sound, sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        return expected_places(model(**inputs).logits.numpy().astype(np.float64), VOICE_EMOTIONS)


def face_places(folder: Path, clip: bytes) -> NDArray[np.float64]:
    """Of each frame, four a second."""
    import torch

    pixels = media.decode_frames(clip, fps=4, size=(SIDE, SIDE)).pixels
    values = (pixels / 255 - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]
    model = import_transformers().ViTForImageClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        logits = model(torch.from_numpy(values.transpose(0, 3, 1, 2)).float()).logits
    return expected_places(logits.numpy().astype(np.float64), SEVEN)


def test_posteriors_of_a_voice_become_the_places_of_its_labels(sound_model: Path, tmp_path: Path) -> None:
    streams = voice(melody(2.0))
    found = judge_of(f"labels:sound={sound_model}", tmp_path).trajectory(streams, "audio")
    assert (found.columns, found.scale, found.rate_hz) == (("valence", "arousal"), "unit", 2.0)
    expected = voice_places(sound_model, speech.recording_sound(streams, ""))
    np.testing.assert_allclose(found.values, np.tile(expected, (4, 1)), atol=1e-5)
    assert not np.allclose(expected, np.mean([ANCHORS[one] for one in VOICE_EMOTIONS], axis=0), atol=0.01)


def test_a_long_voice_is_followed_by_the_three_seconds_around_each_half_second(
    sound_model: Path, tmp_path: Path
) -> None:
    sound = melody(20.0)
    found = judge_of(f"labels:sound={sound_model}", tmp_path).trajectory(voice(sound), "audio")
    assert len(found) == 40
    # Row 11 is at 5.75 s: from 4.25 to 7.25 s.
    expected = voice_places(sound_model, speech.recording_sound(voice(sound[68_000:116_000]), ""))
    np.testing.assert_allclose(found.values[11], expected[0], atol=1e-4)


def test_a_face_is_judged_by_two_frames_of_each_half_second_and_both_by_the_mean(
    sound_model: Path, face_model: Path, tmp_path: Path
) -> None:
    judge = judge_of(f"labels:sound={sound_model},face={face_model}", tmp_path)
    assert judge_modalities(judge) == {"audio", "video"}
    streams = face(moving_face(2.0), melody(2.0))
    assert streams.face is not None
    seen = judge.trajectory(streams, "video").values
    expected = face_places(face_model, streams.face.read()).reshape(4, 2, 2).mean(axis=1)
    np.testing.assert_allclose(seen, expected, atol=1e-4)
    assert np.ptp(expected, axis=0).min() > 1e-4
    heard, both = (judge.trajectory(streams, view).values for view in ("audio", "both"))
    assert not np.allclose(heard, seen, atol=0.01)
    np.testing.assert_allclose(both, (heard + seen) / 2, atol=1e-6)


def test_without_a_face_model_users_are_heard_by_voice_alone(sound_model: Path, tmp_path: Path) -> None:
    judge = judge_of(f"labels:sound={sound_model}", tmp_path)
    assert judge_modalities(judge) == {"audio"}
    streams = face(moving_face(1.0), melody(1.0))
    assert np.array_equal(judge.trajectory(streams, "both").values, judge.trajectory(streams, "audio").values)
    with pytest.raises(RecognitionError, match="no `face=` was given"):
        judge.trajectory(streams, "video")


def test_the_card_shows_how_each_label_is_read_and_where_it_lies(
    sound_model: Path, face_model: Path, tmp_path: Path
) -> None:
    lines = judge_of(f"labels:sound={sound_model},face={face_model}", tmp_path).card_values["lines"]
    assert "labels of the voice: neu = neutral, hap = happy, ang = angry, sad" in lines
    assert "labels of the face: angry, disgust, fear, happy, neutral, sad, surprise" in lines
    (places,) = [line for line in lines if line.startswith("anchors, not ratings (valence/arousal): ")]
    assert "happy 0.875/0.75" in places
    assert "contempt" not in places
    assert "hears sound and sees faces: users are judged by both, replies by sound" in lines


def test_anchors_are_replaced_and_belong_to_the_identity(sound_model: Path, tmp_path: Path) -> None:
    streams = voice(melody(1.0))
    usual = judge_of(f"labels:sound={sound_model}", tmp_path)
    spec = f"labels:sound={sound_model},anchors=neutral=0.1/0.9+happy=0.1/0.9+angry=0.1/0.9+sad=0.1/0.9"
    moved = judge_of(spec, tmp_path)
    np.testing.assert_allclose(moved.trajectory(streams, "audio").values, [[0.1, 0.9]] * 2, atol=1e-6)
    assert usual.identity() != moved.identity()
    with pytest.raises(UsageError, match="no emotion 'joyous'"):
        judge_of(f"labels:sound={sound_model},anchors=joyous=0.1/0.9", tmp_path)
    # A place of an emotion that no label is read as decides nothing.
    same = judge_of(f"labels:sound={sound_model},anchors=contempt=0.1/0.9", tmp_path)
    assert same.identity() == usual.identity()


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            ("neu", "hap", "ang", "bored"),
            r"no emotion is known by the label 'bored' \(its labels: neu, hap, ang, bored\)",
        ),
        (("LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3"), "no emotion is known by the label 'LABEL_0'"),
        (("neutral", "happy", "angry", "fear"), r"none of its labels \(.*\) is sad"),
    ],
)
def test_a_label_that_is_not_known_and_an_emotion_that_is_not_told_are_refused(
    labels: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    folder = audio_classifier(tmp_path / "model", labels)
    with pytest.raises(UsageError, match=said) as refusal:
        judge_of(f"labels:sound={folder}", tmp_path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("settings", [{"problem_type": "regression"}, {"id2label": None}, {"id2label": {"a": "sad"}}])
def test_something_else_than_a_classifier_is_refused(settings: dict[str, object], tmp_path: Path) -> None:
    folder = change_config(audio_classifier(tmp_path / "model"), **settings)
    with pytest.raises(UsageError, match="not a classifier of single labels"):
        judge_of(f"labels:sound={folder}", tmp_path)


def test_a_revision_of_a_face_model_that_is_not_given_is_refused(sound_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no `face=` was given"):
        judge_of(f"labels:sound={sound_model},face_revision=main", tmp_path)


def test_a_classifier_of_the_other_stream_is_refused_before_anything_is_judged(
    sound_model: Path, face_model: Path, tmp_path: Path
) -> None:
    for given, key in ((f"sound={face_model}", "sound"), (f"sound={sound_model},face={sound_model}", "face")):
        with pytest.raises(UsageError, match=f"Classification cannot be given as `{key}`"):
            judge_of(f"labels:{given}", tmp_path)


def test_the_order_of_the_labels_is_obeyed(sound_model: Path, tmp_path: Path) -> None:
    other = audio_classifier(tmp_path / "other", FOUR[::-1])
    streams = voice(melody(1.0))
    usual, turned = (
        judge_of(f"labels:sound={folder}", tmp_path).trajectory(streams, "audio").values
        for folder in (sound_model, other)
    )
    assert not np.allclose(usual, turned, atol=0.01)


def test_outputs_that_are_no_numbers_are_the_error_of_the_recording(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = audio_classifier(tmp_path / "model") / "model.safetensors"
    weights = load_file(path)
    weights["classifier.bias"][:] = np.nan
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(RecognitionError, match=r"judge labels: .* found valence = nan at step 0"):
        judge_of(f"labels:sound={tmp_path / 'model'}", tmp_path).trajectory(voice(melody(1.0)), "audio")


def test_both_checkpoints_and_the_crop_belong_to_the_identity(
    sound_model: Path, face_model: Path, tmp_path: Path
) -> None:
    given = (
        f"sound={sound_model}",
        f"sound={sound_model},face={face_model}",
        f"sound={sound_model},face={face_model},crop=whole",
        f"sound={audio_classifier(tmp_path / 'other', seed=1)},face={face_model}",
    )
    identities = [json.dumps(dict(judge_of(f"labels:{one}", tmp_path).identity())) for one in given]
    assert len(set(identities)) == len(given)
