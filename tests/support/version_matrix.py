"""Try the lowest and the newest versions of what the package needs, and print a Markdown table. Run by hand.

Usage: version_matrix.py [--borrow VENV] [--python PYTHON ...] [--packages NAME ...] [--only TEXT] [--folder DIR]

Each row is a virtual environment of its own. Of the Python of VENV there are: everything as VENV has it, each package
at the lowest and at the newest version that pyproject.toml allows, and all of them at the lowest together; what such a row
does not install is borrowed from VENV, torch above all. Of each further Python: everything as pip chooses it now, which
downloads several gigabytes of torch. A cell is `ok`, `refused` (the model says that it does not run there) or `FAILED`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("transformers", "av", "datasets", "huggingface-hub", "numpy", "scikit-learn")
TESTING = ("pytest", "pytest-timeout", "hypothesis")
FEW_WORDS = 160


@dataclass(frozen=True)
class Check:
    """What is tried in each environment.

    Args:
        command: arguments of its Python.
        model: whose requirements decide first whether it is tried at all.
    """

    title: str
    command: tuple[str, ...]
    model: str | None = None


def tests(*arguments: str) -> tuple[str, ...]:
    return ("-m", "pytest", "-q", "--no-header", "--tb=line", "-o", "addopts=", "-p", "no:cacheprovider", *arguments)


CHECKS = (
    Check("import, `ls`", ("-m", "avemo_harness", "ls")),
    Check("clips", tests("tests/media/test_encode.py", "tests/media/test_decode.py")),
    Check("releases", tests("tests/benchmark/test_release_loader.py", "tests/benchmark/test_release_hub.py")),
    Check(
        "`baseline`, demo", ("-m", "avemo_harness", "--model", "baseline", "--tasks", "demo_full_av", "--limit", "2")
    ),
    Check(
        "`qwen2.5-omni`",
        tests("tests/models/test_qwen_omni.py", "-k", "of_the_published_code or one_reading or soon_be_gone"),
        "qwen2.5-omni",
    ),
    Check(
        "`hf-omni`",
        tests("tests/models/test_hf_omni.py", "-k", "shuffled_batch_answers or ranking_equals"),
        "hf-omni",
    ),
)


@dataclass(frozen=True)
class Row:
    """An environment.

    Args:
        requirements: for pip, beside what is borrowed.
        borrowed: packages of another environment of the same Python are seen too.
    """

    label: str
    python: Path
    requirements: tuple[str, ...]
    borrowed: Path | None = None


@dataclass
class Tried:
    """A row with what came of it, by check; `why` are sentences about what did not go well."""

    row: Row
    versions: str = ""
    cells: list[str] = field(default_factory=list)
    why: list[str] = field(default_factory=list)


def requirements() -> dict[str, str]:
    """Version ranges by package, as pyproject.toml has them."""
    (listed,) = re.findall(
        r"^dependencies = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE
    )
    found = re.findall(r'"([\w-]+)([^"]*)"', listed)
    return dict(found)


def rows(borrowed: Path | None, pythons: Sequence[Path], packages: Sequence[str]) -> Iterator[Row]:
    """The environments to try, the cheapest first."""
    ranges = requirements()
    everything = tuple(f"{name}{wanted}" for name, wanted in ranges.items())
    if borrowed is not None:
        python = borrowed / "bin" / "python"
        yield Row("as in VENV", python, (), borrowed)
        for package in packages:
            lowest = _lowest(package, ranges)
            others = (*(f"{name}{ranges[name]}" for name in ranges if name != package), lowest)
            yield Row(f"lowest {package}", python, others, borrowed)
            yield Row(f"newest {package}", python, ("--upgrade", f"{package}{ranges[package]}"), borrowed)
        together = [_lowest(name, ranges) if name in packages else f"{name}{ranges[name]}" for name in ranges]
        yield Row("lowest of all these", python, tuple(together), borrowed)
    for python in pythons:
        yield Row("as pip chooses", python, (*everything, *TESTING))


def _lowest(package: str, ranges: dict[str, str]) -> str:
    (lowest,) = re.findall(r">=([\w.]+)", ranges[package])
    return f"{package}=={lowest}"


def try_row(row: Row, folder: Path) -> Tried:
    """Make the environment, try everything in it, and delete it."""
    tried = Tried(row)
    venv = folder / "venv"
    shutil.rmtree(venv, ignore_errors=True)
    _run([row.python, "-m", "venv", venv])
    python = venv / "bin" / "python"
    if row.borrowed is not None:
        (site,) = venv.glob("lib/python3*/site-packages")
        (others,) = row.borrowed.glob("lib/python3*/site-packages")
        (site / "zz_borrowed.pth").write_text(f"{others}\n")
    if row.requirements and (failed := _run([python, "-m", "pip", "install", "--quiet", *row.requirements])).returncode:
        tried.cells = ["not installable"] * len(CHECKS)
        tried.why.append(_last_words(failed))
        return tried
    _run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--editable", ROOT])
    tried.versions = _versions(python)
    for check in CHECKS:
        cell, why = _try(python, check, folder)
        tried.cells.append(cell)
        if why:
            tried.why.append(f"{check.title}: {why}")
    shutil.rmtree(venv)
    return tried


def _try(python: Path, check: Check, folder: Path) -> tuple[str, str]:
    asked = f"from avemo_harness.models import check_model; check_model({check.model!r})"
    if check.model and (refused := _run([python, "-c", asked])).returncode:
        return "refused", _last_words(refused)
    with tempfile.TemporaryDirectory(dir=folder) as here:
        # Runs go where they disturb nothing; the demo is made once for all environments that make it alike.
        command = [*check.command, *(["--output_path", f"{here}/run"] if "--model" in check.command else [])]
        done = _run([python, *command], {"AVEMO_CACHE": str(folder / "cache")})
    return ("ok", "") if done.returncode == 0 else ("FAILED", _last_words(done))


def _run(command: Sequence[object], more: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **(more or {})}
    return subprocess.run(
        [str(part) for part in command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    """What a command said of its failure: errors of tests or of pip, else its last line."""
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    told = [
        line for line in lines if line.startswith(("E  ", "ERROR", "FAILED", "avemo-eval:", "avemo_harness.errors"))
    ]
    return (told or lines or ["no word"])[-1 if not told else 0][:FEW_WORDS]


def _versions(python: Path) -> str:
    """Versions of the packages under test, and of torch, in an environment."""
    code = "import sys; from importlib.metadata import version; print(*(version(name) for name in sys.argv[1:]))"
    return " | ".join(_run([python, "-c", code, *PACKAGES, "torch"]).stdout.split())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--borrow", type=Path, metavar="VENV")
    parser.add_argument("--python", type=Path, nargs="*", default=[])
    parser.add_argument("--packages", nargs="*", choices=PACKAGES, default=PACKAGES)
    parser.add_argument("--only", default="", help="rows whose label holds this text")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "version-matrix")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    heads = ["environment", "Python", *PACKAGES, "torch", *(check.title for check in CHECKS)]
    print("| " + " | ".join(heads) + " |\n" + "|" + " --- |" * len(heads), flush=True)
    notes = []
    for row in rows(args.borrow and args.borrow.absolute(), args.python, args.packages):
        if args.only not in row.label:
            continue
        tried = try_row(row, args.folder)
        python = _run([row.python, "-c", "import platform; print(platform.python_version())"]).stdout.strip()
        versions = tried.versions or " | ".join(["-"] * (len(PACKAGES) + 1))
        print(f"| {row.label} | {python} | {versions} | {' | '.join(tried.cells)} |", flush=True)
        notes += [f"- {row.label}, Python {python}: {why}" for why in tried.why]
    print("\n" + "\n".join(notes) if notes else "", flush=True)
    sys.exit(any("FAILED" in note for note in notes))


if __name__ == "__main__":
    main()
