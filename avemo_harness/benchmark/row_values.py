"""Values of a release's rows, each checked for its type and within bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from avemo_harness.errors import ReleaseError

MAX_TURNS = 1_000
"""Of a dialogue: each question shows all turns before it, so the cost grows with their square."""
MAX_SECONDS = 3_600.0
"""Of a turn's clip."""
MAX_RATE_HZ = 1_000.0
MAX_VALUES = 100_000
"""Of a trajectory: an hour at 25 a second has 90,000."""

Row = Mapping[str, Any]


def required(row: Row, key: str, kind: type, where: str) -> Any:
    """The value of a column that must hold one of a kind; a whole float stands for its int, as pandas writes it.

    Raises:
        ReleaseError: there is none, or of another kind.
    """
    value = row.get(key)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, kind):
        found = "nothing" if value is None else repr(value)
        raise ReleaseError(f"{where}: column {key!r} must hold a {kind.__name__}, found {found}")
    return value


def turn_records(row: Row, where: str) -> Sequence[Any]:
    """The turns of a dialogue, from 1 to `MAX_TURNS`.

    Raises:
        ReleaseError: there is no such list.
    """
    turns = row.get("turns")
    if not isinstance(turns, Sequence) or not turns:
        raise ReleaseError(f"{where}: 'turns' must be a non-empty list")
    if len(turns) > MAX_TURNS:
        raise ReleaseError(f"{where}: a dialogue may have at most {MAX_TURNS:,} turns, found {len(turns):,}; split it")
    return turns


def bounded_number(row: Row, key: str, high: float, where: str) -> float | None:
    """A number above 0 and at most `high`; None where the column is null or not there.

    Raises:
        ReleaseError: the value is anything else.
    """
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= high:
        raise ReleaseError(f"{where}: {key} must be a number above 0 and at most {high:g}, or null, found {value!r}")
    return value


def rated_values(row: Row, where: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Valence and arousal over time, each in [0, 1]; of equal length where both are there, () where one is not.

    Raises:
        ReleaseError: a value is outside, there are more than `MAX_VALUES`, or the lengths differ.
    """
    valence, arousal = _unit_values(row, "valence", where), _unit_values(row, "arousal", where)
    if valence and arousal and len(valence) != len(arousal):
        raise ReleaseError(
            f"{where}: valence and arousal must have as many values as each other, found {len(valence)} and "
            f"{len(arousal)}"
        )
    return valence, arousal


def _unit_values(row: Row, key: str, where: str) -> tuple[float, ...]:
    values = row.get(key)
    if values is None:
        return ()
    if not isinstance(values, Sequence) or len(values) > MAX_VALUES:
        found = f"{len(values):,}" if isinstance(values, Sequence) else repr(values)
        raise ReleaseError(f"{where}: {key} must be a list of at most {MAX_VALUES:,} numbers, found {found}")
    for value in values:
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ReleaseError(f"{where}: {key} must hold numbers from 0 to 1, found {value!r}")
    return tuple(values)
