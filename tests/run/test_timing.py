"""When workers asked is kept beside the answers, and damage to it costs times alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from support.planted_runs import Planted, TextBench
from support.releases import write_text_release, write_text_task

from avemo_harness import evaluate
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.errors import ModelError, StorageError, StoreError
from avemo_harness.models.base import Capabilities
from avemo_harness.run.json_files import WorkerTiming, read_timing, write_timing


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    assert read_timing(tmp_path) == []
    timings = [WorkerTiming("one", 100.0, 20.5, 3), WorkerTiming("other", 90.0, 0.0, 0)]
    write_timing(tmp_path, timings)
    assert read_timing(tmp_path) == timings


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
