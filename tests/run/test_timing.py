"""When workers asked is kept beside the answers, and damage to it costs times alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.planted_runs import Planted, TextBench

from avemo_harness.errors import StoreError
from avemo_harness.run.timing import Shift, read_timing, write_timing


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    assert read_timing(tmp_path) == []
    shifts = [Shift("one", 100.0, 20.5, 3), Shift("other", 90.0, 0.0, 0)]
    write_timing(tmp_path, shifts)
    assert read_timing(tmp_path) == shifts


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
