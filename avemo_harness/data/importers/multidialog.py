"""MultiDialog (Park et al. 2024): 8,733 acted dialogues of 12 actors, an emotion for each utterance, with videos by
utterance or dialogue."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.data.importers.base import (
    LABELS_HELP,
    MAX_SEGMENT_TURNS,
    MIN_SEGMENT_TURNS,
    MULTI_TURN,
    ClipSource,
    CorpusInfo,
    FoundCorpus,
    FoundDialogue,
    Labels,
    ReadFile,
    alternating_turns,
    choose_test_actors,
    part_of_actors,
    segment_utterances,
)
from avemo_harness.data.importers.recordings import AlignedVideos, dubbed_video, video_segment, whole_file
from avemo_harness.data.importers.source import LocalFiles, Source, by_stem, open_source, record_file
from avemo_harness.errors import ReleaseError, UsageError
from avemo_harness.files import read_file
from avemo_harness.options import option
from avemo_harness.recognizers.corpora.local_clips import LocalClips
from avemo_harness.recognizers.recordings import Corpus, LabelledRecording, Part, left_out, parse_part

ABOUT = CorpusInfo(
    name="MultiDialog",
    homepage="https://huggingface.co/datasets/IVLLab/MultiDialog",
    citation="Park et al. (2024), ACL, arXiv 2406.07867",
    licence="unclear: the card says cc without a variant, the loader Apache-2.0",
    redistributable=False,
    label_map={"neutral": "neutral", "happy": "happy", "angry": "angry", "sad": "sad"},
)
DIALOGUES: Mapping[Part, int] = {"train": 7_011, "validation": 891, "test": 831}
"""Dialogues of each part by the corpus' card; frequent and rare topics together."""

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
class Utterance:
    """A line of the metadata. `name` is that of its sound file without the ending; `label` is the corpus' own.

    `speaker` is the letter of an actor, `number` the utterance's in the dialogue.
    """

    name: str
    dialogue: str
    speaker: str
    label: str
    part: Part | None
    number: int
    text: str


def choose_metadata(where: str, names: Iterable[str]) -> list[str]:
    """Those files that hold the metadata, each part's own before the one of all, by path.

    Args:
        where: how messages call the folder of the files.

    Raises:
        ReleaseError: there is none.
    """
    found = sorted(names)
    split = [name for name in found if _METADATA.fullmatch(PurePosixPath(name).name)]
    chosen = split or [name for name in found if PurePosixPath(name).name == "metadata.jsonl"][:1]
    if not chosen:
        raise ReleaseError(
            f"{where}: expected metadata/train/train_metadata_0000.jsonl and its like, or metadata.jsonl; download the "
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
        speaker=match[3],
        label=label.strip().lower(),
        part=part or _part_told(row, file),
        number=int(match[2]),
        text=str(row.get("value") or ""),
    )


def _part_told(row: Mapping[str, Any], file: str) -> Part | None:
    """The part that a line of the metadata of everything tells, by a key or by a folder of its paths; None if none."""
    told = (str(row.get("split", "")), str(row.get("original_full_path", "")), file)
    return next((part for path in told if (part := part_of_path(path))), None)


@dataclass(frozen=True, slots=True)
class MultiDialogOptions:
    video: str = field(
        default="", metadata=option("folder or archive of the videos: one mp4 for each utterance, or each dialogue")
    )
    parts: str = field(
        default="train,validation,test", metadata=option("parts to read; archives of others are not opened")
    )
    split: Literal["official", "leave-actors-out"] = field(
        default="official",
        metadata=option("all actors are in every official part; leave-actors-out tests on actors who train nothing"),
    )
    test_actors: str = field(
        default="", metadata=option("letters of those left out for testing (default: a quarter, losing least)")
    )
    gold_only: bool = field(
        default=False, metadata=option("only dialogues between actors whose emotions raters recognised well")
    )
    gold_actors: str = field(
        default="abcefgijk", metadata=option("letters of those actors; compare them with the corpus' card")
    )
    labels: Labels = field(default="four", metadata=option(LABELS_HELP))


