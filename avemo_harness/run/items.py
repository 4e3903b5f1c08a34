"""The items that a run was ever asked: a file a task, and `items.json` with their counts and digests.

The amount is no part of a run's identity, so the lists only grow: by a larger ``--limit``, other ``--ids``. Results are
over all that they hold.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jsonlines

from avemo_harness.benchmark.planning import Plan
from avemo_harness.benchmark.request import Item
from avemo_harness.errors import StoreError
from avemo_harness.locks import one_at_a_time
from avemo_harness.paths import write_atomically
from avemo_harness.run.lines import json_lines
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


def add_items(
    folder: Path, plans: Mapping[str, Plan], selected: Mapping[str, Sequence[Item]]
) -> tuple[dict[str, list[Item]], bool]:
    """Add the selected items to what the run holds already; any number of workers may.

    Args:
        plans: of every task that is asked, for the whole split.
        selected: the items of each that are asked for now.

    Returns:
        All items that the run now holds, by task and in the order of the plan, and whether it held some that are not
        selected now.

    Raises:
        StoreError: the directory is damaged or cannot be written.
    """
    with one_at_a_time(folder / "claims" / ".items", before_waiting=lambda: None):
        items: dict[str, list[Item]] = {}
        counts: dict[str, ItemCounts] = {}
        held_more = False
        for task, plan in plans.items():
            path = _path(folder, task)
            # Items outside the plan belong to no question of this release; the lists themselves only grow.
            held = _held_ids(path, folder, task, plan)
            wanted = {item.item_id for item in selected[task]}
            held_more = held_more or not held <= wanted
            items[task] = [item for item in plan.items if item.item_id in held | wanted]
            text = json_lines(asdict(item) for item in items[task])
            if not path.exists() or path.read_bytes() != text.encode():
                write_atomically(path, text)
            counts[task] = ItemCounts(len(items[task]), len(plan.items), plan.not_asked, _digest(path.read_bytes()))
        _write_counts(folder, counts)
    return items, held_more


def read_items(folder: Path, task: str) -> list[Item]:
    """Read the items of a task, in the order of its plan.

    Raises:
        StoreError: the list is missing, damaged, or not the one that `items.json` names.
    """
    path = _path(folder, task)
    expected = read_counts(folder, task).sha256
    if expected is not None and path.exists() and _digest(path.read_bytes()) != expected:
        raise StoreError(
            f"{path}: is not the list that {folder / 'items.json'} names (another digest); give the run's command "
            "again, which writes both"
        )
    return _read(path)


def read_counts(folder: Path, task: str) -> ItemCounts:
    """Read the counts of a task.

    Raises:
        StoreError: `items.json` is damaged or names no such task.
    """
    path = folder / "items.json"
    if not path.exists():
        return ItemCounts(len(_read(_path(folder, task))), None)
    try:
        return ItemCounts(**read_sealed_json(path.read_text(encoding="utf-8"))["tasks"][task])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"{path}: cannot be read as the counts of {task} ({error!r}); give the run's command again, which writes it"
        ) from error


def _held_ids(path: Path, folder: Path, task: str, plan: Plan) -> set[str]:
    """The ids that a list holds; of a damaged one, those of its readable lines, or all where all were asked."""
    if not path.exists():
        return set()
    try:
        return {item.item_id for item in read_items(folder, task)}
    except StoreError:
        with suppress(StoreError):  # the counts may be damaged, too
            counts = read_counts(folder, task)
            if counts.asked == counts.available:
                return {item.item_id for item in plan.items}
    return {str(row["item_id"]) for row in map(_row, path.read_bytes().splitlines()) if "item_id" in row}


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _path(folder: Path, task: str) -> Path:
    return folder / "items" / f"{task}.jsonl"


def _read(path: Path) -> list[Item]:
    try:
        with jsonlines.open(path) as reader:
            return [Item(**line) for line in reader]
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(f"{path}: the list of the task's items cannot be read ({error})") from error


def _write_counts(folder: Path, counts: Mapping[str, ItemCounts]) -> None:
    content: dict[str, Any] = {
        "schema_version": ITEMS_SCHEMA,
        "tasks": {task: asdict(of_task) for task, of_task in counts.items()},
    }
    text = sealed_json(content)
    path = folder / "items.json"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_atomically(path, text)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
