"""Place in an answer behind which it announces its label: "answer:", "the emotion is", "->", a closing colon."""

from __future__ import annotations

from avemo_harness.scorers.answer_claims import CLAUSE_END, SENTENCE_END, Claims, kind_at
from avemo_harness.scorers.answer_words import Kind

_NO = {"no", "nein", "non"}
REACH = 25
"""Tokens between a marker and its label at most."""
_CLOSING_WORDS = 2
"""Words beside the label that may follow a closing colon, as in "my impression: probably sad"."""


def find_announcement(claims: Claims) -> int | None:
    """Position behind the last marker that announces a label; None where there is none.

    A marker of one of several emotions ("facial emotion", "the emotion in the voice is") announces nothing, nor does a
    colon behind or before a further label ("voice: sad, face: happy").
    """
    last_colon = max((at for at, token in enumerate(claims.tokens) if token.kind is Kind.COLON), default=None)
    if last_colon is not None and _colon_closes(claims, last_colon):
        return last_colon + 1
    return next((at + 1 for at in range(len(claims.tokens) - 1, -1, -1) if _announces(claims, at)), None)


def _announces(claims: Claims, at: int) -> bool:
    tokens = claims.tokens
    kind, after = tokens[at].kind, kind_at(tokens, at + 1)
    if kind is Kind.MARKER:
        return _marker_announces(claims, at)
    if kind is Kind.SUMMARY:
        return after in (Kind.COLON, Kind.COMMA, Kind.LABEL)
    if kind is Kind.CORRECTION or tokens[at].text in _NO:
        begins = at > 0 and kind_at(tokens, at - 1) in CLAUSE_END
        return begins and (kind is Kind.CORRECTION or after in CLAUSE_END)
    if kind is Kind.ARROW:
        # From one label to another, an arrow tells how the emotion changes.
        return at + 1 in claims.claimed and at - 1 not in claims.claimed
    return False


def _marker_announces(claims: Claims, marker: int) -> bool:
    """Whether a label follows directly, or behind a verb or colon in the marker's own clause."""
    tokens = claims.tokens
    if kind_at(tokens, marker - 1) in (Kind.NOT_FINAL, Kind.NEGATION):
        return False
    linked = False
    for at in range(marker + 1, min(marker + 1 + REACH, len(tokens))):
        kind = tokens[at].kind
        if at in claims.claimed:
            return linked or at == marker + 1
        if kind is Kind.NOT_FINAL or (kind in SENTENCE_END and not (kind is Kind.NEWLINE and linked)):
            return False
        linked = linked or kind in (Kind.COPULA, Kind.COLON, Kind.ARROW)
    return False


def _colon_closes(claims: Claims, colon: int) -> bool:
    """Whether little more than a label follows, and no other colon stands beside a label."""
    tokens = claims.tokens
    rest = range(colon + 1, len(tokens))
    words = [at for at in rest if tokens[at].kind not in CLAUSE_END]
    if not any(at in claims.claimed for at in words) or sum(tokens[at].label is None for at in words) > _CLOSING_WORDS:
        return False
    # "Happy: …" explains a label, "happy or sad: …" chooses.
    if colon - 1 in claims.claimed and kind_at(tokens, colon - 2) is not Kind.OR:
        return False
    earlier = (at for at in range(colon) if tokens[at].kind is Kind.COLON)
    return not any(at - 1 in claims.claimed or at + 1 in claims.claimed for at in earlier)
