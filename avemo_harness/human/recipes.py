"""What an item is made of before its files are: whose clips, whose replies, and what rating is expected."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avemo_harness.errors import UsageError
from avemo_harness.human.scales import SCALE_NAMES, SCALES_VERSION
from avemo_harness.human.study import Kind
from avemo_harness.human.systems import Candidate, System
from avemo_harness.metrics.raters import HIGHEST, LOWEST

POSITIVE, NEGATIVE = frozenset({"happy"}), frozenset({"angry", "sad"})
MOST_TO_MATCH = 200
"""Dialogues among which replies are exchanged; more would only take longer."""
_OPPOSITE, _UNFIT = 0.0, 1e6
_ANOTHERS = "The reply was given to another conversation. It may sound kind, but it is no answer to this person."


@dataclass(frozen=True, slots=True)
class Recipe:
    """An item to be made.

    Args:
        system: whose replies; of gold items that were put together, how.
        replies: a file for every shown turn.
        beeps: heard behind the last reply of a trap.
        why: by scale, why that rating is expected, for the training.
    """

    kind: Kind
    candidate: Candidate
    system: str
    replies: tuple[Path, ...]
    expected: Mapping[str, int] = field(default_factory=dict)
    beeps: int = 0
    why: Mapping[str, str] = field(default_factory=dict)


def rated_recipe(system: System, candidate: Candidate) -> Recipe:
    """The item that asks for a rating of a system's replies to a dialogue."""
    return Recipe("rated", candidate, system.label, _replies(system, candidate))


def traps(system: System, candidates: Sequence[Candidate], count: int, rng: np.random.Generator) -> Iterator[Recipe]:
    """Items that end in beeps: whoever listens to the end gives that many points on every scale."""
    for number in range(count):
        candidate = candidates[number % len(candidates)]
        beeps = int(rng.integers(LOWEST, HIGHEST + 1))
        yield Recipe(
            "trap", candidate, system.label, _replies(system, candidate), dict.fromkeys(SCALE_NAMES, beeps), beeps
        )


def put_together_golds(system: System, candidates: Sequence[Candidate], count: int) -> Iterator[Recipe]:
    """Items whose replies belong to another dialogue: of relevance 1, or 2 where general words may fit by chance.

    A dialogue gives its clips to one item and its replies to one item, and no two of the dialogues have a sentence in
    common, so that nobody knows a gold item by what was in another. The replies are to the opposite feeling where
    labels tell and there is one; else kind words for anybody may fit in general, which is no miss. Nothing is taken to
    be of relevance 5, not even a release's own answers: people rate those from 2.9 to 4.4 (arXiv 2510.07355, Table 2),
    so that whoever disagrees may well be right.

    Args:
        candidates: the ones to take first stand first.

    Returns:
        That many, or fewer where there are not enough dialogues of different words.
    """
    from scipy.optimize import linear_sum_assignment

    pool = _of_different_words(candidates)[:MOST_TO_MATCH]
    asked = pool[:count]
    unlike = np.array([[_unfitness(one, other) for other in pool] for one in asked]).reshape(len(asked), len(pool))
    # The first candidates also lend their replies first, among those that fit equally well.
    for row, column in zip(*linear_sum_assignment(unlike + np.linspace(0, 0.5, len(pool))), strict=True):
        if unlike[row, column] < _UNFIT:
            other = pool[column]
            replies = _replies(system, other)
            swapped = tuple(replies[place % len(replies)] for place in range(len(asked[row].turns)))
            source = f"replies to dialogue {other.dialogue.dialogue_id}"
            opposite = _unfitness(asked[row], other) == _OPPOSITE
            expected = {"rr": LOWEST if opposite else LOWEST + 1}
            yield Recipe("gold", asked[row], source, swapped, expected, why={"rr": _ANOTHERS})


def read_golds(path: Path, systems: Sequence[System], candidates: Sequence[Candidate]) -> list[Recipe]:
    """Gold items that experts rated: a JSON line each with ``dialogue``, ``system``, ``scales`` and some of er, en, rr.

    Raises:
        UsageError: a line is not of that form, names a dialogue or a system that the study does not have, or was rated
            on another wording of the scales.
    """
    by_label = {system.label: system for system in systems}
    by_id = {candidate.dialogue.dialogue_id: candidate for candidate in candidates}
    golds = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            expected = {name: int(row[name]) for name in SCALE_NAMES if row.get(name) is not None}
            candidate, system = by_id[row["dialogue"]], by_label[row["system"]]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{path}:{number}: expected {{dialogue, system, scales, er, en, rr}} of the study's dialogues and "
                f"systems, found {line[:80]!r}"
            ) from error
        if row.get("scales") != SCALES_VERSION:
            raise UsageError(
                f"{path}:{number}: was rated on the scales {row.get('scales')!r}, the study asks on "
                f"{SCALES_VERSION!r}; let the experts rate on those and say so in every line"
            )
        if not expected or not all(LOWEST <= value <= HIGHEST for value in expected.values()):
            raise UsageError(f"{path}:{number}: expected ratings from {LOWEST} to {HIGHEST}, found {expected}")
        golds.append(Recipe("gold", candidate, system.label, _replies(system, candidate), expected))
    return golds


def _replies(system: System, candidate: Candidate) -> tuple[Path, ...]:
    return tuple(system.replies[candidate.dialogue.dialogue_id, turn] for turn in candidate.turns)


def _unfitness(asked: Candidate, other: Candidate) -> float:
    """How badly replies to `other` serve as replies that do not fit `asked`: 0 where the feelings are opposite."""
    if asked is other:
        return _UNFIT
    here, there = _feeling(asked), _feeling(other)
    if (here in POSITIVE and there in NEGATIVE) or (here in NEGATIVE and there in POSITIVE):
        return _OPPOSITE
    return 1.0 if here != there else 2.0


def _of_different_words(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates but for those in which something is said that was said in one before."""
    chosen: list[Candidate] = []
    said: set[str] = set()
    for one in candidates:
        if not _words(one) & said:
            chosen.append(one)
            said |= _words(one)
    return chosen


def _words(candidate: Candidate) -> set[str]:
    """What the user says in the turns that are shown; a release may have one sentence in several emotions."""
    return {candidate.dialogue.turns[turn].text.casefold().strip() for turn in candidate.turns} - {""}


def _feeling(candidate: Candidate) -> str | None:
    return candidate.dialogue.turns[candidate.turns[0]].emotion
