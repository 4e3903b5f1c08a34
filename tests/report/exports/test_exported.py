"""What every export says of a run: how it was really asked, whose model it is, and nothing of where it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from support.planted_runs import Planted, TextBench

from avemo_harness.errors import UsageError
from avemo_harness.report.exports.formats import Publication, model_id, model_name, settings, setup_notes, spreadsheet
from avemo_harness.report.exports.latex import latex
from avemo_harness.report.scored_run import ScoredRun, read_scored_run
from avemo_harness.scorers.base import Judge

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
