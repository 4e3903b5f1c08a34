"""Errors of the system lead to the option or variable that chooses another folder."""

from __future__ import annotations

import argparse
import errno
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from human.studies import write_small_study
from support.faults import CHANGES, build_faults, run_with_fault
from support.planted_runs import Planted, TextBench
from support.synthetic_release import write_synthetic_release

from avemo_harness.cli import main
from avemo_harness.cli.output import explain_os_error, explain_storage_error
from avemo_harness.errors import StorageError


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> TextBench:
    return TextBench.of(tmp_path_factory.mktemp("bench"), dialogues=6)


@pytest.fixture(scope="module")
def run(bench: TextBench) -> Path:
    folder = bench.run(Planted("mine", wrong=[(0, 0)]))
    bench.run(Planted("theirs"))
    assert main(["report", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_faults(tmp_path_factory.mktemp("faults"))


def refusal(code: int, path: Path | str, **args: object) -> str:
    return explain_storage_error(
        StorageError(path, "written", OSError(code, os.strerror(code))), argparse.Namespace(**args)
    )


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EDQUOT, "make room"),
        (errno.EACCES, "change its permissions"),
        (errno.EROFS, "it can only be read"),
        (errno.EIO, "the disk or the connection to it fails"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENFILE, "ulimit -n"),
        (errno.EFBIG, "ulimit -f"),
    ],
    ids=lambda value: errno.errorcode.get(value, "") if isinstance(value, int) else "",
)
def test_the_advice_is_that_for_the_systems_error(code: int, advice: str) -> None:
    said = refusal(code, "out/x.json", out=Path("out"))
    assert said.startswith(f"out/x.json: cannot be written ({os.strerror(code)})")
    assert advice in said


@pytest.mark.parametrize(
    ("path", "args", "advice"),
    [
        ("there/a.json", {"runs": [Path("a")], "json": Path("there/a.json")}, "--json"),
        ("there/a.html", {"runs": [Path("a")], "html": Path("there/a.html"), "json": Path("b")}, "--html"),
        ("kept/x", {"write_kept": Path("kept"), "report": None}, "--write_kept"),
        ("run/report.html", {"run": Path("run"), "output_path": None}, "--output_path"),
        ("run/results.json", {"run": Path("run")}, "copy run to where you may write"),
        ("my study/x", {"study": Path("my study")}, "copy 'my study' to where you may write"),
        ("/else/where", {"study": Path("s")}, "choose another folder"),
    ],
)
def test_the_advice_names_what_the_command_really_has(path: str, args: dict[str, object], advice: str) -> None:
    assert refusal(errno.EROFS, path, **args).endswith(advice + (", and give the copy" if "copy" in advice else ""))


def test_the_cache_is_moved_with_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVEMO_CACHE", str(tmp_path / "cache"))
    assert "set AVEMO_CACHE" in refusal(errno.ENOSPC, tmp_path / "cache" / "x", output_path=None)
    assert "set TMPDIR" in refusal(errno.ENOSPC, "/tmp/avemo-1/x", out=None)


def test_errors_that_name_two_files_are_told_of_the_one_that_is_made() -> None:
    error = OSError(errno.EXDEV, "Invalid cross-device link", "a", None, "b")
    assert explain_os_error(error, argparse.Namespace()).startswith("b: cannot be read or written")


def test_an_error_comes_out_of_a_worker_process_as_it_went_in() -> None:
    error = StorageError(Path("a"), "written", OSError(errno.EIO, "Input/output error"))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_file_in_the_place_of_a_folder_is_one_sentence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["export", str(run), "--format", "csv", "-o", str(tmp_path / "file")]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "choose another place with --output_path" in said


def test_standard_output_that_is_full_is_one_sentence(run: Path) -> None:
    command = [sys.executable, "-m", "avemo_harness", "score", str(run)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "No space left on device" in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(run: Path) -> None:
    command = [sys.executable, "-m", "avemo_harness", "score", str(run)]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


FAULTS = [
    ("score", [], errno.ENOSPC, "make room"),
    ("score", [], errno.EIO, "the disk"),
    ("report", [], errno.EROFS, "--output_path"),
    ("report", [], errno.EMFILE, "ulimit -n"),
    ("report", ["--bundle", "{out}"], errno.ENOSPC, "--bundle"),
    ("export", ["--format", "csv"], errno.EACCES, "--output_path"),
    ("compare", ["{other}", "--json", "{out}/a.json"], errno.EROFS, "--json"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "options", "code", "advice"), FAULTS)
def test_every_command_that_cannot_write_ends_with_one_sentence(
    faults: Path, run: Path, tmp_path: Path, command: str, options: list[str], code: int, advice: str
) -> None:
    where = tmp_path if options and "{out}" in options[-1] else run
    given = [one.format(out=tmp_path, other=run.parent / "theirs") for one in options]
    done = run_with_fault(faults, code, CHANGES, f"{where}/", command, run, *given)
    assert done.returncode == 2, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("avemo-eval")]
    assert len(said) == 1
    assert "Traceback" not in done.stderr
    assert f"{where}/" in said[0]
    assert os.strerror(code) in said[0]
    assert advice in said[0]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["score", "report", "compare", "leaderboard", "export", "judge"])
