"""The command: what it says, what it exits with, and what it does not import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.byte_clips import write_lost_clips_task
from support.releases import write_text_release, write_text_task
from support.waiting import PATIENCE_S

HEAVY = ("torch", "transformers", "datasets", "evaluate", "pandas", "av", "sklearn", "pyarrow")


def avemo_eval(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "avemo_harness", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("release")
    return str(write_text_task(folder / "text.yaml", write_text_release(folder / "data", 20, 2)))


@pytest.mark.parametrize(
    "arguments",
    [
        *([], ["--help"], ["ls"], ["--version"]),
        *([name, "--help"] for name in ("run", "show", "requests", "judge", "export", "human", "recognizer")),
        *(["human", "plan", "--help"], ["recognizer", "train", "--help"]),
        *(["ls", what] for what in ("models", "recognizers", "judges", "extractors", "corpora")),
    ],
)
def test_looking_around_imports_nothing_heavy(arguments: list[str]) -> None:
    # Arguments and sentences of what is built in stand in its modules, which need NumPy.
    heavy = HEAVY if arguments[:1] == ["ls"] and len(arguments) > 1 else (*HEAVY, "numpy", "pydantic")
    program = f"""
import sys
from avemo_harness.cli import main
try:
    main({arguments!r})
except SystemExit:
    pass
print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert done.stdout


@pytest.mark.parametrize(
    ("arguments", "told", "light"),
    [
        (["--model", "random", "--tasks", "demoo"], "unknown task or group 'demoo'; nearest: demo", True),
        (["--model", "rondom", "--tasks", "demo"], "unknown model 'rondom'; nearest: 'random'", True),
        (["--model", "random", "--tasks", "demo", "--batch_size", "x"], "--batch_size must be a whole number", True),
        (["--model", "random", "--tasks", "demo", "--recognizer", "embeded"], "judge 'embeded'", False),
        (["--model", "baseline", "--tasks", "demo", "--model_args", "sed=1"], "sed", False),
    ],
)
def test_what_is_not_understood_is_refused_before_a_run_is_imported(
    arguments: list[str], told: str, light: bool
) -> None:
    late = (*HEAVY, "avemo_harness.run.prepare", "avemo_harness.report.results", *(["numpy"] * light))
    program = f"""
import sys
from avemo_harness.cli import main
assert main({arguments!r}) == 2
print([name for name in {late!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told in done.stderr
    assert done.stdout.strip() == "[]"


def test_the_list_of_commands_imports_no_dataclasses() -> None:
    # They import `inspect`, which takes longer than all the rest.
    program = "import sys; from avemo_harness.cli import main; main([]); assert 'inspect' not in sys.modules"
    assert "run " in subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("corpora", "recola:PATH,gold=avec2018"),
        ("corpora", "release:PATH,config=CONFIG,media_root=None"),
        ("extractors", "builtin-sound"),
        ("extractors", "hicmae:checkout=CHECKOUT,checkpoint=CHECKPOINT,crop=centre,device=None"),
        ("judges", "embedded"),
        (
            "judges",
            "wav2vec2-dim:pretrained=audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim,revision=None,device=None",
        ),
        ("models", "random"),
        ("models", "    arguments: label=neutral"),
        ("recognizers", "fusion"),
    ],
)
def test_what_there_is_stands_with_its_arguments(what: str, line: str) -> None:
    assert line in avemo_eval("ls", what).stdout.splitlines()


@pytest.mark.parametrize("what", ["models", "recognizers", "judges", "extractors", "corpora"])
def test_what_there_is_stands_with_a_sentence_each(what: str) -> None:
    lines = avemo_eval("ls", what).stdout.splitlines()
    names = [number for number, line in enumerate(lines) if not line.startswith("    ")]
    for number in names:
        sentence = lines[number + 1].removeprefix("    ")
        assert lines[number + 1].startswith("    ")
        assert sentence[0].isupper()
        assert sentence[-1] == "."
        assert sentence.count(". ") == 0


def test_a_run_of_random_imports_neither_torch_nor_scikit_learn(task: str, tmp_path: Path) -> None:
    program = f"""
