"""Labels that an answer claims, apart from those that it negates, reports, supposes or only lists; and its last word.

A cover is a word's hold over the labels behind it: a negation's reaches to the end of its clause, for instance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from avemo_harness.scorers.answer_words import Kind, Token, is_unspaced

SENTENCE_END = frozenset({Kind.STOP, Kind.QUESTION, Kind.NEWLINE})
CLAUSE_END = SENTENCE_END | {Kind.COMMA, Kind.COLON, Kind.CONTRAST, Kind.ARROW}
_LISTING = {Kind.COMMA, Kind.OR, Kind.AND, Kind.NEWLINE}
_COVERS = {Kind.NEGATION, Kind.REPORT, Kind.CONDITION, Kind.REASON}
_SUBORDINATING = {"that", "dass", "que", "qu"}
_NOR = {"nor", "noch", "ni"}
_NO = {"no", "nein", "non"}
_END = Token(Kind.STOP, "")
_CLOSING_WORDS = 2
"""Words beside the label that may follow a closing colon, as in "my impression: probably sad"."""
_DENIAL_REACH = 3
"""Tokens within which a label's denial follows its verb."""
LOOKAHEAD = 12
"""Tokens that are looked at to tell whether a comma stands in a list."""
REACH = 25
"""Tokens between a marker and its label at most."""


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
    claimed = named - listed - denied - _covered_before(tokens) - _corrected(tokens)
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
    if _is_other_answer(tokens, at):
        return Kind.EMOTION
    return kind if kind in _COVERS else None


def _is_other_answer(tokens: Sequence[Token], at: int) -> bool:
    """Tell whether a word that is no label is the answer: alone behind "emotion:", or an emotion alone in front."""
    announced = kind_at(tokens, at - 1) in (Kind.COLON, Kind.VERB) and kind_at(tokens, at - 2) is Kind.MARKER
    closed = {Kind.STOP, Kind.NEWLINE, Kind.COMMA} if announced else {Kind.STOP, Kind.NEWLINE}
    if not (announced or at == 0) or kind_at(tokens, at + 1) not in closed:
        return False
    # A label alone behind it says the same in the task's words: "frustrated (angry)".
    if kind_at(tokens, at + 2) is Kind.LABEL and kind_at(tokens, at + 3) in (*CLAUSE_END, None):
        return False
    filled = announced and kind_at(tokens, at - 1) is Kind.COLON and not is_unspaced(tokens[at].text)
    return tokens[at].kind is Kind.EMOTION or (filled and tokens[at].kind is Kind.WORD)


def _ends(tokens: Sequence[Token], at: int, cover: Kind) -> bool:
    kind, before, after = tokens[at].kind, kind_at(tokens, at - 1), kind_at(tokens, at + 1)
    if cover in (Kind.EXPLANATION, Kind.EMOTION):
        announced = kind is Kind.MARKER and (after is Kind.COLON or (after is Kind.VERB and before is not Kind.WORD))
        if cover is Kind.EMOTION:
            return announced or kind in (Kind.SUMMARY, Kind.ARROW)
        return announced or (kind is Kind.NEWLINE and before is not Kind.COLON)
    if kind in SENTENCE_END:
        return after is not Kind.OR
    if cover is Kind.CONDITION:
        return False
    if kind is Kind.AND:
        return after is Kind.VERB
    if cover is Kind.REPORT and kind in (Kind.COMMA, Kind.COLON) and before is Kind.REPORT:
        return False
    return kind in CLAUSE_END and after is not Kind.OR and not (kind is Kind.COMMA and _goes_on(tokens, at))


def _goes_on(tokens: Sequence[Token], comma: int) -> bool:
    """Tell whether a subordinate clause or a further member of a list follows: "no happiness, anger or fear"."""
    after_label = comma > 0 and tokens[comma - 1].label is not None
    length = 0
    for at in range(comma + 1, min(comma + 1 + LOOKAHEAD, len(tokens))):
        kind = tokens[at].kind
        if at == comma + 1 and tokens[at].text in _SUBORDINATING:
            return True
        if kind is Kind.OR or tokens[at].text in _NOR:
            return at > comma + 1
        if kind is Kind.AND:
            return after_label and at > comma + 1 and kind_at(tokens, at + 1) is Kind.LABEL
        length = 0 if kind is Kind.COMMA else length + 1
        if length > 2 or kind not in (Kind.LABEL, Kind.WORD, Kind.EMOTION, Kind.COMMA):
            return False
    return False


def _covered_before(tokens: Sequence[Token]) -> set[int]:
    """Labels that a word or mark behind them denies: negations at the end, questions, themes, "happy: no"."""
    denied: set[int] = set()
    clause: list[int] = []
    sentence: list[int] = []
    begins = 0
    for at, token in enumerate(tokens):
        if token.label is not None:
            clause.append(at)
            sentence.append(at)
            if _denied_behind(tokens, at):
                denied.add(at)
        elif token.kind in (Kind.END_NEGATION, Kind.CONDITION):
            denied.update(clause)
            clause = []
        elif token.kind is Kind.QUESTION and tokens[begins].kind is not Kind.OR:
            denied.update(sentence)
        if token.kind in SENTENCE_END:
            sentence, begins = [], at + 1
        if token.kind in CLAUSE_END:
            clause = []
    return denied


