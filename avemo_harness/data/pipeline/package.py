"""Package built dialogues as a release: Parquet files, build record, provenance of every clip."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from avemo_harness.benchmark.origin import source_of_build
from avemo_harness.benchmark.release import Clip, ConflictPair, Dialogue, Turn
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.data.conflict_pairs import find_candidates, pair_opposites
from avemo_harness.data.pipeline.backends import DialogueBackend, FaceBackend, Portrait, SpeechBackend, Utterance
from avemo_harness.data.pipeline.builtin import affect_of
from avemo_harness.data.pipeline.config import STAGES, BuildConfig
from avemo_harness.data.sharing.records import BUILD_RECORD, PROVENANCE
from avemo_harness.data.synthesis.affect import stored_tracks
from avemo_harness.errors import UsageError
from avemo_harness.files import PARTIAL_FOLDER, new_folder, read_json

SCHEMA = 1
_LIBRARIES = ("av", "numpy", "pillow", "pyarrow")
"""Those whose version may change a byte."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a release: its configuration, its tools and its pictures."""

    config: BuildConfig
    writer: DialogueBackend
    speech: SpeechBackend
    face: FaceBackend
    portraits: tuple[Portrait, ...]

    @cached_property
    def tools(self) -> Mapping[str, Any]:
        """Identity of each tool, and of the pictures."""
        return {
            "dialogue": dict(self.writer.identity()),
            "speech": dict(self.speech.identity()),
            "face": dict(self.face.identity()),
            "portraits": {one.portrait_id: [one.sha256, one.gender, one.licence] for one in self.portraits},
        }

    @property
    def digest(self) -> str:
        """Equal for builds that make the same, wherever their tools are and however long these may take."""
        content = json.dumps([SCHEMA, self.config.identity, self.tools], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class BuiltTurn:
    """A turn with its clip, and the digests of the units that made it."""

    utterance: Utterance
    path: Path
    sha256: str
    duration_s: float
    speech_unit: str
    clip_unit: str


@dataclass(frozen=True, slots=True)
class BuiltDialogue:
    """A dialogue with all of its clips."""

    dialogue_id: str
    turns: tuple[BuiltTurn, ...]
    written_by: str


def require_folder(out: Path) -> None:
    """Refuse a path that cannot become the folder of a release (UsageError)."""
    if out.name in ("", ".."):
        raise UsageError(f"{out}: expected the name of a folder for the release, such as my_release; name one")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file; name a new folder for the release")


def clear_leftovers(out: Path) -> None:
    """Remove what builds of this release left when they were killed while packaging; for whoever holds its lock."""
    name = re.compile(rf"\.{re.escape(out.name)}\.[a-z0-9_]{{8}}")
    for path in out.parent.glob(".*"):
        if name.fullmatch(path.name) and path.is_dir() and {one.name for one in path.iterdir()} <= {PARTIAL_FOLDER}:
            shutil.rmtree(path, ignore_errors=True)


def check_output(out: Path, recipe: Recipe) -> None:
    """Refuse a folder that holds anything but this release (UsageError)."""
    if not out.exists() or not any(out.iterdir()):
        return
    try:
        built = read_json(out / BUILD_RECORD, dict)
    except (OSError, ValueError) as error:
        raise UsageError(f"{out}: is there and is no build; name a new folder") from error
    if built.get("digest") != recipe.digest:
        raise UsageError(f"{out}: holds a build of another configuration, or by other tools; name a new folder")


def package(
    out: Path, recipe: Recipe, dialogues: Mapping[str, Sequence[BuiltDialogue]], failed: Mapping[str, str]
) -> dict[str, int]:
    """Write the release in a hidden folder and put it into its place; returns the number of pairs by config.

    Raises:
        UsageError: no dialogue is complete.
        StorageError: the disk is full or the folder cannot be written.
    """
    if not any(dialogues.values()):
        reason = next(iter(failed.values()), "none was asked for")
        raise UsageError(f"{out}: no dialogue could be made; the first reason: {reason}")
    pairs: dict[str, int] = {}
    with new_folder(out) as hidden:
        for split, built in dialogues.items():
            if built:
                pairs[split] = _write_split(hidden, recipe, split, built)
        _write_records(hidden, recipe, dialogues, failed)
        if out.exists():
            shutil.rmtree(out)
    return pairs


def _write_split(folder: Path, recipe: Recipe, split: str, built: Sequence[BuiltDialogue]) -> int:
    rows = [_dialogue(recipe, one) for one in built]
    wanted = getattr(recipe.config.splits, split).conflict_pairs
    pairs = _chosen_pairs(rows, wanted, recipe.config.seed)
    write_release(folder, split, {"test": rows}, {"test": pairs} if pairs else None)
    return len(pairs)


def _chosen_pairs(dialogues: Sequence[Dialogue], wanted: int, seed: int) -> list[ConflictPair]:
    """As many pairs as are wanted, both orders of a couple, from all speakers alike."""
    pairs = pair_opposites(find_candidates(dialogues, "transcript", lambda turn: turn.duration_s))
    couples = [pairs[i : i + 2] for i in range(0, len(pairs), 2)]
    order = np.random.default_rng([seed, 5]).permutation(len(couples))[: wanted // 2]
    return [pair for i in sorted(order.tolist()) for pair in couples[i]]


def _dialogue(recipe: Recipe, built: BuiltDialogue) -> Dialogue:
    config = recipe.config
    source = source_of_build(config.name, {stage: str(recipe.tools[stage]["tool"]) for stage in STAGES})
    turns = tuple(_turn(recipe, index, one) for index, one in enumerate(built.turns))
    return Dialogue(built.dialogue_id, source, config.language, config.licence, turns)


def _turn(recipe: Recipe, index: int, built: BuiltTurn) -> Turn:
    line = built.utterance.line
    has_tracks = recipe.config.speech.backend == recipe.config.face.backend == "builtin"
    tracks = stored_tracks(affect_of(built.utterance, built.duration_s)) if has_tracks else {}
    return Turn(
        turn_index=index,
        role=line.role,
        speaker_id=built.utterance.speaker.speaker_id,
        text=line.text,
        emotion=line.emotion,
        style_prompt=line.style,
        clip=Clip(built.sha256, built.utterance.unit_id, built.path.read_bytes),
        duration_s=built.duration_s,
        **tracks,
    )


def _write_records(
    folder: Path, recipe: Recipe, dialogues: Mapping[str, Sequence[BuiltDialogue]], failed: Mapping[str, str]
) -> None:
    record = {
        "schema": SCHEMA,
        "digest": recipe.digest,
        "config": recipe.config.record,
        "tools": recipe.tools,
        "libraries": {name: version(name) for name in _LIBRARIES},
        "dialogues": {split: len(built) for split, built in dialogues.items()},
        "failed": [{"unit": unit, "error": error} for unit, error in sorted(failed.items())],
    }
    (folder / BUILD_RECORD).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    lines = "".join(json.dumps(line, sort_keys=True) + "\n" for line in _provenance(recipe, dialogues))
    (folder / PROVENANCE).write_text(lines, encoding="utf-8")


def _provenance(recipe: Recipe, dialogues: Mapping[str, Iterable[BuiltDialogue]]) -> Iterator[dict[str, Any]]:
    """Origin of each clip, a line each."""
    for split, built in dialogues.items():
        for dialogue in built:
            for index, turn in enumerate(dialogue.turns):
                portrait, is_shown = turn.utterance.speaker.portrait, turn.utterance.line.role == "user"
                no_derivatives = portrait is not None and portrait.no_derivatives
                yield {
                    "config": split,
                    "dialogue_id": dialogue.dialogue_id,
                    "turn": index,
                    "clip_sha256": turn.sha256,
                    "speech_unit": turn.speech_unit,
                    "clip_unit": turn.clip_unit,
                    "seed": turn.utterance.seed,
                    "written_by": dialogue.written_by or recipe.tools["dialogue"]["tool"],
                    "written_licence": recipe.config.dialogue.licence,
                    "spoken_by": recipe.tools["speech"]["tool"],
                    "spoken_licence": recipe.config.speech.licence,
                    "shown_by": recipe.tools["face"]["tool"] if is_shown else None,
                    "shown_licence": recipe.config.face.licence if is_shown else None,
                    "portrait": portrait.portrait_id if portrait else None,
                    "portrait_licence": portrait.licence if portrait else None,
                    "licence": recipe.config.licence,
                    "no_derivatives": no_derivatives,
                    "redistributable": not no_derivatives,
                }
