"""Plain text from a generated answer: without thoughts, special tokens, markup and polite formulas."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from avemo_harness.scorers.answer_formulas import FORMULAS

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
_END_OF_TURN = re.compile(r"(?:<\|(?:im_end|endoftext|eot_id|end_of_text|end|return)\|>|</s>|<end_of_turn>|<eos>)")
_ANSWER_TAG = re.compile(r"<(?:final[_ ]?)?(?:answer|emotion|label|output|result)>|\\boxed\s*\{")
_SPECIAL_TOKEN = re.compile(r"<\|([^<>|]{1,40})\|>")
_TAG = re.compile(r"<[^<>]{0,80}>")
_LATEX = re.compile(r"\\(?:text(?:bf|it|rm|sf|tt)?|math(?:rm|bf|it)|boldsymbol|emph|underline|quad|left|right)\b")
_ENUMERATION = re.compile(r"(?m)^[ \t]*(?:[-*•·+]|\(?(?:\d{1,2}|[a-h])[.)、])(?=[ \t(]+\w)")
_DASH = re.compile(r"[—–―]|--+|(?<=\s)-(?=\s)")


@dataclass(frozen=True, slots=True)
class CleanText:
    """Folded text with its clause marks, without what is no answer.

    Args:
        unfinished: the answer ends within a thought.
    """

    text: str
    unfinished: bool = False


def clean_answer(text: str) -> CleanText:
    """Strip an answer to what may name a label: NFKC, case folded, without thoughts, markup and formulas.

    Tags and commands that mark an answer, such as ``<answer>`` and ``\\boxed``, become the word ``answer:``.

    >>> clean_answer("<think>Happy?</think> **Sad**, happy to help.").text.split()
    ['sad', ',', '.']
    """
    outside, unfinished = _without_thoughts(text.casefold())
    if unfinished:
        return CleanText("", unfinished=True)
    # NFKC makes up to 18 characters of one, so the ends are taken again.
    folded = _ends(unicodedata.normalize("NFKC", _ends(outside)).casefold())
    folded = re.sub(r"[’‘ʼ´]", "'", folded)
    folded = _END_OF_TURN.split(folded.strip(), maxsplit=1)[0] or folded
    return CleanText(_without_markup(folded))


def _ends(text: str) -> str:
    return text if len(text) <= 2 * EDGE else f"{text[:EDGE]}\n{text[-EDGE:]}"


def _without_thoughts(text: str) -> tuple[str, bool]:
    """The text after the last thought (before the first, if nothing follows), and whether one has no end."""
    end = max(place + len(tag) if (place := text.rfind(tag)) >= 0 else 0 for tag in _CLOSING)
    if any(text.find(tag, end) >= 0 for tag in _OPENING):
        return "", True
    if end and not text[end:].strip():
        opened = [place for tag in _OPENING if (place := text.find(tag)) >= 0]
        return text[: min(opened, default=0)], False
    return text[end:], False


def _without_markup(text: str) -> str:
    text = _ANSWER_TAG.sub("\nanswer: ", text)
    text = _SPECIAL_TOKEN.sub(r"\n\1\n", text)
    text = _LATEX.sub(" ", _TAG.sub(" ", text))
    text = re.sub(r"\\[nr]", "\n", text)
    text = re.sub(r"--?>|=>|⇒|➡", "→", text)
    text = re.sub(r"[*_`#>~$\"“”„«»‹›「」『』\[\]\\]", " ", text)
    text = re.sub(r"[{}|]", "\n", text)
    text = re.sub(r"(?<!\w)'|'(?!\w)", " ", text)
    text = re.sub(r"\bun-(?=\w)", "un", text)
    text = _ENUMERATION.sub(" ", text)
    text = _DASH.sub(" — ", text)
    text = re.sub(r"[ \t]+", " ", text)
    text = re.sub(r"\bfinal ?:", "final answer:", text)
    return FORMULAS.sub(" ", text)
