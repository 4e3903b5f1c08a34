"""Figures for papers: what the run has is drawn, the same every time, with text that can be searched."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from support.planted_runs import Planted, TextBench, write_condition_tasks
from support.speaking_runs import Speaker, write_speaking_run
from support.synthetic_release import write_synthetic_release

from avemo_harness import evaluate
from avemo_harness.errors import UsageError
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.report.figures import RatedRecording, draw_figures, draw_ratings, widest_window


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    return write_speaking_run(folder / "run", write_synthetic_release(folder / "release"), Speaker())


def test_each_figure_is_a_pdf_and_a_png_and_the_same_every_time(run: Path, tmp_path: Path) -> None:
    files = draw_figures(run, tmp_path / "one")
    assert [path.name for path in files] == [
        f"{name}.{form}" for name in ("table", "conditions", "trajectories") for form in ("pdf", "png")
    ]
    again = draw_figures(run, tmp_path / "two")
    assert [path.read_bytes() for path in files] == [path.read_bytes() for path in again]
    for path in files:
        start = {".pdf": b"%PDF-", ".png": b"\x89PNG"}[path.suffix]
        assert path.read_bytes().startswith(start)
        assert b"CreationDate" not in path.read_bytes()


def test_letters_are_fonts_of_a_kind_that_journals_take(run: Path, tmp_path: Path) -> None:
    table = draw_figures(run, tmp_path)[0].read_bytes()
    assert b"/Type3" not in table
    assert b"/CIDFontType2" in table or b"/TrueType" in table


def test_a_run_without_replies_has_no_trajectories(tmp_path: Path) -> None:
    bench = TextBench.of(tmp_path, dialogues=4)
    tasks = write_condition_tasks(tmp_path / "tasks", bench.release)
    names = ("full_av", "audio_only", "video_only")
    evaluate(Planted("a$b_{c"), names, output_path=tmp_path / "run", include_path=(str(tasks),))
    files = draw_figures(tmp_path / "run", tmp_path / "drawn")
    assert {path.stem for path in files} == {"table", "conditions"}


def test_a_run_that_has_no_table_draws_nothing(tmp_path: Path) -> None:
    folder = TextBench.of(tmp_path, dialogues=2).run(Planted("a"))
    assert draw_figures(folder, tmp_path / "drawn") == ()


def test_without_matplotlib_a_sentence_says_what_to_install(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"pip install 'avemo-harness\[figures\]'"):
        draw_figures(run, run / "drawn")


def flat_but(name: str, start: int, step: float) -> RatedRecording:
    values = np.full((60, 2), 0.5)
    values[start:] += step
    predictions = {shown: np.full((60, 2), 0.4) for shown in ("sound and face", "sound alone", "face alone")}
    return name, Trajectory(values, ("valence", "arousal"), "unit", 2.0), predictions


def test_ratings_are_drawn_of_the_ten_seconds_in_which_they_move_most() -> None:
    recordings = [flat_but("calm", 10, 0.1), flat_but("moved", 30, 0.4)]
    assert widest_window([ratings for _, ratings, _ in recordings]) == (1, slice(11, 31))
    with pytest.raises(ValueError, match="expected recordings"):
        widest_window([])


def test_the_drawing_of_ratings_has_every_line_on_both_dimensions_and_is_the_same_every_time() -> None:
    recordings = [flat_but("a<b", 5, 0.3)]
    data = draw_ratings(recordings)
    assert data == draw_ratings(recordings)
    drawing = ElementTree.fromstring(data)
    dashed = [line for line in drawing.findall(".//{*}path") if "stroke-dasharray" in line.get("style", "")]
    words = {text.text for text in drawing.findall(".//{*}text")}
    assert {"arousal", "valence", "time (s)", "ratings", "sound alone", "face alone", "sound and face"} <= words
    assert "a<b: ratings and predictions" in {one.text for one in drawing.iter() if one.tag.endswith("title")}
    assert len(dashed) == 2 + 1  # the ratings of both, and of the legend
