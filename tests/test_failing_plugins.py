"""Whatever an installed package raises or gives back in use is one sentence that names it, or its item's error."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from support.packages import write_package

from avemo_harness import recognizers, registry
from avemo_harness.benchmark.release import Clip
from avemo_harness.cli import main
from avemo_harness.data.pipeline.backends import make_backend
from avemo_harness.data.pipeline.config import BackendConfig
from avemo_harness.errors import RecognitionError
from avemo_harness.recognizers.features import make_extractor
from avemo_harness.recognizers.features.feature_set import FeatureCache, FeatureSet
from avemo_harness.recognizers.judging import JudgeSetup, judge_modalities, open_judge
from avemo_harness.recognizers.recordings import Recording

MODEL = """
from avemo_harness.benchmark.request import Response
from avemo_harness.models.base import Capabilities, NoArguments
class Model:
    Arguments = NoArguments
    capabilities = Capabilities(outputs=frozenset({"label_text"}))
    def __init__(self, arguments, setup): pass
    def identity(self): return {}
    def generate(self, requests): return [Response(text="sad") for one in requests]
"""


def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, value: str, code: str) -> str:
    """Install a package that offers one thing, ``mine``; returns how errors of it begin."""
    module = value.split(":")[0]
    write_package(tmp_path / "site", "some-package", {f"avemo_harness.{kind}": {"mine": value}}, {f"{module}.py": code})
    monkeypatch.syspath_prepend(tmp_path / "site")
    return f"{kind[:-1]} 'mine' of the installed package some-package 1.0 (entry point {value!r}): "


CONCURRENT = """
from concurrent.futures import Future
class Concurrent(Model):
    def submit(self, request):
        raise ValueError("no connection")
"""
PREFETCHING = """
class Prefetching(Model):
    def prefetch(self, request):
        raise ValueError("no memory")
"""


@pytest.mark.parametrize(("name", "code", "n_errors"), [("Prefetching", PREFETCHING, 0), ("Concurrent", CONCURRENT, 4)])
def test_what_a_model_raises_before_it_answers_costs_its_item_at_most(
    name: str, code: str, n_errors: int, text_task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that cannot be made ready beforehand is asked all the same."""
    install(monkeypatch, tmp_path, "models", f"c_{name}:{name}", MODEL + code)
    run = tmp_path / "run"
    main(["--model", "mine", "--tasks", text_task, "--output_path", str(run)])
    (task,) = json.loads((run / "results.json").read_text())["tasks"].values()
    assert (task["n_errors"], task["n_items"]) == (n_errors, 4)


