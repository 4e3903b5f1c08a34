"""Several judges on the same runs: how alike they rank turns and systems, and that the runs' own scores stay."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import melody
from support.judged_runs import TASK, Speaking, run
from support.planted_judge import LevelJudge, plant
from support.synthetic_release import CONFIG, write_synthetic_release

from avemo_harness import evaluate
from avemo_harness.benchmark.request import Request, Response, Speech
from avemo_harness.cli import main
from avemo_harness.report.results import score_run
from avemo_harness.run.store import read_items


class Reciting(Speaking):
    """Says a melody, louder or softer from turn to turn by its seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def identity(self) -> Mapping[str, str]:
        return {"model": "reciting", "seed": str(self.seed)}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        self.asked += len(requests)
        return [self._reply(int(one.dialogue_id[1:-1]), one.turn_index) for one in requests]

    def _reply(self, dialogue: int, turn: int) -> Response:
        level_db = np.random.default_rng([self.seed, dialogue, turn]).uniform(-10 - 10 * self.seed, 0)
        sound = melody(1.0, seed=5) * 10 ** (level_db / 20)
        return Response(text="I see.", speech=Speech(sound.astype(np.float32), 16_000))


class Contrary(LevelJudge):
    """Hears the loud as calm and the soft as aroused: every distance between two sounds is the same."""

    def trajectory(self, streams: Any, view: Any) -> Any:
        heard = super().trajectory(streams, "audio")
        return replace(heard, values=np.column_stack([heard.values[:, 0], 1 - heard.values[:, 1]]))


class Level(LevelJudge):
    """Hears the level alone, whether or not a face is shown."""

    def trajectory(self, streams: Any, view: Any) -> Any:
        return super().trajectory(streams, "audio")


class Guessing(LevelJudge):
    """Hears a place that the recording's digest decides."""

    def trajectory(self, streams: Any, view: Any) -> Any:
        heard = super().trajectory(streams, view)
        point = np.random.default_rng(int(streams.digests[0][:8], 16)).uniform(size=2)
        return replace(heard, values=np.tile(point, (len(heard), 1)))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_release(tmp_path_factory.mktemp("release") / "synthetic", dialogues=5)


@pytest.fixture
def judges(monkeypatch: pytest.MonkeyPatch) -> dict[str, LevelJudge]:
    planted = {
        "embedded": LevelJudge("embedded"),
        "level": Level("level"),
        "contrary": Contrary("contrary"),
        "guessing": Guessing("guessing"),
    }
    return {name: plant(monkeypatch, judge, name) for name, judge in planted.items()}


