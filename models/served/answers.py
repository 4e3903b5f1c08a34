"""Read chat completions, whole or streamed: text, speech and first-token log-probabilities."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.benchmark.request import Speech
from avemo_harness.errors import GenerationError, MediaError
from avemo_harness.http_answers import AnswerError, one_line, server_message

Alternatives = tuple[tuple[str, float], ...]
"""Tokens with their natural-log probabilities; a token that ends within a character has surrogate escapes."""


def first_alternatives(logprobs: Any) -> Alternatives:
    """The first token and its alternatives, each once; empty where a server tells none.

    Args:
        logprobs: of a choice: ``content`` as chat completions have it, or the lists of the older completions.

    >>> token = {"token": "sad", "logprob": -0.1}
    >>> first_alternatives({"content": [{**token, "top_logprobs": [token, {"token": "the", "logprob": -3}]}]})
    (('sad', -0.1), ('the', -3.0))
    >>> first_alternatives({"tokens": [" sad"], "token_logprobs": [-0.1], "top_logprobs": [{" sad": -0.1, "the": -3}]})
    ((' sad', -0.1), ('the', -3.0))
    """
    if not isinstance(logprobs, dict):
        return ()
    found: dict[str, float] = {}
    content = _first(logprobs.get("content"))
    for token, logprob in _of_content(content) if isinstance(content, dict) else _of_lists(logprobs):
        if isinstance(token, str) and token and _is_number(logprob):
            found[token] = max(float(logprob), found.get(token, -math.inf))
    return tuple(found.items())


def _of_content(content: dict[str, Any]) -> Iterable[tuple[Any, Any]]:
    top = content.get("top_logprobs")
    listed = top if isinstance(top, list) else []
    yield from ((_token_text(entry), entry.get("logprob")) for entry in (content, *listed) if isinstance(entry, dict))
    yield from top.items() if isinstance(top, dict) else ()


def _of_lists(logprobs: dict[str, Any]) -> Iterable[tuple[Any, Any]]:
    yield _first(logprobs.get("tokens")), _first(logprobs.get("token_logprobs"))
    top = _first(logprobs.get("top_logprobs"))
    yield from top.items() if isinstance(top, dict) else ()


def _first(values: Any) -> Any:
    return values[0] if isinstance(values, list) and values else None


def _token_text(entry: dict[str, Any]) -> Any:
    """The text of a token: its bytes, where they are told, since some servers tell a vocabulary's own spelling."""
    data = entry.get("bytes")
    if isinstance(data, list) and data and all(type(byte) is int and 0 <= byte < 256 for byte in data):
        return bytes(data).decode("utf-8", "surrogateescape")
    return entry.get("token")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_SPACE = re.compile(r"\s+")
_DATA_URL = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)
_URL_SAFE = str.maketrans("-_", "+/")


def decode_base64(pieces: Sequence[Any]) -> tuple[bytes, ...]:
    """Decode pieces of sound: base64 or data URLs, also in lines; some servers cut one base64 wherever it suits them.

    Raises:
        AnswerError: the base64 is cut off.
        GenerationError: it is something else.
    """
    if not all(isinstance(piece, str) for piece in pieces):
        raise GenerationError("the server gave speech that is no base64 but something else")
    texts = [_SPACE.sub("", piece) for piece in pieces]
    if texts and texts[0].startswith("data:") and "," not in texts[0]:
        texts = ["".join(texts)]
    texts = [_DATA_URL.sub("", text, count=1).translate(_URL_SAFE) for text in texts]
    if any(len(text) % 4 for text in texts):
        texts = ["".join(texts)]
    try:
        return tuple(base64.b64decode(text, validate=True) for text in texts)
    except (binascii.Error, ValueError) as error:
        foreign = re.search(r"[^A-Za-z0-9+/=]", "".join(texts))
        if foreign:
            raise GenerationError(f"the server gave speech that is no base64: {texts[0][:40]!r}") from error
        raise AnswerError(f"speech whose base64 is cut off ({error})") from error


def speech_of(sound: Sequence[bytes], bare_rate_hz: int | None) -> Speech | None:
    """The speech of an answer; None where it has none.

    Args:
        sound: pieces in order: whole files, or one file that was cut anywhere. A WAV file may go on in bare samples.
        bare_rate_hz: of bare 16-bit samples; None where none were asked for, so that no other bytes pass for them.

    Raises:
        AnswerError: it is cut off, or of several rates.
        GenerationError: no container that is read, and no bare samples either.
    """
    files = _files(sound)
    if not any(files):
        return None
    try:
        parts = [_read(pieces, bare_rate_hz) for pieces in files]
    except media.IncompleteSoundError as error:
        raise AnswerError(f"speech that cannot be read: {error}") from error
    except MediaError as error:
        raise GenerationError(f"the server gave speech that cannot be read: {error}") from error
    rates = {rate for _, rate in parts}
    if len(rates) > 1:
        raise AnswerError(f"speech of several rates: {sorted(rates)}")
    samples = np.concatenate([part for part, _ in parts])
    return Speech(samples, rates.pop()) if len(samples) else None


