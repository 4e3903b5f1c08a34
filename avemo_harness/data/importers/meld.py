"""MELD (Poria et al. 2019): conversations of a television series, an emotion for each utterance."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import PurePosixPath
from typing import Literal

from avemo_harness import media
from avemo_harness.benchmark.archives import is_archive
from avemo_harness.benchmark.text_tables import Table, whole_number
from avemo_harness.data.importers.base import (
    CONVERSATIONS,
    LABELS_HELP,
    MAX_SEGMENT_TURNS,
    MIN_SEGMENT_TURNS,
    MULTI_TURN,
    CorpusInfo,
    FoundCorpus,
    FoundDialogue,
    FoundTurn,
    Labels,
    ReadFile,
    alternating_turns,
    segment_utterances,
)
from avemo_harness.data.importers.recordings import clip_source
from avemo_harness.data.importers.source import Source, read_source_table
from avemo_harness.errors import MediaError, ReleaseError
from avemo_harness.options import option
from avemo_harness.recognizers.recordings import Part, left_out

ABOUT = CorpusInfo(
    name="MELD",
    homepage="https://github.com/declare-lab/MELD",
    citation="Poria et al. (2019), ACL, doi:10.18653/v1/P19-1050",
    licence="GPL-3.0 for the annotations; clips are of a television series",
    redistributable=False,
    label_map={"neutral": "neutral", "joy": "happy", "anger": "angry", "sadness": "sad"},
)
_PARTS: Mapping[str, tuple[Part, str]] = {
    "train": ("train", "train_splits"),
    "dev": ("validation", "dev_splits_complete"),
    "test": ("test", "output_repeated_splits_test"),
}
"""By the beginning of a table's name: the part, and the folder of its clips."""
_CLIP = re.compile(r"dia(\d+)_utt(\d+)\.mp4")
_COPY = re.compile(r"final_videos_testdia\d+_utt\d+\.mp4")
_CROWDS = re.compile(r"all|both|everyone|everybody|.*(?:\band\b|[&/,+]).*", re.IGNORECASE)
"""Speakers that are no one person."""
_LONGER, _LONGER_S = 2.0, 5.0
"""A clip is much longer than its utterance from so many times its length on, if those are so many seconds more."""
_UNNAMED = "clips that no table names"
_ANY_LENGTH = media.MediaLimits(max_bytes=2**30, max_seconds=86_400.0)


@dataclass(frozen=True, slots=True)
class MeldOptions:
    labels: Labels = field(default="four", metadata=option(LABELS_HELP))
    dialogues: Literal["segments", "whole"] = field(
        default="segments",
        metadata=option(
            "segments: stretches of two people who take turns, one of them the user; whole: conversations as they are, "
            "in which each utterance of anybody is asked about"
        ),
    )


@dataclass(frozen=True, slots=True)
class _Line:
    """An utterance of the tables.

    Args:
        name: of the speaker, as it is shown.
        speaker: the same under one spelling.
        number: in its dialogue.
        serial: number in the whole table; None where that tells none.
        stated_s: seconds that the table says it lasts; NaN where that tells none.
        clip: name of its file; None where there is none.
    """

    part: Part
    dialogue: int
    number: int
    serial: int | None
    stated_s: float
    name: str
    speaker: str
    text: str
    label: str
    clip: str | None


