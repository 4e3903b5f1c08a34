"""Options of a run whose text is read by the command itself, and which of a launcher's processes it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.releases import write_text_release, write_text_task

from avemo_harness.cli import main
from avemo_harness.cli.processes import rank


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
