"""Options of a run whose text is read by the command itself, and which of a launcher's processes it is."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from support.releases import write_text_release, write_text_task

from avemo_harness.cli import main
from avemo_harness.cli.output import rank
from avemo_harness.run.config import RunConfig, RunRecord


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("release")
    return str(write_text_task(folder / "text.yaml", write_text_release(folder / "data", 6)))


@pytest.mark.parametrize("size", ["1", "4", "1000", "auto"])
def test_a_batch_size_is_a_number_or_auto_and_changes_no_result(size: str, task: str, tmp_path: Path) -> None:
    for name, more in (("with", ["--batch_size", size]), ("without", [])):
        run = str(tmp_path / name)
        assert main(["--model", "random", "--tasks", task, "--output_path", run, *more]) == 0
    assert (tmp_path / "with/results.json").read_bytes() == (tmp_path / "without/results.json").read_bytes()


@pytest.mark.parametrize("size", ["0", "-1", "1.5", "Auto", "many", "²", ""])
def test_any_other_batch_size_is_refused_before_anything_is_read(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", "random", "--tasks", "nosuch", f"--batch_size={size}"]) == 2
    said = f"avemo-eval: --batch_size must be a whole number from 1 on, or auto; found {size!r}\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(("variable", "number"), [(None, 0), ("0", 0), ("3", 3), ("", 0), ("none", 0)])
def test_a_process_of_no_launcher_is_the_main_one(
    variable: str | None, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RANK", raising=False)
    if variable is not None:
        monkeypatch.setenv("RANK", variable)
    assert rank() == number


@pytest.mark.parametrize(
    ("model", "arguments", "decided"),
    [
        ("minicpm-o", {"pretrained": "./weights", "trust_code": True}, "what code runs here"),
        ("minicpm-o", {"pretrained": "owner/name", "revision": "0" * 40}, "what code runs here"),
        ("baichuan-omni", {"pretrained": "owner/name", "vocoder": "./vocoder"}, "what code runs here"),
        (
            "openai",
            {"base_url": "http://127.0.0.1:9/v1", "model": "m", "api_key_env": "HOME"},
            "which of your secrets a server gets",
        ),
    ],
)
def test_a_file_does_not_decide_for_the_user(
    model: str,
    arguments: dict[str, object],
    decided: str,
    task: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "run.json"
    file.write_text(json.dumps({"model": model, "model_args": arguments, "tasks": [task]}), encoding="utf-8")
    assert main(["--config", str(file), "--output_path", str(tmp_path / "run")]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert f"{file}: the arguments of {model} decide {decided}, which a file must not; if you trust" in said
    # The arguments of the message are taken, and what is wrong then is something else.
    given = shlex.split(said)[-1]
    assert main(["--config", str(file), "--model_args", given, "--output_path", str(tmp_path / "run")]) == 2
    assert "which a file must not" not in capsys.readouterr().err


def test_arguments_that_decide_nothing_of_the_kind_come_from_a_file(task: str, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    config = {"model": "constant", "model_args": {"label": "sad"}, "tasks": [task]}
    file.write_text(json.dumps(config), encoding="utf-8")
    assert main(["--config", str(file), "--output_path", str(tmp_path / "run")]) == 0


def test_trust_is_not_recorded() -> None:
    config = RunConfig("minicpm-o", ("a",), {"pretrained": "./weights", "trust_code": "true"})
    record = RunRecord(config, {}, (), {}, (), (), {}, answers_from_release=False)
    assert record.to_json()["config"]["model_args"] == {"pretrained": "./weights"}


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("run.yaml", "model: [random\n", "not valid YAML (while parsing a flow sequence"),
        ("run.json", '{"model": "random"', "not valid JSON (Expecting ',' delimiter"),
        ("run.yaml", "random\n", "must hold a mapping of option names to values"),
    ],
)
def test_a_damaged_file_of_options_costs_one_line(
    name: str, content: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    assert main(["--config", str(file)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{file}: {problem}" in line


def test_the_time_of_a_run_is_printed_where_it_is_asked_for(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--model", "random", "--tasks", task, "--output_path", str(tmp_path / "run")]
    assert main(command) == 0
    assert "time by phase" not in capsys.readouterr().out
    assert main([*command, "--timing"]) == 0
    printed = capsys.readouterr().out
    assert "time by phase (6 answers by 2 worker(s)" in printed
    assert "writing and reading the run directory" in printed
