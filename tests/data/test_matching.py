"""Things are matched as well as by trying everything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from avemo_harness.data.matching import FORBIDDEN, match_bipartite, match_graph

Edges = dict[tuple[int, int], int]


def best_matching(edges: Edges, used: frozenset[int] = frozenset()) -> tuple[int, int]:
    """Size and negative cost of the best matching of a small graph."""
    best = (0, 0)
    for (i, j), cost in edges.items():
        if not {i, j} & used:
            rest = {edge: c for edge, c in edges.items() if edge > (i, j)}
            size, gain = best_matching(rest, used | {i, j})
            best = max(best, (size + 1, gain - cost))
    return best


def graded(pairs: Sequence[tuple[int, int]], edges: Edges) -> tuple[int, int]:
    return len(pairs), -sum(edges[pair] for pair in pairs)


costs = st.one_of(st.just(FORBIDDEN), st.integers(0, 30))
matrices = st.integers(1, 4).flatmap(
    lambda m: st.lists(st.lists(costs, min_size=m, max_size=m), min_size=1, max_size=4)
)
graphs = st.dictionaries(
    st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda edge: edge[0] < edge[1]),
    st.integers(0, 30),
    max_size=8,
)


@given(matrices)
def test_two_sides_are_matched_as_well_as_by_trying_everything(rows: list[list[int]]) -> None:
    matrix = np.array(rows, dtype=np.int64)
    pairs = match_bipartite(matrix)
    edges = {(i, 10 + j): int(c) for (i, j), c in np.ndenumerate(matrix) if c != FORBIDDEN}
    assert graded([(i, 10 + j) for i, j in pairs], edges) == best_matching(edges)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)


@settings(max_examples=60)
@given(graphs)
def test_any_graph_is_matched_as_well_as_by_trying_everything(edges: Edges) -> None:
    ordered = sorted(edges)
    pairs = match_graph(6, ordered, [edges[edge] for edge in ordered])
    assert graded(pairs, edges) == best_matching(edges)
    assert len({end for pair in pairs for end in pair}) == 2 * len(pairs)


def test_nothing_to_match_gives_nothing() -> None:
    assert match_bipartite(np.empty((0, 3), dtype=np.int64)) == []
    assert match_graph(3, [], []) == []
