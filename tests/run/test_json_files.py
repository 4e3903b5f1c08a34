"""Lines are durable or torn and known, and damage to the times of workers costs times alone."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.costs import cpu_s
from support.planted_runs import Planted, TextBench
from support.releases import write_text_release, write_text_task

from avemo_harness import evaluate
from avemo_harness.benchmark.planning import Plan
from avemo_harness.benchmark.request import Item, Request, Response
from avemo_harness.errors import ModelError, StorageError, StoreError
from avemo_harness.models.base import Capabilities
from avemo_harness.phases import PhaseSeconds
from avemo_harness.run.json_files import (
    CHECKSUM,
    LineWriter,
    WorkerTiming,
    checked_lines,
    complete_lines,
    content_digest,
    cut_after,
    json_lines,
    parse_line,
    read_timing,
    write_timing,
)
from avemo_harness.run.store import add_items, read_items

ROWS = [{"item": f"d{number}", "text": "x" * 40} for number in range(4)]


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """Let the system refuse what goes beyond a size, as a full disk does."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def rows_of(path: Path) -> list[dict[str, object]]:
    return [parse_line(line) for line in complete_lines(path)[0]]


@pytest.mark.parametrize("fits", [0, 1, 20, 100, 150])
def test_what_was_refused_is_not_written_later(fits: int, tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    writer = LineWriter(path)
    assert writer.append(ROWS[:1]) == 1
    before = path.stat().st_size
    with (
        files_no_longer_than(before + fits),
        pytest.raises(StorageError, match=r"lines\.jsonl: cannot be written .* allow larger files"),
    ):
        writer.append(ROWS[1:])
    writer.close()
    assert path.stat().st_size == before + fits
    whole = rows_of(path)
    assert whole == ROWS[: len(whole)]
    cut_after(path, complete_lines(path)[1])
    assert rows_of(path) == whole
    assert path.read_bytes().endswith(b"}\n")


def test_a_torn_line_is_cut_off_and_whole_lines_stay(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    writer = LineWriter(path)
    writer.append(ROWS)
    writer.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"item":')
    assert cut_after(path, complete_lines(path)[1])
    assert path.read_bytes() == whole
    assert not cut_after(path, complete_lines(path)[1])


def test_nothing_to_append_makes_no_file(tmp_path: Path) -> None:
    writer = LineWriter(tmp_path / "lines.jsonl")
    assert writer.append([]) == 0
    writer.close()
    assert not writer.path.exists()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=f"{tmp_path}: cannot be read .*a folder is where a file should be"):
        complete_lines(tmp_path)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    assert read_timing(tmp_path) == []
    phases = {"media": PhaseSeconds(0.0, 4.5), "generate": PhaseSeconds(20.5)}
    timings = [WorkerTiming("one", 100.0, 20.5, 3, phases, approximate=True), WorkerTiming("other", 90.0, 0.0, 0)]
    write_timing(tmp_path, timings)
    assert read_timing(tmp_path) == timings


def test_times_of_a_run_from_before_phases_were_counted_are_read(tmp_path: Path) -> None:
    (tmp_path / "timing.json").write_text('[{"worker": "one", "started": 100.0, "seconds": 20.5, "records": 3}]')
    assert read_timing(tmp_path) == [WorkerTiming("one", 100.0, 20.5, 3)]


@pytest.mark.parametrize(
    "damage",
    [
        "[{",
        "7",
        "[7]",
        '[{"worker": "one", "started": 1.0, "seconds": 2.0}]',
        '[{"worker": "one", "started": NaN, "seconds": 2.0, "records": 1}]',
        '[{"worker": "one", "started": 1e300, "seconds": 2.0, "records": 1}]',
        '[{"worker": "one", "started": "now", "seconds": 2.0, "records": 1}]',
        '[{"worker": "one", "started": 1.0, "seconds": 2.0, "records": "1"}]',
        '[{"worker": "one", "started": 1.0, "seconds": 2.0, "records": -1}]',
        '[{"worker": "one", "started": 1.0, "seconds": 2.0, "records": 1, "phases": 7}]',
        '[{"worker": "one", "started": 1.0, "seconds": 2.0, "records": 1, "phases": {"store": {"asking": NaN}}}]',
        '[{"worker": "one", "started": 1.0, "seconds": 2.0, "records": 1, "phases": {"store": {"other": 1.0}}}]',
        b"\xff",
    ],
)
def test_damaged_times_are_named_with_the_remedy(damage: str | bytes, tmp_path: Path) -> None:
    (tmp_path / "timing.json").write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    with pytest.raises(StoreError, match=r"timing\.json: damaged \(.*; remove it, only times are lost"):
        read_timing(tmp_path)


def test_a_run_goes_on_past_damaged_times_and_begins_them_anew(tmp_path: Path) -> None:
    bench = TextBench.of(tmp_path, dialogues=2)
    run = bench.run(Planted("mine"))
    (first,) = read_timing(run)
    (run / "timing.json").write_text("{")
    bench.run(Planted("mine"))
    (again,) = read_timing(run)
    assert (first.records, again.records) == (2, 0)


class Ending:
    """Makes the run's times impossible to write, and ends the asking with an error, if it is given one."""

    capabilities = Capabilities(frozenset({"label_text"}))

    def __init__(self, run: Path, end: BaseException | None) -> None:
        self.run, self.end = run, end

    def identity(self) -> Mapping[str, str]:
        return {"model": "ending"}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        (self.run / "timing.json").mkdir(exist_ok=True)
        if self.end is not None:
            raise self.end
        return [Response(text="sad") for _ in requests]


@pytest.mark.parametrize("end", [ModelError("the key is refused"), KeyboardInterrupt()])
def test_times_that_cannot_be_written_hide_nothing_that_ended_the_run(end: BaseException, tmp_path: Path) -> None:
    task = str(write_text_task(tmp_path / "text.yaml", write_text_release(tmp_path / "data", dialogues=2)))
    run = tmp_path / "run"
    with pytest.raises(type(end)) as ended:
        evaluate(Ending(run, end), task, output_path=run)
    assert ended.value is end
    assert not list((run / "claims").glob("worker-*"))
    with pytest.raises(StorageError, match=r"timing\.json"):
        evaluate(Ending(run, None), task, output_path=run)


rows = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda key: key != CHECKSUM),
    st.text(st.characters(codec="utf-8")) | st.integers() | st.floats() | st.dictionaries(st.text(), st.just("?" * 16)),
)


