"""Read the letter of an option from an answer to a choice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from avemo_harness.benchmark.request import Item, Response
from avemo_harness.benchmark.task import LETTERS, ChoiceOutput, LabelOutput
from avemo_harness.scorers.answers import ParsedLabel, answer_words, rank_label, read_answer

CHOICE_RULE = 1
"""Version of the rule by which letters are read; results carry it."""

_BEFORE, _BEHIND = r"(?<![A-Za-zÀ-ɏ0-9'&-])", r"(?![A-Za-zÀ-ɏ0-9'&-])"
_LETTER = re.compile(rf"{_BEFORE}([A-Z]){_BEHIND}")
_MARKED = re.compile(rf"[(\[]\s?([A-Za-z])\s?[)\]]|{_BEFORE}([A-Za-z])[)](?!\w)|(?m:^)\s*([A-Za-z])\s?[.:]\s")
"""A letter in brackets, or one that begins a line as options do."""
_REASON = r"(?:because|since|is|as|and|or|fits?|seems?|sounds?|matches|best|but|for|over|not|rather|due|given|it)\b"
_ARTICLE = re.compile(rf"A\s+(?!{_REASON})[a-z]|I\s+(?!(?:because|since|is|fits|seems|sounds|matches)\b)[a-z]|I'")
"""Letters that are words: an article, a pronoun."""

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_THINGS = (
    r"(?:options?|choices?|clips?|repl(?:y|ies)|responses?|recordings?|audios?|videos?|ones?|answers?|candidates?)"
)
_ORDINAL = re.compile(
    rf"\b({'|'.join(_ORDINALS)}|last)\s+(?:\w+\s+)?{_THINGS}\b|"
    r"\b(?:option|choice|clip|reply|response|recording|audio|video|candidate|number)\s*(?:no\.?\s*|#\s*)?(\d{1,2})\b|"
    r"第\s?([一二三四五六七八九十]|\d{1,2})\s?(?:个|個|段|项|項|番|の)",
    re.IGNORECASE,
)
_CHINESE = "一二三四五六七八九十"

_ANNOUNCING = re.compile(
    r"(?:\b(?:final|correct|best|right|my)?\s?(?:answer|choice|selection|pick|antwort|respuesta|réponse)\b"
    r"(?:\s+(?:here|should|would|must|is|be|ist|es|est|to\s+this|option))*|"
    r"\b(?:i|i'd|i'll|we)\s+(?:would\s+|will\s+)?(?:choose|pick|select|go\s+with|say|vote\s+for)\b|"
    r"答案(?:应该|應該)?(?:是|为|為)?|正确(?:选项|答案)(?:是|为)?|我?(?:选择|選擇|选|選)|正解は|答えは|정답은|답은|→)"
    r"\s*[:=]?\s*",
    re.IGNORECASE,
)
_CLAIMED = re.compile(
    r"(?:(?:the|option|choice|letter|clip|reply|response|选项|選項)\s+)*"
    rf"[(\[]?\s?([A-Za-z])\s?[)\]]?{_BEHIND}",
    re.IGNORECASE,
)
_JOINED = re.compile(
    rf"\s*(?:,|/|&|\+|and|or|und|oder|y|o|et|ou|和|或|と|か)\s*(?:option\s+)?[(\[]?([A-Z])[)\]]?{_BEHIND}"
)
_DENIED_BEFORE = re.compile(
    r"(?:\bnot|n't|\bnever|\brather\s+than|\binstead\s+of|\bexcept|\bunlike|\bneither|\bnor|\bthan|\brules?\s+out|"
    r"\beliminate|不是|不选|不選|而不是)\s+(?:be\s+|the\s+)?(?:option\s+|choice\s+|clip\s+|answer\s+)?[(\[]?$",
    re.IGNORECASE,
)
_DENIED_BEHIND = re.compile(
    r"[)\]]?\s+(?:(?:is|are|was|seems?|sounds?)\s+)?(?:wrong|incorrect|not\b|isn't|doesn't|cannot|can't|does\s+not)",
    re.IGNORECASE,
)
_PUNCTUATION = re.compile(r"[\W_]+")


def read_choice(text: str, options: Sequence[str]) -> ParsedLabel:
    """Read the letter of one of the options from generated text, in linear time.

    What follows the last "answer is", "I choose" or the like decides, if it names one letter; else the one letter that
    the answer names, also as "Option B", "(b)" or "the second clip"; else the one option whose text it repeats. A
    letter that is denied is none, nor are the article "a" and the pronoun "I". Everything else is invalid: several
    letters, a letter that no option has, "both", "neither".

    Args:
        options: their texts in the order shown; empty for recordings.

    >>> read_choice("The answer is B because a smile is heard.", ["sad", "happy"])
    ParsedLabel(label='B', why='announced')
    >>> read_choice("Happy!", ["sad", "happy"]), read_choice("A or B", ["sad", "happy"])
    (ParsedLabel(label='B', why='the text of an option'), ParsedLabel(label=None, why='several letters'))
    """
    words = answer_words(text)
    if words is None:
        return ParsedLabel(None, "unfinished thought")
    letters = LETTERS[: len(options)]
    bare = _PUNCTUATION.sub("", words)
    if len(bare) == 1 and bare.isascii() and bare.isalpha():
        return _letter(bare.upper(), letters, "exact")
    repeated = [index for index, option in enumerate(options) if option and _folded(option) == _folded(words)]
    if len(repeated) == 1:
        return ParsedLabel(letters[repeated[0]], "the text of an option")
    announced = list(_announced(words, len(options)))
    if announced:
        named = announced[-1]
        return _letter(named.pop(), letters, "announced") if len(named) == 1 else ParsedLabel(None, "several letters")
    mentioned = _mentioned(words, len(options))
    if len(mentioned) == 1:
        return _letter(mentioned.pop(), letters, "only letter")
    if mentioned:
        return ParsedLabel(None, "several letters")
    found = _repeated(words, options)
    if len(found) == 1:
        return ParsedLabel(letters[found.pop()], "the text of an option")
    return ParsedLabel(None, "several options" if found else "no letter")


def read_option(response: Response, output: ChoiceOutput, item: Item) -> ParsedLabel:
    """Read the letter of an item's option from a stored answer by the task's method."""
    if output.method == "rank":
        letters = tuple(LETTERS[: len(item.order)])
        return rank_label(response, LabelOutput(type="label", labels=letters, method="rank"))
    return read_choice(response.text or "", item.choices)


def read_named(response: Response, output: LabelOutput | ChoiceOutput, item: Item) -> ParsedLabel:
    """Read the label or the letter that an answer names."""
    return read_option(response, output, item) if isinstance(output, ChoiceOutput) else read_answer(response, output)


def _letter(letter: str, letters: str, why: str) -> ParsedLabel:
    return ParsedLabel(letter, why) if letter in letters else ParsedLabel(None, "no such option")


def _announced(words: str, options: int) -> Iterator[set[str]]:
    """The letters that follow each announcement, of those that claim any."""
    for found in _ANNOUNCING.finditer(words):
        rest = words[found.end() : found.end() + 120]
        claim = _CLAIMED.match(rest)
        if claim is None:
            ordinal = _ORDINAL.match(re.sub(r"^the\s+", "", rest, flags=re.IGNORECASE))
            if ordinal is not None:
                yield {_letter_of(ordinal, options)}
            continue
        letter, behind = claim[1], rest[claim.end() :]
        # A small letter is one only where nothing follows that it may be an article or a word of.
        if letter.islower() and re.match(r"\s*\w", behind) and claim[0].strip()[-1] not in ")]":
            continue
        if _ARTICLE.match(rest[claim.start(1) :]) or _DENIED_BEHIND.match(behind):
            continue
        letters = {letter.upper()}
        end = claim.end()
        while (other := _JOINED.match(rest, end)) is not None:
            letters.add(other[1])
            end = other.end()
        yield letters


def _mentioned(words: str, options: int) -> set[str]:
    """The letters that an answer names anywhere, but for those that it denies."""
    mentions = [(found.start(1), found.end(1), found[1]) for found in _LETTER.finditer(words)]
    mentions = [mention for mention in mentions if not _ARTICLE.match(words, mention[0])]
    for found in _MARKED.finditer(words):
        which = found.lastindex or 0
        mentions.append((found.start(which), found.end(which), found[which].upper()))
    mentions += [(found.start(), found.end(), _letter_of(found, options)) for found in _ORDINAL.finditer(words)]
    return {
        letter
        for start, end, letter in mentions
        if not _DENIED_BEFORE.search(words, max(0, start - 40), start) and not _DENIED_BEHIND.match(words, end)
    }


def _letter_of(ordinal: re.Match[str], options: int) -> str:
    """The letter of the option that is named by its place; one that there is not where no option has it."""
    word, number, chinese = ordinal.groups()
    if word is not None:
        index = options - 1 if word.lower() == "last" else _ORDINALS.index(word.lower())
    else:
        written = number or chinese
        index = (int(written) if written.isdigit() else _CHINESE.index(written) + 1) - 1
    return LETTERS[index] if 0 <= index < len(LETTERS) else "?"


def _folded(text: str) -> str:
    return " ".join(_PUNCTUATION.sub(" ", text.casefold()).split())


def _repeated(words: str, options: Sequence[str]) -> set[int]:
    """Places of the options whose texts stand in an answer as whole words, and in no longer option that does too."""
    told = f" {_folded(words)} "
    folded = [_folded(option) for option in options]
    found = {index for index, option in enumerate(folded) if option and f" {option} " in told}
    left = told
    for index in sorted(found, key=lambda index: -len(folded[index])):
        if f" {folded[index]} " not in left:
            found.discard(index)
        left = left.replace(f" {folded[index]} ", " | ")
    denied = {
        p for p in found if re.search(rf"\b(?:not|never|no|n t|isn t) (?:a |an |the )?{re.escape(folded[p])} ", told)
    }
    return found - denied
