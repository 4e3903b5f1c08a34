"""Tokens of a cleaned answer: labels, and the words and marks that decide what is said of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.scorers.answer_words import MARKS, PHRASES, Kind

_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u3005"
_HANGUL = "\uac00-\ud7a3"
_PIECE = re.compile(
    rf"(?P<unspaced>[{_UNSPACED}]+)|(?P<hangul>[{_HANGUL}]+)|\d+(?:[.,]\d+)*|(?:(?![{_UNSPACED}{_HANGUL}])[^\W_])+"
    r"|[→=/&、,:?.。!;()—\n]"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word or mark with the part it plays; `label` is set where it names one."""

    kind: Kind
    text: str
    label: str | None = None


class Vocabulary:
    """Labels, their synonyms and the steering words, by their spelling.

    A word of a spaced script is found as a whole word, one in Hangul (to which particles are attached) at the beginning
    of a word, one in Chinese or Japanese characters anywhere; the longest at a place wins.
    """

    def __init__(self, words: Mapping[str, str]) -> None:
        self.spaced: dict[str, Token] = {}
        self.unspaced: dict[str, Token] = {}
        self.signs: dict[str, str] = {}
        for kind, phrases in PHRASES.items():
            for phrase in phrases:
                # The first kind listed for a word is the one that it has in a sentence.
                self._shelf(phrase).setdefault(phrase, Token(kind, phrase))
        for word, label in words.items():
            spelling = spell(word)
            if spelling:
                self._shelf(spelling)[spelling] = Token(Kind.LABEL, spelling, label)
            else:
                self.signs[_folded(word)] = label
        self._most_words = max(len(phrase.split()) for phrase in self.spaced)
        self._longest_unspaced = max(map(len, self.unspaced), default=1)
        self._longest_hangul = max(map(len, filter(_is_hangul, self.spaced)), default=1)

    @classmethod
    def of(cls, output: LabelOutput) -> Vocabulary:
        """Vocabulary of a task's labels and synonyms; made once for each set of them."""
        languages = output.synonyms.values()
        synonyms = tuple((word, label) for labels in languages for label, words in labels.items() for word in words)
        return _vocabulary((*synonyms, *((label, label) for label in output.labels)))

    def _shelf(self, phrase: str) -> dict[str, Token]:
        return self.unspaced if is_unspaced(phrase) else self.spaced

    def tokens(self, text: str) -> list[Token]:
        """Tokens of a text from `clean_answer`, in linear time."""
        pieces = _pieces(text)
        found: list[Token] = []
        at = 0
        while at < len(pieces):
            piece, script = pieces[at]
            if piece in MARKS:
                found.append(Token(MARKS[piece], piece))
                at += 1
            elif script == "unspaced":
                found += self._unspaced_tokens(piece)
                at += 1
            else:
                token, taken = self._spaced_token([piece for piece, _ in pieces[at : at + self._most_words]], script)
                found.append(token)
                if script == "hangul":
                    found += _hangul_ending(pieces[at + taken - 1][0], token)
                at += taken
        return found

    def _spaced_token(self, following: list[str], script: str | None) -> tuple[Token, int]:
        for taken in range(len(following), 0, -1):
            phrase = " ".join(following[:taken])
            if token := self.spaced.get(phrase):
                return token, taken
            if script == "hangul":
                shortest = len(phrase) - len(following[taken - 1]) + 1
                for end in range(min(len(phrase), self._longest_hangul), shortest - 1, -1):
                    token = self.spaced.get(phrase[:end])
                    # A single syllable begins many words; only negations are that short and inflected.
                    if token and (end > 1 or token.kind is Kind.END_NEGATION):
                        return token, taken
        return Token(Kind.WORD, following[0]), 1

    def _unspaced_tokens(self, run: str) -> Iterator[Token]:
        at = passed = 0
        while at < len(run):
            lengths = range(min(self._longest_unspaced, len(run) - at), 0, -1)
            token = next((self.unspaced[run[at : at + n]] for n in lengths if run[at : at + n] in self.unspaced), None)
            if token is None:
                at += 1
                continue
            if passed < at:
                yield Token(Kind.WORD, run[passed:at])
            yield token
            at = passed = at + len(token.text)
        if passed < len(run):
            yield Token(Kind.WORD, run[passed:])


_HANGUL_NEGATION = re.compile("않|아니|아닌|아닙|없|못하")


def _hangul_ending(word: str, token: Token) -> Iterator[Token]:
    """A negation or particle that is written together with the word before it."""
    ending = word[len(token.text.rsplit(" ", 1)[-1]) :]
    if token.kind is Kind.LABEL and _HANGUL_NEGATION.search(ending):
        yield Token(Kind.END_NEGATION, ending)
    if token.kind is Kind.MARKER and ending in ("은", "는", "이", "가"):
        yield Token(Kind.COPULA, ending)


def _is_hangul(word: str) -> bool:
    return bool(re.match(f"[{_HANGUL}]", word))


def is_unspaced(word: str) -> bool:
    """Whether a word has characters of a script that sets no spaces, Chinese or Japanese."""
    return re.search(f"[{_UNSPACED}]", word) is not None


def _folded(word: str) -> str:
    return unicodedata.normalize("NFKC", word).casefold().replace("’", "'")


def spell(word: str) -> str:
    """A label or synonym as it is looked up: folded words with single spaces; empty for a sign such as an emoji.

    >>> spell("En-Colère"), spell("😊")
    ('en colère', '')
    """
    return " ".join(piece for piece, _ in _pieces(_folded(word)) if piece not in MARKS)


def _pieces(text: str) -> list[tuple[str, str | None]]:
    """Words and marks with the script of those that are not spaced by words; contracted negations stand apart."""
    apart = re.sub(r"\bn'(?=\w)", "ne ", re.sub(r"n't\b", " not", text))
    return [(match[0], match.lastgroup) for match in _PIECE.finditer(apart)]


@lru_cache(maxsize=32)
def _vocabulary(words: tuple[tuple[str, str], ...]) -> Vocabulary:
    return Vocabulary(dict(words))
