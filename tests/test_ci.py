"""The script of continuous integration runs the README's command and takes its word for nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from support.sources import ROOT

SCRIPT = ROOT / ".ci" / "run"


def run(checkout: Path, told: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the script on a README whose command prints a summary like pytest's, where nothing has to be installed."""
    (checkout / ".ci").mkdir(parents=True)
    shutil.copy(SCRIPT, checkout / ".ci" / "run")
    (checkout / "README.md").write_text(
        f"```\n$ python3 -m venv .venv --help && echo '{told}' && (exit {status}) # pytest\n"
    )
    programs = checkout / "programs"
    programs.mkdir()
    for name in ("chromium", "pdflatex"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    command = [str(checkout / ".ci" / "run")]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize(
    "told", ["10 passed in 3.21s", "== 4541 passed, 3 skipped in 1200.00s ==", "1 skipped, 2 passed in 1s"]
)
def test_where_tests_ran_and_none_failed_it_succeeds(told: str, tmp_path: Path) -> None:
    done = run(tmp_path / "checkout", told)
    assert done.returncode == 0, done.stderr
    assert told in done.stdout


@pytest.mark.parametrize("told", ["no tests ran in 0.12s", "4541 skipped in 9.00s", "0 passed in 1s", "200 deselected"])
def test_where_no_test_ran_it_fails(told: str, tmp_path: Path) -> None:
    done = run(tmp_path / "checkout", told)
    assert done.returncode == 1
    assert done.stderr.endswith("no test ran\n")


def test_where_the_command_fails_it_fails_as_that_did(tmp_path: Path) -> None:
    assert run(tmp_path / "checkout", "1 failed, 9 passed in 1s", status=3).returncode == 3


def test_every_skip_is_printed_with_its_reason(pytestconfig: pytest.Config) -> None:
    assert "-ra" in pytestconfig.getini("addopts")


def test_the_workflow_runs_that_script_on_every_python_from_the_lowest_on() -> None:
    [job] = yaml.safe_load((ROOT / ".github/workflows/tests.yaml").read_text(encoding="utf-8"))["jobs"].values()
    assert job["steps"][-1]["run"] == ".ci/run"
    lowest = min(job["strategy"]["matrix"]["python"], key=lambda version: int(version.partition(".")[2]))
    assert f'requires-python = ">={lowest}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.y*ml")), ids=lambda path: path.name)
def test_forms_and_workflows_are_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)
