"""What scoring emotional reasoning costs: 10,000 dialogues of 4 turns, beside warping pair by pair with `fastdtw`.

Run by hand on one thread: ``OMP_NUM_THREADS=1 python tests/performance/reasoning.py``. The peer is timed on a sample of
the same pairs, in the same run, where it is installed (``pip install fastdtw``); so is warping in plain Python loops.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.dialogues import score_dialogues, score_turns
from avemo_harness.metrics.dtw import dtw_distances
from avemo_harness.metrics.profiles import AV_EMO
from avemo_harness.metrics.reasoning import balance_direction, contagion_in_band, steadiness
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.metrics.trivial_replies import shuffles

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.reasoning_reference import warped_distance

Floats = NDArray[np.float64]
Warp = Callable[[Floats, Floats], object]

DIALOGUES, TURNS, RUNS = 10_000, 4, 3
SHORTEST, LONGEST = 4, 60
"""Values a turn: 2 to 30 s at two a second."""
SAMPLE = {"fastdtw": 1_000, "plain loops": 100}


def draw_turns(seed: int) -> list[Trajectory]:
    """A random walk a turn."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(SHORTEST, LONGEST + 1, DIALOGUES * TURNS)
    walks = (np.clip(0.5 + np.cumsum(rng.normal(0, 0.05, (length, 2)), axis=0), 0, 1) for length in lengths)
    return [Trajectory(values, ("valence", "arousal"), "unit", 2.0) for values in walks]


def median_s(work: Callable[[], object]) -> float:
    """Median seconds of a few runs."""
    seconds = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _warp_all(warp: Warp, pairs: list[tuple[Floats, Floats]]) -> None:
    for x, y in pairs:
        warp(x, y)


def main() -> None:
    """Print seconds, and microseconds a pair beside those of the peers."""
    users, replies = draw_turns(1), draw_turns(2)
    names = [f"d{turn // TURNS}" for turn in range(len(users))]
    places = [turn % TURNS for turn in range(len(users))]

    def published() -> None:
        turns = score_turns(users, replies, AV_EMO)
        score_dialogues(turns, replies, names, places, AV_EMO)

    def companions() -> None:
        contagion_in_band(users, replies, AV_EMO)
        balance_direction(users, replies, AV_EMO)
        steadiness(replies, AV_EMO)

    def anchor() -> None:
        for order in islice(shuffles(names), 20):
            score_turns(users, [replies[index] for index in order], AV_EMO)

    print(f"{DIALOGUES:,} dialogues x {TURNS} turns of {SHORTEST}-{LONGEST} values, median of {RUNS}")
    for title, work in (
        ("ECS, EBS, ESS, ERS and CT-*", published),
        ("companion columns", companions),
        ("20 shufflings of the anchor", anchor),
    ):
        print(f"{title:<32}{median_s(work):8.2f} s")

    firsts = [one.column("valence") for one in users]
    seconds = [one.column("valence") for one in replies]
    ours = median_s(lambda: dtw_distances(firsts, seconds)) / len(firsts)
    print(f"{'exact warping, batched':<32}{1e6 * ours:8.1f} us a pair")
    peers: dict[str, Warp] = {"plain loops": lambda x, y: warped_distance(x.tolist(), y.tolist())}
    if find_spec("fastdtw"):
        from fastdtw import fastdtw  # type: ignore[import-not-found]  # (installed by hand)

        peers["fastdtw"] = fastdtw
    else:
        print("fastdtw is not installed: pip install fastdtw")
    for name, warp in peers.items():
        pairs = list(zip(firsts[: SAMPLE[name]], seconds[: SAMPLE[name]], strict=True))
        theirs = median_s(partial(_warp_all, warp, pairs)) / len(pairs)
        print(f"{name:<32}{1e6 * theirs:8.1f} us a pair, {theirs / ours:.0f} x as long")


if __name__ == "__main__":
    main()
