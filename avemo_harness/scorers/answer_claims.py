"""Labels that an answer claims, apart from those that it negates, reports, supposes or only lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from avemo_harness.scorers.answer_tokens import Token, is_unspaced
from avemo_harness.scorers.answer_words import PHRASES, Kind

SENTENCE_END = frozenset({Kind.STOP, Kind.QUESTION, Kind.NEWLINE})
CLAUSE_END = SENTENCE_END | {Kind.COMMA, Kind.COLON, Kind.CONTRAST, Kind.ARROW}
_LISTING = {Kind.COMMA, Kind.OR, Kind.AND, Kind.NEWLINE}
_TRAILING = {"not", "no", "nicht", "non"}
_NOR = {"nor", "noch", "ni"}
_DENIALS = frozenset(PHRASES[Kind.DENIAL])
_THEMES = frozenset(PHRASES[Kind.THEME])
_END = Token(Kind.STOP, "")
_DENIAL_REACH = 3
"""Tokens within which a label's denial follows its verb."""
LOOKAHEAD = 12
"""Tokens that are looked at to tell whether a comma stands in a list."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Tokens of an answer with the labels among them that it claims.

    Args:
        claimed: positions of labels that are said of the speaker.
        reasons: those of the claimed that stand in a reason (because …), which count only where no other does.
        dropped: why labels that the answer names are not claimed; None where all are.
    """

    tokens: Sequence[Token]
    claimed: frozenset[int]
    reasons: frozenset[int]
    dropped: str | None

    def labels(self, start: int = 0) -> set[str]:
        """Distinct labels claimed from a token on."""
        positions = [at for at in self.claimed if at >= start]
        firm = [at for at in positions if at not in self.reasons]
        return {label for at in firm or positions if (label := self.tokens[at].label) is not None}


def find_claims(tokens: Sequence[Token], n_labels: int) -> Claims:
    """Find what an answer claims, in linear time.

    A list of all labels is the question's; a negation covers the rest of its clause.
    """
    named = {at for at, token in enumerate(tokens) if token.label is not None}
    listed = _lists_of_all(tokens, n_labels)
    denied, reasons = _covered(tokens)
    denied |= _covered_before(tokens)
    claimed = named - listed - denied
    dropped = None
    if named - claimed:
        dropped = "list of all labels" if named <= listed else "negated label"
    return Claims(tokens, frozenset(claimed), frozenset(reasons), dropped)


def _lists_of_all(tokens: Sequence[Token], n_labels: int) -> set[int]:
    """Labels in lists of all of them, such as those that repeat the question."""
    listed: set[int] = set()
    chain: list[int] = []
    for at, token in enumerate(tokens):
        if token.label is not None:
            chain.append(at)
            if len({tokens[one].label for one in chain}) == n_labels:
                listed.update(chain)
                chain = []
        elif token.kind not in _LISTING:
            chain = []
        if len(chain) > 2 * n_labels:
            chain = chain[1:]
    return listed


def _covered(tokens: Sequence[Token]) -> tuple[set[int], set[int]]:
    """Labels that a word before them denies, and those that stand in a reason."""
    denied: set[int] = set()
    reasons: set[int] = set()
    cover: Kind | None = None
    for at, token in enumerate(tokens):
        if token.label is not None and cover is not None:
            (reasons if cover is Kind.REASON else denied).add(at)
        if cover is not None and _ends(tokens, at, cover):
            cover = None
        if cover is None or cover is Kind.REASON:
            cover = _begun(tokens, at) or cover
    return denied, reasons


def _begun(tokens: Sequence[Token], at: int) -> Kind | None:
    """The kind of cover that a token begins."""
    kind = tokens[at].kind
    if kind is Kind.CONCESSION:
        return Kind.NEGATION if at == 0 or tokens[at - 1].kind in SENTENCE_END else None
    if kind is Kind.EXPLANATION:
        return kind if kind_at(tokens, at + 1) is Kind.COLON else None
    return kind if kind in (Kind.NEGATION, Kind.REPORT, Kind.CONDITION, Kind.REASON) else None