def _files(sound: Sequence[bytes]) -> list[list[bytes]]:
    """Pieces by the file that they belong to."""
    files: list[list[bytes]] = []
    for piece in filter(None, sound):
        if not files or media.begins_sound_file(piece):
            files.append([])
        files[-1].append(piece)
    return files


def _read(pieces: Sequence[bytes], bare_rate_hz: int | None) -> tuple[NDArray[np.float32], int]:
    whole = b"".join(pieces)
    container = media.sound_container(whole)
    if container == "WAV" and len(pieces) > 1:
        size = media.known_size(pieces[0])
        if size is not None and size <= len(pieces[0]):  # the first piece says that it is all
            whole = media.with_more_samples(pieces[0], b"".join(pieces[1:]))
    if container is not None:
        return media.read_sound(whole)
    if _are_floats(whole):
        raise GenerationError("the server gave speech as bare 32-bit floats; ask for wav, or for 16-bit samples")
    if bare_rate_hz is None:
        raise GenerationError(
            f"the server gave speech in no known container (it begins with {whole[:12]!r}); if these are bare 16-bit "
            "samples, give speech_format=pcm16, or bare_wav where they must be asked for as wav"
        )
    if len(whole) % 2:
        raise media.IncompleteSoundError(f"{len(whole)} bytes are no 16-bit samples: half of one is missing")
    return media.read_pcm16(whole), bare_rate_hz


def _are_floats(data: bytes) -> bool:
    """True where bytes are sound as 32-bit floats.

    Sound in 16 bits has small negative samples, and two of those make no float of ordinary size.
    """
    if len(data) < 400 or len(data) % 4:
        return False
    values = np.abs(np.frombuffer(data, "<f4"))
    return bool(np.isfinite(values).all() and values.max() <= 4 and np.median(values) > 1e-5)


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
class ChatCompletion:
    """A chat completion, whole or put together from a stream.

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


def read_answer(body: Any) -> ChatCompletion:
    """Read a whole answer. Text and speech may lie in different choices, also of one index.

    Raises:
        AnswerError: it is no chat completion, or the server gave up before its end.
        GenerationError: the server refused to answer, or gave speech that is no base64.
    """
    gathered = []
    for choice in _choices(body):
        gathered.append(_Choice(_index(choice)))
        gathered[-1].add(choice, _mapping(choice.get("message")), "text")
    return _completion(gathered, _mapping(body.get("usage")))


def read_events(events: Iterable[Any]) -> ChatCompletion:
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
            if event.get("choices") is None:  # gateways keep streams alive by such events
                continue
        for choice in _choices(event):
            modality = "audio" if "audio" in (event.get("modality"), choice.get("modality")) else "text"
            so_far = gathered.setdefault(_index(choice), _Choice(_index(choice)))
            so_far.add(choice, _mapping(choice.get("delta")), modality)
    completion = _completion(list(gathered.values()), usage)
    if completion.ended is None:
        raise AnswerError("the stream was cut off: no reason to finish came")
    return completion


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
        self.refusals += [str(source["refusal"]) for source in (part, choice) if source.get("refusal")]
        self.reasons += [choice["finish_reason"]] if choice.get("finish_reason") else []
        errors = [source["error"] for source in (choice, part) if source.get("error")]
        self.errors += [server_message(json.dumps({"error": error}).encode()) for error in errors]
        self.alternatives = self.alternatives or first_alternatives(choice.get("logprobs"))
        self.has_more |= any(part.get(name) for name in (*_THOUGHT_FIELDS, *_CALL_FIELDS)) or _has_thoughts(part)


def _completion(choices: Sequence[_Choice], usage: Mapping[str, Any]) -> ChatCompletion:
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
    return ChatCompletion(text, decode_base64(sound), ended, prompt, new, alternatives)


def _ended(choices: Sequence[_Choice]) -> bool | None:
    """True where an answer ended by itself; None where the server does not say.

    Raises:
        AnswerError: the server gave it up, or ended it for a reason that is not known.
        GenerationError: it was refused.
    """
    given = [reason for choice in choices for reason in choice.reasons]
    reasons = {reason.casefold() if isinstance(reason, str) else json.dumps(reason) for reason in given}
    refusals = ["".join(choice.refusals) for choice in choices if choice.refusals]
    if refusals or "content_filter" in reasons:
        raise GenerationError(f"the server refused to answer: {''.join(refusals[:1]) or 'its filter stopped it'}")
    errors = [error for choice in choices for error in choice.errors]
    errors += [f"finish_reason {one_line(reason)!r}" for reason in sorted(reasons - CLEAN_ENDS - LIMITS)]
    if errors:
        raise AnswerError(f"the server gave up on the answer: {errors[0]}")
    return not LIMITS & reasons if reasons else None


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
    return isinstance(content, list) and any(_mapping(piece).get("type") in _THOUGHT_PARTS for piece in content)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
