"""Words of an answer: labels, and the words and marks that decide what is said of them.

English, Chinese, Japanese, Korean, German, Spanish and French, all at once: a model may answer in any. A longer phrase
wins over those within it, so phrases that only look like another kind are listed as WORD.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import ClassVar

from avemo_harness.benchmark.task import LabelOutput


class Kind(Enum):
    """Part that a token plays in a clause."""

    LABEL = auto()
    WORD = auto()
    NEGATION = auto()
    """Covers the rest of its clause."""
    END_NEGATION = auto()
    """Follows what it negates, as in Japanese and Korean."""
    REPORT = auto()
    """Content of the speech, which is no judgement of its emotion; covers the rest of its clause."""
    CONCESSION = auto()
    """Covers its clause where it begins a sentence."""
    CONDITION = auto()
    """Covers the sentence."""
    REASON = auto()
    """Labels behind it count only where no other does."""
    CONTRAST = auto()
    """Ends a clause."""
    TENTATIVE = auto()
    """Weighs what a contrast then corrects."""
    EMOTION = auto()
    """No label, unless of the task: as the whole answer, what follows explains it."""
    OR = auto()
    AND = auto()
    MARKER = auto()
    """Announces the answer."""
    SUMMARY = auto()
    """Announces the answer where a label, a comma or a colon follows."""
    CORRECTION = auto()
    """Announces another answer where it begins a clause."""
    ARROW = auto()
    NOT_FINAL = auto()
    """Beside a marker or arrow: it announces one of several emotions."""
    VERB = auto()
    """Ties a marker to its label, a label to a negation behind (sad would be wrong)."""
    EXPLANATION = auto()
    """With a colon: what follows explains the answer."""
    THEME = auto()
    """Behind a label: it belongs to what is talked about (a sad movie)."""
    COMMA = auto()
    COLON = auto()
    QUESTION = auto()
    STOP = auto()
    NEWLINE = auto()


_LISTS: dict[Kind, str] = {
    Kind.NEGATION: """
        not, no, never, neither, nor, none, nothing, nobody, without, hardly, barely, cannot, non, lack, lacks, lacked,
        lacking, absence of, absent, free of, free from, far from, anything but, less, than, instead of, unlike, except,
        apart from, little, unlikely, wrong, incorrect, doubt, doubts, whether, rule out, rules out, ruled out,
        ruling out, deny, denies, fail to, fails to, failed to, failing to, unable to, refuse to, refuses to,
        refused to, used to, pretends, pretending, pretend, too, isnt, arent, wasnt, werent, dont, doesnt, didnt, cant,
        couldnt, wont, wouldnt, shouldnt, hasnt, havent, aint, nicht, kein, keine, keinen, keiner, keinem, keines,
        keinerlei, nie, niemals, nichts, niemand, wenig, weder, ohne, kaum, statt, anstatt, anstelle, keineswegs, ob,
        weniger, ni, nunca, nada, poco, sin, tampoco, ningún, ninguna, apenas, en lugar de, en vez de, menos, ne, pas,
        peu, rien, jamais, sans, aucun, aucune, guère, plutôt que, au lieu de, moins, exclude, excluded, least likely,
        zero, 0, hesitate to, claims to, hard to believe, false, nein, alles andere als, nadie, lejos de, loin,
        opposite, avoids, allegedly, nowhere
        不, 虽然, 雖然, 尽管, 儘管, 没, 沒, 無, 无, 非, 未, 是否, 而不是, 而非, 缺乏, 难以, 難以, 别, 別, 否, いいえ
        안, 아니오
    """,
    Kind.END_NEGATION: """
        ない, なさ, なく, なかっ, ません
        않, 아니, 아닌, 아닙, 아닐, 없, 못하, 못했
    """,
    Kind.REPORT: """
        says, said, saying, asks, tells, telling, mentions, mentioned, mentioning, hopes, wishes, wish, wants, want,
        tries to, try to, trying to, would like to, make you, titled, about, the word, the words, talks of, speaks of,
        quote, quotes, sagt, über, hofft, dice, habla de, sobre, espera, dit, parle de, espère, is called, was called,
        i hope, listener, other person, someone, everyone
        谈到, 談到, 提到, 关于, 關於, 讲述, 講述, 希望, について
    """,
    Kind.CONCESSION: """
        although, though, even though, despite, in spite of, while, even if, regardless of, whereas, obwohl, trotz,
        aunque, a pesar de, bien que, malgré, quoique
    """,
    Kind.CONDITION: """
        if, unless, wenn, si
        如果, 若是, 要是, もし
        만약
    """,
    Kind.REASON: """
        because, since, due to, weil, wegen, porque, debido a, parce que, car
        因为, 因為, 由于, 由於
    """,
    Kind.CONTRAST: """
        but, however, yet, instead, sondern, aber, sino, pero, mais, donc, so it, so he, so she, so they, so the,
        so this, now she, now he
        但, 但是, 而是, 所以, 因此, 可是, 然而, 不过, 不過, しかし, でも, だから
    """,
    Kind.TENTATIVE: """
        might, may, could, perhaps, maybe, possibly, thought, at first, earlier, previous, at the beginning,
        at the start, between, considered, leaning, zuerst, anfangs, könnte, al principio, podría, d abord, au début
        起初, 一开始, 可能, 最初
    """,
    Kind.EMOTION: """
        surprised, surprise, excited, excitement, frustrated, frustration, annoyed, fear, fearful, afraid, scared,
        anxious, anxiety, nervous, worried, disgust, disgusted, disappointed, amused, amusement, confused, contempt,
        überrascht, überraschung, angst, ekel, sorprendido, sorprendida, sorpresa, miedo, asco, peur, surpris, dégoût
        惊讶, 恐惧, 害怕, 厌恶, 驚き, 恐れ
        놀람, 두려움
    """,
    Kind.OR: """
        or, /, oder, ou, o, u
        或, 还是, 還是, または, もしくは
        또는, 혹은
    """,
    Kind.AND: """
        and, &, plus, 、, und, y, e, et
        和, 与, 與, 及, および
        그리고
    """,
    Kind.MARKER: """
        answer, answers, emotion, emotions, label, prediction, classification, verdict, my choice, final choice,
        emotional state, last clip, closest, antwort, emotionen, gefühl, respuesta, emoción, etiqueta, réponse, émotion,
        étiquette
        答案, 情绪, 情緒, 情感, 标签, 標籤, 结论, 結論, 选择, 選擇, 答え, 回答, 感情, ラベル
        정답, 답, 답변, 감정, 라벨, 결론
    """,
    Kind.SUMMARY: """
        overall, in conclusion, conclusion, in summary, to conclude, closest to, maps to, falls under, i choose,
        i d choose, i d go with, i d pick, i d say, insgesamt, en conclusión
        综上, 総合的に, 总的来说
    """,
    Kind.CORRECTION: """
        wait, no wait, actually, correction
        不对
    """,
    Kind.ARROW: """
        →
    """,
    Kind.NOT_FINAL: """
        voice, vocal, face, facial, audio, video, visual, visually, tone, expression, words, text, speech, sound, other,
        another, also, first, initial, initially, assistant, stimme, gesicht, voz, cara, rostro, voix, visage
        语音, 語音, 声音, 聲音, 面部, 表情, 脸, 臉, 文字, 文本, 视频, 視頻, 音频, 音頻, 声, 顔
        목소리, 얼굴, 표정
    """,
    Kind.VERB: """
        is, are, was, were, be, being, seems, seem, appears, appear, remains, sounds, looks, feels, speaks, does, do,
        did, would, can, would be, =, ist, wäre, war, es, est, era, sería, serait, était, parece, semble, klingt, wirkt,
        scheint, suena, está
        是, 为, 為, は, が
    """,
    Kind.EXPLANATION: """
        reason, reasons, reasoning, explanation, analysis, transcript, transcription, description, thoughts, thinking,
        cues, confidence, scores, begründung, erklärung, grund, razón, explicación, motivo, raison, explication
        理由, 原因, 解释, 解釋, 分析, 说明, 說明, 根拠
        이유, 설명, 근거
    """,
    Kind.THEME: """
        story, stories, movie, movies, film, films, song, songs, news, music, birthday, new, scene, scenes, topic, ai
    """,
    Kind.WORD: """
        not only, not just, not merely, not simply, no doubt, not hide, not conceal, not contain, without a doubt,
        without doubt, without question, no question, beyond doubt, beyond a doubt, a little, more than, nothing but,
        could hear, could see, could tell, as if, as though, un peu, un poco, ein wenig, nicht nur, ohne zweifel,
        zweifellos, no solo, no sólo, sin duda, pas seulement, sans doute, sans aucun doute, als ob
        非常, 不仅, 不僅, 不但, 不难, 不難, 不禁, 不由, 不得不, 不错, 不錯, 无疑, 無疑, 无论, 無論, 除非, 没错, 沒錯,
        说话, 不已, 无奈, 無奈, 不安, 不满, 不滿, 不快, 情况, 情況, 無視, 無理, 無念, 無言, 無口, 不機嫌, かもしれない,
        かもしれません, に違いない, に違いありません, しかない, 少なく, 少ない, 間違いなく, まちがいなく, 危ない, 特别,
        特別, 性别
    """,
}

PHRASES: dict[Kind, tuple[str, ...]] = {
    kind: tuple(word for part in re.split("[,\n]", words) if (word := part.strip())) for kind, words in _LISTS.items()
}
"""Phrases by what they do, case folded, without apostrophes (n't is read as not)."""

MARKS: dict[str, Kind] = {
    **dict.fromkeys(".。!;()—", Kind.STOP),
    ",": Kind.COMMA,
    ":": Kind.COLON,
    "?": Kind.QUESTION,
    "\n": Kind.NEWLINE,
}
"""Punctuation after Unicode form NFKC, in which full-width marks are the narrow ones."""

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

    _last: ClassVar[tuple[LabelOutput, Vocabulary] | None] = None
    """Of the output that was asked about last: to compare the words of two costs more than to read a short answer."""

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
        last = cls._last
        if last is None or last[0] is not output:
            languages = output.synonyms.values()
            synonyms = tuple((word, label) for labels in languages for label, words in labels.items() for word in words)
            last = cls._last = (output, _vocabulary((*synonyms, *((label, label) for label in output.labels))))
        return last[1]

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
        yield Token(Kind.VERB, ending)


def _is_hangul(word: str) -> bool:
    return bool(re.match(f"[{_HANGUL}]", word))


def is_unspaced(word: str) -> bool:
    """Tell whether a word has characters of a script that sets no spaces, Chinese or Japanese."""
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
