"""MSP-Conversation (Martinez-Lucas et al. 2020): podcasts rated live for valence, arousal, dominance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avemo_harness.benchmark.text_tables import decode_text
from avemo_harness.errors import ReleaseError
from avemo_harness.files import read_file
from avemo_harness.metrics.classification import Floats
from avemo_harness.metrics.trajectory import Dimension, Trajectory, count_steps
from avemo_harness.recognizers.corpora.local_clips import LocalClips
from avemo_harness.recognizers.corpora.ratings import fuse_ratings, window_means
from avemo_harness.recognizers.features.base import RATE_HZ
from avemo_harness.recognizers.recordings import Corpus, Part, RatedRecording, Recording, left_out, parse_part

_DIMENSIONS: tuple[Dimension, ...] = ("valence", "arousal", "dominance")
_HEADER_END = "%%%%%%,%%%%%%"
_LARGEST = 100.0
_ROUNDING = 1e-3
_LONGEST_S = 86_400.0


@dataclass(frozen=True, slots=True)
class MspConversationArguments:
    """
    Args:
        path: the corpus' folder.
    """

    path: Path


def read_msp_conversation(arguments: MspConversationArguments) -> Corpus:
    """Every part of a conversation that has sound and ratings of valence and arousal, in the order of their list.

    A rater's values are averaged over each half second, and the raters over each other. Who speaks is not read: a
    conversation counts as one speaker, and stays in one fold. Dominance is there where it is for every part.

    Raises:
        ReleaseError: files are missing or malformed, or values are beyond [-100, 100].
        MediaError: a sound file cannot be read, or a part is not in it.
    """
    folder = arguments.path.expanduser()
    sound = _inner(folder, "Audio")
    ratings = {name: _rating_files(_inner(folder, "Annotations") / name.capitalize()) for name in _DIMENSIONS}
    parts = _read_parts(folder / "partitions.txt")
    dropped: Counter[str] = Counter()
    stretches = []
    for stretch in _stretches(_inner(folder, "Time_Labels")):
        part, conversation, _, _ = stretch
        if not all(ratings[name].get(part) for name in ("valence", "arousal")):
            dropped["parts without ratings of valence and arousal"] += 1
        elif not (sound / f"{conversation}.wav").is_file():
            dropped["rated parts without a sound file"] += 1
        else:
            stretches.append(stretch)
    if not stretches:
        raise ReleaseError(
            f"{folder}: none of {dropped.total()} parts has {sound}/<conversation>.wav and ratings in "
            "Annotations/{Valence,Arousal}/<conversation>_<part>_<rater>.csv; give the folder that holds these"
        )
    rated = tuple(name for name in _DIMENSIONS if all(ratings[name].get(part) for part, *_ in stretches))
    recordings = []
    with LocalClips(folder) as clips:
        for part, conversation, start_s, end_s in stretches:
            streams = clips.stretch(sound / f"{conversation}.wav", start_s, end_s)
            trajectory = _trajectory({name: ratings[name][part] for name in rated}, streams)
            recordings.append(
                RatedRecording(part, conversation, conversation, parts.get(conversation), streams, trajectory)
            )
    return Corpus("MSP-Conversation", tuple(recordings), (), left_out(dropped), rated_live=True)


def _inner(folder: Path, name: str) -> Path:
    """The folder of that name, or the one of the same name in it."""
    found = next((path for path in (folder / name, folder / name.replace("_", " ")) if path.is_dir()), None)
    if found is None:
        raise ReleaseError(f"{folder}: expected a folder {name}/; give the folder that holds Audio/ and Annotations/")
    return found / found.name if (found / found.name).is_dir() else found


def _rating_files(folder: Path) -> dict[str, list[Path]]:
    """The raters' files of each part; none where there is no such folder."""
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*")):
        part, underscore, _ = path.stem.rpartition("_")
        if underscore and path.suffix.lower() in (".csv", ".txt"):
            files.setdefault(part, []).append(path)
    return files


