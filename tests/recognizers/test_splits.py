"""Who is trained on and who is evaluated: groups never meet, and what is evaluated never decides anything."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.planted_features import planted_corpus, planted_recording

from avemo_harness.errors import UsageError
from avemo_harness.recognizers.recordings import Fold, RatedRecording, official_fold, subject_wise_folds, training_fold

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