def find_multidialog(source: Source, options: MultiDialogOptions) -> FoundCorpus:
    """Every segment of 3 to 5 turns, each of whose user turns has one of the labels that are wanted.

    Raises:
        ReleaseError: metadata, sound or the videos asked for are missing or malformed.
        UsageError: there is no such part or actor.
    """
    parts = [parse_part(part, "parts") for part in options.parts.split(",")]
    names = source.names(lambda archive: part_of_path(archive) in (*parts, None))
    utterances, read = _read_metadata(source, names)
    about = ABOUT.with_labels(options.labels, (utterance.label for utterance in utterances))
    talks = _talks(utterances)
    clips = _find_clips(source, names, talks, options.video)
    dropped: Counter[str] = Counter()

    def why_unusable(utterance: Utterance) -> str | None:
        return None if utterance.name in clips else "utterances without a clip"

    segments = []
    for talk in talks:
        reason = _why_unwanted(talk, parts, options)
        if reason:
            dropped[reason] += len(talk)
        else:
            segments += segment_utterances(talk, about.label_map, _follows, why_unusable, dropped)
    if not segments:
        raise ReleaseError(
            f"{source}: no segment of {MIN_SEGMENT_TURNS} to {MAX_SEGMENT_TURNS} turns among {len(utterances)} "
            f"utterances, {len(clips)} of which have their clips; give the folder that holds metadata/ and data/, with "
            "its archives or unpacked"
        )
    test_actors = _test_actors(segments, options)
    dialogues = []
    for segment in segments:
        part = (
            part_of_actors({utterance.speaker for utterance in segment}, test_actors)
            if test_actors
            else segment[0].part
        )
        if part is None:
            dropped["utterances between actors for training and for testing"] += len(segment)
        else:
            dialogues.append(_dialogue(segment, part, clips, about.label_map))
    return FoundCorpus(
        about, MULTI_TURN, tuple(dialogues), names, left_out(dropped), read, tuple(_notes(options, test_actors))
    )


def _read_metadata(source: Source, names: Sequence[str]) -> tuple[list[Utterance], tuple[ReadFile, ...]]:
    files = [(name, source.read(name)) for name in choose_metadata(str(source), names)]
    return parse_metadata(files), tuple(record_file(name, data) for name, data in files)


def _find_clips(
    source: Source, names: Sequence[str], talks: Sequence[Sequence[Utterance]], video: str
) -> Mapping[str, ClipSource]:
    """The clip of each utterance that has a sound file and, where videos are given, a face; by its name."""
    sounds = by_stem(names, ".wav")
    if video:
        return _dub_utterances(source, sounds, open_source(video), talks)
    return {u.name: whole_file(source, sounds[u.name]) for talk in talks for u in talk if u.name in sounds}


def _dub_utterances(
    source: Source, sounds: Mapping[str, str], faces: Source, talks: Sequence[Sequence[Utterance]]
) -> dict[str, ClipSource]:
    """The sound of utterances with the videos of utterances, or else with segments of those of dialogues.

    A dialogue's video can be cut where all its utterances have sound files.

    Raises:
        ReleaseError: there are videos of neither.
    """
    videos = by_stem(faces.names(), ".mp4")
    heard = [utterance for talk in talks for utterance in talk if utterance.name in sounds]
    if any(utterance.name in videos for utterance in heard):
        return {u.name: dubbed_video(source, sounds[u.name], faces, videos[u.name]) for u in heard if u.name in videos}
    if not any(talk[0].dialogue in videos for talk in talks):
        example = heard[0] if heard else talks[0][0]
        raise ReleaseError(
            f"{faces}: none of {len(heard)} utterances has its video among {len(videos)} mp4 files; name them like "
            f"the sound of utterances, such as {example.name}.mp4, or like dialogues, such as {example.dialogue}.mp4"
        )
    aligned = AlignedVideos(faces, videos)
    clips: dict[str, ClipSource] = {}
    for talk in talks:
        dialogue, files = talk[0].dialogue, tuple(sounds[u.name] for u in talk if u.name in sounds)
        if dialogue in videos and len(files) == len(talk):
            clips |= {u.name: video_segment(aligned, dialogue, source, sounds[u.name], files) for u in talk}
    return clips


def _talks(utterances: Sequence[Utterance]) -> list[list[Utterance]]:
    """The dialogues, each in the order in which it was spoken."""
    ordered = sorted(utterances, key=lambda said: (said.dialogue, said.number))
    return [list(talk) for _, talk in groupby(ordered, key=lambda said: said.dialogue)]


def _why_unwanted(talk: Sequence[Utterance], parts: Sequence[Part], options: MultiDialogOptions) -> str | None:
    part = talk[0].part
    if part is None and options.split == "official":
        return "utterances of dialogues whose part is not told"
    if part is not None and part not in parts:
        return "utterances of parts that were not asked for"
    if options.gold_only and not {utterance.speaker for utterance in talk} <= set(options.gold_actors):
        return "utterances of dialogues with an actor who is not gold"
    return None


def _follows(utterance: Utterance, before: Utterance) -> bool:
    return before.number == utterance.number - 1


