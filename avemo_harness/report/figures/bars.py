"""The table as bars with 95 % intervals, and accuracy by condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from avemo_harness.report.marks import mark_of, sentences_of
from avemo_harness.report.results import GroupResult
from avemo_harness.report.results_file import FinishedRun
from avemo_harness.scorers.base import Metric
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


def draw_table(run: FinishedRun) -> Figure | None:
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
        told = "\n".join(f"{mark}: {sentence}" for mark, sentence in marks.items())
        figure.supxlabel(told, fontsize=6, x=0.01, ha="left")


def _bars(axes: Axes, group: GroupResult) -> None:
    values = _defined(group.columns)
    names = list(values)
    axes.bar(range(len(names)), [value for value, _ in values.values()], width=0.6, color=_BAR)
    for place, (value, ends) in enumerate(values.values()):
        if ends is not None:
            axes.errorbar(place, value, yerr=_arms(value, ends), color="black", capsize=2, linewidth=1)
    for number, (row, columns) in enumerate(group.trivial.items()):
        known = {name: value for name, (value, _) in _defined(columns).items() if name in values}
        places = [names.index(name) for name in known]
        marker = _MARKERS[number % len(_MARKERS)]
        axes.plot(places, list(known.values()), marker, color=_TICK, fillstyle="none", markersize=4, label=row)
    marked = (group.columns[name] for name in names)
    axes.set_xticks(
        range(len(names)), [f"{name}\n{mark_of(one)}".rstrip() for name, one in zip(names, marked, strict=True)]
    )
    axes.tick_params(axis="x", labelsize=7)
    axes.set_ylim(0, 1.05)
    axes.grid(axis="y", linewidth=0.4)
    if group.trivial:
        axes.legend(ncols=len(group.trivial), loc="upper center", bbox_to_anchor=(0.5, -0.24), fontsize=7)


def draw_conditions(run: FinishedRun) -> Figure | None:
    """Accuracy with voice and face, voice alone and face alone, a line a group; None where no group has two of them."""
    from matplotlib.figure import Figure

    lines = {}
    marks: dict[str, str] = {}
    for group in run.result.groups.values():
        shown = {name: group.columns.get(name) for name in _CONDITIONS}
        values = _defined(shown)
        if len(values) > 1:
            carried = sentences_of(shown.values())
            lines[f"{group.title} {''.join(carried)}".rstrip()] = values
            marks |= carried
    if not lines:
        return None
    figure = Figure(figsize=(_COLUMN_WIDTH, 2.2 + _LINE * len(marks)), layout="constrained")
    _explain(figure, marks)
    axes = figure.subplots()
    order = list(_CONDITIONS)
    for number, (title, values) in enumerate(lines.items()):
        shift = 0.06 * (number - (len(lines) - 1) / 2)
        places = [order.index(name) + shift for name in values]
        means = [value for value, _ in values.values()]
        colour, form = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)] + "-"
        axes.plot(places, means, form, color=colour, markersize=4, label=printable(title))
        for place, (value, ends) in zip(places, values.values(), strict=True):
            if ends is not None:
                axes.errorbar(place, value, yerr=_arms(value, ends), color=colour, capsize=2, linewidth=1)
    axes.set_xticks(range(len(order)), list(_CONDITIONS.values()))
    axes.set_ylabel("accuracy")
    axes.set_ylim(0, 1.02)
    axes.grid(axis="y", linewidth=0.4)
    figure.legend(loc="outside lower center", fontsize=7)
    return figure


def _defined(columns: Mapping[str, Metric | None]) -> dict[str, tuple[float, tuple[float, float] | None]]:
    """The values that are there, with the ends of their intervals."""
    found: dict[str, tuple[float, tuple[float, float] | None]] = {}
    for name, metric in columns.items():
        if metric is not None and metric.value is not None:
            known = metric.ci_low is not None and metric.ci_high is not None
            found[name] = metric.value, (metric.ci_low or 0.0, metric.ci_high or 0.0) if known else None
    return found


def _arms(value: float, ends: Sequence[float]) -> list[list[float]]:
    low, high = ends
    return [[max(0.0, value - low)], [max(0.0, high - value)]]