def _stretches(folder: Path) -> Iterator[tuple[str, str, float, float]]:
    """Part, conversation, and start and end of the part in seconds since the beginning of the sound file."""
    beginnings = {name: float(start) for name, start, _ in _times(folder / "conversations.txt")}
    path = folder / "conversation_parts.txt"
    for name, start, end in _times(path):
        conversation = name.rpartition("_")[0]
        if conversation not in beginnings:
            raise ReleaseError(
                f"{path}: {name} is of a conversation that conversations.txt does not have; add its line"
            )
        yield (name, conversation, start - beginnings[conversation], end - beginnings[conversation])


def _times(path: Path) -> Iterator[tuple[str, float, float]]:
    for where, cells in _lines(path, 3):
        try:
            start, end = float(cells[1]), float(cells[2])
        except ValueError as error:
            raise ReleaseError(f"{where}: expected name;start;end in seconds ({error}); correct the line") from error
        if not 0 <= start < end <= _LONGEST_S:
            raise ReleaseError(
                f"{where}: expected a start and a later end from 0 to {_LONGEST_S:g} s, found {start:g} and {end:g}; "
                "correct the line"
            )
        yield cells[0], start, end


def _read_parts(path: Path) -> Mapping[str, Part]:
    if not path.is_file():
        return {}
    return {name: parse_part(part, where) for where, (name, part) in _lines(path, 2)}


def _lines(path: Path, count: int) -> Iterator[tuple[str, list[str]]]:
    """The line and the cells of every line that is not empty."""
    for number, line in enumerate(_read(path).splitlines(), 1):
        cells = [cell.strip() for cell in line.split(";")]
        if line.strip() and len(cells) != count:
            raise ReleaseError(
                f"{path}:{number}: expected {count} cells separated by ';', found {len(cells)}; correct it"
            )
        if line.strip():
            yield f"{path}:{number}", cells


def _read(path: Path) -> str:
    try:
        return decode_text(read_file(path), str(path))
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read ({error.strerror}); put the file there") from error


def _trajectory(files: Mapping[Dimension, list[Path]], streams: Recording) -> Trajectory:
    count = count_steps(streams.duration_s, RATE_HZ)
    columns = []
    for paths in files.values():
        raters = np.column_stack([_trace(path, count) for path in paths])
        columns.append(fuse_ratings(raters, "mean"))
    values = np.clip(np.column_stack(columns) / _LARGEST, -1, 1)
    return Trajectory(values, tuple(files), "signed", RATE_HZ).on("unit")


def _trace(path: Path, count: int) -> Floats:
    """One rater's values, two a second, from -100 to 100."""
    lines = _read(path).splitlines()
    if _HEADER_END not in lines:
        raise ReleaseError(f"{path}: expected a line {_HEADER_END} before the ratings; restore the file")
    first = lines.index(_HEADER_END) + 1
    rows = []
    for number, line in enumerate(lines[first:], first + 1):
        try:
            # Some files have a third cell.
            time, value = map(float, line.split(",")[:2]) if line.strip() else (np.nan, np.nan)
        except ValueError as error:
            raise ReleaseError(f"{path}:{number}: expected seconds,value ({error}); correct the line") from error
        rows.append((time, value))
    values = np.array(rows).reshape(-1, 2)
    values = values[np.isfinite(values).all(axis=1) & (values[:, 0] >= 0)]
    if not len(values) or values[:, 0].min() >= count / RATE_HZ:
        raise ReleaseError(
            f"{path}: expected ratings within the {count / RATE_HZ:g} s of the part, at seconds since its beginning, "
            f"found {f'the first at {values[:, 0].min():g} s' if len(values) else 'none'}; restore or remove it"
        )
    if np.abs(values[:, 1]).max() > _LARGEST + _ROUNDING:
        raise ReleaseError(
            f"{path}: expected values from -100 to 100, found {np.abs(values[:, 1]).max():g}; rescale them"
        )
    return window_means(values[:, 0], values[:, 1], count)
