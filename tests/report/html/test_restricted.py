"""A page that people send around holds of a restricted benchmark labels and answers alone; one's own holds all."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from support.corpus_tasks import write_benchmark, write_corpus

from avemo_harness import evaluate
from avemo_harness.cli import main

WHY = "voices: acted voices: the licence (research only) lets nobody pass them on"


def write_run(folder: Path, *, restricted: bool) -> Path:
    write_benchmark(folder / "tasks", "voices", restricted=restricted)
    task = folder / "tasks/voices.yaml"
    named = task.read_text(encoding="utf-8").replace("text: said", "text: said, id: name")
    task.write_text(named, encoding="utf-8")
    table = write_corpus(folder / "data") / "labels/test.csv"
    head, *rows = table.read_text(encoding="utf-8").splitlines()
    lines = [f"{head},name", *(f"{row},Ses0{n}F_secret" for n, row in enumerate(rows))]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    # A recording that cannot be read is the error of an item, and names its file.
    (folder / "data/wav/5.wav").write_bytes(b"no sound")
    data = {"voices": str(folder / "data")}
    options = {"include_path": [str(folder / "tasks")], "dataset": data, "model_args": {"label": "sad"}}
    evaluate("constant", ["voices"], output_path=folder / "run", max_errors=9, **options)
    return folder / "run"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("restricted"), restricted=True)


def page(run: Path, *options: str, name: str = "page.html") -> str:
    assert main(["report", str(run), *options]) == 0
    return unescape((run / name).read_text(encoding="utf-8"))


def test_a_page_names_no_turn_and_holds_no_recording_and_no_word(run: Path) -> None:
    shown = page(run, "--out", str(run / "page.html"))
    assert not re.search(r"secret|Ses0|line \d|data:(audio|video)|\d\.wav", shown)
    assert f"without recordings, words and names of turns: {WHY}; avemo-eval report RUN --bundle DIR" in shown
    assert '"key":"1/0"' in shown
    assert '"dialogue":"6"' in shown
    assert '"label":"sad"' in shown


def test_a_page_for_oneself_has_names_words_and_recordings(run: Path) -> None:
    shown = page(run, "--bundle", str(run / "bundle"), name="bundle/report.html")
    assert all(text in shown for text in ("Ses00F_secret", "line 0", "media/"))
    assert WHY not in shown


def test_a_page_of_a_benchmark_that_may_be_passed_on_names_its_turns(tmp_path: Path) -> None:
    shown = page(write_run(tmp_path, restricted=False), "--out", str(tmp_path / "run/page.html"))
    assert "Ses00F_secret" in shown
    assert "line 0" in shown


def test_a_page_of_a_comparison_counts_turns_and_names_none(run: Path, tmp_path: Path) -> None:
    folder = run.parent
    data = {"voices": str(folder / "data")}
    options = {"include_path": [str(folder / "tasks")], "dataset": data, "model_args": {"label": "happy"}}
    evaluate("constant", ["voices"], output_path=tmp_path / "happy", max_errors=9, **options)
    assert main(["compare", str(run), str(tmp_path / "happy"), "--html", str(tmp_path / "page.html")]) == 0
    shown = unescape((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "wrong -> right" in shown
    assert f"without names of items: {WHY}" in shown
    assert "secret" not in shown


def test_exports_hold_no_name_of_a_turn(run: Path, tmp_path: Path) -> None:
    for form in ("md", "latex", "csv"):
        assert main(["export", str(run), "--format", form, "--out", str(tmp_path / form), "--allow_partial"]) == 0
        texts = "".join(file.read_text(encoding="utf-8") for file in (tmp_path / form).iterdir())
        assert "voices" in texts
        assert "secret" not in texts


def test_questions_for_others_mask_names_and_say_whose_licence_they_are_under(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run.parent
    words = ["--tasks", "voices", "--include_path", str(folder / "tasks"), "--dataset", f"voices={folder / 'data'}"]
    assert main(["requests", *words, "--out", str(tmp_path / "questions")]) == 0
    said = capsys.readouterr().err
    assert "'research only': see that whoever answers may have them" in said
    assert "secret" not in (tmp_path / "questions/requests.jsonl").read_text(encoding="utf-8")
