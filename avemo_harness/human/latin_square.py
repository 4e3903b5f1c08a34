"""Orders of presentation in which every condition follows every other equally often (Williams 1949)."""

from __future__ import annotations


def williams_square(size: int) -> list[list[int]]:
    """Rows of a Williams design: `size` rows where that is even, twice as many where it is odd.

    Each condition stands once in every column of each `size` rows, and directly after each other one equally often
    over all rows.

    >>> williams_square(4)
    [[0, 3, 1, 2], [1, 0, 2, 3], [2, 1, 3, 0], [3, 2, 0, 1]]
    >>> williams_square(3)
    [[0, 2, 1], [1, 0, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1], [0, 1, 2]]
    """
    zigzag = [position // 2 if position % 2 == 0 else size - (position + 1) // 2 for position in range(size)]
    rows = [[(start + step) % size for step in zigzag] for start in range(size)]
    return rows if size % 2 == 0 else rows + [row[::-1] for row in rows]
