"""A user's own recordings: a table of labelled clips, or a folder of recordings beside their ratings."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.benchmark.text_tables import Row, Table, path_spellings, read_table
from avemo_harness.errors import ReleaseError, UsageError
from avemo_harness.metrics.trajectory import Dimension, Trajectory, count_steps, step_times
from avemo_harness.recognizers.corpora.local_clips import LocalClips
from avemo_harness.recognizers.corpora.ratings import interpolated, window_means
from avemo_harness.recognizers.features.base import RATE_HZ
from avemo_harness.recognizers.placement import Intensity
from avemo_harness.recognizers.recordings import Corpus, LabelledRecording, Part, RatedRecording, left_out, parse_part


@dataclass(frozen=True, slots=True)
class LabelledClipsArguments:
    """
    Args:
        path: of the table, with columns path, label, speaker, and where they are known face, part, dialogue, intensity
            (low, medium or high).
    """

    path: Path


def read_labelled_clips(arguments: LabelledClipsArguments) -> Corpus:
    """Every row whose label is one of the benchmark's emotions, in the order of the table.

    Raises:
        ReleaseError: the table is missing or malformed, names a file twice or one that is not there, or has no row with
            such a label.
        MediaError: a clip cannot be read.
    """
    path = arguments.path.expanduser()
    table = read_table(path, ",")
    for name in ("path", "label", "speaker"):
        table.find(name)
    dropped = Counter(f"label {label}" for row in table.rows if (label := _label(table, row)) not in EMOTIONS)
    rows = [row for row in table.rows if _label(table, row) in EMOTIONS]
    if not rows:
        raise ReleaseError(
            f"{path}: expected rows with a label of {', '.join(EMOTIONS)}, found none among {len(table.rows)} rows; "
            "translate the labels"
        )
    known: set[Path] = set()
    recordings = []
    with LocalClips(path.parent) as clips:
        for row in rows:
            meant = [path.parent / one for one in path_spellings(table.text(row, "path"))]
            clip = next((one for one in meant if one.is_file()), meant[0])
            if not clip.is_file() or clip in known:
                problem = "is there twice" if clip in known else "is no file"
                raise ReleaseError(f"{path}:{row.line}: {str(clip)!r} {problem}; correct the path")
            known.add(clip)
            recordings.append(_recording(table, row, clip, clips))
    return Corpus(path.stem, (), tuple(recordings), left_out(dropped))


def _label(table: Table, row: Row) -> str:
    return table.text(row, "label").lower()


def _recording(table: Table, row: Row, clip: Path, clips: LocalClips) -> LabelledRecording:
    where = f"{table.path}:{row.line}"
    name, speaker, part = (table.text(row, column) for column in ("path", "speaker", "part"))
    if not speaker:
        raise ReleaseError(f"{where}: expected a speaker, found nothing; give each person a name")
    return LabelledRecording(
        recording_id=name,
        speaker=speaker,
        face=table.text(row, "face") or speaker,
        label=_label(table, row),
        part=parse_part(part, where) if part else None,
        dialogue=table.text(row, "dialogue") or name,
        streams=clips.streams(clip),
        intensity=_intensity(table.text(row, "intensity"), where),
    )


def _intensity(text: str, where: str) -> Intensity | None:
    found: dict[str, Intensity] = {name: name for name in get_args(Intensity)}
    if text and text.lower() not in found:
        raise ReleaseError(f"{where}: expected the intensity {', '.join(found)}, or nothing, found {text!r}")
    return found.get(text.lower())


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
