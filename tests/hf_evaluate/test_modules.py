"""The metrics as modules of `evaluate`: loaded from the installed package without network, thin over our own."""

from __future__ import annotations

import ast
import doctest
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from avemo_harness import hf_evaluate
from avemo_harness.errors import UsageError
from avemo_harness.metrics.dialogues import score_dialogues, score_turns
from avemo_harness.metrics.profiles import AV_EMO
from avemo_harness.metrics.trajectory import Trajectory

LABELS = ["neutral", "happy", "angry", "sad"]
PACKAGE = Path(hf_evaluate.__file__).parents[1]
Turn = dict[str, list[float]]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise AssertionError("a metric asked for the network")

    with monkeypatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield


@pytest.fixture(params=get_args(hf_evaluate.Name))
def metric(request: pytest.FixtureRequest) -> Any:
    return hf_evaluate.load(request.param)


def load(name: hf_evaluate.Name, profile: str | None = None) -> Any:
    """A metric that keeps what it is given in memory: files of metrics that failed would be waited for."""
    return hf_evaluate.load(name, profile, keep_in_memory=True)


def random_turns(count: int, seed: int) -> list[Turn]:
    rng = np.random.default_rng(seed)
    shape = {length: rng.random((2, length)).round(3) for length in range(2, 9)}
    drawn = [shape[int(length)] * rng.uniform(0.5, 1.0) for length in rng.integers(2, 9, size=count)]
    return [{"valence": values[0].tolist(), "arousal": values[1].tolist()} for values in drawn]


def as_trajectory(turn: Turn) -> Trajectory:
    return Trajectory(np.array([turn["valence"], turn["arousal"]]).T, ("valence", "arousal"), "unit", 2.0)


def test_its_documentation_holds(metric: Any) -> None:
    examples = doctest.DocTestParser().get_doctest(metric.inputs_description, {"metric": metric}, metric.name, None, 0)
    assert examples.examples
    assert doctest.DocTestRunner().run(examples).failed == 0
    assert "Returns:" in metric.inputs_description
    assert "2510.07355" in metric.citation
    assert metric.description


def test_it_is_a_metric_of_evaluate_under_its_own_name(metric: Any) -> None:
    import evaluate

    assert isinstance(metric, evaluate.Metric)
    assert metric.name.startswith("avemo_")


def test_evaluate_itself_loads_the_folder() -> None:
    hf_evaluate.load("understanding")
    import evaluate

    metric = evaluate.load(str(hf_evaluate.path("understanding")))
    assert metric.compute(predictions=["sad"], references=["sad"])["accuracy"] == 1.0


def test_an_unknown_metric_is_refused_with_the_nearest_name() -> None:
    for ask in (hf_evaluate.path, hf_evaluate.load):
        with pytest.raises(UsageError, match="no metric 'reasonning'; nearest: 'reasoning'"):
            ask("reasonning")  # type: ignore[arg-type]  # (wrong on purpose)


