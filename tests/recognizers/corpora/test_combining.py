"""Labels become constant trajectories by anchors, and several corpora one, in which nobody is taken for another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from support.planted_features import planted_corpus, planted_recording

from avemo_harness.errors import UsageError
from avemo_harness.recognizers.anchors import ANCHORS
from avemo_harness.recognizers.corpora.combining import join_corpora, rate_labels
from avemo_harness.recognizers.placement import PLACEMENT, Intensity, Placement
from avemo_harness.recognizers.recordings import Corpus, LabelledRecording, Part, training_fold


def labelled(
    name: str, speaker: str, label: str, part: Part | None = None, intensity: Intensity | None = None, seed: int = 0
) -> LabelledRecording:
    streams = planted_recording(name, speaker, seed, length=7).streams
    return LabelledRecording(name, speaker, speaker, label, part, name, streams, intensity)


def corpus(name: str, recordings: Sequence[LabelledRecording]) -> Corpus:
    return Corpus(name, (), tuple(recordings))


def test_a_recording_stands_where_its_label_lies_twice_a_second() -> None:
    found = rate_labels(
        corpus("acted", [labelled("a", "ann", "sad"), labelled("b", "bob", "angry", intensity="low")]), PLACEMENT
    )
    sad, angry = found.rated
    assert (sad.recording_id, sad.speaker, sad.group, sad.part) == ("a", "ann", "ann", None)
    assert (sad.trajectory.scale, sad.trajectory.rate_hz) == ("unit", 2.0)
    assert sad.trajectory.values.tolist() == [list(ANCHORS["sad"])] * 7
    assert angry.trajectory.values.tolist() == [list(PLACEMENT.point("angry", "low"))] * 7
    assert found.placement == PLACEMENT
    assert found.labelled == corpus("acted", [labelled("a", "ann", "sad")]).labelled + found.labelled[1:]


def test_other_anchors_are_obeyed() -> None:
    own = Placement({**ANCHORS, "sad": (0.1, 0.2)}, PLACEMENT.intensities)
    (found,) = rate_labels(corpus("acted", [labelled("a", "ann", "sad")]), own).rated
    assert found.trajectory.column("arousal").tolist() == [0.2] * 7


def test_a_recording_of_no_length_is_left_out_and_counted() -> None:
    empty = labelled("b", "bob", "sad")
    empty = replace(empty, streams=replace(empty.streams, duration_s=0.0))
    found = rate_labels(corpus("acted", [labelled("a", "ann", "sad"), empty]), PLACEMENT)
    assert [one.recording_id for one in found.rated] == ["a"]
    assert [(one.reason, one.count) for one in found.dropped] == [
        ("recordings without any sound, picture or length", 1)
    ]


def test_ratings_are_not_replaced_by_labels_and_nothing_is_made_of_nothing() -> None:
    with pytest.raises(UsageError, match="planted: it has ratings over time, which are learned from"):
        rate_labels(Corpus("planted", tuple(planted_corpus(3))), PLACEMENT)
    with pytest.raises(UsageError, match="void: it has neither ratings nor labels"):
        rate_labels(Corpus("void"), PLACEMENT)


def test_parts_that_keep_speakers_apart_are_used_as_they_are() -> None:
    parts: tuple[Part, ...] = ("train", "validation", "test")
    recordings = [labelled(f"{part}{i}", f"{part}-{i}", "sad", part) for part in parts for i in range(2)]
    fold = training_fold(rate_labels(corpus("parted", recordings), PLACEMENT).rated, seed=0)
    for part, found in zip(parts, (fold.training, fold.validation, fold.test), strict=True):
        assert {one.recording_id for one in found} == {f"{part}0", f"{part}1"}


def test_of_parts_that_share_speakers_the_test_part_is_never_learned_from_and_speakers_are_held_out() -> None:
    parts: tuple[Part, ...] = ("train", "validation", "test")
    recordings = [labelled(f"{part}-{i}", f"s{i}", "sad", part) for part in parts for i in range(8)]
    fold = training_fold(rate_labels(corpus("shared", recordings), PLACEMENT).rated, seed=0)
    assert not {one.recording_id for one in (*fold.training, *fold.validation)} & {f"test-{i}" for i in range(8)}
    speakers = [{one.speaker for one in part} for part in (fold.training, fold.validation)]
    assert [len(of_part) for of_part in speakers] == [6, 2]
    assert not speakers[0] & speakers[1]
    assert fold.test == ()  # everybody in it was met


def two() -> list[Corpus]:
    """Two corpora whose recordings and speakers have the same names."""
    return [
        rate_labels(corpus(name, [labelled(f"r{i}", f"s{i % 4}", "sad", seed=10 * n + i) for i in range(8)]), PLACEMENT)
        for n, name in enumerate(("one", "other"))
    ]


def test_recordings_and_speakers_of_two_corpora_are_never_the_same() -> None:
    joined = join_corpora(two())
    assert joined.name == "one + other"
    assert (len(joined.rated), len({one.recording_id for one in joined.rated})) == (16, 16)
    assert {one.group for one in joined.rated} == {f"{name}/s{i}" for name in ("one", "other") for i in range(4)}
    assert {one.speaker for one in joined.labelled} == {one.speaker for one in joined.rated}
    assert {one.recording_id for one in joined.labelled} == {one.recording_id for one in joined.rated}
    assert joined.placement == PLACEMENT
    fold = training_fold(joined.rated, seed=0)
    assert {one.corpus for one in fold.validation} == {one.corpus for one in fold.training} == {"one", "other"}
    assert not {one.group for one in fold.validation} & {one.group for one in fold.training}


def test_several_corpora_are_of_the_built_in_voice_and_face_where_each_is() -> None:
    made = [replace(one, is_builtin=True) for one in two()]
    assert join_corpora(made).is_builtin
    assert not join_corpora([made[0], two()[1]]).is_builtin


def test_a_single_corpus_stays_as_it_is() -> None:
    (first, _) = two()
    assert join_corpora([first]) is first


def test_a_recording_that_two_corpora_have_is_taken_once() -> None:
    first, other = two()
    shared = replace(other.rated[0], streams=first.rated[3].streams)
    again = replace(other.labelled[0], streams=first.rated[3].streams)
    other = replace(other, rated=(shared, *other.rated[1:]), labelled=(again, *other.labelled[1:]))
    joined = join_corpora([first, other])
    assert (len(joined.rated), len(joined.labelled)) == (15, 15)
    assert [(one.reason, one.count) for one in joined.dropped] == [("recordings that an earlier corpus has too", 1)]


def test_a_corpus_that_an_earlier_one_holds_whole_is_refused() -> None:
    first, _ = two()
    with pytest.raises(UsageError, match="copy: an earlier corpus has each of its recordings; leave it out"):
        join_corpora([first, replace(first, name="copy")])


def test_of_a_corpus_with_a_single_speaker_nobody_is_held_out_beside_another_corpus() -> None:
    first, _ = two()
    alone = rate_labels(corpus("alone", [labelled("x", "ann", "sad", seed=77)]), PLACEMENT)
    fold = training_fold(join_corpora([first, alone]).rated, seed=0)
    assert {one.corpus for one in fold.training} == {"one", "alone"}
    assert {one.corpus for one in fold.validation} == {"one"}


def test_what_cannot_be_learned_from_together_is_refused() -> None:
    first, _ = two()
    with pytest.raises(UsageError, match="two corpora are called 'one', and their speakers cannot be told apart"):
        join_corpora([first, first])
    rated = Corpus("planted", tuple(planted_corpus(3)))
    with pytest.raises(UsageError, match="one and planted: ratings over time and labels cannot be learned from"):
        join_corpora([first, rated])
    with pytest.raises(UsageError, match="planted and late: ratings that were given live and others"):
        join_corpora([rated, Corpus("late", rated.rated, rated_live=True)])
