"""Log-probabilities of the likeliest first tokens, in the shapes in which servers tell them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

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
    yield from ((_text(one), one.get("logprob")) for one in (content, *listed) if isinstance(one, dict))
    yield from top.items() if isinstance(top, dict) else ()


def _of_lists(logprobs: dict[str, Any]) -> Iterable[tuple[Any, Any]]:
    yield _first(logprobs.get("tokens")), _first(logprobs.get("token_logprobs"))
    top = _first(logprobs.get("top_logprobs"))
    yield from top.items() if isinstance(top, dict) else ()


def _first(values: Any) -> Any:
    return values[0] if isinstance(values, list) and values else None


def _text(one: dict[str, Any]) -> Any:
    """The text of a token: its bytes, where they are told, since some servers tell a vocabulary's own spelling."""
    data = one.get("bytes")
    if isinstance(data, list) and data and all(type(byte) is int and 0 <= byte < 256 for byte in data):
        return bytes(data).decode("utf-8", "surrogateescape")
    return one.get("token")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
