"""Propose the columns, the question and the labels of a task from the columns of a table as they are seen."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from avemo_harness.benchmark.columns import ColumnsSpec
from avemo_harness.benchmark.release import order_labels
from avemo_harness.benchmark.seen_columns import Kind, SeenColumn, as_number, see_columns

Question = Literal["label", "choice", "number", "text"]

MAX_LABELS = 50
"""Distinct values of a column above which they are no labels."""
MAX_NAME = 60
"""Characters of a label, or of the name of a speaker or dialogue."""

MAX_RATING = 1e6
"""Absolute value of a number above which it is no rating, but counts or names something."""

NAMES: Mapping[str, tuple[str, ...]] = {
    "sound": ("audio", "wav", "sound", "speech", "voice", "path", "file"),
    "video": ("video", "mp4", "clip", "path", "file"),
    "choices": ("choices", "options", "candidates", "alternatives"),
    "label": ("emotion", "label", "emotions", "major emotion", "feeling", "affect", "sentiment", "class", "category"),
    "answer": ("answer", "gold", "correct", "truth", "target", "solution", "score", "rating", "valence", "arousal"),
    "dialogue": ("dialogue", "dialog", "conversation", "conv", "dialogue id", "dialog id", "conv id", "session"),
    "turn": ("turn", "turn id", "turn index", "utterance id", "utterance index", "utt id", "idx", "index", "position"),
    "role": ("role",),
    "speaker": ("speaker", "spk", "actor", "speaker id", "spk id", "actor id", "talker", "client id"),
    "text": ("text", "utterance", "transcript", "transcription", "sentence", "words"),
    "reply": ("reply", "response"),
    "language": ("language", "lang", "locale"),
    "licence": ("licence", "license"),
    "id": ("id", "key", "uid", "name", "file name"),
}
"""Names of columns by what they hold, the likeliest first, in lower case and with spaces between words."""

_KINDS: Mapping[str, tuple[Kind, ...]] = {
    "sound": ("sound",),
    "video": ("video",),
    "choices": ("list",),
    "label": ("class", "text", "number"),
    "answer": ("text", "number", "class"),
    "dialogue": ("text", "number"),
    "turn": ("number", "text"),
    "role": ("text", "class"),
    "speaker": ("text", "number", "class"),
    "text": ("text",),
    "reply": ("text",),
    "language": ("text", "class"),
    "licence": ("text", "class"),
    "id": ("text", "number"),
}
_BY_KIND = frozenset({"sound", "video"})
"""Role of a column by the kind of its values, whatever its name."""


@dataclass(frozen=True, slots=True)
class ProposedColumn:
    """A column, what it is proposed for, what tells so, and the columns that would do as well."""

    role: str
    column: str
    evidence: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """Proposal of a task on a table.

    Args:
        columns: in the order of `ColumnsSpec`.
        labels: of a `label`, in the order of tables.
        label_map: labels of the table that differ from one of these in case alone, and that one.
        seen: how often each label was seen.
        bounds: of a `number`, the lowest and the highest value that can be answered.
        noun: what is asked for, such as `emotion`.
        question_column: with the words of the question.
        clips_as_choices: the options are recordings.
    """

    columns: tuple[ProposedColumn, ...]
    question: Question
    labels: tuple[str, ...] = ()
    label_map: Mapping[str, str] = field(default_factory=dict)
    seen: Mapping[str, int] = field(default_factory=dict)
    bounds: tuple[float, float] = (0.0, 1.0)
    noun: str = "emotion"
    question_column: str | None = None
    clips_as_choices: bool = False

    def column(self, role: str) -> ProposedColumn | None:
        """The column that is proposed for something, if any."""
        return next((column for column in self.columns if column.role == role), None)


def propose(features: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Proposal:
    """Propose a task.

    Args:
        features: as `datasets.Features.to_dict` writes them; empty where the table has none.
        rows: the first ones, their media undecoded.
    """
    columns = see_columns(features, rows)
    turns = _records_of_turns(columns)
    leaves = _nameable(leaf for column in columns if column is not turns for leaf in column.leaves())
    if turns is None or turns.entries is None:
        return _with_question(_assign(NAMES, leaves), leaves)
    inside = _nameable(_within(turns, leaf) for field in turns.entries.fields for leaf in field.leaves())
    found = _assign([role for role in NAMES if role not in _OF_DIALOGUES], inside)
    found |= _assign([role for role in ("language", "licence", "id") if role not in found], leaves)
    proposed = _with_question(found, inside)
    column = ProposedColumn("turns", turns.path, "a list of records, one a turn")
    return replace(proposed, columns=(*proposed.columns, column))


_OF_DIALOGUES = ("dialogue", "turn", "id", "licence", "language")
"""Roles that columns of turns do not have."""

_Found = dict[str, list[tuple[SeenColumn, str]]]
"""By role, the columns that could have it with what tells so, the likeliest first."""


def _nameable(columns: Iterable[SeenColumn]) -> list[SeenColumn]:
    """The columns whose names can stand in a task, where braces would make a template of one."""
    return [column for column in columns if column.path and "{" not in column.path]


def _within(turns: SeenColumn, leaf: SeenColumn) -> SeenColumn:
    return replace(leaf, path=leaf.path.removeprefix(f"{turns.path}."))


def _records_of_turns(columns: Sequence[SeenColumn]) -> SeenColumn | None:
    """The list of records that holds the turns of a dialogue a row, with recordings or with labels of their own."""
    if any(column.kind in _BY_KIND for column in columns):
        return None
    for column in _nameable(columns):
        if column.entries is not None and column.entries.kind == "record":
            fields = [leaf for field in column.entries.fields for leaf in field.leaves()]
            if any(field.kind in _BY_KIND or _score("label", field) for field in fields):
                return column
    return None


def _assign(roles: Iterable[str], columns: Sequence[SeenColumn]) -> _Found:
    """Give each role its columns; a column is that of the first role whose likeliest it is."""
    found: _Found = {}
    taken: set[str] = set()
    for role in roles:
        scored = [(score, column) for column in columns if column.path not in taken and (score := _score(role, column))]
        scored.sort(key=lambda entry: -entry[0][0])
        if scored:
            found[role] = [(column, evidence) for (_, evidence), column in scored]
            taken.add(scored[0][1].path)
    return found


def _score(role: str, column: SeenColumn) -> tuple[float, str] | None:
    """Score of a column for a role, above 0, with the evidence; None where it does not fit."""
    if column.kind not in _KINDS[role] or not _values_fit(role, column):
        return None
    named = _named(role, column.name)
    if column.kind in _BY_KIND:
        return 1 + named, column.evidence
    if role == "choices" and column.entries is not None and column.entries.kind in _BY_KIND:
        return 1 + named, "a list of recordings"
    if role == "label" and column.kind == "class" and not _named("speaker", column.name):
        return 1 + named, column.evidence
    if not named:
        return None
    return named, "its name" if column.kind != "class" else f"its name, and {column.evidence}"


def _named(role: str, name: str) -> float:
    """Score of a name for a role: from 1 for the likeliest name to 0 for one that tells nothing."""
    words = re.findall(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])|\d+", name)
    spelled = " ".join(words).lower()
    known = NAMES[role]
    if spelled in known:
        return 1 - known.index(spelled) / 100
    joined = spelled.replace(" ", "")
    close = [position for position, usual in enumerate(known) if usual.replace(" ", "") == joined]
    if close:
        return 0.8 - close[0] / 100
    # A name with more words tells less, and one that numbers things is no text.
    numbered = {"id", "index", "idx", "number", "path", "file"} & set(spelled.split())
    if role in ("text", "label", "answer", "reply", "choices") and numbered:
        return 0
    parts = [position for position, usual in enumerate(known) if usual in spelled.split()]
    return 0.5 - parts[0] / 100 if parts else 0


def _values_fit(role: str, column: SeenColumn) -> bool:
    """False where the values that were seen cannot be what the role asks for."""
    texts = [str(value) for value in column.values]
    if role == "choices":
        entries = column.entries
        fits = entries is not None and entries.kind in ("text", "sound", "video")
        return fits and all(isinstance(value, list | tuple) and len(value) >= 2 for value in column.values)
    if role == "label" and column.kind != "class":
        whole = column.kind != "number" or all((as_number(text) or 0) % 1 == 0 for text in texts)
        return whole and len(set(texts)) <= MAX_LABELS and all(0 < len(text) <= MAX_NAME for text in texts)
    if role == "answer" and column.kind == "number":
        return all(abs(as_number(text) or 0) <= MAX_RATING for text in texts)
    if role == "role":
        named = column.classes or texts
        return set(named) <= {"user", "assistant"}
    if role == "id":
        return len(set(texts)) == len(texts)
    return role not in ("dialogue", "speaker", "turn", "language") or all(len(text) <= MAX_NAME for text in texts)


def _with_question(found: _Found, columns: Sequence[SeenColumn]) -> Proposal:
    """Decide on the question, and leave out the columns that it makes no use of."""
    if "choices" in found and "answer" not in found and "label" in found:
        found["answer"] = found.pop("label")
    if "choices" in found and "answer" not in found:
        del found["choices"]
    if "choices" in found:
        found.pop("label", None)
    elif "label" in found:
        found.pop("answer", None)
    if "dialogue" in found:
        found.pop("id", None)
    else:
        found.pop("turn", None)
    proposed = {
        role: ProposedColumn(role, found[role][0][0].path, found[role][0][1], tuple(c.path for c, _ in found[role][1:]))
        for role in ColumnsSpec.model_fields
        if role in found
    }
    asked = {role: found[role][0][0] for role in ("choices", "label", "answer") if role in found}
    words = next((column.path for column in columns if column.kind == "text" and _is_question(column.name)), None)
    proposal = Proposal(tuple(proposed.values()), "text", question_column=words)
    if "choices" in asked:
        entries = asked["choices"].entries
        clips = entries is not None and entries.kind in _BY_KIND
        return replace(proposal, question="choice", clips_as_choices=clips)
    if "label" in asked:
        counts = _count_labels(asked["label"])
        labels, same = _labels(asked["label"], counts)
        noun = _noun(asked["label"].name)
        return replace(proposal, question="label", labels=labels, label_map=same, seen=counts, noun=noun)
    if "answer" in asked and asked["answer"].kind == "number":
        values = [number for value in asked["answer"].values if (number := as_number(value)) is not None]
        return replace(proposal, question="number", bounds=usual_bounds(values), noun=_noun(asked["answer"].name))
    return proposal


def _is_question(name: str) -> bool:
    return name.lower() in ("question", "prompt", "instruction", "query")


def _count_labels(column: SeenColumn) -> dict[str, int]:
    """Counts of the labels that were seen, class numbers by their names."""
    counts: Counter[str] = Counter()
    for value in column.values:
        known = isinstance(value, int) and 0 <= value < len(column.classes)
        counts[column.classes[value] if known else _as_written(value)] += 1
    return dict(counts)


def _as_written(value: Any) -> str:
    """A label as a table's reader writes it, whole numbers in digits alone."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _labels(column: SeenColumn, counts: Mapping[str, int]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The labels in the order of tables, of classes in theirs; and those that differ in case alone, by each."""
    words = column.classes or tuple(label for label in order_labels(counts) if label in counts)
    first: dict[str, str] = {}
    for word in filter(None, words):
        first.setdefault(word.casefold(), word)
    same = {word: first[word.casefold()] for word in words if word and first[word.casefold()] != word}
    return tuple(first.values()), same


def _noun(name: str) -> str:
    """The noun of a question about a column.

    >>> _noun("major_emotion"), _noun("label"), _noun("sentiment")
    ('emotion', 'emotion', 'sentiment')
    """
    last = re.split(r"[^a-zA-Z]+", name.strip("_ ").lower())[-1].removesuffix("s") or "emotion"
    return "emotion" if last in ("label", "class", "category", "answer", "gold", "target", "score", "rating") else last


_USUAL_BOUNDS = ((0.0, 1.0), (-1.0, 1.0), (1.0, 5.0), (1.0, 7.0), (1.0, 9.0), (0.0, 10.0), (-3.0, 3.0), (0.0, 100.0))


def usual_bounds(values: Sequence[float]) -> tuple[float, float]:
    """The first usual scale that holds all values; else the whole numbers around them.

    >>> usual_bounds([0.2, 0.9]), usual_bounds([2, 4.5]), usual_bounds([-250, 3])
    ((0.0, 1.0), (1.0, 5.0), (-250.0, 3.0))
    """
    for low, high in _USUAL_BOUNDS:
        if all(low <= value <= high for value in values):
            return low, high
    low = float(math.floor(min(values)))
    return low, max(float(math.ceil(max(values))), low + 1)
