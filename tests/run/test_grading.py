"""The grading stage: every answer is graded once or has no grade; kills, failures, other graders, secrets, damage."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonlines
import pytest
from support.answering_server import MODEL, answering, choice, completion
from support.graded_runs import (
    FaultyGrader,
    Telling,
    answer_in,
    grade_of,
    grading,
    run_graded,
    says,
    write_graded_task,
)
from support.releases import write_text_release
from support.waiting import PATIENCE_S, wait_until

from avemo_harness import RunResult, evaluate, score_run
from avemo_harness.errors import StoreError, UsageError
from avemo_harness.run.config import read_run
from avemo_harness.run.grading import NamedGrader, grade_answers, graded_tasks
from avemo_harness.run.releases import RunReleases
from avemo_harness.run.store import RunStore
from avemo_harness.torch_setup import repair_torchvision

NOBODY = "http://127.0.0.1:9/v1"
"""Nothing listens there."""
LATER = "answers stay without a grade"
SAYS_NOTHING = [{"role": "user", "content": [{"type": "text", "text": ""}]}]


def grade(run: Path, name: str | None = None, **arguments: Any) -> list[str]:
    """Grade a run; the sentences that were said."""
    said: list[str] = []
    grade_answers(run, NamedGrader(name, arguments), RunReleases(read_run(run).config, said.append), said.append)
    return said


def rows(run: Path) -> list[dict[str, Any]]:
    return [row for path in sorted((run / "gradings").glob("*.jsonl")) for row in jsonlines.open(path)]


def told(result: RunResult) -> Mapping[str, Any]:
    details: Mapping[str, Any] = result.tasks["told"].details["rubric"]
    return details


def test_every_answer_has_the_grade_that_the_server_gave_it_and_the_results_say_whose(tmp_path: Path) -> None:
    with answering(grading) as server:
        result = run_graded(tmp_path, server.url)
    store = RunStore(tmp_path / "run")
    store.refresh()
    given = {item: grade_of(answer.text or "") for (_, item), answer in store.answers.items()}
    lines = {row["item"]: row["values"]["rubric_mean"] for row in jsonlines.open(tmp_path / "run/scores/told.jsonl")}
    assert lines == given
    assert result.tasks["told"].status == "complete"
    assert result.tasks["told"].metrics["rubric_mean"].value == pytest.approx(sum(given.values()) / len(given))
    grader = told(result)["grader"]
    assert (grader["name"], grader["identity"]["model"]) == ("openai", MODEL)
    assert grader["rubric"] == told(result)["rubric"] == graded_tasks(tmp_path / "run", NamedGrader())[0].rubric.digest
    assert server.url not in (tmp_path / "run/results.json").read_text()


def test_a_grader_gets_question_answer_and_form_as_text_greedily_with_a_seed_of_their_own(tmp_path: Path) -> None:
    with answering(grading) as server:
        run_graded(tmp_path, server.url)
    content = server.payloads[0]["messages"][-1]["content"]
    assert "Question: How does it feel to say: sentence 0 of dialogue" in content
    assert content.endswith("N is a number from 1 to 5.")
    assert {payload["temperature"] for payload in server.payloads} == {0.0}
    assert len({payload["seed"] for payload in server.payloads}) == server.posts == 12
    schema = server.payloads[0]["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == schema["required"] == ["reason", "grade"]


def ask(folder: Path, url: str, model: Telling, changes: Mapping[str, Any], turns: int = 1) -> RunResult:
    """Ask a task with other keys than the usual one's."""
    release = write_text_release(folder / "data", 2, turns)
    task = write_graded_task(folder / "told.yaml", release, url, changes)
    return evaluate(model, str(task), output_path=folder / "run")


def test_a_grader_reads_an_answer_without_the_thoughts_before_it(tmp_path: Path) -> None:
    with answering(grading) as server:
        ask(tmp_path, server.url, Telling(thought="<think>Sad?</think>\n"), {})
    assert all(answer_in(payload).startswith("answer ") for payload in server.payloads)