import sys
from avemo_harness.cli import main
code = main(["--model", "random", "--tasks", {task!r}, "--output_path", {str(tmp_path / "run")!r}])
print([name for name in {HEAVY[:-1]!r} if name in sys.modules], file=sys.stderr)
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_a_run_prints_its_table_and_names_its_directory(task: str, tmp_path: Path) -> None:
    done = avemo_eval("--model", "random", "--tasks", task, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "text_only" in done.stdout
    assert "accuracy" in done.stdout
    folder, report = done.stdout.splitlines()[-2:]
    assert (tmp_path / folder.removeprefix("run directory: ") / "results.json").exists()
    assert (tmp_path / report.removeprefix("report: ")).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_the_same_command_continues_in_the_same_directory_and_score_prints_the_same(task: str, tmp_path: Path) -> None:
    first = avemo_eval("--model", "random", "--tasks", task, cwd=tmp_path)
    second = avemo_eval("--model", "random", "--tasks", task, cwd=tmp_path)
    assert second.stdout == first.stdout
    run = next((tmp_path / "runs").iterdir())
    assert len(list(run.glob("responses/*"))) == 1
    before = (run / "results.json").read_bytes()
    scored = avemo_eval("score", str(run))
    assert scored.returncode == 0
    assert first.stdout.startswith(scored.stdout)
    assert (run / "results.json").read_bytes() == before


def test_a_saved_run_can_be_given_as_configuration_and_flags_override_it(task: str, tmp_path: Path) -> None:
    avemo_eval("--model", "random", "--tasks", task, "--output_path", "first", cwd=tmp_path)
    again = avemo_eval("--config", "first/run.json", "--output_path", "second", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "second/results.json").read_bytes() == (tmp_path / "first/results.json").read_bytes()
    other = avemo_eval("--config", "first/run.json", "--model", "constant", "--model-args", "label=sad", cwd=tmp_path)
    assert other.returncode == 0, other.stderr
    assert "constant" in other.stdout.splitlines()[-1]


def test_hyphens_are_accepted_for_underscores(task: str, tmp_path: Path) -> None:
    done = avemo_eval("--model", "random", "--tasks", task, "--batch-size", "2", "--output-path", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "randon", "--tasks", "TASK"], "unknown model 'randon'; nearest: 'random'"),
        (["--model", "random", "--tasks", "demo_ful_av"], "nearest: demo_full_av"),
        (["--model", "random"], "--tasks is needed"),
        (["--tasks", "TASK"], "--model is needed"),
        (
            ["--model", "constant", "--model_args", "labl=sad", "--tasks", "TASK"],
            "no argument 'labl'; nearest: 'label'",
        ),
        (["--model", "random", "--model_args", "x", "--tasks", "TASK"], "written key=value"),
        (["--model", "random", "--tasks", "TASK", "--where", "emotoin=sad"], "nearest: 'emotion'"),
        (["--model", "random", "--tasks", "TASK", "--where", "emotion=glad"], "leave nothing to ask"),
        (["--model", "random", "--tasks", "TASK", "--limit", "-1"], "--limit must be"),
        (["--model", "random", "--tasks", "TASK", "--batch_size", "0"], "--batch_size must be"),
        (["--model", "random", "--tasks", "TASK", "--dataset", "./nowhere"], "no such folder"),
        (["--model", "random", "--tasks", "TASK", "--include_path", "nowhere"], "no such folder of tasks"),
        (["--config", "nowhere.json"], "cannot be read"),
        (["score", "nowhere"], "not a run directory"),
        (["--model", "random", "--tasks", "TASK", "--output_path", "/dev/null/run"], "cannot be written"),
        (["lst"], "unknown command 'lst'"),
    ],
)
def test_what_a_user_can_fix_exits_with_2_and_one_clear_message(
    arguments: list[str], said: str, task: str, tmp_path: Path
) -> None:
    done = avemo_eval(*[task if word == "TASK" else word for word in arguments], cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_failed_items_exit_with_1_unless_allowed(tmp_path: Path) -> None:
    task = write_lost_clips_task(tmp_path, dialogues=2)
    done = avemo_eval("--model", "random", "--tasks", str(task), "--output_path", str(tmp_path / "run"))
    assert done.returncode == 1
    assert "provisional: 4 items failed" in done.stdout
    allowed = avemo_eval("score", str(tmp_path / "run"), "--max_errors", "4")
    assert allowed.returncode == 0
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert results["tasks"]["lost"]["metrics"]["accuracy"] == {
        "value": None,
        "ci_low": None,
        "ci_high": None,
        "n": 0,
        "n_invalid": 0,
        "n_errors": 4,
        "n_undefined": 0,
        "n_clusters": 0,
        "note": None,
        "marks": [],
    }


def test_a_remembered_release_is_used_after_the_flag_and_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert avemo_eval("data", "use").stdout == "no release is remembered\n"
    assert avemo_eval("data", "use", "owner/name").returncode == 0
    assert avemo_eval("data", "use").stdout == "owner/name\n"
