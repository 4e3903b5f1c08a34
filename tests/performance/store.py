"""How fast items are stored durably, against the same number of bare fsynced appends.

Run by hand: ``python tests/performance/store.py``.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from avemo_harness.benchmark.request import StoredResponse
from avemo_harness.run.store import Segment, response_row

RECORDS, BATCH, RUNS = 4_000, 8, 5


def store(folder: Path, records: list[StoredResponse]) -> None:
    """Append in batches through the run store."""
    segment = Segment(folder, "worker")
    for start in range(0, RECORDS, BATCH):
        segment.append(records[start : start + BATCH])
    segment.close()


def bare(folder: Path, records: list[StoredResponse]) -> None:
    """Append the same lines in the same batches with nothing around the system calls."""
    with open(folder / "bare", "w", encoding="utf-8") as handle:
        for start in range(0, RECORDS, BATCH):
            lines = (json.dumps(response_row(record)) for record in records[start : start + BATCH])
            handle.write("\n".join(lines) + "\n")
            handle.flush()
            os.fsync(handle.fileno())


def main() -> None:
    """Print both rates and their ratio, pair by pair."""
    records = [StoredResponse(task="task", item=f"d{i}/0", key=f"{i:064x}", text="happy") for i in range(RECORDS)]
    ratios, rates = [], []
    for _ in range(RUNS):
        seconds = []
        for write in (store, bare):
            with tempfile.TemporaryDirectory() as folder:
                started = time.perf_counter()
                write(Path(folder), records)
                seconds.append(time.perf_counter() - started)
        rates.append(RECORDS / seconds[0])
        ratios.append(seconds[0] / seconds[1])
    rate, ratio = statistics.median(rates), statistics.median(ratios)
    print(f"{rate:,.0f} records/s in batches of {BATCH}; {ratio:.2f} x bare appends")


if __name__ == "__main__":
    main()