def test_understanding_agrees_with_scikit_learn_on_valid_answers() -> None:
    rng = np.random.default_rng(1)
    gold, answers = (rng.choice(LABELS, 200).tolist() for _ in range(2))
    scores = load("understanding").compute(predictions=answers, references=gold)
    assert scores["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(gold, answers))
    assert scores["macro_f1"] == pytest.approx(sklearn_metrics.f1_score(gold, answers, average="macro"))
    assert scores["balanced_accuracy"] == pytest.approx(sklearn_metrics.balanced_accuracy_score(gold, answers))
    each = sklearn_metrics.f1_score(gold, answers, average=None, labels=LABELS)
    assert [scores[f"f1_{label}"] for label in LABELS] == pytest.approx(each.tolist())
    assert (scores["invalid_rate"], scores["n"]) == (0.0, 200)


def test_answers_are_read_as_in_a_run_and_invalid_ones_are_wrong() -> None:
    answers = ["**Joy!**", "not sad", "happy or sad", "surprise", "", None]
    scores = load("understanding").compute(predictions=answers, references=["happy"] * 3 + ["sad"] * 3)
    assert scores["accuracy"] == pytest.approx(1 / 6)
    assert scores["invalid_rate"] == pytest.approx(5 / 6)
    assert scores["macro_f1"] == pytest.approx((0.5 + 0.0) / 2)
    assert scores["f1_all4"] == pytest.approx(0.5 / 4)
    assert scores["f1_neutral"] is None


def test_other_labels_and_synonyms_can_be_given() -> None:
    scores = load("understanding").compute(
        predictions=["joy", "afraid"], references=["joy", "fear"], labels=["joy", "fear"], synonyms={"fear": ["afraid"]}
    )
    assert (scores["accuracy"], scores["f1_fear"]) == (1.0, 1.0)


def test_answers_in_the_benchmarks_languages_are_read_by_default_and_only_then() -> None:
    answers = [
        "他很难过",
        "Sie ist traurig.",
        "I'd be happy to help, but I can't see it.",
        "She isn't happy, she's sad.",
    ]
    columns = {"predictions": answers, "references": ["sad"] * 4}
    assert load("understanding").compute(**columns)["accuracy"] == pytest.approx(3 / 4)
    given = {"de": {"sad": ["traurig"]}}
    assert load("understanding").compute(**columns, synonyms=given)["accuracy"] == pytest.approx(2 / 4)
    pairs = {"predictions": answers, "audio_labels": ["sad"] * 4, "video_labels": ["happy"] * 4}
    rates = load("modality_preference").compute(**pairs)
    assert [rates[name] for name in ("aar", "var", "olr", "invalid_rate")] == pytest.approx([0.75, 0, 0.25, 0.25])


def test_truth_outside_the_labels_is_refused_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"references\[1\]: expected one of neutral, .*, found 'fear'"):
        load("understanding").compute(predictions=["sad", "sad"], references=["sad", "fear"])
    conflict = {"audio_labels": ["sad"], "video_labels": ["joy"]}
    with pytest.raises(ValueError, match=r"video_labels\[0\]: expected one of"):
        load("modality_preference").compute(predictions=["sad"], **conflict)


def test_nothing_is_undefined() -> None:
    for name, columns in (
        ("understanding", ("predictions", "references")),
        ("modality_preference", ("predictions", "audio_labels", "video_labels")),
        ("reasoning", ("predictions", "references")),
    ):
        scores = load(name).compute(**{column: [] for column in columns})  # type: ignore[arg-type]  # (a name)
        assert {value for key, value in scores.items() if not key.startswith("n")} == {None}
        assert {value for key, value in scores.items() if key.startswith("n")} == {0}


def test_the_rates_of_modality_preference_sum_to_one() -> None:
    answers = ["sad", "anger", "happy", "no idea", None]
    labels = {"audio_labels": ["sad"] * 5, "video_labels": ["angry"] * 5}
    scores = load("modality_preference").compute(predictions=answers, **labels)
    assert [scores[name] for name in ("aar", "var", "olr", "invalid_rate")] == pytest.approx([0.2, 0.2, 0.6, 0.4])


def test_metrics_are_combined_and_fed_in_batches() -> None:
    parts = [load("understanding"), load("modality_preference")]
    import evaluate

    both = evaluate.combine(parts)
    for answer in ("sad", "angry"):
        both.add_batch(predictions=[answer], references=["sad"], audio_labels=["sad"], video_labels=["angry"])
    scores = both.compute()
    assert (scores["accuracy"], scores["aar"], scores["var"]) == (0.5, 0.5, 0.5)
    assert scores["avemo_understanding_n"] == scores["avemo_modality_preference_n"] == 2


def test_profiles_of_reasoning_are_combined() -> None:
    metric = load("reasoning")
    import evaluate

    both = evaluate.combine({"a": metric, "b": load("reasoning", "av_emo")})
    turns = random_turns(4, 1)
    scores = both.compute(predictions=turns, references=turns, dialogues=["d"] * 4)
    assert scores["a_ecs"] == scores["b_ecs"] == 1.0


