"""Read a number from an answer, and bring texts into a form in which equal answers are equal."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from avemo_harness.scorers.answers import answer_words

NUMBER_RULE = 1
"""Version of the rule by which numbers are read; results carry it."""

_FIGURE = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+[.,]\d+|\d+|\.\d+"
_NUMBER = re.compile(
    # A letter before or behind makes it a name or an ordinal, such as GPT-4 or 3rd; a hyphen behind a number a range.
    rf"(?<![A-Za-zÀ-ɏ_\d.,])(?<![A-Za-zÀ-ɏ]-)((?<![\w)])[-+])?({_FIGURE})(?![A-Za-zÀ-ɏ_\d])"
    r"(\s?(?:/|\bout\s+of\b|\bof\b)\s?\d+(?:[.,]\d+)?)?"
)
_ANNOUNCED = re.compile(
    r"\b(?:answer|score|rating|rate|value|estimate|grade)\b[^.\d\n+-]{0,30}(?=[-+]?\.?\d)|"
    r"(?:答案|评分|評分|分数|分數)[是为為:\s]*(?=[-+]?\d)",
    re.IGNORECASE,
)
_ENUMERATION = re.compile(r"(?m)^[ \t]*(\d{1,2})[.)][ \t]+(?=\D)")


@dataclass(frozen=True, slots=True)
class ParsedNumber:
    """A number with what decided; None means that the answer is invalid."""

    value: float | None
    why: str


def read_number(text: str, low: float, high: float) -> ParsedNumber:
    """Read the first number of an answer within a range; where one follows "rating:" or the like, from there on.

    Commas between groups of three digits are thousands separators, any other is a decimal comma. Of "4/5" and "4 out of
    5" the first number alone counts. The range itself, as in "from 1 to 5", and numbers of a numbered list are none,
    nor are numbers that stand in words or are written out.

    >>> read_number("On a scale of 1 to 5: 4/5.", 1, 5), read_number("−0,5", -1, 1).value
    (ParsedNumber(value=4.0, why='first number'), -0.5)
    >>> read_number("seven, or 12", 1, 5)
    ParsedNumber(value=None, why='no number from 1 to 5')
    """
    words = answer_words(text)
    if words is None:
        return ParsedNumber(None, "unfinished thought")
    words = re.sub(r"[−–‒]", "-", words)
    words = re.sub(_range_pattern(low, high), " ", words)
    if [found[1] for found in _ENUMERATION.finditer(words)][:2] == ["1", "2"]:
        words = _ENUMERATION.sub(" ", words)
    announced = [found.end() for found in _ANNOUNCED.finditer(words)]
    for why, start in [("announced", announced[-1])] if announced else []:
        if (value := _first_within(words, start, low, high)) is not None:
            return ParsedNumber(value, why)
    value = _first_within(words, 0, low, high)
    return ParsedNumber(value, "first number" if value is not None else f"no number from {low:g} to {high:g}")


def _range_pattern(low: float, high: float) -> re.Pattern[str]:
    ends = [rf"{re.escape(f'{end:g}')}(?:\.0+)?" for end in (low, high)]
    # A hyphen between them is a range only where nothing else can be meant.
    between = r"\s*(?:-|to|and|through|bis|至|到|~)\s*"
    return re.compile(rf"(?<![\d.]){ends[0]}{between}{ends[1]}(?![\d.]\d|\d)", re.IGNORECASE)


def _first_within(words: str, start: int, low: float, high: float) -> float | None:
    values = ((-1 if found[1] == "-" else 1) * _value(found[2]) for found in _NUMBER.finditer(words, start))
    return next((value for value in values if low <= value <= high), None)


def _value(figure: str) -> float:
    grouped = re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", figure)
    return float(figure.replace(",", "" if grouped else "."))


@dataclass(frozen=True)
class TextMatching:
    """Differences between a text and the true one, beside white space, that do not count.

    Args:
        ignore_case: capital and small letters.
        ignore_punctuation: whatever is neither a letter nor a digit.
        ignore_articles: "a", "an" and "the".
        compatible: forms of one character, such as full-width letters (Unicode NFKC).
    """

    ignore_case: bool = True
    ignore_punctuation: bool = True
    ignore_articles: bool = True
    compatible: bool = True

    def normalised(self, text: str) -> str:
        """The form in which texts are compared.

        >>> TextMatching().normalised("The ＡＮＧＥＲ, of a child!")
        'anger of child'
        """
        text = unicodedata.normalize("NFKC" if self.compatible else "NFC", text)
        if self.ignore_case:
            text = unicodedata.normalize("NFC", text.casefold())
        if self.ignore_punctuation:
            text = "".join(" " if unicodedata.category(x)[0] in "PSZ" else x for x in text.replace("'", ""))
        if self.ignore_articles:
            text = re.sub(r"\b(?:a|an|the)\b", " ", text, flags=re.IGNORECASE)
        return " ".join(text.split())
