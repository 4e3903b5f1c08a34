"""Match things in pairs: as many as possible, at the lowest cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.int64]
FORBIDDEN = -1
"""The cost of a pair that must not be."""


def match_bipartite(costs: Costs) -> list[tuple[int, int]]:
    """Pair rows with columns, each at most once.

    Args:
        costs: [n, m], whole numbers of at least 0, or `FORBIDDEN`.

    Returns:
        (row, column) of each pair, by row. Equal costs give equal pairs.

    >>> match_bipartite(np.array([[1, 5], [2, FORBIDDEN]]))
    [(0, 1), (1, 0)]
    """
    from scipy.optimize import linear_sum_assignment

    if not costs.size:
        return []
    # One forbidden pair costs more than any matching without it, so as few as possible are taken. Sums of whole
    # numbers below 2**53 are exact in floating point.
    too_much = (int(costs.max(initial=0)) + 1) * (min(costs.shape) + 1)
    rows, columns = linear_sum_assignment(np.where(costs == FORBIDDEN, too_much, costs))
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if costs[i, j] != FORBIDDEN]


def match_graph(count: int, edges: Sequence[tuple[int, int]], costs: Sequence[int]) -> list[tuple[int, int]]:
    """Pair things with one another along `edges`, each thing at most once.

    Args:
        count: of the things, which are numbered from 0.
        edges: the pairs that may be.
        costs: of each edge, whole numbers of at least 0.

    Returns:
        The pairs, in the order of `edges`.

    Raises:
        RuntimeError: the solver gave up.

    >>> match_graph(4, [(0, 1), (1, 2), (2, 3)], [5, 0, 5])
    [(0, 1), (2, 3)]
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array

    if not edges:
        return []
    ends = np.array(edges).ravel()
    edge_index = np.repeat(np.arange(len(edges)), 2)
    once = LinearConstraint(coo_array((np.ones(len(ends)), (ends, edge_index)), shape=(count, len(edges))), 0, 1)
    each = np.ones(len(edges))
    exactly = {"mip_rel_gap": 0.0}

    def solve(goal: NDArray[np.float64], constraints: list[LinearConstraint]) -> NDArray[np.float64]:
        found = milp(goal, integrality=each, bounds=Bounds(0, 1), constraints=constraints, options=exactly)
        if found.x is None:
            raise RuntimeError(f"no matching of {count} things along {len(edges)} edges ({found.message})")
        taken: NDArray[np.float64] = np.round(found.x)
        return taken

    most = solve(-each, [once]).sum()
    taken = solve(np.array(costs, dtype=np.float64), [once, LinearConstraint(each[None], most, most)])
    return [edge for edge, chosen in zip(edges, taken, strict=True) if chosen]
