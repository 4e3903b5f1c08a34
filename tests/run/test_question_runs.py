"""Choices, numbers and texts go through whole runs: asked, read, scored, compared, exported and shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.question_runs import (
    OPTIONS,
    QuestionBench,
    Saying,
    asked_turn,
    choice_release,
    letter_of,
    question_of,
    release_of_turns,
)
from support.whole_runs import responses_of, results_of

from avemo_harness.benchmark.request import Request
from avemo_harness.errors import TaskError, UsageError
from avemo_harness.models import load_class
from avemo_harness.report.compare import compare_runs
from avemo_harness.report.exports import Publication
from avemo_harness.report.exports.formats import setup_notes, spreadsheet
from avemo_harness.report.html.page import write_report
from avemo_harness.report.scored_run import read_scored_run

ALWAYS_A = Saying("always-a", lambda request: "A")
ORACLE = Saying("oracle", letter_of(OPTIONS[0]))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> QuestionBench:
    """48 dialogues of one turn with four options, of which the first in the table is always right."""
    return QuestionBench.of(tmp_path, choice_release(48), monkeypatch)


def metrics(folder: Path, task: str = "which") -> dict[str, Any]:
    values: dict[str, Any] = results_of(folder)["tasks"][task]["metrics"]
    return values


def test_a_model_that_always_says_a_scores_chance_under_permutation_and_has_a_bias_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = QuestionBench.of(tmp_path, choice_release(400), monkeypatch)
    bench.run(ALWAYS_A, bench.task())
    found = metrics(bench.folder / "always-a")
    assert found["accuracy"]["ci_low"] < 0.25 < found["accuracy"]["ci_high"]
    assert found["position_bias"]["value"] == 1.0
    assert found["consistency"]["value"] is None


def test_an_oracle_scores_one_without_bias(bench: QuestionBench) -> None:
    bench.run(ORACLE, bench.task())
    found = metrics(bench.folder / "oracle")
    assert (found["accuracy"]["value"], found["position_bias"]["value"]) == (1.0, 0.0)


def test_under_rotations_a_biased_model_scores_exactly_chance_and_never_names_one_option(bench: QuestionBench) -> None:
    task = bench.task(output={"type": "choice", "order": "rotations"})
    bench.run(ALWAYS_A, task)
    bench.run(ORACLE, task)
    biased, right = metrics(bench.folder / "always-a"), metrics(bench.folder / "oracle")
    assert [biased[name]["value"] for name in ("accuracy", "position_bias", "consistency")] == [0.25, 1.0, 0.0]
    assert [right[name]["value"] for name in ("accuracy", "position_bias", "consistency")] == [1.0, 0.0, 1.0]
    assert (biased["accuracy"]["n"], biased["accuracy"]["n_clusters"], biased["consistency"]["n"]) == (192, 48, 48)


def test_two_models_are_compared_by_all_metrics_of_a_choice(bench: QuestionBench) -> None:
    task = bench.task(output={"type": "choice", "order": "rotations"})
    for model in (ALWAYS_A, ORACLE):
        bench.run(model, task)
    (contrast,) = compare_runs([bench.folder / "always-a", bench.folder / "oracle"], force=False).contrasts
    found = {one.metric: one.difference.value for one in contrast.differences}
    assert found == {"accuracy": 0.75, "position_bias": -1.0, "consistency": 1.0}
    assert {(flip["first_label"], flip["first_verdict"]) for flip in contrast.flips} == {("A", "wrong")}


def test_a_page_shows_each_option_with_the_right_and_the_chosen_letter(bench: QuestionBench) -> None:
    bench.run(ALWAYS_A, bench.task())
    page = write_report(bench.folder / "always-a").read_text(encoding="utf-8")
    assert '"kind": "choice"' in page or '"kind":"choice"' in page
    assert "A. " + OPTIONS[0] in page
    assert '"truth"' in page
    assert '"values"' not in page
    assert f'"gold": "{OPTIONS[0]}"' in page or f'"gold":"{OPTIONS[0]}"' in page


def test_exports_hold_the_metrics_of_a_choice_and_say_how_its_options_were_ordered(bench: QuestionBench) -> None:
    bench.run(ORACLE, bench.task())
    run = read_scored_run(bench.folder / "oracle")
    (text,) = spreadsheet(run, Publication()).values()
    assert ",position_bias,0.0," in text
    assert "letters generated, options shuffled" in setup_notes(run, run.record.tasks[0])


@pytest.mark.parametrize(("model", "letters"), [("random", "ABCD"), ("constant", "B")])
def test_controls_answer_with_letters(bench: QuestionBench, model: str, letters: str) -> None:
    bench.run(model, bench.task(), model_args={"label": "B"} if model == "constant" else {})
    assert {line["text"] for line in responses_of(bench.folder / model)} == set(letters)


def test_models_that_know_labels_of_clips_alone_are_not_asked_for_letters(bench: QuestionBench) -> None:
    result = bench.run("audio-oracle", bench.task())
    assert result.tasks["which"].reason == "the model names labels, and no letters of options"
    assert [load_class(name).capabilities.chooses for name in ("baseline", "video-oracle", "random")] == [
        False,
        False,
        True,
    ]


def test_models_of_labels_are_not_asked_for_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = QuestionBench.of(tmp_path, release_of_turns([[asked_turn(0, "joy")]]), monkeypatch)
    assert bench.run("random", text_task(bench)).tasks["words"].reason == "the model gives no text"


def test_a_constant_letter_that_no_option_has_is_an_error_that_says_which_there_are(bench: QuestionBench) -> None:
    result = bench.run("constant", bench.task(), model_args={"label": "E"}, limit=3)
    assert result.n_errors == 3
    (error, *_) = {line["error"] for line in responses_of(bench.folder / "constant")}
    assert "'E' is none of A, B, C, D" in error


def test_numbers_are_read_and_held_against_the_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = release_of_turns([[asked_turn(0, str(i % 5 + 1), said=f"sentence {i}")] for i in range(20)])
    bench = QuestionBench.of(tmp_path, release, monkeypatch)
    ask = {"type": "text", "text": "How strong, from 1 to 5? {{ turn.text }}"}
    task = bench.task(
        "strength",
        output={"type": "number", "low": 1.0, "high": 5.0},
        messages=[{"role": "user", "content": [ask]}],
        scorers=[{"name": "numbers", "metrics": ["ccc", "mae", "pearson", "answered"]}],
        headline="ccc",
    )
    truth = {dialogue.dialogue_id: float(dialogue.turns[0].answer or 0) for dialogue in release.dialogues}
    right = Saying("right", lambda request: f"I'd say {truth[request.dialogue_id]:g} out of 5.")
    shy = Saying("shy", lambda request: "no idea" if request.dialogue_id == "d003" else "Rating: 3")
    for model in (right, shy):
        bench.run(model, task)
    found = metrics(tmp_path / "right", "strength")
    assert [round(found[name]["value"], 12) for name in ("ccc", "mae", "pearson", "answered")] == [1, 0, 1, 1]
    found = metrics(tmp_path / "shy", "strength")
    assert (found["ccc"]["value"], found["pearson"]["value"]) == (0.0, None)
    assert (found["mae"]["n"], found["mae"]["n_undefined"], found["answered"]["value"]) == (19, 1, 0.95)
    assert results_of(tmp_path / "shy")["tasks"]["strength"]["n_invalid"] == 1
    (contrast,) = compare_runs([tmp_path / "right", tmp_path / "shy"], force=False).contrasts
    compared = {one.metric: (one.n, one.n_undefined) for one in contrast.differences}
    assert compared == {"ccc": (19, 1), "mae": (19, 1), "pearson": (19, 1), "answered": (20, 0)}


def text_task(bench: QuestionBench, **scorer: Any) -> Path:
    return bench.task(
        "words",
        output={"type": "text"},
        messages=[{"role": "user", "content": [{"type": "text", "text": "What is felt? {{ turn.text }}"}]}],
        scorers=[{"name": "text_match", "metrics": ["normalised_match", "exact_match"], **scorer}],
        headline="normalised_match",
    )


def test_texts_match_exactly_or_in_normal_form_and_turns_without_a_truth_are_not_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = QuestionBench.of(
        tmp_path,
        release_of_turns([[asked_turn(0, answer, said=str(answer))] for answer in ("anger", "The Joy", None)]),
        monkeypatch,
    )
    said = {"d000": "anger", "d001": "joy.", "d002": "fear"}
    model = Saying("told", lambda request: said[request.dialogue_id])
    bench.run(model, text_task(bench))
    found = metrics(tmp_path / "told", "words")
    assert (found["normalised_match"]["value"], found["exact_match"]["value"]) == (1.0, 0.5)
    assert found["normalised_match"]["n"] == 2
    bench.run(model, text_task(bench, parameters={"ignore_case": False}), name="strict")
    assert metrics(tmp_path / "strict", "words")["normalised_match"]["value"] == 0.5


def test_exports_say_what_a_scorer_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = QuestionBench.of(tmp_path, release_of_turns([[asked_turn(0, "joy")]]), monkeypatch)
    bench.run(Saying("told", lambda request: "joy"), text_task(bench, parameters={"ignore_case": False}))
    run = read_scored_run(tmp_path / "told")
    assert "text_match: ignore_case=False" in setup_notes(run, run.record.tasks[0])


def history_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> tuple[QuestionBench, Path]:
    bench = QuestionBench.of(tmp_path, choice_release(3, turns=3, options=2), monkeypatch)
    return bench, bench.task(context={"turns": "questions"}, **changes)


def test_a_dialogue_of_questions_holds_the_models_own_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, task = history_bench(tmp_path, monkeypatch)
    told: list[list[str]] = []

    def says(request: Any) -> str:
        told.append(["".join(b.text for b in m.content) for m in request.messages if m.role == "assistant"])
        return f"<think>Hm.</think>B{len(told[-1])}"

    bench.run(Saying("own", says), task)
    assert sorted(told) == [[]] * 3 + [["B0"]] * 3 + [["B0", "B1"]] * 3


def test_the_letter_that_was_ranked_first_stands_in_the_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, task = history_bench(tmp_path, monkeypatch, output={"type": "choice", "method": "rank"})
    seen: list[tuple[str, ...]] = []
    from avemo_harness.models.controls import ConstantAnswer

    original = ConstantAnswer.generate

    def noting(self: ConstantAnswer, requests: Any) -> Any:
        seen.extend(tuple(b.text for m in r.messages if m.role == "assistant" for b in m.content) for r in requests)
        return original(self, requests)

    monkeypatch.setattr(ConstantAnswer, "generate", noting)
    bench.run("constant", task, model_args={"label": "B"})
    assert sorted(seen) == [()] * 3 + [("B",)] * 3 + [("B", "B")] * 3


def test_a_question_after_one_that_failed_is_an_error_of_its_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, task = history_bench(tmp_path, monkeypatch)

    def says(request: Any) -> str:
        raise ValueError("broken")

    result = bench.run(Saying("broken", says), task)
    errors = [line["error"].partition(":")[0] for line in responses_of(tmp_path / "broken")]
    assert result.n_errors == 9
    assert sorted(errors) == ["HistoryError"] * 6 + ["ValueError"] * 3


def test_rotations_have_no_history_of_questions(bench: QuestionBench) -> None:
    task = bench.task(context={"turns": "questions"}, output={"type": "choice", "order": "rotations"})
    with pytest.raises(
        TaskError, match=r"which.yaml:\d+: output.order: with rotations each question has several answers"
    ):
        bench.run(ORACLE, task)


def test_requests_ask_for_letters_and_answers_come_back_by_the_names_of_their_rotations(bench: QuestionBench) -> None:
    from avemo_harness.run.config import RunConfig
    from avemo_harness.run.requests import write_requests

    task = bench.task(output={"type": "choice", "order": "rotations"})
    asked = bench.folder / "asked"
    config = RunConfig.from_mapping({"model": "requests", "tasks": [str(task)], "limit": 5}, "test")
    assert write_requests(config, asked, lambda sentence: None).items == 20
    lines = [json.loads(line) for line in (asked / "requests.jsonl").read_text().splitlines()]
    assert len({line["item"] for line in lines}) == 20
    assert {tuple(line["labels"]) for line in lines} == {("A", "B", "C", "D")}
    answers = [
        {"item": line["item"], "task": line["task"], "label": _letter_in(line["messages"][-1]["content"], OPTIONS[0])}
        for line in lines
    ]
    (asked / "answers.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    bench.run("replies", task, model_args={"path": str(asked)}, limit=5)
    found = metrics(bench.folder / "replies")
    assert (found["accuracy"]["value"], found["consistency"]["value"]) == (1.0, 1.0)


def _letter_in(content: Any, option: str) -> str:
    words = content if isinstance(content, str) else "".join(block["text"] for block in content)
    return next(line[0] for line in words.splitlines() if line.endswith(option))


def test_requests_of_questions_with_own_answers_are_refused(bench: QuestionBench) -> None:
    from avemo_harness.run.config import RunConfig
    from avemo_harness.run.requests import write_requests

    config = RunConfig.from_mapping(
        {"model": "requests", "tasks": [str(bench.task(context={"turns": "questions"}))]}, "test"
    )
    with pytest.raises(UsageError, match="own replies"):
        write_requests(config, bench.folder / "asked", lambda sentence: None)


def test_an_id_names_a_turn_with_all_rotations_or_one_of_them(bench: QuestionBench) -> None:
    task = bench.task(output={"type": "choice", "order": "rotations"})
    bench.run(ORACLE, task, name="one", ids=["d001/0@2"], limit=9)
    bench.run(ORACLE, task, name="all", ids=["d001/0"])
    assert [line["item"] for line in responses_of(bench.folder / "one")] == ["d001/0@2"]
    assert len(responses_of(bench.folder / "all")) == 4


def test_a_question_shows_every_option_on_a_line_of_its_own(bench: QuestionBench) -> None:
    seen: list[str] = []

    def says(request: Request) -> str:
        seen.append(question_of(request))
        return "A"

    bench.run(Saying("seeing", says), bench.task(), limit=1)
    assert sorted(line[3:] for line in seen[0].splitlines()[1:]) == sorted(OPTIONS)


@pytest.mark.parametrize(
    ("output", "truth"), [({"type": "choice"}, "gold: "), ({"type": "number", "low": 0.0, "high": 3.0}, "gold: 0")]
)
def test_a_task_of_any_kind_is_shown_as_a_model_is_asked(
    bench: QuestionBench, output: dict[str, Any], truth: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from avemo_harness.cli import main

    task = bench.task(output=output, scorers=[], headline=None)
    assert main(["show", str(task), "--n", "2"]) == 0
    shown = capsys.readouterr().out
    assert truth in shown
    assert shown.count(": which fits?") == 2
