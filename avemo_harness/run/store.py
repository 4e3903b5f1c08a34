"""The run directory: append-only segments of responses, the speech they name, and the lists of items."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from avemo_harness import media
from avemo_harness.benchmark.planning import Plan
from avemo_harness.benchmark.request import Item, ItemKey, Response, Speech, StoredResponse
from avemo_harness.errors import StorageError, StoreError, storage_errors
from avemo_harness.files import exclusive_lock, read_whole, write_atomically
from avemo_harness.garbage import collection_paused
from avemo_harness.run.json_files import (
    LineWriter,
    complete_lines,
    cut_after,
    json_lines,
    none_if_damaged,
    parse_line,
    read_sealed_json,
    sealed_json,
)
from avemo_harness.text import Notify, storable

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


@collection_paused()
def add_items(
    folder: Path, plans: Mapping[str, Plan], selected: Mapping[str, Sequence[Item]], say: Notify
) -> tuple[dict[str, list[Item]], bool]:
    """Add the selected items to what the run holds already; any number of workers may.

    A list that is damaged is made anew.

    Args:
        plans: of every task that is asked, for the whole split.
        selected: the items of each that are asked for now.
        say: is told of items that a damaged list held and nothing names any more; they were never asked.

    Returns:
        All items that the run holds, by task in the order of its plan; and True if some are not selected now.

    Raises:
        StorageError: the directory cannot be read or written.
    """
    with exclusive_lock(folder / "claims" / ".items", before_waiting=lambda: None):
        items: dict[str, list[Item]] = {}
        # Tasks of a collection whose data are not here today keep their items.
        counts = _other_counts(folder, plans)
        more = False
        for task, plan in plans.items():
            # Items outside the plan belong to no question of this release; the lists themselves only grow.
            whole_plan = json_lines(item.to_json() for item in plan.items)
            held, n_held = _held_ids(folder, task, plan, whole_plan)
            wanted = {item.item_id for item in selected[task]}
            more = more or not held <= wanted
            in_run = held | wanted
            items[task] = [item for item in plan.items if item.item_id in in_run]
            path = items_path(folder, task)
            if n_held > len(items[task]):
                say(
                    f"{path}: was damaged; {n_held - len(items[task])} of its items, which were not asked yet, are "
                    "forgotten; name them again with --limit, --ids or --where"
                )
            is_whole = len(items[task]) == len(plan.items)
            text = whole_plan if is_whole else json_lines(item.to_json() for item in items[task])
            _write_changed(path, text)
            of_task = ItemCounts(len(items[task]), len(plan.items), plan.not_asked, _digest(text.encode()))
            counts[task] = asdict(of_task)
        _write_changed(folder / "items.json", sealed_json({"schema_version": ITEMS_SCHEMA, "tasks": counts}))
    return items, more


def _other_counts(folder: Path, plans: Collection[str]) -> dict[str, Any]:
    """Counts in `items.json` of tasks that are not planned now; none where it is missing or damaged."""
    path = folder / "items.json"
    try:
        tasks: Mapping[str, Any] = read_sealed_json(path)["tasks"] if path.exists() else {}
    except (ValueError, KeyError):  # made anew below, from the plans
        return {}
    return {task: counts for task, counts in tasks.items() if task not in plans}


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
        return [Item.from_json(parse_line(line)) for line in data.splitlines()]
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


def _held_ids(folder: Path, task: str, plan: Plan, whole_plan: str) -> tuple[set[str], int]:
    """The ids that a list holds, and how many it held before it was damaged.

    Of a damaged or missing list: all ids where all were asked, else those of whole lines and of answers.
    """
    path = items_path(folder, task)
    if path.exists() and read_whole(path) == whole_plan.encode():
        return {item.item_id for item in plan.items}, len(plan.items)
    items = none_if_damaged(lambda: read_items(folder, task))
    if items is not None:
        return {item.item_id for item in items}, len(items)
    lines = set(read_whole(path).splitlines() if path.exists() else ())
    counts = none_if_damaged(lambda: read_counts(folder, task)) if (folder / "items.json").exists() else None
    n_asked = counts.asked if counts else len(lines)
    if counts and counts.asked == counts.available:
        return {item.item_id for item in plan.items}, n_asked
    whole = {item.item_id for item in plan.items if json_lines([item.to_json()]).strip().encode() in lines}
    return whole | _asked_ids(folder, task), n_asked


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


def _write_changed(path: Path, text: str) -> None:
    """Write a file unless it has this content already, so that nothing is written into a run that stays as it is."""
    if not path.exists() or read_whole(path) != text.encode():
        write_atomically(path, text)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


LOGPROB_DECIMALS = 4
"""Log-probabilities are stored rounded, so that results do not depend on the order of floating-point sums."""


def stored_response(
    item: Item, key: str | None, response: Response, speech: Mapping[str, Any] = MappingProxyType({})
) -> StoredResponse:
    """The response to an item as it is stored.

    Args:
        key: of its request; None where none could be made.
        speech: what `Segment.write_speech` returned for the response's speech.
    """
    return StoredResponse(
        task=item.task,
        item=item.item_id,
        key=key,
        text=response.text and storable(response.text),
        label_logprobs=_rounded(response.label_logprobs),
        label_tokens=None if response.label_tokens is None else dict(response.label_tokens),
        label_priors=_rounded(response.label_priors),
        prompt_tokens=response.prompt_tokens,
        new_tokens=response.new_tokens,
        flags=tuple(response.flags),
        error=response.error and storable(response.error),
        **speech,
    )


def _rounded(logprobs: Mapping[str, float] | None) -> dict[str, float] | None:
    return None if logprobs is None else {label: round(float(x), LOGPROB_DECIMALS) for label, x in logprobs.items()}


def response_row(response: StoredResponse) -> dict[str, Any]:
    """The line of a response: its fields that hold something."""
    row = {name: getattr(response, name) for name in _RESPONSE_FIELDS}
    row["speech"] = row.pop("speech_path")
    return {name: value for name, value in row.items() if value is not None and value != ()}


_RESPONSE_FIELDS = tuple(part.name for part in fields(StoredResponse) if part.name != "speech")


def _from_line(line: bytes) -> StoredResponse:
    values = parse_line(line)
    values["speech_path"] = values.pop("speech", None)
    values["flags"] = tuple(values.get("flags", ()))
    return StoredResponse(**values)


class RunStore:
    """The responses of a run. Reading never writes; `Segment` writes, and only `cut_torn_lines` takes something away.

    A damaged line, or one whose speech is missing or another, is no answer: it joins `damage`, and its item counts as
    not asked.

    Args:
        folder: the run directory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answers: dict[ItemKey, StoredResponse] = {}
        self.errors: dict[ItemKey, StoredResponse] = {}
        self.by_key: dict[str, StoredResponse] = {}
        self._damaged: list[tuple[ItemKey | None, str]] = []
        self._lines_read: dict[Path, int] = {}
        self._read_up_to: dict[Path, int] = {}

    @collection_paused()
    def refresh(self) -> list[StoredResponse]:
        """Read what was appended since the last call, by any worker; what is damaged joins `damage`.

        Raises:
            StorageError: a file cannot be read. Nothing is known of its answers, so they are not asked again.
        """
        new: list[StoredResponse] = []
        with storage_errors(self.folder / "responses", "read"):
            segments = sorted(self.folder.glob("responses/*.jsonl"))
        for segment in segments:
            lines, self._read_up_to[segment] = complete_lines(segment, self._read_up_to.get(segment, 0))
            before = self._lines_read.get(segment, 0)
            self._lines_read[segment] = before + len(lines)
            name = segment.relative_to(self.folder)
            for number, line in enumerate(lines, before + 1):
                record = self._read_line(line, name, number)
                if record is not None:
                    self._remember(record)
                    new.append(record)
        return new

    def _read_line(self, line: bytes, segment: Path, number: int) -> StoredResponse | None:
        """The response of a line; None where it is damaged."""
        item_key = None
        try:
            record = _from_line(line)
            item_key = record.item_key
            problem = self._speech_problem(record)
        except (ValueError, TypeError, AttributeError) as error:
            problem = f"damaged ({error})"
        if problem is None:
            return record
        self._damaged.append((item_key, f"{segment}, line {number}: {problem}; the run's command asks its item again"))
        return None

    @property
    def damage(self) -> list[str]:
        """Damaged lines and speech, a sentence each, but for items that have another answer by now."""
        return [sentence for key, sentence in self._damaged if key is None or key not in self.answers]

    def _speech_problem(self, record: StoredResponse) -> str | None:
        """The reason why the speech that a record names is not that answer; None where it is, or none is named."""
        if record.speech_path is None:
            return None
        try:
            data = read_whole(self.folder / record.speech_path)
        except StorageError as error:
            if not error.missing:
                raise
            return f"the speech {record.speech_path} is missing"
        if record.speech_sha256 is not None and _digest(data) != record.speech_sha256:
            return f"the speech {record.speech_path} is not the one that was given (another digest)"
        return None

    def _remember(self, record: StoredResponse) -> None:
        if record.error is not None:
            if record.item_key not in self.answers:
                self.errors[record.item_key] = record
            return
        self.answers.setdefault(record.item_key, record)
        self.errors.pop(record.item_key, None)
        if record.key is not None:
            self.by_key.setdefault(record.key, record)

    def cut_torn_lines(self, live_workers: Collection[str]) -> int:
        """Cut the torn last line off segments whose workers are gone; returns how many were cut."""
        gone = [(path, end) for path, end in self._read_up_to.items() if path.stem not in live_workers]
        return sum(cut_after(path, end) for path, end in gone)


class Segment:
    """The one file that a worker appends its responses to.

    Attributes:
        written: records appended so far.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        self.folder = folder
        self.path = folder / "responses" / f"{worker}.jsonl"
        self.written = 0
        self._lines = LineWriter(self.path)

    def append(self, records: Iterable[StoredResponse]) -> None:
        """Append records and return once they are durable.

        Raises:
            StorageError: the disk is full or the folder cannot be written.
        """
        self.written += self._lines.append(response_row(record) for record in records)

    def write_speech(self, key: str, speech: Speech) -> dict[str, Any]:
        """Store a spoken answer, whole and durable before it gets its name; returns the fields that name it.

        Raises:
            MediaError: it cannot be encoded.
            StorageError: the disk is full or the folder cannot be written.
        """
        name = f"speech/{key}.flac"
        data = media.encode_flac(speech.samples, speech.rate_hz)
        write_atomically(self.folder / name, data)
        return {"speech_path": name, "speech_sha256": _digest(data), "speech_samples": len(speech.samples)}

    def close(self) -> None:
        self._lines.close()
