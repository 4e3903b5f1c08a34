"""RAVDESS (Livingstone & Russo 2018): 24 actors speak two sentences in eight emotions, and 23 sing them in six."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from avemo_harness.data.importers.acted_clips import ActedClip, dialogues_of_clips, recordings_of_clips
from avemo_harness.data.importers.base import (
    LABELS_HELP,
    SINGLE_TURN,
    TEST_SPEAKERS_HELP,
    CorpusInfo,
    FoundCorpus,
    Labels,
)
from avemo_harness.data.importers.source import LocalFiles, Source
from avemo_harness.errors import ReleaseError
from avemo_harness.options import option
from avemo_harness.recognizers.placement import Intensity
from avemo_harness.recognizers.recordings import Corpus, Dropped, left_out

ABOUT = CorpusInfo(
    name="RAVDESS",
    homepage="https://zenodo.org/records/1188976",
    citation="Livingstone & Russo (2018), PLoS ONE 13(5): e0196391, doi:10.1371/journal.pone.0196391",
    licence="CC-BY-NC-SA-4.0",
    redistributable=True,
    label_map={"neutral": "neutral", "happy": "happy", "angry": "angry", "sad": "sad"},
)
_NAME = re.compile(r"(0[123])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(\d\d)\.(wav|flac|mp4)", re.IGNORECASE)
_EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
_INTENSITIES: Mapping[str, Intensity] = {"01": "medium", "02": "high"}
"""Called normal and strong there."""
_STATEMENTS = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
Voice = Literal["speech", "song"]
_CHANNELS: Mapping[str, Voice] = {"01": "speech", "02": "song"}
_OTHERS: Mapping[Voice, str] = {"speech": "songs", "song": "spoken takes"}
"""Name of takes of the other kind, where they are left out."""

_EXAMPLES: Mapping[Voice, str] = {
    "speech": "03-01-05-01-01-01-07.wav (spoken, neutral, happy, sad or angry)",
    "song": "03-02-05-01-01-01-07.wav (sung, neutral, happy, sad or angry)",
}


def choose_clips(
    where: str, names: Iterable[str], label_map: Mapping[str, str] = ABOUT.label_map, voice: Voice = "speech"
) -> tuple[list[ActedClip], tuple[Dropped, ...]]:
    """The takes of a kind of voice whose label is mapped, in the order of actors and names, and what is left out.

    A take that several files have is given once, by the file that has most.

    Args:
        where: how messages call the folder of the files.
        names: paths of files; those that are not named as in RAVDESS are passed over.

    Raises:
        ReleaseError: there are no such takes.
    """
    named = sorted(path for path in map(PurePosixPath, names) if _NAME.fullmatch(path.name))
    takes: dict[str, ActedClip] = {}
    dropped: Counter[str] = Counter()
    # 01 has both streams, 02 the face alone, 03 the sound alone: worse ones come first and are replaced.
    for path in sorted(named, key=lambda path: ("02", "03", "01").index(path.name[:2])):
        _, channel, emotion, intensity, statement, _, actor = path.stem.split("-")
        if _CHANNELS[channel] != voice:
            dropped[_OTHERS[voice]] += 1
        elif (label := label_map.get(_EMOTIONS[emotion])) is None:
            dropped[f"label {_EMOTIONS[emotion]}"] += 1
        else:
            name = path.stem[3:]
            dropped["takes that another file has too"] += name in takes
            takes[name] = ActedClip(path, f"actor-{actor}", label, _STATEMENTS[statement], _INTENSITIES[intensity])
    if not takes:
        raise ReleaseError(
            f"{where}: expected files named like {_EXAMPLES[voice]}, "
            f"found {dropped.total()} others; give the folder that holds the actors' folders"
        )
    return sorted(takes.values(), key=lambda take: (take.speaker, take.path.stem)), left_out(dropped)


@dataclass(frozen=True, slots=True)
class RavdessOptions:
    test_speakers: str = field(default="", metadata=option(TEST_SPEAKERS_HELP))
    labels: Labels = field(default="four", metadata=option(LABELS_HELP))


def find_ravdess(source: Source, options: RavdessOptions) -> FoundCorpus:
    """Every spoken take in one of the labels that are wanted.

    Raises:
        ReleaseError: there are no files that are named so.
        UsageError: a test speaker is not in the corpus.
    """
    return _find_takes(source, options, ABOUT.with_labels(options.labels, _EMOTIONS.values()), "speech")


SONG_LABELS = tuple(_EMOTIONS.values())[:6]
"""Nobody sings disgust or surprise."""


def find_ravdess_song(source: Source, options: RavdessOptions) -> FoundCorpus:
    """Every sung take in one of the labels that are wanted; there are none by actor 18.

    Raises:
        ReleaseError: there are no files that are named so.
        UsageError: a test speaker does not sing.
    """
    about = replace(ABOUT, name="RAVDESS, song").with_labels(options.labels, SONG_LABELS)
    return _find_takes(source, options, about, "song")


def _find_takes(source: Source, options: RavdessOptions, about: CorpusInfo, voice: Voice) -> FoundCorpus:
    names = source.names()
    takes, dropped = choose_clips(str(source), names, about.label_map, voice)
    dialogues = dialogues_of_clips(source, takes, "ravdess", options.test_speakers)
    return FoundCorpus(about, SINGLE_TURN, dialogues, names, dropped)


@dataclass(frozen=True, slots=True)
class RavdessArguments:
    """
    Args:
        path: a folder with RAVDESS files in it or below it.
    """

    path: Path


def read_ravdess(arguments: RavdessArguments) -> Corpus:
    """Every spoken take in one of the benchmark's emotions, in the order of actors and names; it has no parts.

    A take that is there with sound and face, with sound alone and with the face alone is read once, from the file that
    has most.

    Raises:
        ReleaseError: there are no such files.
        MediaError: a file cannot be read.
    """
    folder = arguments.path.expanduser()
    takes, dropped = choose_clips(str(folder), LocalFiles(folder).names())
    return Corpus("RAVDESS", (), recordings_of_clips(folder, takes), dropped)