def test_reasoning_gives_the_means_of_our_own_scores() -> None:
    users, replies = random_turns(60, 2), random_turns(60, 3)
    names = [f"d{number // 3}" for number in range(60)]
    found = load("reasoning").compute(predictions=replies, references=users, dialogues=names)
    said = [as_trajectory(turn) for turn in replies]
    turns = score_turns([as_trajectory(turn) for turn in users], said, AV_EMO)
    across = score_dialogues(turns, said, names, [number % 3 for number in range(60)], AV_EMO)
    columns = {"ecs": turns.ecs.value, "ebs": turns.ebs.value, "ess": turns.ess.value, "ers": turns.ers}
    columns |= {name: getattr(across, name) for name in ("ct_ecs", "ct_ebs", "ct_ess", "ct_ers")}
    assert {"ebs_dir", "ct_ebs_dir", "n_ct_ebs_dir"} <= set(found)
    for name, values in columns.items():
        assert found[name] == pytest.approx(np.nanmean(values), abs=1e-12)
        assert found[f"n_{name}"] == np.count_nonzero(~np.isnan(values))
    assert (found["coverage"], found["n_turns"]) == (1.0, 60)


def test_a_reply_without_speech_lowers_the_coverage_alone_and_parts_its_neighbours() -> None:
    silent: Turn = {"valence": [], "arousal": []}
    turns = random_turns(3, 4)
    metric = load("reasoning")
    scores = metric.compute(predictions=[turns[0], silent, turns[2]], references=turns, dialogues=["d"] * 3)
    assert (scores["ecs"], scores["n_ecs"], scores["n_turns"]) == (1.0, 2, 3)
    assert scores["coverage"] == pytest.approx(2 / 3)
    assert scores["ct_ess"] is None


def test_the_predecessor_s_profile_takes_dominance_and_its_own_rate() -> None:
    turn = {"valence": [-0.5] * 3, "arousal": [0.0] * 3, "dominance": [0.5] * 3}
    metric = load("reasoning", "emo_reasoning")
    scores = metric.compute(predictions=[turn], references=[turn], scale="signed", rate_hz=1.0)
    assert (scores["ecs"], scores["ebs"]) == (1.0, pytest.approx(1 - 5 * 0.211))
    with pytest.raises(ValueError, match=r"predictions\[0\]: profile emo_reasoning: it needs 1 values a second"):
        metric.compute(predictions=[turn], references=[turn], scale="signed")


@pytest.mark.parametrize(
    ("turn", "problem"),
    [
        ({"valence": [0.5]}, r"references\[1\]: profile av_emo takes valence, arousal, and no other; found valence"),
        ({"valence": [0.5], "arousal": [0.5], "dominance": [0.5]}, "and no other; found valence, arousal, dominance"),
        ({"valence": [0.5], "arousal": [0.5, 0.5]}, r"references\[1\]: expected as many values of each dimension"),
        ({"valence": [0.5], "arousal": [1.5]}, r"references\[1\]: expected values in \[0, 1\].* arousal = 1\.5"),
        ({"valence": [0.5], "arousal": [1.01]}, r"references\[1\]: 1 values are off the unit scale; clip them first"),
        ({"valence": [None], "arousal": [0.5]}, r"references\[1\]: expected values in .* valence = nan"),
        (None, r"references\[1\]: .*; found nothing"),
    ],
)
def test_a_turn_that_cannot_be_scored_is_refused_with_its_place(turn: Any, problem: str) -> None:
    good = random_turns(2, 5)
    with pytest.raises(ValueError, match=problem):
        load("reasoning").compute(predictions=good, references=[good[0], turn])


def test_an_unknown_profile_and_turns_without_a_dialogue_are_refused() -> None:
    with pytest.raises(ValueError, match="expected the profile av_emo, emo_reasoning, emo_reasoning_unit, found 'x'"):
        load("reasoning", "x")
    turns = random_turns(2, 6)
    with pytest.raises(ValueError, match="expected the dialogue of each of 2 turns, found 1"):
        load("reasoning").compute(predictions=turns, references=turns, dialogues=["d"])


def test_nothing_else_of_the_package_imports_it() -> None:
    for path in PACKAGE.rglob("*.py"):
        if "hf_evaluate" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom):
                    assert "hf_evaluate" not in f"{node.module} {[alias.name for alias in node.names]}", path


def test_importing_it_imports_neither_evaluate_nor_torch() -> None:
    program = "import sys, avemo_harness.hf_evaluate; print({'evaluate', 'datasets', 'torch'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "set()"
