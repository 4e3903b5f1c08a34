"""Ranking labels by the probabilities of the first token, as far as a server tells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from avemo_harness.errors import GenerationError
from avemo_harness.models.served.answers import Told


def first_token_logprobs(told: Told, labels: Sequence[str]) -> Mapping[str, float]:
    """Log-probability of each label by its first token, natural logarithm.

    A label whose token is not among those told gets the lowest probability that was told, which is an upper bound.

    Raises:
        GenerationError: the server told none, none begins a label, or one begins several.

    >>> told = Told("sad", (), True, 9, 1, (("sad", -0.5), ("happ", -1.5), ("S", -2.0), ("the", -3.0)))
    >>> dict(first_token_logprobs(told, ["happy", "sad", "neutral"]))
    {'happy': -1.5, 'sad': -0.5, 'neutral': -3.0}
    """
    if not told.alternatives:
        raise GenerationError("the server tells no log-probabilities; leave the ranking tasks out")
    found: dict[str, float] = {}
    for token, logprob in told.alternatives:
        begun = [label for label in labels if _begins(token, label)]
        if len(begun) > 1 and token.strip() not in labels:
            raise GenerationError(f"the token {token!r} begins several labels: {', '.join(begun)}")
        for label in begun:
            found[label] = max(logprob, found.get(label, logprob))
    if not found:
        likely = ", ".join(repr(token) for token, _ in told.alternatives[:5])
        raise GenerationError(f"none of the likeliest first tokens begins a label: {likely} …")
    floor = min(logprob for _, logprob in told.alternatives)
    return {label: found.get(label, floor) for label in labels}


def _begins(token: str, label: str) -> bool:
    word = token.strip()
    return len(word) > 0 and label.startswith(word)
