"""Exports: others' parsers read back what the run measured, its setup and caveats, and not where it was made."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.hostile_text import hostile_texts
from support.planted_runs import Planted, TextBench, write_condition_tasks
from support.waiting import PATIENCE_S

from avemo_harness import evaluate
from avemo_harness.benchmark.published import published_rows
from avemo_harness.cli import main
from avemo_harness.errors import UsageError
from avemo_harness.report.board import boards
from avemo_harness.report.exports.formats import (
    Publication,
    eval_results,
    model_id,
    model_name,
    settings,
    setup_notes,
    spreadsheet,
)
from avemo_harness.report.exports.latex import escaped, latex
from avemo_harness.report.exports.markdown import markdown
from avemo_harness.report.scored_run import ScoredRun, read_scored_run
from avemo_harness.report.values import SENTENCES
from avemo_harness.scorers.base import Judge, MetricValue
from avemo_harness.text import printable, publishable, safe_cell

NAMES = ["full_av", "audio_only", "video_only"]
ON_THE_HUB = Publication("me/model", "me/release", "https://example.org/run")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ScoredRun:
    folder = tmp_path_factory.mktemp("export")
    bench = TextBench.of(folder, dialogues=10)
    tasks = write_condition_tasks(folder / "tasks", bench.release)
    evaluate(Planted("mine", [(0, 0)]), NAMES, output_path=folder / "run", include_path=(str(tasks),))
    return read_scored_run(folder / "run")


def named(run: ScoredRun, name: str) -> ScoredRun:
    """The same run of a model that is called something else."""
    result = replace(
        run.result,
        model=name,
        identity={"model": name},
        groups={key: replace(group, row=name, title=name) for key, group in run.result.groups.items()},
    )
    return replace(run, result=result)


def marked(run: ScoredRun) -> ScoredRun:
    """The same run with every mark in every cell of its row."""
    groups = {
        name: replace(
            group,
            columns={x: metric and replace(metric, marks=tuple(SENTENCES)) for x, metric in group.columns.items()},
        )
        for name, group in run.result.groups.items()
    }
    return replace(run, result=replace(run.result, groups=groups, marks=SENTENCES))


def of_split(run: ScoredRun, split: str) -> ScoredRun:
    """The same run with its row under a split of the paper."""
    group = replace(run.result.groups["mine"], group=split)
    return replace(run, result=replace(run.result, groups={split: group}))


def test_the_hubs_own_parser_reads_each_tasks_headline(run: ScoredRun) -> None:
    from huggingface_hub import parse_eval_result_entries

    files = eval_results(run, ON_THE_HUB)
    assert list(files) == [f".eval_results/avemo_{name}.yaml" for name in NAMES]
    for name, text in zip(NAMES, files.values(), strict=True):
        (entry,) = parse_eval_result_entries(yaml.safe_load(text))
        assert (entry.dataset_id, entry.task_id) == ("me/release", name)
        assert entry.value == run.result.tasks[name].metrics["accuracy"].value == 0.9
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry.date)
        assert entry.source_url == "https://example.org/run"
        assert entry.notes == f"{name.replace('_', '-')}, greedy, labels generated, judge=none; n = 10"
        assert entry.dataset_revision is None


def test_a_release_that_is_not_on_the_hub_has_to_be_named(run: ScoredRun) -> None:
    with pytest.raises(UsageError, match=r"not on the Hub; name where the same release is: --dataset_id"):
        eval_results(run, Publication())


def test_a_release_from_the_hub_is_named_with_its_commit(run: ScoredRun) -> None:
    (release,) = run.record.releases
    record = replace(run.record, releases=(replace(release, source="them/data", commit="c" * 40),))
    (entry,) = yaml.safe_load(next(iter(eval_results(replace(run, record=record), Publication()).values())))
    assert entry["dataset"] == {"id": "them/data", "task_id": "full_av", "revision": "c" * 40}


def test_the_spreadsheet_has_every_metric_as_it_was_measured(run: ScoredRun) -> None:
    (text,) = spreadsheet(run, ON_THE_HUB).values()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 12
    for row in rows:
        metric = run.result.tasks[row["task"]].metrics[row["metric"]]
        assert float(row["value"]) == metric.value
        assert float(row["ci_low"]) == metric.ci_low
        assert int(row["n"]) == metric.n
        assert (row["status"], row["comparable"], row["release"]) == ("complete", "yes", "me/release")


def test_an_undefined_value_is_an_empty_cell_and_no_result_elsewhere(run: ScoredRun) -> None:
    undefined = MetricValue(None, None, None, n=0, n_invalid=0, n_errors=0, n_undefined=10)
    task = replace(run.result.tasks["full_av"], metrics={"accuracy": undefined})
    partly = replace(run, result=replace(run.result, tasks={**run.result.tasks, "full_av": task}))
    (text,) = spreadsheet(partly, ON_THE_HUB).values()
    assert next(csv.DictReader(io.StringIO(text)))["value"] == ""
    assert list(eval_results(partly, ON_THE_HUB)) == [f".eval_results/avemo_{name}.yaml" for name in NAMES[1:]]


def test_what_the_embedded_judge_scored_is_not_published(run: ScoredRun) -> None:
    tasks = {name: replace(task, comparable=False) for name, task in run.result.tasks.items()}
    unpublished = replace(run, result=replace(run.result, tasks=tasks))
    with pytest.raises(UsageError, match="could be published"):
        eval_results(unpublished, ON_THE_HUB)
    assert ",no," in spreadsheet(unpublished, ON_THE_HUB)["results.csv"]


def test_no_cell_starts_a_formula_or_steers_a_terminal(run: ScoredRun) -> None:
    for text in hostile_texts():
        cell = safe_cell(publishable(text))
        assert not cell.lstrip().startswith(("=", "+", "-", "@"))
        assert cell.isprintable()
        (file,) = spreadsheet(named(run, text), Publication()).values()
        rows = list(csv.reader(io.StringIO(file)))
        assert {len(row) for row in rows} == {len(rows[0])}
        assert {row[0] for row in rows[1:]} == {cell}


@given(st.text())
def test_any_text_makes_a_plain_cell(text: str) -> None:
    cell = safe_cell(text)
    assert cell.isprintable()
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))


def test_the_latex_table_has_the_papers_columns_and_marks(run: ScoredRun) -> None:
    split = "multiturn_synthetic"
    (text,) = latex(of_split(run, split), ON_THE_HUB).values()
    measured, published = (
        [
            [cell.removesuffix(r"\\").strip() for cell in line.split("&")]
            for line in part.splitlines()
            if line.count("&") == 16
        ]
        for part in text.split(r"\end{tabular}")[:2]
    )
    for rows in (measured, published):
        assert rows[0][:4] == ["System", "ECS", "EBS", r"EBS\_dir"]
    assert [row[0] for row in measured[1:]] == ["me/model", r"\quad $n$"]
    assert [row[6] for row in measured[1:]] == ["0.900", "10"]
    assert [row[0] for row in published[1:]] == [row.system for row in published_rows(split)]
    assert published[1][1:7] == ["0.747", "0.385", "--", "0.838", r"0.623$^\dagger$", "--"]
    assert r"\textbf" not in text
    assert boards([], [])[1].title in text


def test_what_latex_would_obey_is_printed() -> None:
    assert escaped(r"\input{x}") == r"\textbackslash{}input\{x\}"
    assert escaped("50% & a_b #1 ~^") == r"50\% \& a\_b \#1 \textasciitilde{}\textasciicircum{}"
    for text in hostile_texts():
        left = re.sub(r"\\(?:[&%$#_{}]|text[a-z]+\{\})", "", escaped(text))
        assert not set(left) & set(r"\&%$#_{}~^<>|")


@pytest.mark.slow
def test_the_table_compiles_with_any_name(run: ScoredRun, tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("install texlive-latex-base")
    splits = [of_split(run, split) for split in ("multiturn_real", "mine")]
    tables = [latex(one, Publication())["table.tex"] for one in (*splits, *map(marked, splits))]
    names = [text for text in hostile_texts() if len(text) < 100][::10]
    tables += [latex(named(run, name), Publication())["table.tex"] for name in names]
    body = "\n\\clearpage\n".join(tables)
    document = rf"\documentclass[twocolumn]{{article}}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "paper.tex").write_text(document)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2_000:]
    assert (tmp_path / "paper.pdf").stat().st_size > 0


def cells_of(text: str) -> list[list[str]]:
    """The rows of all tables of a Markdown text as its readers see them; nothing in it is more than text but marks."""
    from markdown_it import MarkdownIt

    rows: list[list[str]] = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        parts = token.children or ()
        assert token.type != "html_block"
        assert {part.content for part in parts if part.type == "html_inline"} <= {"<sup>", "</sup>"}
        assert {part.type for part in parts} <= {"text", "text_special", "html_inline"}
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and token.level == 4:
            rows[-1].append("".join(part.content for part in parts))
    return rows


def test_the_markdown_table_has_the_values_of_the_row_and_apart_the_published_ones(run: ScoredRun) -> None:
    split = "multiturn_synthetic"
    (text,) = markdown(of_split(run, split), ON_THE_HUB).values()
    measured, published = map(cells_of, text.split("\n### "))
    assert measured[0] == ["system", "Acc_AV", "F1_AV", "Acc_A", "Acc_V", "AAR", "VAR", "OLR"]
    assert [row[:2] for row in measured[1:]] == [["me/model", "0.900"], ["95 % interval", "0.555-0.997"], ["n", "10"]]
    assert published[0][:4] == ["system", "CT-ECS", "CT-EBS", "CT-EBS_dir"]
    assert [row[0] for row in published[1:]][: len(published_rows(split))] == [x.system for x in published_rows(split)]
    assert text.count("| --- | ---: |") == len(re.findall(r"^\| ---", text, re.MULTILINE))


def test_the_markdown_table_shows_any_name_as_it_is(run: ScoredRun) -> None:
    for name in hostile_texts():
        text = markdown(named(run, name), Publication())["table.md"]
        (row,) = (row for row in cells_of(text) if row[1] == "0.900")
        assert row[0] == " ".join(printable(" ".join(publishable(name).split())).split())


NOBODY = Publication()


@dataclass(frozen=True)
class Bench:
    """A run, and the same one as if another model had been asked."""

    texts: TextBench
    run: ScoredRun

    def of_model(self, name: str, identity: Mapping[str, str], **arguments: Any) -> ScoredRun:
        config = replace(self.run.record.config, model=name, model_args=arguments)
        record = replace(self.run.record, config=config)
        return replace(self.run, record=record, result=replace(self.run.result, model=name, identity=identity))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    texts = TextBench.of(tmp_path_factory.mktemp("ann"), dialogues=4)
    return Bench(texts, read_scored_run(texts.run(Planted("mine"))))


def test_settings_that_the_run_overrode_are_those_that_are_told(bench: Bench) -> None:
    sampled = {"do_sample": True, "temperature": 0.5, "max_new_tokens": 8}
    run = read_scored_run(bench.texts.run(Planted("sampled"), generation=sampled))
    assert setup_notes(run, run.record.tasks[0]) == "full-av, sampled, labels generated, judge=none"
    assert setup_notes(bench.run, bench.run.record.tasks[0]) == "full-av, greedy, labels generated, judge=none"


def test_weights_of_the_hub_are_named_by_their_id(bench: Bench) -> None:
    identity = {"model": "qwen2.5-omni", "weights": "Qwen/Qwen2.5-Omni-7B@abc"}
    run = bench.of_model("qwen2.5-omni", identity, pretrained="Qwen/Qwen2.5-Omni-7B")
    assert model_id(run, NOBODY) == "Qwen/Qwen2.5-Omni-7B"
    assert model_id(run, Publication(model_id="me/model")) == "me/model"


@pytest.mark.parametrize("folder", ["./qwen", "../qwen", "models/qwen", "/home/ann/qwen", ".cache/qwen"])
def test_a_folder_of_weights_is_not_taken_for_a_hub_id(
    folder: str, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "qwen").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert model_id(bench.of_model("hf-omni", {"model": "hf-omni"}, pretrained=folder), NOBODY) == "hf-omni"


def test_a_folder_that_is_gone_is_known_by_what_the_run_kept_of_it(bench: Bench) -> None:
    run = bench.of_model("hf-omni", {"model": "hf-omni", "weights": "sha256:0123"}, pretrained="models/qwen")
    assert model_id(run, NOBODY) == "hf-omni"


def test_a_served_model_is_called_as_on_its_server(bench: Bench) -> None:
    run = bench.of_model("openai", {"model": "Qwen/Qwen2.5-Omni-7B"}, base_url="http://gpu:8000/v1")
    assert model_id(run, NOBODY) == model_name(run) == "Qwen/Qwen2.5-Omni-7B"
    assert model_name(bench.of_model("mine", {})) == "mine"
    assert model_name(bench.of_model("openai", {"model": "/home/ann/qwen"})) == "…/qwen"


def test_no_file_tells_where_the_model_the_release_or_the_judge_lie(bench: Bench) -> None:
    run = bench.of_model("openai", {"model": "/home/ann/qwen", "root": "/home/ann/qwen"}, pretrained="/home/ann/qwen")
    judge = Judge("/home/ann/judges/mine", "f" * 64)
    releases = tuple(replace(one, source="/home/ann/releases/secret") for one in run.record.releases)
    run = replace(run, record=replace(run.record, releases=releases), result=replace(run.result, judge=judge))
    logged = settings(run)
    (text,) = spreadsheet(run, NOBODY).values()
    assert "/home/ann" not in f"{logged}{text}"
    assert "…/secret" in text
    assert logged["identity/root"] == "…/qwen"


def test_a_table_without_a_row_is_refused(bench: Bench) -> None:
    with pytest.raises(UsageError, match=r"none of its tasks belongs to a group.*--format csv"):
        latex(bench.run, NOBODY)


class Recorder(ModuleType):
    """Stands for a tracker's package and keeps what it is told."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.started: dict[str, Any] = {}
        self.logged: dict[str, float] = {}
        self.finished = False

    def init(self, **options: Any) -> None:
        self.started = options

    def log(self, numbers: dict[str, float]) -> None:
        self.logged.update(numbers)

    def finish(self) -> None:
        self.finished = True


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TextBench.of(tmp_path_factory.mktemp("tracked"), dialogues=40).run(Planted("mine"))


