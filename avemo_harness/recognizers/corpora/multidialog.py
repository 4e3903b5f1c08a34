"""MultiDialog (Park et al. 2024): 8,733 acted dialogues, an emotion for each utterance."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.errors import ReleaseError
from avemo_harness.files import read_file
from avemo_harness.recognizers.corpora.local_clips import LocalClips
from avemo_harness.recognizers.recordings import Corpus, LabelledRecording, Part, left_out

DIALOGUES: Mapping[Part, int] = {"train": 7_011, "validation": 891, "test": 831}
"""How many dialogues the corpus has in each part, as its card says; frequent and rare topics together."""

_PARTS: Mapping[str, Part] = {
    "train": "train",
    "valid_freq": "validation",
    "valid_rare": "validation",
    "test_freq": "test",
    "test_rare": "test",
}
_METADATA = re.compile(rf"({'|'.join(_PARTS)})_metadata_\d+\.jsonl")
_UTTERANCE = re.compile(r"(t_[0-9a-zA-Z-]+)_(\d+)([a-z])")


@dataclass(frozen=True, slots=True)
class MultiDialogArguments:
    """
    Args:
        path: the corpus' folder.
        sound: the folder below which the wav files are; the corpus' folder if not given.
        video: the folder below which an mp4 for each utterance is, if there is one.
        actors: the letters of the actors to read, such as ``abc``; all if not given. The card calls the dialogues of
            those whose emotions were recognised best "gold".
    """

    path: Path
    sound: Path | None = None
    video: Path | None = None
    actors: str = ""


@dataclass(frozen=True, slots=True)
class Utterance:
    """A line of the metadata. `name` is that of its sound file without the ending; `label` is the corpus' own.

    `number` is its place in the dialogue.
    """

    name: str
    dialogue: str
    actor: str
    label: str
    part: Part | None
    number: int
    text: str


def read_multidialog(arguments: MultiDialogArguments) -> Corpus:
    """Every utterance in one of the benchmark's emotions that has a sound file, in the order of the metadata.

    Every sound file is read through the first time, which takes minutes for the whole corpus.

    Raises:
        ReleaseError: the metadata are missing or malformed, or no sound file, or none of the videos, is there.
        MediaError: a file cannot be read; delete it to go on without it.
    """
    folder = arguments.path.expanduser()
    utterances = list_utterances(folder)
    dropped: Counter[str] = Counter(_missing_dialogues(utterances))
    kept = []
    for one in utterances:
        if arguments.actors and one.actor not in arguments.actors:
            dropped["utterances of other actors"] += 1
        elif one.label not in EMOTIONS:
            dropped[f"label {one.label}"] += 1
        else:
            kept.append(one)
    sound_folder = (arguments.sound or folder).expanduser()
    sounds = _find(sound_folder, ".wav")
    videos = _find(arguments.video.expanduser(), ".mp4") if arguments.video else {}
    heard = [one for one in kept if one.name in sounds]
    dropped["utterances without a sound file"] = len(kept) - len(heard)
    if not heard:
        raise ReleaseError(
            f"{sound_folder}: none of {len(kept)} utterances has its sound file among {len(sounds)} wav files; unpack "
            "each archive of data/ there, such as: tar -xzf data/train/train_chunks_0000.tar.gz -C FOLDER"
        )
    if arguments.video and not any(one.name in videos for one in heard):
        raise ReleaseError(
            f"{arguments.video}: none of {len(heard)} utterances has its video among {len(videos)} mp4 files; cut the "
            f"dialogues' videos into utterances that are named like the sound, such as {heard[0].name}.mp4"
        )
    with LocalClips(folder) as clips:
        recordings = [_recording(one, sounds[one.name], videos.get(one.name), clips) for one in heard]
    return Corpus("MultiDialog", (), tuple(recordings), left_out(dropped))


def list_utterances(folder: Path) -> list[Utterance]:
    """Every utterance that the metadata tell of, whatever its label; media are not touched.

    Raises:
        ReleaseError: the metadata are missing or malformed, or tell of an utterance twice.
    """
    paths = [*(folder / "metadata").rglob("*.jsonl"), *folder.glob("*.jsonl")]
    chosen = choose_metadata(str(folder), [path.relative_to(folder).as_posix() for path in paths])
    return parse_metadata((str(folder / name), _read(folder / name)) for name in chosen)


def choose_metadata(place: str, names: Iterable[str]) -> list[str]:
    """Those files that hold the metadata, each part's own before the one of all, by path.

    Args:
        place: how messages call where the files are.

    Raises:
        ReleaseError: there is none.
    """
    found = sorted(names)
    split = [name for name in found if _METADATA.fullmatch(PurePosixPath(name).name)]
    chosen = split or [name for name in found if PurePosixPath(name).name == "metadata.jsonl"][:1]
    if not chosen:
        raise ReleaseError(
            f"{place}: expected metadata/train/train_metadata_0000.jsonl and its like, or metadata.jsonl; download the "
            "metadata of IVLLab/MultiDialog there"
        )
    return chosen


def parse_metadata(files: Iterable[tuple[str, bytes]]) -> list[Utterance]:
    """Every utterance that files of metadata, given by name and content, tell of.

    Raises:
        ReleaseError: a file is malformed, or an utterance is there twice.
    """
    found: dict[str, Utterance] = {}
    for name, content in files:
        match = _METADATA.fullmatch(PurePosixPath(name).name)
        for line, row in _rows(name, content):
            utterance = _utterance(row, _PARTS[match[1]] if match else None, f"{name}:{line}")
            if utterance.name in found:
                raise ReleaseError(f"{name}:{line}: utterance {utterance.name!r} is there twice; remove a copy")
            found[utterance.name] = utterance
    return list(found.values())


def part_of_path(path: str) -> Part | None:
    """The part that a folder of a path, or the name of an archive of sound, stands for; None if none.

    >>> part_of_path("data/valid_rare/t_1/t_1_0a.wav"), part_of_path("test_freq_chunks_0000.tar.gz")
    ('validation', 'test')
    """
    names = (name.partition("_chunks")[0] for name in PurePosixPath(path).parts)
    return next((_PARTS[name] for name in names if name in _PARTS), None)


def _read(path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read ({error.strerror}); download it again") from error


def _rows(name: str, content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        for number, line in enumerate(content.decode("utf-8").split("\n"), 1):
            if not line.strip():
                continue
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ReleaseError(f"{name}:{number}: expected a JSON object, found {type(row).__name__}")
            yield number, row
    except ValueError as error:
        raise ReleaseError(f"{name}: cannot be read ({error}); download it again") from error


def _utterance(row: Mapping[str, Any], part: Part | None, where: str) -> Utterance:
    file, label = row.get("file_name") or row.get("audpath"), row.get("emotion")
    if not isinstance(file, str) or not isinstance(label, str):
        raise ReleaseError(f"{where}: expected texts 'file_name' (or 'audpath') and 'emotion'; download it again")
    name = PurePosixPath(file).stem
    match = _UTTERANCE.fullmatch(name)
    if match is None:
        raise ReleaseError(f"{where}: expected a file named t_<dialogue>_<number><actor>, found {file!r}")
    return Utterance(
        name=name,
        dialogue=match[1],
        actor=match[3],
        label=label.strip().lower(),
        part=part or _part_told(row, file),
        number=int(match[2]),
        text=str(row.get("value") or ""),
    )


def _part_told(row: Mapping[str, Any], file: str) -> Part | None:
    """The part that a line of the metadata of everything tells, by a key or by a folder of its paths; None if none."""
    told = (str(row.get("split", "")), str(row.get("original_full_path", "")), file)
    return next((part for path in told if (part := part_of_path(path))), None)


def _missing_dialogues(utterances: Sequence[Utterance]) -> dict[str, int]:
    """By how many dialogues each part differs from that of the corpus."""
    found = Counter({one.dialogue: one.part for one in utterances}.values())
    differences = {}
    for part, expected in DIALOGUES.items():
        differences[f"dialogues of the {part} part that are not here, of {expected:,}"] = max(0, expected - found[part])
        differences[f"dialogues of the {part} part more than {expected:,}, read"] = max(0, found[part] - expected)
    return differences


def _find(folder: Path, ending: str) -> dict[str, Path]:
    """Files below a folder by name without the ending; of several with one name the first."""
    found: dict[str, Path] = {}
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in names:
            if name.endswith(ending) and not name.startswith("."):
                found.setdefault(name.removesuffix(ending), Path(parent, name))
    return found


def _recording(one: Utterance, sound: Path, face: Path | None, clips: LocalClips) -> LabelledRecording:
    return LabelledRecording(
        one.name, one.actor, one.actor, one.label, one.part, one.dialogue, clips.joined(sound, face)
    )
