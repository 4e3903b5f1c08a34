"""Results of whole runs: which task fills which column, and what is told of answers that no scorer reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonlines
import numpy as np
import pytest
from support.releases import write_text_release, write_text_task
from support.synthetic_release import CONFIG, write_synthetic_release

from avemo_harness import evaluate
from avemo_harness.benchmark.request import Request, Response, Speech
from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.models.base import Capabilities
from avemo_harness.report.results import RunResult
from avemo_harness.report.summary import format_results

REPLY = Path(__file__).parents[2] / "tasks" / "_reply.yaml"


class Talkative:
    """Answers by a function of the request."""

    capabilities = Capabilities(frozenset({"label_text", "label_ranking", "spoken_response"}), largest_batch=8)

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        self._answer = answer

    def identity(self) -> Mapping[str, str]:
        return {"model": "talkative"}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        return [self._answer(request) for request in requests]


def sad_or_spoken(request: Request) -> Response:
    """A label where labels are asked; else a reply, which the first turn of a dialogue gets without sound."""
    if isinstance(request.output, LabelOutput):
        return Response(text="sad")
    if request.turn_index == 0:
        return Response(text="I see.", flags=("no_speech",))
    return Response(text="I see.", speech=Speech(np.zeros(2_400, np.float32), 24_000), flags=("truncated",))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text_release(tmp_path_factory.mktemp("release"), dialogues=4, turns=2)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_release(tmp_path_factory.mktemp("release") / "synthetic")


def write_reply_task(file: Path, release: Path, extra: str = "") -> str:
    """A task that asks for a reply to the text of each user turn, and scores none."""
    file.write_text(
        f"""task: {file.stem}
extends: {REPLY}
dataset: {{path: {release}, name: text}}
messages:
- role: user
  content: [{{type: text, text: "Reply to {{{{ turn.text }}}}"}}]
scorers: []
headline: null
{extra}"""
    )
    return str(file)


def results_in(folder: Path) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return results


def test_replies_are_asked_stored_and_counted_though_nothing_scores_them(data: Path, tmp_path: Path) -> None:
    task = write_reply_task(tmp_path / "reply.yaml", data)
    result = evaluate(Talkative(sad_or_spoken), task, output_path=tmp_path / "run")
    reply = result.tasks["reply"]
    assert (reply.status, reply.n_items, reply.n_answered, reply.n_spoken) == ("complete", 8, 8, 4)
    assert reply.flags == {"no_speech": 4, "truncated": 4}
    assert list(reply.flags) == sorted(reply.flags)
    assert reply.metrics == {}
    assert results_in(tmp_path / "run")["tasks"]["reply"]["n_spoken"] == 4
    shown = format_results(result).splitlines()
    row = next(i for i, line in enumerate(shown) if line.startswith("reply"))
    assert shown[row].split() == ["reply", "spoken", "4/8", "—", "8", "4", "0", "0", "0"]
    assert shown[row + 1] == "  4 no_speech, 4 truncated"


def test_a_task_of_labels_says_nothing_of_speech_and_its_lines_carry_the_flags(data: Path, tmp_path: Path) -> None:
    def truncated_at_first(request: Request) -> Response:
        return Response(text="sad", flags=("truncated",) if request.turn_index == 0 else ())

    task = str(write_text_task(tmp_path / "text.yaml", data))
    result = evaluate(Talkative(truncated_at_first), task, output_path=tmp_path / "run")
    assert result.tasks["text_only"].n_spoken is None
    assert result.tasks["text_only"].flags == {"truncated": 4}
    with jsonlines.open(tmp_path / "run" / "scores" / "text_only.jsonl") as lines:
        flags = {line["item"]: line["flags"] for line in lines}
    assert flags["d00000/0"] == ["truncated"]
    assert flags["d00000/2"] == []


def test_errors_carry_no_flags_and_no_speech(data: Path, tmp_path: Path) -> None:
    task = write_reply_task(tmp_path / "reply.yaml", data)
    broken = Talkative(lambda request: Response(flags=("truncated",), error="GenerationError: broken"))
    reply = evaluate(broken, task, output_path=tmp_path / "run").tasks["reply"]
    assert (reply.n_errors, reply.n_answered, reply.n_spoken, reply.flags) == (8, 0, 0, {})


def test_a_column_is_filled_by_the_task_that_reports_its_metric(data: Path, tmp_path: Path) -> None:
    """A reply and a question share a condition; whichever comes first, the question fills the row."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    write_reply_task(folder / "a_reply.yaml", data, "group: mine\n")
    for name in ("full_av", "audio_only", "video_only"):
        task = write_text_task(folder / f"{name}.yaml", data, name, "group: mine\n")
        task.write_text(task.read_text().replace("condition: full_av", f"condition: {name}"))
    row = (
        "columns: [{name: Acc_AV, condition: full_av, metric: accuracy}, {name: AAR, condition: conflict, metric: aar}]"
    )
    (folder / "group.yaml").write_text(f"group: mine\ntitle: Mine\n{row}\n")
    tasks = ["a_reply", "full_av", "audio_only", "video_only"]
    for number, order in enumerate((tasks, tasks[::-1])):
        result = evaluate(
            Talkative(sad_or_spoken), order, output_path=tmp_path / str(number), include_path=(str(folder),)
        )
        row_of_mine = result.groups["mine"]
        assert row_of_mine.columns["Acc_AV"] == result.tasks["full_av"].metrics["accuracy"]
        assert row_of_mine.columns["AAR"] is None
        assert row_of_mine.fusion_gain is not None
        assert (row_of_mine.fusion_gain.value, row_of_mine.fusion_gain.n) == (0.0, 8)


