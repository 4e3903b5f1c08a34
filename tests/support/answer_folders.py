"""Folders of answers, and runs of the model `replies` on them, judged by a planted judge."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.planted_judge import LevelJudge, plant

from avemo_harness.report.results import RunResult, score_run
from avemo_harness.run.config import RunConfig
from avemo_harness.run.prepare import judge_replies, prepare


def write_answers(folder: Path, lines: Iterable[Mapping[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (folder / "answers.jsonl").write_text(text, encoding="utf-8")
    return folder


def copy_answers(run: Path, folder: Path) -> Path:
    """A run's answers and speech, as its directory has them."""
    folder.mkdir(parents=True)
    lines = [path.read_text(encoding="utf-8") for path in sorted((run / "responses").glob("*.jsonl"))]
    (folder / "answers.jsonl").write_text("".join(lines), encoding="utf-8")
    if (run / "speech").exists():
        shutil.copytree(run / "speech", folder / "speech")
    return folder


def score_answers(
    answers: Path, run: Path, tasks: str, said: list[str] | None = None, **options: Any
) -> tuple[RunResult, dict[str, str]]:
    """Score answers as the command does; also the errors of items, by task and id."""
    config = RunConfig(model="replies", tasks=(tasks,), model_args={"path": str(answers)}, **options)
    prepared = prepare(config, output_path=run, say=(said if said is not None else []).append)
    prepared.ask()
    with pytest.MonkeyPatch.context() as patch:
        plant(patch, LevelJudge())
        judge_replies(run, "embedded", prepared.releases)
    rows = [json.loads(line) for path in (run / "responses").glob("*.jsonl") for line in path.open(encoding="utf-8")]
    return score_run(run), {f"{row['task']} {row['item']}": row["error"] for row in rows if "error" in row}
