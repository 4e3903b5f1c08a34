"""Try the lowest and the newest versions of what the package needs, and print a Markdown table. Run by hand.

Usage: version_matrix.py VENV... [--packages NAME ...] [--only TEXT] [--folder DIR]

A VENV is an environment with the package and its tests, of any Python (`pip install -e '.[test]'`). Each row is a new
environment of its Python that borrows what it does not install, torch above all: the newest versions that
pyproject.toml allows, each package alone at its lowest, and all of them at the lowest together. A cell is `ok`,
`refused` (the model says that it does not run there) or `FAILED`; what was said of these two stands below the table.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("transformers", "av", "datasets", "huggingface-hub", "numpy", "scikit-learn")
FEW_WORDS = 160


@dataclass(frozen=True)
class Check:
    """The checks that run in each environment.

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
    Check(
        "releases",
        tests(
            *(f"tests/benchmark/test_release_{what}.py" for what in ("loader", "hub")), "-k", "loader or every_reader"
        ),
    ),
    Check(
        "`baseline`, demo", ("-m", "avemo_harness", "--model", "baseline", "--tasks", "demo_full_av", "--limit", "2")
    ),
    Check(
        "`qwen2.5-omni`",
        tests("tests/models/test_qwen_omni.py", "-k", "single_requests or same_answers or soon_be_gone"),
        "qwen2.5-omni",
    ),
    Check(
        "`hf-omni`",
        tests("tests/models/test_hf_omni.py", "-k", "shuffled_batch_answers"),
        "hf-omni",
    ),
)


@dataclass(frozen=True)
class Row:
    """An environment beside another one.

    Args:
        venv: whose packages it sees where it has none of its own.
        install: arguments of ``pip install``.
    """

    label: str
    venv: Path
    install: tuple[str, ...]


@dataclass
class Tried:
    """Results of a row, by check; `why` are sentences about the failures."""

    versions: str = " | ".join(["-"] * (len(PACKAGES) + 1))
    cells: list[str] = field(default_factory=list)
    why: list[str] = field(default_factory=list)


def requirements() -> dict[str, str]:
    """Version ranges by package, as pyproject.toml has them."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^dependencies = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    return dict(re.findall(r'"([\w-]+)([^"]*)"', listed))


def rows(venv: Path, packages: Sequence[str]) -> Iterator[Row]:
    """The environments to try beside one."""
    ranges = requirements()
    yield Row("newest", venv, ("--upgrade", *(f"{name}{ranges[name]}" for name in packages)))
    for lowest in [*([package] for package in packages), packages]:
        pinned = {name: f"=={re.findall(r'>=([0-9.]+)', ranges[name])[0]}" for name in lowest}
        label = f"lowest {' '.join(lowest)}" if len(lowest) == 1 else "lowest of all these"
        yield Row(label, venv, tuple(f"{name}{pinned.get(name, ranges[name])}" for name in ranges))


def try_row(row: Row, folder: Path) -> Tried:
    """Make the environment, try everything in it, and delete it."""
    tried, venv = Tried(), folder / "venv"
    shutil.rmtree(venv, ignore_errors=True)
    _run([row.venv / "bin" / "python", "-m", "venv", venv])
    python = venv / "bin" / "python"
    (site,), (others,) = (list(one.glob("lib/python3*/site-packages")) for one in (venv, row.venv))
    (site / "zz_borrowed.pth").write_text(f"{others}\n")
    if (failed := _run([python, "-m", "pip", "install", "--quiet", *row.install])).returncode:
        tried.cells = ["not installable"] * len(CHECKS)
        tried.why.append(_last_words(failed))
        return tried
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
    """A command's words on its failure: errors of tests or of pip, else its last line."""
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
    parser.add_argument("venvs", type=Path, nargs="+", metavar="VENV")
    parser.add_argument("--packages", nargs="*", choices=PACKAGES, default=PACKAGES)
    parser.add_argument("--only", default="", help="rows whose label holds this text")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "version-matrix")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    heads = ["versions", "Python", *PACKAGES, "torch", *(check.title for check in CHECKS)]
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}", flush=True)
    notes = []
    for row in (row for venv in args.venvs for row in rows(venv.absolute(), args.packages) if args.only in row.label):
        tried = try_row(row, args.folder)
        python = _run([row.venv / "bin" / "python", "-c", "import platform; print(platform.python_version())"])
        cells = [row.label, python.stdout.strip(), tried.versions, *tried.cells]
        print(f"| {' | '.join(cells)} |", flush=True)
        notes += [f"- {row.label}, Python {cells[1]}: {why}" for why in tried.why]
    print("\n" + "\n".join(notes), flush=True)


if __name__ == "__main__":
    main()
