"""Label recognisers under a split: scores and intervals, official parts, leave-one-speaker-out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import pytest
from support.planted_labels import QUICK, labelled, labelled_corpus

from avemo_harness.benchmark.release import Clip
from avemo_harness.errors import UsageError
from avemo_harness.recognizers.card import LabelCard, LabelEvaluation
from avemo_harness.recognizers.features.feature_set import FeatureSet
from avemo_harness.recognizers.heads import label_evaluation
from avemo_harness.recognizers.heads.label_evaluation import (
    Prediction,
    evaluate_categorical,
    evaluate_official,
    evaluate_predictions,
    leave_one_speaker_out,
    train_categorical,
)
from avemo_harness.recognizers.heads.labels import (
    CategoricalRecognizer,
    Fitted,
    LabelExample,
    LabelSettings,
    as_they_are,
    fit,
    within_speakers,
)
from avemo_harness.recognizers.heads.training import Method
from avemo_harness.recognizers.recordings import Corpus, LabelledRecording
from avemo_harness.recognizers.tables import recognition_table

LabelMethod = Method[LabelSettings]

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


def corpus_of(recordings: Sequence[LabelledRecording]) -> Corpus:
    return Corpus("planted", (), tuple(recordings))


@pytest.fixture
def quick(method: LabelMethod) -> LabelMethod:
    return replace(method, settings=replace(QUICK, most_epochs=3))


def test_nobody_who_is_heard_or_seen_in_training_is_evaluated(
    quick: LabelMethod, monkeypatch: pytest.MonkeyPatch
) -> None:
    people: list[set[str]] = []

    def watched(examples: Sequence[LabelExample], features: FeatureSet, settings: LabelSettings) -> Fitted:
        people.append({name for one in examples for name in (one.recording.speaker, one.recording.face)})
        return fit(examples, features, settings)

    monkeypatch.setattr(label_evaluation, "fit", watched)
    # Two voices on each face.
    dubbed = [replace(one, face=f"face {int(one.speaker[1:]) // 2}") for one in labelled_corpus(6)]
    found = leave_one_speaker_out(corpus_of(dubbed), quick)
    assert len(people) == 6 * 3
    for index, trained_on in enumerate(people):
        left_out, face = f"s{index // 3:02}", f"face {index // 6}"
        assert trained_on == {one.speaker for one in dubbed if one.face != face} | {f"face {i}" for i in range(3)} - {
            face
        }
        assert left_out not in trained_on
    assert all(one.n_recordings == len(dubbed) for one in found)


def test_one_recogniser_and_one_of_each_stream_are_evaluated_side_by_side(corpus: Corpus, method: LabelMethod) -> None:
    found = evaluate_official(corpus, method)
    assert [(one.trained_on, one.view) for one in found] == [
        (("both", "audio", "video"), "both"),
        (("both", "audio", "video"), "audio"),
        (("both", "audio", "video"), "video"),
        (("audio",), "audio"),
        (("video",), "video"),
    ]
    assert {one.n_recordings for one in found} == {32}
    weighted = [one.weighted_f1.value or 0 for one in found]
    assert min(weighted[0], weighted[2], weighted[4]) > 0.9
    assert min(weighted[1], weighted[3]) > 0.55


def test_of_sound_alone_there_is_one_recogniser(quick: LabelMethod) -> None:
    heard = [replace(one, streams=replace(one.streams, face=None)) for one in labelled_corpus(4)]
    (found,) = leave_one_speaker_out(corpus_of(heard), quick)
    assert (found.trained_on, found.view, found.part) == (("audio",), "audio", "speakers left out")


def test_parts_do_not_count_when_a_speaker_is_left_out(quick: LabelMethod) -> None:
    plain, parted = labelled_corpus(3), labelled_corpus(3, parts=("train", "test", "validation"))
    assert leave_one_speaker_out(corpus_of(parted), quick) == leave_one_speaker_out(corpus_of(plain), quick)


def test_normalising_within_speakers_undoes_how_they_differ(method: LabelMethod) -> None:
    settings = replace(QUICK, most_epochs=25)
    plain = replace(method, settings=settings)
    shifted = corpus_of([shifted_voice(one) for one in labelled_corpus(6, each=4)])
    accuracies = [
        next(one.accuracy.value or 0 for one in leave_one_speaker_out(shifted, plain, normalise) if one.view == "audio")
        for normalise in (as_they_are, within_speakers)
    ]
    assert accuracies[1] > accuracies[0] + 0.1


def shifted_voice(one: LabelledRecording) -> LabelledRecording:
    """The recording with a sound that is moved far by who speaks, and without a face."""
    assert one.streams.sound is not None
    rows = np.frombuffer(one.streams.sound.read(), dtype=np.float32).reshape(-1, 6)
    moved = rows + np.random.default_rng([*one.speaker.encode()]).normal(0, 5, 6)
    sound = Clip.from_bytes(moved.astype(np.float32).tobytes(), one.recording_id)
    return replace(one, streams=replace(one.streams, sound=sound, face=None))


def test_faces_of_one_person_are_warned_of(quick: LabelMethod) -> None:
    said: list[str] = []
    dubbed = [replace(one, face="ann") for one in labelled_corpus(4, parts=("train", "train", "train", "test"))]
    evaluate_official(corpus_of(dubbed), replace(quick, say=said.append))
    train_categorical(corpus_of(dubbed), replace(quick, say=said.append))
    assert sum("every face that was learned from is ann's" in sentence for sentence in said) == 2


def test_what_cannot_be_split_is_told(quick: LabelMethod) -> None:
    with pytest.raises(UsageError, match="at least three speakers"):
        leave_one_speaker_out(corpus_of(labelled_corpus(2)), quick)
    with pytest.raises(UsageError, match="shares a face with 's00'"):
        leave_one_speaker_out(corpus_of([replace(one, face="x") for one in labelled_corpus(3)]), quick)
    with pytest.raises(UsageError, match="no labelled train and test part"):
        evaluate_official(corpus_of(labelled_corpus(3)), quick)
