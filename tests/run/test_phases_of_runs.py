"""The time of a run is kept by phase: right over resumes and workers, of models that answer at once and of servers."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.planted_runs import Planted, TextBench
from support.releases import write_text_release, write_text_task
from support.speaking_runs import Speaker, write_speaking_run
from support.synthetic_release import write_synthetic_release

from avemo_harness import evaluate
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.models.base import Capabilities
from avemo_harness.phases import PhaseSeconds, phase
from avemo_harness.report.scored_run import finished_at
from avemo_harness.report.timing import phase_sums
from avemo_harness.run.config import RunConfig
from avemo_harness.run.json_files import WorkerTiming, add_timing, read_timing
from avemo_harness.run.prepare import prepare

PAUSE_S = 0.02


@dataclass(frozen=True)
class Slow(Planted):
    """Takes its time in a phase of its own."""

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        with phase("encode"):
            time.sleep(PAUSE_S)
        return super().generate(requests)


class Served:
    """Answers each request after a while, elsewhere."""

    capabilities = Capabilities(frozenset({"label_text"}), largest_batch=4)

    def identity(self) -> dict[str, str]:
        return {"model": "served"}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        raise AssertionError("it answers one by one")

    def submit(self, request: Request) -> Future[Response]:
        answered: Future[Response] = Future()
        threading.Timer(PAUSE_S, answered.set_result, [Response(text="sad")]).start()
        return answered


def test_the_phases_of_a_worker_add_up_to_its_time(tmp_path: Path) -> None:
    run = TextBench.of(tmp_path, dialogues=3).run(Slow("mine"), batch_size=1)
    (timing,) = read_timing(run)
    assert timing.phases["encode"].asking >= 3 * PAUSE_S
    assert set(timing.phases) >= {"media", "encode", "generate", "store", "waiting", "other"}
    assert timing.phases["media"].asking == 0.0, "requests are made by other threads"
    assert sum(seconds.asking for seconds in timing.phases.values()) == pytest.approx(timing.seconds, abs=0.25)
    assert (timing.stage, timing.approximate) == ("asking", False)


def test_calls_that_go_on_with_a_run_add_their_time(tmp_path: Path) -> None:
    bench = TextBench.of(tmp_path, dialogues=4)
    for limit in (1, 3, None):
        run = bench.run(Slow("mine"), batch_size=1, limit=limit)
    timings = read_timing(run)
    assert [timing.records for timing in timings] == [1, 2, 1]
    each = [timing.phases["encode"].asking for timing in timings]
    assert phase_sums(timings)["encode"].asking == pytest.approx(sum(each))
    assert sum(each) >= 4 * PAUSE_S


def test_workers_beside_each_other_each_add_theirs(tmp_path: Path) -> None:
    task = str(write_text_task(tmp_path / "text.yaml", write_text_release(tmp_path / "data", 8)))
    config = RunConfig(model="mine", tasks=(task,))
    runs = [prepare(config, output_path=tmp_path / "run", model=Slow("mine")) for _ in range(2)]
    threads = [threading.Thread(target=run.ask, kwargs={"batch_size": 1}) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    timings = read_timing(tmp_path / "run")
    assert sum(timing.records for timing in timings) == 8
    for timing in timings:
        assert timing.phases["encode"].asking >= timing.records * PAUSE_S
        assert timing.phases["encode"].asking <= timing.seconds


def test_processes_that_end_at_once_lose_no_time(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add_times, args=(tmp_path, str(number))) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    timings = read_timing(tmp_path)
    assert len(timings) == 30
    assert phase_sums(timings)["store"] == PhaseSeconds(30.0, 15.0)


def _add_times(folder: Path, worker: str) -> None:
    for _ in range(10):
        timing = WorkerTiming(worker, 1.0, 2.0, 1, {"store": PhaseSeconds(1.0, 0.5)})
        add_timing(folder, timing, lambda sentence: None)


def test_a_model_that_answers_elsewhere_is_waited_for(tmp_path: Path) -> None:
    task = str(write_text_task(tmp_path / "text.yaml", write_text_release(tmp_path / "data", 3)))
    evaluate(Served(), task, output_path=tmp_path / "run", batch_size=1)
    (timing,) = read_timing(tmp_path / "run")
    assert timing.phases["waiting"].asking >= 2 * PAUSE_S
    assert "generate" not in timing.phases


def test_judging_has_times_of_its_own_which_say_nothing_of_when_the_answers_came(tmp_path: Path) -> None:
    release = write_synthetic_release(tmp_path / "release", dialogues=1)
    write_speaking_run(tmp_path / "run", release, Speaker(), tasks=("multiturn_synthetic_reply",))
    asking, judging = read_timing(tmp_path / "run")
    assert (asking.stage, judging.stage) == ("asking", "judging")
    assert judging.records == asking.records > 0
    assert judging.phases["judge"].asking == pytest.approx(judging.seconds, abs=0.25)
    ended = finished_at(tmp_path / "run")
    assert ended is not None
    assert ended.timestamp() == int(asking.started + asking.seconds)
