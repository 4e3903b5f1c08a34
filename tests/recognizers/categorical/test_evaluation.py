"""Figures of what was told: by hand, as JSON, on a card, in a table."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from support.planted_labels import labelled, labelled_corpus

from avemo_harness.errors import UsageError
from avemo_harness.recognizers.card import LabelCard, LabelEvaluation
from avemo_harness.recognizers.heads.label_evaluation import Prediction, evaluate_categorical, evaluate_predictions
from avemo_harness.recognizers.heads.labels import CategoricalRecognizer
from avemo_harness.recognizers.tables import recognition_table

GOLD_AND_TOLD = [
    *[("neutral", "neutral")] * 3,
    ("neutral", "sad"),
    *[("happy", "happy")] * 2,
    *[("happy", "angry")] * 2,
    *[("sad", "sad")] * 2,
]


def by_hand(dialogues: bool = False) -> LabelEvaluation:
    told = []
    for number, (gold, answer) in enumerate(GOLD_AND_TOLD):
        one = labelled(str(number), gold, f"s{number % 3}", dialogue=f"d{number % 5}" if dialogues else "")
        told.append(Prediction(one, "audio", ("both", "audio", "video"), answer))
    (found,) = evaluate_predictions(told, "test")
    return found


def test_figures_of_a_small_confusion_by_hand() -> None:
    found = by_hand()
    assert found.confusion == ((3, 0, 0, 1), (0, 2, 2, 0), (0, 0, 0, 0), (0, 0, 0, 2))
    f1 = {score.label: score.f1.value for score in found.labels}
    assert f1 == pytest.approx({"neutral": 6 / 7, "happy": 2 / 3, "angry": 0.0, "sad": 4 / 5})
    assert found.weighted_f1.value == pytest.approx((4 * 6 / 7 + 4 * 2 / 3 + 2 * 4 / 5) / 10)
    assert found.accuracy.value == pytest.approx(0.7)
    assert found.balanced_accuracy.value == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    assert [score.support for score in found.labels] == [4, 4, 0, 2]
    found = by_hand(dialogues=True)
    low, value, high = found.weighted_f1.ci_low, found.weighted_f1.value, found.weighted_f1.ci_high
    assert low is not None
    assert value is not None
    assert high is not None
    assert 0 <= low < value < high <= 1


def test_intervals_are_over_dialogues_where_recordings_share_them_and_over_speakers_elsewhere() -> None:
    apart, shared = by_hand(), by_hand(dialogues=True)
    assert (apart.clusters, apart.n_clusters) == ("speakers", 3)
    assert (shared.clusters, shared.n_clusters) == ("dialogues", 5)
    assert (apart.weighted_f1.ci_low, apart.weighted_f1.n_clusters) == (None, 3)
    assert shared.weighted_f1.n_clusters == 5


def test_the_f1_of_a_label_rests_on_the_clusters_that_have_it_or_were_told_it() -> None:
    of_labels = {score.label: score.f1 for score in by_hand(dialogues=True).labels}
    assert {label: f1.n_clusters for label, f1 in of_labels.items()} == {"neutral": 4, "happy": 4, "angry": 2, "sad": 2}
    assert {f1.note for f1 in of_labels.values()} == {"too few dialogues"}


def test_the_table_has_the_published_rows_ours_and_how_much_was_evaluated() -> None:
    one = by_hand()
    alone = replace(one, trained_on=("audio",))
    lines = recognition_table([one, alone])
    assert lines[0].split() == ["F1", "neutral", "happy", "angry", "sad", "weighted", "accuracy"]
    published = next(line for line in lines if line.startswith("AV-EMO-Reasoning (published, MultiDialog)"))
    assert published.split()[-6:] == ["0.607", "0.635", "0.607", "0.511", "—", "—"]
    ours, beside, extent = lines[-3:]
    assert ours.startswith("test: sound alone ")
    assert beside.startswith("test: sound alone, trained on it alone ")
    assert ours.split()[3:7] == ["0.857", "0.667", "0.000", "0.800"]
    assert extent == "test: 10 recordings (4 neutral, 4 happy, 0 angry, 2 sad); intervals over 3 speakers"


def test_figures_and_cards_survive_json(recognizer: CategoricalRecognizer) -> None:
    text = json.dumps(asdict(by_hand()), allow_nan=False)
    assert LabelEvaluation.from_json(json.loads(text)) == by_hand()
    card = recognizer.card
    assert LabelCard.from_json(json.loads(json.dumps(card.to_json(), allow_nan=False))) == card


def test_the_card_tells_of_training_and_of_every_part_and_view(recognizer: CategoricalRecognizer) -> None:
    lines = recognizer.card.lines()
    assert lines[0].startswith("trained on planted: 96 recordings of 12 speakers, 6.4 min; validated on the validation")
    assert lines[1] == "features: planted-audio, planted-video"
    starts = [line.partition(":")[0] for line in lines[2:]]
    views = ("sound and face", "sound alone", "face alone")
    assert starts == [f"weighted F1 {part}, {view}" for part in ("validation", "test") for view in views]
    assert all("neutral" in line and line.endswith("(32 recordings)") for line in lines[2:])


def test_a_trained_recogniser_is_evaluated_on_the_test_part_or_all_where_there_is_none(
    recognizer: CategoricalRecognizer,
) -> None:
    recordings = labelled_corpus(4, parts=("train", "test"))
    tested = evaluate_categorical(recognizer, recordings)
    assert {(one.part, one.n_recordings) for one in tested} == {("test", 16)}
    whole = evaluate_categorical(recognizer, [replace(one, part=None) for one in recordings])
    assert {(one.part, one.n_recordings) for one in whole} == {("all recordings", 32)}
    with pytest.raises(UsageError, match="found none"):
        evaluate_categorical(recognizer, [])