def find_meld(source: Source, options: MeldOptions) -> FoundCorpus:
    """Every segment of two people who take turns, each of whose user turns has one of the labels that are wanted; or
    every conversation.

    Raises:
        ReleaseError: tables or clips are missing, a table is malformed, or no segment is left.
    """
    names = source.names()
    clips = _clips(names)
    lines: list[_Line] = []
    read: list[ReadFile] = []
    for table, said in _tables(source, names):
        lines += _lines(table, clips)
        read.append(said)
    about = ABOUT.with_labels(options.labels, (line.label for line in lines))
    if not any(line.clip for line in lines):
        raise ReleaseError(f"{source}: none of {len(lines)} utterances has its clip; {_where_clips_are(names)}")
    overlong = _overlong(source, lines, names)
    dropped: Counter[str] = Counter({"copies of clips named final_videos_test…": _copies(names)})
    if options.dialogues == "whole":
        dropped[_UNNAMED] = len(set(clips.values()) - {line.clip for line in lines})
        config, dialogues = CONVERSATIONS, list(_conversations(source, lines, about.label_map, overlong, dropped))
    else:
        config, dialogues = MULTI_TURN, list(_segments(source, lines, about.label_map, overlong, dropped))
    if not dialogues:
        reasons = ", ".join(f"{one.count}: {one.reason}" for one in left_out(dropped))
        wanted = (
            "conversation with a clip"
            if options.dialogues == "whole"
            else f"segment of {MIN_SEGMENT_TURNS} to {MAX_SEGMENT_TURNS} turns"
        )
        raise ReleaseError(
            f"{source}: no {wanted} among {len(lines)} utterances ({reasons}); restore the clips and tables"
        )
    return FoundCorpus(about, config, tuple(dialogues), names, left_out(dropped), tuple(read))


def _clips(names: Iterable[str]) -> dict[tuple[str, int, int], str]:
    """Clips by the folder of their part, dialogue and utterance; the first of several."""
    found: dict[tuple[str, int, int], str] = {}
    folders = {folder for _, folder in _PARTS.values()}
    for name in names:
        path = PurePosixPath(name)
        match = _CLIP.fullmatch(path.name)
        if match is not None and path.parent.name in folders:
            found.setdefault((path.parent.name, int(match[1]), int(match[2])), name)
    return found


def _copies(names: Iterable[str]) -> int:
    return sum(_COPY.fullmatch(PurePosixPath(name).name) is not None for name in names)


def _where_clips_are(names: Sequence[str]) -> str:
    nested = [name for name in names if is_archive(name)]
    if nested:
        return f"unpack {nested[0]} and the other archives inside the archive, and give their folder"
    return "expected train_splits/dia0_utt0.mp4 and its like"


def _tables(source: Source, names: Sequence[str]) -> Iterator[tuple[tuple[str, Table], ReadFile]]:
    """The tables that are there, each with the beginning of its name, and what was read of them."""
    by_name = {PurePosixPath(name).name: name for name in reversed(names)}
    present = [part for part in _PARTS if f"{part}_sent_emo.csv" in by_name]
    if not present:
        raise ReleaseError(f"{source}: expected train_sent_emo.csv and its like; put the tables beside the clips")
    for part in present:
        table, read = read_source_table(source, by_name[f"{part}_sent_emo.csv"])
        yield (part, table), read


def _lines(named: tuple[str, Table], clips: Mapping[tuple[str, int, int], str]) -> list[_Line]:
    """The utterances of a table, by dialogue and number."""
    part, folder = _PARTS[named[0]]
    table = named[1]
    columns = [table.find(name) for name in ("dialogue_id", "utterance_id", "speaker", "utterance", "emotion")]
    lines = []
    for row in table.rows:
        dialogue, number, speaker, text, label = (row.cells[column] for column in columns)
        ids = whole_number(dialogue), whole_number(number)
        if ids[0] is None or ids[1] is None:
            raise ReleaseError(f"{table.path}:{row.line}: expected numbers of a dialogue and an utterance; correct it")
        serial = whole_number(table.text(row, "sr no."))
        stated_s = _seconds(table.text(row, "endtime")) - _seconds(table.text(row, "starttime"))
        clip = clips.get((folder, ids[0], ids[1]))
        name = " ".join(unicodedata.normalize("NFC", speaker).split())
        lines.append(_Line(part, ids[0], ids[1], serial, stated_s, name, _person(speaker), text, label.lower(), clip))
    return sorted(lines, key=lambda line: (line.dialogue, line.number))


def _person(speaker: str) -> str:
    """A speaker under one spelling.

    >>> _person("Person  One ") == _person("person one")
    True
    """
    return " ".join(unicodedata.normalize("NFC", speaker).lower().split())


