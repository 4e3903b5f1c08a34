"""An installed package that is broken, or that takes a name twice, gives one clear error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.packages import write_package

from avemo_harness import models, recognizers, registry, scorers
from avemo_harness.benchmark.task_library import TaskLibrary
from avemo_harness.cli import main

MODEL = """
from avemo_harness.models.base import Capabilities, NoArguments
class Model:
    Arguments = NoArguments
    capabilities = Capabilities(outputs=frozenset({"label_text"}))
    def __init__(self, arguments, setup): pass
    def identity(self): return {}
    def generate(self, requests): return []
"""
LACKS = "it lacks what a model needs: "
BROKEN = {
    "a model's module is missing": ("models", "b01:Model", {}, "it cannot be imported (ModuleNotFoundError: No module"),
    "a model's module fails": ("models", "b02:Model", {"b02.py": "1 / 0"}, "cannot be imported (ZeroDivisionError"),
    "a model's module is no Python": ("models", "b03:Model", {"b03.py": "class"}, "cannot be imported (SyntaxError"),
    "a model's class is missing": ("models", "b04:Modle", {"b04.py": MODEL}, "cannot be imported (AttributeError"),
    "a module stands for a model": (
        "models",
        "b05",
        {"b05.py": MODEL},
        f"{LACKS}Arguments, capabilities, identity, generate; repair",
    ),
    "a model does not generate": (
        "models",
        "b06:Model",
        {"b06.py": MODEL.replace("def generate", "def answer")},
        f"{LACKS}generate; repair",
    ),
    "a model's capabilities are something else": (
        "models",
        "b07:Model",
        {"b07.py": MODEL + "    capabilities = {'label_text'}\n"},
        f"{LACKS}capabilities; repair",
    ),
    "a model's arguments are no data class": (
        "models",
        "b08:Model",
        {"b08.py": MODEL + "    class Arguments: pass\n"},
        f"{LACKS}Arguments; repair",
    ),
    "a model's module ends the process": (
        "models",
        "b09:Model",
        {"b09.py": "raise SystemExit(0)"},
        "it cannot be imported (SystemExit: 0)",
    ),
    "a model cannot be made": (
        "models",
        "b10:Model",
        {"b10.py": MODEL + "    def __init__(self, arguments, setup): 1 / 0\n"},
        "its construction failed (ZeroDivisionError: division by zero)",
    ),
    "a model ends the process when it is made": (
        "models",
        "b41:Model",
        {"b41.py": MODEL + "    def __init__(self, arguments, setup): raise SystemExit(0)\n"},
        "its construction failed (SystemExit: 0)",
    ),
    "a model takes no setup": (
        "models",
        "b42:Model",
        {"b42.py": MODEL + "    def __init__(self, arguments): ...\n"},
        "its construction failed (TypeError: ",
    ),
    "a model's arguments cannot be made": (
        "models",
        "b43:Model",
        {
            "b43.py": "from dataclasses import dataclass\n"
            + MODEL
            + "    @dataclass\n    class Arguments:\n        def __post_init__(self): raise KeyError('x')\n"
        },
        "its construction failed (KeyError: 'x')",
    ),
    "a made model's capabilities are something else": (
        "models",
        "b44:Model",
        {"b44.py": MODEL + "    def __init__(self, arguments, setup): self.capabilities = None\n"},
        "expected Capabilities of its capabilities, found NoneType",
    ),
    "a model does not know who it is": (
        "models",
        "b45:Model",
        {"b45.py": MODEL.replace("return {}", "raise RuntimeError('no weights\\nat all')")},
        "its identity() failed (RuntimeError: no weights)",
    ),
    "a model is nobody": (
        "models",
        "b46:Model",
        {"b46.py": MODEL.replace("return {}", "return None")},
        "expected a mapping of names to texts of its identity(), found NoneType",
    ),
    "a model's identity is no JSON": (
        "models",
        "b47:Model",
        {"b47.py": MODEL.replace("return {}", "return {'model': object()}")},
        "its identity() failed (TypeError: Object of type object is not JSON serializable)",
    ),
    "a scorer's module is missing": ("scorers", "b11:Scorer", {}, "it cannot be imported (ModuleNotFoundError"),
    "a scorer has no metrics": (
        "scorers",
        "b12:Scorer",
        {"b12.py": "class Scorer:\n    def score(self, task, answers): ..."},
        "it lacks what a scorer needs: metrics; repair",
    ),
    "a scorer's metrics are one text": (
        "scorers",
        "b13:Scorer",
        {"b13.py": "class Scorer:\n    metrics = 'wer'\n    def score(self, task, answers): ..."},
        "it lacks what a scorer needs: metrics; repair",
    ),
    "a scorer does not score": (
        "scorers",
        "b14:Scorer",
        {"b14.py": "class Scorer:\n    metrics = ('wer',)"},
        "it lacks what a scorer needs: score; repair",
    ),
    "tasks of a missing package": ("tasks", "b21", {}, "there is no folder of a package of that name"),
    "tasks of a missing folder": ("tasks", "b22.tasks", {"b22/__init__.py": ""}, "there is no folder of a package"),
    "tasks of a module": ("tasks", "b23", {"b23.py": ""}, "there is no folder of a package of that name"),
    "tasks of nowhere": ("tasks", "..", {}, "there is no folder of a package of that name"),
    "a folder without tasks": ("tasks", "b24", {"b24/__init__.py": ""}, "its folder holds no task YAML"),
    "tasks that are no YAML": ("tasks", "b25", {"b25/x.yaml": "task: [x\n"}, "x.yaml:2: not valid YAML"),
    "tasks without a name": ("tasks", "b26", {"b26/x.yaml": "version: 1\n"}, "x.yaml:1: neither 'task' nor 'group'"),
    "a task that is there twice": (
        "tasks",
        "b27",
        {"b27/x.yaml": "task: x\n", "b27/y.yaml": "task: x\n"},
        "y.yaml:1: 'x' is already defined in ",
    ),
    "a recognizer's module is missing": ("recognizers", "b31:R", {}, "it cannot be imported (ModuleNotFoundError"),
    "a recognizer does not fit": (
        "recognizers",
        "b32:R",
        {"b32.py": "class R:\n    log_probabilities = save = load = print"},
        "it lacks what a recognizer needs: fit; repair",
    ),
}


def use(kind: str, name: str, text_task: str, tmp_path: Path) -> int:
    """Ask the command for a model, a task or a scorer."""
    if kind == "models":
        return main(["--model", name, "--tasks", text_task, "--output_path", str(tmp_path / "run")])
    if kind == "tasks":
        return main(["show", name])
    task = Path(text_task)
    task.write_text(f"{task.read_text()}scorers: [{{name: {name}, metrics: [m]}}]\nheadline: m\n")
    return main(["validate", text_task])


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_package_is_one_error_that_names_it_and_what_to_do(
    case: str,
    text_task: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kind, value, files, said = BROKEN[case]
    write_package(tmp_path / "site", "some-package", {f"avemo_harness.{kind}": {"mine": value}}, files)
    monkeypatch.syspath_prepend(tmp_path / "site")
    if kind == "recognizers":
        with pytest.raises(registry.UsageError) as refusal:
            recognizers.load_recognizer("mine")
        message = str(refusal.value)
    else:
        assert use(kind, "mine", text_task, tmp_path) == 2
        message = capsys.readouterr().err.removeprefix("avemo-eval: ").rstrip("\n")
    assert message.startswith(f"{kind[:-1]} 'mine' of the installed package some-package 1.0 (entry point {value!r}): ")
    assert said in message
    assert message.endswith("; repair that package or uninstall it")
    assert "\n" not in message


@pytest.mark.parametrize("kind", ["models", "scorers", "recognizers"])
def test_a_name_that_two_packages_offer_is_one_error_that_names_both(
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for package in ("this", "that"):
        write_package(tmp_path, package, {f"avemo_harness.{kind}": {"mine": f"{package}:Thing"}})
    monkeypatch.syspath_prepend(tmp_path)
    registry = {"models": models, "scorers": scorers, "recognizers": recognizers}[kind].REGISTRY
    said = f"{kind[:-1]} 'mine' is offered by several installed packages, that 1.0 and this 1.0; uninstall all but one"
    for use_it in (registry.check, registry.load):
        with pytest.raises(registry.kind.error, match=re.escape(said)):
            use_it("mine")


def test_a_task_that_two_packages_define_is_one_error_that_names_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("one_pkg", "two_pkg"):
        files = {f"{package}/mine.yaml": "task: mine\n"}
        write_package(tmp_path, package, {"avemo_harness.tasks": {"mine": package}}, files)
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["show", "mine"]) == 2
    said = capsys.readouterr().err
    assert "task 'mine' of the installed package two_pkg 1.0" in said
    assert re.search(r"'mine' is already defined in \S+one_pkg/mine\.yaml of the installed package one_pkg 1\.0", said)


def test_a_broken_package_hinders_nothing_that_is_built_in(
    text_task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = ("models", "tasks", "scorers", "recognizers")
    write_package(tmp_path / "site", "broken", {f"avemo_harness.{group}": {"broken": "nowhere:x"} for group in groups})
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert main(["--model", "random", "--tasks", text_task, "--output_path", str(tmp_path / "run")]) == 0
    assert main(["validate"]) == 0
    assert TaskLibrary(scorers.METRICS).load_group("demo") is not None
    capsys.readouterr()
    # The lists tell of it behind everything that is built in.
    assert main(["ls"]) == 2
    shown = capsys.readouterr()
    assert "demo_conflict" in shown.out
    assert "task 'broken' of the installed package broken 1.0" in shown.err
