"""One table of what the harness costs, each figure beside a peer's or a bound of the same run.

    python -m tests.performance                     everything
    python -m tests.performance store memory        some parts
    python -m tests.performance --list              the parts
    python -m tests.performance --no-peers          without lm-eval, inspect_ai and lmms-eval

A part is a module beside this one with a function `rows()`; a script without it is run, and its words stand below.
Peers are installed into environments of their own under AVEMO_PERFORMANCE_CACHE (~/.cache/avemo-performance).
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import traceback
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER.parents[1]), str(FOLDER.parent)]

PARTS: dict[str, tuple[str, str]] = {
    "start": ("startup:start_rows", "--help and ls against an empty Python process"),
    "items": ("startup:item_rows", "one item of the demo, 1,000 text items"),
    "resume": ("resume:rows", "1,000 items that are killed half-way, then the same command"),
    "conditions": ("media_floor:condition_rows", "a clip's condition against PyAV alone"),
    "decode": ("media_floor:decode_rows", "frames and sound of a clip against PyAV alone"),
    "metrics": ("statistics_floor:metric_rows", "macro F1 against scikit-learn, warping against plain loops"),
    "bootstrap": ("statistics_floor:bootstrap_rows", "intervals over dialogues against SciPy's"),
    "report": ("large_runs:report_rows", "the page of 2,000 turns against scoring them"),
    "store": ("store:rows", "durable appends, opening and scoring 100,000 items"),
    "memory": ("large_runs:memory_rows", "peak memory of 10,000 dialogues against 100"),
    "peers": ("peers:rows", "the same 1,000 questions through lm-eval, inspect_ai, lmms-eval"),
    "qwen": ("qwen_omni", "a tiny Qwen2.5-Omni with random weights"),
    "first-minute": ("first_minute", "an empty home to the first table"),
    "served": ("served", "requests a second behind a server on loopback"),
}


def main() -> int:
    """Measure the parts and print the table; 1 where one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART")
    parser.add_argument("--list", action="store_true", help="print the parts and end")
    parser.add_argument("--no-peers", action="store_true", help="leave the peers out")
    args = parser.parse_args()
    there = {name: about for name, about in PARTS.items() if (FOLDER / f"{about[0].partition(':')[0]}.py").exists()}
    if args.list:
        for name, (_, words) in there.items():
            print(f"{name:<14}{words}")
        return 0
    wanted = [name for name in there if name in (args.parts or there) and not (args.no_peers and name == "peers")]
    return measure({name: there[name][0] for name in wanted})


def measure(parts: dict[str, str]) -> int:
    """Print a table of rows, then what scripts say, then what failed."""
    from performance.table import HEADER, Row

    from avemo_harness.text import aligned

    rows: list[Row] = []
    words: list[str] = []
    failed: list[str] = []
    for name, path in parts.items():
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        module, _, function = path.partition(":")
        try:
            found = getattr(importlib.import_module(f"performance.{module}"), function or "rows", None)
            if found is None:
                words.append(f"{name}\n{run_script(FOLDER / f'{module}.py')}")
            else:
                rows += found()
        except Exception as error:  # one part must not cost the rows of the others
            traceback.print_exc()
            failed.append(f"{name}: not measured ({type(error).__name__}: {' '.join(str(error).split())[:300]})")
    if rows:
        print("\n".join(aligned([HEADER, *(row.cells() for row in rows)])))
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        print(f"\n{os.cpu_count()} cores, load {load}; Python {sys.version.split()[0]}; ratio: ours / other")
    print(*words, *failed, sep="\n\n" if words else "\n")
    return 1 if failed else 0


def run_script(path: Path) -> str:
    """Run a script as by hand; returns what it prints (CalledProcessError: it fails)."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[:2]), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, str(path)], check=True, capture_output=True, text=True, env=environment, cwd=FOLDER.parents[1]
    ).stdout.rstrip()


if __name__ == "__main__":
    sys.exit(main())
