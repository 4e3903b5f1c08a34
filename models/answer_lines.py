"""Answers that were given elsewhere, in `answers.jsonl` or as sound files named by their items, and names of items."""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from unicodedata import normalize

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from avemo_harness.benchmark.planning import item_ids_of_turn, turn_item_id
from avemo_harness.benchmark.release import Release
from avemo_harness.benchmark.request import Item
from avemo_harness.benchmark.task import ModelOutput, SpokenOutput, TextOutput
from avemo_harness.errors import ModelError
from avemo_harness.files import check_file, read_file, sha256_of

ANSWERS = "answers.jsonl"
CLIPS = "clips"
"""Folder of the clips of requests, in which no sound file is a reply."""
_SUFFIXES = "wav flac ogg oga opus mp3 m4a mp4 aac aif aiff au caf webm mka mkv mov wma amr"
SOUND_SUFFIXES = frozenset(f".{name}" for name in _SUFFIXES.split())
FLAT = "__"
"""Stands for a slash in the name of a file that lies in no folder."""


def masked(name: str) -> str:
    """A name for a dialogue or pair that tells nothing of it; ids of corpora often hold the emotion.

    >>> masked("1001_DFA_ANG_XX")
    'x8474f9a6deb1bfd1'
    """
    return "x" + hashlib.sha256(name.encode()).hexdigest()[:16]


def masked_item_id(item: Item) -> str:
    """The name under which requests show an item to whoever answers."""
    if item.condition == "conflict":
        return masked(item.item_id)
    turn = turn_item_id(item.dialogue_id, item.turn_index)
    return turn_item_id(masked(item.dialogue_id), item.turn_index) + item.item_id.removeprefix(turn)


def item_names(releases: Iterable[Release]) -> dict[str, str]:
    """Items of releases, user turns and pairs, by their masked names and by their ids."""
    by_mask, by_id = {}, {}
    for release in releases:
        for pair in release.pairs:
            by_mask[masked(pair.pair_id)] = by_id[pair.pair_id] = pair.pair_id
        for dialogue in release.dialogues:
            mask = masked(dialogue.dialogue_id)
            for turn in dialogue.turns:
                if turn.role == "user":
                    for item_id in item_ids_of_turn(dialogue, turn):
                        by_mask[mask + item_id.removeprefix(dialogue.dialogue_id)] = by_id[item_id] = item_id
    return {**by_mask, **by_id}


