"""One's own clips with a table of labels, to be imported or to learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path, PurePosixPath

from avemo_harness.benchmark.release import EMOTIONS, Role
from avemo_harness.benchmark.text_tables import decode_text, read_text
from avemo_harness.data.importers.base import (
    LABELS_HELP,
    MULTI_TURN,
    SINGLE_TURN,
    ClipSource,
    CorpusInfo,
    FoundCorpus,
    FoundDialogue,
    FoundTurn,
    Labels,
)
from avemo_harness.data.importers.labelled_clips import (
    CORRECT_PATH,
    ClipRow,
    ClipTable,
    find_clips,
    normalise_label,
    parse_clip_table,
)
from avemo_harness.data.importers.recordings import clip_source, unusable_file
from avemo_harness.data.importers.source import LocalFiles, Source, record_file
from avemo_harness.errors import ReleaseError, UsageError
from avemo_harness.options import option
from avemo_harness.recognizers.corpora.local_clips import LocalClips
from avemo_harness.recognizers.recordings import Corpus, LabelledRecording, Part, left_out
from avemo_harness.registry import hint, parse_arguments

_DEFAULT_PART: Part = "test"
_OTHER_TABLES = (".xlsx", ".xls", ".ods", ".parquet", ".json", ".txt")


@dataclass(frozen=True, slots=True)
class FolderOptions:
    name: str = field(default="own clips", metadata=option("what the clips are called as a whole"))
    table: str = field(
        default="",
        metadata=option(
            "name of the table (default: the only one there): columns path, emotion or label, speaker, and "
            "where they are known text, part, dialogue with turn, role (user or assistant); recognizer train --corpus "
            "labelled-clips:TABLE reads it too, also with columns face and intensity"
        ),
    )
    label_map: str = field(
        default="",
        metadata=option("your labels as the benchmark's, such as anger=angry,joy=happy; others are left out, counted"),
    )
    labels: Labels = field(default="four", metadata=option(LABELS_HELP))
    licence: str = field(default="unknown", metadata=option("of the clips"))
    redistributable: bool = field(default=False, metadata=option("the clips may be passed on, so embed them"))
    language: str = field(default="en", metadata=option("that is spoken, as a code"))


def find_folder(source: Source, options: FolderOptions) -> FoundCorpus:
    """Every clip of the table, alone or in its dialogue; a dialogue with a user turn of another label is left out.

    Raises:
        ReleaseError: the table is missing or malformed, names a file twice or none that is there, or has no clip in
            one of the benchmark's emotions.
        UsageError: the label map names an emotion that is not the benchmark's.
    """
    names = source.names()
    name_of_table = _choose_table(source, names, options.table)
    data = source.read(name_of_table)
    columns = ("text", "part", "dialogue", "turn", "role")
    table = parse_clip_table(name_of_table, decode_text(data, name_of_table), ("emotion", "label"), columns)
    clips = _find_in_source(source, table, names)
    label_map = _label_map(options, [clip.label for clip in clips])
    dropped: Counter[str] = Counter()
    dialogues = []
    for name, talk in _dialogues(clips).items():
        unmapped = [clip.label for clip, role in talk if role == "user" and clip.label not in label_map]
        if unmapped:
            dropped[f"{'dialogues with ' if len(talk) > 1 else ''}label {unmapped[0]}"] += 1
        else:
            dialogues.append(_dialogue(source, name, talk, label_map))
    if not dialogues:
        example = "0=neutral,1=happy" if any(clip.label.isdecimal() for clip in clips) else "joy=happy"
        raise table.no_such_label(label_map, f"translate them with label_map, such as {example}")
    about = CorpusInfo(
        name=options.name,
        homepage="",
        citation="",
        licence=options.licence,
        redistributable=options.redistributable,
        label_map=label_map,
        language=options.language,
    )
    config = MULTI_TURN if any(len(one.turns) > 1 for one in dialogues) else SINGLE_TURN
    return FoundCorpus(about, config, tuple(dialogues), names, left_out(dropped), (record_file(name_of_table, data),))


def _label_map(options: FolderOptions, found: Sequence[str]) -> Mapping[str, str]:
    given = {normalise_label(own): label for own, label in parse_arguments(options.label_map).items()}
    if options.labels == "all":
        return {**{label: label for label in sorted(set(found)) if label}, **given}
    for own, label in given.items():
        if label not in EMOTIONS:
            raise UsageError(f"label_map: {own}={label}: {label!r} is none of the emotions{hint(label, EMOTIONS)}")
    return {**{label: label for label in EMOTIONS}, **given}


def _choose_table(source: Source, names: Sequence[str], named: str) -> str:
    # In an archive the top may be a folder or two further down.
    found = [name for name in names if name.lower().endswith((".csv", ".tsv", ".jsonl"))]
    if named:
        chosen = [name for name in found if name == named or name.endswith(f"/{named}")]
    else:
        top = min((len(PurePosixPath(name).parts) for name in found), default=0)
        chosen = [name for name in found if len(PurePosixPath(name).parts) == top]
    if len(chosen) != 1:
        others = [name for name in names if name.lower().endswith(_OTHER_TABLES)][:5]
        advice = f"save {', '.join(others)} as CSV" if others and not found else "name it with --table"
        raise ReleaseError(
            f"{source}: expected one table (.csv, .tsv or .jsonl) with a row for each clip, found {len(chosen)}"
            f"{': ' + ', '.join(chosen[:5]) if chosen else ''}; {advice}"
        )
    return chosen[0]


def _find_in_source(source: Source, table: ClipTable, names: Sequence[str]) -> list[ClipRow]:
    """The rows with those files of the source that their paths lead to, also in another case."""
    known, in_any_case = _from_root(source, names), _by_folded_case(names)
    folder = PurePosixPath(table.name).parent
    clips = find_clips(table.rows, folder, lambda path: known.get(path) or in_any_case.get(path.casefold()))
    if clips and not any(clip.is_there for clip in clips):
        raise ReleaseError(
            f"{clips[0].where}: {clips[0].clip!r} is no file, nor is any other of the table; {CORRECT_PATH}"
        )
    return [replace(clip, path=_path_from_table(clip, folder)) for clip in clips]


def _path_from_table(clip: ClipRow, folder: PurePosixPath) -> str:
    """The path with slashes from the table's folder, or from the source's where the clip lies outside the table's."""
    path = clip.path.replace("\\", "/")
    if not (path.startswith("/") and clip.is_there):
        return path
    inside = PurePosixPath(clip.clip).is_relative_to(folder)
    return str(PurePosixPath(clip.clip).relative_to(folder)) if inside else clip.clip


