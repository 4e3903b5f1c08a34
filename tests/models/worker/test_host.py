"""A worker that is lost is started once more and asked the batch again; what cannot be helped is an error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from avemo_harness.benchmark.request import Message, Request, Text
from avemo_harness.benchmark.task import GenerationSpec, LabelOutput
from avemo_harness.errors import GenerationError, SampleError
from avemo_harness.models.worker.hosted import HOPELESS, Host
from avemo_harness.models.worker.process import Patience, Worker, WorkerLog, WorkerLostError
from avemo_harness.models.worker.protocol import WorkerConfig

TESTS = Path(__file__).parents[2]
ECHO = WorkerConfig("echo", "support.worker_models:Echo", {}, "cpu", (), (str(TESTS),))
LABELS = LabelOutput(type="label", labels=("happy", "sad"))

Make = Callable[[WorkerConfig], Host]


@pytest.fixture
def started() -> list[Worker]:
    return []


@pytest.fixture
def host_of(started: list[Worker]) -> Iterator[Make]:
    def make(order: WorkerConfig) -> Host:
        def start() -> Worker:
            patience = Patience(start=60.0, silence=60.0, idleness=60.0, beat=0.1)
            started.append(Worker(Path(sys.executable), order, WorkerLog(), lambda sentence: None, patience))
            return started[-1]

        return Host(start)

    yield make
    for worker in started:
        worker.close()


def asked(words: str) -> Request:
    return Request("0" * 64, "d1", 0, (Message("user", (Text(words),)),), LABELS, GenerationSpec())


def test_a_batch_that_a_worker_was_lost_with_is_asked_of_another_one(
    host_of: Make, started: list[Worker], tmp_path: Path
) -> None:
    host = host_of(replace(ECHO, arguments={"mark": str(tmp_path / "mark")}))
    answers = host.generate([asked("before"), asked("crash once"), asked("after")])
    assert [answer.text for answer in answers] == ["before [] 0", "crash once [] 0", "after [] 0"]
    assert len(started) == 2


def test_a_batch_that_loses_two_workers_is_an_error_and_the_next_one_is_answered(
    host_of: Make, started: list[Worker]
) -> None:
    host = host_of(ECHO)
    with pytest.raises(WorkerLostError, match="exit status 3"):
        host.generate([asked("crash")])
    assert host.generate([asked("well?")])[0].error is None
    assert len(started) == 3


def test_a_worker_that_lost_its_gpu_is_replaced_by_one_that_has_it_anew(host_of: Make, started: list[Worker]) -> None:
    host = host_of(ECHO)
    assert host.generate([asked("well?")])[0].error is None
    with pytest.raises(WorkerLostError, match=r"exit status 71.*CUDA error: device-side assert triggered"):
        host.generate([asked("lose the GPU")])
    assert host.generate([asked("well?")])[0].error is None
    assert len(started) == 3


def test_a_worker_that_never_answers_is_not_started_for_ever(host_of: Make, started: list[Worker]) -> None:
    host = host_of(ECHO)
    for _ in range(HOPELESS):
        with pytest.raises(WorkerLostError):
            host.generate([asked("crash")])
    with pytest.raises(GenerationError, match="none is started for more of them in this run"):
        host.generate([asked("well?")])
    assert len(started) == 2 * HOPELESS


def test_an_error_of_the_model_is_no_reason_for_another_worker(host_of: Make, started: list[Worker]) -> None:
    host = host_of(ECHO)
    with pytest.raises(SampleError, match="bad SampleError"):
        host.generate([asked("raise SampleError")])
    assert host.identity()[0]["model"] == "echo"
    assert len(started) == 1


def test_nothing_is_started_before_it_is_needed(host_of: Make, started: list[Worker]) -> None:
    host = host_of(ECHO)
    host.prefetch(asked("later"))
    assert started == []
