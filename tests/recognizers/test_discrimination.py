"""What recognisers of trajectories tell apart, as their cards and `evaluate` give it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.planted_features import planted_features, planted_recording, rated

from avemo_harness.benchmark.release import Clip
from avemo_harness.errors import UsageError
from avemo_harness.metrics.discrimination import ecs_auc
from avemo_harness.metrics.profiles import AV_EMO
from avemo_harness.metrics.trajectory import Trajectory, count_steps
from avemo_harness.recognizers.card import DEMO_CORPUS, EMBEDDED_WARNING, FEW_SPEAKERS, TrajectoryCard
from avemo_harness.recognizers.discrimination import measure_discrimination
from avemo_harness.recognizers.heads.training import Method
from avemo_harness.recognizers.heads.trajectory import ContinuousRecognizer, TrajectorySettings, train_recognizer
from avemo_harness.recognizers.heads.trajectory_evaluation import (
    as_json,
    evaluate_split,
    evaluate_trained,
    recordings_to_evaluate,
    train_on,
)
from avemo_harness.recognizers.judge_evaluation import evaluate_judge
from avemo_harness.recognizers.recordings import (
    Corpus,
    LabelledRecording,
    Modality,
    Part,
    RatedRecording,
    Recording,
)
from avemo_harness.recognizers.tables import discrimination_table

PLACES = {"neutral": (0.5, 0.3), "happy": (0.8, 0.8), "angry": (0.2, 0.8), "sad": (0.2, 0.2)}
PARTS: tuple[Part, ...] = ("train", "train", "train", "validation", "test", "test")
QUICK = TrajectorySettings(hidden=16, most_epochs=15, learning_rate=5e-3, dropout=0.1)


def acted(speaker: int, label: str, take: int) -> RatedRecording:
    """A recording that stays near the place of its emotion."""
    seed = 1000 * speaker + 10 * take + list(PLACES).index(label)
    one = planted_recording(f"s{speaker}/{label}/{take}", f"s{speaker}", seed=seed)
    values = np.array(PLACES[label]) + 0.2 * (one.trajectory.values - one.trajectory.values.mean(axis=0))
    rows = np.random.default_rng(seed).normal(0, 0.3, (2, len(values), 6))
    mixing = np.random.default_rng(99).normal(size=(2, 6))
    clips = [Clip.from_bytes(((values - 0.5) @ mixing * 3 + noise).astype(np.float32).tobytes(), "x") for noise in rows]
    return replace(
        one, part=PARTS[speaker % 6], streams=Recording(clips[0], clips[1], len(values) / 2), trajectory=rated(values)
    )


def label_of(one: RatedRecording) -> LabelledRecording:
    label = one.recording_id.split("/")[1]
    return LabelledRecording(one.recording_id, one.speaker, one.speaker, label, one.part, one.recording_id, one.streams)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    recordings = tuple(acted(s, label, take) for s in range(18) for label in PLACES for take in range(2))
    return Corpus("acted", recordings, tuple(map(label_of, recordings)))


@pytest.fixture(scope="module")
def method() -> Method[TrajectorySettings]:
    return Method(planted_features(), QUICK)


@pytest.fixture(scope="module")
def recognizer(corpus: Corpus, method: Method[TrajectorySettings]) -> ContinuousRecognizer:
    return train_on(corpus, method)


class Flat:
    """Follows every recording as neutral, or as its sound's rows say; counts what it is shown."""

    calibration, errors = None, {}
    card_values: Mapping[str, Any] = {"lines": ["always neutral"]}

    def __init__(self, modalities: frozenset[str] = frozenset({"audio"}), rate_hz: float = 2.0) -> None:
        self.modalities, self.rate_hz, self.shown = modalities, rate_hz, list[Modality]()

    def identity(self) -> Mapping[str, str]:
        return {"judge": "flat"}

    def trajectory(self, streams: Recording, view: Modality) -> Trajectory:
        self.shown.append(view)
        count = count_steps(streams.duration_s, 2.0)
        return Trajectory(np.full((count, 3), 0.0), ("arousal", "dominance", "valence"), "signed", self.rate_hz)