def _from_root(source: Source, names: Sequence[str]) -> dict[str, str]:
    """Files by their names, and those of a folder also by their paths from the root of this machine."""
    known = {name: name for name in names}
    if isinstance(source.files, LocalFiles) and source.files.root.is_dir():
        root = source.files.root.absolute().as_posix()
        known.update({f"{root}/{name}": name for name in names})
    return known


def _by_folded_case(names: Sequence[str]) -> dict[str, str]:
    """Files by their names in lower case, which are one to Windows and macOS; without those that only case tells
    apart."""
    counts = Counter(map(str.casefold, names))
    return {name.casefold(): name for name in names if counts[name.casefold()] == 1}


def _dialogues(clips: Sequence[ClipRow]) -> dict[str, list[tuple[ClipRow, Role]]]:
    """Clips with their roles by dialogue, in order of turns; a clip alone is a dialogue named by its path."""
    grouped: dict[str, list[ClipRow]] = {}
    for clip in clips:
        name = clip.dialogue or str(PurePosixPath(clip.path).with_suffix(""))
        group = grouped.setdefault(name, [])
        if group and not (clip.dialogue and group[0].dialogue):
            raise ReleaseError(
                f"{clip.where}: {clip.path!r} would have the id {name!r} as {group[0].path!r} of "
                f"{group[0].where} has; rename the clip that stands alone, or the dialogue"
            )
        group.append(clip)
    talks = {}
    for name, group in grouped.items():
        ordered = sorted(group, key=lambda clip: clip.turn or 0)
        for before, clip in pairwise(ordered):
            if clip.turn == before.turn:
                raise ReleaseError(f"{clip.where}: turn {clip.turn} of {name!r} is there twice; number the turns")
        first = ordered[0]
        talks[name] = [
            (clip, clip.role or ("user" if clip.speaker == first.speaker else "assistant")) for clip in ordered
        ]
        if talks[name][0][1] != "user":
            raise ReleaseError(f"{first.where}: the first turn of {name!r} must be the user's; correct the roles")
        if len({clip.part or _DEFAULT_PART for clip in ordered}) > 1:
            raise ReleaseError(f"{first.where}: the turns of {name!r} are in several parts; choose one")
    return talks


def _recording(source: Source, clip: ClipRow) -> ClipSource:
    if clip.is_there:
        return clip_source(source, clip.clip)
    return unusable_file(clip.clip, f"is no file, and {clip.where} names it; {CORRECT_PATH}")


def _dialogue(
    source: Source, name: str, talk: Sequence[tuple[ClipRow, Role]], label_map: Mapping[str, str]
) -> FoundDialogue:
    turns = tuple(
        FoundTurn(role, clip.speaker, clip.text, label_map.get(clip.label), _recording(source, clip))
        for clip, role in talk
    )
    return FoundDialogue(name, talk[0][0].part or _DEFAULT_PART, turns)


@dataclass(frozen=True, slots=True)
class LabelledClipsArguments:
    """
    Args:
        path: of the table: CSV, TSV, or JSON lines in a file that ends in .jsonl.
    """

    path: Path


def read_labelled_clips(arguments: LabelledClipsArguments) -> Corpus:
    """Every row of a table (path, label or emotion, speaker; where they are known face, part, dialogue, intensity)
    whose label is one of the benchmark's emotions, in the order of the table.

    Raises:
        ReleaseError: the table is missing or malformed, names a file twice or one that is not there, or has no row with
            such a label.
        MediaError: a clip cannot be read.
    """
    path = arguments.path.expanduser()
    columns = ("face", "part", "dialogue", "intensity")
    table = parse_clip_table(str(path), read_text(path), ("label", "emotion"), columns)
    dropped = Counter(f"label {row.label}" for row in table.rows if row.label not in EMOTIONS)
    rows = [row for row in table.rows if row.label in EMOTIONS]
    if not rows:
        raise table.no_such_label(EMOTIONS, "translate the labels")
    clips = find_clips(rows, path.parent, lambda name: name if Path(name).is_file() else None)
    for clip in clips:
        if not clip.is_there:
            raise ReleaseError(f"{clip.where}: {clip.clip!r} is no file; {CORRECT_PATH}")
    with LocalClips(path.parent) as local:
        recordings = [
            LabelledRecording(
                recording_id=clip.path,
                speaker=clip.speaker,
                face=clip.face or clip.speaker,
                label=clip.label,
                part=clip.part,
                dialogue=clip.dialogue or clip.path,
                streams=local.streams(Path(clip.clip)),
                intensity=clip.intensity,
            )
            for clip in clips
        ]
    return Corpus(path.stem, (), tuple(recordings), left_out(dropped))
