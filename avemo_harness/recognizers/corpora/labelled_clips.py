"""Clips that a user has labelled: a table with a row for each.

Columns are found by name, separated by commas, semicolons or tabs: ``path`` (from the table's folder), ``label``
(neutral, happy, angry, sad) and ``speaker``; if there, ``face`` (whose face is seen, where that is another), ``part``
(train, validation, test) and ``dialogue``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.errors import ReleaseError
from avemo_harness.recognizers.corpora.base import Corpus, LabelledRecording
from avemo_harness.recognizers.corpora.encodings import path_spellings
from avemo_harness.recognizers.corpora.local_clips import LocalClips
from avemo_harness.recognizers.corpora.parts import parse_part
from avemo_harness.recognizers.corpora.tables import Row, Table, read_table
from avemo_harness.recognizers.corpora.tally import left_out


@dataclass(frozen=True, slots=True)
class LabelledClipsArguments:
    """
    Args:
        path: of the table.
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
    seen: set[Path] = set()
    recordings = []
    with LocalClips(path.parent) as clips:
        for row in rows:
            meant = [path.parent / one for one in path_spellings(table.text(row, "path"))]
            clip = next((one for one in meant if one.is_file()), meant[0])
            if not clip.is_file() or clip in seen:
                problem = "is there twice" if clip in seen else "is no file"
                raise ReleaseError(f"{path}:{row.line}: {str(clip)!r} {problem}; correct the path")
            seen.add(clip)
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
    )
