"""Everything that users keep, made by the commands of one state of the package and compared with those of another.

Run it before a change that must change no result, and after each step of it::

    python tests/support/golden.py make /tmp/before --source .     # (in a checkout of the state before)
    python tests/support/golden.py make /tmp/after --source .
    python tests/support/golden.py compare /tmp/before /tmp/after

It is not a test: a demo run alone takes minutes. Masked are times, speeds, names of hosts and workers, and absolute
paths; nothing else, so that two folders made of one state show whether the package itself is deterministic. The secrets
of a study are drawn from a seed, since invitations and pseudonyms hang on them.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

STATEMENTS = ("03-01-0{e}-01-0{s}-01-{a:02d}.wav", range(1, 9), (1, 2), range(1, 5))
"""RAVDESS' names: speech, emotions 1 to 8, both statements, four actors."""

SCALES = "av-emo-2"
"""The wording on which the scripted ratings are given."""

BUILD = """name: small
language: en
seed: 3
speakers: 4
workers: 2
splits:
  singleturn_synthetic: {dialogues: 20, conflict_pairs: 6}
  multiturn_synthetic: {dialogues: 8, conflict_pairs: 4}
dialogue: {backend: builtin}
speech: {backend: builtin}
face: {backend: builtin}
"""

SEEDED_SECRETS = """import random, secrets
_random = random.Random(0)
secrets.token_hex = lambda size=32: _random.randbytes(size).hex()
"""
"""A `sitecustomize` of commands whose files hang on secrets."""

Command = Callable[..., None]


def make(out: Path, source: Path, parts: Collection[str]) -> None:
    """Make golden files of a source tree; runs that are in the folder already are continued.

    Raises:
        SystemExit: a command ended otherwise than it should.
    """
    texts = out / "printed"
    texts.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "AVEMO_CACHE": str(out / "cache"),
        "XDG_CONFIG_HOME": str(out / "config"),
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "100",
    }
    for name in ("AVEMO_DATASET", "AVEMO_JUDGE"):
        environment.pop(name, None)

    seeded = out / "config" / "seeded"
    seeded.mkdir(parents=True, exist_ok=True)
    (seeded / "sitecustomize.py").write_text(SEEDED_SECRETS, encoding="utf-8")

    def run(name: str, *arguments: str, exits: tuple[int, ...] = (0,)) -> None:
        command = [sys.executable, "-m", "avemo_harness", *arguments]
        path = f"{seeded}{os.pathsep}{source}" if arguments[:1] == ("human",) else str(source)
        done = subprocess.run(
            command, cwd=out, env={**environment, "PYTHONPATH": path}, capture_output=True, text=True, check=False
        )
        (texts / f"{name}.out").write_text(done.stdout, encoding="utf-8")
        (texts / f"{name}.err").write_text(_without_progress(done.stderr), encoding="utf-8")
        if done.returncode not in exits:
            raise SystemExit(f"{' '.join(command)}: exit {done.returncode}, expected {exits}\n{done.stderr}")

    for part in PARTS:
        if part in parts:
            PARTS[part](out, run)


def _make_help(out: Path, run: Command) -> None:
    """The help of every command, each found by reading that of the command above it."""
    for what in ("tasks", "models", "scorers", "recognizers", "judges", "extractors", "corpora"):
        run(f"ls-{what}", "ls", what)
    commands: list[tuple[str, ...]] = [()]
    for command in commands:
        name = "-".join(("help", *command))
        run(name, *command, "--help")
        page = (out / "printed" / f"{name}.out").read_text(encoding="utf-8")
        if not command:
            commands += [
                (found,) for found in re.findall(r"^  ([a-z]+) +\S", page.split("\ncommands:\n")[1], re.MULTILINE)
            ]
        elif below := re.search(r"\{([a-z,-]+)\} \.\.\.", page):
            commands += [(*command, found) for found in below.group(1).split(",")]


def _make_runs(out: Path, run: Command) -> None:
    for name, arguments in {"plain": ("baseline",), "neutral": ("baseline", "--model_args", "reply=neutral")}.items():
        run(f"run-{name}", "--model", *arguments, "--tasks", "demo", "--output_path", f"runs/{name}")
    run("run-limited", "--model", "constant", "--tasks", "demo", "--limit", "5", "--output_path", "runs/limited")
    run("score", "score", "runs/plain")
    run("compare", "compare", "runs/plain", "runs/neutral", "--html", "compare.html", "--json", "compare.json")
    run("compare-within", "compare", "runs/plain")
    run("leaderboard", "leaderboard", "runs/plain", "runs/neutral")
    on_hub = ("--model_id", "someone/model", "--dataset_id", "someone/demo")
    for form, options in {"latex": (), "md": (), "csv": (), "eval-results": on_hub}.items():
        run(f"export-{form}", "export", "runs/plain", "--format", form, "-o", f"exported-{form}", *options)
    run("show", "show", "demo_full_av", "--n", "2")
    run("validate", "validate")


