"""A model that answers, fails and is called by texts that try to be more than text: all they stay is text."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.browser import Watched, open_browser
from support.hostile_text import hostile_texts
from support.one_by_one import OneByOne
from support.planted_runs import TextBench

from avemo_harness import evaluate
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.cli import main
from avemo_harness.models.base import Capabilities

TEXTS = hostile_texts()
DIALOGUES = 2 * len(TEXTS)


@dataclass(frozen=True)
class Hostile(OneByOne):
    """Says one text after the other, as an answer to even dialogues and as an error on odd ones."""

    name: str
    capabilities = Capabilities(frozenset({"label_text"}), largest_batch=64)

    def identity(self) -> dict[str, str]:
        return {"model": self.name, "weights": TEXTS[7], "root": TEXTS[90]}

    def answer(self, request: Request) -> Response:
        number = int(request.dialogue_id[1:])
        text = TEXTS[number // 2]
        return Response(text=text, flags=("repeating",)) if number % 2 == 0 else Response(error=text or "nothing")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    bench = TextBench.of(tmp_path_factory.mktemp("hostile"), dialogues=DIALOGUES)
    folders = bench.folder / "one", bench.folder / "two"
    for folder, name in zip(folders, (TEXTS[0], TEXTS[12]), strict=True):
        evaluate(Hostile(name), str(bench.task), output_path=folder)
        assert main(["report", str(folder)]) == 0
    return folders


def is_plain(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


def test_every_answer_is_kept_as_it_was(runs: tuple[Path, Path]) -> None:
    files = (runs[0] / "responses").iterdir()
    lines = [json.loads(line) for file in files for line in file.read_text().split("\n") if line]
    kept = {int(line["item"].partition("/")[0][1:]): line.get("error") or line["text"] for line in lines}
    assert [kept[number] for number in range(0, DIALOGUES, 2)] == TEXTS
    assert [kept[number] for number in range(1, DIALOGUES, 2)] == [text or "nothing" for text in TEXTS]


def test_commands_print_nothing_that_steers_a_terminal(
    runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = map(str, runs)
    for command in (["score", one], ["compare", one, two], ["leaderboard", one, two], ["report", one, "--no_media"]):
        code = main(command)
        said = capsys.readouterr()
        assert code == (1 if command[0] == "score" else 0), said.err
        assert is_plain(said.out)
        assert is_plain(said.err)


def test_the_spreadsheet_holds_no_formula_and_no_control_character(runs: tuple[Path, Path], tmp_path: Path) -> None:
    assert main(["export", str(runs[0]), "--format", "csv", "--allow_partial", "-o", str(tmp_path)]) == 0
    text = (tmp_path / "results.csv").read_text(encoding="utf-8")
    assert is_plain(text)
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    assert not [cell for cell in cells if cell.lstrip()[:1] in tuple("=+@")]


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1280, 900), (390, 844)])
def test_no_answer_runs_or_breaks_the_page(runs: tuple[Path, Path], size: tuple[int, int]) -> None:
    page = (runs[0] / "report.html").resolve()
    with open_browser() as browser:
        watched = Watched(browser, page.as_uri(), *size)
        watched.page.goto(page.as_uri())
        watched.page.wait_for_selector("#list button")
        title = watched.page.title()
        watched.page.evaluate("while (!document.getElementById('more').hidden) document.getElementById('more').click()")
        assert watched.page.locator("#list button").count() == DIALOGUES
        widest = watched.page.evaluate(
            """() => {
              let widest = 0;
              for (const button of document.querySelectorAll('#list button')) {
                button.click();
                widest = Math.max(widest, document.documentElement.scrollWidth);
              }
              return widest;
            }"""
        )
        assert widest <= size[0]
        assert watched.page.locator("#detail script, #detail img, #detail iframe, #list script").count() == 0
        assert watched.page.title() == title
        assert watched.troubles == []