@pytest.mark.parametrize("tracker", ["trackio", "wandb"])
def test_every_metric_is_logged_by_task_and_name(tracker: str, tracked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = Recorder(tracker)
    monkeypatch.setitem(sys.modules, tracker, package)
    assert main(["export", str(tracked), f"--{tracker}", "emotions"]) == 0
    assert package.started["project"] == "emotions"
    assert package.started["name"] == "mine"
    assert package.started["config"]["model"] == "mine"
    assert package.started["config"]["partial"] is package.started["config"]["provisional"] is False
    assert package.started["config"]["text_only/comparable"] is True
    assert package.started["config"]["text_only/setup"] == "full-av, greedy, labels generated, judge=none"
    assert package.logged["text_only/accuracy"] == 1.0
    assert package.logged["text_only/accuracy/ci_low"] == pytest.approx(0.912, abs=5e-4)
    assert package.logged["text_only/n_errors"] == 0.0
    assert package.finished


def test_what_leaves_doubt_goes_with_the_numbers(tracked: Path) -> None:
    whole = read_scored_run(tracked)
    task = replace(whole.result.tasks["text_only"], comparable=False)
    result = replace(
        whole.result, partial=True, provisional=True, tasks={"text_only": task}, identity={"model": "/home/ann/qwen"}
    )
    told = settings(replace(whole, result=result))
    assert (told["partial"], told["provisional"], told["text_only/comparable"]) == (True, True, False)
    assert told["text_only/setup"].endswith("partial, provisional")
    assert told["model"] == told["identity/model"] == "…/qwen"


def test_a_tracker_that_is_not_installed_is_one_sentence(
    tracked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "trackio", None)
    assert main(["export", str(tracked), "--trackio", "emotions"]) == 2
    assert capsys.readouterr().err == "avemo-eval: --trackio needs the package trackio: pip install trackio\n"
