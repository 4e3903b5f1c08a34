"""Valence and arousal of users and of the replies to them over time, after Figure 2 of arXiv 2510.07355."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.trajectory import Dimension, Trajectory
from avemo_harness.report.scored_run import ScoredRun
from avemo_harness.run.judgements import Place
from avemo_harness.scorers.judged import Judged
from avemo_harness.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 3
_DIMENSIONS: tuple[Dimension, ...] = ("valence", "arousal")
_LINES = {
    "user": ("#0072b2", "-", "user, sound and face"),
    "user_audio": ("#0072b2", "--", "user, sound alone"),
    "reply": ("#d55e00", "-", "spoken reply"),
}


def draw_trajectories(run: ScoredRun) -> Figure | None:
    """The turns in which the user's emotion moves most, chosen by that rule alone; None where no reply was judged."""
    from matplotlib.figure import Figure

    ranked = sorted(_candidates(run), key=lambda one: (-_movement(one[1].user), one[0]))[:SHOWN]
    if not ranked:
        return None
    figure = Figure(figsize=(6.9, 2.8), layout="constrained")
    grid = figure.subplots(len(_DIMENSIONS), len(ranked), sharey=True, squeeze=False)
    for column, (place, judged) in enumerate(ranked):
        for row, dimension in enumerate(_DIMENSIONS):
            _lines(grid[row, column], judged, dimension)
        grid[0, column].set_title(printable(place[1]), fontsize=8)
        grid[-1, column].set_xlabel("seconds since the start of each")
    for row, dimension in enumerate(_DIMENSIONS):
        grid[row, 0].set_ylabel(dimension)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(_LINES), fontsize=7)
    return figure


def _candidates(run: ScoredRun) -> Iterator[tuple[Place, Judged]]:
    for place, judged in run.judged.items():
        both = (judged.user, judged.reply)
        if all(one is not None and len(one) and set(_DIMENSIONS) <= set(one.columns) for one in both):
            yield place, judged


def _movement(trajectory: Trajectory | None) -> float:
    """The wider of the ranges of valence and arousal."""
    assert trajectory is not None
    return max(float(np.ptp(_values(trajectory, dimension))) for dimension in _DIMENSIONS)


def _lines(axes: Axes, judged: Judged, dimension: Dimension) -> None:
    for name, (colour, style, label) in _LINES.items():
        trajectory: Trajectory | None = getattr(judged, name)
        if trajectory is not None and dimension in trajectory.columns:
            times = (np.arange(len(trajectory)) + 0.5) / trajectory.rate_hz
            axes.plot(times, _values(trajectory, dimension), style, color=colour, label=label, linewidth=1.2)
    axes.axhline(0.5, color="#999999", linewidth=0.5)
    axes.set_ylim(0, 1)
    axes.set_xlim(left=0)


def _values(trajectory: Trajectory, dimension: Dimension) -> NDArray[np.float64]:
    return trajectory.on("unit").column(dimension)