def test_a_card_tells_what_is_told_apart_on_speakers_that_were_not_learned_from(
    corpus: Corpus, recognizer: ContinuousRecognizer
) -> None:
    found = {(one.part, one.view): one for one in recognizer.card.discrimination}
    assert set(found) == {(part, view) for part in ("validation", "test") for view in ("both", "audio", "video")}
    test = [one for one in corpus.rated if one.part == "test"]
    heard = [recognizer.trajectory(one.streams, "audio") for one in test]
    of_test = found["test", "audio"]
    expected = ecs_auc(heard, [one.recording_id.split("/")[1] for one in test], [one.speaker for one in test], AV_EMO)
    assert of_test.auc.value == pytest.approx(expected, abs=1e-12)
    assert expected > 0.8
    assert (of_test.n_recordings, of_test.n_speakers, of_test.n_labelled, of_test.n_pairs) == (48, 6, 48, 48 * 40 // 2)
    assert of_test.auc.ci_low is not None
    assert of_test.auc.n_clusters == 6
    # Angry and sad are low in valence, happy is high in arousal: three of four are extreme.
    assert of_test.extreme_share.value == pytest.approx(0.75, abs=0.1)
    moved = np.mean([one.column("arousal").std() for one in heard])
    assert of_test.movement["arousal"].value == pytest.approx(moved, abs=1e-12)
    line = next(line for line in recognizer.card.lines() if line.startswith("tells apart test, sound alone"))
    assert f"AUC of ECS {expected:.3f} (" in line
    assert "(48 recordings of 6 speakers)" in line


def test_cards_are_read_as_they_were_written_and_older_ones_stay_as_they_are(recognizer: ContinuousRecognizer) -> None:
    written = json.loads(json.dumps(recognizer.card.to_json(), allow_nan=False))
    assert TrajectoryCard.from_json(written) == recognizer.card
    older = {name: value for name, value in written.items() if name != "discrimination"}
    again = TrajectoryCard.from_json(older)
    assert again.discrimination == ()
    assert json.dumps(again.to_json()) == json.dumps(older)
    assert not any(line.startswith("tells apart") for line in again.lines())


def test_the_card_of_a_judge_that_learned_from_the_demo_says_so_also_where_it_is_older(
    recognizer: ContinuousRecognizer,
) -> None:
    training = replace(recognizer.card.training, corpus=DEMO_CORPUS)
    older = replace(recognizer.card, training=training, embedded=False).to_json()
    assert TrajectoryCard.from_json(older).embedded
    assert not TrajectoryCard.from_json(recognizer.card.to_json()).embedded


def test_nothing_is_learned_where_all_ratings_are_one_point(corpus: Corpus, method: Method[TrajectorySettings]) -> None:
    still = [replace(one, trajectory=rated(np.full_like(one.trajectory.values, 0.2))) for one in corpus.rated]
    with pytest.raises(UsageError, match="acted: all values that it would learn from are the same"):
        train_on(replace(corpus, rated=tuple(still)), method)


def test_validation_by_single_values_ends_with_trained_weights(corpus: Corpus) -> None:
    short = [
        replace(one, trajectory=rated(one.trajectory.values[:1])) if one.part == "validation" else one
        for one in corpus.rated
    ]
    validation = [next(one for one in short if one.part == "validation")]
    learned = [one for one in short if one.part == "train"]
    settings = TrajectorySettings(hidden=8, most_epochs=2)
    trained = train_recognizer(learned, validation, planted_features(), "acted", settings)
    again = train_recognizer(learned, validation, planted_features(), "acted", replace(settings, learning_rate=0.0))
    assert trained.identity() != again.identity()


def test_recordings_of_a_part_whose_speakers_are_in_another_are_said_to_be_left(corpus: Corpus) -> None:
    said: list[str] = []
    parts = [replace(one, part="test" if i % 8 == 0 else None) for i, one in enumerate(corpus.rated)]
    train_on(
        replace(corpus, rated=tuple(parts)),
        Method(planted_features(), TrajectorySettings(hidden=8, most_epochs=1), said.append),
    )
    assert "neither learned from nor tested: 18 recordings of a part with speakers of another part" in said


def test_the_interval_of_few_speakers_is_said_to_promise_too_much(recognizer: ContinuousRecognizer) -> None:
    (heard,) = (one for one in recognizer.card.discrimination if (one.part, one.view) == ("test", "audio"))
    assert heard.line().endswith(FEW_SPEAKERS)
    assert FEW_SPEAKERS not in replace(heard, n_speakers=20).line()


def test_what_learns_from_the_built_in_voice_and_face_alone_says_so(corpus: Corpus) -> None:
    quick = Method(planted_features(), TrajectorySettings(hidden=8, most_epochs=1))
    for made in (True, False):
        card = train_on(replace(corpus, is_builtin=made), quick).card
        assert (card.embedded, EMBEDDED_WARNING in card.lines()) == (made, made)


def test_a_corpus_without_labels_has_a_dash_for_the_auc_and_its_other_figures(
    corpus: Corpus, recognizer: ContinuousRecognizer
) -> None:
    result = evaluate_trained(recognizer, replace(corpus, labelled=()))
    assert {one.auc.value for one in result.discrimination} == {None}
    assert all(one.extreme_share.value is not None for one in result.discrimination)
    lines = discrimination_table([result])
    assert lines[2].split()[4:6] == ["—", f"{result.discrimination[1].extreme_share.value:.3f}"]
    assert lines[-1] == "test part: 48 recordings of 6 speakers; no labels"


def test_recordings_that_are_labelled_and_not_rated_are_told_apart_too(
    corpus: Corpus, recognizer: ContinuousRecognizer
) -> None:
    result = evaluate_trained(recognizer, replace(corpus, rated=()))
    assert result.agreements == result.predicted == ()
    of_card = {one.view: one.auc for one in recognizer.card.discrimination if one.part == "test"}
    assert {one.view: one.auc for one in result.discrimination} == of_card
    with pytest.raises(UsageError, match="none of its recordings is rated or labelled"):
        evaluate_trained(recognizer, Corpus("nothing"))


def test_each_fold_of_a_split_is_told_apart_by_its_own_recogniser(
    corpus: Corpus, method: Method[TrajectorySettings]
) -> None:
    result = evaluate_split(corpus, "subject-wise", method, n_folds=3)
    (heard,) = (one for one in result.discrimination if one.view == "audio")
    # Of each fold's six speakers: 48 recordings, each with the 40 of the others.
    assert (heard.n_recordings, heard.n_speakers, heard.n_pairs) == (144, 18, 3 * 48 * 40 // 2)
    assert heard.auc.n_clusters == 18
    assert (heard.auc.value or 0) > 0.8
    written = json.loads(json.dumps(as_json(corpus, [result]), allow_nan=False))
    assert {one["view"] for one in written["splits"][0]["discrimination"]} == {"both", "audio", "video"}
    lines = discrimination_table([result])
    assert [line.split("  ")[0] for line in lines[2:5]] == [
        f"subject-wise: {name}" for name in ("sound alone", "face alone", "sound and face")
    ]
    counted = "subject-wise: 144 recordings of 18 speakers; 144 of 144 recordings have a label, 2,880 pairs"
    assert lines[-1] == counted + FEW_SPEAKERS


def test_any_judge_is_evaluated_by_what_it_makes_use_of(corpus: Corpus) -> None:
    judge = Flat()
    result = evaluate_judge(judge, corpus)
    assert set(judge.shown) == {"audio"}
    assert {one.view for one in result.agreements} == {"audio"}
    (heard,) = result.discrimination
    assert (heard.auc.value, heard.extreme_share.value, heard.movement["valence"].value) == (0.5, 0.0, 0.0)
    assert {one.ccc for one in result.agreements} == {0.0}
    unrated = evaluate_judge(judge, replace(corpus, rated=()))
    assert (unrated.agreements, unrated.discrimination) == ((), result.discrimination)


class Failing(Flat):
    """Fails on some recordings, and leaves its scale a little on others."""

    def __init__(self, corpus: Corpus, fails: int, leaves: int) -> None:
        super().__init__()
        names = [one.streams.digests for one in recordings_to_evaluate(corpus)[0]]
        self.fails, self.leaves = set(names[:fails]), set(names[fails : fails + leaves])

    def trajectory(self, streams: Recording, view: Modality) -> Trajectory:
        if streams.digests in self.fails:
            raise RuntimeError("kernel size is greater than the input")
        found = super().trajectory(streams, view)
        off = 1.04 if streams.digests in self.leaves else 0.0
        return replace(found, values=np.full_like(found.values, off))


def test_recordings_that_a_judge_fails_on_are_left_out_named_and_counted_as_are_clipped_values(corpus: Corpus) -> None:
    said: list[str] = []
    result = evaluate_judge(Failing(corpus, fails=3, leaves=2), corpus, said.append)
    assert {one.n_recordings for one in (*result.agreements, *result.discrimination)} == {45}
    first = recordings_to_evaluate(corpus)[0][0].recording_id
    steps = sum(len(one.trajectory) for one in recordings_to_evaluate(corpus)[0][3:5])
    assert said == [
        f"left out 3 of 48 recordings that the judge fails on, such as {first}: RuntimeError: kernel size is greater "
        "than the input",
        f"{3 * steps} values of 2 recordings were off the judge's scale by at most 0.05 and are clipped",
    ]
    with pytest.raises(UsageError, match=f"fails on each of 48 recordings, such as {first}: RuntimeError: kernel"):
        evaluate_judge(Failing(corpus, fails=48, leaves=0), corpus)


def test_a_judge_of_another_rate_is_refused(corpus: Corpus) -> None:
    with pytest.raises(
        UsageError, match=r"arousal, dominance, valence at 1 values a second; it is evaluated by .* at 2"
    ):
        evaluate_judge(Flat(rate_hz=1.0), corpus)


def test_long_recordings_are_extreme_or_not_in_pieces_of_six_seconds() -> None:
    values = np.full((60, 2), 0.5)
    values[:12] = 0.1
    one = replace(planted_recording("long", "s", seed=1, length=60), trajectory=rated(values))
    (found,) = measure_discrimination([one], [{"audio": rated(values)}], {}, "all")
    assert found.extreme_share.value == pytest.approx(1 / 5)
