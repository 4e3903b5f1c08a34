"""Answers of chat completions, whole or streamed: text, speech, counts, and the first token's alternatives."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from avemo_harness.errors import GenerationError
from avemo_harness.http_errors import AnswerError, server_message, shown
from avemo_harness.models.served.logprobs import Alternatives, first_alternatives
from avemo_harness.models.served.speech import decode_base64

CLEAN_ENDS = frozenset(
    {"stop", "tool_calls", "function_call", "tool_use", "end_turn", "stop_sequence", "eos", "eos_token"}
)
"""Reasons to finish of OpenAI, Anthropic, TGI and Together after which an answer is whole."""
LIMITS = frozenset({"length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"})
"""Reasons to finish of the same, of Mistral and of Zhipu, at a limit of tokens."""

_THOUGHT_FIELDS = ("reasoning_content", "reasoning", "reasoning_details", "thinking")
_THOUGHT_PARTS = ("thinking", "reasoning", "redacted_thinking")
_CALL_FIELDS = ("tool_calls", "function_call")
_END_OF_THOUGHT = re.compile(r"</(?:think|thinking|thought)>\s*", re.IGNORECASE)
_OPEN_THOUGHT = re.compile(r"\s*<(?:think|thinking|thought)>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Told:
    """What a server told.

    Args:
        text: None where there is none; empty where the model said nothing before its end, or its limit in thoughts.
        sound: pieces of speech in order, each a sound file or a part of one.
        ended: the answer ended by itself, not at the limit of tokens; None where the server does not say.
        alternatives: natural-log probabilities of the likeliest first tokens.
    """

    text: str | None
    sound: tuple[bytes, ...]
    ended: bool | None
    prompt_tokens: int | None
    new_tokens: int | None
    alternatives: Alternatives = ()


def read_answer(body: Any) -> Told:
    """Read a whole answer. Text and speech may lie in different choices, also of one index.

    Raises:
        AnswerError: it is no chat completion, or the server gave up before its end.
        GenerationError: the server refused to answer, or gave speech that is no base64.
    """
    gathered = []
    for choice in _choices(body):
        gathered.append(_Choice(_index(choice)))
        gathered[-1].add(choice, _mapping(choice.get("message")), "text")
    return _told(gathered, _mapping(body.get("usage")))


def read_events(events: Iterable[Any]) -> Told:
    """Read a streamed answer. Events without choices, such as counts and pings, are no part of it.

    Raises:
        AnswerError: it ends before the server said so or by its giving up, or holds what is no part of a completion.
        GenerationError: the server refused to answer, or gave speech that is no base64.
    """
    gathered: dict[int, _Choice] = {}
    usage: Mapping[str, Any] = {}
    for event in events:
        if isinstance(event, dict):
            usage = _mapping(event.get("usage")) or usage
            if event.get("choices") is None:
                continue
        for choice in _choices(event):
            one = gathered.setdefault(_index(choice), _Choice(_index(choice)))
            modality = "audio" if "audio" in (event.get("modality"), choice.get("modality")) else "text"
            one.add(choice, _mapping(choice.get("delta")), modality)
    told = _told(list(gathered.values()), usage)
    if told.ended is None:
        raise AnswerError("the stream was cut off: no reason to finish came")
    return told


def without_thoughts(text: str) -> str:
    """A text after the thoughts that a server without a reasoning parser leaves in it; empty within unfinished ones.

    >>> without_thoughts("<think>Sad?</think> happy"), without_thoughts("<think>She might"), without_thoughts("happy")
    ('happy', '', 'happy')
    """
    end = max((found.end() for found in _END_OF_THOUGHT.finditer(text)), default=0)
    return "" if _OPEN_THOUGHT.match(text, end) else text[end:]


@dataclass
class _Choice:
    """The content of a choice, of a whole answer or of all events of a stream."""

    index: int
    texts: list[str] = field(default_factory=list)
    transcripts: list[str] = field(default_factory=list)
    sound: list[Any] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    reasons: list[Any] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    alternatives: Alternatives = ()
    has_more: bool = False  # thoughts or calls of tools

    def add(self, choice: Mapping[str, Any], part: Mapping[str, Any], modality: str) -> None:
        """Take in a choice and its message, or its delta."""
        audio, text = _mapping(part.get("audio")), _text(part.get("content"))
        if audio.get("data"):
            self.sound.append(audio["data"])
        if audio.get("transcript"):
            self.transcripts.append(str(audio["transcript"]))
        if text and modality == "audio":
            self.sound.append(text)
        elif text is not None:
            self.texts.append(text)
        self.refusals += [str(one["refusal"]) for one in (part, choice) if one.get("refusal")]
        self.reasons += [choice["finish_reason"]] if choice.get("finish_reason") else []
        self.errors += [_error(one["error"]) for one in (choice, part) if one.get("error")]
        self.alternatives = self.alternatives or first_alternatives(choice.get("logprobs"))
        self.has_more |= any(part.get(name) for name in (*_THOUGHT_FIELDS, *_CALL_FIELDS)) or _has_thoughts(part)


def _told(choices: Sequence[_Choice], usage: Mapping[str, Any]) -> Told:
    choices = sorted(choices, key=lambda choice: choice.index)
    ended = _ended(choices)
    texts = ["".join(choice.texts) for choice in choices]
    transcripts = ["".join(choice.transcripts) for choice in choices]
    text = next(filter(None, [*texts, *transcripts]), None)
    spoken = [choice.index for choice in choices if choice.sound]
    sound = [piece for choice in choices if choice.index in spoken[:1] for piece in choice.sound]
    alternatives = next((choice.alternatives for choice in choices if choice.alternatives), ())
    explained = ended is False or alternatives or any(choice.texts or choice.has_more for choice in choices)
    if text is None and explained:
        text = ""
    if text is None and not sound:
        raise AnswerError("an answer with neither text nor speech")
    prompt, new = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    return Told(text, decode_base64(sound), ended, prompt, new, alternatives)


def _ended(choices: Sequence[_Choice]) -> bool | None:
    """True where an answer ended by itself; None where the server does not say.

    Raises:
        AnswerError: the server gave it up, or ended it for a reason that is not known.
        GenerationError: it was refused.
    """
    told = [reason for choice in choices for reason in choice.reasons]
    reasons = {reason.casefold() if isinstance(reason, str) else json.dumps(reason) for reason in told}
    refusals = ["".join(choice.refusals) for choice in choices if choice.refusals]
    if refusals or "content_filter" in reasons:
        raise GenerationError(f"the server refused to answer: {''.join(refusals[:1]) or 'its filter stopped it'}")
    errors = [error for choice in choices for error in choice.errors]
    odd = [f"finish_reason {shown(reason)!r}" for reason in sorted(reasons - CLEAN_ENDS - LIMITS)]
    if errors or odd:
        raise AnswerError(f"the server gave up on the answer: {[*errors, *odd][0]}")
    return not LIMITS & reasons if reasons else None


def _error(error: Any) -> str:
    return server_message(json.dumps({"error": error}).encode())


def _choices(body: Any) -> list[Mapping[str, Any]]:
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise AnswerError(f"an answer that is no chat completion: {json.dumps(body)[:100]}")
    return choices


def _index(choice: Mapping[str, Any]) -> int:
    return _count(choice.get("index")) or 0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(content: Any) -> str | None:
    """Of a message's content, which is text or a list of parts; without parts that are thoughts."""
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict) and part.get("type") not in _THOUGHT_PARTS]
        return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))
    return content if isinstance(content, str) else None


def _has_thoughts(part: Mapping[str, Any]) -> bool:
    content = part.get("content")
    return isinstance(content, list) and any(_mapping(one).get("type") in _THOUGHT_PARTS for one in content)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
