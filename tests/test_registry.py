"""Installed packages add to what is built in, and replace nothing of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.judged_runs import Speaking
from support.packages import write_package
from support.planted_judge import LevelJudge, plant
from support.synthetic_release import CONFIG, write_synthetic_release
from support.waiting import PATIENCE_S

from avemo_harness import evaluate, media, models, recognizers, registry, scorers
from avemo_harness.benchmark.release import Clip, Dialogue, Turn
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.benchmark.task_library import TaskLibrary
from avemo_harness.errors import UsageError
from avemo_harness.models.base import ModelSetup
from avemo_harness.recognizers import features
from avemo_harness.recognizers.features import make_extractor
from avemo_harness.recognizers.judging import JudgeSetup, open_judge
from avemo_harness.report.compare import compare_runs
from avemo_harness.report.exports import Publication
from avemo_harness.report.exports.formats import spreadsheet
from avemo_harness.report.scored_run import read_scored_run

EXAMPLE = Path(__file__).parent / "support" / "example_plugin"
PACKAGE = "avemo-example-plugin 0.1.0"
RATE = 16_000
FRAMES = [np.full((32, 32, 3), 90, np.uint8)] * 25


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the example package."""
    folder = tmp_path_factory.mktemp("example")
    # Building writes into the source.
    shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    command = [*pip, "--no-build-isolation", "--target", str(folder / "site"), str(folder / "source")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def voice(hertz: float, amplitude: float) -> Clip:
    """A second of a buzz at a pitch and a level."""
    phase = hertz * np.arange(RATE) / RATE
    return Clip.from_bytes(media.encode_clip(FRAMES, (amplitude * (2 * (phase % 1) - 1)).astype(np.float32)))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each emotion has its pitch, and only anger is loud."""
    sounds = {"angry": voice(230, 0.5), "happy": voice(300, 0.02), "neutral": voice(160, 0.02), "sad": voice(110, 0.02)}
    splits = {"train": [], "test": []}
    for split, dialogues in splits.items():
        for speaker in ("one", "two"):
            row = [
                Turn(i, "user", f"{split} {speaker}", "Yes.", emotion, clip=sounds[emotion])
                for i, emotion in enumerate(sounds)
            ]
            dialogues.append(Dialogue(f"{split} {speaker}", "test", "en", "CC0-1.0", tuple(row)))
    folder = tmp_path_factory.mktemp("release")
    write_release(folder, "demo", splits)
    return folder


def avemo_eval(site: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    searched = [str(site), *os.environ.get("PYTHONPATH", "").split(os.pathsep)] if site else []
    environment = {**os.environ, **({"PYTHONPATH": os.pathsep.join(filter(None, searched))} if searched else {})}
    command = [sys.executable, "-m", "avemo_harness", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=PATIENCE_S)


def results(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "results.json").read_text())
    return content


def test_a_model_a_task_and_a_metric_of_a_package_are_used_by_their_names(
    example: Path, release: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = ["--tasks", "example_task", "--dataset", str(release), "--output_path", str(run)]
    done = avemo_eval(example, "--model", "example", *arguments)
    assert done.returncode == 0, done.stderr
    assert "valence_accuracy" in done.stdout
    metric = results(run)["tasks"]["example_task"]["metrics"]["valence_accuracy"]
    assert (metric["value"], metric["n"], metric["n_errors"]) == (0.5, 8, 0)
    assert results(run)["identity"]["version"] == "0.1.0"


def test_arguments_of_a_packages_model_are_typed_and_checked(example: Path, release: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ["--model", "example", "--tasks", "example_task", "--dataset", str(release), "--output_path", str(run)]
    done = avemo_eval(example, *arguments, "--model_args", "above_dbfs=-90,loud=happy")
    assert done.returncode == 0, done.stderr
    assert results(run)["tasks"]["example_task"]["metrics"]["valence_accuracy"]["value"] == 0.25
    assert results(run)["identity"]["above_dbfs"] == "-90.0"
    wrong = avemo_eval(example, *arguments, "--model_args", "lout=happy")
    assert (wrong.returncode, wrong.stderr) == (2, "avemo-eval: example takes no argument 'lout'; nearest: 'loud'\n")


def test_baseline_learns_with_a_recognizer_of_a_package(
    example: Path, release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVEMO_CACHE", str(tmp_path / "cache"))
    run = tmp_path / "run"
    arguments = ["--tasks", "demo_full_av", "--dataset", str(release), "--output_path", str(run)]
    done = avemo_eval(example, "--model", "baseline", "--model_args", "recognizer=example_nearest", *arguments)
    assert done.returncode == 0, done.stderr
    assert results(run)["tasks"]["demo_full_av"]["metrics"]["accuracy"]["value"] == 1.0
    assert results(run)["identity"]["recognizer"] == f"example_nearest of {PACKAGE}"
    (kept,) = (tmp_path / "cache" / "baseline").iterdir()
    assert set(json.loads(kept.read_text())) == {"labels", "means", "deviation"}


def test_a_packages_metric_of_labels_is_compared_turn_by_turn(example: Path, release: Path, tmp_path: Path) -> None:
    runs = [tmp_path / "loud", tmp_path / "louder"]
    for run, level in zip(runs, ("-20", "0"), strict=True):
        arguments = ["--tasks", "example_task", "--dataset", str(release), "--output_path", str(run)]
        done = avemo_eval(example, "--model", "example", "--model_args", f"above_dbfs={level}", *arguments)
        assert done.returncode == 0, done.stderr
    done = avemo_eval(example, "compare", *map(str, runs), "--json", str(tmp_path / "compared.json"))
    assert done.returncode == 0, done.stderr
    (contrast,) = json.loads((tmp_path / "compared.json").read_text())["contrasts"]
    (difference,) = contrast["differences"]
    # Anger is the one loud emotion, and it is unpleasant whether it is called so or sad.
    assert (difference["metric"], difference["first"], difference["second"]) == ("valence_accuracy", 0.5, 0.5)
    assert contrast["notes"] == []


@pytest.fixture
def replies(example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Runs of spoken replies that the package scores and a planted judge judges."""
    monkeypatch.syspath_prepend(str(example))
    plant(monkeypatch, LevelJudge())
    monkeypatch.setenv("AVEMO_JUDGE", "embedded")
    task = tmp_path / "pleasant.yaml"
    scorer = "scorers: [{name: example_pleasantness, metrics: [reply_valence]}]\nheadline: reply_valence\n"
    parent = Path(__file__).parents[1] / "tasks" / "_reply.yaml"
    task.write_text(f"task: pleasant\nextends: {parent}\ndataset: {{name: {CONFIG}}}\n{scorer}")
    spoken = write_synthetic_release(tmp_path / "spoken")

    def run(name: str) -> Path:
        evaluate(Speaking(), str(task), dataset=str(spoken), output_path=tmp_path / name)
        return tmp_path / name

    return run


def test_replies_that_a_packages_scorer_needs_judged_are_judged_compared_and_exported(
    replies: Callable[[str], Path],
) -> None:
    runs = [replies("one"), replies("other")]
    task = results(runs[0])["tasks"]["pleasant"]
    value = task["metrics"]["reply_valence"]
    assert (value["value"], value["n"], task["n_unjudged"], task["comparable"]) == (0.5, 12, 0, False)
    # It is the demo's judge by name, of which any value is marked.
    assert value["marks"][0] == "D"
    (contrast,) = compare_runs(runs, force=False).contrasts
    (difference,) = contrast.differences
    assert (difference.metric, difference.n, difference.difference.value) == ("reply_valence", 12, 0)
    assert contrast.notes == ("the embedded judge knows the demo's voices only: these differences mean nothing",)
    (text,) = spreadsheet(read_scored_run(runs[0]), Publication()).values()
    assert "reply_valence,0.5," in text
    assert "judge=embedded" in text


def test_replies_are_judged_by_a_package_s_judge(replies: Callable[[str], Path], example: Path) -> None:
    run = replies("judged")
    for command in (["judge", str(run), "--recognizer", "example_loudness"], ["score", str(run)]):
        done = avemo_eval(example, *command)
        assert done.returncode == 0, done.stderr
    assert results(run)["judge"]["name"] == "example_loudness"
    assert results(run)["tasks"]["pleasant"]["metrics"]["reply_valence"]["value"] == 0.5


def test_a_recogniser_learns_from_a_package_s_features(example: Path, release: Path, tmp_path: Path) -> None:
    out = tmp_path / "levels"
    train = ["recognizer", "train", "--corpus", f"release:{release},config=demo", "--extractor", "example_level"]
    done = avemo_eval(example, *train, "--kind", "categorical", "--out", str(out))
    assert done.returncode == 0, done.stderr
    (extractor,) = json.loads((out / "config.json").read_text())["extractors"]
    assert extractor["identity"]["extractor"] == "example_level"


@pytest.mark.parametrize(("said", "judged"), [("True", True), ("False", False), ("'yes'", None)])
def test_a_scorer_that_only_names_its_metrics_says_whether_it_needs_a_judge(
    said: str, judged: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"named_{judged}".lower()
    code = f"class Scorer:\n    metrics, needs_judge = ('m',), {said}\n    def score(self, task, answers): ...\n"
    write_package(tmp_path, name, {"avemo_harness.scorers": {name: f"{name}:Scorer"}}, {f"{name}.py": code})
    monkeypatch.syspath_prepend(str(tmp_path))
    if judged is None:
        with pytest.raises(UsageError, match="lacks what a scorer needs: needs_judge"):
            scorers.metrics_of(name)
    else:
        assert [(one.name, one.needs_judge) for one in scorers.metrics_of(name)] == [("m", judged)]


def test_the_lists_show_what_packages_add_and_whose_it_is(example: Path) -> None:
    model = "Names one emotion for loud clips and another one for the rest."
    level = "One column: the level in dB of full scale, divided by 60 dB, so that it lies in [-1, 0]."
    nearest = "Compares the features of a clip's sound with their mean over the training clips of each label."
    loudness = "Louder is more aroused, and nothing is known of valence."
    expected = {
        "tasks": f"example_task  ({PACKAGE})",
        "models": f"example  ({PACKAGE})\n    {model}\n    arguments: loud=angry,quiet=sad,above_dbfs=-20.0",
        "scorers": f"example_pleasantness: reply_valence  ({PACKAGE})\nexample_valence: valence_accuracy  ({PACKAGE})",
        "recognizers": f"example_nearest  ({PACKAGE})\n    {nearest}",
        "judges": f"example_loudness  ({PACKAGE})\n    {loudness}",
        "extractors": f"example_level:floor_dbfs=-60.0  ({PACKAGE})\n    {level}",
    }
    for what, last in expected.items():
        with_it, without = avemo_eval(example, "ls", what).stdout, avemo_eval(None, "ls", what).stdout
        assert with_it == f"{without}{last}\n"


def test_names_in_a_packages_task_are_checked_with_the_nearest(example: Path, tmp_path: Path) -> None:
    text = (EXAMPLE / "avemo_example_plugin/tasks/example_task.yaml").read_text()
    for right, wrong, kind in (
        ("example_valence", "exmple_valence", "scorer"),
        ("[valence_accuracy]", "[valence_acuracy]", "metric"),
    ):
        file = tmp_path / "mine.yaml"
        file.write_text(text.replace(right, wrong, 1))
        done = avemo_eval(example, "validate", str(file))
        assert done.returncode == 2
        assert f"unknown {kind} {wrong.strip('[]')!r}; nearest: {right.strip('[]')!r}" in done.stderr
    assert avemo_eval(example, "validate", "example_task").stdout == "1 task is valid\n"


def test_looking_around_runs_no_code_of_a_package_and_imports_nothing_heavy(example: Path) -> None:
    unwanted = ("avemo_example_plugin", "torch", "transformers", "av", "sklearn", "pyarrow", "datasets")
    for arguments in (
        ["--help"],
        ["ls"],
        *(["ls", what] for what in ("models", "recognizers", "judges", "extractors")),
    ):
        program = f"""
import sys
from avemo_harness.cli import main
main({arguments!r})
print([name for name in {unwanted!r} if name in sys.modules], "importlib.metadata" in sys.modules, file=sys.stderr)
"""
        environment = {**os.environ, "PYTHONPATH": str(example)}
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
        )
        assert done.stderr.split() == ["[]", str(arguments != ["--help"])]


def test_built_in_names_are_found_without_looking_at_installed_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(kind: registry.Kind) -> list[registry.Plugin]:
        raise AssertionError(f"installed packages were searched for {kind.group}")

    monkeypatch.setattr(registry, "installed", refuse)
    monkeypatch.setattr("avemo_harness.benchmark.task_library.installed", refuse)
    assert models.load_model("random", {}, ModelSetup()).identity()["model"] == "random"
    assert recognizers.load_recognizer("fusion").__name__ == "FusionRecognizer"
    assert "accuracy" in scorers.METRICS["understanding"]
    library = TaskLibrary(scorers.METRICS)
    assert len(library.load(["demo", "demo_full_av", "*_conflict"])) > 4
    assert library.load_group("demo") is not None


def test_a_built_in_name_is_never_taken_over(tmp_path: Path, text_task: str) -> None:
    site = tmp_path / "site"
    entries = {
        "avemo_harness.models": {"random": "usurper:Model"},
        "avemo_harness.tasks": {"usurper": "usurper"},
        "avemo_harness.scorers": {"understanding": "usurper:Scorer"},
        "avemo_harness.recognizers": {"fusion": "usurper:Recognizer"},
    }
    files = {"usurper/__init__.py": "raise RuntimeError", "usurper/demo.yaml": "task: demo_full_av\ngroup: demo\n"}
    write_package(site, "usurper", entries, files)
    for what in ("tasks", "models", "scorers", "recognizers", "judges", "extractors"):
        assert avemo_eval(site, "ls", what).stdout == avemo_eval(None, "ls", what).stdout
    assert avemo_eval(site, "show", "demo_full_av").stdout == avemo_eval(None, "show", "demo_full_av").stdout
    done = avemo_eval(site, "--model", "random", "--tasks", text_task, "--output_path", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "registry",
    [models.REGISTRY, scorers.REGISTRY, recognizers.REGISTRY, recognizers.JUDGE_REGISTRY, features.REGISTRY],
    ids=lambda registry: registry.kind.noun,
)
def test_every_built_in_entry_is_what_its_kind_needs(registry: registry.Registry) -> None:
    for name in registry.built_in:
        found = registry.load(name)
        assert [need for need, fits in registry.kind.needs.items() if not fits(getattr(found, need, None))] == []


def test_a_packages_own_group_can_be_asked_and_has_its_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = Path(__file__).parents[1] / "tasks" / "_understanding.yaml"
    task = f"task: mine\ngroup: own\nextends: {parent}\ndataset: {{name: demo}}\ncondition: full_av\n"
    group = "group: own\ntitle: My own\ncolumns:\n- {name: Acc, condition: full_av, metric: accuracy}\n"
    files = {"own_group/tasks/mine.yaml": task, "own_group/tasks/group.yaml": group}
    write_package(tmp_path, "own", {"avemo_harness.tasks": {"own": "own_group.tasks"}}, files)
    monkeypatch.syspath_prepend(tmp_path)
    library = TaskLibrary(scorers.METRICS)
    assert [task.name for task in library.load(["own"])] == ["mine"]
    layout = library.load_group("own")
    assert layout is not None
    assert layout.title == "My own"
    assert "mine" not in [entry.name for entry in library.tasks]


JUDGE_AND_EXTRACTOR = """
from dataclasses import dataclass
import numpy as np
from avemo_harness.metrics.trajectory import Trajectory

class Flat:
    calibration, errors, card_values = None, {}, {"lines": ["always neutral"]}
    def identity(self):
        return {"judge": "flat"}
    def trajectory(self, streams, view):
        return Trajectory(np.full((2, 2), 0.5), ("valence", "arousal"), "unit", 2.0)

def open_flat(setup):
    return Flat()

class Constant(Flat):
    @dataclass(frozen=True)
    class Arguments:
        path: str
        level: float = 0.5

    def __init__(self, arguments, setup):
        self.card_values = {"lines": [f"always {arguments.level} by {arguments.path}"]}

class Zeros:
    @dataclass(frozen=True)
    class Arguments:
        width: int = 1
    modality = "audio"
    def __init__(self, arguments):
        self.width = arguments.width
    def identity(self):
        return {"extractor": "zeros", "width": str(self.width)}
    def extract(self, streams, count, view):
        return np.zeros((count, self.width), dtype=np.float32)
"""


def test_a_package_adds_judges_and_feature_extractors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {
        "avemo_harness.judges": {"flat": "flat_and_zeros:open_flat", "level": "flat_and_zeros:Constant"},
        "avemo_harness.extractors": {"zeros": "flat_and_zeros:Zeros"},
    }
    write_package(tmp_path, "flat-and-zeros", groups, {"flat_and_zeros.py": JUDGE_AND_EXTRACTOR})
    monkeypatch.syspath_prepend(str(tmp_path))
    judge = open_judge("flat", JudgeSetup(lambda: pytest.fail("the demo is not needed"), tmp_path))
    assert judge.card_values["lines"] == ["always neutral"]
    setup = JudgeSetup(lambda: pytest.fail("the demo is not needed"), tmp_path)
    assert open_judge("level:path=./a/b,level=1", setup).card_values["lines"] == ["always 1.0 by ./a/b"]
    with pytest.raises(UsageError, match="judge level needs path="):
        open_judge("level:level=1", setup)
    with pytest.raises(UsageError, match="judge flat takes no arguments"):
        open_judge("flat:level=1", setup)
    extractor = make_extractor("zeros:width=3")
    assert (extractor.width, extractor.identity()["width"]) == (3, "3")
    with pytest.raises(UsageError, match="argument width='x'"):
        make_extractor("zeros:width=x")
