"""The items that a run was ever asked: a file a task, and `items.json` with their counts and digests.

The amount is no part of a run's identity, so the lists only grow: by a larger ``--limit``, other ``--ids``. Results are
over all that they hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from avemo_harness.benchmark.planning import Plan
from avemo_harness.benchmark.request import Item
from avemo_harness.errors import StorageError, StoreError, storage_errors
from avemo_harness.locks import one_at_a_time
from avemo_harness.paths import read_whole, write_atomically
from avemo_harness.run.lines import complete_lines, json_lines, parse_line
from avemo_harness.run.sealed import read_sealed_json, sealed_json

ITEMS_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """Counts of a task's items in the run and in its plan.

    Args:
        asked: items that were ever asked for.
        available: items of the whole plan; None in a run that was made before the lists could grow.
        not_asked: as in `avemo_harness.benchmark.planning.Plan`, of the whole split.
        sha256: of the task's file of items.
    """

    asked: int
    available: int | None
    not_asked: Mapping[str, int] = field(default_factory=dict)
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class HeldItems:
    """All items that a run holds.

    Args:
        by_task: in the order of the plan.
        more: the run held some that are not selected now.
        forgotten: how many of a task's items a damaged list held that nothing tells any more; they were never asked.
    """

    by_task: Mapping[str, list[Item]]
    more: bool
    forgotten: Mapping[str, int]


def add_items(folder: Path, plans: Mapping[str, Plan], selected: Mapping[str, Sequence[Item]]) -> HeldItems:
    """Add the selected items to what the run holds already; any number of workers may.

    A list that is damaged is made anew.

    Args:
        plans: of every task that is asked, for the whole split.
        selected: the items of each that are asked for now.

    Raises:
        StorageError: the directory cannot be read or written.
    """
    with one_at_a_time(folder / "claims" / ".items", before_waiting=lambda: None):
        items: dict[str, list[Item]] = {}
        counts: dict[str, ItemCounts] = {}
        forgotten: dict[str, int] = {}
        more = False
        for task, plan in plans.items():
            # Items outside the plan belong to no question of this release; the lists themselves only grow.
            held, n_held = _held_ids(folder, task, plan)
            wanted = {item.item_id for item in selected[task]}
            more = more or not held <= wanted
            items[task] = [item for item in plan.items if item.item_id in held | wanted]
            if n_held > len(items[task]):
                forgotten[task] = n_held - len(items[task])
            text = json_lines(asdict(item) for item in items[task])
            _write_changed(items_path(folder, task), text)
            counts[task] = ItemCounts(len(items[task]), len(plan.items), plan.not_asked, _digest(text.encode()))
        _write_counts(folder, counts)
    return HeldItems(items, more, forgotten)


def read_items(folder: Path, task: str) -> list[Item]:
    """Read the items of a task, in the order of its plan.

    Raises:
        StorageError: the list cannot be read.
        StoreError: it is missing, damaged, or not the one that `items.json` names.
    """
    path = items_path(folder, task)
    if not path.exists():
        raise StoreError(f"{path}: is missing; give the run's command again, which writes it")
    data = read_whole(path)
    expected = read_counts(folder, task).sha256
    if expected is not None and _digest(data) != expected:
        raise StoreError(
            f"{path}: is not the list that {folder / 'items.json'} names (another digest); give the run's command "
            "again, which writes both"
        )
    try:
        return [Item(**parse_line(line)) for line in data.splitlines()]
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"{path}: the list of the task's items cannot be read ({error}); give the run's command again, which "
            "writes it"
        ) from error


def read_counts(folder: Path, task: str) -> ItemCounts:
    """Read the counts of a task.

    Raises:
        StorageError: `items.json` cannot be read.
        StoreError: it is damaged or names no such task.
    """
    path = folder / "items.json"
    if not path.exists():
        return ItemCounts(len(read_whole(items_path(folder, task)).splitlines()), None)
    try:
        return ItemCounts(**read_sealed_json(path)["tasks"][task])
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"{path}: cannot be read as the counts of {task} ({error!r}); give the run's command again, which writes it"
        ) from error


def items_path(folder: Path, task: str) -> Path:
    """The list of a task's items in a run directory."""
    return folder / "items" / f"{task}.jsonl"


def _held_ids(folder: Path, task: str, plan: Plan) -> tuple[set[str], int]:
    """The ids that a list holds, and how many it held before it was damaged."""
    try:
        held = {item.item_id for item in read_items(folder, task)}
    except StorageError:
        raise
    except StoreError:
        return _restored_ids(folder, task, plan)
    return held, len(held)


def _restored_ids(folder: Path, task: str, plan: Plan) -> tuple[set[str], int]:
    """As `_held_ids`, of a damaged or missing list: all where all were asked, else those of whole lines and answers."""
    path = items_path(folder, task)
    lines = set(read_whole(path).splitlines() if path.exists() else ())
    counts = _counts_if_whole(folder, task) or ItemCounts(len(lines), None)
    if counts.asked == counts.available:
        return {item.item_id for item in plan.items}, counts.asked
    asked = _asked_ids(folder, task)
    whole = {item.item_id for item in plan.items if json_lines([asdict(item)]).strip().encode() in lines}
    return whole | asked, counts.asked


def _counts_if_whole(folder: Path, task: str) -> ItemCounts | None:
    if not (folder / "items.json").exists():
        return None
    try:
        return read_counts(folder, task)
    except StorageError:
        raise
    except StoreError:
        return None


def _asked_ids(folder: Path, task: str) -> set[str]:
    """The ids of a task's items that have an answer or an error."""
    asked = set()
    with storage_errors(folder / "responses", "read"):
        segments = list(folder.glob("responses/*.jsonl"))
    for segment in segments:
        for line in complete_lines(segment)[0]:
            with suppress(ValueError, KeyError):  # another damaged line, which `RunStore` names
                row = parse_line(line)
                if row["task"] == task:
                    asked.add(str(row["item"]))
    return asked


def _write_counts(folder: Path, counts: Mapping[str, ItemCounts]) -> None:
    content: dict[str, Any] = {
        "schema_version": ITEMS_SCHEMA,
        "tasks": {task: asdict(of_task) for task, of_task in counts.items()},
    }
    _write_changed(folder / "items.json", sealed_json(content))


def _write_changed(path: Path, text: str) -> None:
    """Write a file unless it has this content already, so that nothing is written into a run that stays as it is."""
    if not path.exists() or read_whole(path) != text.encode():
        write_atomically(path, text)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
