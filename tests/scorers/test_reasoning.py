"""From judged replies to the reasoning columns: who counts, who is a null, and means with their dialogues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.answers import answer_to, with_response

from avemo_harness.benchmark.request import Item
from avemo_harness.benchmark.task import ScorerSpec, TaskSpec
from avemo_harness.benchmark.task_library import TaskLibrary
from avemo_harness.metrics.profiles import Calibration
from avemo_harness.metrics.shares import share_estimate
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.metrics.trivial_replies import anchored, shuffles
from avemo_harness.scorers import METRICS, load_scorer
from avemo_harness.scorers.base import Answer, Judge, Judgement, TaskScores
from avemo_harness.scorers.reasoning_columns import Column, mean_metrics

REPLY = TaskLibrary(METRICS).load(["multiturn_real_reply"])[0].spec
JUDGE = Judge("planted", "0" * 64, rmse={"valence": 0.05, "arousal": 0.05})
CALIBRATION = Calibration(0.4, 0.6, 0.2, -0.1, 0.05, 100, "planted", 2.0)
SAD, CALM, EXCITED = (0.2, 0.3), (0.5, 0.5), (0.8, 0.9)


def steady(affect: tuple[float, float], length: int = 6) -> Trajectory:
    return Trajectory(np.tile(affect, (length, 1)), ("valence", "arousal"), "unit", 2.0)


def moving(seed: int, length: int = 8) -> Trajectory:
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.1, 0.9, 2) + np.cumsum(rng.normal(0, 0.02, (length, 2)), axis=0)
    return Trajectory(np.clip(values, 0, 1), ("valence", "arousal"), "unit", 2.0)


def answer(dialogue: str, turn: int, user: Trajectory | None, reply: Trajectory | None, **judged: object) -> Answer:
    """A spoken answer to a user turn; without a trajectory of the reply, the judge has heard nothing in it."""
    index = 2 * turn
    item = Item("multiturn_real_reply", f"{dialogue}/{index}", "u", dialogue, dialogue, index, "full_av")
    said = Judgement(JUDGE, user=user, user_audio=user, reply=reply, turn_number=turn)
    return answer_to(item, text="Well.", speech_path="speech/x.flac", judged=replace(said, **judged))


def score(answers: Sequence[Answer], task: TaskSpec = REPLY) -> TaskScores:
    return load_scorer("reasoning").score(task, answers)


def value(scores: TaskScores, metric: str) -> float | None:
    return scores.metrics[metric].value


def test_a_reply_that_copies_the_user_follows_perfectly_and_does_not_balance() -> None:
    scores = score([answer(f"d{i}", 0, steady(SAD), steady(SAD)) for i in range(3)])
    assert (value(scores, "ecs"), value(scores, "ess"), value(scores, "ecs_audio")) == (1.0, 1.0, 1.0)
    assert value(scores, "ebs") == pytest.approx(1 - 5 * 0.1055)
    assert value(scores, "ebs_dir") == 0.0


def test_a_dialogue_counts_once_however_many_turns_it_has() -> None:
    long = [answer("long", turn, steady(CALM), steady(CALM)) for turn in range(4)]
    scores = score([*long, answer("short", 0, steady(CALM), steady((0.4, 0.5)))])
    follows_less = 1 - 5 * 0.1 / 4
    assert value(scores, "ct_ecs") == pytest.approx((1 + follows_less) / 2)
    assert value(scores, "ecs") == pytest.approx((4 + follows_less) / 5)
    assert (scores.metrics["ct_ecs"].n, scores.metrics["ecs"].n) == (2, 5)


def test_what_is_undefined_is_counted_and_left_out_of_the_mean() -> None:
    scores = score([answer("calm", 0, steady(CALM), steady(CALM)), answer("sad", 0, steady(SAD), steady(SAD))])
    assert (scores.metrics["ebs"].n, scores.metrics["ebs"].n_undefined) == (1, 1)
    assert scores.metrics["ct_ess"].value is None
    assert (scores.metrics["ct_ess"].n, scores.metrics["ct_ess"].n_undefined) == (0, 2)
    assert scores.metrics["ct_ers"].value is None
    lines = {line.cluster: line.values for line in scores.lines}
    assert lines["calm"]["ebs"] is None
    assert lines["sad"]["ebs"] == pytest.approx(1 - 5 * 0.1055)


def test_balance_has_its_direction_beside_it_for_turns_and_for_dialogues() -> None:
    """Half of the shift towards calm in one dialogue; the mirror, and the whole of it, in another."""
    half, whole = (SAD[0] + 0.1055 / 2, SAD[1]), (SAD[0] + 0.1055, SAD[1])
    scores = score(
        [
            answer("one", 0, steady(SAD), steady(half)),
            answer("one", 1, steady(CALM), steady(CALM)),
            answer("two", 0, steady(SAD), steady(SAD)),
            *(answer("two", turn, steady(SAD), steady(whole)) for turn in (1, 2)),
        ]
    )
    assert value(scores, "ebs_dir") == pytest.approx((0.5 + 0 + 1 + 1) / 4)
    assert value(scores, "ct_ebs_dir") == pytest.approx((0.5 + 2 / 3) / 2)
    assert (scores.metrics["ebs_dir"].n, scores.metrics["ct_ebs_dir"].n) == (4, 2)
    assert [scores.rows[row]["ct_ebs_dir"].value for row in ("copy", "ideal balancer")] == [0.0, pytest.approx(1.0)]
    assert all({"ebs_dir", "ct_ebs_dir"} <= set(row) for row in scores.rows.values())


def test_steadiness_across_turns_is_of_replies_to_turns_that_follow_each_other() -> None:
    def dialogue(*turns: int) -> TaskScores:
        replies = [CALM, (0.7, 0.5), CALM]
        return score([answer("d", turn, steady(CALM), steady(replies[turn])) for turn in turns])

    assert value(dialogue(0, 1, 2), "ct_ess") == pytest.approx(1 - 5 * 0.2 / 4)
    assert value(dialogue(0, 2), "ct_ess") is None


def test_missing_speech_lowers_the_coverage_and_the_strict_means_and_nothing_else() -> None:
    spoken = [answer(f"d{i}", 0, steady(SAD), steady(SAD)) for i in range(3)]
    mute = with_response(answer("mute", 0, steady(SAD), None), speech_path=None)
    silent, empty = (answer(why, 0, steady(CALM), None, why=why) for why in ("silent", "empty"))
    scores = score([*spoken, mute, silent, empty])
    assert value(scores, "coverage") == 0.5
    assert value(scores, "ecs") == 1.0
    details = scores.details["reasoning"]
    assert details["replies"] == {"empty": 1, "no speech": 1, "silent": 1, "spoken": 3}
    assert details["missing_as_zero"]["ecs"] == 0.5
    assert details["missing_as_zero"]["ct_ecs"] == 0.5
    # Only one of the three who were not answered in speech was in an extreme.
    assert details["missing_as_zero"]["ebs"] == pytest.approx(3 / 4 * (1 - 5 * 0.1055))
    assert [line.verdict for line in scores.lines] == ["spoken"] * 3 + ["unspoken"] * 3


def test_what_could_not_be_judged_is_an_error_and_what_was_not_judged_yet_is_neither() -> None:
    broken = answer("broken", 0, None, None, error="MediaError: damaged")
    unheard = replace(answer("unheard", 0, None, None), judged=None)
    wordless = answer("no recording", 0, None, steady(CALM))
    failed = with_response(answer("failed", 0, None, None), error="GenerationError: no memory")
    scores = score([broken, unheard, wordless, failed])
    assert [line.verdict for line in scores.lines] == ["error", "unjudged", "error", "error"]
    assert scores.metrics["ecs"].value is None
    assert scores.metrics["ecs"].n_errors == 3
    assert scores.metrics["coverage"].value is None


def test_every_board_carries_replies_that_take_no_understanding() -> None:
    scores = score([answer(f"d{i}", 0, moving(i), moving(100 + i)) for i in range(30)])
    assert list(scores.rows) == ["copy", "ideal balancer", "constant", "shuffled"]
    rows = {name: {metric: one.value for metric, one in row.items()} for name, row in scores.rows.items()}
    assert rows["copy"]["ecs"] == 1.0
    assert rows["ideal balancer"]["ebs"] == pytest.approx(1.0, abs=1e-12)
    assert rows["constant"]["ess"] == 1.0
    assert rows["shuffled"]["ess"] == pytest.approx(value(scores, "ess"))
    assert rows["shuffled"]["ecs"] is not None
    assert rows["shuffled"]["ecs"] < 0.9


def test_the_anchored_score_of_a_copy_is_one_and_of_anybodys_reply_none() -> None:
    users = [moving(i) for i in range(60)]
    copies = score([answer(f"d{i:02}", 0, user, user) for i, user in enumerate(users)])
    assert value(copies, "ecs_anchored") == pytest.approx(1.0)
    names = [f"d{i:02}" for i in range(60)]
    holding_nothing = 0
    for seed in range(20):
        order = next(iter(shuffles(names, seed=seed)))
        strangers = score([answer(name, 0, users[i], users[order[i]]) for i, name in enumerate(names)])
        found = strangers.metrics["ecs_anchored"]
        holding_nothing += found.ci_low is not None and found.ci_high is not None and found.ci_low <= 0 <= found.ci_high
    assert holding_nothing >= 18


def test_an_anchored_mean_is_that_of_the_means() -> None:
    column = Column(np.array([0.9, 0.5, np.nan]), ["a", "b", "c"], shuffled=np.array([0.5, 0.3, 0.4]))
    metric = mean_metrics({"x": column}, n_errors=0)["x"]
    assert metric.value == pytest.approx(float(anchored(np.array(0.7), np.array(0.4))))
    assert (metric.n, metric.n_undefined) == (2, 1)


def test_one_dialogue_alone_has_nobody_to_be_shuffled_with() -> None:
    scores = score([answer("d", turn, moving(turn), moving(turn)) for turn in range(3)])
    assert value(scores, "ecs") == 1.0
    assert value(scores, "ecs_anchored") is None
    assert scores.rows["shuffled"]["ecs"].value is None


def test_turns_within_the_judges_error_of_a_threshold_are_counted() -> None:
    users = [steady((0.47, 0.5)), steady((0.3, 0.5)), steady((0.6, 0.5)), steady((0.6, 0.7))]
    scores = score([answer(f"d{i}", 0, user, user) for i, user in enumerate(users)])
    extreme = scores.details["reasoning"]["extreme"]
    assert (extreme["n"], extreme["rate"], extreme["near_threshold"]) == (2, 0.5, 2)
    assert extreme["by_dimension"] == {"valence": 1, "arousal": 1}


def test_a_turn_exactly_as_far_from_a_threshold_as_the_judge_errs_is_not_near_it_however_long_it_is() -> None:
    users = [steady((0.465 - 0.05, 0.5), length) for length in range(1, 121)]
    scores = score([answer(f"d{i}", 0, user, user) for i, user in enumerate(users)])
    assert scores.details["reasoning"]["extreme"]["near_threshold"] == 0
    nearer = [steady((0.465 - 0.0499, 0.5), length) for length in range(1, 121)]
    scores = score([answer(f"d{i}", 0, user, user) for i, user in enumerate(nearer)])
    assert scores.details["reasoning"]["extreme"]["near_threshold"] == 120


def test_a_mean_over_users_who_were_judged_by_unlike_streams_says_so() -> None:
    def details(*views: str | None) -> dict[str, Any]:
        judged = [answer(f"d{i}", 0, steady(SAD), steady(SAD), user_view=view) for i, view in enumerate(views)]
        # One that is not scored counts nowhere.
        failed = answer("failed", 0, None, None, error="MediaError: damaged", user_view="video")
        found: dict[str, Any] = score([*judged, failed]).details["reasoning"]
        return found

    mixed = details("audio_video", "audio", "audio")
    assert (mixed["users_by_view"], mixed["mixed_user_views"]) == ({"audio": 2, "audio_video": 1}, True)
    alike = details("audio", "audio")
    assert (alike["users_by_view"], alike["mixed_user_views"]) == ({"audio": 2}, False)
    before = details(None, "audio")
    assert (before["users_by_view"], before["mixed_user_views"]) == ({"audio": 1, "unknown": 1}, False)


def test_values_that_were_clipped_are_told_apart_from_those_that_were_not() -> None:
    judged = [answer(f"d{i}", 0, steady(SAD), steady(SAD), n_clipped=count) for i, count in enumerate((0, 3, 2))]
    assert score(judged).details["reasoning"]["clipped"] == {"items": 2, "values": 5}


def test_a_reply_that_lacks_a_dimension_refuses_the_profile_by_name() -> None:
    half = Trajectory(np.full((4, 1), 0.5), ("valence",), "unit", 2.0)
    scores = score([answer("whole", 0, steady(SAD), steady(SAD)), answer("half", 0, steady(SAD), half)])
    refused = scores.details["reasoning"]["profile_refused"]
    assert refused == "it needs arousal, which the recogniser does not give"
    assert scores.metrics["ecs"].value is None


def test_ers_is_also_told_apart_by_its_parts() -> None:
    scores = score([answer("calm", 0, steady(CALM), steady(CALM)), answer("sad", 0, steady(SAD), steady(SAD))])
    ers = scores.details["reasoning"]["ers"]
    ebs = 1 - 5 * 0.1055
    assert ers["n_parts"] == {"2": 1, "3": 1}
    assert (ers["other_turns"], ers["extreme_turns"]) == pytest.approx((1.0, (2 + ebs) / 3))
    assert value(scores, "ers") == pytest.approx((1 + (2 + ebs) / 3) / 2)
    assert ers["ers_of_columns"] == pytest.approx((1 + ebs + 1) / 3)


def test_the_turns_that_the_release_answers_are_scored_apart() -> None:
    answered = answer("a", 0, steady(CALM), steady(CALM), has_reference=True)
    last = answer("b", 0, steady(CALM), steady(EXCITED))
    details = score([answered, last]).details["reasoning"]["on_reference_turns"]
    assert (details["n"], details["ecs"]) == (1, 1.0)


def test_other_profiles_are_scored_too_or_say_what_they_lack() -> None:
    judged = [answer("sad", 0, steady(SAD), steady(SAD))]
    uncalibrated = score(judged).details["reasoning"]["profiles"]
    assert uncalibrated["calibrated"] == {"refused": "the recogniser has no calibration"}
    assert uncalibrated["emo_reasoning"] == {"refused": "it needs dominance, which the recogniser does not give"}
    calibrated = replace(JUDGE, calibration=CALIBRATION)
    profiles = score([answer("sad", 0, steady(SAD), steady(SAD), judge=calibrated)]).details["reasoning"]["profiles"]
    assert profiles["calibrated"]["ebs"] == pytest.approx(1 - 5 * 0.2 / 1)


def test_a_task_may_be_scored_by_the_judges_own_thresholds_and_says_so_where_there_are_none() -> None:
    scorer = ScorerSpec(name="reasoning", metrics=("ebs",), profile="calibrated")
    task = REPLY.model_copy(update={"scorers": (scorer,)})
    calibrated = replace(JUDGE, calibration=CALIBRATION)
    scores = score([answer("sad", 0, steady(SAD), steady(SAD), judge=calibrated)], task)
    assert scores.details["reasoning"]["profile"]["name"] == "calibrated"
    assert value(scores, "ebs") == pytest.approx(0.0)
    refused = score([answer("sad", 0, steady(SAD), steady(SAD))], task)
    assert "no calibration" in refused.details["reasoning"]["profile_refused"]
    assert refused.metrics["ebs"].value is None


@pytest.mark.parametrize(
    ("judge", "why"),
    [
        (
            replace(JUDGE, calibration=replace(CALIBRATION, delta_v=0.0)),
            "the recogniser's calibration cannot be used: delta_v is 0: the turns of lowest valence are no lower than",
        ),
        (
            replace(JUDGE, calibration=replace(CALIBRATION, theta=0.0)),
            "the recogniser's calibration cannot be used: theta is 0: at least nine in ten steps",
        ),
        (
            replace(JUDGE, card={"no_calibration": "delta_a is 0: nobody is excited"}),
            "the recogniser has no calibration: delta_a is 0: nobody is excited",
        ),
    ],
)
def test_no_reply_is_scored_by_a_calibration_that_would_reward_mirroring(judge: Judge, why: str) -> None:
    scorer = ScorerSpec(name="reasoning", metrics=("ebs",), profile="calibrated")
    task = REPLY.model_copy(update={"scorers": (scorer,)})
    mirrored = [answer("sad", 0, steady(SAD), steady(SAD), judge=judge)]
    scores = score(mirrored, task)
    assert scores.details["reasoning"]["profile_refused"].startswith(f"profile calibrated: {why}")
    assert scores.metrics["ebs"].value is None
    assert score(mirrored).details["reasoning"]["profiles"]["calibrated"]["refused"].startswith(why)


DIALOGUES = [f"d{i}" for i in range(100)]


def sparse(values: np.ndarray, each: int) -> Column:
    """A value in one of `each` dialogues."""
    return Column(np.where(np.arange(100) % each == 0, values, np.nan), DIALOGUES)


def test_a_sparse_column_has_the_interval_of_its_own_dialogues() -> None:
    values = np.random.default_rng(0).uniform(0, 1, 100)
    beside = mean_metrics({"dense": Column(values, DIALOGUES), "sparse": sparse(values, 10)}, 0)
    alone = mean_metrics({"sparse": Column(values[::10], DIALOGUES[::10])}, 0)["sparse"]
    assert (beside["dense"].n_clusters, beside["sparse"].n_clusters) == (100, 10)
    assert (beside["sparse"].ci_low, beside["sparse"].ci_high) == (alone.ci_low, alone.ci_high)
    assert (beside["sparse"].n, beside["sparse"].n_undefined) == (10, 90)


def test_a_value_in_four_of_a_hundred_dialogues_has_no_interval() -> None:
    found = mean_metrics({"x": sparse(np.linspace(0, 1, 100), 25)}, 0)["x"]
    assert found.value is not None
    assert (found.ci_low, found.ci_high, found.n_clusters, found.note) == (None, None, 4, "too few dialogues")


def test_a_column_of_zeros_and_ones_is_a_share() -> None:
    spoken = (np.arange(100) % 9 > 0).astype(float)
    found = mean_metrics({"coverage": Column(spoken, DIALOGUES)}, 0)["coverage"]
    expected = share_estimate(spoken, np.ones(100))
    assert (found.ci_low, found.ci_high) == (expected.ci_low, expected.ci_high)


@pytest.mark.parametrize("rounding", [0.0, 1e-13])
def test_a_mean_that_is_1_in_every_dialogue_is_bounded_below(rounding: float) -> None:
    found = mean_metrics({"ess": Column(np.full(100, 1.0 - rounding), DIALOGUES)}, 0)["ess"]
    assert (found.ci_low, found.ci_high) == (pytest.approx(0.025**0.01), 1.0)


def test_a_mean_that_is_the_same_in_every_dialogue_and_no_end_of_its_range_has_no_interval() -> None:
    found = mean_metrics({"ecs": Column(np.full(100, 0.8), DIALOGUES)}, 0)["ecs"]
    assert found.value == pytest.approx(0.8)
    assert (found.ci_low, found.note) == (None, "the same in every dialogue")


def test_an_anchored_score_that_is_1_in_every_dialogue_has_no_interval() -> None:
    shuffled = np.random.default_rng(0).uniform(0.3, 0.7, 100)
    found = mean_metrics({"ecs_anchored": Column(np.ones(100), DIALOGUES, shuffled)}, 0)["ecs_anchored"]
    assert found.value == pytest.approx(1.0)
    assert (found.ci_low, found.note) == (None, "the same in every dialogue")


def test_the_anchored_ratio_is_formed_anew_in_every_resample() -> None:
    """Where a reply's score follows that of others' replies exactly, the ratio is known better than either."""
    shuffled = np.random.default_rng(1).uniform(0.2, 0.8, 100)
    column = Column(shuffled + 0.5 * (1 - shuffled), DIALOGUES, shuffled)
    found = mean_metrics({"x": column}, 0)["x"]
    assert found.value == pytest.approx(0.5)
    assert (found.ci_low, found.note) == (None, "the same in every dialogue")


def test_a_mean_beyond_zero_and_one_has_an_interval_within_its_own_range() -> None:
    values = np.linspace(-0.9, 0.3, 100)
    found = mean_metrics({"x": Column(values, DIALOGUES, low=-1.0)}, 0)["x"]
    shifted = mean_metrics({"x": Column((values + 1) / 2, DIALOGUES)}, 0)["x"]
    assert found.value == pytest.approx(-0.3)
    assert (found.ci_low, found.ci_high) == pytest.approx((2 * shifted.ci_low - 1, 2 * shifted.ci_high - 1))
