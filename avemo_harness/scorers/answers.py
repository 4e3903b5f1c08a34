"""From what a model said to one of the task's labels, or to none."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

from avemo_harness.benchmark.task import LabelOutput, RankBy
from avemo_harness.scorers.base import Answer, ScoreLine
from avemo_harness.scorers.ranking import RankingError, label_scores

_NEGATED = r"(?:\b(?:not|no|never|neither|nor|without|hardly)|n't)\s+(?:\w+\s+){0,2}$"


@dataclass(frozen=True, slots=True)
class Reading:
    """A label with the rule that found it; label None means that the answer is invalid."""

    label: str | None
    why: str


def read_label(text: str, output: LabelOutput) -> Reading:
    """Read a label from generated text.

    An answer that is exactly a label, or that holds the words of exactly one label, names it. Words of several labels,
    of none, or a negated one make it invalid. Case, Unicode form, markup and quotes do not matter.

    >>> emotions = LabelOutput(type="label", labels=["happy", "sad"], synonyms={"happy": ["joyful"]})
    >>> read_label("**Joyful!**", emotions).label
    'happy'
    >>> read_label("not happy", emotions)
    Reading(label=None, why='negated label')
    """
    plain = _plain(text)
    words = _label_words(output.labels, tuple(output.synonyms.items()))
    if plain in words:
        return Reading(words[plain], "exact")
    found: set[str] = set()
    for match in _word_pattern(tuple(words)).finditer(plain):
        if re.search(_NEGATED, plain[: match.start()]):
            return Reading(None, "negated label")
        found.add(words[match[0]])
    if len(found) == 1:
        return Reading(found.pop(), "word")
    return Reading(None, "several labels" if found else "no label")


_HIGHEST: dict[RankBy, str] = {
    "raw": "highest log-probability",
    "length_normalised": "highest log-probability per token",
    "prior_corrected": "highest log-probability less that without media",
}


def rank_label(answer: Answer, output: LabelOutput) -> Reading:
    """Read the label with the highest score of the task's `rank_by`; the first of equals, in the task's order."""
    try:
        scores = label_scores(answer, output.labels, output.rank_by)
    except RankingError as missing:
        return Reading(None, str(missing))
    return Reading(output.labels[scores.index(max(scores))], _HIGHEST[output.rank_by])


def read_answer(answer: Answer, output: LabelOutput) -> Reading:
    """Read a label from a stored answer by the task's method."""
    if output.method == "rank":
        return rank_label(answer, output)
    return read_label(answer.text or "", output)


def unscored_line(answer: Answer) -> ScoreLine:
    """The line of an item that has no answer to score."""
    if answer.missing:
        return ScoreLine(answer.item, None, None, "missing", "not answered yet")
    return ScoreLine(answer.item, None, None, "error", answer.error or "")


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    without_tags = re.sub(r"<[^<>]{0,80}>", " ", folded)
    kept = re.sub(r"[^\w'\s]|_", " ", without_tags)
    return " ".join(kept.split()).strip("' ")


@cache
def _label_words(labels: tuple[str, ...], synonyms: tuple[tuple[str, tuple[str, ...]], ...]) -> dict[str, str]:
    """The label that each word stands for."""
    words = {_plain(label): label for label in labels}
    for label, others in synonyms:
        words.update({_plain(word): label for word in others})
    return words


@cache
def _word_pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)")
