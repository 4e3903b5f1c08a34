"""RAVDESS (Livingstone & Russo 2018): 24 actors speak two sentences in eight emotions.

Files are found below the folder by their names, seven numbers of two digits::

    modality-channel-emotion-intensity-statement-repetition-actor      such as Actor_07/03-01-05-02-01-02-07.wav
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from avemo_harness.errors import ReleaseError
from avemo_harness.recognizers.corpora.base import Corpus, LabelledRecording
from avemo_harness.recognizers.corpora.local_clips import LocalClips
from avemo_harness.recognizers.corpora.tally import left_out

_NAME = re.compile(r"(0[123])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(\d\d)\.(wav|flac|mp4)", re.IGNORECASE)
_EMOTIONS = {"01": "neutral", "03": "happy", "04": "sad", "05": "angry"}
_OTHER_EMOTIONS = {"02": "calm", "06": "fearful", "07": "disgust", "08": "surprised"}
_SONG = "02"


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
    takes: dict[str, Path] = {}
    dropped: Counter[str] = Counter()
    # 01 has both streams, 02 the face alone, 03 the sound alone: worse ones come first and are replaced.
    for path in sorted(_find(folder), key=lambda path: ("02", "03", "01").index(path.name[:2])):
        _, channel, emotion, *_ = path.stem.split("-")
        if channel == _SONG:
            dropped["songs"] += 1
        elif emotion not in _EMOTIONS:
            dropped[f"label {_OTHER_EMOTIONS[emotion]}"] += 1
        else:
            take = path.stem[3:]
            dropped["takes that another file has too"] += take in takes
            takes[take] = path
    if not takes:
        raise ReleaseError(
            f"{folder}: expected files named like 03-01-05-01-01-01-07.wav (spoken, neutral, happy, sad or angry), "
            f"found {dropped.total()} others; give the folder that holds the actors' folders"
        )
    with LocalClips(folder) as clips:
        recordings = [_recording(path, clips) for path in takes.values()]
    ordered = sorted(recordings, key=lambda one: (one.speaker, one.recording_id))
    return Corpus("RAVDESS", (), tuple(ordered), left_out(dropped))


def _find(folder: Path) -> list[Path]:
    """The files that are named so, in the order of their paths."""
    return sorted(Path(parent, name) for parent, _, names in os.walk(folder) for name in names if _NAME.fullmatch(name))


def _recording(path: Path, clips: LocalClips) -> LabelledRecording:
    _, _, emotion, *_, actor = path.stem.split("-")
    speaker = f"actor-{actor}"
    return LabelledRecording(path.stem, speaker, speaker, _EMOTIONS[emotion], None, path.stem, clips.streams(path))
