"""Late fusion of sound and face, and its logistic heads."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from avemo_harness.errors import UsageError
from avemo_harness.recognizers.features.builtin import ClipFeatures
from avemo_harness.recognizers.features.face import FaceFeatures
from avemo_harness.recognizers.features.sound import SoundFeatures
from avemo_harness.recognizers.heads.late_fusion import FusionRecognizer
from avemo_harness.recognizers.heads.logistic import (
    fit_logistic_head,
    group_folds,
    held_out_log_probabilities,
    log_softmax,
)


@pytest.mark.parametrize("n_labels", [2, 3, 4])
@pytest.mark.parametrize("strength", [0.001, 0.1])
def test_it_agrees_with_scikit_learns_log_probabilities(n_labels: int, strength: float) -> None:
    rng = np.random.default_rng(n_labels)
    labels = np.arange(60) % n_labels
    values = rng.normal(5, 3, (60, 20)) + labels[:, None] * rng.normal(0, 1, 20)
    head = fit_logistic_head(values, labels, strength)
    reference = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=10_000)).fit(values, labels)
    unseen = rng.normal(5, 6, (50, 20))
    np.testing.assert_allclose(head.log_probabilities(unseen), reference.predict_log_proba(unseen), atol=1e-6)


def test_a_value_that_never_varies_is_harmless() -> None:
    values = np.column_stack([np.arange(8.0), np.full(8, 1e6)])
    head = fit_logistic_head(values, np.arange(8) % 2, 1.0)
    assert np.isfinite(head.log_probabilities(values)).all()


def test_probabilities_of_huge_scores_do_not_overflow() -> None:
    np.testing.assert_allclose(log_softmax(np.array([1e6, 0.0])), [0.0, -1e6])


LABELS = ("angry", "happy", "neutral", "sad")
VOICES, FACES = np.random.default_rng(1).normal(0, 1, (4, 12)), np.random.default_rng(2).normal(0, 1, (4, 20))


def clip_of(label: int, rng: np.random.Generator, *, voice: float = 0.6, face: float = 0.6) -> ClipFeatures:
    """Features whose classes are ``voice`` and ``face`` standard deviations apart in every value."""
    heard = voice * VOICES[label] + rng.normal(0, 1, 12)
    seen = face * FACES[label] + rng.normal(0, 1, 20)
    return ClipFeatures(SoundFeatures(heard, voiced_share=0.3), FaceFeatures(seen, motion=60.0))


def corpus(n: int, seed: int, **strengths: float) -> tuple[list[ClipFeatures], list[str], list[str]]:
    """Clips, labels and speakers: six speakers, four balanced labels."""
    rng = np.random.default_rng(seed)
    clips = [clip_of(i % 4, rng, **strengths) for i in range(n)]
    return clips, [LABELS[i % 4] for i in range(n)], [f"speaker {i // 4 % 6}" for i in range(n)]


def accuracy(recognizer: FusionRecognizer, clips: list[ClipFeatures], labels: list[str]) -> float:
    answers = [recognizer.labels[recognizer.log_probabilities(clip.sound, clip.face).argmax()] for clip in clips]
    return float(np.mean([answer == label for answer, label in zip(answers, labels, strict=True)]))


def hushed(clips: list[ClipFeatures]) -> list[ClipFeatures]:
    return [ClipFeatures(None, clip.face) for clip in clips]


def blinded(clips: list[ClipFeatures]) -> list[ClipFeatures]:
    return [ClipFeatures(clip.sound, None) for clip in clips]


@pytest.fixture(scope="module")
def recognizer() -> FusionRecognizer:
    return FusionRecognizer.fit(*corpus(120, seed=0), seed=0)


def test_both_streams_together_beat_either_alone(recognizer: FusionRecognizer) -> None:
    clips, labels, _ = corpus(400, seed=9)
    alone = [accuracy(recognizer, blinded(clips), labels), accuracy(recognizer, hushed(clips), labels)]
    assert min(alone) > 0.5
    assert accuracy(recognizer, clips, labels) > max(alone) + 0.05


@pytest.mark.parametrize("useless", ["voice", "face"])
def test_a_stream_of_pure_noise_hardly_harms(useless: str) -> None:
    recognizer = FusionRecognizer.fit(*corpus(120, seed=3, **{useless: 0.0}), seed=0)
    clips, labels, _ = corpus(400, seed=4, **{useless: 0.0})
    useful = hushed(clips) if useless == "voice" else blinded(clips)
    assert accuracy(recognizer, clips, labels) >= accuracy(recognizer, useful, labels) - 0.03


def test_the_weights_make_the_probabilities_honest(recognizer: FusionRecognizer) -> None:
    clips, labels, _ = corpus(800, seed=5)
    for tested in (clips, blinded(clips), hushed(clips)):
        chances = [np.exp(recognizer.log_probabilities(clip.sound, clip.face)).max() for clip in tested]
        assert np.mean(chances) == pytest.approx(accuracy(recognizer, tested, labels), abs=0.08)


def test_log_probabilities_are_those_of_a_distribution(recognizer: FusionRecognizer) -> None:
    for clip in corpus(8, seed=6)[0]:
        given = recognizer.log_probabilities(clip.sound, clip.face)
        assert given.shape == (4,)
        assert np.exp(given).sum() == pytest.approx(1.0)


def test_with_nothing_to_go_by_the_answer_is_the_prior() -> None:
    clips, labels, groups = corpus(96, seed=7)
    kept = [row for row, label in enumerate(labels) if label != "sad" or row % 8 == 3]
    part = FusionRecognizer.fit([clips[i] for i in kept], [labels[i] for i in kept], [groups[i] for i in kept], seed=0)
    expected = np.log([2 / 7, 2 / 7, 2 / 7, 1 / 7])
    np.testing.assert_allclose(part.log_probabilities(None, None), expected, atol=1e-12)


def test_noise_and_a_frozen_face_count_as_missing(recognizer: FusionRecognizer) -> None:
    clip = corpus(1, seed=8)[0][0]
    assert clip.sound is not None
    assert clip.face is not None
    noise, still = SoundFeatures(clip.sound.values, voiced_share=0.0), FaceFeatures(clip.face.values, motion=2.0)
    expect = recognizer.log_probabilities
    np.testing.assert_array_equal(expect(noise, clip.face), expect(None, clip.face))
    np.testing.assert_array_equal(expect(clip.sound, still), expect(clip.sound, None))
    np.testing.assert_array_equal(expect(noise, still), expect(None, None))


def test_each_stream_is_learnt_from_the_clips_that_have_it() -> None:
    clips, labels, groups = corpus(144, seed=10)
    mixed = [clip if i % 3 else [blinded, hushed][i % 2]([clip])[0] for i, clip in enumerate(clips)]
    recognizer = FusionRecognizer.fit(mixed, labels, groups, seed=0)
    tested, truth, _ = corpus(200, seed=11)
    assert accuracy(recognizer, tested, truth) > 0.7


def test_a_corpus_of_voices_gives_a_recogniser_of_voices() -> None:
    clips, labels, groups = corpus(96, seed=12)
    recognizer = FusionRecognizer.fit(blinded(clips), labels, groups, seed=0)
    assert recognizer.face is None
    clip = clips[0]
    np.testing.assert_array_equal(
        recognizer.log_probabilities(clip.sound, clip.face), recognizer.log_probabilities(clip.sound, None)
    )


def test_fitting_again_gives_the_same_digest_and_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one, same, other = (FusionRecognizer.fit(*corpus(96, seed=data), seed=0) for data in (13, 13, 14))
    assert one.digest() == same.digest()
    assert one.digest() != other.digest()


def test_saving_and_loading_keeps_every_bit(recognizer: FusionRecognizer, tmp_path: Path) -> None:
    path = tmp_path / "recognizer.safetensors"
    recognizer.save(path)
    loaded = FusionRecognizer.load(path)
    assert loaded.labels == LABELS
    assert loaded.digest() == recognizer.digest()
    for clip in corpus(8, seed=15)[0]:
        np.testing.assert_array_equal(
            loaded.log_probabilities(clip.sound, clip.face), recognizer.log_probabilities(clip.sound, clip.face)
        )


def test_a_recogniser_of_one_stream_survives_the_disk(tmp_path: Path) -> None:
    clips, labels, groups = corpus(96, seed=16)
    voices = FusionRecognizer.fit(blinded(clips), labels, groups, seed=0)
    voices.save(tmp_path / "voices.safetensors")
    loaded = FusionRecognizer.load(tmp_path / "voices.safetensors")
    assert loaded.face is None
    assert loaded.digest() == voices.digest()


def test_a_file_that_is_no_recogniser_is_refused_by_name(recognizer: FusionRecognizer, tmp_path: Path) -> None:
    path = tmp_path / "recognizer.safetensors"
    with pytest.raises(UsageError, match=r"recognizer\.safetensors"):
        FusionRecognizer.load(path)
    recognizer.save(path)
    data = path.read_bytes()
    for damaged in (b"", data[:100], data[:-8], data.replace(b"recognizer-1", b"recognizer-0")):
        path.write_bytes(damaged)
        with pytest.raises(UsageError, match=r"recognizer\.safetensors"):
            FusionRecognizer.load(path)


def test_labels_of_another_length_are_refused() -> None:
    clips, labels, groups = corpus(24, seed=17)
    with pytest.raises(UsageError, match="found 23 labels"):
        FusionRecognizer.fit(clips, labels[:-1], groups, seed=0)


def test_a_stream_of_one_person_is_not_trusted() -> None:
    clips, labels, groups = corpus(96, seed=21, face=3.0)
    recognizer = FusionRecognizer.fit(clips, labels, groups, faces=["the same"] * 96, seed=0)
    assert recognizer.face is None
    assert recognizer.sound is not None


@pytest.mark.parametrize(("lacking", "other"), [("sound", "face"), ("face", "sound")])
def test_a_stream_that_shows_only_some_labels_is_left_out(lacking: str, other: str) -> None:
    clips, labels, groups = corpus(96, seed=22)
    mute = {"sound": hushed, "face": blinded}[lacking]
    mixed = [mute([clip])[0] if label != "happy" else clip for clip, label in zip(clips, labels, strict=True)]
    recognizer = FusionRecognizer.fit(mixed, labels, groups, seed=0)
    assert getattr(recognizer, lacking) is None
    assert getattr(recognizer, other) is not None
    assert accuracy(recognizer, clips, labels) > 0.5


def test_clips_of_one_stream_each_teach_both() -> None:
    clips, labels, groups = corpus(144, seed=23)
    apart = [(hushed, blinded)[i // 4 % 2]([clip])[0] for i, clip in enumerate(clips)]
    recognizer = FusionRecognizer.fit(apart, labels, groups, seed=0)
    tested, truth, _ = corpus(200, seed=24)
    for shown in (tested, hushed(tested), blinded(tested)):
        assert accuracy(recognizer, shown, truth) > 0.4


def test_one_label_or_one_speaker_cannot_be_learnt_from() -> None:
    clips, labels, groups = corpus(24, seed=18)
    with pytest.raises(UsageError, match="at least two labels"):
        FusionRecognizer.fit(clips, ["sad"] * 24, groups, seed=0)
    with pytest.raises(UsageError, match="at least two speakers"):
        FusionRecognizer.fit(clips, labels, ["ann"] * 24, seed=0)


def test_clips_that_tell_nothing_cannot_be_learnt_from() -> None:
    _, labels, groups = corpus(24, seed=19)
    with pytest.raises(UsageError, match="found none"):
        FusionRecognizer.fit([ClipFeatures(None, None)] * 24, labels, groups, seed=0)


def test_folds_never_split_a_speaker_and_depend_on_the_seed_only() -> None:
    groups = [f"speaker {i * 7 % 20}" for i in range(100)]
    folds = group_folds(groups, seed=1)
    assert len(set(zip(groups, folds.tolist(), strict=True))) == 20
    assert np.bincount(folds).tolist() == [15, 15, 15, 15, 10, 10, 10, 10]
    np.testing.assert_array_equal(folds[::-1], group_folds(groups[::-1], seed=1))
    assert folds.tolist() != group_folds(groups, seed=2).tolist()


def test_held_out_predictions_do_not_see_their_own_speaker() -> None:
    rng = np.random.default_rng(20)
    truth = rng.permutation(np.arange(40) % 2).astype(np.intp)
    folds = (np.arange(40) // 10).astype(np.intp)
    known_by_heart = np.eye(40)
    predicted = held_out_log_probabilities(known_by_heart, truth, folds, ["a", "b"], 100.0)
    assert np.exp(predicted).max() < 0.75
