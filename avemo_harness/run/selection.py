"""Which of a task's items a run asks: by number of dialogues, by id, by a property of the asked turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from avemo_harness.benchmark.release import Dialogue, Release, Turn
from avemo_harness.benchmark.request import Item
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


def select_items(items: Sequence[Item], release: Release, config: RunConfig) -> list[Item]:
    """Keep the items that a run's ``limit``, ``ids`` and ``where`` leave, in order.

    Raises:
        UsageError: an unknown property, a limit that is no count or share, or nothing is left.
    """
    kept = [item for item in items if _wanted(item, release, config)]
    if config.limit is not None:
        units = list(dict.fromkeys(item.unit for item in kept))
        within = set(units[: _count(config.limit, len(units))])
        kept = [item for item in kept if item.unit in within]
    if not kept:
        raise UsageError(f"{items[0].task}: --ids, --where and --limit leave nothing to ask of {len(items)} items")
    return kept


def _count(limit: float, available: int) -> int:
    if not 0 < limit < math.inf or (limit >= 1 and limit != int(limit)):
        raise UsageError(f"--limit must be a count of dialogues or a share between 0 and 1, found {limit:g}")
    # 0.07 of 100 is a little more than 7 in binary.
    return int(limit) if limit >= 1 else max(1, math.ceil(limit * available - 1e-9))


def _wanted(item: Item, release: Release, config: RunConfig) -> bool:
    if config.ids and not {item.item_id, item.dialogue_id} & set(config.ids):
        return False
    dialogue = release.dialogue(item.dialogue_id)
    turn = dialogue.turns[item.turn_index]
    return all(_holds(condition, dialogue, turn) for condition in config.where)


def _holds(condition: str, dialogue: Dialogue, turn: Turn) -> bool:
    name, equals, value = condition.partition("=")
    if not equals or name not in PROPERTIES:
        raise UsageError(f"--where {condition!r}: write FIELD=VALUE{hint(name, PROPERTIES)}")
    return PROPERTIES[name](dialogue, turn) == value
