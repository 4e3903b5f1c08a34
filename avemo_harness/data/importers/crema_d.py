"""CREMA-D (Cao et al. 2014): 91 actors speak 12 sentences in six emotions."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from avemo_harness.benchmark.release import Shown, Vote
from avemo_harness.benchmark.text_tables import Table
from avemo_harness.data.importers.base import (
    SINGLE_TURN,
    TEST_SPEAKERS_HELP,
    ClipSource,
    CorpusInfo,
    FoundCorpus,
    ReadFile,
    parts_of_speakers,
    single_turn,
)
from avemo_harness.data.importers.recordings import clip_source, voiced_video
from avemo_harness.data.importers.source import LocalFiles, Source, by_stem, read_source_table
from avemo_harness.errors import ReleaseError
from avemo_harness.options import option
from avemo_harness.recognizers.corpora.local_clips import LocalClips
from avemo_harness.recognizers.placement import Intensity
from avemo_harness.recognizers.recordings import Corpus, Dropped, LabelledRecording, left_out

ABOUT = CorpusInfo(
    name="CREMA-D",
    homepage="https://github.com/CheyneyComputerScience/CREMA-D",
    citation="Cao et al. (2014), IEEE Transactions on Affective Computing 5(4), doi:10.1109/TAFFC.2014.2336244",
    licence="ODbL-1.0",
    redistributable=True,
    label_map={"NEU": "neutral", "HAP": "happy", "ANG": "angry", "SAD": "sad"},
)
_OTHERS = {"DIS": "disgust", "FEA": "fear"}
_ALL = {"NEU": "neutral", "HAP": "happy", "ANG": "anger", "SAD": "sad", **_OTHERS}
"""Labels in the words of the corpus' own description."""
_VOTES = {"N": "NEU", "H": "HAP", "A": "ANG", "S": "SAD", "D": "DIS", "F": "FEA"}
_BOTH = "3"
_SHOWN: Mapping[str, Shown] = {"1": "sound", "2": "picture", _BOTH: "both"}
"""By kind of question: the voice alone, the face alone, both."""
_TIE = "a tie of votes"
_NAME = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_(LO|MD|HI|XX|X)")
_INTENSITIES: Mapping[str, Intensity] = {"LO": "low", "MD": "medium", "HI": "high"}
"""Of one of the sentences; the others have no level."""
_SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
_WRONG_VIDEOS = ("1064_IEO_DIS_MD", "1064_TIE_SAD_XX", "1076_MTI_NEU_XX", "1076_MTI_SAD_XX")
"""A minute of all displays, no duration, very short, and the picture of an error: so the authors' README lists them."""
_WRONG_SOUND = "1076_MTI_SAD_XX"
"""Silence, by the same list; the WAV files of the other three are right."""


Labels = Literal["intended", "votes"]
ImportedLabels = Literal["intended", "votes", "all", "all-votes"]


@dataclass(frozen=True, slots=True)
class CremaDOptions:
    labels: ImportedLabels = field(
        default="intended",
        metadata=option(
            "the emotion that the actor was asked for, or the one most raters of voice and face chose; of the "
            "benchmark's four, or with all and all-votes of the corpus' six in its own words"
        ),
    )
    test_speakers: str = field(default="", metadata=option(TEST_SPEAKERS_HELP))
    votes: bool = field(
        default=False,
        metadata=option("also write how many raters of voice, face and both gave each label, for the scorer raters"),
    )


def find_crema_d(source: Source, options: CremaDOptions) -> FoundCorpus:
    """Every clip in one of the labels that are wanted.

    Raises:
        ReleaseError: there are no clips that are named so, or no votes where they are asked for.
        UsageError: a test speaker is not in the corpus.
    """
    names = source.names()
    label_map = _ALL if options.labels.startswith("all") else ABOUT.label_map
    found = _find_clips(source, names, "votes" if options.labels.endswith("votes") else "intended", label_map)
    counts, counted = _count_votes(source, names) if options.votes else ({}, ())
    words = {**_OTHERS, **label_map}
    votes = {
        stem: tuple(Vote(shown, words[label], raters) for (shown, label), raters in sorted(of_clip.items()))
        for stem, of_clip in counts.items()
    }
    parts = parts_of_speakers((stem[:4] for stem in found.emotions), options.test_speakers)
    dialogues = tuple(
        single_turn(
            f"cremad-{stem}",
            parts[stem[:4]],
            stem[:4],
            _SENTENCES.get(stem.split("_")[1], ""),
            emotion,
            _recording(source, found.videos.get(stem), found.sounds.get(stem)),
            votes.get(stem, ()),
        )
        for stem, emotion in found.emotions.items()
    )
    about = replace(ABOUT, label_map=label_map)
    read = tuple(dict.fromkeys((*found.read, *counted)))
    unvoted = sum(stem not in votes for stem in found.emotions) if options.votes else 0
    notes = (*found.notes, *([f"{unvoted:,} clips have no votes"] if unvoted else []))
    return FoundCorpus(about, SINGLE_TURN, dialogues, names, found.dropped, read, notes)


