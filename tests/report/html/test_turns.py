"""The turns of a report: all of them, each with every answer, the disputed ones first where there are too many."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from report.html.conftest import Finished
from support.speaking_runs import GROUP, Speaker, write_speaking_run
from support.synthetic_release import write_synthetic_release

from avemo_harness.report.html import turns
from avemo_harness.report.html.turns import list_entries, most_interesting, shown_tasks
from avemo_harness.report.scored_run import read_scored_run
from avemo_harness.run.json_files import parse_line


def test_a_turn_has_the_answers_of_every_task_that_asked_about_it(finished: Finished) -> None:
    names = [task["name"].removeprefix(f"{GROUP}_") for task in shown_tasks(read_scored_run(finished.folder))]
    shown = finished.entry("d1a/4").shown
    verdicts = {names[one["task"]]: one["verdict"] for one in shown["answers"]}
    assert verdicts == dict.fromkeys(("full_av", "audio_only", "video_only"), "right") | {"reply": "spoken"}
    assert (shown["gold"], shown["said"], shown["group"]) == ("happy", "Sentence 2 of dialogue 1.", GROUP)
    assert shown["user"]["rate_hz"] == 2.0
    assert set(shown["user"]["valence"]) == {0.5}
    assert len(shown["reply"]["arousal"]) == len(shown["reply"]["valence"])


def test_a_conflict_pair_is_an_entry_of_its_own(finished: Finished) -> None:
    pair = finished.entry("d0a-d0b").shown
    assert (pair.get("gold"), pair["heard"], pair["seen"]) == (None, "happy", "sad")
    assert [one.get("label") for one in pair["answers"]] in (["happy"], [None])
    assert len(finished.entries) == 4 * 3 + 4


def test_a_failure_is_told_in_its_own_words_and_comes_first(finished: Finished) -> None:
    failed = finished.entry("d0a/0")
    assert {one["verdict"] for one in failed.shown["answers"]} == {"error", "spoken"}
    assert failed.shown["answers"][0]["text"] == "GenerationError: happy"
    assert failed.interest > finished.entry("d1a/4").interest
    assert failed in most_interesting(finished.entries, 3)
    indices = [finished.entries.index(one) for one in most_interesting(finished.entries, 7)]
    assert indices == sorted(indices)


def test_without_a_release_there_are_no_words_and_the_labels_stay(finished: Finished) -> None:
    bare = list_entries(read_scored_run(finished.folder), {})
    assert [one.key for one in bare] == [one.key for one in finished.entries]
    assert {one.shown.get("said") for one in bare} == {None}
    assert bare[0].shown["gold"] == finished.entries[0].shown["gold"]


def test_labels_that_were_ranked_are_shown_with_their_log_probabilities(finished: Finished, tmp_path: Path) -> None:
    run = shutil.copytree(finished.folder, tmp_path / "run")
    for segment in (run / "responses").glob("*.jsonl"):
        records = [parse_line(line) for line in segment.read_bytes().splitlines()]
        ranked = [{**one, "text": None, "label_logprobs": {"sad": -4.0, "happy": -0.5}} for one in records]
        segment.write_text("".join(json.dumps(one) + "\n" for one in ranked), encoding="utf-8")
    shown = next(one.shown for one in list_entries(read_scored_run(run), {}) if one.key == "d1a/4")
    assert {one["text"] for one in shown["answers"]} == {"log-probabilities: happy -0.50, sad -4.00"}


def test_long_answers_are_cut_and_say_so(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_LEAST_CHARACTERS", 3)
    monkeypatch.setattr(turns, "TEXT_BUDGET", 0)
    cut = list_entries(read_scored_run(finished.folder), {})
    assert {one["text"] for entry in cut for one in entry.shown["answers"]} == {
        "hap … (2 more characters)",
        "Gen … (19 more characters)",
    }


def test_an_error_does_not_tell_where_things_lie_and_an_answer_is_shown_as_it_is(tmp_path: Path) -> None:
    release = write_synthetic_release(tmp_path / "release", dialogues=1, turns=1)
    model = Speaker(says="/home/ann/clip.mp4 is happy", failing=frozenset({"d0a"}))
    run = write_speaking_run(tmp_path / "run", release, model, tasks=(f"{GROUP}_full_av",))
    failed, answered = (one.shown["answers"][0] for one in list_entries(read_scored_run(run), {}))
    assert (failed["text"], failed.get("why")) == ("GenerationError: …/clip.mp4 is happy", None)
    assert answered["text"] == "/home/ann/clip.mp4 is happy"
