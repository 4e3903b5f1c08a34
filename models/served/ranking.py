"""Rank labels by the log-probabilities that a server gives for the first token."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avemo_harness.errors import GenerationError
from avemo_harness.models.served.answers import Alternatives, ChatCompletion

LEAST_SHARE = 0.5
"""Of the first token's probability that the labels must hold to be ranked by it."""
_SPACES = " \t\r\n\u00a0\u3000Ġ▁Ċ"
"""Spaces and line ends, also as vocabularies spell them."""
_LEAST_PROBABILITY = 1e-6
"""Of a label that was not told, where the rounding of the others leaves nothing for it."""
_FUNCTION_WORDS = (
    "a an and as at be by do for from he her his i if in it its me my no not of on or she so the they this to we"
)
"""Words that begin sentences: a token that is one of them begins no label."""


@dataclass(frozen=True, slots=True)
class FirstTokenRanking:
    """Labels by the first token of an answer.

    Args:
        logprobs: natural-log probability of each label, summed over its spellings.
        untold: labels of which no spelling was told. They have the lowest probability that was told, an upper bound.
    """

    logprobs: Mapping[str, float]
    untold: frozenset[str]


def rank_labels(completion: ChatCompletion, labels: Sequence[str]) -> FirstTokenRanking:
    """Rank labels by the first token: capitals and leading spaces are spellings of one label and add up.

    A fragment counts for the one label that it begins. One that begins several counts for none.

    >>> alternatives = (("sad", -0.5), (" happ", -1.5), ("Sad", -2.0), ("the", -3.0))
    >>> ranking = rank_labels(ChatCompletion("sad", (), True, 9, 1, alternatives), ["happy", "sad", "neutral"])
    >>> {label: round(value, 2) for label, value in ranking.logprobs.items()}
    {'happy': -1.5, 'sad': -0.3, 'neutral': -3.0}

    Raises:
        GenerationError: the server told no log-probabilities, a fragment of several labels leads, or the labels hold
            less than `LEAST_SHARE`, so that a choice would be one among floors.
    """
    spelled, shared = _spellings(completion.alternatives, labels)
    best = max(spelled.values(), default=-math.inf)
    if shared and max(shared.values()) > best:
        token = max(shared, key=lambda word: shared[word])
        begun = ", ".join(label for label in labels if _begins(token, label))
        raise GenerationError(f"the likeliest token {token!r} begins several labels: {begun}; use labels that differ")
    floor = min(logprob for _, logprob in completion.alternatives)
    if floor >= best:  # the only token that was told: the others have what is left of the probability
        floor = math.log(max(1 - _share(completion.alternatives), _LEAST_PROBABILITY))
    share = _share(spelled.items())
    untold = frozenset(labels) - set(spelled)
    if share < LEAST_SHARE or (untold and floor >= best):
        raise GenerationError(_too_little(share, completion.alternatives))
    return FirstTokenRanking({label: spelled.get(label, floor) for label in labels}, untold)


def label_priors(completion: ChatCompletion, labels: Sequence[str]) -> Mapping[str, float] | None:
    """Log-probabilities of labels where nothing was shown; None unless each was told, since a floor is no measure.

    Raises:
        GenerationError: the server told no log-probabilities.
    """
    spelled, _ = _spellings(completion.alternatives, labels)
    return {label: spelled[label] for label in labels} if set(labels) <= set(spelled) else None


def fitting_priors(ranking: FirstTokenRanking, priors: Mapping[str, float] | None) -> Mapping[str, float] | None:
    """The priors that a ranking can be corrected by: none where a label that was not told would win, by its bound."""
    if priors is None:
        return None
    corrected = {label: logprob - priors[label] for label, logprob in ranking.logprobs.items()}
    measured = [value for label, value in corrected.items() if label not in ranking.untold]
    bounds = [corrected[label] for label in ranking.untold]
    return priors if max(measured) > max(bounds, default=-math.inf) else None


def _spellings(alternatives: Alternatives, labels: Sequence[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Log-probabilities of the labels that were told, and of fragments that several labels share."""
    if not alternatives:
        raise GenerationError("the server tells no log-probabilities; leave the ranking tasks out")
    highest = max(logprob for _, logprob in alternatives)
    if highest > 0.01:
        raise GenerationError(f"the server tells scores above 0 ({highest:g}), which are no log-probabilities")
    spelled: dict[str, float] = {}
    shared: dict[str, float] = {}
    for token, logprob in alternatives:
        word = token.strip(_SPACES).casefold()
        whole = [label for label in labels if label.casefold() == word]
        begun = whole or [label for label in labels if _begins(word, label)]
        if begun:
            sums, name = (spelled, begun[0]) if len(begun) == 1 else (shared, word)
            # The logarithm of a sum; never above 0, whatever the rounding of what was told.
            sums[name] = min(0.0, float(np.logaddexp(sums.get(name, -math.inf), logprob)))
    return spelled, shared


def _begins(word: str, label: str) -> bool:
    # Compared as bytes, since a token may end within a character.
    start = word.encode("utf-8", "surrogateescape")
    return bool(start) and word not in _FUNCTION_WORDS.split() and label.casefold().encode().startswith(start)


def _share(logprobs: Iterable[tuple[str, float]]) -> float:
    return sum(math.exp(min(0.0, logprob)) for _, logprob in logprobs)


def _too_little(share: float, alternatives: Alternatives) -> str:
    likely = sorted(alternatives, key=lambda alternative: -alternative[1])[:5]
    tokens = ", ".join(f"{token!r} ({math.exp(min(0.0, logprob)):.2g})" for token, logprob in likely)
    thinks = "think" in likely[0][0].casefold()
    advice = "the model thinks first: switch that off" if thinks else "ask for generated labels (method: generate)"
    return (
        f"the labels hold {share:.3g} of the first token's probability, at least {LEAST_SHARE} is needed to choose "
        f"among them; the likeliest tokens: {tokens}; {advice}"
    )
