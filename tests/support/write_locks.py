"""Write the locks of private environments anew: `PYTHONPATH=.:tests python tests/support/write_locks.py`.

Needs the program `uv` and a package index. Run it when a recipe's packages change, or torch's newest version; the diff
shows which versions came with it. Hashes are of every file of a version, so a lock holds on every platform.
"""

from __future__ import annotations

import subprocess
from importlib.metadata import requires
from pathlib import Path
from tempfile import TemporaryDirectory

from avemo_harness.models.environments.creation import PYTHONS
from avemo_harness.models.environments.recipes import COMPILED, FOLDER, RECIPES, names_of, pin_of, read_lock

SOURCES = ("antlr4-python3-runtime", "encodec", "fire", "moviepy")
"""Packages without a wheel; of all others only wheels are installed."""
RELEASES = (("torch==2.13.0", "torchvision==0.28.0"),)
"""Builds on PyPI whose hashes are kept; those of PyTorch's own index have a tag, such as ``+cu130``."""
HEADER = "# Written by tests/support/write_locks.py.\n"


def compile_lock(requirements: list[str], *options: str) -> str:
    """The requirements and all that they need, in pip's format."""
    first = ".".join(map(str, PYTHONS[0]))
    command = ["uv", "pip", "compile", "-", "--generate-hashes", "--universal", "--python-version", first]
    quiet = ["--no-config", "--no-header", "--no-annotate", "--quiet"]
    told = subprocess.run(
        [*command, *quiet, *options], input="\n".join(requirements), stdout=subprocess.PIPE, text=True, check=True
    )
    return told.stdout


def write_recipe(name: str) -> None:
    """Lock a recipe; torch itself is left out, what every build of it needs is not."""
    path = FOLDER / f"{name}.txt"
    needs = [need for build in COMPILED for need in requires(build) or () if ";" not in need]
    options = [word for source in SOURCES for word in ("--no-binary", source)]
    with TemporaryDirectory() as scratch:
        never = Path(scratch) / "never.txt"
        never.write_text("".join(f"{build}; sys_platform == 'never'\n" for build in COMPILED), encoding="utf-8")
        left_out = [word for build in COMPILED for word in ("--no-emit-package", build)]
        wheels = ("--only-binary", ":all:", *options)
        text = compile_lock([*RECIPES[name]().packages, *needs], "--override", str(never), *left_out, *wheels)
    used = [source for source in SOURCES if f"\n{source}==" in f"\n{text}"]
    # pip forgets what it was told of single packages when it comes to ":all:".
    how = "--only-binary :all:\n" + "".join(f"--no-binary {source}\n" for source in used)
    path.write_text(HEADER + how + text, encoding="utf-8")


def write_builds() -> None:
    """Keep hashes of builds of torch and of the libraries that only they need."""
    locked = set().union(*(names_of(read_lock(name)) for name in RECIPES))
    lines = [line for builds in RELEASES for line in _blocks(compile_lock(list(builds)))]
    kept = sorted({line for line in lines if not names_of([pin_of(line)]) & locked})
    (FOLDER / "builds.txt").write_text(HEADER + "".join(kept), encoding="utf-8")


def _blocks(text: str) -> list[str]:
    """Requirements with the lines of their hashes."""
    blocks: list[str] = []
    for line in text.splitlines(keepends=True):
        if line[0].isspace():
            blocks[-1] += line
        else:
            blocks.append(line)
    return blocks


if __name__ == "__main__":
    (FOLDER / "builds.txt").touch()
    for recipe in RECIPES:
        (FOLDER / f"{recipe}.txt").touch()
    for recipe in RECIPES:
        write_recipe(recipe)
    write_builds()
