"""CONTRIBUTING names files and objects that there are, and its examples run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from avemo_harness.benchmark.request import Message, Request, Text
from avemo_harness.benchmark.task import GenerationSpec, LabelOutput
from avemo_harness.models.base import ModelSetup
from avemo_harness.recognizers.judging import JudgeSetup, judge_modalities
from avemo_harness.recognizers.recordings import Recording

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
PROSE = re.sub(r"```.*?```", "", GUIDE, flags=re.DOTALL)
NAMES = set(re.findall(r"`([^`\n]+)`", PROSE))
FOLDERS = [ROOT / name for name in ("avemo_harness", "models", "tests")]
SOURCES = "\n".join(file.read_text() for folder in FOLDERS for file in folder.rglob("*.py"))
IN_RUNS = {"run.json", "results.json", "items.json", "timing.json", "grader.json", "judge.json", "items/"}
GONE = {"examples/"}


def matching(pattern: str) -> list[str]:
    return sorted(name for name in NAMES if re.fullmatch(pattern, name))


def is_there(path: str) -> bool:
    """True for the path of a file, from the root or from any folder of code."""
    return any(ROOT.glob(path)) or any(any(folder.rglob(path)) for folder in FOLDERS)


@pytest.mark.parametrize(
    "path", sorted(name for name in NAMES if re.fullmatch(r"[\w./*-]+(\.py|\.yaml|\.json|/)", name))
)
def test_every_file_that_is_named_is_there(path: str) -> None:
    assert path in IN_RUNS or is_there(path) != (path in GONE)


@pytest.mark.parametrize("name", matching(r"_?[A-Z]\w+(\.\w+)?"))
def test_every_object_that_is_named_is_in_the_code(name: str) -> None:
    assert all(re.search(rf"\b{part}\b", SOURCES) for part in name.split("."))


def test_the_example_of_a_model_answers() -> None:
    (code,) = (block for block in BLOCKS if "class Mine" in block)
    names: dict[str, Any] = {}
    exec(compile(code, "CONTRIBUTING.md", "exec"), names)
    model = names["Mine"](names["Mine"].Arguments(), ModelSetup())
    output = LabelOutput(type="label", labels=("happy", "sad"))
    request = Request("0" * 64, "d", 0, (Message("user", (Text("?"),)),), output, GenerationSpec())
    assert [answer.text for answer in model.generate([request])] == ["sad"]
    assert model.identity()["model"] == "mine"


def test_the_example_of_a_judge_follows_a_recording(tmp_path: Path) -> None:
    (code,) = (block for block in BLOCKS if "class Neutral" in block)
    names: dict[str, Any] = {}
    exec(compile(code, "CONTRIBUTING.md", "exec"), names)
    judge = names["open_neutral"](JudgeSetup(lambda: pytest.fail("the demo is not needed"), tmp_path))
    assert judge_modalities(judge) == {"audio", "video"}
    assert judge.identity()["judge"] == "neutral"
    assert judge.trajectory(Recording(None, None, 1.5), "both").values.tolist() == [[0.5, 0.5]] * 3


def test_the_example_of_a_metric_is_an_entry_beside_those_that_there_are() -> None:
    (code,) = (block for block in BLOCKS if block.startswith("_of_confusion"))
    from avemo_harness.scorers import metric

    entry = eval(code, vars(metric))
    assert (entry.name, entry.low, entry.high) == ("kappa", -1.0, 1.0)
    assert entry.counts is metric.confusion_counts
