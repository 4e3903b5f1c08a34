"""Figure 2: ratings of a recording and predictions from sound, face and both, as an SVG drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.trajectory import Dimension, step_times
from avemo_harness.recognizers.features.base import RATE_HZ
from avemo_harness.recognizers.heads.trajectory import DIMENSIONS
from avemo_harness.recognizers.heads.trajectory_evaluation import TrajectoryPrediction
from avemo_harness.recognizers.recordings import MODALITY_NAMES, Modality

WINDOW_STEPS = 20
"""10 s."""
_PANELS: tuple[Dimension, ...] = ("arousal", "valence")
_COLOURS: dict[Modality, str] = {"audio": "#0072b2", "video": "#d55e00", "both": "#009e73"}
_WIDTH, _HEIGHT = 420, 240
_LEFT, _TOP, _GAP, _BOTTOM = 52, 34, 64, 74

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of an evaluated recording."""

    predicted: TrajectoryPrediction
    steps: slice


def largest_range(predicted: Sequence[TrajectoryPrediction]) -> Window:
    """The 10 s, or the whole recording where it is shorter, in which the ratings range the furthest.

    The first of equals; ranges of valence and arousal are added.

    Raises:
        ValueError: there are no recordings.
    """
    best: tuple[float, Window] | None = None
    for one in predicted:
        ratings = np.column_stack([one.recording.trajectory.column(name) for name in _PANELS])
        for start in range(max(1, len(ratings) - WINDOW_STEPS + 1)):
            steps = slice(start, start + WINDOW_STEPS)
            found = float(np.ptp(ratings[steps], axis=0).sum())
            if best is None or found > best[0]:
                best = found, Window(one, steps)
    if best is None:
        raise ValueError("expected recordings to choose from")
    return best[1]


def draw_figure(window: Window) -> str:
    """Two panels, arousal and valence on [0, 1] over seconds: ratings dashed, predictions in colour."""
    recording = window.predicted.recording
    times = step_times(len(recording.trajectory), RATE_HZ)[window.steps]
    width, height = _LEFT + 2 * _WIDTH + _GAP + 16, _TOP + _HEIGHT + _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13" fill="#222">',
        f"<title>{escape(recording.recording_id)}: ratings and predictions</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for number, dimension in enumerate(_PANELS):
        parts.append(f'<g transform="translate({_LEFT + number * (_WIDTH + _GAP)},{_TOP})">')
        parts += [*_axes(dimension, times), *_lines(window, dimension, times), "</g>"]
    parts += [*_legend(window.predicted, width), "</svg>"]
    return "\n".join(parts) + "\n"


def _axes(dimension: str, times: Floats) -> list[str]:
    parts = [
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#888"/>',
        f'<text x="{_WIDTH / 2}" y="-12" text-anchor="middle" font-size="15">{dimension}</text>',
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT + 38}" text-anchor="middle">time (s)</text>',
    ]
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(value)
        parts.append(f'<line x1="0" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="-8" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for second in range(int(np.ceil(times[0])), int(times[-1]) + 1, 2 if len(times) > 10 else 1):
        x = _x(float(second), times)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_HEIGHT}" y2="{_HEIGHT + 5}" stroke="#888"/>')
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT + 19}" text-anchor="middle">{second}</text>')
    return parts


def _lines(window: Window, dimension: Dimension, times: Floats) -> list[str]:
    column = DIMENSIONS.index(dimension)
    drawn = [
        _line(times, values[window.steps, column], f'stroke="{_COLOURS[view]}" stroke-width="2"')
        for view, values in window.predicted.values.items()
    ]
    ratings = window.predicted.recording.trajectory.column(dimension)[window.steps]
    return [*drawn, _line(times, ratings, 'stroke="#222" stroke-width="2" stroke-dasharray="6 4"')]


def _line(times: Floats, values: Floats, style: str) -> str:
    points = " ".join(f"{_x(t, times):.1f},{_y(v):.1f}" for t, v in zip(times.tolist(), values.tolist(), strict=True))
    return f'<polyline points="{points}" fill="none" {style}/>'


def _legend(predicted: TrajectoryPrediction, width: int) -> list[str]:
    entries = [("ratings", "#222", ' stroke-dasharray="6 4"')]
    entries += [(MODALITY_NAMES[view], _COLOURS[view], "") for view in predicted.values]
    step, y = 170, _TOP + _HEIGHT + 60
    start = (width - step * len(entries)) / 2
    parts = []
    for number, (name, colour, dashes) in enumerate(entries):
        x = start + number * step
        parts.append(f'<line x1="{x}" x2="{x + 30}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"{dashes}/>')
        parts.append(f'<text x="{x + 38}" y="{y + 4}">{name}</text>')
    return parts


def _x(time_s: float, times: Floats) -> float:
    span = float(times[-1] - times[0]) or 1.0
    return (time_s - float(times[0])) / span * _WIDTH


def _y(value: float) -> float:
    return (1 - value) * _HEIGHT