def test_every_command_that_cannot_read_ends_with_one_sentence(faults: Path, run: Path, command: str) -> None:
    options = ["--format", "csv"] if command == "export" else []
    done = run_with_fault(faults, errno.EIO, "[read]", f"{run}/", command, run, *options)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "Input/output error" in done.stderr
    assert f"{run}/" in done.stderr


RUN_FAULTS = [
    ("[link]", "run.json", errno.EIO),
    ("[write]", "items", errno.EDQUOT),
    ("[read]", "items.json", errno.EIO),
    ("[open]", "items", errno.EMFILE),
    ("[mkdir]", "claims", errno.EROFS),
    ("[link]", "claims/", errno.ENOSPC),
    ("[unlink]", "claims/", errno.EIO),
    ("[change]", "responses/", errno.EACCES),
    ("[write]", "responses/", errno.ENOSPC),
    ("[fsync]", "responses/", errno.EIO),
    ("[open]", "responses/", errno.EMFILE),
    ("[read]", "responses/", errno.ESTALE),
    ("[rename]", "timing.json", errno.ENOSPC),
    ("[rename]", "results.json", errno.EDQUOT),
]


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command of a run; ``--output_path`` is to follow."""
    release = write_synthetic_release(tmp_path_factory.mktemp("asked") / "release", dialogues=2, turns=1)
    asked = ["--tasks", "multiturn_synthetic_full_av", "--dataset", str(release)]
    return ["run", "--model", "constant", *asked, "--output_path"]


@pytest.fixture(scope="module")
def undisturbed(asking: list[str], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert main([*asking, str(folder)]) == 0
    return (folder / "results.json").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(("calls", "part", "code"), RUN_FAULTS)
def test_a_run_that_the_system_stops_says_so_in_one_sentence_and_goes_on_as_if_nothing_had_happened(
    faults: Path, asking: list[str], undisturbed: bytes, tmp_path: Path, calls: str, part: str, code: int
) -> None:
    folder = tmp_path / "run"
    done = run_with_fault(faults, code, calls, f"{folder}/{part}", *asking, folder)
    assert done.returncode == 2, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("avemo-eval")]
    assert len(said) == 1
    assert "Traceback" not in done.stderr
    assert f"{folder}/{part}" in said[0]
    assert f"({os.strerror(code)})" in said[0]
    assert "cannot be read or written" not in said[0], "no more than a guess of the command line"
    assert main([*asking, str(folder)]) == 0
    assert (folder / "results.json").read_bytes() == undisturbed


@pytest.mark.slow
def test_a_release_that_cannot_be_read_or_a_check_that_cannot_be_written_is_one_sentence(
    faults: Path, tmp_path: Path
) -> None:
    release = write_synthetic_release(tmp_path / "release", dialogues=1, turns=1)
    unread = run_with_fault(faults, errno.EIO, "[read]", f"{release}/", "data", "check", release)
    report = tmp_path / "report.json"
    unwritten = run_with_fault(faults, errno.EDQUOT, CHANGES, report.stem, "data", "check", release, "--report", report)
    for done, said in (
        (unread, "the disk or the connection to it fails"),
        (unwritten, "choose another place with --report"),
    ):
        assert done.returncode == 2, done.stderr
        assert said in done.stderr.splitlines()[-1]
        assert str(tmp_path) in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_recogniser_that_cannot_be_read_is_one_sentence(faults: Path, tmp_path: Path) -> None:
    folder = tmp_path / "judge"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    done = run_with_fault(faults, errno.EMFILE, "[open]", f"{folder}/", "recognizer", "predict", folder, "clip.wav")
    assert done.returncode == 2, done.stderr
    assert "ulimit -n" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_study_that_cannot_be_written_is_one_sentence(faults: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    write_small_study(folder)
    done = run_with_fault(faults, errno.ENOSPC, CHANGES, f"{folder}/", "human", "analyze", folder)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert str(folder) in done.stderr


@pytest.mark.slow
def test_a_run_that_can_only_be_read_is_scored_to_the_standard_output_and_reported_elsewhere(
    faults: Path, run: Path, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    stored = subprocess.run(
        [sys.executable, "-m", "avemo_harness", "score", str(run)], capture_output=True, text=True, check=True
    )
    for code in (errno.EROFS, errno.EACCES):
        done = run_with_fault(faults, code, CHANGES, f"{run}/", "score", run)
        assert done.returncode == 0, done.stderr
        assert done.stdout == stored.stdout
        assert "not stored: scores, results.json and the report" in done.stderr
        assert f"copy {run} to where you may write" in done.stderr
    page = tmp_path / "page.html"
    done = run_with_fault(faults, errno.EROFS, CHANGES, f"{run}/", "report", run, "--out", page)
    assert done.returncode == 0, done.stderr
    assert page.read_bytes() == before[run / "report.html"]