def test_of_a_spoken_reply_the_words_are_graded_after_the_models_own_replies(tmp_path: Path) -> None:
    spoken = {"output": {"type": "spoken_response"}, "context": {"assistant_replies": "own"}, "messages": SAYS_NOTHING}
    with answering(grading) as server:
        result = ask(tmp_path, server.url, Telling(), spoken, turns=2)
    assert result.tasks["told"].n_ungraded == 0
    told = [payload["messages"][-1]["content"] for payload in server.payloads]
    (second,) = (text for text in told if "Question: sentence 2 of dialogue 0" in text)
    (first,) = (text for text in told if "Question: sentence 0 of dialogue 0" in text)
    assert "A good answer: sentence 1 of dialogue 0" in first
    reply = re.search("Answer: (.*)", first)
    assert reply
    assert f"user: sentence 0 of dialogue 0\nassistant: {reply[1]}" in second
    assert "user:" not in first


def test_a_rubric_sees_the_true_answer_and_the_columns_of_a_table(tmp_path: Path) -> None:
    table = [{"text": f"I lost game {i}.", "answer": f"sad, {i} times", "topic": "chess"} for i in range(6)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table), encoding="utf-8")
    dataset = {"path": "t.jsonl", "columns": {"text": "text", "answer": "answer"}}
    rubric = "{{ row.topic }}: {{ question }}\nAnswer: {{ answer }}\nGood: {{ reference }}"
    changes = {"dataset": dataset, "condition": "full_av"}
    with answering(grading) as server:
        task = write_graded_task(tmp_path / "told.yaml", tmp_path, server.url, changes, rubric=rubric)
        result = evaluate(Telling(), str(task), output_path=tmp_path / "run")
    assert result.tasks["told"].metrics["rubric_mean"].n == 6
    content = [payload["messages"][-1]["content"] for payload in server.payloads]
    assert all(text.startswith("chess: How does it feel to say: I lost game ") for text in content)
    assert {f"Good: sad, {i} times" in "".join(content) for i in range(6)} == {True}


def test_a_number_that_was_cut_off_is_no_grade(tmp_path: Path) -> None:
    cut = completion(choice("length", content="Grade: 1"))
    with answering(lambda _: (200, cut)) as server:
        run_graded(tmp_path, server.url, scale=[1, 10])
    assert {row["error"] for row in rows(tmp_path / "run")} == {
        "the grader's answer reached its limit; give the rubric more max_new_tokens"
    }


@pytest.mark.slow
def test_a_checkpoint_grades_in_batches_and_what_it_babbles_is_no_grade(tmp_path: Path) -> None:
    repair_torchvision()
    from support.tiny_gemma4 import build

    checkpoint = build(tmp_path / "gemma4")
    given = {"grader": "hf-omni", "grader_args": {"pretrained": str(checkpoint)}, "max_new_tokens": 8}
    result = run_graded(tmp_path, NOBODY, **given)
    assert result.tasks["told"].n_ungraded == 12
    assert all(row["error"].startswith("the grader's answer ") for row in rows(tmp_path / "run"))
    assert told(result)["grader"]["name"] == "hf-omni"


def test_equal_answers_to_equal_questions_are_graded_once(tmp_path: Path) -> None:
    with answering(grading) as server:
        run_graded(tmp_path, server.url, kinds=3, rubric="Grade this.\nAnswer: {{ answer }}")
    graded = rows(tmp_path / "run")
    assert len(graded) == 12
    assert server.posts == len({row["answer"] for row in graded}) < 4
    assert score_run(tmp_path / "run").tasks["told"].n_ungraded == 0


@pytest.mark.slow
def test_under_twenty_percent_of_faults_every_answer_is_graded_once_or_has_none(tmp_path: Path) -> None:
    server_says = FaultyGrader(0.2)
    with answering(server_says) as server:
        result = run_graded(tmp_path, server.url, dialogues=200)
        unread = sum(server_says.failed[fault] for fault in ("garbage", "truncated", "off the scale"))
        assert min(server_says.failed.values()) > 0
        assert len(server_says.failed) == 5
        assert result.tasks["told"].n_ungraded == unread
        assert (result.tasks["told"].status, told(result)["n_graded"]) == ("incomplete", 200 - unread)
        while score_run(tmp_path / "run").tasks["told"].n_ungraded:
            grade(tmp_path / "run")
    assert set(server_says.graded.values()) == {1}
    assert len(server_says.graded) == 200
    with answering(grading) as server:
        whole = run_graded(tmp_path / "whole", server.url, dialogues=200)
    assert told(score_run(tmp_path / "run"))["n_graded"] == told(whole)["n_graded"] == 200
    ours, theirs = (result.tasks["told"].metrics for result in (score_run(tmp_path / "run"), whole))
    assert ours == theirs


