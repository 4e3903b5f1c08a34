"""From stored answers, read or ranked, to the columns of the table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.metrics import brier_score_loss
from support.answers import answer_to, with_response

from avemo_harness.benchmark.request import Item
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.benchmark.task_library import TaskLibrary
from avemo_harness.metrics.calibration import expected_calibration_error
from avemo_harness.scorers import METRICS, REGISTRY, SCORERS, load_scorer
from avemo_harness.scorers.base import Answer, ScoreLine
from avemo_harness.scorers.metric import BUILT_IN, Metric, confusion_counts
from avemo_harness.scorers.understanding import UnderstandingScorer, compare_streams

LABELS = ["neutral", "happy", "angry", "sad"]
LIBRARY = TaskLibrary(METRICS)
FULL_AV, CONFLICT = (LIBRARY.load([name])[0].spec for name in ("demo_full_av", "demo_conflict"))


def user_turn(number: int, gold: str, dialogue: str | None = None) -> Item:
    dialogue = dialogue or f"d{number}"
    return Item("demo_full_av", f"{dialogue}/{number}", dialogue, dialogue, dialogue, number, "full_av", gold=gold)


def conflict(number: int, audio: str, video: str) -> Item:
    return Item("demo_conflict", f"p{number}", "u", f"d{number}", f"d{number}", 0, "conflict", None, audio, video)


@pytest.mark.parametrize("name", SCORERS)
def test_every_registered_scorer_loads_and_reports_the_metrics_it_is_listed_with(name: str) -> None:
    metrics = REGISTRY.load(name).metrics
    assert metrics is BUILT_IN[name]
    assert METRICS[name] == {metric.name for metric in metrics}
    assert all(metric.low < metric.high for metric in metrics)


@given(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from([*LABELS, "no idea"])), min_size=1, max_size=40))
def test_accuracy_and_macro_f1_agree_with_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    answers = [answer_to(user_turn(i, gold), text) for i, (gold, text) in enumerate(pairs)]
    scores = load_scorer("understanding").score(FULL_AV, answers)
    gold, said = [g for g, _ in pairs], [t for _, t in pairs]
    occurring = [label for label in LABELS if label in gold]
    assert scores.metrics["accuracy"].value == pytest.approx(sk.accuracy_score(gold, said))
    expected = sk.f1_score(gold, said, labels=occurring, average="macro", zero_division=0.0)
    assert scores.metrics["macro_f1"].value == pytest.approx(expected)
    assert scores.metrics["accuracy"].n_invalid == said.count("no idea")
    matrix = sk.confusion_matrix(gold, said, labels=[*LABELS, "no idea"])
    assert scores.details["confusion"]["counts"] == matrix[:4].tolist()


def test_an_error_is_counted_and_never_scored() -> None:
    answers = [answer_to(user_turn(0, "sad"), "sad"), answer_to(user_turn(1, "sad"), error="MediaError: broken")]
    scores = load_scorer("understanding").score(FULL_AV, answers)
    accuracy = scores.metrics["accuracy"]
    assert (accuracy.value, accuracy.n, accuracy.n_errors) == (1.0, 1, 1)
    assert [line.verdict for line in scores.lines] == ["right", "error"]


def test_an_invalid_answer_is_wrong_under_full_av_and_neither_under_conflict() -> None:
    turn = load_scorer("understanding").score(FULL_AV, [answer_to(user_turn(0, "sad"), "hm")])
    pair = load_scorer("modality_preference").score(CONFLICT, [answer_to(conflict(0, "happy", "sad"), "hm")])
    assert turn.metrics["accuracy"].value == 0.0
    assert [pair.metrics[name].value for name in ("aar", "var", "olr")] == [0.0, 0.0, 1.0]
    assert pair.details["invalid_rate"] == 1.0


def test_results_tell_the_rule_that_read_the_answers_and_how_often_each_step_decided() -> None:
    texts = ["sad", "Sad!", "She isn't happy, she's sad.", "hm", None]
    turns = [answer_to(user_turn(i, "sad"), text, error=None if text else "broken") for i, text in enumerate(texts)]
    pairs = [
        answer_to(conflict(i, "sad", "happy"), text) if text else Answer(conflict(i, "sad", "happy"))
        for i, text in enumerate(texts)
    ]
    steps = {"exact": 2, "no label": 1, "only label": 1}
    for scorer, task, answers in (("understanding", FULL_AV, turns), ("modality_preference", CONFLICT, pairs)):
        scores = load_scorer(scorer).score(task, answers)
        assert scores.details["parsing"] == {"rule": 2, "steps": steps}
        assert [line.why for line in scores.lines[:4]] == ["exact", "exact", "only label", "no label"]


def test_ranked_labels_are_not_parsed() -> None:
    ranked = LIBRARY.load(["multiturn_real_full_av_ranked"])[0].spec
    answers = [answer_to(user_turn(0, "sad"), label_logprobs=dict.fromkeys(LABELS, -1.0))]
    assert "parsing" not in load_scorer("understanding").score(ranked, answers).details


def test_nothing_answered_is_undefined_not_zero() -> None:
    scores = load_scorer("understanding").score(FULL_AV, [Answer(user_turn(0, "sad"))])
    assert all(metric.value is None for metric in scores.metrics.values())


def test_preference_is_broken_down_by_pair_and_by_which_label_was_heard() -> None:
    answers = [
        answer_to(conflict(0, "happy", "sad"), "happy"),
        answer_to(conflict(1, "sad", "happy"), "happy"),
        answer_to(conflict(2, "happy", "angry"), "neutral"),
    ]
    scores = load_scorer("modality_preference").score(CONFLICT, answers)
    assert scores.details["per_pair"]["happy~sad"] == {"aar": 0.5, "var": 0.5, "olr": 0.0, "n": 2}
    assert scores.details["per_direction"]["heard sad, seen happy"]["var"] == 1.0
    assert scores.details["per_pair"]["angry~happy"]["olr"] == 1.0


def test_intervals_treat_the_turns_of_a_dialogue_as_one_draw() -> None:
    apart = [answer_to(user_turn(i, "sad"), "sad" if i % 2 else "happy") for i in range(80)]
    together = [answer_to(user_turn(i, "sad", f"d{i // 10}"), "sad" if i >= 40 else "happy") for i in range(80)]
    scorer = load_scorer("understanding")
    narrow, wide = (scorer.score(FULL_AV, answers).metrics["accuracy"] for answers in (apart, together))
    assert narrow.value == wide.value == 0.5
    assert (narrow.n_clusters, wide.n_clusters) == (80, 8)
    assert wide.ci_high - wide.ci_low > 2 * (narrow.ci_high - narrow.ci_low)


@pytest.mark.parametrize("dialogues", [1, 4])
def test_fewer_than_five_dialogues_have_no_interval_and_say_so(dialogues: int) -> None:
    turns = [answer_to(user_turn(i, "sad", f"d{i % dialogues}"), "sad" if i % 3 else "happy") for i in range(20)]
    pairs = [answer_to(conflict(i, "happy", "sad"), "sad" if i % 2 else "happy") for i in range(dialogues)]
    for metric in ("accuracy", "macro_f1", "balanced_accuracy"):
        found = load_scorer("understanding").score(FULL_AV, turns).metrics[metric]
        assert found.value is not None
        assert (found.ci_low, found.ci_high, found.n_clusters) == (None, None, dialogues)
        assert found.note == "too few dialogues"
    found = load_scorer("modality_preference").score(CONFLICT, pairs).metrics["aar"]
    assert (found.ci_low, found.n_clusters, found.note) == (None, dialogues, "too few independent groups")


def test_a_model_that_is_always_right_is_bounded_below_and_its_f1_only_approximately() -> None:
    answers = [answer_to(user_turn(i, LABELS[i % 4]), LABELS[i % 4]) for i in range(40)]
    metrics = load_scorer("understanding").score(FULL_AV, answers).metrics
    for name, note in (("accuracy", None), ("macro_f1", "approximate"), ("balanced_accuracy", "approximate")):
        found = metrics[name]
        assert (found.value, found.ci_high, found.note) == (1.0, 1.0, note)
        assert found.ci_low == pytest.approx(0.912, abs=5e-4)


def test_a_score_beyond_zero_and_one_has_an_interval_within_its_own_range(monkeypatch: pytest.MonkeyPatch) -> None:
    def lead(sums: np.ndarray, _: np.ndarray) -> np.ndarray:
        """Share of right answers less that of others, in [-1, 1]."""
        right = np.trace(sums, axis1=-2, axis2=-1)
        return 2 * right / sums.sum(axis=(-1, -2)) - 1

    metric = Metric("lead", low=-1.0, counts=confusion_counts, statistic=lead)
    monkeypatch.setattr(UnderstandingScorer, "metrics", (*BUILT_IN["understanding"], metric))
    answers = [answer_to(user_turn(i, "sad"), "sad" if i % 4 == 0 else "happy") for i in range(40)]
    scores = load_scorer("understanding").score(FULL_AV, answers).metrics
    share, found = scores["accuracy"], scores["lead"]
    assert (share.value, found.value) == (0.25, -0.5)
    assert found.ci_low == pytest.approx(2 * share.ci_low - 1, abs=0.05)
    assert found.ci_high == pytest.approx(2 * share.ci_high - 1, abs=0.05)


def sad_turns(texts: list[str | None]) -> tuple[ScoreLine, ...]:
    """Score lines of answers to sad turns, a dialogue each; None is an error."""
    answers = [
        answer_to(user_turn(i, "sad"), text, error=None if text else "MediaError: broken")
        for i, text in enumerate(texts)
    ]
    return load_scorer("understanding").score(FULL_AV, answers).lines


def test_streams_are_compared_on_the_turns_scored_under_all_three_conditions() -> None:
    both, audio, video = ["sad", "sad", "sad"], ["sad", "happy", None], ["happy", "happy", "sad"]
    contrasts = compare_streams(*map(sad_turns, (both, audio, video)))
    assert [one.value for one in contrasts] == [0.5, 0.5, 1.0]
    assert {(one.n, one.n_errors, one.n_clusters) for one in contrasts} == {(2, 1, 2)}
    assert {one.note for one in contrasts[::2]} == {"too few dialogues"}


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=5, max_size=20))
def test_the_gain_is_the_smaller_of_the_two_differences(right: list[tuple[bool, bool, bool]]) -> None:
    sides = [["sad" if one[side] else "happy" for one in right] for side in range(3)]
    gain, *differences = compare_streams(*map(sad_turns, sides))
    assert gain.value == pytest.approx(min(one.value or 0.0 for one in differences))
    for one in (gain, *differences):
        assert one.ci_low is None or -1 <= one.ci_low <= one.value <= one.ci_high <= 1


def test_streams_that_never_differ_are_bounded_and_those_that_always_differ_have_no_interval() -> None:
    alike = compare_streams(*[sad_turns(["sad", "happy"] * 5)] * 3)
    reach = 1 - 0.025 ** (1 / 10)
    assert {(one.ci_low, one.value, one.ci_high) for one in alike} == {(-reach, 0.0, reach)}
    apart = compare_streams(sad_turns(["sad"] * 10), *[sad_turns(["happy"] * 10)] * 2)
    assert [(one.value, one.ci_low) for one in apart] == [(1.0, None)] * 3


RANKED = LIBRARY.load(["multiturn_real_full_av_ranked"])[0].spec


def by(way: str, task: TaskSpec = RANKED) -> TaskSpec:
    output = task.output.model_copy(update={"method": "rank", "rank_by": way})
    return task.model_copy(update={"output": output})


def ranked(number: int, gold: str | None, probabilities: list[float], **more: object) -> Answer:
    dialogue = f"d{number // 3}"
    item = Item("task", f"{dialogue}/{number}", dialogue, dialogue, dialogue, number, "full_av", gold=gold)
    logprobs = {label: float(np.log(p)) for label, p in zip(LABELS, probabilities, strict=True)}
    return answer_to(item, label_logprobs=logprobs, **more)


def many(items: int, seed: int = 0) -> tuple[list[Answer], np.ndarray, np.ndarray]:
    """Answers with their probabilities and the index of their gold label."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(4), items)
    gold = rng.integers(0, 4, items)
    return (
        [ranked(i, LABELS[g], p.tolist()) for i, (g, p) in enumerate(zip(gold, probabilities, strict=True))],
        probabilities,
        gold,
    )