def _make_releases(out: Path, run: Command) -> None:
    (out / "build.yaml").write_text(BUILD)
    run("data-build", "data", "build", "build.yaml", "--out", "built")
    corpus = out / "corpus"
    pattern, *values = STATEMENTS
    for emotion in values[0]:
        for statement in values[1]:
            for actor in values[2]:
                name = pattern.format(e=emotion, s=statement, a=actor)
                _write_tone(corpus / f"Actor_{actor:02d}" / name, emotion, statement, actor)
    run("data-import", "data", "import", "ravdess", "corpus", "--out", "imported")
    run("data-check", "data", "check", "imported", exits=(0, 1))
    run(
        "run-imported", "--model", "constant", "--tasks", "singleturn_synthetic_audio_only", "--dataset", "imported",
        "--output_path", "runs/imported",
    )  # fmt: skip


def _write_tone(path: Path, *seeds: int) -> None:
    import numpy as np
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    times_s = np.arange(8_000) / 16_000
    emotion, statement, actor = seeds
    tone = np.sin(2 * np.pi * (100 + 25 * emotion + 7 * actor) * times_s) * np.exp(-times_s * statement)
    soundfile.write(path, (0.3 * tone).astype(np.float32), 16_000, subtype="PCM_16")


def _make_study(out: Path, run: Command) -> None:
    run("human-plan", "human", "plan", "plain=runs/plain", "neutral=runs/neutral", "--out", "study")
    key = json.loads((out / "study" / "key.json").read_text(encoding="utf-8"))
    rows = ["rater,item,er,en,rr"]
    for item in sorted(key["items"]):
        for rater in range(6):
            digest = hashlib.sha256(f"{item} {rater}".encode()).digest()
            rows.append(f"rater{rater},{item}," + ",".join(str(1 + digest[i] % 5) for i in range(3)))
    (out / "ratings.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    run("human-import", "human", "import", "study", "ratings.csv", "--scales", SCALES)
    run("human-analyze", "human", "analyze", "study")
    run("report", "report", "runs/plain")


PARTS = {"help": _make_help, "runs": _make_runs, "releases": _make_releases, "study": _make_study}


def _without_progress(text: str) -> str:
    """The lines of a terminal without those that progress has drawn over."""
    return "\n".join(
        line
        for line in text.replace("\r", "\n").split("\n")
        if not re.search(r"\d+%\||it/s|s/it|^\d+/\d+ items,|^\d+ of \d+ clips made, about", line)
    )


_MASKS = (
    (re.compile(rb'"(started|seconds|written|built|created)": ?[\d.]+'), rb'"\1": TIME'),
    (re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)?"), b"TIME"),
    (re.compile(rb"\b\d+(\.\d+)? s\b"), b"TIME"),
    (re.compile(rb"\b\d+(\.\d+)? a second\b"), b"SPEED"),
    (re.compile(rb'"worker": ?"[0-9a-f]{12}"'), b'"worker": WORKER'),
)
_WORKER = re.compile(r"(?<![0-9a-f])[0-9a-f]{12}(?![0-9a-f])")
TEXTS = (".json", ".jsonl", ".html", ".md", ".csv", ".tex", ".out", ".err", ".yaml", ".txt", ".svg")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of golden files by its path, masked."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            data = _dump(path) if path.suffix == ".sqlite" else path.read_bytes()
            if path.suffix in TEXTS:
                data = data.replace(str(folder.resolve()).encode(), b"FOLDER")
                for pattern, instead in _MASKS:
                    data = pattern.sub(instead, data)
            found[_WORKER.sub("WORKER", path.relative_to(folder).as_posix())] = data
    return found


def _dump(path: Path) -> bytes:
    """A database as SQL: its pages hold what was deleted, too."""
    database = sqlite3.connect(path)
    try:
        return "\n".join(database.iterdump()).encode()
    finally:
        database.close()


def compare(before: Path, after: Path) -> list[str]:
    """Differences between two folders of golden files, a sentence each, with the first lines that differ."""
    old, new = contents(before), contents(after)
    told = [f"{name}: only {'before' if name in old else 'after'}" for name in sorted(old.keys() ^ new.keys())]
    for name in sorted(old.keys() & new.keys()):
        if old[name] != new[name]:
            told.append(f"{name}: differs{_first_difference(name, old[name], new[name])}")
    return told


def _first_difference(name: str, old: bytes, new: bytes) -> str:
    if Path(name).suffix not in TEXTS:
        return f" ({len(old)} bytes before, {len(new)} after)"
    before, after = (data.decode("utf-8", "replace").splitlines() for data in (old, new))
    changed = [line for line in difflib.unified_diff(before, after, lineterm="", n=0) if line[0] in "+-"][2:]
    return "".join(f"\n    {line[:160]}" for line in changed[:8])


def main() -> int:
    """Make or compare golden files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("out", type=Path)
    making.add_argument("--source", type=Path, default=Path(), help="root of a checkout")
    making.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    args = parser.parse_args()
    if args.command == "make":
        make(args.out.resolve(), args.source.resolve(), args.parts)
        return 0
    differences = compare(args.before, args.after)
    print("\n".join(differences) or f"equal: {len(contents(args.before))} files")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
