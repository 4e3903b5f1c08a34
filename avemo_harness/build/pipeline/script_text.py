"""What a written dialogue must be: turns that alternate, and words that can be spoken and tell no emotion."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from avemo_harness.benchmark.release import EMOTIONS, Role
from avemo_harness.build.pipeline.chat import UnfitError
from avemo_harness.build.pipeline.leak_words import find_leaks

LONGEST_STYLE = 200
"""Characters of a style."""
_UNSPOKEN = frozenset("[](){}<>*_#|~\\=^`")
_TRANSCRIPT_KEYS = ("role", "text")
_STYLE_KEYS = ("emotion", "style")


@dataclass(frozen=True, slots=True)
class TextRules:
    """What the words of a dialogue must be.

    Args:
        longest: characters of an utterance.
        leak_words: by emotion, added to those of `leak_words.LEAK_WORDS`.
    """

    longest: int
    leak_words: Mapping[str, Sequence[str]] = field(default_factory=dict)


def role_of(turn: int) -> Role:
    """Whose turn it is: the user speaks first."""
    return "assistant" if turn % 2 else "user"


def turns_schema(**properties: Sequence[str] | None) -> Mapping[str, object]:
    """The JSON schema of ``{"turns": [{…}, …]}`` with string properties; the values of one may be listed.

    >>> turns_schema(text=None)["required"]
    ['turns']
    """
    values = {
        name: {"type": "string", "enum": list(listed)} if listed else {"type": "string"}
        for name, listed in properties.items()
    }
    turn = {"type": "object", "properties": values, "required": list(values), "additionalProperties": False}
    return {
        "type": "object",
        "properties": {"turns": {"type": "array", "items": turn}},
        "required": ["turns"],
        "additionalProperties": False,
    }


TRANSCRIPT_SCHEMA = turns_schema(role=("user", "assistant"), text=None)
STYLES_SCHEMA = turns_schema(emotion=EMOTIONS, style=None)


def read_transcript(told: Any, turns: int, rules: TextRules) -> tuple[str, ...]:
    """The texts of a transcript, ``{"turns": [{"role": …, "text": …}, …]}``, one for each turn.

    Raises:
        UnfitError: with everything that is wrong.
    """
    rows = _rows(told, turns, _TRANSCRIPT_KEYS)
    texts = [" ".join(row["text"].split()) for row in rows]
    problems = []
    for turn, (row, text) in enumerate(zip(rows, texts, strict=True)):
        if row["role"] != role_of(turn):
            problems.append(f"utterance {turn + 1} must be the {role_of(turn)}'s")
        problems += [f"utterance {turn + 1} {problem}" for problem in _text_problems(text, rules)]
        said = [_folded(earlier) for earlier in texts[:turn]]
        if _folded(text) in said:
            problems.append(f"utterance {turn + 1} repeats utterance {said.index(_folded(text)) + 1}")
    if problems:
        raise UnfitError(problems)
    return tuple(texts)


def read_styles(told: Any, turns: int, wanted: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Emotion and style of each turn, from ``{"turns": [{"emotion": …, "style": …}, …]}``.

    Args:
        wanted: emotions of the user's turns, in order.

    Raises:
        UnfitError: with everything that is wrong.
    """
    rows = _rows(told, turns, _STYLE_KEYS)
    problems = []
    for turn, row in enumerate(rows):
        right = EMOTIONS if turn % 2 else (wanted[turn // 2],)
        style = row["style"].strip()
        if row["emotion"] not in right:
            problems.append(f"the emotion of utterance {turn + 1} must be {' or '.join(right)}, not {row['emotion']}")
        if not any(letter.isalpha() for letter in style):
            problems.append(f"the style of utterance {turn + 1} is empty")
        if len(style) > LONGEST_STYLE or not style.isprintable():
            problems.append(f"the style of utterance {turn + 1} must be one line of at most {LONGEST_STYLE} characters")
    if problems:
        raise UnfitError(problems)
    return tuple((row["emotion"], row["style"].strip()) for row in rows)


def _rows(told: Any, turns: int, keys: Sequence[str]) -> list[Mapping[str, str]]:
    rows = told.get("turns") if isinstance(told, dict) else None
    if not isinstance(rows, list):
        raise UnfitError(['the answer must be an object with a list "turns"'])
    if len(rows) != turns:
        raise UnfitError([f"there are {len(rows)} utterances, {turns} were asked for"])
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in keys):
            raise UnfitError([f"utterance {number} must be an object with the texts {' and '.join(keys)}"])
    return rows


def _text_problems(text: str, rules: TextRules) -> list[str]:
    problems = []
    if not any(letter.isalpha() for letter in text):
        problems.append("has no words")
    if len(text) > rules.longest:
        problems.append(f"has {len(text)} characters, at most {rules.longest} are allowed")
    if not text.isprintable() or any(letter in _UNSPOKEN or unicodedata.category(letter) == "So" for letter in text):
        problems.append("has signs that are not spoken: give words only, no stage directions, markup or emoji")
    leaks = find_leaks(text, rules.leak_words)
    problems += [f"tells an emotion by the word {leak.word!r}" for leak in leaks]
    return problems


def _folded(text: str) -> str:
    """A text for comparing: letters and digits alone."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())