def test_where_the_grader_is_not_reached_answers_are_kept_and_a_sentence_says_how_to_grade_them(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=rf"{LATER}.*; `avemo-eval grade {tmp_path / 'run'}` grades them later"):
        result = run_graded(tmp_path, NOBODY, grader_args={"base_url": NOBODY, "model": MODEL, "total_s": 0.1})
    task = result.tasks["told"]
    assert (task.n_answered, task.n_ungraded, task.n_errors, task.grader) == (12, 12, 0, None)
    assert task.metrics["rubric_mean"].value is None
    with answering(grading) as server:
        grade(tmp_path / "run", base_url=server.url, total_s=PATIENCE_S)
        assert score_run(tmp_path / "run").tasks["told"].status == "complete"
        assert server.posts == 12


def test_a_grader_that_fails_alike_on_answer_after_answer_is_not_asked_on(tmp_path: Path) -> None:
    with answering(lambda _: says("I cannot grade.")) as server:
        with pytest.warns(UserWarning, match="20 items in a row failed alike.*holds no grade"):
            run_graded(tmp_path, server.url, dialogues=300)
        assert server.posts < 60
    failed = rows(tmp_path / "run")
    assert {"grade" in row for row in failed} == {False}
    assert score_run(tmp_path / "run").tasks["told"].n_ungraded == 300


@pytest.mark.slow
def test_killed_while_requests_are_under_way_it_goes_on_where_it_was(tmp_path: Path) -> None:
    held, asked = threading.Event(), Counter[str]()

    def holding(payload: dict[str, Any]) -> tuple[int, Mapping[str, Any]]:
        asked[answer_in(payload)] += 1
        if asked.total() > 20:
            held.wait(PATIENCE_S)
        return grading(payload)

    with pytest.warns(UserWarning, match=LATER):
        run_graded(tmp_path, NOBODY, dialogues=60, grader_args={"base_url": NOBODY, "model": MODEL, "total_s": 0.1})
    run = tmp_path / "run"
    with answering(holding) as server:
        words = [
            "grade",
            str(run),
            "--num_concurrent",
            "4",
            "--grader_args",
            f"base_url={server.url},total_s={PATIENCE_S}",
        ]
        killed = subprocess.Popen([sys.executable, "-m", "avemo_harness", *words], stderr=subprocess.DEVNULL)
        wait_until(lambda: asked.total() == 24, "four requests under way")
        wait_until(lambda: len(rows(run)) == 20, "what was graded is stored")
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        (path,) = (run / "gradings").glob("*.jsonl")
        path.write_bytes(path.read_bytes() + b'{"task":"told","item"')
        held.set()
        done = subprocess.run(
            [sys.executable, "-m", "avemo_harness", *words], capture_output=True, text=True, check=True
        )
    assert "60 answers graded, by openai" in done.stdout
    assert sorted(asked.values()) == [1] * 56 + [2] * 4
    assert len(rows(run)) == 60