def test_ece_and_brier_are_of_the_probabilities_of_the_labels_with_an_interval() -> None:
    answers, probabilities, gold = many(90)
    metrics = load_scorer("understanding").score(RANKED, answers).metrics
    hits = (probabilities.argmax(axis=1) == gold).astype(float)
    brier = sum(
        brier_score_loss((gold == label).astype(int), probabilities[:, label], pos_label=1) for label in range(4)
    )
    assert metrics["ece"].value == pytest.approx(float(expected_calibration_error(probabilities.max(axis=1), hits)))
    assert metrics["brier"].value == pytest.approx(brier)
    assert metrics["accuracy"].value == pytest.approx(hits.mean())
    for name in ("ece", "brier"):
        assert metrics[name].ci_low < metrics[name].value < metrics[name].ci_high
        assert (metrics[name].n, metrics[name].n_invalid, metrics[name].n_errors) == (90, 0, 0)


def test_the_turns_of_a_dialogue_are_one_draw() -> None:
    answers, _, _ = many(60)
    repeated = [
        replace(answer, item=replace(answer.item, item_id=f"{answer.item.item_id}+{copy}"))
        for answer in answers
        for copy in range(4)
    ]
    one, four = (load_scorer("understanding").score(RANKED, some).metrics["brier"] for some in (answers, repeated))
    assert (four.ci_low, four.value, four.ci_high) == pytest.approx((one.ci_low, one.value, one.ci_high))


