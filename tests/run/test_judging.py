"""Judging replies and users' turns: once each, kept through kills, and named where it fails."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import jsonlines
import numpy as np
import pytest
from support.clips import melody
from support.judged_runs import TASK, Speaking, rows_of, run
from support.planted_judge import LevelJudge, plant
from support.synthetic_release import CONFIG, write_synthetic_release

from avemo_harness import evaluate
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.benchmark.request import Response, Speech
from avemo_harness.cli import main
from avemo_harness.errors import UsageError
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.report.results import score_run
from avemo_harness.report.values import SENTENCES
from avemo_harness.run.json_files import CHECKSUM, read_sealed_json


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_release(tmp_path_factory.mktemp("release") / "synthetic")


@pytest.fixture(autouse=True)
def _is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVEMO_JUDGE", "embedded")


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> LevelJudge:
    return plant(monkeypatch, LevelJudge())


def contents(folder: Path, *parts: str) -> dict[str, bytes]:
    """Every file of the named parts of a run, by path."""
    files = [path for part in parts for path in (folder / part).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_run_judges_what_was_said_and_names_the_judge(release: Path, tmp_path: Path, judge: LevelJudge) -> None:
    result = run(release, tmp_path / "run")
    reply = result.tasks[TASK]
    assert (reply.status, reply.n_answered, reply.n_unjudged) == ("complete", 12, 0)
    assert reply.metrics["ct_ess"].value == 1.0
    assert reply.metrics["coverage"].value == 1.0
    assert result.judge is not None
    assert (result.judge.name, result.judge.card) == ("embedded", {"lines": ["a planted judge"]})


def test_a_users_clip_is_shown_whole_and_as_sound_alone_once_and_a_reply_as_sound(
    release: Path, tmp_path: Path, judge: LevelJudge
) -> None:
    run(release, tmp_path / "run")
    clips = {
        turn.clip.sha256
        for dialogue in load_release(str(release), CONFIG).dialogues
        for turn in dialogue.turns
        if turn.role == "user" and turn.clip is not None
    }
    views = [view for name, view in judge.shown if not name.startswith("speech/")]
    assert (views.count("both"), views.count("audio")) == (len(clips), len(clips))
    assert {view for name, view in judge.shown if name.startswith("speech/")} == {"audio"}
    with jsonlines.open(next((tmp_path / "run" / "judgements").glob("*.jsonl"))) as lines:
        rows = list(lines)
    louder = [row["user"]["values"]["arousal"][0] - row["user_audio"]["values"]["arousal"][0] for row in rows]
    assert louder == pytest.approx([0.1] * 12, abs=2e-4)
    assert {row["place"] for row in rows} == {0, 1, 2}
    assert all(row["has_reference"] for row in rows)


def test_nothing_is_judged_twice_and_a_torn_line_is_judged_again(
    release: Path, tmp_path: Path, judge: LevelJudge
) -> None:
    folder = tmp_path / "run"
    run(release, folder)
    results, shown = (folder / "results.json").read_bytes(), len(judge.shown)
    run(release, folder)
    assert len(judge.shown) == shown
    file = next((folder / "judgements").glob("*.jsonl"))
    whole = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(whole[:-2]) + whole[-2][:40])
    run(release, folder)
    replies = [name for name, _ in judge.shown[shown:] if name.startswith("speech/")]
    assert len(replies) == 2
    assert sorted(file.read_bytes().splitlines()) == sorted(line.strip() for line in whole)
    assert (folder / "results.json").read_bytes() == results


def test_another_judge_needs_no_model_and_leaves_the_answers_untouched(
    release: Path,
    tmp_path: Path,
    judge: LevelJudge,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "run"
    model = Speaking()
    before = run(release, folder, model)
    answers = contents(folder, "responses", "speech", "items")
    plant(monkeypatch, LevelJudge("another"), "another")
    assert main(["judge", str(folder), "--recognizer", "another"]) == 0
    assert "judged by another" in capsys.readouterr().out
    assert main(["score", str(folder)]) == 0
    assert "replies judged by: another" in capsys.readouterr().out
    assert contents(folder, "responses", "speech", "items") == answers
    # Two versions of a dialogue differ in their last turn: what they share is asked once.
    assert model.asked == 8
    assert len(list((folder / "judgements").glob("*.jsonl"))) == 2
    again = score_run(folder)
    assert again.judge is not None
    assert before.judge is not None
    assert again.judge.digest != before.judge.digest
    # The run goes on with the judge that was named last, until another one is named.
    continued = run(release, folder, model)
    assert continued.judge == again.judge


def test_silence_and_nothing_at_all_are_nulls_with_a_reason(release: Path, tmp_path: Path, judge: LevelJudge) -> None:
    silence = Response(text="...", speech=Speech(np.zeros(16_000, np.float32), 16_000))
    mute = Response(text="I say nothing.", flags=("no_speech",))
    reply = run(release, tmp_path / "run", Speaking({("d0a", 4): silence, ("d1b", 4): mute})).tasks[TASK]
    assert reply.details["reasoning"]["replies"] == {"no speech": 1, "silent": 1, "spoken": 10}
    assert reply.metrics["coverage"].value == pytest.approx(10 / 12)
    assert reply.status == "complete"


def test_a_clip_that_cannot_be_judged_is_an_error_and_is_tried_again(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = load_release(str(release), CONFIG).dialogue("d0a").turns[0].clip
    assert clip is not None
    judge = plant(monkeypatch, LevelJudge(fails_on=frozenset({clip.sha256})))
    result = run(release, tmp_path / "run")
    # Both versions of the dialogue begin with that clip.
    assert (result.tasks[TASK].n_errors, result.provisional) == (2, True)
    judge.fails_on = frozenset()
    assert main(["judge", str(tmp_path / "run")]) == 0
    assert score_run(tmp_path / "run").tasks[TASK].n_errors == 0


def raising(error: BaseException) -> Callable[[str], None]:
    def fail(name: str) -> None:
        del name
        raise error

    return fail


def giving(values: object) -> Callable[[str], object]:
    def give(name: str) -> object:
        del name
        return Trajectory(np.full((4, 2), values), ("valence", "arousal"), "unit", 2.0)

    return give


FAILURES = {
    "RuntimeError: out of memory": raising(RuntimeError("out of memory")),
    "AssertionError: no message": raising(AssertionError()),
    "SystemExit: 3": raising(SystemExit(3)),
    "found valence = nan at step 0": giving(np.nan),
    "found valence = 1.2 at step 0": giving(1.2),
    "the judge gave NoneType, expected a Trajectory": lambda name: None,
    "the judge gave ndarray, expected a Trajectory": lambda name: np.zeros((2, 2)),
}


@pytest.mark.parametrize("said", FAILURES)
@pytest.mark.parametrize("of", ["user", "reply"])
def test_whatever_a_judge_does_on_one_clip_is_an_error_that_names_it_and_the_judging_goes_on(
    said: str, of: str, release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = load_release(str(release), CONFIG).dialogue("d0a").turns[0].clip
    assert clip is not None
    other = Speech(melody(1.5, seed=9), 16_000)
    model = Speaking({("d0a", 0): Response(text="Oh.", speech=other), ("d0b", 0): Response(text="Oh.", speech=other)})
    judge = plant(monkeypatch, LevelJudge())
    folder = tmp_path / "run"
    run(release, folder, model)
    if of == "user":
        names, digest = {"d0a/0": "dialogue d0a, turn 0", "d0b/0": "dialogue d0b, turn 0"}, clip.sha256
    else:
        path = folder / next(row["speech"] for row in rows_of(folder, "responses") if row["item"] == "d0a/0")
        names = dict.fromkeys(("d0a/0", "d0b/0"), str(path.relative_to(folder)))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    judge.name, judge.fails_on, judge.fail = "failing", frozenset({digest}), FAILURES[said]
    assert main(["judge", str(folder)]) == 0
    errors = {row["item"]: row["error"] for row in rows_of(folder, "judgements", newest=True) if "error" in row}
    # Both versions of the dialogue begin with that clip, and their first turn was answered once.
    assert errors.keys() == names.keys()
    for item, error in errors.items():
        assert names[item] in error
        assert said in error
    result = score_run(folder).tasks[TASK]
    assert (result.n_errors, result.n_unjudged) == (2, 0)
    assert result.metrics["coverage"].n == 10


def test_a_judge_that_cannot_work_ends_in_one_sentence(
    release: Path, tmp_path: Path, judge: LevelJudge, capsys: pytest.CaptureFixture[str]
) -> None:
    run(release, tmp_path / "run")
    clip = load_release(str(release), CONFIG).dialogue("d0a").turns[0].clip
    assert clip is not None
    judge.name, judge.fails_on = "broken", frozenset({clip.sha256})
    judge.fail = raising(UsageError("the weights are missing; fetch them"))
    assert main(["judge", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "avemo-eval: the weights are missing; fetch them"


def test_values_a_little_off_the_scale_are_clipped_and_counted(
    release: Path, tmp_path: Path, judge: LevelJudge
) -> None:
    clip = load_release(str(release), CONFIG).dialogue("d0a").turns[0].clip
    assert clip is not None
    judge.fails_on, judge.fail = frozenset({clip.sha256}), giving([1.02, 0.5])
    reply = run(release, tmp_path / "run").tasks[TASK]
    rows = {row["item"]: row for row in rows_of(tmp_path / "run", "judgements")}
    assert rows["d0a/0"]["user"]["values"]["valence"] == [1.0] * 4
    # By sound and face, and by sound alone.
    assert {item: row["n_clipped"] for item, row in rows.items() if "n_clipped" in row} == {"d0a/0": 8, "d0b/0": 8}
    assert reply.n_errors == 0
    assert reply.details["reasoning"]["clipped"] == {"items": 2, "values": 16}


def test_judgements_of_before_are_read_though_they_lack_what_is_noted_now(
    release: Path, tmp_path: Path, judge: LevelJudge
) -> None:
    folder = tmp_path / "run"
    run(release, folder)
    file = next((folder / "judgements").glob("*.jsonl"))
    rows = [
        {key: value for key, value in row.items() if key not in ("user_view", CHECKSUM)}
        for row in rows_of(folder, "judgements")
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    details = score_run(folder).tasks[TASK].details["reasoning"]
    assert (details["users_by_view"], details["mixed_user_views"]) == ({"unknown": 12}, False)
    assert details["clipped"] == {"items": 0, "values": 0}


def test_what_is_not_judged_yet_makes_a_run_provisional(release: Path, tmp_path: Path, judge: LevelJudge) -> None:
    folder = tmp_path / "run"
    run(release, folder)
    (folder / "judge.json").unlink()
    result = score_run(folder)
    assert (result.tasks[TASK].n_unjudged, result.provisional, result.judge) == (12, True, None)
    assert result.tasks[TASK].metrics["ct_ers"].value is None


def test_scores_of_the_embedded_judge_on_other_data_than_the_demo_are_marked(
    release: Path, tmp_path: Path, judge: LevelJudge, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(release, tmp_path / "run")
    assert not result.tasks[TASK].comparable
    main(["score", str(tmp_path / "run")])
    assert f"{TASK}: not comparable" in capsys.readouterr().out


def test_a_judge_of_any_name_that_learned_from_the_built_in_voice_and_face_is_marked_as_the_embedded_one(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = plant(monkeypatch, LevelJudge(), "strict")
    judge.card_values = {"lines": ["trained on the built-in demo"], "embedded": True}
    task = run(release, tmp_path / "run", recognizer="strict").tasks[TASK]
    assert not task.comparable
    assert {"D" in metric.marks for name, metric in task.metrics.items() if name.startswith("ct_")} == {True}
    main(["score", str(tmp_path / "run")])
    assert f"{TASK}: not comparable: the judge strict knows" in " ".join(capsys.readouterr().out.split())
    judge.card_values = {"lines": ["trained on people"], "embedded": False}
    assert run(release, tmp_path / "other", recognizer="strict").tasks[TASK].comparable


def test_steadiness_by_a_judge_that_learned_labels_is_marked_and_the_mark_is_explained(
    release: Path, tmp_path: Path, judge: LevelJudge, capsys: pytest.CaptureFixture[str]
) -> None:
    anchors = {"anchors": {"neutral": [0.5, 0.5]}, "intensities": {}}
    judge.card_values = {"lines": ["a planted judge of labels"], "placement": anchors}
    metrics = run(release, tmp_path / "run").tasks[TASK].metrics
    assert {name for name, metric in metrics.items() if "L" in metric.marks} == {"ess_rate"}
    main(["score", str(tmp_path / "run")])
    printed = capsys.readouterr().out
    assert SENTENCES["L"] in " ".join(printed.split())
    judge.card_values = {"lines": ["a planted judge"]}
    unmarked = run(release, tmp_path / "other").tasks[TASK].metrics
    assert not any("L" in metric.marks for metric in unmarked.values())


def test_a_release_that_changed_since_is_refused(release: Path, tmp_path: Path, judge: LevelJudge) -> None:
    folder = tmp_path / "run"
    run(release, folder)
    record = read_sealed_json(folder / "run.json")
    record["releases"][0]["fingerprint"] = "0" * 64
    (folder / "run.json").write_text(json.dumps(record))
    assert main(["judge", str(folder)]) == 2


def test_a_run_without_replies_has_nothing_to_judge(
    release: Path, tmp_path: Path, judge: LevelJudge, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("random", f"{CONFIG}_full_av", dataset=str(release), output_path=tmp_path / "run")
    assert main(["judge", str(tmp_path / "run")]) == 0
    assert "nothing to judge" in capsys.readouterr().out
    assert not judge.shown


def test_an_unknown_judge_is_refused_with_those_that_there_are(
    release: Path, tmp_path: Path, judge: LevelJudge
) -> None:
    run(release, tmp_path / "run")
    with pytest.raises(UsageError, match=r"unknown judge 'embeded'.*embedded"):
        run(release, tmp_path / "run", recognizer="embeded")


@pytest.mark.parametrize("damage", ["cut", "gone"])
@pytest.mark.parametrize("which", ["judge.json", "judgements/*.json"])
def test_a_judge_that_cannot_be_read_is_whole_again_once_it_is_named(
    which: str, damage: str, release: Path, tmp_path: Path, judge: LevelJudge, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    run(release, folder)
    before = (folder / "results.json").read_bytes()
    (path,) = folder.glob(which)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        path.unlink()
    shown = len(judge.shown)
    named = which != "judge.json" or damage == "cut"  # without that file, a run was not judged yet
    assert main(["score", str(folder)]) == (2 if named else 0)
    assert (f"{path}: " in capsys.readouterr().err) is named
    assert main(["judge", str(folder)]) == (2 if named else 0)
    assert (f"avemo-eval judge {folder} --recognizer NAME" in capsys.readouterr().err) is named
    assert main(["judge", str(folder), "--recognizer", "embedded"]) == 0
    assert main(["score", str(folder)]) == 0
    assert (folder / "results.json").read_bytes() == before
    assert len(judge.shown) == shown, "nothing is judged again"


def test_a_damaged_judgement_names_its_file_and_line(release: Path, tmp_path: Path, judge: LevelJudge) -> None:
    folder = tmp_path / "run"
    run(release, folder)
    file = next((folder / "judgements").glob("*.jsonl"))
    lines = file.read_text().splitlines()
    lines[3] = lines[3].replace("0.5", "NaN", 1)
    file.write_text("\n".join(lines) + "\n")
    result = score_run(folder)
    (told,) = result.damage
    assert told.startswith(f"judgements/{file.name}, line 4: damaged (")
    assert (result.tasks[TASK].n_unjudged, result.provisional) == (1, True)
    again = run(release, folder)
    assert (again.tasks[TASK].n_unjudged, again.provisional, again.damage) == (0, False, ())
