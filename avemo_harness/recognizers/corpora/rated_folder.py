"""A user's own recordings: a folder of them with a table of ratings beside each."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.text_tables import Table, read_table
from avemo_harness.errors import ReleaseError, UsageError
from avemo_harness.metrics.trajectory import Dimension, Trajectory, count_steps, step_times
from avemo_harness.recognizers.corpora.local_clips import LocalClips
from avemo_harness.recognizers.corpora.ratings import interpolated, window_means
from avemo_harness.recognizers.features.base import RATE_HZ
from avemo_harness.recognizers.recordings import Corpus, Part, RatedRecording, left_out, parse_part

RatingScale = Literal["hundred", "signed", "unit"]
"""hundred: from -100 to 100; signed: from -1 to 1; unit: from 0 to 1, 0.5 = neutral."""

_BOUNDS: dict[RatingScale, tuple[float, float]] = {
    "hundred": (-100.0, 100.0),
    "signed": (-1.0, 1.0),
    "unit": (0.0, 1.0),
}
_ROUNDING = 1e-6
_SLOWEST_HZ, _FASTEST_HZ = 0.001, 1_000.0
_ENDINGS = (".wav", ".flac", ".mp4")
_SPEAKERS = "speakers.csv"
_CONVERSATION = re.compile(r"(MSP-Conversation_\d+)_.+")


@dataclass(frozen=True, slots=True)
class RatedFolderArguments:
    """
    Args:
        path: the folder.
        scale: of the ratings.
        rate_hz: rows a second.
        rated_live: as in `Corpus`.
    """

    path: Path
    scale: RatingScale
    rate_hz: float = 1.0
    rated_live: bool = True


Person = tuple[str, str, Part | None]
"""Speaker, group and part of a recording."""


def read_rated_folder(arguments: RatedFolderArguments) -> Corpus:
    """Every recording that has ratings, in the order of names.

    Ratings that come more than twice a second are averaged over each half second, others lie on straight lines between
    the middles of their rows. They end where the recording does.

    Raises:
        UsageError: there cannot be that many rows a second.
        ReleaseError: files are missing or malformed, a value is beyond the scale, or it is not known who is recorded.
        MediaError: a recording cannot be read.
    """
    if not _SLOWEST_HZ <= arguments.rate_hz <= _FASTEST_HZ:
        raise UsageError(
            f"rate_hz={arguments.rate_hz:g}: expected rows a second, above 0: {_SLOWEST_HZ:g} to {_FASTEST_HZ:g}"
        )
    folder = arguments.path.expanduser()
    people = _read_people(folder / _SPEAKERS)
    dropped: Counter[str] = Counter()
    recordings = []
    with LocalClips(folder) as clips:
        for path in sorted(one for one in folder.glob("*") if one.suffix.lower() in _ENDINGS):
            table = path.with_suffix(".csv")
            if not table.is_file():
                dropped["recordings without ratings"] += 1
                continue
            person, streams = _person_of(path, people), clips.streams(path)
            trajectory = _trajectory(read_table(table, ","), arguments, streams.duration_s)
            recordings.append(RatedRecording(path.stem, *person, streams, trajectory))
    if not recordings:
        raise ReleaseError(
            f"{folder}: expected recordings ({', '.join(_ENDINGS)}), each with a table of the same name beside it, "
            f"found {dropped.total()} without one; give the folder that holds both"
        )
    return Corpus(folder.resolve().name, tuple(recordings), (), left_out(dropped), arguments.rated_live)


def _read_people(path: Path) -> dict[str, Person] | None:
    if not path.is_file():
        return None
    table = read_table(path, ",")
    recording, speaker = table.find("recording"), table.find("speaker")
    people: dict[str, Person] = {}
    for row in table.rows:
        name, part = row.cells[speaker], table.text(row, "part")
        group = table.text(row, "group") or name
        where = f"{path}:{row.line}"
        if not name:
            raise ReleaseError(f"{where}: expected a speaker, found nothing; give each person a name")
        people[row.cells[recording]] = (name, group, parse_part(part, where) if part else None)
    return people


def _person_of(path: Path, people: dict[str, Person] | None) -> Person:
    named = _CONVERSATION.fullmatch(path.stem) if people is None else None
    if named:
        return named[1], named[1], None
    if people is None or path.stem not in people:
        raise ReleaseError(
            f"{path}: who is recorded? Write a row for {path.stem!r} in {_SPEAKERS} beside it, with columns recording, "
            "speaker"
        )
    return people[path.stem]


def _trajectory(table: Table, arguments: RatedFolderArguments, duration_s: float) -> Trajectory:
    columns: tuple[Dimension, ...] = ("valence", "arousal", *(("dominance",) if table.has("dominance") else ()))
    values = table.numbers([table.find(name) for name in columns])
    low, high = _BOUNDS[arguments.scale]
    beyond = (values < low - _ROUNDING) | (values > high + _ROUNDING)
    if beyond.any():
        row, column = np.argwhere(beyond)[0]
        raise ReleaseError(
            f"{table.path}:{table.rows[row].line}: expected values from {low:g} to {high:g} (scale {arguments.scale}), "
            f"found {columns[column]} {values[row, column]:g}; give the scale that the ratings are on"
        )
    count = count_steps(min(duration_s, len(values) / arguments.rate_hz), RATE_HZ)
    unit = np.clip((values - low) / (high - low), 0, 1)
    resampled = np.column_stack([_resample(column, arguments.rate_hz, count) for column in unit.T])
    if not count or np.isnan(resampled).any():
        raise ReleaseError(f"{table.path}: expected a number in each of the columns {', '.join(columns)}; restore it")
    return Trajectory(resampled, columns, "unit", RATE_HZ)


def _resample(values: NDArray[np.float64], rate_hz: float, count: int) -> NDArray[np.float64]:
    times = step_times(len(values), rate_hz)
    return window_means(times, values, count) if rate_hz > RATE_HZ else interpolated(times, values, count)
