"""RECOLA (Ringeval et al. 2013): French video calls, six raters, valence and arousal at 25 Hz."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.text_tables import Table, read_table
from avemo_harness.errors import ReleaseError
from avemo_harness.metrics.trajectory import Dimension, Trajectory, count_steps
from avemo_harness.recognizers.corpora.local_clips import LocalClips
from avemo_harness.recognizers.corpora.ratings import GoldStandard, fuse_ratings, window_means
from avemo_harness.recognizers.features.base import RATE_HZ
from avemo_harness.recognizers.recordings import Corpus, Part, RatedRecording, left_out, parse_part

_DIMENSIONS: tuple[Dimension, ...] = ("valence", "arousal")
_RATINGS = Path("RECOLA-Annotation", "emotional_behaviour")
_SOUND, _VIDEO = "RECOLA-Audio-recordings", "RECOLA-Video-recordings"
_VIDEO_ENDINGS = (".mp4", ".avi", ".mkv", ".mov")
_GROUP_COLUMNS = ("group_id", "group", "groupid", "dyad", "dyad_id")
_USER_COLUMNS = ("user", "user_id", "userid", "participant", "participant_id", "id")
_BEYOND_ROUNDING = 1e-6
_LONGEST_S = 86_400.0
_OTHER_SCALE = 1.5
"""A rating this large is not a little beyond 1 but on another scale."""


@dataclass(frozen=True, slots=True)
class RecolaArguments:
    """
    Args:
        path: the corpus' folder.
        gold: how the raters become one trajectory.
    """

    path: Path
    gold: GoldStandard = "avec2018"


def read_recola(arguments: RecolaArguments) -> Corpus:
    """Every person with ratings of both dimensions and a sound file, in the order of their numbers.

    A person is a speaker, both partners of a call are a group. Parts are those of ``partition.csv``: which persons the
    official train, development and test parts consist of is told to those who sign for the corpus. Test ratings are not
    given out, so the official split is evaluated on its validation part.

    Raises:
        ReleaseError: files are missing or malformed, ratings are on another scale, or a person has no group.
        MediaError: a recording cannot be read.
    """
    folder = arguments.path.expanduser()
    rated = {name: _files(folder / _RATINGS / name, (".csv",)) for name in _DIMENSIONS}
    sounds, videos = _files(folder / _SOUND, (".wav",)), _files(folder / _VIDEO, _VIDEO_ENDINGS)
    persons = sorted(rated["valence"].keys() & rated["arousal"].keys() & sounds.keys(), key=_number)
    if not persons:
        raise ReleaseError(
            f"{folder}: expected {_RATINGS}/{{arousal,valence}}/P<number>.csv and {_SOUND}/P<number>.wav, found "
            f"{len(rated['valence'])} rated persons and {len(sounds)} sound files; give the folder that holds these"
        )
    groups, parts = _read_groups(folder), _read_parts(folder / "partition.csv")
    recordings, n_clipped = [], 0
    with LocalClips(folder) as clips:
        for person in persons:
            if person not in groups:
                raise ReleaseError(f"{folder}: the metadata has no group for {person}; add the person's row")
            streams = clips.joined(sounds[person], videos.get(person))
            longest = count_steps(streams.duration_s, RATE_HZ)
            traces = [_consensus(rated[name][person], arguments.gold)[:longest] for name in _DIMENSIONS]
            signed = np.column_stack([trace[: min(map(len, traces))] for trace in traces])
            n_clipped += int((np.abs(signed) > 1 + _BEYOND_ROUNDING).sum())
            trajectory = Trajectory(np.clip(signed, -1, 1), _DIMENSIONS, "signed", RATE_HZ).on("unit")
            recordings.append(
                RatedRecording(person, person, f"group-{groups[person]}", parts.get(person), streams, trajectory)
            )
    dropped = {
        "persons without ratings of both dimensions": len(sounds.keys() - set(persons)),
        "rated persons without a sound file": len((rated["valence"].keys() & rated["arousal"]) - sounds.keys()),
        "values of the gold standard beyond [-1, 1], set to the bound": n_clipped,
    }
    return Corpus(f"RECOLA ({arguments.gold})", tuple(recordings), (), left_out(dropped), rated_live=True)


def _number(person: str) -> int:
    return int(person[1:])


def _files(folder: Path, endings: tuple[str, ...]) -> dict[str, Path]:
    """The files of a folder that are named after a person; none where there is no such folder."""
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in endings)
    return {path.stem: path for path in found if re.fullmatch(r"P\d+", path.stem)}


def _consensus(path: Path, gold: GoldStandard) -> NDArray[np.float64]:
    """The gold standard of a file, from -1 to 1 and a little beyond, two values a second."""
    table = read_table(path, ";")
    time = table.find("time")
    raters = [column for column, name in enumerate(table.columns) if name and column != time]
    values = table.numbers([time, *raters])
    times, ratings = values[:, 0], values[:, 1:]
    if not len(times) or not raters or not ((np.diff(times) > 0).all() and 0 <= times[0] <= times[-1] <= _LONGEST_S):
        raise ReleaseError(
            f"{path}: expected rising times in seconds, from 0 to {_LONGEST_S:g}, and a column for each rater; restore "
            "the file"
        )
    trace = window_means(times, fuse_ratings(ratings, gold), count_steps(float(times[-1]), RATE_HZ))
    if not len(trace) or np.isnan(trace).any():
        raise ReleaseError(f"{path}: nobody rated anything; restore the file, or leave the person out")
    if np.nanmax(np.abs(ratings)) > _OTHER_SCALE:
        raise ReleaseError(f"{path}: expected ratings from -1 to 1, found {np.nanmax(np.abs(ratings)):g}; rescale them")
    return trace


def _read_groups(folder: Path) -> dict[str, str]:
    """The group of each person. Both partners of a call must be known, or one would be tested on the other's call."""
    for path in (folder / "RECOLA-Metadata.csv", *sorted((folder / "RECOLA-Metadata").glob("*.csv"))):
        table = read_table(path, ";") if path.is_file() else None
        if table is not None and table.has(*_USER_COLUMNS) and table.has(*_GROUP_COLUMNS):
            return _groups(table)
    raise ReleaseError(
        f"{folder}: expected RECOLA-Metadata.csv, or a table in RECOLA-Metadata/, with columns user and group_id "
        "separated by semicolons, so that both partners of a call stay together; save the corpus' table of users there"
    )


def _groups(table: Table) -> dict[str, str]:
    user, group = table.find(*_USER_COLUMNS), table.find(*_GROUP_COLUMNS)
    groups = {}
    for row in table.rows:
        person = _person(row.cells[user])
        # Tables end in rows that are about no person.
        if person is not None and row.cells[group]:
            groups[person] = row.cells[group].removesuffix(".0")
    return groups


def _person(text: str) -> str | None:
    """The name of a person's files.

    >>> _person("16.0"), _person("P16"), _person("mean age")
    ('P16', 'P16', None)
    """
    number = re.fullmatch(r"[Pp]?(\d+)(?:\.0+)?", text)
    return f"P{number[1]}" if number else None


def _read_parts(path: Path) -> Mapping[str, Part]:
    """The official parts that the user wrote down; none where there is no such file."""
    if not path.is_file():
        return {}
    table = read_table(path, ",")
    person, part = table.find("person"), table.find("part")
    parts: dict[str, Part] = {}
    for row in table.rows:
        name = _person(row.cells[person])
        if name is None:
            raise ReleaseError(f"{path}:{row.line}: expected a person such as P16, found {row.cells[person]!r}")
        parts[name] = parse_part(row.cells[part], f"{path}:{row.line}")
    return parts
