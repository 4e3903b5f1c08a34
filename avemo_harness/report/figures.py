"""Figures for papers: of a run its table as bars, accuracy by condition and trajectories; of recognisers, ratings."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.request import ItemKey
from avemo_harness.errors import UsageError
from avemo_harness.files import write_atomically
from avemo_harness.metrics.trajectory import Dimension, Trajectory, step_times
from avemo_harness.report.results import GroupResult
from avemo_harness.report.scored_run import ScoredRun, read_scored_run
from avemo_harness.report.values import mark_of, sentences_of
from avemo_harness.scorers.base import Judgement, MetricValue
from avemo_harness.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMN_WIDTH, _PAGE_WIDTH = 3.3, 6.9
"""Inches, of papers with two columns."""
_LINE = 0.13
"""Inches that a line of explanation takes."""
_BAR, _TICK = "#a8cce3", "#222222"
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_CONDITIONS = {"Acc_AV": "voice\nand face", "Acc_A": "voice", "Acc_V": "face"}
_MARKERS = "osD^vP"


def draw_table(run: ScoredRun) -> Figure | None:
    """A row of bars for each group that has values; None where none has. Replies without understanding are ticks."""
    from matplotlib.figure import Figure

    groups = [group for group in run.result.groups.values() if _defined(group.columns)]
    if not groups:
        return None
    marks = sentences_of(metric for group in groups for metric in group.columns.values())
    figure = Figure(figsize=(_PAGE_WIDTH, 1.9 * len(groups) + _LINE * len(marks)), layout="constrained")
    for axes, group in zip(figure.subplots(len(groups), squeeze=False)[:, 0], groups, strict=True):
        _bars(axes, group)
        axes.set_title(printable(f"{group.row}, {group.title}"), loc="left")
    _explain(figure, marks)
    return figure


def _explain(figure: Figure, marks: Mapping[str, str]) -> None:
    """The sentences behind marks, below everything else."""
    if marks:
        text = "\n".join(f"{mark}: {sentence}" for mark, sentence in marks.items())
        figure.supxlabel(text, fontsize=6, x=0.01, ha="left")


def _bars(axes: Axes, group: GroupResult) -> None:
    metrics = _defined(group.columns)
    names = list(metrics)
    axes.bar(range(len(names)), _values(metrics.values()), width=0.6, color=_BAR)
    _draw_intervals(axes, range(len(names)), metrics.values(), "black")
    for number, (row, columns) in enumerate(group.trivial.items()):
        known = {name: metric for name, metric in _defined(columns).items() if name in metrics}
        marker = _MARKERS[number % len(_MARKERS)]
        positions = [names.index(name) for name in known]
        axes.plot(positions, _values(known.values()), marker, color=_TICK, fillstyle="none", markersize=4, label=row)
    axes.set_xticks(range(len(names)), [f"{name}\n{mark_of(metric)}".rstrip() for name, metric in metrics.items()])
    axes.tick_params(axis="x", labelsize=7)
    axes.set_ylim(0, 1.05)
    axes.grid(axis="y", linewidth=0.4)
    if group.trivial:
        axes.legend(ncols=len(group.trivial), loc="upper center", bbox_to_anchor=(0.5, -0.24), fontsize=7)


def draw_conditions(run: ScoredRun) -> Figure | None:
    """Accuracy with voice and face, voice alone and face alone, a line a group; None where no group has two of them."""
    from matplotlib.figure import Figure

    lines = {}
    marks: dict[str, str] = {}
    for group in run.result.groups.values():
        metrics = _defined({name: group.columns.get(name) for name in _CONDITIONS})
        if len(metrics) > 1:
            carried = sentences_of(metrics.values())
            lines[f"{group.title} {''.join(carried)}".rstrip()] = metrics
            marks |= carried
    if not lines:
        return None
    figure = Figure(figsize=(_COLUMN_WIDTH, 2.2 + _LINE * len(marks)), layout="constrained")
    _explain(figure, marks)
    axes = figure.subplots()
    order = list(_CONDITIONS)
    for number, (title, metrics) in enumerate(lines.items()):
        shift = 0.06 * (number - (len(lines) - 1) / 2)
        positions = [order.index(name) + shift for name in metrics]
        colour, form = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)] + "-"
        axes.plot(positions, _values(metrics.values()), form, color=colour, markersize=4, label=printable(title))
        _draw_intervals(axes, positions, metrics.values(), colour)
    axes.set_xticks(range(len(order)), list(_CONDITIONS.values()))
    axes.set_ylabel("accuracy")
    axes.set_ylim(0, 1.02)
    axes.grid(axis="y", linewidth=0.4)
    figure.legend(loc="outside lower center", fontsize=7)
    return figure


def _defined(columns: Mapping[str, MetricValue | None]) -> dict[str, MetricValue]:
    return {name: metric for name, metric in columns.items() if metric is not None and metric.value is not None}


def _values(metrics: Iterable[MetricValue]) -> list[float]:
    return [metric.value for metric in metrics if metric.value is not None]


def _draw_intervals(axes: Axes, positions: Iterable[float], metrics: Iterable[MetricValue], colour: str) -> None:
    for x, metric in zip(positions, metrics, strict=True):
        value, low, high = metric.value, metric.ci_low, metric.ci_high
        if value is not None and low is not None and high is not None:
            # Rounding may put the value a hair outside its interval, and matplotlib refuses negative lengths.
            arms = [[max(0.0, value - low)], [max(0.0, high - value)]]
            axes.errorbar(x, value, yerr=arms, color=colour, capsize=2, linewidth=1)


_SHOWN_TURNS = 3
_DIMENSIONS: tuple[Dimension, ...] = ("valence", "arousal")
_LINES = {
    "user": ("#0072b2", "-", "user, sound and face"),
    "user_audio": ("#0072b2", "--", "user, sound alone"),
    "reply": ("#d55e00", "-", "spoken reply"),
}


def draw_trajectories(run: ScoredRun) -> Figure | None:
    """The turns in which the user's emotion moves most, chosen by that rule alone; None where no reply was judged."""
    from matplotlib.figure import Figure

    ranked = sorted(_candidates(run), key=lambda turn: (-_movement(turn[1].user), turn[0]))[:_SHOWN_TURNS]
    if not ranked:
        return None
    figure = Figure(figsize=(6.9, 2.8), layout="constrained")
    grid = figure.subplots(len(_DIMENSIONS), len(ranked), sharey=True, squeeze=False)
    for column, ((_, item), judged) in enumerate(ranked):
        for row, dimension in enumerate(_DIMENSIONS):
            _plot_trajectories(grid[row, column], judged, dimension)
        grid[0, column].set_title(printable(item), fontsize=8)
        grid[-1, column].set_xlabel("seconds since the start of each")
    for row, dimension in enumerate(_DIMENSIONS):
        grid[row, 0].set_ylabel(dimension)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(_LINES), fontsize=7)
    return figure