@given(rows)
@example({"text": "delete \x7f"})
@example({"nested": {"a": 1, "sum": "?" * 16}, "text": "sad"})
@example({"text": "sad"})
@example({"item": "d0", "text": ',"sum":"????????????????"', "zone": "☔"})
def test_a_checked_line_is_its_row_with_the_digest_of_the_canonical_row(row: dict[str, Any]) -> None:
    text = json_lines([{**row, CHECKSUM: content_digest(row)[:16]}])
    assert checked_lines([row]) == text
    assert json.dumps(parse_line(text.encode()), sort_keys=True) == json.dumps(row, sort_keys=True)


def test_lists_of_items_cost_in_proportion_to_their_length(tmp_path: Path) -> None:
    few, many = ([item_of(number) for number in range(count)] for count in (500, 8_000))
    costs = [cpu_s(partial(add_twice, tmp_path / str(len(items)), items)) for items in (few, many)]
    assert costs[1] < 35 * costs[0]


def item_of(number: int) -> Item:
    return Item("task", f"d{number}/0", f"u{number}", f"d{number}", f"d{number}", 0, "full_av", gold="sad")


def add_twice(folder: Path, items: Sequence[Item]) -> None:
    """Ask for all but one, then for all."""
    plan = Plan(tuple(items))
    for wanted in (items[1:], items):
        add_items(folder, {"task": plan}, {"task": wanted}, pytest.fail)
    assert read_items(folder, "task") == list(items)
