"""Judges that learn labels by their anchors: what they hear, what their cards say, and several corpora together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.planted_features import NAMES, planted_features
from support.planted_labels import labelled, labelled_corpus

from avemo_harness.recognizers.checkpoint import load_trajectory_recognizer, save_recognizer
from avemo_harness.recognizers.corpora.combining import join_corpora, rate_labels
from avemo_harness.recognizers.heads.averaging import averaged_network
from avemo_harness.recognizers.heads.training import Method, balanced_indices
from avemo_harness.recognizers.heads.trajectory import ContinuousRecognizer, TrajectorySettings, make_network
from avemo_harness.recognizers.heads.trajectory_evaluation import evaluate_trained, train_on
from avemo_harness.recognizers.placement import PLACEMENT
from avemo_harness.recognizers.recordings import Corpus, Part, RatedRecording
from avemo_harness.run.judging import describe_judge

METHOD = Method(planted_features(), TrajectorySettings(hidden=16, most_epochs=25, learning_rate=5e-3, dropout=0.1))
BRIEF = replace(METHOD, settings=replace(METHOD.settings, most_epochs=2))


def acted(name: str, speakers: int, each: int = 2) -> Corpus:
    return rate_labels(Corpus(name, (), tuple(labelled_corpus(speakers, each))), PLACEMENT)


@pytest.fixture(scope="module")
def judge() -> ContinuousRecognizer:
    return train_on(acted("acted", 8), METHOD)


def test_people_whom_it_has_not_met_are_heard_where_the_anchors_are(judge: ContinuousRecognizer) -> None:
    unmet = Corpus("unmet", (), tuple(replace(one, recording_id=f"x{one.recording_id}") for one in labelled_corpus(12)))
    unmet = replace(unmet, labelled=unmet.labelled[-32:])
    found = evaluate_trained(judge, rate_labels(unmet, PLACEMENT))
    assert min(one.ccc or 0.0 for one in found.agreements) > 0.6
    assert {one.view: one.auc.value or 0.0 for one in found.discrimination}["both"] > 0.8


def test_of_few_labels_every_speaker_is_held_out_of_one_network_and_heard_by_it(judge: ContinuousRecognizer) -> None:
    assert judge.card.training.split == "4 networks, each validated on other speakers"
    (heard, *_) = [one for one in judge.card.discrimination if one.view == "audio"]
    assert (heard.part, heard.n_recordings, heard.n_speakers) == ("validation", 64, 8)
    # Pairs are made within the two speakers of a network, of 8 recordings each.
    assert heard.n_pairs == 4 * 8 * 8


def test_whom_the_corpus_names_for_validation_one_network_is_validated_on() -> None:
    parts: tuple[Part, ...] = ("train", "train", "validation", "test")
    parted = rate_labels(Corpus("parted", (), tuple(labelled_corpus(8, parts=parts))), PLACEMENT)
    card = train_on(parted, METHOD).card
    assert card.training.split == "validated on 2 other speakers"
    assert {one.part for one in card.agreements} == {"validation", "test"}


@pytest.mark.parametrize("hidden", [(4, 4, 4), (3, 5)])
def test_networks_as_one_give_the_mean_of_their_logits(hidden: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    members = [make_network(6, width).eval() for width in hidden]
    weights = [{name: values.numpy() for name, values in one.state_dict().items()} for one in members]
    whole = make_network(6, sum(hidden)).eval()
    whole.load_state_dict({name: torch.from_numpy(values) for name, values in averaged_network(weights).items()})
    rows = torch.randn(3, 9, 6)
    with torch.inference_mode():
        logits = torch.stack([torch.logit(one(rows, [9, 4, 7])) for one in members]).mean(0)
        found = whole(rows, [9, 4, 7])
    for recording, length in enumerate((9, 4, 7)):
        torch.testing.assert_close(
            found[recording, :length], logits[recording, :length].sigmoid(), rtol=1e-5, atol=1e-6
        )


def test_its_card_says_anchors_not_ratings_and_names_them(judge: ContinuousRecognizer) -> None:
    lines = "\n".join(judge.card.lines())
    assert "anchors, not ratings: each label as valence/arousal: neutral 0.5/0.5, happy 0.875/0.75" in lines
    assert "intensity: low x 0.75, medium x 1, high x 1.25" in lines
    assert "so ESS by it says little" in lines
    assert "CCC with anchors, validation, sound alone: valence" in lines
    assert describe_judge("mine", judge).learned_labels
    assert not describe_judge("mine", replace(judge, card=replace(judge.card, placement=None))).learned_labels


def test_its_folder_keeps_the_anchors_and_that_of_a_judge_of_ratings_has_none(
    judge: ContinuousRecognizer, tmp_path: Path
) -> None:
    save_recognizer(judge, list(NAMES), tmp_path / "labels")
    again = load_trajectory_recognizer(tmp_path / "labels", tmp_path)
    assert again.card.placement == PLACEMENT
    assert again.card == judge.card
    assert "anchors, not ratings" in (tmp_path / "labels" / "README.md").read_text()
    of_ratings = replace(judge, card=replace(judge.card, placement=None))
    save_recognizer(of_ratings, list(NAMES), tmp_path / "ratings")
    assert "placement" not in json.loads((tmp_path / "ratings" / "card.json").read_text())
    assert load_trajectory_recognizer(tmp_path / "ratings", tmp_path).card == of_ratings.card


def test_its_thresholds_come_from_what_it_predicts(judge: ContinuousRecognizer) -> None:
    assert judge.calibration is not None
    assert judge.calibration.source == "predictions"


def misleading(speakers: int, each: int = 2) -> Corpus:
    """Other recordings, with sad for happy and angry for neutral, and the reverse."""
    other = {"sad": "happy", "happy": "sad", "angry": "neutral", "neutral": "angry"}
    recordings = [
        replace(labelled(f"m{one.recording_id}", one.label, one.speaker), label=other[one.label])
        for one in labelled_corpus(speakers, each)
    ]
    return rate_labels(Corpus("misleading", (), tuple(recordings)), PLACEMENT)


@pytest.mark.slow
def test_a_large_corpus_does_not_outvote_a_small_one() -> None:
    """Of two corpora that contradict each other, each is half learned, though one has eight times the recordings."""
    small, large = acted("small", 8, each=1), misleading(8, each=8)
    joined = train_on(join_corpora([small, large]), METHOD)
    outvoted = train_on(
        Corpus("pool", tuple(replace(one, corpus="") for one in join_corpora([small, large]).rated)), METHOD
    )

    def of_small(judge: ContinuousRecognizer) -> float:
        return float(np.mean([one.ccc or 0.0 for one in evaluate_trained(judge, small).agreements]))

    assert of_small(joined) > of_small(outvoted) + 0.2


def test_the_card_of_several_corpora_names_them_and_tells_of_each() -> None:
    joined = join_corpora([acted("one", 6), misleading(5)])
    card = train_on(joined, BRIEF).card
    assert card.training.corpus == "one + misleading"
    assert card.training.n_speakers == 11
    assert card.training.split == "4 networks, each validated on other speakers, 2 corpora of equal weight"
    parts = [one.part for one in card.agreements if (one.view, one.dimension) == ("both", "valence")]
    assert parts == ["validation of misleading", "validation of one", "validation"]
    whole = card.find("both", "valence")
    assert whole is not None
    assert whole.part == "validation"


def test_the_same_corpora_give_the_same_judge() -> None:
    corpora = [acted("one", 6), misleading(5)]
    first, second = (train_on(join_corpora(corpora), BRIEF) for _ in range(2))
    assert first.identity() == second.identity()


@pytest.mark.parametrize(("small", "large"), [(3, 40), (10, 11), (1, 500)])
def test_each_corpus_gives_as_many_values_to_an_epoch(small: int, large: int) -> None:
    corpora, lengths = ["a"] * small + ["b"] * large, [10] * small + [5] * large
    rng = np.random.default_rng(0)
    drawn = [balanced_indices(corpora, lengths, rng) for _ in range(40)]
    for epoch in drawn:
        values = [sum(lengths[i] for i in epoch if corpora[i] == name) for name in ("a", "b")]
        assert values[0] == pytest.approx(values[1], abs=10)
        if 10 * small < 5 * large:
            assert set(range(small)) <= set(epoch.tolist())  # what is rare comes in every epoch
    assert set(np.concatenate(drawn).tolist()) == set(range(small + large))


def test_nothing_is_drawn_for_a_single_corpus() -> None:
    rng, untouched = np.random.default_rng(0), np.random.default_rng(0)
    assert balanced_indices(["a"] * 4, [3, 9, 1, 2], rng).tolist() == [0, 1, 2, 3]
    assert rng.random() == untouched.random()


def test_a_judge_of_one_corpus_is_the_same_under_any_name_of_it() -> None:
    def named(corpus: str) -> tuple[RatedRecording, ...]:
        return tuple(replace(one, corpus=corpus) for one in acted("one", 6).rated)

    found = [train_on(Corpus("one", named(corpus)), BRIEF).identity() for corpus in ("", "one")]
    assert found[0] == found[1]
