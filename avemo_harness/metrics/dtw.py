"""Dynamic time warping: how far one series is from another when time may be stretched.

The exact distance: local cost |x - y|, steps (1, 0), (0, 1) and (1, 1), summed along the best path. Many pairs are
computed at once, cell by cell across pairs, which equals the double loop over each pair to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

_PAIRS_A_BLOCK = 2_048
"""Pairs computed together: a vector of so many stays in the processor's cache."""


def dtw_distance(x: Floats, y: Floats, band: int | None = None) -> float:
    """The distance of one pair; see `dtw_distances`.

    >>> dtw_distance(np.array([0.0, 1.0]), np.array([0.0, 0.0, 1.0]))
    0.0
    >>> dtw_distance(np.array([0.5]), np.array([0.0, 1.0]))
    1.0
    """
    return float(dtw_distances([x], [y], None if band is None else [band])[0])


def dtw_distances(xs: Sequence[Floats], ys: Sequence[Floats], bands: Sequence[int] | None = None) -> Floats:
    """The distance of each pair of series.

    Args:
        xs, ys: series of shapes (T_x,) and (T_y,), of any lengths.
        bands: for each pair, how many steps two points that are matched may lie apart (Sakoe and Chiba 1978); at
            least the difference of the lengths. None lets time be stretched without bounds.

    Returns:
        float64 (N,), at least 0; NaN for a pair with an empty series. Symmetric in x and y.

    Raises:
        ValueError: the numbers of series differ, a series has another shape or holds NaN, or a band is too narrow.
    """
    if len(xs) != len(ys) or (bands is not None and len(bands) != len(xs)):
        raise ValueError(f"expected as many series on both sides, found {len(xs)} and {len(ys)}")
    # The distance is symmetric: the shorter series first makes pairs alike.
    shorter = [x if len(x) <= len(y) else y for x, y in zip(xs, ys, strict=True)]
    longer = [y if len(x) <= len(y) else x for x, y in zip(xs, ys, strict=True)]
    rows, columns = (np.array([len(series) for series in side], dtype=np.intp) for side in (shorter, longer))
    widths = np.full(len(xs), np.iinfo(np.intp).max) if bands is None else np.asarray(bands, dtype=np.intp)
    if (widths < columns - rows).any():
        pair = int(np.argmax(widths < columns - rows))
        raise ValueError(f"pair {pair}: a band of {widths[pair]} joins no series of {rows[pair]} and {columns[pair]}")
    distances = np.full(len(xs), np.nan)
    order = np.lexsort((rows, columns))
    order = order[rows[order] > 0]
    for start in range(0, len(order), _PAIRS_A_BLOCK):
        block = order[start : start + _PAIRS_A_BLOCK]
        x = _columns([shorter[pair] for pair in block])
        y = _columns([longer[pair] for pair in block])
        distances[block] = _block_distances(x, y, rows[block], columns[block], widths[block])
    return distances


def _columns(series: Sequence[Floats]) -> Floats:
    """Series as columns, each continued with zeros, shape (longest, pairs)."""
    table = np.zeros((max(map(len, series)), len(series)))
    for column, values in enumerate(series):
        if values.ndim != 1:
            raise ValueError(f"expected a series of shape (T,), found {values.shape}")
        table[: len(values), column] = values
    if np.isnan(table).any():
        raise ValueError("a series holds NaN")
    return table


def _block_distances(x: Floats, y: Floats, rows: Indices, columns: Indices, widths: Indices) -> Floats:
    """Distances of pairs whose series are the columns of x and y, shape (pairs,).

    What is computed beyond the end of a shorter series is never looked at: a cell depends on earlier cells only.
    """
    distances = np.empty(len(rows))
    positions = np.arange(len(y))[:, None]
    banded = bool((widths < np.maximum(len(x), len(y))).any())
    # reached[j + 1]: least cost of a path to (i, j); in row -1 only the corner before the first cell is reached.
    reached = np.full((len(y) + 1, len(rows)), np.inf)
    reached[0] = 0.0
    for i, value in enumerate(x):
        cost = np.abs(value - y)
        if banded:
            cost[np.abs(positions - i) > widths] = np.inf
        from_above = np.minimum(reached[1:], reached[:-1])
        reached[0] = np.inf
        for j in range(len(y)):
            np.minimum(from_above[j], reached[j], out=reached[j + 1])
            reached[j + 1] += cost[j]
        ends = np.flatnonzero(rows == i + 1)
        distances[ends] = reached[columns[ends], ends]
    return distances
