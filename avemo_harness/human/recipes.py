"""What an item is made of before its files are: whose clips, whose replies, and what rating is expected."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avemo_harness.errors import UsageError
from avemo_harness.human.scales import SCALE_NAMES
from avemo_harness.human.study import Kind
from avemo_harness.human.systems import Candidate, System
from avemo_harness.metrics.raters import HIGHEST, LOWEST

POSITIVE, NEGATIVE = frozenset({"happy"}), frozenset({"angry", "sad"})


@dataclass(frozen=True, slots=True)
class Recipe:
    """An item to be made.

    Args:
        system: whose replies; of gold items that were put together, how.
        replies: a file for every shown turn.
        beeps: heard behind the last reply of a trap.
    """

    kind: Kind
    candidate: Candidate
    system: str
    replies: tuple[Path, ...]
    expected: Mapping[str, int] = field(default_factory=dict)
    beeps: int = 0


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
    """Items whose replies belong to another dialogue, of the opposite feeling where labels tell: of relevance 1.

    Nothing is taken to be of relevance 5, not even a release's own answers: people rate those from 2.9 to 4.4
    (arXiv 2510.07355, Table 2), so that whoever disagrees may well be right.
    """
    for number in range(count):
        asked = candidates[number % len(candidates)]
        other = _opposite(asked, candidates)
        replies = _replies(system, other)
        swapped = tuple(replies[position % len(replies)] for position in range(len(asked.turns)))
        yield Recipe("gold", asked, f"replies to dialogue {other.dialogue.dialogue_id}", swapped, {"rr": LOWEST})


def read_golds(path: Path, systems: Sequence[System], candidates: Sequence[Candidate]) -> list[Recipe]:
    """Gold items that experts rated: a JSON line each with ``dialogue``, ``system`` and one or more of er, en, rr.

    Raises:
        UsageError: a line is not of that form, or names a dialogue or a system that the study does not have.
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
                f"{path}:{number}: expected {{dialogue, system, er, en, rr}} of the study's dialogues and systems, "
                f"found {line[:80]!r}"
            ) from error
        if not expected or not all(LOWEST <= value <= HIGHEST for value in expected.values()):
            raise UsageError(f"{path}:{number}: expected ratings from {LOWEST} to {HIGHEST}, found {expected}")
        golds.append(Recipe("gold", candidate, system.label, _replies(system, candidate), expected))
    return golds


def _replies(system: System, candidate: Candidate) -> tuple[Path, ...]:
    return tuple(system.replies[candidate.dialogue.dialogue_id, turn] for turn in candidate.turns)


def _opposite(asked: Candidate, candidates: Sequence[Candidate]) -> Candidate:
    """The next dialogue of opposite valence after `asked`, else the next one."""
    start = candidates.index(asked)
    others = [candidates[(start + step) % len(candidates)] for step in range(1, len(candidates))]
    here = _feeling(asked)
    wanted = NEGATIVE if here in POSITIVE else POSITIVE
    return next((other for other in others if _feeling(other) in wanted), others[0] if others else asked)


def _feeling(candidate: Candidate) -> str | None:
    return candidate.dialogue.turns[candidate.turns[0]].emotion