@pytest.fixture(scope="module")
def runs(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of three systems, ever softer, judged and scored by the embedded judge."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        plant(patch, LevelJudge("embedded"))
        for seed in range(3):
            run(release, folder / f"run{seed}", Reciting(seed), recognizer="embedded")
    return folder


@pytest.fixture
def folders(runs: Path, tmp_path: Path, judges: dict[str, LevelJudge]) -> list[Path]:
    """Copies of these runs, and the judges that may judge them."""
    return [Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in sorted(runs.iterdir())]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def compare(folders: Sequence[Path], names: Sequence[str], out: Path) -> dict[str, Any]:
    named = [word for name in names for word in ("--recognizer", name)]
    assert main(["judge", "compare", *map(str, folders), *named, "--json", str(out)]) == 0
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_judges_that_hear_the_same_distances_rank_turns_alike_and_one_that_guesses_does_not(
    folders: list[Path], tmp_path: Path
) -> None:
    found = compare(folders[:1], ["level", "contrary", "guessing"], tmp_path / "judges.json")
    ecs = {tuple(one["judges"]): one for one in found["turns"] if one["metric"] == "ecs"}
    alike = ecs["level", "contrary"]
    assert (alike["n"], alike["spearman"]["value"], alike["kendall"]["value"]) == (30, 1.0, 1.0)
    other = ecs["level", "guessing"]
    assert abs(other["spearman"]["value"]) < 0.7
    assert other["spearman"]["ci_low"] < other["spearman"]["value"] < other["spearman"]["ci_high"]
    assert other["spearman"]["n_clusters"] == 10
    # Every judge here hears steady voices: ESS is 1 throughout, and ranks nothing.
    assert {one["spearman"]["value"] for one in found["turns"] if one["metric"] == "ess"} == {None}
    assert found["systems"] == []


def test_two_judges_are_held_against_each_other_on_the_turns_that_both_give_a_value(
    folders: list[Path], tmp_path: Path
) -> None:
    """EBS is of users who are extreme: by one judge they are, where they are loud, by the other one they are not."""
    found = compare(folders[:1], ["level", "contrary"], tmp_path / "judges.json")
    ebs = {one["judge"]: one["n"] for one in found["scores"] if one["metric"] == "ct_ebs"}
    assert (ebs["level"], ebs["contrary"]) == (10, 0)
    (agreement,) = (one for one in found["turns"] if one["metric"] == "ebs")
    assert (agreement["n"], agreement["spearman"]["value"]) == (0, None)


def test_the_runs_judge_results_and_answers_stay_as_they_are(folders: list[Path], tmp_path: Path) -> None:
    before = [files_of(folder) for folder in folders]
    found = compare(folders, ["level", "guessing"], tmp_path / "judges.json")
    for folder, old in zip(folders, before, strict=True):
        now = files_of(folder)
        assert {name: now[name] for name in old} == old
        added = sorted(now.keys() - old.keys())
        assert [Path(name).suffix for name in added] == [".json", ".jsonl"] * 2
        assert {name.split("/")[1].split(".")[0] for name in added} == {
            digest[:16] for digest in found["judges"].values()
        }
        assert score_run(folder).to_json().encode() == old["results.json"]


def test_the_card_that_a_run_keeps_of_its_judge_stays_though_the_judge_has_another_one_by_now(
    folders: list[Path], judges: dict[str, LevelJudge], tmp_path: Path
) -> None:
    judges["embedded"].card_values = {"lines": ["says more today"]}
    before = files_of(folders[0])
    compare(folders[:1], ["embedded", "level"], tmp_path / "judges.json")
    assert {name: text for name, text in files_of(folders[0]).items() if name in before} == before


def test_what_was_judged_before_is_used_again(
    folders: list[Path], judges: dict[str, LevelJudge], tmp_path: Path
) -> None:
    shown = len(judges["embedded"].shown)
    first = compare(folders, ["embedded", "level"], tmp_path / "judges.json")
    assert len(judges["embedded"].shown) == shown
    heard = len(judges["level"].shown)
    assert compare(folders, ["embedded", "level"], tmp_path / "again.json") == first
    assert len(judges["level"].shown) == heard


def test_systems_have_the_scores_of_their_own_tables_and_their_order_by_one_judge_and_another(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compare(folders, ["embedded", "level", "guessing"], tmp_path / "judges.json")
    shown = capsys.readouterr().out
    scores = {(one["system"], one["judge"], one["metric"]): one for one in found["scores"]}
    names = list(dict.fromkeys(one["system"] for one in found["scores"]))
    assert len(names) == 3
    for name, folder in zip(names, folders, strict=True):
        for judge in ("guessing", "embedded"):
            assert main(["judge", str(folder), "--recognizer", judge]) == 0
            own = score_run(folder).tasks[TASK].metrics["ct_ecs"]
            of_judge = scores[name, judge, "ct_ecs"]
            assert (of_judge["score"]["value"], of_judge["n"]) == (own.value, own.n)
            assert of_judge["score"]["ci_low"] == own.ci_low
    by_judge = {judge: [scores[name, judge, "ct_ecs"]["score"]["value"] for name in names] for judge in found["judges"]}
    # The softer a system, the farther it is from users who are loud.
    assert by_judge["level"] == sorted(by_judge["level"], reverse=True)
    (ranked,) = (one for one in found["systems"] if (one["metric"], one["judges"]) == ("ct_ecs", ["embedded", "level"]))
    assert (ranked["n"], ranked["spearman"]["value"], ranked["kendall"]["value"]) == (3, 1.0, 1.0)
    assert "embedded and level, systems" in shown
    assert f"{by_judge['guessing'][0]:.3f}" in shown
    assert "By which judge a run is scored has not changed" in shown


def test_a_clip_that_one_judge_cannot_judge_is_left_out_and_counted(
    folders: list[Path], judges: dict[str, LevelJudge], release: Path, tmp_path: Path
) -> None:
    from avemo_harness.benchmark.release_loader import load_release

    clip = load_release(str(release), CONFIG).dialogues[0].turns[4].clip
    assert clip is not None
    judges["level"].fails_on = frozenset({clip.sha256})
    found = compare(folders[:1], ["level", "embedded"], tmp_path / "judges.json")
    (note,) = found["notes"]
    assert f"{TASK}: 1 turns could not be judged by level and are left out" in note
    (ecs,) = (one for one in found["turns"] if one["metric"] == "ecs")
    assert ecs["n"] == 29


def refused(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["judge", "compare", *arguments]) == 2
    return capsys.readouterr().err


def test_one_judge_is_not_compared_with_itself(folders: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    one = refused([str(folders[0]), "--recognizer", "level"], capsys)
    assert "at least two: --recognizer A --recognizer B" in one
    twice = refused([str(folders[0]), "--recognizer", "level", "--recognizer", "level"], capsys)
    assert "'level' and 'level' are one judge; name two that differ" in twice


def test_runs_of_other_questions_and_without_replies_are_refused(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judges = ["--recognizer", "level", "--recognizer", "guessing"]
    other = write_synthetic_release(tmp_path / "other", dialogues=2)
    run(other, tmp_path / "elsewhere", Reciting(7), recognizer="embedded")
    message = refused([str(folders[0]), str(tmp_path / "elsewhere"), *judges], capsys)
    assert "were not asked the same: release multiturn_synthetic, split test differs" in message
    evaluate("random", f"{CONFIG}_full_av", dataset=str(other), output_path=tmp_path / "labels")
    assert "it asked no task of spoken replies" in refused([str(tmp_path / "labels"), *judges], capsys)


def test_its_help_tells_its_own_options_and_that_of_judge_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    for words, told in ((["judge", "compare"], "judge compare [-h] --recognizer"), (["judge"], "judge compare RUN")):
        with pytest.raises(SystemExit, match=r"^0$"):
            main([*words, "--help"])
        assert told in capsys.readouterr().out


def test_a_folder_of_that_name_is_judged_when_it_is_written_as_a_path(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders[0].rename(tmp_path / "compare")
    monkeypatch.chdir(tmp_path)
    assert main(["judge", "./compare", "--recognizer", "guessing"]) == 0
    assert "judged by guessing" in capsys.readouterr().out
    assert len(read_items(Path("compare"), TASK)) == 30
