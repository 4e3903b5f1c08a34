"""People's ratings of a run's answers are taken in whole or not at all, and held against these answers' grades."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from support.answering_server import answering
from support.graded_runs import grade_of, grading, run_graded

from avemo_harness import score_run
from avemo_harness.cli import EXIT_USAGE, main
from avemo_harness.errors import StoreError, UsageError
from avemo_harness.human.run_ratings import RunImportCounts, import_run_ratings
from avemo_harness.run.store import RunStore


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("graded")
    with answering(grading) as server:
        run_graded(folder, server.url, dialogues=100)
    return folder / "run"


def grades(run: Path) -> dict[str, int]:
    store = RunStore(run)
    store.refresh()
    return {item: grade_of(answer.text or "") for (_, item), answer in store.answers.items()}


def write(file: Path, *rows: tuple[object, ...], head: str = "item,rater,rating") -> Path:
    file.write_text("\n".join([head, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return file


def test_a_hundred_rated_answers_show_how_far_the_grader_agrees_with_people(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(3)
    of_items = grades(run)
    means, rows = [], []
    for item, grade in of_items.items():
        pair = np.clip(grade + rng.normal(0, 1.0, size=2), 1, 5).round(2)
        means.append(float(pair.mean()))
        rows += [(item, rater, rating) for rater, rating in zip("ab", pair, strict=True)]
    assert main(["human", "import", str(run), str(write(tmp_path / "r.csv", *rows))]) == 0
    told = capsys.readouterr()
    assert "200 ratings of 100 answers by 2 raters" in told.out
    assert "other users of this machine" not in told.err
    people = score_run(run).tasks["told"].details["rubric"]["people"]
    assert people["n"] == 100
    assert people["spearman"]["value"] == pytest.approx(spearmanr(list(of_items.values()), means).statistic)
    assert people["spearman"]["ci_low"] < people["spearman"]["value"] < people["spearman"]["ci_high"]
    assert main(["score", str(run)]) == 0
    shown = f"against people on 100 rated answers: Spearman {people['spearman']['value']:.3f} ("
    assert shown in capsys.readouterr().out


def test_raters_names_are_not_kept_and_a_new_file_takes_the_place_of_the_last(run: Path, tmp_path: Path) -> None:
    first, second = list(grades(run))[:2]
    import_run_ratings(run, [write(tmp_path / "a.csv", (first, "Ann Example", 3), (second, "Ann Example", 4))], {})
    assert "Ann" not in (run / "human/ratings.jsonl").read_text()
    lines = [json.dumps({"item": first, "by": "x", "rating": 2}), json.dumps({"item": first, "by": "y", "rating": "5"})]
    (tmp_path / "b.jsonl").write_text("\n".join(lines))
    assert import_run_ratings(run, [tmp_path / "b.jsonl"], {"rater": "by"}) == RunImportCounts(2, 1, 2)
    assert score_run(run).tasks["told"].details["rubric"]["people"]["n"] == 1
    (row,) = (json.loads(line) for line in (run / "human/ratings.jsonl").read_text().splitlines())
    assert (row["item"], row["rating"], row["raters"]) == (first, 3.5, 2)


WRONG = {
    "scale": (("{item}", "a", 6), r"r.csv:2: rating: expected a number from 1 to 5, found 6"),
    "word": (("{item}", "a", "good"), "r.csv:2: rating: expected a number, found 'good'"),
    "item": (("d00000/9", "a", 3), "r.csv:2: told has no answer to an item 'd00000/9'; nearest: 'd00000/0'"),
}


@pytest.mark.parametrize("problem", WRONG)
def test_a_row_that_cannot_be_meant_is_named_and_nothing_is_taken_in(run: Path, tmp_path: Path, problem: str) -> None:
    row, message = WRONG[problem]
    item = next(iter(grades(run)))
    before = (run / "human/ratings.jsonl").read_bytes() if (run / "human/ratings.jsonl").exists() else None
    file = write(tmp_path / "r.csv", tuple(str(cell).format(item=item) for cell in row))
    with pytest.raises(UsageError, match=message):
        import_run_ratings(run, [file], {})
    after = (run / "human/ratings.jsonl").read_bytes() if (run / "human/ratings.jsonl").exists() else None
    assert after == before


def test_two_ratings_of_one_rater_that_differ_are_refused(run: Path, tmp_path: Path) -> None:
    item = next(iter(grades(run)))
    with pytest.raises(UsageError, match=r"r.csv:3: item .* is rated twice by rater 'a', and not alike"):
        import_run_ratings(run, [write(tmp_path / "r.csv", (item, "a", 1), (item, "a", 2))], {})
    with pytest.raises(UsageError, match="say who in a column `rater`"):
        import_run_ratings(run, [write(tmp_path / "r.csv", (item, 1), (item, 2), head="item,rating")], {})


def test_a_damaged_file_of_ratings_is_named_with_the_way_out(run: Path, tmp_path: Path) -> None:
    import_run_ratings(run, [write(tmp_path / "r.csv", (next(iter(grades(run))), "a", 3))], {})
    path = run / "human/ratings.jsonl"
    path.write_text(path.read_text().replace('"rating":3', '"rating":4'))
    with pytest.raises(StoreError, match=r"ratings.jsonl: damaged .*avemo-eval human import"):
        score_run(run)
    path.unlink()


def test_the_wording_of_a_studys_scales_is_no_matter_of_a_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "r.csv", ("x", "a", 3))
    assert main(["human", "import", str(run), str(file), "--scales", "mine"]) == EXIT_USAGE
    assert "--scales is for the wording of a study" in capsys.readouterr().err