def run_random(tasks: str, release: Path, folder: Path) -> RunResult:
    return evaluate("random", tasks, dataset=str(release), output_path=folder)


def test_a_split_asks_four_conditions_and_the_replies_and_a_model_that_does_not_speak_skips_these(
    synthetic: Path, tmp_path: Path
) -> None:
    result = run_random(CONFIG, synthetic, tmp_path / "run")
    names = ("full_av", "audio_only", "video_only", "conflict", "reply")
    assert list(result.tasks) == [f"{CONFIG}_{name}" for name in names]
    reply = result.tasks[f"{CONFIG}_reply"]
    assert (reply.status, reply.reason, reply.n_spoken) == ("skipped", "the model gives no spoken response", None)
    assert not result.provisional
    columns = result.groups[CONFIG].columns
    judged = ["CT-ECS", "CT-EBS", "CT-EBS_dir", "CT-ESS", "CT-ERS"]
    assert [name for name, metric in columns.items() if metric is None] == judged
    assert result.groups[CONFIG].fusion_gain is not None
    assert f"{CONFIG}_reply: not asked, the model gives no spoken response" in format_results(result)


def test_a_ranked_task_gives_ece_and_brier(synthetic: Path, tmp_path: Path) -> None:
    result = run_random(f"{CONFIG}_full_av_ranked", synthetic, tmp_path / "run")
    (task,) = result.tasks.values()
    confidence = task.details["ranking"]["mean_confidence"]
    assert confidence == pytest.approx(0.99, abs=1e-4)
    assert task.metrics["ece"].value == pytest.approx(abs(confidence - task.metrics["accuracy"].value))
    assert 0.0 <= task.metrics["brier"].value <= 2.0
    shown = format_results(result)
    assert "  ece  " in shown
    assert "  brier  " in shown


def test_a_run_keeps_what_every_way_of_ranking_needs_and_the_tasks_own_decides(data: Path, tmp_path: Path) -> None:
    """The model prefers `sad`, but would without any media, too; what the media add speaks for `happy`."""

    def prefers(request: Request) -> Response:
        return Response(
            label_logprobs={"neutral": -4.0, "happy": -2.0, "angry": -4.0, "sad": -1.0},
            label_tokens={"neutral": 1, "happy": 1, "angry": 1, "sad": 1},
            label_priors={"neutral": -4.0, "happy": -4.0, "angry": -4.0, "sad": -1.0},
        )

    tasks = []
    for way in ("raw", "prior_corrected"):
        output = f"output: {{method: rank, rank_by: {way}}}\n"
        tasks.append(str(write_text_task(tmp_path / f"{way}.yaml", data, way, output)))
    for way, task in zip(("raw", "prior_corrected"), tasks, strict=True):
        result = evaluate(Talkative(prefers), task, output_path=tmp_path / f"run_{way}")
        accuracy_by = result.tasks[way].details["ranking"]["accuracy_by"]
        assert accuracy_by["raw"]["n"] == accuracy_by["prior_corrected"]["n"] == 8
        label = {"raw": "sad", "prior_corrected": "happy"}[way]
        with jsonlines.open(tmp_path / f"run_{way}" / "scores" / f"{way}.jsonl") as lines:
            assert {line["label"] for line in lines} == {label}