def _ends(tokens: Sequence[Token], at: int, cover: Kind) -> bool:
    """Whether a cover ends at a token."""
    kind, before, after = tokens[at].kind, kind_at(tokens, at - 1), kind_at(tokens, at + 1)
    if cover is Kind.EXPLANATION:
        announced = kind is Kind.MARKER and after in (Kind.COLON, Kind.COPULA) and before is not Kind.WORD
        return announced or (kind is Kind.NEWLINE and before is not Kind.COLON)
    if kind in SENTENCE_END:
        return after is not Kind.OR
    if cover is Kind.CONDITION:
        return False
    if cover is Kind.REPORT and kind in (Kind.COMMA, Kind.COLON) and before is Kind.REPORT:
        return False
    if kind is Kind.SO:
        return after is Kind.PRONOUN
    return kind in CLAUSE_END and after is not Kind.OR and not (kind is Kind.COMMA and _in_list(tokens, at))


def _in_list(tokens: Sequence[Token], comma: int) -> bool:
    """Whether a comma stands before a further member of a list: "no happiness, anger or fear"."""
    after_label = tokens[comma - 1].label is not None if comma else False
    length = 0
    for at in range(comma + 1, min(comma + 1 + LOOKAHEAD, len(tokens))):
        kind = tokens[at].kind
        if kind is Kind.OR or tokens[at].text in _NOR:
            return at > comma + 1
        if kind is Kind.AND:
            return after_label and at > comma + 1 and kind_at(tokens, at + 1) is Kind.LABEL
        length = 0 if kind is Kind.COMMA else length + 1
        if length > 2 or kind not in (Kind.LABEL, Kind.WORD, Kind.COMMA):
            return False
    return False


def _covered_before(tokens: Sequence[Token]) -> set[int]:
    """Labels that a word or mark behind them denies: negations at the end, questions, themes, "happy: no"."""
    denied: set[int] = set()
    clause: list[int] = []
    sentence: list[int] = []
    previous: list[int] = []
    begins = 0
    for at, token in enumerate(tokens):
        if token.label is not None:
            clause.append(at)
            sentence.append(at)
            if _denied_behind(tokens, at):
                denied.add(at)
        elif token.kind in (Kind.END_NEGATION, Kind.CONDITION) or _trails(tokens, at):
            denied.update(clause)
            clause = []
        elif token.kind is Kind.QUESTION and tokens[begins].kind is not Kind.OR:
            denied.update(sentence)
        if token.kind in SENTENCE_END:
            previous, sentence, begins = sentence or previous, [], at + 1
        if token.kind in CLAUSE_END:
            clause = []
    if _takes_back(tokens):
        denied.update(previous)
    return denied


def _takes_back(tokens: Sequence[Token]) -> bool:
    """Whether the answer ends with a lone "No."."""
    last = next((at for at in range(len(tokens) - 1, -1, -1) if tokens[at].kind not in CLAUSE_END), -1)
    return last > 0 and tokens[last].text in _TRAILING and tokens[last - 1].kind in SENTENCE_END


def _trails(tokens: Sequence[Token], at: int) -> bool:
    """Whether a negation is the last word of a clause that has others: "traurig ist sie nicht"."""
    return tokens[at].text in _TRAILING and kind_at(tokens, at - 1) not in CLAUSE_END and _closes(tokens, at + 1)


def _denied_behind(tokens: Sequence[Token], at: int) -> bool:
    """Whether a label is a theme ("a sad film"), does not fit ("sad would be wrong") or is denied ("sad: no")."""
    rest = [*tokens[at + 1 : at + 2 + _DENIAL_REACH], _END, _END, _END]
    clause = list(takewhile(lambda token: token.kind not in CLAUSE_END, rest))
    after = rest[0]
    if after.text in _THEMES:
        return True
    if after.kind in (Kind.COPULA, Kind.AUXILIARY) and after.text != "=":
        return any(token.kind is Kind.NEGATION for token in clause)
    if after.kind is Kind.NEGATION:
        # French sets its negation there, Chinese writes no comma before it.
        return after.text == "ne" or (is_unspaced(after.text) and not after.text.startswith("而"))
    return (after.kind is Kind.COLON or after.text == "=") and rest[1].text in _DENIALS and rest[2].kind in CLAUSE_END


def _closes(tokens: Sequence[Token], at: int) -> bool:
    return at >= len(tokens) or tokens[at].kind in CLAUSE_END


def kind_at(tokens: Sequence[Token], at: int) -> Kind | None:
    """Kind of the token at a position; None outside."""
    return tokens[at].kind if 0 <= at < len(tokens) else None
