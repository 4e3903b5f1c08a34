"""Read a label from an answer: clean and parse generated text, or rank labels by log-probability."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from avemo_harness.benchmark.request import Response
from avemo_harness.benchmark.task import LabelOutput, RankBy
from avemo_harness.scorers.answer_claims import find_announcement, find_claims
from avemo_harness.scorers.answer_words import Kind, Token, Vocabulary
from avemo_harness.scorers.base import ScoreLine

EDGE = 2_000
"""Characters at each end of an answer that are looked at; a longer one is cut in the middle."""

_THOUGHTS = ("think", "thinking", "thought", "thoughts", "reasoning", "reflection", "scratchpad", "analysis")
_OPENING = (*(f"<{name}>" for name in _THOUGHTS), "<|begin_of_thought|>", "[think]", "◁think▷", "<|channel|>analysis")
_CLOSING = (
    *(f"</{name}>" for name in _THOUGHTS),
    "<|end_of_thought|>",
    "[/think]",
    "◁/think▷",
    "<|channel|>final<|message|>",
)
_END_OF_TURN = re.compile(r"(?i)(?:<\|(?:im_end|endoftext|eot_id|end_of_text|end|return)\|>|</s>|<end_of_turn>|<eos>)")
_ANSWER_TAG = re.compile(r"(?i)<(?:final[_ ]?)?(?:answer|emotion|label|output|result)>|\\boxed\s*\{")
_SPECIAL_TOKEN = re.compile(r"<\|([^<>|]{1,40})\|>")
_TAG = re.compile(r"<[^<>]{0,80}>")
_LATEX = re.compile(r"\\(?:text(?:bf|it|rm|sf|tt)?|math(?:rm|bf|it)|boldsymbol|emph|underline|quad|left|right)\b")
_ENUMERATION = re.compile(r"(?m)^[ \t]*(?:[-*•·+]|\(?(?:\d{1,2}|[a-h])[.)、])(?=[ \t(]+\w)")
_QUOTED_QUESTION = re.compile(r"[\"“„«「](?=[^\s\"“”„«»「」]{1,40} )([^\"“”„«»「」\n]{0,200})\?[\"”»」]")
_DASH = re.compile(r"[—–―]|--+|(?<=\s)-(?=\s)")

_HELPING = (
    "help|assist|answer|provide|try|analy[sz]e|do|explain|share|look|be of|hear|see you|say|tell|inform|report|admit|"
    "discuss|chat|continue|take|support|offer|guide|work|know|listen|describe"
)
_FIRST_PERSON = (
    "i'?m|i am|i'd be|i would be|i'll be|i will be|i feel|we'?re|we are|we'd be|we would be|we'll be|"
    "makes? me|made me|makes? us"
)
_DEGREE = "so|very|really|more than|always|truly|just|only|quite|also|a bit|a little|deeply|absolutely|genuinely"

# Every repetition is bounded, so that replacing takes linear time.
_PATTERNS = (
    # English
    rf"\b(?:happy|glad|sad|mad|joyful) to (?:{_HELPING})\b",
    rf"\b(?:{_FIRST_PERSON}) (?:(?:{_DEGREE}) ){{0,3}}(?:happy|sad|angry|mad|neutral|joyful)\b",
    r"\bit(?:'s| is) (?:so |very |really )?sad (?:that|to)\b",
    r"\bif (?:i|we) (?:really )?(?:had|have|were forced|must|needed|need|were) (?:to )?"
    r"(?:choose|pick|guess|say|decide|select|answer|name)\b",
    r"\bif (?:forced|pressed|asked|required|anything)\b(?: to \w+)?",
    r", ?(?:isn't|aren't|doesn't|don't|wasn't) (?:he|she|it|they)\?|, ?right\?",
    r"\bseasonal affective disorder(?: ?\(?sad\b\)?)?",
    # Chinese
    r"(?:很|非常|十分)?(?:高[兴興]|[开開]心)"
    r"(?:能|可以|[为為]您|[为為]你|帮|幫|回答|认识|認識|见到|見到|协助|協助|地?告诉)",
    # Japanese, Korean
    r"(?:お役に立て|お手伝い|お会い|ご一緒)[^。\n]{0,12}(?:嬉し|うれし|幸せ)",
    r"(?:도움|도와|만나|뵙|함께)[^.。\n]{0,20}(?:기쁩|기뻐|기쁘|행복)",
    # German, Spanish, French
    r"\b(?:glücklich|froh|freudig)[ ,]{1,2}(?:\w+ ){0,4}zu (?:helfen|unterstützen|assistieren|beantworten)\b",
    r"\bmit freude\b",
    r"\b(?:feliz|felices|contento|contenta|alegre) de (?:poder )?(?:ayudar|asistir|responder|atender)\w*",
    r"\bcon (?:mucha )?alegría\b|\bfeliz (?:cumpleaños|navidad|año)",
    r"\b(?:heureux|heureuse|content|contente|triste) (?:de|d')\s?(?:(?:pouvoir|vous|te|t'|l'|le|la) ?){0,3}"
    r"(?:aider|assister|répondre|renseigner|dire|annoncer|informer)\b",
    r"\bavec joie\b|\bjoyeux (?:noël|anniversaire)",
)
_FORMULAS = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS))
"""Matches in text that is folded, with plain apostrophes and single spaces."""


def clean_answer(text: str) -> str | None:
    """Strip an answer to what may name a label: NFKC, case folded, without thoughts, markup and formulas.

    Tags and commands that mark an answer, such as ``<answer>`` and ``\\boxed``, become the word ``answer:``.

    Returns:
        None where the answer ends within a thought.

    >>> clean_answer("<think>Happy?</think> **Sad**, happy to help.").split()
    ['sad', ',', '.']
    """
    outside, unfinished = without_thoughts(text.casefold())
    if unfinished:
        return None
    # NFKC makes up to 18 characters of one, so the ends are taken again.
    folded = _ends(unicodedata.normalize("NFKC", _ends(outside)).casefold())
    folded = re.sub(r"[’‘ʼ´]", "'", folded)
    folded = _END_OF_TURN.split(folded.strip(), maxsplit=1)[0] or folded
    return _without_markup(folded)


def answer_words(text: str) -> str | None:
    """An answer's own words, in their case and on their lines: NFKC, without thoughts, special tokens and markup.

    Returns:
        None where the answer ends within a thought.

    >>> answer_words("<think>A?</think> <answer>**Ｂ**</answer>").strip()
    'answer: B'
    """
    outside, unfinished = without_thoughts(text)
    if unfinished:
        return None
    words = _ends(unicodedata.normalize("NFKC", _ends(outside)))
    words = re.sub(r"[’‘ʼ´]", "'", words)
    words = _END_OF_TURN.split(words.strip(), maxsplit=1)[0] or words
    words = _TAG.sub(" ", _LATEX.sub(" ", _SPECIAL_TOKEN.sub("\n", _ANSWER_TAG.sub("\nanswer: ", words))))
    words = re.sub(r"\\[nr]", "\n", words)
    words = re.sub(r"--?>|=>|⇒|➡", "→", words)
    words = re.sub(r"[*_`#>~$\"“”„«»‹›「」『』\\]", " ", words)
    return re.sub(r"[ \t]+", " ", re.sub(r"[{}|]", "\n", words))


def _ends(text: str) -> str:
    return text if len(text) <= 2 * EDGE else f"{text[:EDGE]}\n{text[-EDGE:]}"


def without_thoughts(text: str) -> tuple[str, bool]:
    """The text after the last thought (before the first, if nothing follows), and whether one has no end."""
    folded = text.lower()
    if len(folded) != len(text):  # a letter that is several in lower case; tags are searched for as they are
        folded = text
    end = max(start + len(tag) if (start := folded.rfind(tag)) >= 0 else 0 for tag in _CLOSING)
    if any(folded.find(tag, end) >= 0 for tag in _OPENING):
        return "", True
    if end and not text[end:].strip():
        opened = [start for tag in _OPENING if (start := folded.find(tag)) >= 0]
        return text[: min(opened, default=0)], False
    return text[end:], False


def _without_markup(text: str) -> str:
    text = _ANSWER_TAG.sub("\nanswer: ", text)
    text = _SPECIAL_TOKEN.sub(r"\n\1\n", text)
    text = _LATEX.sub(" ", _TAG.sub(" ", text))
    text = re.sub(r"\\[nr]", "\n", text)
    text = re.sub(r"--?>|=>|⇒|➡", "→", text)
    # A question that is quoted is a sentence of its own.
    text = _QUOTED_QUESTION.sub(r" — \1? ", text)
    text = re.sub(r"[*_`#>~$\"“”„«»‹›「」『』\[\]\\]", " ", text)
    text = re.sub(r"[{}|]", "\n", text)
    text = re.sub(r"(?<!\w)'|'(?!\w)", " ", text)
    text = re.sub(r"\bun-(?=\w)", "un", text)
    text = _ENUMERATION.sub(" ", text)
    text = _DASH.sub(" — ", text)
    text = re.sub(r"[ \t]+", " ", text)
    text = re.sub(r"\bfinal ?:", "final answer:", text)
    return _FORMULAS.sub(" ", text)


class RankingError(ValueError):
    """The answer lacks what the way of ranking needs; the message says what."""


def label_scores(response: Response, labels: tuple[str, ...], rank_by: RankBy) -> list[float]:
    """The score of each label, in nats: log-probability, that per token, or that less the one without media.

    Raises:
        RankingError: log-probabilities, token counts or priors of a label are missing, or a score is not a number.
    """
    logprobs, tokens, priors = response.label_logprobs, response.label_tokens, response.label_priors
    if logprobs is None or set(logprobs) != set(labels):
        raise RankingError("labels not ranked")
    if rank_by == "raw":
        scores = [logprobs[label] for label in labels]
    elif rank_by == "length_normalised":
        if tokens is None or any(tokens.get(label, 0) < 1 for label in labels):
            raise RankingError("the model gave no number of tokens for each label (rank_by: length_normalised)")
        scores = [logprobs[label] / tokens[label] for label in labels]
    else:
        if priors is None or not set(labels) <= set(priors):
            raise RankingError("the model gave no scores of the labels without media (rank_by: prior_corrected)")
        scores = [logprobs[label] - priors[label] for label in labels]
    if any(math.isnan(score) for score in scores) or not math.isfinite(max(scores)):
        raise RankingError("scores of the labels are not numbers")
    return scores


PARSING_RULE = 2
"""Version of the rule by which generated text is read; results carry it."""

_REMEMBERED, _SHORT = 4_096, 200
"""Texts of so many characters whose labels are remembered: a model gives the same few answers over and over."""

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
    read = _read_again if len(text) <= _SHORT else _read_label
    return read(text, Vocabulary.of(output), len(output.labels))


def _read_label(text: str, vocabulary: Vocabulary, labels: int) -> ParsedLabel:
    clean = clean_answer(text)
    if clean is None:
        return ParsedLabel(None, "unfinished thought")
    tokens = vocabulary.tokens(clean)
    if exact := _exact(clean, tokens, vocabulary):
        return ParsedLabel(exact, "exact")
    claims = find_claims(tokens, labels)
    for why, start in (("announced", find_announcement(claims)), ("only label", 0)):
        if start is not None and len(claimed := claims.labels(start)) == 1:
            return ParsedLabel(claimed.pop(), why)
    return ParsedLabel(None, "several labels" if claims.labels() else claims.dropped or "no label")


_read_again = lru_cache(maxsize=_REMEMBERED)(_read_label)


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


def rank_label(response: Response, output: LabelOutput) -> ParsedLabel:
    """Read the label with the highest score of the task's `rank_by`; the first of equals, in the task's order."""
    try:
        scores = label_scores(response, output.labels, output.rank_by)
    except RankingError as missing:
        return ParsedLabel(None, str(missing))
    return ParsedLabel(output.labels[scores.index(max(scores))], _HIGHEST[output.rank_by])


def read_answer(response: Response, output: LabelOutput) -> ParsedLabel:
    """Read a label from a stored answer by the task's method."""
    if output.method == "rank":
        return rank_label(response, output)
    return read_label(response.text or "", output)


def parsing_details(lines: Sequence[ScoreLine], output: LabelOutput) -> dict[str, Any]:
    """Version of the rule that read generated answers, and how many of the scored ones each step decided.

    Empty for ranked labels, which are not parsed.
    """
    if output.method == "rank":
        return {}
    steps = Counter(line.why for line in lines if line.scored)
    return {"parsing": {"rule": PARSING_RULE, "steps": dict(sorted(steps.items()))}}
