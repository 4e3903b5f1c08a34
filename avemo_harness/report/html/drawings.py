"""Small drawings as SVG, without any style of their own: the page's rules colour them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from avemo_harness.report.numbers import shown_value
from avemo_harness.scorers.base import Metric

_PLACES = {"full_av": (70, "voice and face"), "audio_only": (190, "voice"), "video_only": (300, "face")}
_TOP, _BOTTOM, _LEFT, _RIGHT = 20, 150, 40, 340
_BAR = 160


def slopes(accuracies: Mapping[str, Metric]) -> str:
    """Accuracy with voice and face, voice alone, face alone, with 95 % intervals; nothing where only one is known."""
    found = {name: metric for name, metric in accuracies.items() if name in _PLACES and metric.value is not None}
    if len(found) < 2:
        return ""
    shapes = [_gridline(share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    order = [name for name in _PLACES if name in found]
    points = [(_PLACES[name][0], _level(found[name].value or 0.0)) for name in order]
    shapes.append("<polyline class='slope' points='" + " ".join(f"{x},{y:.1f}" for x, y in points) + "'/>")
    for name, (x, y) in zip(order, points, strict=True):
        metric = found[name]
        if metric.ci_low is not None and metric.ci_high is not None:
            low, high = _level(metric.ci_low), _level(metric.ci_high)
            shapes.append(f"<line class='interval' x1='{x}' x2='{x}' y1='{low:.1f}' y2='{high:.1f}'/>")
        shapes.append(f"<circle class='value' cx='{x}' cy='{y:.1f}' r='4'/>")
        shapes.append(f"<text x='{x + 8}' y='{y - 6:.1f}'>{shown_value(metric)}</text>")
        shapes.append(f"<text class='faint' text-anchor='middle' x='{x}' y='{_BOTTOM + 18}'>{_PLACES[name][1]}</text>")
    told = ", ".join(f"{_PLACES[name][1]} {shown_value(found[name])}" for name in order)
    return (
        f"<figure><figcaption>Accuracy</figcaption><svg class='slopes' viewBox='0 0 380 175' role='img' "
        f"aria-label='Accuracy: {told}'>{''.join(shapes)}</svg></figure>"
    )


def share_bar(shares: Sequence[float]) -> str:
    """Shares of a whole side by side, in the order given."""
    shapes, start = [], 0.0
    for number, share in enumerate(shares):
        shapes.append(f"<rect class='part{number}' x='{start:.2f}' width='{_BAR * share:.2f}' height='12'/>")
        start += _BAR * share
    return f"<svg class='shares' viewBox='0 0 {_BAR} 12' aria-hidden='true'>{''.join(shapes)}</svg>"


def _gridline(share: float) -> str:
    y = _level(share)
    return (
        f"<line class='axis' x1='{_LEFT}' x2='{_RIGHT}' y1='{y}' y2='{y}'/>"
        f"<text class='faint' text-anchor='end' x='{_LEFT - 6}' y='{y + 4}'>{share:g}</text>"
    )


def _level(share: float) -> float:
    return _BOTTOM - share * (_BOTTOM - _TOP)
