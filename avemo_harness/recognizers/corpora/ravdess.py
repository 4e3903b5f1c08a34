"""RAVDESS (Livingstone & Russo 2018): 24 actors speak two sentences in eight emotions."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Generic, TypeVar

from avemo_harness.errors import ReleaseError
from avemo_harness.recognizers.corpora.local_clips import LocalClips
from avemo_harness.recognizers.recordings import Corpus, Dropped, LabelledRecording, left_out

_NAME = re.compile(r"(0[123])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(\d\d)\.(wav|flac|mp4)", re.IGNORECASE)
_EMOTIONS = {"01": "neutral", "03": "happy", "04": "sad", "05": "angry"}
_OTHER_EMOTIONS = {"02": "calm", "06": "fearful", "07": "disgust", "08": "surprised"}
_STATEMENTS = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
_SONG = "02"

PathKind = TypeVar("PathKind", bound=PurePath)


@dataclass(frozen=True)
class RavdessClip(Generic[PathKind]):
    """A spoken sentence: the file that holds it, who says it, the emotion among the benchmark's, and the words."""

    path: PathKind
    actor: str
    emotion: str
    text: str


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
    takes, dropped = choose_clips(str(folder), _find(folder))
    with LocalClips(folder) as clips:
        recordings = [
            LabelledRecording(
                take.path.stem, take.actor, take.actor, take.emotion, None, take.path.stem, clips.streams(take.path)
            )
            for take in takes
        ]
    return Corpus("RAVDESS", (), tuple(recordings), dropped)


def choose_clips(place: str, paths: Iterable[PathKind]) -> tuple[list[RavdessClip[PathKind]], tuple[Dropped, ...]]:
    """The spoken takes in one of the benchmark's emotions, in the order of actors and names, and what is left out.

    A take that several files have is given once, by the file that has most.

    Args:
        place: how messages call where the files are.
        paths: of files; those that are not named as above are passed over.

    Raises:
        ReleaseError: there are no such takes.
    """
    named = sorted(path for path in paths if _NAME.fullmatch(path.name))
    takes: dict[str, RavdessClip[PathKind]] = {}
    dropped: Counter[str] = Counter()
    # 01 has both streams, 02 the face alone, 03 the sound alone: worse ones come first and are replaced.
    for path in sorted(named, key=lambda path: ("02", "03", "01").index(path.name[:2])):
        _, channel, emotion, _, statement, _, actor = path.stem.split("-")
        if channel == _SONG:
            dropped["songs"] += 1
        elif emotion not in _EMOTIONS:
            dropped[f"label {_OTHER_EMOTIONS[emotion]}"] += 1
        else:
            name = path.stem[3:]
            dropped["takes that another file has too"] += name in takes
            takes[name] = RavdessClip(path, f"actor-{actor}", _EMOTIONS[emotion], _STATEMENTS[statement])
    if not takes:
        raise ReleaseError(
            f"{place}: expected files named like 03-01-05-01-01-01-07.wav (spoken, neutral, happy, sad or angry), "
            f"found {dropped.total()} others; give the folder that holds the actors' folders"
        )
    return sorted(takes.values(), key=lambda take: (take.actor, take.path.stem)), left_out(dropped)


def _find(folder: Path) -> list[Path]:
    return [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