def _seconds(time: str) -> float:
    """A time of subtitles in seconds; NaN where it is none.

    >>> _seconds("00:16:16,059"), _seconds("0:00:01.5"), _seconds("")
    (976.059, 1.5, nan)
    """
    match = re.fullmatch(r"(\d{1,2}):(\d{1,2}):(\d{1,2}(?:[.,]\d{1,6})?)", time)
    return 3600 * int(match[1]) + 60 * int(match[2]) + float(match[3].replace(",", ".")) if match else math.nan


def _overlong(source: Source, lines: Iterable[_Line], names: Iterable[str]) -> frozenset[str]:
    """Names of the clips that last much longer than the table says: others are heard in them, or all of an episode.

    Headers are read in the order of the source, as its archives can be read.
    """
    stated = {line.clip: line.stated_s for line in lines if line.clip is not None and line.stated_s > 0}
    return frozenset(
        name
        for name in names
        if name in stated and _length_s(source, name) > max(_LONGER * stated[name], stated[name] + _LONGER_S)
    )


def _length_s(source: Source, name: str) -> float:
    """Length of a clip by its header, in seconds; NaN where it is damaged, which is told later."""
    try:
        clip = source.files.local(name) if source.is_local(name) else source.read(name)
        return media.probe(clip, _ANY_LENGTH).duration_s
    except MediaError:
        return math.nan


def _follows(line: _Line, before: _Line) -> bool:
    if line.serial is not None and before.serial is not None and line.serial != before.serial + 1:
        return False
    return line.number == before.number + 1


def _segments(
    source: Source,
    lines: Iterable[_Line],
    label_map: Mapping[str, str],
    overlong: Set[str],
    dropped: Counter[str],
) -> Iterator[FoundDialogue]:
    """Every stretch of two people who take turns."""
    why_unusable = partial(_why_unusable, overlong=overlong)
    for _, talk in groupby(lines, key=lambda line: (line.part, line.dialogue)):
        for segment in segment_utterances(list(talk), label_map, _follows, why_unusable, dropped):
            yield _dialogue(source, segment, label_map)


def _conversations(
    source: Source,
    lines: Iterable[_Line],
    label_map: Mapping[str, str],
    overlong: Set[str],
    dropped: Counter[str],
) -> Iterator[FoundDialogue]:
    """Every conversation with all of its utterances; those without a clip of their own have their words alone."""
    spelling: dict[str, str] = {}
    for (part, number), talk in groupby(lines, key=lambda line: (line.part, line.dialogue)):
        turns, numbers = [], set()
        for line in talk:
            if line.number in numbers:
                dropped["utterances that a table has twice"] += 1
                continue
            numbers.add(line.number)
            reason = _why_silent(line, overlong)
            if reason is not None:
                dropped[f"{reason}, whose words stand in their conversation"] += 1
            clip = None if reason is not None or line.clip is None else clip_source(source, line.clip)
            name = spelling.setdefault(line.speaker, line.name)
            turns.append(FoundTurn("user", name, line.text, label_map.get(line.label), clip))
        if any(turn.recording is not None for turn in turns):
            yield FoundDialogue(f"meld-{part}-{number:04}", part, tuple(turns), "keep words")


def _why_silent(line: _Line, overlong: Set[str]) -> str | None:
    """Reason why an utterance has no clip that could be shown; None where it has one."""
    if line.clip is None:
        return "utterances without a clip"
    return "clips much longer than their utterance" if line.clip in overlong else None


def _why_unusable(line: _Line, overlong: Set[str]) -> str | None:
    crowd = "utterances of several people at once" if _CROWDS.fullmatch(line.speaker) else None
    return _why_silent(line, overlong) or crowd


def _dialogue(source: Source, lines: Sequence[_Line], label_map: Mapping[str, str]) -> FoundDialogue:
    first = lines[0]
    turns = alternating_turns(
        (line.speaker, line.text, label_map.get(line.label), clip_source(source, line.clip or "")) for line in lines
    )
    return FoundDialogue(f"meld-{first.part}-{first.dialogue:04}-{first.number:02}", first.part, turns)
