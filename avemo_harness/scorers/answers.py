"""From what a model said to one of the task's labels, or to none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from avemo_harness.benchmark.task import LabelOutput, RankBy
from avemo_harness.scorers.answer_claims import find_announcement, find_claims
from avemo_harness.scorers.answer_text import clean_answer
from avemo_harness.scorers.answer_words import Kind, Token, Vocabulary
from avemo_harness.scorers.base import Answer, ScoreLine
from avemo_harness.scorers.ranking import RankingError, label_scores

PARSING_RULE = 2
"""Version of the rule by which generated text is read; results carry it."""

_PUNCTUATION = {Kind.STOP, Kind.COMMA, Kind.COLON, Kind.QUESTION, Kind.NEWLINE}


@dataclass(frozen=True, slots=True)
class ParsedLabel:
    """A label with the step that decided; label None means that the answer is invalid.

    Args:
        why: ``exact`` (nothing but the label), ``announced`` (behind the last "answer:" or the like), ``only label``;
            without a label ``no label``, ``several labels``, ``negated label``, ``list of all labels`` or
            ``unfinished thought``; of ranked labels, what ranks them.
    """

    label: str | None
    why: str


def read_label(text: str, output: LabelOutput) -> ParsedLabel:
    """Read a label from generated text by version 2 of the rule, in linear time.

    Thoughts, markup and polite formulas are no answer. Labels are dropped that are negated, asked about, reported or
    explain another emotion. If what follows the last "answer:", "emotion is" or "->" claims exactly one label, it
    decides; else the one label that the whole answer claims. Everything else is invalid.

    >>> emotions = LabelOutput(type="label", labels=["happy", "sad"], synonyms={"en": {"happy": ["joyful"]}})
    >>> read_label("**Joyful!**", emotions)
    ParsedLabel(label='happy', why='exact')
    >>> read_label("He isn't happy, he's sad.", emotions).label
    'sad'
    >>> read_label("I'd be happy to help, but I cannot watch videos.", emotions)
    ParsedLabel(label=None, why='no label')
    """
    clean = clean_answer(text)
    if clean.unfinished:
        return ParsedLabel(None, "unfinished thought")
    vocabulary = Vocabulary.of(output)
    tokens = vocabulary.tokens(clean.text)
    if exact := _exact(clean.text, tokens, vocabulary):
        return ParsedLabel(exact, "exact")
    claims = find_claims(tokens, len(output.labels))
    for why, start in (("announced", find_announcement(claims)), ("only label", 0)):
        if start is not None and len(labels := claims.labels(start)) == 1:
            return ParsedLabel(labels.pop(), why)
    return ParsedLabel(None, "several labels" if claims.labels() else claims.dropped or "no label")


def _exact(text: str, tokens: Sequence[Token], vocabulary: Vocabulary) -> str | None:
    """The label that is all the answer says; of answers without any word, by their signs (emojis)."""
    words = [token for token in tokens if token.kind not in _PUNCTUATION]
    if words:
        named = {token.label for token in words}
    else:
        named = {label for sign, label in vocabulary.signs.items() if sign in text}
    return named.pop() if len(named) == 1 else None


_HIGHEST: dict[RankBy, str] = {
    "raw": "highest log-probability",
    "length_normalised": "highest log-probability per token",
    "prior_corrected": "highest log-probability less that without media",
}


def rank_label(answer: Answer, output: LabelOutput) -> ParsedLabel:
    """Read the label with the highest score of the task's `rank_by`; the first of equals, in the task's order."""
    try:
        scores = label_scores(answer, output.labels, output.rank_by)
    except RankingError as missing:
        return ParsedLabel(None, str(missing))
    return ParsedLabel(output.labels[scores.index(max(scores))], _HIGHEST[output.rank_by])


def read_answer(answer: Answer, output: LabelOutput) -> ParsedLabel:
    """Read a label from a stored answer by the task's method."""
    if output.method == "rank":
        return rank_label(answer, output)
    return read_label(answer.text or "", output)


def parsing_details(lines: Sequence[ScoreLine], output: LabelOutput) -> dict[str, Any]:
    """Version of the rule that read generated answers, and how many of the scored ones each step decided.

    Empty for ranked labels, which are not parsed.
    """
    if output.method == "rank":
        return {}
    steps = Counter(line.why for line in lines if line.verdict not in ("error", "missing"))
    return {"parsing": {"rule": PARSING_RULE, "steps": dict(sorted(steps.items()))}}


def unscored_line(answer: Answer) -> ScoreLine:
    """The line of an item that has no answer to score."""
    if answer.missing:
        return ScoreLine(answer.item, None, None, "missing", "not answered yet")
    return ScoreLine(answer.item, None, None, "error", answer.error or "")
