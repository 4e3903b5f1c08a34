"""`avemo-eval human`: from runs to a table, and what it says when something is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from human.first_study import write_first_study
from human.runs import Tones, write_run
from human.studies import write_small_study
from support.synthetic_release import write_synthetic_release

from avemo_harness.cli import main
from avemo_harness.human import web
from avemo_harness.human.study import read_key, read_study


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    release = write_synthetic_release(folder / "release", dialogues=3, turns=1)
    return (
        write_run(folder / "one", release, Tones("one", hz=300)),
        write_run(folder / "two", release, Tones("two", hz=600)),
    )


@pytest.fixture(scope="module")
def folder(runs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("planned") / "study"
    consent = out.parent / "consent.txt"
    consent.write_text("First\nparagraph.\n\nAsk us at study@example.org.\n")
    command = ["human", "plan", str(runs[0]), f"B={runs[1]}", "--out", str(out), "--dialogues", "4"]
    assert main([*command, "--consent", str(consent), "--title", "Replies"]) == 0
    return out


def test_a_plan_says_what_it_asks_of_people(folder: Path) -> None:
    study = read_study(folder)
    assert study.consent == ("First paragraph.", "Ask us at study@example.org.")
    assert (study.title, len(study.sessions)) == ("Replies", 10)


def test_imported_ratings_become_a_table_and_join_the_runs(
    folder: Path, runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    study, key = read_study(folder), read_key(folder)
    items = study.by_id()
    rows = ["rater,item,repeat,er,en,rr"]
    for number, session in enumerate(study.sessions):
        for one in session.showings:
            given = {"er": 4, "en": 2 if key.items[one.item].system == "B" else 3, "rr": 1 + number % 5}
            given |= items[one.item].expected
            rows.append(f"person{number},{one.item},{int(one.repeat)},{given['er']},{given['en']},{given['rr']}")
    ratings = folder.parent / "ratings.csv"
    ratings.write_text("\n".join(rows))
    assert main(["human", "import", str(folder), str(ratings), "--scales", "av-emo-2"]) == 0
    assert f"{len(rows) - 1} ratings of 10 raters" in capsys.readouterr().out
    assert main(["human", "analyze", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "40 of 40 ratings by 10 raters, on the scales av-emo-2\n" in said
    assert "provisional" not in said
    assert "Krippendorff's alpha" in said
    table, _, written = said.partition("\nwritten: ")
    assert max(map(len, table.splitlines())) <= 100
    assert "ratings.csv, raters.csv" in written
    joined = json.loads((runs[1] / "human" / "multiturn_synthetic_reply.json").read_text())
    assert (joined["label"], joined["group"], joined["complete"]) == ("B", "multiturn_synthetic", True)
    assert joined["columns"]["EN"]["value"] == 0.25
    ratings.write_text("\n".join([f"{rows[0]},scales", *(f"{row},av-emo-1" for row in rows[1:])]))
    assert main(["human", "import", str(folder), str(ratings)]) == 0
    assert f"{len(rows) - 1} of them on the scales av-emo-1, which are not the study's (av-emo-2): kept apart" in (
        capsys.readouterr().out
    )
    assert main(["human", "analyze", str(folder)]) == 0
    said = capsys.readouterr().out
    own, _, apart = said.partition("40 of 40 ratings by 10 raters, on the scales av-emo-1\n")
    assert own.strip() == table.strip()
    assert apart.startswith("another wording than av-emo-2: these are no ER, EN, RR, ERS")
    assert "emotional response (v1)" in apart
    assert json.loads((runs[1] / "human" / "multiturn_synthetic_reply.json").read_text()) == joined
    assert main(["score", str(runs[1])]) == 0
    shown = capsys.readouterr().out
    assert "rated by 10 people\nmodel" in shown
    assert "rated by 10 people on other scales (av-emo-1), no ER, EN, RR, ERS\nmodel" in shown


def test_a_run_that_cannot_be_written_costs_no_other_run_its_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = {name: tmp_path / name for name in ("calm", "loud")}
    for run in runs.values():
        run.mkdir()
        (run / "run.json").write_text("{}")
    (runs["calm"] / "human").touch()
    study = tmp_path / "study"
    first = write_small_study(study, runs=runs).sessions[0].showings[0]
    ratings = tmp_path / "ratings.csv"
    ratings.write_text(f"rater,item,repeat,er,en,rr\nperson,{first.item},{int(first.repeat)},1,2,3\n")
    study.chmod(0o700)
    assert main(["human", "import", str(study), str(ratings), "--scales", "av-emo-2"]) == 0
    capsys.readouterr()
    assert main(["human", "analyze", str(study)]) == 1
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        f"{runs['calm']}/human/demo_reply.json: cannot be read (Not a directory); a file is where a folder should be; "
        "leave that run without its scores"
    ]
    assert "of 40 ratings by" in said.out
    assert (runs["loud"] / "human" / "demo_reply.json").exists()
    assert (study / "ratings.csv").exists()


def test_a_study_from_before_is_served_with_a_word_on_its_scales(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_first_study(tmp_path / "study")
    monkeypatch.setattr(web, "serve", lambda *settings: None)
    assert main(["human", "serve", str(tmp_path / "study")]) == 0
    assert "rated on the scales av-emo-1, as this study was planned" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "nowhere", "--out", "{tmp}/study"], "not a run directory"),
        (["plan", "{run}", "--out", "{tmp}/study"], "6 dialogues have spoken replies of every system, 30 are asked"),
        (["plan", "{run}", "--out", "{tmp}/study", "--dialogues", "0"], "--dialogues must be above 0"),
        (["plan", "{run}", "--out", "{tmp}/study", "--raters", "2"], "ask for 5 or more"),
        (["plan", "{run}", "--out", "{tmp}/study", "--consent", "none.txt"], "none.txt: cannot be read"),
        (["serve", "{tmp}"], "make a study with `avemo-eval human plan`"),
        (["serve", "{study}", "--host", "0.0.0.0"], "say with --url"),
        (["serve", "{study}", "--url", "example.org"], "--url must be like"),
        (["import", "{study}", "none.csv"], "none.csv: cannot be read"),
        (
            ["import", "{study}", "none.csv", "--scales", "My scales"],
            "--scales: expected the name of the scales' wording",
        ),
        (["analyze", "{tmp}"], "make a study with"),
    ],
    ids=lambda value: None if isinstance(value, list) else value,
)
def test_what_is_wrong_is_one_clear_sentence(
    arguments: list[str],
    said: str,
    runs: tuple[Path, Path],
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    filled = [one.format(tmp=tmp_path, run=runs[0], study=folder) for one in arguments]
    assert main(["human", *filled]) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert len(errors.splitlines()) == 1