def _test_actors(segments: Sequence[Sequence[Utterance]], options: MultiDialogOptions) -> frozenset[str]:
    """The actors to leave out for testing; nobody in the official split.

    Raises:
        UsageError: an actor that was named is not there, or testing or training would be on nothing.
    """
    if options.split == "official":
        if options.test_actors:
            raise UsageError("--test_actors belongs to --split leave-actors-out; give both or neither")
        return frozenset()
    talks = Counter(frozenset(utterance.speaker for utterance in segment) for segment in segments)
    if not options.test_actors:
        return choose_test_actors(talks)
    chosen, known = frozenset(options.test_actors), frozenset().union(*talks)
    parts = {part_of_actors(people, chosen) for people in talks}
    if not chosen <= known or not {"train", "test"} <= parts:
        raise UsageError(
            f"test_actors: {options.test_actors!r} must be letters of some of {''.join(sorted(known))} who talk among "
            "themselves, and leave others who do"
        )
    return chosen


def _dialogue(
    segment: Sequence[Utterance], part: Part, clips: Mapping[str, ClipSource], label_map: Mapping[str, str]
) -> FoundDialogue:
    turns = alternating_turns(
        (f"actor-{said.speaker}", said.text, label_map.get(said.label), clips[said.name]) for said in segment
    )
    return FoundDialogue(f"{segment[0].dialogue}-{segment[0].number:03}", part, turns)


def _notes(options: MultiDialogOptions, test_actors: frozenset[str]) -> list[str]:
    notes = []
    if test_actors:
        notes.append(f"tested on actors {', '.join(sorted(test_actors))}, who are in no other part")
    if options.gold_only:
        notes.append(f"gold actors taken: {', '.join(sorted(options.gold_actors))}; compare them with the corpus' card")
    return notes


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
    for utterance in utterances:
        if arguments.actors and utterance.speaker not in arguments.actors:
            dropped["utterances of other actors"] += 1
        elif utterance.label not in EMOTIONS:
            dropped[f"label {utterance.label}"] += 1
        else:
            kept.append(utterance)
    sound_folder = (arguments.sound or folder).expanduser()
    sounds = _find_files(sound_folder, ".wav")
    videos = _find_files(arguments.video.expanduser(), ".mp4") if arguments.video else {}
    heard = [utterance for utterance in kept if utterance.name in sounds]
    dropped["utterances without a sound file"] = len(kept) - len(heard)
    if not heard:
        raise ReleaseError(
            f"{sound_folder}: none of {len(kept)} utterances has its sound file among {len(sounds)} wav files; unpack "
            "each archive of data/ there, such as: tar -xzf data/train/train_chunks_0000.tar.gz -C FOLDER"
        )
    if arguments.video and not any(utterance.name in videos for utterance in heard):
        raise ReleaseError(
            f"{arguments.video}: none of {len(heard)} utterances has its video among {len(videos)} mp4 files; cut the "
            f"dialogues' videos into utterances that are named like the sound, such as {heard[0].name}.mp4"
        )
    with LocalClips(folder) as clips:
        recordings = [
            LabelledRecording(
                recording_id=utterance.name,
                speaker=utterance.speaker,
                face=utterance.speaker,
                label=utterance.label,
                part=utterance.part,
                dialogue=utterance.dialogue,
                streams=clips.joined(sounds[utterance.name], videos.get(utterance.name)),
            )
            for utterance in heard
        ]
    return Corpus("MultiDialog", (), tuple(recordings), left_out(dropped))


def list_utterances(folder: Path) -> list[Utterance]:
    """Every utterance that the metadata tell of, whatever its label; media are not touched.

    Raises:
        ReleaseError: the metadata are missing or malformed, or tell of an utterance twice.
    """
    paths = [*(folder / "metadata").rglob("*.jsonl"), *folder.glob("*.jsonl")]
    chosen = choose_metadata(str(folder), [path.relative_to(folder).as_posix() for path in paths])
    return parse_metadata((str(folder / name), _read(folder / name)) for name in chosen)


def _read(path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read ({error.strerror}); download it again") from error


def _missing_dialogues(utterances: Sequence[Utterance]) -> dict[str, int]:
    """Difference in dialogues between each part and that of the corpus."""
    found = Counter({utterance.dialogue: utterance.part for utterance in utterances}.values())
    differences = {}
    for part, expected in DIALOGUES.items():
        differences[f"dialogues of the {part} part that are not here, of {expected:,}"] = max(0, expected - found[part])
        differences[f"dialogues of the {part} part more than {expected:,}, read"] = max(0, found[part] - expected)
    return differences


def _find_files(folder: Path, ending: str) -> dict[str, Path]:
    """Files below a folder by name without the ending."""
    return {stem: folder / name for stem, name in by_stem(LocalFiles(folder).names(), ending).items()}