def _candidates(run: ScoredRun) -> Iterator[tuple[ItemKey, Judgement]]:
    for key, judged in run.judged.items():
        both = (judged.user, judged.reply)
        if all(
            trajectory is not None and len(trajectory) and set(_DIMENSIONS) <= set(trajectory.columns)
            for trajectory in both
        ):
            yield key, judged


def _movement(trajectory: Trajectory | None) -> float:
    """The wider of the ranges of valence and arousal."""
    assert trajectory is not None
    return max(float(np.ptp(_unit_values(trajectory, dimension))) for dimension in _DIMENSIONS)


def _plot_trajectories(axes: Axes, judged: Judgement, dimension: Dimension) -> None:
    for name, (colour, style, label) in _LINES.items():
        trajectory: Trajectory | None = getattr(judged, name)
        if trajectory is not None and dimension in trajectory.columns:
            times = step_times(len(trajectory), trajectory.rate_hz)
            axes.plot(times, _unit_values(trajectory, dimension), style, color=colour, label=label, linewidth=1.2)
    axes.axhline(0.5, color="#999999", linewidth=0.5)
    axes.set_ylim(0, 1)
    axes.set_xlim(left=0)


def _unit_values(trajectory: Trajectory, dimension: Dimension) -> NDArray[np.float64]:
    return trajectory.on("unit").column(dimension)


_SETTINGS: Any = {  # matplotlib names the keys one by one since 3.11, and not before
    "font.size": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "pdf.fonttype": 42,  # as fonts that journals take, not as drawings of letters
    "svg.fonttype": "none",
    "svg.hashsalt": "avemo",  # without it, ids in the file are drawn anew each time
    "savefig.dpi": 200,
    "legend.frameon": False,
    "text.parse_math": False,  # names may hold a dollar sign
}


