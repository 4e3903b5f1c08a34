"""The report's page as text: figures with intervals, the published rows beside them, and data that stays data."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from report.html.conftest import Finished
from support.hostile_text import hostile_texts
from support.speaking_runs import Speaker, write_speaking_run
from support.synthetic_release import write_synthetic_release

from avemo_harness.benchmark.published import PEOPLE
from avemo_harness.report.html.page import media_location, report_page
from avemo_harness.report.html.recordings import MediaLocation, Recordings
from avemo_harness.report.scored_run import PeopleScores, people_columns, read_scored_run
from avemo_harness.report.summary import format_results
from avemo_harness.scorers.base import Judge, MetricValue


@pytest.fixture(scope="module")
def page(finished: Finished) -> str:
    return made(finished)


def made(finished: Finished, recordings: Recordings | None = None, **changes: Any) -> str:
    run = replace(read_scored_run(finished.folder), **changes)
    return report_page(run, finished.entries, recordings or Recordings(), ["a note"])


def text_of(page: str) -> str:
    """The figures as a reader sees them: a line a table row."""
    visible = re.sub(r"<(style|script)\b.*?</\1>", "", page, flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]+>", " ", visible.replace("</tr>", "\n")))


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_the_table_has_intervals_and_the_published_rows(page: str, finished: Finished) -> None:
    result = read_scored_run(finished.folder).result
    group = result.groups["multiturn_synthetic"]
    accuracy = group.columns["Acc_A"]
    assert accuracy is not None
    # Few items are shown to two digits, and its four dialogues have no interval.
    assert accuracy.n < 10
    assert f"{accuracy.value:.2f}" in text_of(page)
    known = replace(accuracy, ci_low=0.1234, ci_high=0.9876)
    groups = {**result.groups, group.group: replace(group, columns={**group.columns, "Acc_A": known})}
    text = text_of(made(finished, result=replace(result, groups=groups)))
    assert "0.12–0.99" in text
    published = next(line for line in text.splitlines() if "Qwen2.5-Omni" in line and "0.815" in line)
    heading = "Published: AV-EMO-Reasoning, arXiv 2510.07355, Table 2, as printed"
    assert text.index("shuffled") < text.index(heading) < text.index(published)
    assert "the mean of its three parts" in text
    assert "shuffled" in text


def test_confusions_f1_and_rates_of_each_pair_stand_for_each_condition(page: str) -> None:
    text = text_of(page)
    for words in ("voice and face", "voice alone", "face alone", "F1 of each label", "heard happy, seen angry"):
        assert words in text
    assert page.count("class='confusion'") == 3
    assert "<polyline class='slope'" in page
    assert page.count("<rect class='part") >= 3


def test_failures_are_told_before_the_turns(page: str) -> None:
    text = text_of(page)
    assert "provisional: see “What to doubt”" in text
    assert text.index("items failed and are not scored") < text.index("a note")
    assert "a planted judge" in text
    assert "resamples of whole dialogues" in text


def test_turns_that_were_not_asked_are_counted_with_their_task_and_among_the_doubts(finished: Finished) -> None:
    result = read_scored_run(finished.folder).result
    task = replace(result.tasks["multiturn_synthetic_full_av"], not_asked={"no face": 12})
    text = text_of(made(finished, result=replace(result, tasks={**result.tasks, task.task: task})))
    said = "not asked: 12 turns have no face"
    assert f"{task.task}: {said}" in text
    (row,) = (line for line in text.splitlines() if line.split()[:1] == [task.task] and "accuracy" in line)
    assert said in row


def test_all_metrics_lists_replies_that_wait_for_a_judge_as_the_terminal_does(finished: Finished) -> None:
    result = read_scored_run(finished.folder).result
    task = replace(result.tasks["multiturn_synthetic_reply"], metrics={}, n_spoken=7, n_answered=1_234)
    unjudged = replace(result, tasks={**result.tasks, task.task: task})
    pages = text_of(made(finished, result=unjudged)).partition("All metrics")[2]
    for text, n in ((pages, "1,234"), (format_results(unjudged), "1234")):
        (row,) = (line.split() for line in text.splitlines() if line.split()[:1] == [task.task])
        assert row[1:5] == ["spoken", "7/1234", "—", n]


def test_ratings_of_people_join_the_table(finished: Finished) -> None:
    metric = MetricValue(0.625, 0.5, 0.75, n=30, n_invalid=0, n_errors=0)
    people = PeopleScores(
        "multiturn_synthetic_reply", "multiturn_synthetic", True, 12, 0, dict.fromkeys(PEOPLE, metric)
    )
    text = text_of(made(finished, people=(people,)))
    ours = [line for line in text.splitlines() if "speaker" in line]
    assert any(line.count("0.625") == 4 for line in ours)


def test_ratings_of_replies_to_a_task_of_no_group_have_a_table_of_their_own(page: str, finished: Finished) -> None:
    metric = MetricValue(0.625, 0.5, 0.75, n=30, n_invalid=0, n_errors=0)
    people = PeopleScores("my_reply", None, False, 12, 2, dict.fromkeys(PEOPLE, metric))
    text = text_of(made(finished, people=(people,)))
    assert "my_reply, rated by 12 people, 2 left out (provisional: some items" in " ".join(text.split())
    (row,) = (line for line in text.splitlines() if line.count("0.625") == 4)
    assert row.split()[0] == "my_reply"
    assert row.count("0.500–0.750") == 4
    assert "Rated by people" not in text_of(page)


def test_ratings_on_other_scales_join_no_column_of_the_benchmark(finished: Finished) -> None:
    metric = MetricValue(0.625, 0.5, 0.75, n=30, n_invalid=0, n_errors=0)
    columns = dict.fromkeys(people_columns("av-emo-1"), metric)
    people = PeopleScores("multiturn_synthetic_reply", "multiturn_synthetic", True, 12, 0, columns, "av-emo-1")
    text = text_of(made(finished, people=(people,)))
    assert "rated by 12 people on other scales (av-emo-1), no ER, EN, RR, ERS" in " ".join(text.split())
    assert "emotional response (v1)" in text
    (row,) = (line for line in text.splitlines() if line.count("0.625") == 4)
    assert row.split()[0] == "multiturn_synthetic_reply"


def test_a_page_that_is_sent_around_does_not_tell_where_things_lie(finished: Finished) -> None:
    run = read_scored_run(finished.folder)
    config = replace(
        run.record.config,
        model_args={"voice": "/home/ann/voice.wav", "base_url": "http://ann:pw@gpu:8000/v1", "api_key": "abc"},
        tasks=("/home/ann/tasks/mine.yaml",),
    )
    releases = tuple(replace(one, source="/home/ann/my releases/secret") for one in run.record.releases)
    judge = Judge("/home/ann/judges/mine", "f" * 64)
    result = replace(run.result, identity={"root": "/home/ann/weights"}, judge=judge)
    entry = replace(finished.entries[0], shown={**finished.entries[0].shown, "key": "k"})
    private = replace(run, record=replace(run.record, config=config, releases=releases), result=result)
    page = report_page(private, [entry], Recordings(), ["/home/ann/releases has changed"])
    for secret in ("/home/ann", "my releases", "ann:pw", "abc"):
        assert secret not in text_of(page)
    for kept in ("…/secret", "…/voice.wav", "http://gpu:8000/v1", "…/mine.yaml", "…/weights", "…/releases has changed"):
        assert kept in text_of(page)


def test_a_page_says_where_its_recordings_are(finished: Finished, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert media_location(page) is None
    locations: tuple[MediaLocation, ...] = ("none", "inside", "beside")
    for location in locations:
        page.write_text(made(finished, Recordings(location=location)), encoding="utf-8")
        assert media_location(page) == location
    page.write_text("another page")
    assert media_location(page) is None


def test_the_data_are_all_turns_without_what_is_empty(page: str, finished: Finished) -> None:
    data = data_of(page)
    assert [turn["key"] for turn in data["turns"]] == [one.key for one in finished.entries]
    turn = next(turn for turn in data["turns"] if turn["key"] == "d1a/4")
    assert turn["gold"] == "happy"
    assert turn["user"]["rate_hz"] == 2.0
    assert "heard" not in turn
    assert all("flags" not in answer for answer in turn["answers"])


def test_a_page_with_its_recordings_inside_may_load_nothing_from_anywhere(finished: Finished) -> None:
    inside = made(
        finished, Recordings({"d0a/0": {"kind": "video", "url": "data:video/mp4;base64,AA"}}, location="inside")
    )
    beside = made(finished, Recordings({"d0a/0": {"kind": "video", "url": "media/x.mp4"}}, location="beside"))
    without = made(finished)
    assert "default-src 'none'" in inside
    assert "media-src data:;" in inside
    assert "media-src 'self' file:;" in beside
    assert "media-src 'none';" in without
    for page in (inside, beside, without):
        assert "unsafe-inline" not in page
        assert " style=" not in re.sub(r"<(style|script)\b.*?</\1>", "", page, flags=re.DOTALL)


def test_no_text_ends_the_data_or_becomes_markup(finished: Finished) -> None:
    texts = hostile_texts()
    plain = made(finished)
    entry = finished.entries[0]
    entries = [
        replace(entry, shown={**entry.shown, **dict.fromkeys(("key", "said", "gold", "dialogue"), text)})
        for text in texts
    ]
    page = report_page(read_scored_run(finished.folder), entries, Recordings(), texts)
    assert [turn.get("said", "") for turn in data_of(page)["turns"]] == texts
    for tag in ("<script", "</script", "<img", "<iframe", "<svg onload", "<meta"):
        assert page.count(tag) == plain.count(tag)
    page.encode("utf-8")


def test_a_run_in_which_everything_failed_is_a_page_too(tmp_path: Path) -> None:
    release = write_synthetic_release(tmp_path / "release", dialogues=1, turns=1)
    run = write_speaking_run(tmp_path / "run", release, Speaker(failing=frozenset({"d0a", "d0b"})))
    page = report_page(read_scored_run(run), [], Recordings())
    assert "failed and are not scored" in text_of(page)
    assert data_of(page)["turns"] == []