def _denied_behind(tokens: Sequence[Token], at: int) -> bool:
    """Tell whether a label is a theme ("a sad film"), does not fit ("sad would be wrong") or is denied ("sad: no")."""
    rest = [*tokens[at + 1 : at + 2 + _DENIAL_REACH], _END, _END, _END]
    clause = list(takewhile(lambda token: token.kind not in CLAUSE_END, rest))
    after = rest[0]
    if after.kind in (Kind.COLON, Kind.ARROW) or after.text == "=":
        return rest[1].kind is Kind.NEGATION and rest[2].kind in CLAUSE_END
    if after.kind in (Kind.VERB, Kind.TENTATIVE):
        return any(token.kind is Kind.NEGATION for token in clause)
    if after.kind is Kind.NEGATION:
        # French sets its negation there, Chinese writes no comma before it.
        return after.text == "ne" or (is_unspaced(after.text) and not after.text.startswith("而"))
    return after.kind is Kind.THEME


def _corrected(tokens: Sequence[Token]) -> set[int]:
    """Labels that are only weighed before a contrast that names one firmly: "it could be sad, but it is neutral"."""
    corrected: set[int] = set()
    weighed: list[int] = []
    tentative = contrasted = named = False
    for at, token in enumerate([*tokens, _END]):
        if token.label is not None and contrasted:
            named = True
        elif token.label is not None and tentative:
            weighed.append(at)
        elif token.kind is Kind.TENTATIVE:
            tentative, weighed = not contrasted, [] if contrasted else weighed
        elif token.kind is Kind.NOT_FINAL and contrasted:
            weighed = []
        elif token.kind is Kind.CONTRAST:
            contrasted = tentative
        elif token.kind in SENTENCE_END and (contrasted or kind_at(tokens, at + 1) is not Kind.CONTRAST):
            corrected.update(weighed if named else ())
            weighed, tentative, contrasted, named = [], False, False, False
    return corrected


def find_announcement(claims: Claims) -> int | None:
    """Position behind the last marker that announces a label ("answer:", "the emotion is", "->"); None without one.

    A colon that little more than a label closes is one. A marker of one of several emotions ("facial emotion", "the
    emotion in the voice is") announces nothing, nor does a colon beside another label ("voice: sad, face: happy").
    """
    colons = [at for at, token in enumerate(claims.tokens) if token.kind is Kind.COLON]
    if colons and _closes(claims, colons):
        return colons[-1] + 1
    return next((at + 1 for at in range(len(claims.tokens) - 1, -1, -1) if _announces(claims, at)), None)


def _closes(claims: Claims, colons: Sequence[int]) -> bool:
    """Tell whether little more than a label follows the last colon, and no colon stands beside another label."""
    tokens, last = claims.tokens, colons[-1]
    words = [at for at in range(last + 1, len(tokens)) if tokens[at].kind not in CLAUSE_END]
    if not any(at in claims.claimed for at in words) or sum(tokens[at].label is None for at in words) > _CLOSING_WORDS:
        return False
    several = any(at - 1 in claims.claimed or at + 1 in claims.claimed for at in colons[:-1])
    # What is claimed straight before a colon has a score or a reason behind it.
    scored = last - 1 in claims.claimed and not any(tokens[at].kind is Kind.OR for at in range(last))
    return not (several or scored or kind_at(tokens, last - 1) is Kind.NOT_FINAL)


def _announces(claims: Claims, at: int) -> bool:
    tokens = claims.tokens
    kind, before, after = tokens[at].kind, kind_at(tokens, at - 1), kind_at(tokens, at + 1)
    if kind is Kind.MARKER:
        return _marker_announces(claims, at)
    if kind is Kind.SUMMARY:
        return after in (Kind.COLON, Kind.COMMA, Kind.LABEL)
    if kind is Kind.CORRECTION or tokens[at].text in _NO:
        return before in CLAUSE_END and (kind is Kind.CORRECTION or after in CLAUSE_END)
    if kind is Kind.ARROW:
        # From one label to another, an arrow tells how the emotion changes; beside others, it is one of several.
        others = (one for one in range(max(at - REACH, 0), at) if tokens[one].kind is Kind.ARROW)
        several = before is Kind.NOT_FINAL or any(one + 1 in claims.claimed for one in others)
        return at + 1 in claims.claimed and at - 1 not in claims.claimed and not several
    return False


def _marker_announces(claims: Claims, marker: int) -> bool:
    """Tell whether a label follows directly, or behind a verb or colon in the marker's own clause."""
    tokens = claims.tokens
    if kind_at(tokens, marker - 1) in (Kind.NOT_FINAL, Kind.TENTATIVE, Kind.NEGATION):
        return False
    linked = False
    for at in range(marker + 1, min(marker + 1 + REACH, len(tokens))):
        kind = tokens[at].kind
        if at in claims.claimed:
            return linked or at == marker + 1
        if kind is Kind.NOT_FINAL or (kind in SENTENCE_END and not (kind is Kind.NEWLINE and linked)):
            return False
        linked = linked or kind in (Kind.VERB, Kind.COLON, Kind.ARROW)
    return False


def kind_at(tokens: Sequence[Token], at: int) -> Kind | None:
    """Kind of the token at a position; None outside."""
    return tokens[at].kind if 0 <= at < len(tokens) else None
