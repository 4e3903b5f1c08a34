"""Answers of chat completions, whole or streamed: text, speech, counts, and the first token's alternatives."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from avemo_harness import media
from avemo_harness.benchmark.request import Speech
from avemo_harness.errors import GenerationError, MediaError
from avemo_harness.http_errors import AnswerError


@dataclass(frozen=True, slots=True)
class Told:
    """What a server told.

    Args:
        text: None where there is none.
        sound: pieces of speech in order, each a WAV file or bare samples.
        ended: the answer ended by itself, not at the limit of tokens; None where the server does not say.
        alternatives: natural-log probabilities of the likeliest first tokens.
    """

    text: str | None
    sound: tuple[bytes, ...]
    ended: bool | None
    prompt_tokens: int | None
    new_tokens: int | None
    alternatives: tuple[tuple[str, float], ...] = ()


def read_answer(body: Any) -> Told:
    """Read a whole answer. Text and speech may lie in different choices, also of one index.

    Raises:
        AnswerError: it is no chat completion.
        GenerationError: the server refused to answer.
    """
    choices = _choices(body)
    messages = [_mapping(choice.get("message")) for choice in choices]
    _refuse_refusals([*messages, *choices])
    spoken = [_mapping(message.get("audio")) for message in messages]
    texts = [text for message in messages if (text := _text(message.get("content"))) is not None]
    transcripts = [str(one["transcript"]) for one in spoken if one.get("transcript")]
    usage = _mapping(body.get("usage"))
    if not texts and not any(one.get("data") for one in spoken) and not transcripts:
        raise AnswerError("an answer with neither text nor speech")
    return Told(
        text=next(iter([*filter(None, texts), *transcripts, *texts]), None),
        sound=_decoded([one["data"] for one in spoken if one.get("data")]),
        ended=_ended([choice.get("finish_reason") for choice in choices]),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        new_tokens=_count(usage.get("completion_tokens")),
        alternatives=_alternatives(choices),
    )


def read_events(events: Iterable[Any]) -> Told:
    """Read a streamed answer.

    Raises:
        AnswerError: it ends before the server said so, or holds what is no part of a chat completion.
        GenerationError: the server refused to answer.
    """
    texts: list[str] = []
    transcripts: list[str] = []
    sound: list[Any] = []
    reasons: list[Any] = []
    usage: Mapping[str, Any] = {}
    for event in events:
        usage = _mapping(event.get("usage")) or usage if isinstance(event, dict) else usage
        for choice in _choices(event):
            delta = _mapping(choice.get("delta"))
            _refuse_refusals([delta, choice])
            reasons.append(choice.get("finish_reason"))
            audio = _mapping(delta.get("audio"))
            if audio.get("data"):
                sound.append(audio["data"])
            if audio.get("transcript"):
                transcripts.append(str(audio["transcript"]))
            told = _text(delta.get("content"))
            if told and "audio" in (event.get("modality"), choice.get("modality")):
                sound.append(told)
            elif told is not None:
                texts.append(told)
    if not any(reasons):
        raise AnswerError("the stream was cut off: no reason to finish came")
    text = "".join(texts) or "".join(transcripts) or ("" if texts else None)
    if text is None and not sound:
        raise AnswerError("an answer with neither text nor speech")
    prompt, new = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    return Told(text, _decoded(sound), _ended(reasons), prompt, new)


def speech_of(sound: Sequence[bytes], rate_hz: int) -> Speech | None:
    """The speech of an answer; None where it has none.

    Args:
        rate_hz: of bare samples.

    Raises:
        AnswerError: it is cut off, or no sound.
    """
    try:
        if sound and media.is_wave(sound[0]):
            parts = [media.read_wave(piece if media.is_wave(piece) else _as_wave(sound[0], piece)) for piece in sound]
            rates = {rate for _, rate in parts}
            if len(rates) > 1:
                raise AnswerError(f"speech of several rates: {sorted(rates)}")
            samples, rate_hz = np.concatenate([part for part, _ in parts]), rates.pop()
        else:
            samples = media.read_pcm16(b"".join(sound))
    except MediaError as error:
        raise AnswerError(f"speech that cannot be read: {error}") from error
    return Speech(samples, rate_hz) if len(samples) else None


def _as_wave(first: bytes, piece: bytes) -> bytes:
    """A later piece of samples of a WAV file that was begun by an earlier one."""
    _, rate = media.read_wave(first)
    return media.write_wave(media.read_pcm16(piece), rate)


def _choices(body: Any) -> list[Mapping[str, Any]]:
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise AnswerError(f"an answer that is no chat completion: {json.dumps(body)[:100]}")
    return choices


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(content: Any) -> str | None:
    """Of a message's content, which is text or a list of parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else None


def _decoded(pieces: Sequence[Any]) -> tuple[bytes, ...]:
    """Pieces of sound; some servers cut the base64 of one sound wherever it suits them."""
    if not all(isinstance(piece, str) for piece in pieces):
        raise AnswerError("speech that is no base64 but something else")
    if any(len(piece) % 4 for piece in pieces):
        pieces = ["".join(pieces)]
    try:
        return tuple(base64.b64decode(piece, validate=True) for piece in pieces)
    except (binascii.Error, ValueError) as error:
        raise AnswerError(f"speech that is no base64 ({error})") from error


def _ended(reasons: Iterable[Any]) -> bool | None:
    told = [reason for reason in reasons if reason]
    return "length" not in told if told else None


def _refuse_refusals(parts: Iterable[Mapping[str, Any]]) -> None:
    for part in parts:
        if part.get("refusal") or part.get("finish_reason") == "content_filter":
            raise GenerationError(f"the server refused to answer: {part.get('refusal') or 'its filter stopped it'}")


def _alternatives(choices: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, float], ...]:
    for choice in choices:
        content = _mapping(choice.get("logprobs")).get("content") or []
        if content and isinstance(content[0], dict):
            listed = [content[0], *(content[0].get("top_logprobs") or [])]
            return tuple((str(one["token"]), float(one["logprob"])) for one in listed if _is_alternative(one))
    return ()


def _is_alternative(one: Any) -> bool:
    return isinstance(one, dict) and "token" in one and isinstance(one.get("logprob"), int | float)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None
