"""Selection of a part of a task's items: a balanced number of dialogues, some ids, some properties of the turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from avemo_harness.benchmark.planning import turn_item_id
from avemo_harness.benchmark.release import Dialogue, Release, Turn
from avemo_harness.benchmark.request import Item
from avemo_harness.benchmark.sampling import dialogue_order, pair_order
from avemo_harness.errors import UsageError
from avemo_harness.names import hint
from avemo_harness.run.config import RunConfig

Property = Callable[[Dialogue, Turn], str]

PROPERTIES: dict[str, Property] = {
    "emotion": lambda dialogue, turn: str(turn.emotion),
    "speaker_id": lambda dialogue, turn: turn.speaker_id,
    "turn_index": lambda dialogue, turn: str(turn.turn_index),
    "language": lambda dialogue, turn: dialogue.language,
    "source": lambda dialogue, turn: dialogue.source,
}
"""What `--where` can compare; for a conflict pair, of the turn whose sound is heard."""


@dataclass(frozen=True)
class Selection:
    """The part of one release that a run's ``limit``, ``ids`` and ``where`` name.

    The limit counts dialogues, in one sampling order per split and seed, so that every condition is asked about the
    same ones; conflict pairs have an order of their own. A smaller limit is a prefix of a larger one.

    Raises:
        UsageError: an unknown property, or a limit that is no count or share.
    """

    release: Release
    config: RunConfig

    def __post_init__(self) -> None:
        limit = self.config.limit
        if limit is not None and (not 0 < limit < math.inf or (limit >= 1 and limit != int(limit))):
            raise UsageError(f"--limit must be a count of dialogues or a share between 0 and 1, found {limit:g}")
        for condition in self.config.where:
            name, equals, _ = condition.partition("=")
            if not equals or name not in PROPERTIES:
                raise UsageError(f"--where {condition!r}: write FIELD=VALUE{hint(name, PROPERTIES)}")

    def of(self, items: Sequence[Item]) -> list[Item]:
        """The selected ones among a task's items, in their order."""
        kept = [item for item in items if self._is_wanted(item)]
        if self.config.limit is None:
            return kept
        return [
            item
            for item in kept
            if (item.item_id in self._pairs if item.condition == "conflict" else item.dialogue_id in self._dialogues)
        ]

    def unknown_ids(self) -> list[str]:
        """The ``ids`` that are no dialogue, pair or user turn of the release."""
        known = {pair.pair_id for pair in self.release.pairs}
        for dialogue in self.release.dialogues:
            known |= {dialogue.dialogue_id}
            known |= {turn_item_id(dialogue.dialogue_id, turn.turn_index) for turn in dialogue.turns}
        return [one for one in self.config.ids if one not in known]

    @cached_property
    def _dialogues(self) -> frozenset[str]:
        """The dialogues within the limit, of those with a turn of the user that is wanted."""
        order = dialogue_order(self.release, self.config.seed)
        wanted = [name for name in order if self._has_wanted_turn(self.release.dialogue(name))]
        return frozenset(wanted[: self._count(len(wanted))])

    def _has_wanted_turn(self, dialogue: Dialogue) -> bool:
        return any(
            self._holds(dialogue, turn, turn_item_id(dialogue.dialogue_id, turn.turn_index))
            for turn in dialogue.turns
            if turn.role == "user"
        )

    @cached_property
    def _pairs(self) -> frozenset[str]:
        """The conflict pairs within the limit, of those that are wanted."""
        wanted = []
        for name in pair_order(self.release, self.config.seed):
            pair = self.release.pair(name)
            dialogue = self.release.dialogue(pair.audio_dialogue_id)
            if self._holds(dialogue, dialogue.turns[pair.audio_turn], name):
                wanted.append(name)
        return frozenset(wanted[: self._count(len(wanted))])

    def _count(self, available: int) -> int:
        limit = self.config.limit or 0.0
        # 0.07 of 100 is a little more than 7 in binary.
        return int(limit) if limit >= 1 else max(1, math.ceil(limit * available - 1e-9))

    def _is_wanted(self, item: Item) -> bool:
        dialogue = self.release.dialogue(item.dialogue_id)
        return self._holds(dialogue, dialogue.turns[item.turn_index], item.item_id)

    def _holds(self, dialogue: Dialogue, turn: Turn, item_id: str) -> bool:
        if self.config.ids and not {item_id, dialogue.dialogue_id} & set(self.config.ids):
            return False
        return all(
            PROPERTIES[name](dialogue, turn) == value
            for name, _, value in (condition.partition("=") for condition in self.config.where)
        )