def test_another_grader_takes_over_and_is_remembered_and_the_first_ones_grades_are_kept(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with answering(grading) as first, answering(lambda payload: says("5")) as second:
        mine = run_graded(tmp_path, first.url)
        grade(run, "openai", base_url=second.url, model=MODEL, system="Be kind.")
        kind = score_run(run)
        assert kind.tasks["told"].metrics["rubric_mean"].value == 5.0
        assert told(kind)["grader"]["digest"] != told(mine)["grader"]["digest"]
        assert told(kind)["rubric"] == told(mine)["rubric"]
        asked = (first.posts, second.posts)
        grade(run)
        assert told(score_run(run)) == told(kind)
        grade(run, "openai", base_url=first.url, model=MODEL, timeout_s=PATIENCE_S)
        assert score_run(run) == mine
        assert (first.posts, second.posts) == asked


def test_a_complete_run_is_continued_without_its_grader(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    with answering(grading) as server:
        mine = run_graded(tmp_path, server.url)
    assert run_graded(tmp_path, server.url) == mine
    assert not [warning for warning in recwarn if LATER in str(warning.message)]


def test_several_samples_are_asked_apart_and_their_mean_is_the_grade(tmp_path: Path) -> None:
    def draws(payload: dict[str, Any]) -> tuple[int, Mapping[str, Any]]:
        assert payload["temperature"] == 0.7
        return says(json.dumps({"grade": 1 + payload["seed"] % 5, "reason": ""}))

    with answering(draws) as server:
        run_graded(tmp_path, server.url, samples=3, temperature=0.7)
        assert server.posts == 36
    grades: dict[str, list[float]] = {}
    for row in rows(tmp_path / "run"):
        grades.setdefault(row["item"], []).append(row["grade"])
    lines = {row["item"]: row["values"]["rubric_mean"] for row in jsonlines.open(tmp_path / "run/scores/told.jsonl")}
    assert lines == {item: pytest.approx(sum(of_item) / 3) for item, of_item in grades.items()}


def test_a_grade_of_another_answer_counts_for_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with answering(grading) as server:
        run_graded(tmp_path, server.url)
        for segment in (run / "responses").glob("*.jsonl"):
            lines = segment.read_bytes().splitlines(keepends=True)
            segment.write_bytes(b"".join([lines[0].replace(b"answer", b"reply!"), *lines[1:]]))
        assert score_run(run).tasks["told"].n_answered == 11
        run_graded(tmp_path, server.url)
    assert score_run(run).tasks["told"].n_ungraded == 0


def test_a_damaged_line_is_named_and_its_answer_graded_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with answering(grading) as server:
        mine = run_graded(tmp_path, server.url)
        (path,) = (run / "gradings").glob("*.jsonl")
        path.write_bytes(path.read_bytes().replace(b'"grade":', b'"grade":1', 1))
        result = score_run(run)
        assert result.tasks["told"].n_ungraded == 1
        assert any("line 1: damaged" in sentence and "avemo-eval grade RUN" in sentence for sentence in result.damage)
        grade(run)
    assert score_run(run) == mine
    (run / "grader.json").write_text("{}")
    with pytest.raises(StoreError, match=r"grader.json: cannot be read .*; remove it, then .* avemo-eval grade"):
        score_run(run)


def test_a_key_reaches_a_graders_server_only_where_the_command_names_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from support.chat_server import KEY, ChatServer, running

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with running(ChatServer("hosted")) as server:
        given = {"base_url": server.url, "model": MODEL, "stream": True}
        with pytest.warns(
            UserWarning, match=rf"{LATER}.*--grader_args api_key_env=VARIABLE names the variable of a key"
        ):
            run_graded(tmp_path, server.url, grader_args=given)
        assert server.asked.total() == 0
        grade(tmp_path / "run", api_key_env="OPENAI_API_KEY")
        assert server.asked.total() == 12
    assert KEY not in "".join(path.read_text() for path in (tmp_path / "run").rglob("*.json*"))
    assert "api_key_env" not in (next((tmp_path / "run/gradings").glob("*.json"))).read_text()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"grader_args": {"base_url": NOBODY, "model": "m", "api_key_env": "HOME"}},
            "which of your secrets a server gets",
        ),
        ({"grader": "minicpm-o", "grader_args": {"pretrained": "a/b"}}, "what code runs here, which a file must not"),
        ({"grader": "random", "grader_args": {}}, "random gives no text to a question"),
        ({"grader": "replies", "grader_args": {"path": "x"}}, "replies gives no text to a question"),
        ({"grader": "opnai"}, "unknown model 'opnai'; nearest: 'openai'"),
        ({"grader_args": {"model": "m"}}, "openai needs base_url="),
        ({"rubric": "{{ row.answer }}"}, "has no attribute 'answer'"),
        ({"scale": [1]}, "scale"),
    ],
)
def test_a_grader_that_cannot_be_meant_is_refused_before_anything_is_asked(
    tmp_path: Path, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        run_graded(tmp_path, NOBODY, **parameters)
    assert not (tmp_path / "run" / "responses").exists()