@dataclass(frozen=True, slots=True)
class FoundClips:
    """The clips of a corpus.

    Args:
        emotions: of each clip that is kept, in the order of names.
        sounds, videos: the files of a clip, where it has them.
        dropped: what was left out.
        read: tables of votes that were read.
        notes: sentences for the user.
    """

    emotions: Mapping[str, str]
    sounds: Mapping[str, str]
    videos: Mapping[str, str]
    dropped: tuple[Dropped, ...]
    read: tuple[ReadFile, ...]
    notes: tuple[str, ...]


def _find_clips(
    source: Source, names: Sequence[str], labels: Labels, label_map: Mapping[str, str] = ABOUT.label_map
) -> FoundClips:
    sounds, videos = _by_clip(by_stem(names, ".wav")), _by_clip(by_stem(names, ".flv", ".mp4"))
    listed = {stem for stem in _WRONG_VIDEOS if videos.pop(stem, None) or (stem == _WRONG_SOUND and stem in sounds)}
    sounds.pop(_WRONG_SOUND, None)
    clips = sorted(sounds | videos)
    if not clips:
        raise ReleaseError(
            f"{source}: expected clips named like 1001_DFA_ANG_XX.flv, .mp4 or .wav; give the folder that holds "
            "VideoFlash/ and AudioWAV/ (their files come with git-lfs)"
        )
    voted, read = _read_votes(source, names) if labels == "votes" else ({}, ())
    heard = len(listed & sounds.keys())
    notes = (f"{heard} videos that the authors list as wrong are left out; their sound stands alone",) if heard else ()
    dropped = Counter({"clips that the authors list as wrong": len(listed) - heard})
    kept: dict[str, str] = {}
    for stem in clips:
        own = voted.get(stem, "no votes") if labels == "votes" else stem.split("_")[2]
        if own in label_map:
            kept[stem] = label_map[own]
        else:
            dropped[f"label {_OTHERS[own]}" if own in _OTHERS else own] += 1
    return FoundClips(kept, sounds, videos, left_out(dropped), read, notes)


@dataclass(frozen=True, slots=True)
class CremaDArguments:
    """
    Args:
        path: the corpus' folder, with AudioWAV/, VideoFlash/ or both in it or below it.
        labels: the emotion that the actor was asked for, or the one most raters of voice and face chose.
    """

    path: Path
    labels: Labels = "intended"


def read_crema_d(arguments: CremaDArguments) -> Corpus:
    """Every clip in one of the benchmark's emotions, in the order of names; it has no parts.

    The sound is that of the sound file where there is one, the face that of the video. The level that the actor was
    asked for is the intensity of the emotion that the actor was asked for, and of no other that raters chose.

    Raises:
        ReleaseError: there are no clips that are named so, or no votes where they are asked for.
        MediaError: a file cannot be read.
    """
    folder = arguments.path.expanduser()
    with Source(LocalFiles(folder)) as source:
        found = _find_clips(source, LocalFiles(folder).names(), arguments.labels)
    with LocalClips(folder) as clips:
        recordings = []
        for stem, emotion in found.emotions.items():
            sound, video = found.sounds.get(stem), found.videos.get(stem)
            face = folder / video if video else None
            recordings.append(
                LabelledRecording(
                    recording_id=stem,
                    speaker=stem[:4],
                    face=stem[:4],
                    label=emotion,
                    part=None,
                    dialogue=stem,
                    streams=clips.joined(folder / sound, face) if sound else clips.streams(folder / (video or "")),
                    intensity=_intensity(stem, emotion),
                )
            )
    return Corpus("CREMA-D", (), tuple(recordings), found.dropped)


def _intensity(stem: str, emotion: str) -> Intensity | None:
    """The level of a clip whose emotion is the intended one.

    >>> _intensity("1001_IEO_SAD_HI", "sad"), _intensity("1001_IEO_SAD_HI", "angry")
    ('high', None)
    """
    _, _, intended, level = stem.split("_")
    return _INTENSITIES.get(level) if ABOUT.label_map.get(intended) == emotion else None


def _by_clip(names: Mapping[str, str]) -> dict[str, str]:
    """Files by the names of their clips; those that are not named like clips are passed over."""
    return {_clip_name(stem): names[stem] for stem in sorted(names) if _NAME.fullmatch(stem)}


