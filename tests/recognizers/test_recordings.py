"""Streams of a recording, and splits of a corpus by group."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clips import make_clip, melody
from support.planted_features import planted_corpus, planted_recording

from avemo_harness import media
from avemo_harness.benchmark.release import Clip
from avemo_harness.errors import MediaError, UsageError
from avemo_harness.recognizers.recordings import (
    Fold,
    RatedRecording,
    Recording,
    official_fold,
    subject_wise_folds,
    training_fold,
)


def test_a_clip_with_both_streams_can_be_shown_whole_or_either_way() -> None:
    clip = Clip.from_bytes(make_clip(1.2, seed=1))
    streams = Recording.of(clip)
    assert (streams.sound, streams.face) == (clip, clip)
    assert streams.views == ("both", "audio", "video")
    assert streams.duration_s == pytest.approx(1.2, abs=0.05)


def test_a_recording_of_sound_alone_can_only_be_heard() -> None:
    streams = Recording.of(Clip.from_bytes(media.encode_sound(melody(1.0, seed=2), 16_000)))
    assert streams.face is None
    assert streams.views == ("audio",)
    assert Recording(None, streams.sound, 1.0).views == ("video",)
    assert Recording(None, None, 1.0).views == ()


def test_what_is_no_recording_is_an_error() -> None:
    with pytest.raises(MediaError):
        Recording.of(Clip.from_bytes(np.arange(64, dtype=np.uint8).tobytes()))


ONE = planted_recording("one", "ann", seed=1)


def recordings(groups: list[str]) -> list[RatedRecording]:
    return [replace(ONE, recording_id=str(i), group=group) for i, group in enumerate(groups)]


def groups_of(fold: Fold) -> list[set[str]]:
    return [{one.group for one in part} for part in (fold.training, fold.validation, fold.test)]


@settings(max_examples=40)
@given(st.lists(st.sampled_from("abcdefgh"), min_size=3, max_size=30), st.integers(2, 6), st.integers(0, 9))
def test_every_recording_is_evaluated_once_by_folds_that_keep_groups_apart(
    groups: list[str], count: int, seed: int
) -> None:
    rated = recordings(groups)
    if len(set(groups)) < 3:
        with pytest.raises(UsageError, match="at least three speakers"):
            subject_wise_folds(rated, count, seed)
        return
    folds = subject_wise_folds(rated, count, seed)
    assert len(folds) == (3 if len(set(groups)) == 3 else min(count, len(set(groups))))
    assert sorted(one.recording_id for fold in folds for one in fold.test) == sorted(one.recording_id for one in rated)
    for fold in folds:
        training, validation, test = groups_of(fold)
        assert training
        assert validation
        assert not (training & validation) | (training & test) | (validation & test)


def test_a_corpus_with_three_parts_is_used_as_it_says() -> None:
    rated = planted_corpus(8, parts=("train", "train", "validation", "test"))
    fold = official_fold(rated, seed=0)
    assert groups_of(fold) == [{"s0", "s1", "s4", "s5"}, {"s2", "s6"}, {"s3", "s7"}]
    assert training_fold(rated, seed=0) == fold


def test_where_the_test_ratings_are_private_validation_is_evaluated_and_does_not_stop_training() -> None:
    rated = planted_corpus(8, parts=("train", "train", "validation"))
    training, validation, test = groups_of(official_fold(rated, seed=0))
    assert test == {"s2", "s5"}
    assert len(validation) == 2
    assert training | validation == {"s0", "s1", "s3", "s4", "s6", "s7"}


def test_without_parts_there_is_no_official_split_and_a_quarter_is_held_out_of_training() -> None:
    rated = planted_corpus(8)
    with pytest.raises(UsageError, match="use --split subject-wise"):
        official_fold(rated, seed=0)
    training, validation, test = groups_of(training_fold(rated, seed=0))
    assert (len(training), len(validation), len(test)) == (6, 2, 0)


def test_without_a_train_part_the_test_part_is_kept_out_of_training() -> None:
    rated = planted_corpus(8, parts=(None, None, None, "test"))
    training, validation, test = groups_of(training_fold(rated, seed=0))
    assert test == {"s3", "s7"}
    assert training | validation == {"s0", "s1", "s2", "s4", "s5", "s6"}
    only_test = planted_corpus(8, parts=("test",))
    training, validation, test = groups_of(training_fold(only_test, seed=0))
    assert (len(training), len(validation), len(test)) == (6, 2, 0)


def test_each_fold_tests_some_of_every_corpus() -> None:
    rated = [
        replace(one, group=f"{corpus}/{one.group}", corpus=corpus) for corpus in ("a", "b") for one in planted_corpus(6)
    ]
    for fold in subject_wise_folds(rated, 3, seed=1):
        for part in (fold.training, fold.validation, fold.test):
            assert {one.corpus for one in part} == {"a", "b"}
        assert all(len(groups & {one.group for one in fold.test}) <= 4 for groups in groups_of(fold))