def test_generated_answers_have_no_calibration() -> None:
    text = with_response(ranked(0, "sad", [0.1, 0.2, 0.3, 0.4]), text="sad")
    scores = load_scorer("understanding").score(FULL_AV, [text])
    assert scores.metrics["accuracy"].value == 1.0
    assert [(scores.metrics[name].value, scores.metrics[name].n) for name in ("ece", "brier")] == [(None, 0)] * 2
    assert "ranking" not in scores.details


def test_every_way_of_ranking_is_told_beside_the_one_that_decided() -> None:
    tokens = dict(zip(LABELS, (1, 1, 1, 4), strict=True))
    priors = dict(zip(LABELS, (-9.0, -1.0, -1.0, -1.0), strict=True))
    answers = [
        ranked(0, "sad", [0.1, 0.5, 0.2, 0.2], label_tokens=tokens, label_priors=priors),
        ranked(3, "neutral", [0.1, 0.5, 0.2, 0.2], label_tokens=tokens, label_priors=priors),
        ranked(6, "happy", [0.1, 0.5, 0.2, 0.2]),
    ]
    details = load_scorer("understanding").score(by("length_normalised"), answers).details["ranking"]
    assert details["decided_by"] == "length_normalised"
    assert details["accuracy_by"] == {
        "raw": {"accuracy": pytest.approx(1 / 3), "n": 3},
        "length_normalised": {"accuracy": 0.5, "n": 2},
        "prior_corrected": {"accuracy": 0.5, "n": 2},
    }