def test_what_a_model_raises_when_it_is_asked_is_the_error_of_the_item(
    text_task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = MODEL.replace("return [Response", "raise SystemError('boom')  #")
    install(monkeypatch, tmp_path, "models", "c01:Model", code)
    run = tmp_path / "run"
    main(["--model", "mine", "--tasks", text_task, "--output_path", str(run)])
    (task,) = json.loads((run / "results.json").read_text())["tasks"].values()
    assert task["n_errors"] == task["n_items"] > 0


SCORER = """
from avemo_harness.scorers.base import MetricValue, ScoreLine, TaskScores
class Scorer:
    metrics = ("m",)
    def score(self, task, answers):
        lines = tuple(ScoreLine.of(one, None, "right", "") for one in answers)
        return TaskScores({"m": MetricValue(0.5, None, None, 1, 0, 0)}, lines, {})
"""
SCORERS = {
    "a scorer that works": ("", "", None),
    "cannot be made": ("    metrics", "    def __init__(self): 1 / 0\n    metrics", "its construction failed (Zero"),
    "fails": (
        "return TaskScores",
        "raise KeyError('gold')\n        return TaskScores",
        "its score() failed (KeyError: 'gold')",
    ),
    "gives nothing": ("return TaskScores", "return None #", "its score() gives NoneType, expected TaskScores"),
    "forgets an answer": ("in answers)", "in answers[1:])", "expected a ScoreLine for each of "),
    "mixes answers up": ("in answers)", "in answers[::-1])", "gives lines of other items, or in another order"),
    "gives a plain number": ("MetricValue(0.5, None, None, 1, 0, 0)", "0.5", "gives a metric that is no Metric"),
    "gives no number": ("0.5", "float('nan')", "its score() failed (ValueError: Out of range float values"),
    "gives what is no JSON": ("lines, {}", "lines, {'x': {1}}", "its score() failed (TypeError: Object of type set"),
}


@pytest.mark.parametrize("case", SCORERS)
def test_a_scorer_that_fails_or_gives_no_scores_is_one_error(
    case: str, text_task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new, said = SCORERS[case]
    module = f"d{list(SCORERS).index(case)}"
    begins = install(monkeypatch, tmp_path, "scorers", f"{module}:Scorer", SCORER.replace(old, new, 1))
    task = Path(text_task)
    task.write_text(f"{task.read_text()}scorers: [{{name: mine, metrics: [m]}}]\nheadline: m\n")
    code = main(["--model", "random", "--tasks", text_task, "--output_path", str(tmp_path / "run")])
    if said is None:
        assert code == 0
    else:
        assert code == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith(f"avemo-eval: {begins}its score() " if "score()" in said else f"avemo-eval: {begins}")
        assert said in error
        assert error.endswith("; repair that package or uninstall it")


JUDGE = """
import numpy as np
from avemo_harness.metrics.profiles import Calibration
from avemo_harness.metrics.trajectory import Trajectory
class Judge:
    calibration = None
    errors = {"valence": 0.1}
    card_values = {"lines": ["mine"]}
    modalities = ("audio",)
    def identity(self): return {"judge": "mine"}
    def trajectory(self, streams, view): raise RuntimeError("out of memory")
def open_judge(setup): return Judge()
"""
JUDGES = {
    "cannot be opened": ("return Judge()", "return 1 / 0", "opening it failed (ZeroDivisionError: division by zero)"),
    "is nothing": ("return Judge()", "return None", "its identity() failed (AttributeError: "),
    "does not know who it is": (
        'return {"judge": "mine"}',
        "raise OSError('gone')",
        "its identity() failed (OSError: gone)",
    ),
    "is nobody": (
        'return {"judge": "mine"}',
        "return 'mine'",
        "expected a mapping of names to texts of its identity()",
    ),
    "has no calibration to ask for": ("    calibration = None\n", "", "its calibration failed (AttributeError: "),
    "has another calibration": (
        "calibration = None",
        "calibration = 0.5",
        "expected a Calibration or None of its calib",
    ),
    "has half a calibration": (
        "calibration = None",
        "calibration = Calibration(*[None] * 8)",
        "its calibration failed (TypeError: ",
    ),
    "has errors of what it does not follow": ('{"valence"', '{"joy"', "expected a mapping of dimensions to numbers of"),
    "has a card that cannot be kept": (
        '["mine"]',
        "{1}",
        "its card_values failed (TypeError: Object of type set is not",
    ),
    "fails to show its card": (
        'card_values = {"lines": ["mine"]}',
        "card_values = property(lambda self: self.missing)",
        "its card_values failed (AttributeError: ",
    ),
    "follows what nobody records": ('("audio",)', '("smell",)', "expected some of audio, video of its modalities"),
}


@pytest.mark.parametrize("case", JUDGES)
def test_a_judge_that_cannot_be_used_is_one_error(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new, said = JUDGES[case]
    module = f"e{list(JUDGES).index(case)}"
    begins = install(monkeypatch, tmp_path, "judges", f"{module}:open_judge", JUDGE.replace(old, new, 1))
    with pytest.raises(registry.UsageError) as refusal:
        open_judge("mine", JudgeSetup(lambda: pytest.fail("the demo is not needed"), tmp_path))
    assert str(refusal.value).startswith(begins + said)
    assert "\n" not in str(refusal.value)


def test_a_judge_that_fails_on_a_recording_fails_on_that_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begins = install(monkeypatch, tmp_path, "judges", "e99:open_judge", JUDGE)
    judge = open_judge("mine", JudgeSetup(lambda: pytest.fail("the demo is not needed"), tmp_path))
    assert judge_modalities(judge) == {"audio"}
    with pytest.raises(RecognitionError, match=re.escape(f"{begins}its trajectory() failed (RuntimeError: out of")):
        judge.trajectory(Recording(None, None, 1.0), "audio")


EXTRACTOR = """
from dataclasses import dataclass
import numpy as np
class Rows:
    @dataclass(frozen=True)
    class Arguments: pass
    modality = "audio"
    width = 3
    def __init__(self, arguments): pass
    def identity(self): return {"extractor": "rows"}
    def extract(self, streams, count, view): return np.zeros((count, 3), np.float32)
"""
EXTRACTORS = {
    "cannot be made": ("arguments): pass", "arguments): 1 / 0", "its construction failed (ZeroDivisionError: "),
    "looks at nothing": ('modality = "audio"', "modality = None", "expected both, audio, video of its modality"),
    "has no width": ("width = 3", "width = 0", "expected a number of columns above 0 of its width"),
    "is nobody": (
        '{"extractor": "rows"}',
        "{}",
        "expected a mapping of texts with the key 'extractor' of its identity()",
    ),
    "takes no arguments": (
        "class Arguments: pass",
        "class Others: pass",
        "it lacks what an extractor needs: Arguments",
    ),
}


@pytest.mark.parametrize("case", EXTRACTORS)
def test_an_extractor_that_cannot_be_used_is_one_error(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, said = EXTRACTORS[case]
    module = f"f{list(EXTRACTORS).index(case)}"
    begins = install(monkeypatch, tmp_path, "extractors", f"{module}:Rows", EXTRACTOR.replace(old, new, 1))
    with pytest.raises(registry.UsageError) as refusal:
        make_extractor("mine")
    assert str(refusal.value).startswith(begins + said)


@pytest.mark.parametrize(
    ("module", "does", "said"),
    [
        ("g0", "raise RuntimeError('out of memory')", "its extract() failed (RuntimeError: out of memory); repair"),
        ("g1", "return np.zeros((count, 4), np.float32)", "extractor rows gave rows of shape (6, 4), expected (6, 3)"),
        ("g2", "return None", "extractor rows gave rows of shape (), expected (6, 3)"),
        ("g3", "return np.full((count, 3), np.nan)", "extractor rows: a feature is no number or beyond what is kept"),
    ],
)
def test_an_extractor_that_fails_on_a_recording_is_an_error_that_names_it(
    module: str, does: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = EXTRACTOR.replace("return np.zeros((count, 3), np.float32)", does)
    install(monkeypatch, tmp_path, "extractors", f"{module}:Rows", code)
    features = FeatureSet((make_extractor("mine"),), FeatureCache(tmp_path / "features"))
    streams = Recording(Clip.from_bytes(b"x", "the clip"), None, 3.0)
    with pytest.raises(RecognitionError, match=f"^the clip: .*{re.escape(said)}"):
        features.rows(streams, 6, "audio")


RECOGNIZER = """
class Recognizer:
    labels = ("sad", "happy")
    @classmethod
    def fit(cls, examples, labels, groups, *, faces=None, seed): return cls()
    def log_probabilities(self, sound, face): return [0.0, 0.0]
    def save(self, path): raise OSError("full")
    @classmethod
    def load(cls, path): raise ValueError("not mine")
"""


def test_a_recognizer_that_fails_is_one_error_and_on_a_clip_that_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = install(monkeypatch, tmp_path, "recognizers", "h01:Recognizer", RECOGNIZER)
    recognizer = recognizers.load_recognizer("mine")
    with pytest.raises(registry.UsageError, match=re.escape(f"{begins}its load() failed (ValueError: not mine)")):
        recognizer.load(tmp_path)
    learned = recognizer.fit([], [], [], seed=0)
    assert learned.log_probabilities(None, None).tolist() == [0.0, 0.0]
    with pytest.raises(registry.UsageError, match=re.escape(f"{begins}its save() failed (OSError: full)")):
        learned.save(tmp_path)
    monkeypatch.setattr("h01.Recognizer.log_probabilities", lambda *shown: [0.0])
    with pytest.raises(RecognitionError, match=re.escape("expected a number for each of 2 labels, found [0.0]")):
        learned.log_probabilities(None, None)
    monkeypatch.setattr("h01.Recognizer.labels", None)
    with pytest.raises(registry.UsageError, match="expected a tuple of texts of its labels, found NoneType"):
        recognizer.fit([], [], [], seed=0)
    monkeypatch.setattr("h01.Recognizer.fit", None)
    with pytest.raises(registry.UsageError, match=re.escape(f"{begins}its fit() failed (TypeError: ")):
        recognizer.fit([], [], [], seed=0)


def test_a_build_tool_that_fails_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = EXTRACTOR.replace("arguments): pass", "arguments): 1 / 0")
    begins = install(monkeypatch, tmp_path, "speech_backends", "i01:Rows", code)
    with pytest.raises(registry.UsageError, match=re.escape(f"{begins}its construction failed (ZeroDivisionError: ")):
        make_backend("speech", BackendConfig(backend="mine"))
    nobody = EXTRACTOR.replace('{"extractor": "rows"}', "None")
    (tmp_path / "site" / "i01.py").write_text(nobody)
    monkeypatch.delitem(sys.modules, "i01")
    with pytest.raises(registry.UsageError, match=re.escape("expected a mapping of names to texts of its identity()")):
        make_backend("speech", BackendConfig(backend="mine"))
