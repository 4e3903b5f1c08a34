"""Durable appends against bare ones; opening and scoring 100,000 items against reading their lines as bare JSON."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from performance.startup import make_text_task
from performance.table import COMMAND, Row, cost_of, median_cpu_s
from support.stored_answers import store_answers

from avemo_harness.benchmark.request import StoredResponse
from avemo_harness.report.results import score_run
from avemo_harness.run.config import RunConfig
from avemo_harness.run.prepare import prepare
from avemo_harness.run.store import RunStore, Segment, read_items, response_row

RECORDS, BATCH = 4_000, 8
DIALOGUES, TURNS = 20_000, 5


def rows() -> Iterator[Row]:
    """Appends, then a run of 100,000 items."""
    yield _append_row()
    with tempfile.TemporaryDirectory() as folder:
        yield from _large_rows(Path(folder))


def _append_row() -> Row:
    records = [StoredResponse(task="task", item=f"d{i}/0", key=f"{i:064x}", text="happy") for i in range(RECORDS)]
    with tempfile.TemporaryDirectory() as folder:
        ours, bare = median_cpu_s(lambda: _store(Path(folder), records), lambda: _bare(Path(folder), records))
    taken = f"CPU, median of 5, in turn; {RECORDS:,} lines, an fsync each {BATCH}"
    return Row("storing answers", 1e6 * ours / RECORDS, "us", 1e6 * bare / RECORDS, "bare appends", taken)


def _store(folder: Path, records: Sequence[StoredResponse]) -> None:
    segment = Segment(folder, "worker")
    for start in range(0, RECORDS, BATCH):
        segment.append(records[start : start + BATCH])
    segment.close()


def _bare(folder: Path, records: Sequence[StoredResponse]) -> None:
    with open(folder / "bare", "w", encoding="utf-8") as handle:
        for start in range(0, RECORDS, BATCH):
            lines = (json.dumps(response_row(record)) for record in records[start : start + BATCH])
            handle.write("\n".join(lines) + "\n")
            handle.flush()
            os.fsync(handle.fileno())


def _large_rows(folder: Path) -> Iterator[Row]:
    task, run = make_text_task(folder, DIALOGUES, TURNS), folder / "run"
    config = RunConfig("random", (str(task),))
    few = [*COMMAND, "--model", "random", "--tasks", str(task), "--limit", "1", "--output_path", str(run)]
    cost_of(few, folder)
    prepare(config, output_path=run)
    items = read_items(run, "text_only")
    store_answers(run, items)
    lines = [line for path in run.glob("responses/*.jsonl") for line in path.read_bytes().splitlines()]
    listed = (run / "items" / "text_only.jsonl").read_bytes().splitlines()

    def bare_json(of: Sequence[bytes]) -> None:
        for line in of:
            json.loads(line)

    def opened() -> None:
        RunStore(run).refresh()
        read_items(run, "text_only")

    number = len(items)
    open_s, again_s, score_s, bare_s = median_cpu_s(
        opened,
        lambda: prepare(config, output_path=run),
        lambda: score_run(run),
        lambda: bare_json([*lines, *listed]),
        runs=3,
    )
    taken = f"CPU, median of 3, in turn; {DIALOGUES:,} dialogues of {TURNS} turns"
    against = f"json.loads of its {len(lines) + len(listed):,} lines"
    yield Row(f"opening the store, {number:,} items", open_s, "s", bare_s, against, taken, 2.0)
    yield Row("the same command again, up to asking", again_s, "s", bare_s, f"{against}; reads the release too", taken)
    yield Row(f"scoring {number:,} items", score_s, "s", bare_s, against, taken, 4.0)
    shutil.rmtree(run)