def test_an_answer_that_cannot_be_ranked_is_wrong_and_forecasts_nothing() -> None:
    answers = [ranked(0, "sad", [0.1, 0.1, 0.1, 0.7]), ranked(3, "sad", [0.1, 0.1, 0.1, 0.7])]
    answers[0] = with_response(answers[0], label_priors=dict.fromkeys(LABELS, -1.0))
    scores = load_scorer("understanding").score(by("prior_corrected"), answers)
    assert (scores.metrics["accuracy"].value, scores.metrics["accuracy"].n) == (0.5, 2)
    assert (scores.metrics["brier"].n, scores.metrics["brier"].n_invalid) == (1, 1)
    assert scores.metrics["ece"].value == pytest.approx(0.3)
    assert "prior_corrected" in scores.lines[1].why


def test_errors_and_missing_items_forecast_nothing() -> None:
    item = ranked(0, "sad", [0.25] * 4).item
    scores = load_scorer("understanding").score(RANKED, [answer_to(item, error="broken"), Answer(item)])
    assert [scores.metrics[name].value for name in ("ece", "brier")] == [None, None]
    assert scores.details["ranking"]["mean_confidence"] is None
    assert scores.details["ranking"]["reliability"] == []


def test_confidence_stands_against_accuracy_bin_by_bin() -> None:
    answers, probabilities, _ = many(40)
    details = load_scorer("understanding").score(RANKED, answers).details["ranking"]
    assert details["mean_confidence"] == pytest.approx(probabilities.max(axis=1).mean())
    assert [one["n"] for one in details["reliability"]] == [4] * 10
    assert set(details["reliability"][0]) == {"lower", "upper", "confidence", "accuracy", "n"}


def test_a_conflict_is_read_by_what_decides_the_ranking() -> None:
    conflict = by("prior_corrected", LIBRARY.load(["demo_conflict"])[0].spec)
    item = replace(ranked(0, None, [0.25] * 4).item, audio_label="happy", video_label="sad")
    priors = dict(zip(LABELS, (-1.0, -1.0, -1.0, -5.0), strict=True))
    answer = replace(ranked(0, None, [0.1, 0.6, 0.1, 0.2], label_priors=priors), item=item)
    scorer = load_scorer("modality_preference")
    assert scorer.score(conflict, [answer]).metrics["var"].value == 1.0
    raw = by("raw", LIBRARY.load(["demo_conflict"])[0].spec)
    assert scorer.score(raw, [answer]).metrics["aar"].value == 1.0
    without = scorer.score(conflict, [with_response(answer, label_priors=None)])
    assert (without.metrics["olr"].value, without.details["invalid_rate"]) == (1.0, 1.0)