def draw_figures(folder: Path, target: Path) -> tuple[Path, ...]:
    """Draw what a run has: `table`, `conditions` and `trajectories`, each as PDF and PNG; equal runs give equal bytes.

    Args:
        folder: the run directory, scored.
        target: where the files go; made where there is none.

    Returns:
        The files; none of a figure that the run has nothing for.

    Raises:
        UsageError: matplotlib is not installed, or the folder is no scored run.
        StoreError: the run directory is damaged.
    """
    with _paper_style():
        return tuple(path for name, figure in _figures(folder) for path in _save(figure, target / name))


def require_matplotlib() -> None:
    """Check that figures can be drawn.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "matplotlib is not installed; figures need it: pip install 'avemo-harness[figures]'"
        ) from error


def _paper_style() -> AbstractContextManager[None]:
    require_matplotlib()
    import matplotlib

    return matplotlib.rc_context(_SETTINGS)


def _figures(folder: Path) -> Iterator[tuple[str, Figure]]:
    run = read_scored_run(folder)
    for name, figure in (
        ("table", draw_table(run)),
        ("conditions", draw_conditions(run)),
        ("trajectories", draw_trajectories(run)),
    ):
        if figure is not None:
            yield name, figure


def _save(figure: Figure, path: Path) -> Iterator[Path]:
    # Without these, the files would carry the date and the library's version.
    silent = {"pdf": {"CreationDate": None, "Producer": None, "Creator": None}, "png": {"Software": None}}
    for form, metadata in silent.items():
        file = path.with_suffix(f".{form}")
        write_atomically(file, _encoded(figure, form, metadata))
        yield file


def _encoded(figure: Figure, form: str, metadata: Mapping[str, str | None]) -> bytes:
    data = io.BytesIO()
    figure.savefig(data, format=form, metadata=dict(metadata), bbox_inches="tight")
    return data.getvalue()


WINDOW_S = 10.0
RatedRecording = tuple[str, Trajectory, Mapping[str, NDArray[np.float64]]]
"""A recording's name, its ratings, and predictions (T, 2) of valence and arousal by what was shown."""


def widest_window(ratings: Sequence[Trajectory]) -> tuple[int, slice]:
    """The 10 s in which ratings range the furthest, or a whole recording that is shorter: recording and its steps.

    The first of equals; ranges of valence and arousal are added.

    Raises:
        ValueError: there are no recordings.
    """
    windows = []
    for number, trajectory in enumerate(ratings):
        values = np.column_stack([_unit_values(trajectory, name) for name in _DIMENSIONS])
        width = round(WINDOW_S * trajectory.rate_hz)
        for start in range(max(1, len(values) - width + 1)):
            steps = slice(start, start + width)
            windows.append((float(np.ptp(values[steps], axis=0).sum()), number, steps))
    if not windows:
        raise ValueError("expected recordings to choose from")
    return max(windows, key=lambda window: window[0])[1:]


def draw_ratings(recordings: Sequence[RatedRecording]) -> bytes:
    """Draw Figure 2 as SVG: ratings dashed and predictions in colour, over the 10 s of `widest_window`.

    Raises:
        UsageError: matplotlib is not installed.
        ValueError: there are no recordings.
    """
    number, steps = widest_window([ratings for _, ratings, _ in recordings])
    name, ratings, predictions = recordings[number]
    times = step_times(len(ratings), ratings.rate_hz)[steps]
    with _paper_style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(_PAGE_WIDTH, 2.4), layout="constrained")
        for axes, dimension in zip(figure.subplots(1, 2, sharey=True), reversed(_DIMENSIONS), strict=True):
            axes.plot(times, _unit_values(ratings, dimension)[steps], "--", color=_TICK, label="ratings", zorder=3)
            for (shown, values), colour in zip(predictions.items(), _COLOURS, strict=False):
                axes.plot(times, values[steps, _DIMENSIONS.index(dimension)], color=colour, label=shown)
            axes.set_title(dimension)
            axes.set_xlabel("time (s)")
            axes.set_ylim(0, 1)
            axes.grid(axis="y", linewidth=0.4)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=7)
        title = f"{printable(name)}: ratings and predictions"
        return _encoded(figure, "svg", {"Title": title, "Date": None, "Creator": None})
