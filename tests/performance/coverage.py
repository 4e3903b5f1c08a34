"""How often intervals hold the truth: every kind of metric at 5 to 400 dialogues, of equal and unequal size.

Run by hand: ``OMP_NUM_THREADS=1 python tests/performance/coverage.py``; ``--kinds WORD`` for those whose names hold a
word, ``--simulations N`` for more than 1,000. Every figure is the share of simulated data sets whose interval, computed
as scorers compute it, holds the true value, which is known exactly; behind each row stands the standard error of a
figure of 0.95. Figures that miss their targets are listed below the table, with the reasons.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from unittest import mock

import numpy as np

from avemo_harness.metrics import bootstrap

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.coverage_processes import KINDS, LAYOUTS, Kind, sizes_of

DIALOGUES = (5, 8, 12, 20, 30, 60, 128, 400)
SIMULATIONS = 1_000


def coverage(kind: Kind, layout: str, dialogues: int, simulations: int) -> float:
    """The share of intervals that hold the truth, of the data sets that have one."""
    seed = [KINDS.index(kind), list(LAYOUTS).index(layout), dialogues]
    rng = np.random.default_rng(seed)
    held = found = 0
    with mock.patch.object(bootstrap, "RESAMPLES", kind.resamples):
        bootstrap.drawn_weights.cache_clear()
        for _ in range(simulations):
            estimate = kind.draw(rng, sizes_of(layout, dialogues, rng))
            if estimate.ci_low is not None and estimate.ci_high is not None:
                found += 1
                held += estimate.ci_low <= kind.truth + 1e-12 and kind.truth - 1e-12 <= estimate.ci_high
    bootstrap.drawn_weights.cache_clear()
    return held / found if found else math.nan


def misses(kind: Kind, layout: str, row: dict[int, float], mean_near_edge: dict[int, float]) -> list[int]:
    """The numbers of dialogues at which a row is outside its target.

    Args:
        mean_near_edge: mean coverage of shares from 0.8 to 0.99 in this layout.
    """
    outside = []
    for number, found in row.items():
        judged = found
        if kind.share is not None and LAYOUTS[layout] * number * min(kind.share, 1 - kind.share) < 5:
            judged = mean_near_edge.get(number, found)
        most = 0.97 if kind.two_sided and number >= 12 else 1.0
        if not 0.93 <= judged <= most:
            outside.append(number)
    return outside


def _mean_near_edge(rows: dict[tuple[str, str], dict[int, float]], layout: str) -> dict[int, float]:
    near = [
        rows[kind.name, layout]
        for kind in KINDS
        if kind.share is not None and 0.8 <= kind.share <= 0.99 and (kind.name, layout) in rows
    ]
    return {number: float(np.mean([row[number] for row in near])) for number in DIALOGUES} if near else {}


def print_table(kinds: Iterable[Kind], simulations: int) -> None:
    """Simulate and print, with the seconds of processor time that it took."""
    started = time.process_time()
    rows: dict[tuple[str, str], dict[int, float]] = {}
    print(f"{'':<34}{'turns':<8}" + "".join(f"{number:>7}" for number in DIALOGUES) + "  error", flush=True)
    kinds = list(kinds)
    for kind in kinds:
        for layout in kind.layouts:
            row = {number: coverage(kind, layout, number, simulations * kind.repeats) for number in DIALOGUES}
            rows[kind.name, layout] = row
            cells = "".join(f"{found:>7.3f}" for found in row.values())
            print(f"{kind.name:<34}{layout:<8}{cells}  {_error(simulations * kind.repeats):.3f}", flush=True)
    outside = [
        f"{kind.name}, {layout}, {number}: {rows[kind.name, layout][number]:.3f}; {kind.cause}"
        for kind in kinds
        for layout in kind.layouts
        for number in misses(kind, layout, rows[kind.name, layout], _mean_near_edge(rows, layout))
    ]
    cells_in_all = len(rows) * len(DIALOGUES)
    print(
        f"{len(outside)} of {cells_in_all} outside their targets ({100 * len(outside) / cells_in_all:.1f} %)",
        *outside,
        sep="\n",
    )
    print(f"{time.process_time() - started:.0f} s of processor time")


def _error(simulations: int) -> float:
    """Standard error of a simulated coverage of 0.95."""
    return math.sqrt(0.95 * 0.05 / simulations)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Print how often intervals hold the truth.")
    parser.add_argument("--kinds", default="", help="a word of the names of the kinds to simulate")
    parser.add_argument("--simulations", type=int, default=SIMULATIONS)
    options = parser.parse_args()
    print_table((kind for kind in KINDS if options.kinds in kind.name), options.simulations)


if __name__ == "__main__":
    main()