def _clip_name(stem: str) -> str:
    """One name for a clip whose level is written as X in some files and as XX in others.

    >>> _clip_name("1040_ITH_SAD_X")
    '1040_ITH_SAD_XX'
    """
    return f"{stem}X" if stem.endswith("_X") else stem


def _recording(source: Source, video: str | None, sound: str | None) -> ClipSource:
    if video is not None and sound is not None:
        return voiced_video(source, video, sound)
    return clip_source(source, video or sound or "")


def _read_votes(source: Source, names: Sequence[str]) -> tuple[Mapping[str, str], tuple[ReadFile, ...]]:
    """The choice of raters of voice and face together for each clip: a label of the corpus, or that there is a tie."""
    by_name = {PurePosixPath(name).name.lower(): name for name in reversed(names)}
    if (summary := by_name.get("summarytable.csv")) is not None:
        table, read = read_source_table(source, summary)
        return _summarised(table), (read,)
    if (responses := by_name.get("finishedresponses.csv")) is not None:
        table, read = read_source_table(source, responses)
        return _counted(table), (read,)
    raise ReleaseError(
        f"{source}: expected processedResults/summaryTable.csv or finishedResponses.csv for labels by votes; put one "
        "there, or take the intended labels"
    )


def _summarised(table: Table) -> dict[str, str]:
    clip, vote = table.find("filename"), table.find("multimodalvote")
    return {_clip_name(row.cells[clip]): _label(row.cells[vote].split(":")) for row in table.rows}


def _counted(table: Table) -> dict[str, str]:
    clip, kind, answer = table.find("clipname"), table.find("querytype"), table.find("respemo")
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for row in table.rows:
        if row.cells[kind] == _BOTH:
            votes[_clip_name(row.cells[clip])][row.cells[answer]] += 1
    return {
        name: _label([vote for vote, count in counts.items() if count == max(counts.values())])
        for name, counts in votes.items()
    }


_Counts = Mapping[str, Mapping[tuple[Shown, str], int]]
"""By clip, how many raters who were shown a stream, or both, gave each of the corpus' labels."""


def _count_votes(source: Source, names: Sequence[str]) -> tuple[_Counts, tuple[ReadFile, ...]]:
    """The votes on each clip: as the authors count them, without answers after more than ten seconds, or else all."""
    by_name = {PurePosixPath(name).name.lower(): name for name in reversed(names)}
    if (tabulated := by_name.get("tabulatedvotes.csv")) is not None:
        table, read = read_source_table(source, tabulated)
        return _tabulated(table), (read,)
    if (responses := by_name.get("finishedresponses.csv")) is not None:
        table, read = read_source_table(source, responses)
        clip, kind, answer = table.find("clipname"), table.find("querytype"), table.find("respemo")
        found: dict[str, Counter[tuple[Shown, str]]] = defaultdict(Counter)
        for row in table.rows:
            if row.cells[kind] in _SHOWN and row.cells[answer] in _VOTES:
                found[_clip_name(row.cells[clip])][_SHOWN[row.cells[kind]], _VOTES[row.cells[answer]]] += 1
        return found, (read,)
    raise ReleaseError(
        f"{source}: expected processedResults/tabulatedVotes.csv or finishedResponses.csv for the votes of raters; put "
        "one there, or leave out --votes"
    )


def _tabulated(table: Table) -> _Counts:
    """The authors' counts: the number of a row is 100,000 times the kind of question, and the clip's number."""
    clip, number = table.find("filename"), table.find("")
    columns = {letter: table.find(letter.lower()) for letter in _VOTES}
    found: dict[str, Counter[tuple[Shown, str]]] = defaultdict(Counter)
    for row in table.rows:
        kind = row.cells[number][:1]
        cells = {letter: row.cells[column] for letter, column in columns.items()}
        if kind not in _SHOWN or len(row.cells[number]) != 6 or not all(cell.isdecimal() for cell in cells.values()):
            raise ReleaseError(
                f"{table.path}, line {row.line}: expected a row number such as 100001 (1 voice, 2 face, 3 both), and a "
                f"count for each of {', '.join(_VOTES)}, found {row.cells[number]!r} and {', '.join(cells.values())}; "
                "take the authors' file"
            )
        counts = {(_SHOWN[kind], _VOTES[letter]): int(cell) for letter, cell in cells.items() if int(cell)}
        found[_clip_name(row.cells[clip])].update(counts)
    return found


def _label(most: Sequence[str]) -> str:
    """The corpus' label for the answers that got most votes.

    >>> _label(["H"]), _label(["A", "D"])
    ('HAP', 'a tie of votes')
    """
    return _VOTES.get(most[0].strip(), f"vote {most[0]!r}") if len(most) == 1 else _TIE
