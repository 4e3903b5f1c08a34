"""Commands on finished runs: the report and exports."""

from __future__ import annotations

import json
import shutil
from html import unescape
from pathlib import Path

import pytest
import yaml
from support.clips import make_clip
from support.corpus_trees import write_clip
from support.imports import import_corpus
from support.planted_judge import LevelJudge, plant
from support.planted_runs import Planted, TextBench, write_condition_tasks
from support.speaking_runs import GROUP, Speaker, write_speaking_run
from support.synthetic_release import write_synthetic_release

from avemo_harness import evaluate
from avemo_harness.benchmark.release import Clip, Dialogue, Turn
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.cli import EXIT_USAGE, main


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("reported")
    release = write_synthetic_release(folder / "release", dialogues=1, turns=1)
    return write_speaking_run(folder / "run", release, Speaker()), release


@pytest.fixture
def run(made: tuple[Path, Path]) -> Path:
    return made[0]


@pytest.fixture
def release(made: tuple[Path, Path]) -> Path:
    return made[1]


def report(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    """Run the command; the lines that it prints."""
    assert main(["report", *map(str, arguments)]) == 0
    return capsys.readouterr().out.splitlines()


def recordings(page: str) -> int:
    return page.count("data:video/mp4") + page.count("data:audio/mp4")


def test_the_page_stands_in_the_run_directory_with_small_recordings_inside(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(capsys, run) == [str(run / "report.html")]
    page = (run / "report.html").read_text(encoding="utf-8")
    assert recordings(page) == 2 + 2 + 2  # users, conflict pairs, replies
    assert "Sentence 0 of dialogue 0." in page


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "a.html", tmp_path / "b.html"]
    for file in files:
        report(capsys, run, "--output_path", file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_recordings_may_stay_out(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(capsys, run, "--no_media", "-o", tmp_path / "page.html")
    assert recordings((tmp_path / "page.html").read_text(encoding="utf-8")) == 0


def test_a_bundle_is_a_folder_with_everything(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(capsys, run, "--bundle", tmp_path / "all") == [str(tmp_path / "all" / "report.html")]
    page = (tmp_path / "all" / "report.html").read_text(encoding="utf-8")
    names = {path.name for path in (tmp_path / "all" / "media").iterdir()}
    assert names
    assert all(f"media/{name}" in page for name in names)
    assert recordings(page) == 0


def test_figures_come_with_it(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = report(capsys, run, "--figures", tmp_path / "drawn")
    assert str(tmp_path / "drawn" / "table.pdf") in said


def test_a_release_that_must_not_be_passed_on_shows_nobody(
    run: Path, release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = release / "import.json"
    record.write_text(json.dumps({"redistributable": False}))
    try:
        report(capsys, run, "-o", tmp_path / "page.html")
        report(capsys, run, "--bundle", tmp_path / "all")
    finally:
        record.unlink()
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert recordings(page) == page.count("data:audio/mp4") == 2
    assert "must not be passed on" in page
    assert list((tmp_path / "all" / "media").glob("*.mp4"))


def test_a_file_of_such_a_release_shows_nobody_either(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_synthetic_release(tmp_path / "release", dialogues=1, turns=1)
    (folder / "import.json").write_text(json.dumps({"redistributable": False}))
    file = next((folder / GROUP).glob("*.parquet"))
    tasks = (f"{GROUP}_full_av", f"{GROUP}_reply")
    monkeypatch.chdir(file.parent)
    for name, named in (("whole", file), ("relative", Path(file.name))):
        run = write_speaking_run(tmp_path / name, named, Speaker(), tasks=tasks)
        report(capsys, run)
        page = (run / "report.html").read_text(encoding="utf-8")
        assert recordings(page) == page.count("data:audio/mp4") == 2
        assert "must not be passed on" in page


@pytest.mark.parametrize(
    ("licence", "users"),
    [("CC BY-NC-ND 4.0", 0), ("unclear: the card says cc without a variant", 0), ("", 2), ("CC-BY-4.0", 2)],
)
def test_a_licence_that_forbids_changed_copies_or_is_unclear_keeps_them_out(
    licence: str, users: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release = write_synthetic_release(tmp_path / "release", dialogues=1, turns=1, licence=licence)
    tasks = (f"{GROUP}_full_av", f"{GROUP}_reply")
    run = write_speaking_run(tmp_path / "run", release, Speaker(), tasks=tasks)
    report(capsys, run)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.count("data:audio/mp4") == 2
    assert page.count("data:video/mp4") == users


def test_a_release_that_is_gone_or_another_one_is_told(
    run: Path, release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = release.rename(tmp_path / "kept")
    try:
        report(capsys, run, "-o", tmp_path / "gone.html")
        write_synthetic_release(release, dialogues=2, turns=1)
        report(capsys, run, "-o", tmp_path / "other.html")
    finally:
        shutil.rmtree(release, ignore_errors=True)
        kept.rename(release)
    for name, reason in (("gone", "the release is not at hand"), ("other", "has changed since the run")):
        page = (tmp_path / f"{name}.html").read_text(encoding="utf-8")
        assert reason in page
        assert "Sentence 0 of dialogue 0." not in page
        assert page.count("data:audio/mp4") == 2


def test_scoring_again_brings_the_page_up_to_date(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = run / "report.html"
    page.write_text("old")
    assert main(["score", str(run)]) == 0
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    page.unlink()
    assert main(["score", str(run)]) == 0
    assert not page.exists()


@pytest.mark.parametrize("how", [(), ("--no_media",), ("--bundle",)])
def test_scoring_again_leaves_recordings_where_they_were(
    how: tuple[str, ...], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(capsys, run, *how, *([run] if "--bundle" in how else []))
    page = run / "report.html"
    before = page.read_bytes()
    page.write_bytes(before.replace(b"All metrics", b"Every metric"))
    assert main(["score", str(run)]) == 0
    assert page.read_bytes() == before
    page.unlink()
    shutil.rmtree(run / "media", ignore_errors=True)


TASK = """task: mine
version: 1
dataset: {{path: {release}, name: mine}}
condition: full_av
messages:
- role: user
  content: [{{type: clip}}]
output: {{type: spoken_response}}
"""


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """A run of the model whose replies are the release's own recordings; the release is at `release` beside it."""
    asked, reply = Clip.from_bytes(make_clip(1.0)), Clip.from_bytes(make_clip(1.0, seed=9))
    turns = (Turn(0, "user", "s", "Hi.", "happy", clip=asked), Turn(1, "assistant", "a", "Hello.", clip=reply))
    release = tmp_path / "release"
    write_release(release, "mine", {"test": [Dialogue("d", "mine", "en", "CC0-1.0", turns)]})
    (tmp_path / "mine.yaml").write_text(TASK.format(release=release))
    evaluate("reference", str(tmp_path / "mine.yaml"), output_path=tmp_path / "run")
    return tmp_path / "run"


def test_replies_that_are_the_releases_own_are_passed_on_where_it_may_be(
    reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(capsys, reference)
    assert recordings((reference / "report.html").read_text(encoding="utf-8")) == 2


def test_replies_that_are_the_releases_own_are_as_private_as_the_release(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "release" / "import.json").write_text(json.dumps({"redistributable": False}))
    report(capsys, reference)
    page = (reference / "report.html").read_text(encoding="utf-8")
    assert recordings(page) == 0
    assert "must not be passed on" in page
    assert "the replies are the release's own recordings, and are left out too" in unescape(page)
    report(capsys, reference, "--bundle", tmp_path / "all")
    assert len(list((tmp_path / "all" / "media").iterdir())) == 2


def test_replies_of_a_release_that_is_not_at_hand_are_left_out_since_nothing_is_known_of_it(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(tmp_path / "release")
    report(capsys, reference)
    page = (reference / "report.html").read_text(encoding="utf-8")
    assert recordings(page) == 0
    assert "since nothing says here whether they may be passed on" in page


def test_what_makes_no_sense_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run), "--bundle", str(tmp_path), "--no_media"]) == EXIT_USAGE
    assert main(["report", str(tmp_path)]) == EXIT_USAGE
    assert "not a run directory" in capsys.readouterr().err


def test_every_task_of_the_group_is_on_the_page(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(capsys, run, "--no_media", "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for name in ("full_av", "audio_only", "video_only", "conflict", "reply"):
        assert f"{GROUP}_{name}" in page


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> TextBench:
    return TextBench.of(tmp_path_factory.mktemp("bench"), dialogues=6)


@pytest.fixture(scope="module")
def export_run(bench: TextBench) -> Path:
    return bench.run(Planted("mine"))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("eval-results", ".eval_results/avemo_text_only.yaml"),
        ("csv", "results.csv"),
    ],
)
def test_each_format_is_written_and_named_and_the_same_every_time(
    name: str, file: str, export_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", str(export_run), "--format", name, "--dataset_id", "me/data", "-o"]
    assert main([*arguments, str(tmp_path / "one")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'one' / file}\n"
    assert main([*arguments, str(tmp_path / "two")]) == 0
    assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_table_for_papers_needs_a_row(
    bench: TextBench, export_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = write_condition_tasks(tmp_path / "tasks", bench.release)
    evaluate(Planted("mine"), "full_av", output_path=tmp_path / "run", include_path=(str(tasks),))
    for name, file in (("latex", "table.tex"), ("md", "table.md")):
        assert main(["export", str(tmp_path / "run"), "--format", name]) == 0
        assert capsys.readouterr().out == f"{tmp_path / 'run' / 'export' / file}\n"
        assert main(["export", str(export_run), "--format", name]) == 2
        assert "none of its tasks belongs to a group" in capsys.readouterr().err


def test_files_go_into_the_run_by_default(export_run: Path) -> None:
    assert main(["export", str(export_run), "--format", "csv"]) == 0
    assert (export_run / "export" / "results.csv").exists()


@pytest.mark.parametrize(
    ("model", "options", "why"),
    [
        (Planted("partial"), {"limit": 3}, "only some of the items were asked for"),
        (Planted("failing", failing=[(1, 0)]), {}, "1 items failed"),
    ],
)
def test_a_run_that_is_not_complete_is_refused_unless_told_and_then_says_so(
    bench: TextBench,
    tmp_path: Path,
    model: Planted,
    options: dict[str, object],
    why: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = bench.run(model, **options)
    arguments = ["export", str(folder), "--format", "eval-results", "--dataset-id", "me/data", "-o", str(tmp_path)]
    assert main(arguments) == 2
    assert f"not exported, since {why}" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.yaml"))
    assert main([*arguments, "--allow-partial"]) == 0
    (entry,) = yaml.safe_load((tmp_path / ".eval_results" / "avemo_text_only.yaml").read_text())
    assert (
        "n = 3; partial: only some of the items were asked for"
        if options
        else "n = 5; unfinished, provisional: items failed, or are not answered or not judged yet"
    ) in entry["notes"]


def test_nothing_asked_for_and_no_run_are_one_sentence_each(
    export_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(export_run)]) == 2
    assert main(["export", str(tmp_path), "--format", "csv"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert "say what to export: --format eval-results|" in errors[0]
    assert "not a run directory" in errors[1]


@pytest.fixture
def moved_run(tmp_path: Path) -> Path:
    """A run with judged replies on clips of a corpus folder, which has moved since to ``moved``."""
    corpus = tmp_path / "corpus"
    rows = [f"a{turn}.mp4,happy,{name},d,{turn}" for turn, name in enumerate(("Ann", "Bob", "Ann", "Bob"))]
    for turn in range(4):
        write_clip(corpus / f"a{turn}.mp4", 0.4, turn)
    (corpus / "clips.csv").write_text("\n".join(["path,emotion,speaker,dialogue,turn", *rows]) + "\n")
    import_corpus("folder", corpus, tmp_path / "release")
    made = write_speaking_run(
        tmp_path / "run", tmp_path / "release", Speaker(), tasks=("multiturn_real_reply",), media_root=str(corpus)
    )
    corpus.rename(tmp_path / "moved")
    return made


def errors(moved_run: Path) -> set[str]:
    """The failure of the judge that was named last."""
    name = json.loads((moved_run / "judge.json").read_text())["digest"][:12]
    (file,) = (moved_run / "judgements").glob(f"*{name}*.jsonl")
    return {str(line["error"]) for line in map(json.loads, file.read_text().splitlines()) if line.get("error")}


def test_a_judge_finds_clips_that_have_moved(moved_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, LevelJudge("second"), "embedded")
    assert main(["judge", str(moved_run), "--recognizer", "embedded"]) == 0
    assert errors(moved_run)
    assert all("give the corpus' folder as media_root" in one for one in errors(moved_run))
    plant(monkeypatch, LevelJudge("third"), "embedded")
    assert (
        main(
            [
                "judge",
                str(moved_run),
                "--recognizer",
                "embedded",
                "--media_root",
                str(moved_run.parent / "moved"),
            ]
        )
        == 0
    )
    assert not errors(moved_run)


def test_a_judge_is_remembered_by_the_first_word_and_a_run_of_that_name_is_named_by_its_path(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    plant(monkeypatch, LevelJudge("strict"), "strict")
    shutil.copytree(run, tmp_path / "use")

    def told(*arguments: str) -> str:
        assert main(["judge", *arguments]) == 0
        return capsys.readouterr().out

    assert told("use") == "no judge is remembered\n"
    assert told("use", "strict") == f"remembered in {tmp_path / 'config' / 'avemo-harness' / 'judge'}\n"
    assert told("use") == "strict\n"
    assert main(["judge", "use", "stricd"]) == EXIT_USAGE
    assert "unknown judge 'stricd'; nearest: 'strict'" in capsys.readouterr().err
    assert told("./use", "--recognizer", "strict").startswith("judged by strict (")
    assert main(["doctor"]) == 0
    assert "\njudge use        strict\n" in capsys.readouterr().out
    assert told("use", "--forget") == "the judge is forgotten\n"
    assert told("use", "--forget") == told("use") == "no judge is remembered\n"


@pytest.mark.parametrize("command", [["judge"], ["score"], ["report"], ["human", "plan"], ["show"], ["run"]])
def test_every_command_that_reads_clips_of_a_run_takes_their_folder(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    assert "--media_root DIR" in capsys.readouterr().out