class AnswerLine(BaseModel):
    """An answer to an item, as a line of `answers.jsonl` has it. Further keys mean nothing.

    Attributes:
        where: file and line, for messages.
        item: as requests name it, or its id; or `dialogue` and `turn` of a turn of the user.
        task, condition: which of the questions about the item it answers; every one where neither is named.
        speech: path of a sound file, relative to the folder.
        error: why there is no answer.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    where: str
    item: str = ""
    dialogue: str | None = None
    turn: int | None = None
    task: str | None = None
    condition: str | None = None
    text: str | None = None
    label: str | None = None
    label_logprobs: dict[str, float] | None = None
    label_tokens: dict[str, int] | None = None
    label_priors: dict[str, float] | None = None
    speech: str | None = None
    flags: list[str] = []
    error: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_item(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("item"):
            dialogue, turn = values.get("dialogue"), values.get("turn")
            if not isinstance(dialogue, str) or not isinstance(turn, int):
                raise ValueError("it names no item: give `item`, or `dialogue` and `turn`")
            return {**values, "item": turn_item_id(dialogue, turn)}
        return values

    @model_validator(mode="after")
    def _says_something(self) -> AnswerLine:
        given = (self.text, self.label, self.label_logprobs, self.speech, self.error)
        if all(value is None for value in given):
            raise ValueError("it holds no answer: give `text`, `label`, `label_logprobs`, `speech` or `error`")
        return self

    def fits(self, output: ModelOutput) -> bool:
        """True where it holds an answer of a kind.

        Words are a reply; they are read as a label only where the line names the task, since a reply may well hold the
        name of an emotion.
        """
        if self.error is not None:
            return True
        if isinstance(output, SpokenOutput):
            return self.text is not None or self.speech is not None
        if isinstance(output, TextOutput):
            return self.text is not None
        if output.method == "rank":
            return self.label_logprobs is not None
        return self.label is not None or (self.text is not None and self.task is not None)


class Answers:
    """The answers of a folder.

    Args:
        folder: with `answers.jsonl`, or else with sound files: ``d1/0.wav`` is the reply to item ``d1/0``, and so is
            ``d1__0.wav`` where no item is called ``d1__0``.
        names: ids of the items that there are, by each name that an answer may give them (`item_names`).

    Raises:
        ModelError: there is neither, or a line that cannot be read.
    """

    def __init__(self, folder: Path, names: Mapping[str, str]) -> None:
        self.folder = folder
        file = folder / ANSWERS
        self.lines: Sequence[AnswerLine] = tuple(_read_lines(file) if file.exists() else _sound_files(folder, names))
        if not self.lines:
            raise ModelError(
                f"{folder}: there is no {ANSWERS} with a line an item and no sound file named by its item, such as "
                "DIALOGUE/0.wav; avemo-eval requests writes what is to be answered"
            )
        self._by_item: dict[str, list[AnswerLine]] = {}
        for line in self.lines:
            self._by_item.setdefault(names.get(line.item, line.item), []).append(line)
        self.unknown = [line for line in self.lines if line.item not in names]
        self.are_masked = any(names.get(line.item, line.item) != line.item for line in self.lines)

    def of(self, item: Item, output: ModelOutput) -> list[AnswerLine]:
        """The lines that answer an item, of those that name its task or condition, where there are such.

        Several are several answers to one question. Of a question that was tried again, only what came of it counts:
        an error stands where there is no answer.
        """
        about = [line for line in self.about(item) if line.fits(output)]
        fitting = [line for line in about if line.error is None] or about[-1:]
        most = max(map(_precision, fitting), default=0)
        return [line for line in fitting if _precision(line) == most]

    def about(self, item: Item) -> list[AnswerLine]:
        """The lines of an item that name no other task or condition, whatever they hold."""
        lines = self._by_item.get(item.item_id, [])
        return [x for x in lines if x.task in (None, item.task) and x.condition in (None, item.condition)]

    def content_of(self, line: AnswerLine) -> str:
        """The content of a line as JSON; of its speech, the digest of the file."""
        content = line.model_dump(exclude={"where", "dialogue", "turn"}, exclude_none=True)
        if line.speech is not None:
            content["speech"] = self._sound_digests[line.speech]
        return json.dumps(content, sort_keys=True)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of what the lines say; their order and the names of sound files are no part of it."""
        said = sorted(map(self.content_of, self.lines))
        return hashlib.sha256("\n".join(said).encode()).hexdigest()

    @cached_property
    def _sound_digests(self) -> Mapping[str, str]:
        return {line.speech: self._sound_digest(line.speech) for line in self.lines if line.speech is not None}

    def _sound_digest(self, speech: str) -> str:
        try:
            check_file(self.folder / speech)
            return sha256_of(self.folder / speech)
        except (OSError, ValueError) as error:  # the error of its item, when that is asked
            return f"cannot be read ({reason_of(error)})"


def reason_of(error: OSError | ValueError) -> str:
    """Why a file cannot be read; of a name that no file can have, a ValueError, what is wrong with it."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _precision(line: AnswerLine) -> int:
    return 2 * (line.task is not None) + (line.condition is not None)


def _read_lines(file: Path) -> Iterable[AnswerLine]:
    try:
        rows = read_file(file).removeprefix(codecs.BOM_UTF8).splitlines()
    except OSError as error:
        raise ModelError(f"{file}: cannot be read ({error.strerror}); it must hold a JSON object a line") from error
    for number, row in enumerate(rows, 1):
        if row.strip():
            yield _line_of(row, f"{file.name}, line {number}", file)


def _line_of(row: bytes, where: str, file: Path) -> AnswerLine:
    try:
        values = json.loads(row)
        if not isinstance(values, dict):
            raise ModelError(f"{file.parent / where}: expected a JSON object, found {type(values).__name__}")
        return AnswerLine.model_validate({**values, "where": where})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        raise ModelError(f"{file.parent / where}: {f'{key}: ' if key else ''}{reason}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{file.parent / where}: is no JSON ({error}); write one JSON object a line") from error


def _sound_files(folder: Path, names: Mapping[str, str]) -> Iterable[AnswerLine]:
    # macOS takes letters with accents apart in names of files.
    flat, exact = ({normalize("NFC", name.replace("/", by)): name for name in names} for by in (FLAT, "/"))
    by_file_name = {**flat, **exact}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.suffix.lower() not in SOUND_SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue  # names with a dot are what macOS leaves beside a file
        if inside.parts[0] != CLIPS:
            name, item = inside.as_posix(), inside.with_suffix("").as_posix()
            yield AnswerLine(where=name, item=by_file_name.get(normalize("NFC", item), item), speech=name)
