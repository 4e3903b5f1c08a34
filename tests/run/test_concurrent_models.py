"""Answers of a model that answers side by side are stored as they come, and equal those of one that does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from support.releases import write_text_release, write_text_task
from support.waiting import PATIENCE_S

from avemo_harness import evaluate
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.errors import ModelError
from avemo_harness.models.base import Capabilities
from avemo_harness.run.store import RunStore

EMOTIONS = ("neutral", "happy", "angry", "sad")


class OneByOne:
    """Answers by the request's key."""

    def __init__(self) -> None:
        self.capabilities = Capabilities(frozenset({"label_text"}), largest_batch=64, usual_batch=8)
        self.asked: list[str] = []

    def identity(self) -> Mapping[str, str]:
        return {"model": "fake"}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        self.asked += [request.key for request in requests]
        return [Response(text=EMOTIONS[request.seed % 4]) for request in requests]


class SideBySide(OneByOne):
    """The same, after a while that differs from request to request."""

    def __init__(self, delay_s: float = 0.004) -> None:
        super().__init__()
        self.delay_s = delay_s
        self.under_way = self.most = 0
        self._lock, self._pool = threading.Lock(), ThreadPoolExecutor(32)

    def submit(self, request: Request) -> Future[Response]:
        with self._lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        return self._pool.submit(self._later, request)

    def _later(self, request: Request) -> Response:
        try:
            time.sleep(self.delay_s * (request.seed % 5))
            return self.respond(request)
        finally:
            with self._lock:
                self.under_way -= 1

    def respond(self, request: Request) -> Response:
        return self.generate([request])[0]


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("release")
    return str(write_text_task(folder / "text.yaml", write_text_release(folder / "data", dialogues=30, turns=3)))


def results(run: Path) -> bytes:
    return (run / "results.json").read_bytes()


def test_the_results_are_those_of_asking_one_by_one(task: str, tmp_path: Path) -> None:
    evaluate(OneByOne(), task, output_path=tmp_path / "one")
    model = SideBySide()
    evaluate(model, task, output_path=tmp_path / "many")
    assert results(tmp_path / "many") == results(tmp_path / "one")
    assert len(model.asked) == len(set(model.asked)) == 90
    assert model.most == 8


@pytest.mark.parametrize("size", [1, 3, 40])
def test_no_more_are_under_way_than_may_be(task: str, tmp_path: Path, size: int) -> None:
    model = SideBySide()
    evaluate(model, task, output_path=tmp_path / "run", batch_size=size)
    assert 0 < model.most <= size


def test_one_slow_answer_keeps_nothing_else_waiting(task: str, tmp_path: Path) -> None:
    release = threading.Event()
    asked: list[str] = []

    class OneSlow(SideBySide):
        def respond(self, request: Request) -> Response:
            asked.append(request.key)
            if len(asked) == 1:
                assert release.wait(PATIENCE_S)
            elif len(asked) == 90:
                release.set()
            return super().respond(request)

    result = evaluate(OneSlow(0), task, output_path=tmp_path / "run", batch_size=4)
    assert result.n_errors == 0


def test_a_mistake_of_the_model_costs_its_item_alone(task: str, tmp_path: Path) -> None:
    class Mistaken(SideBySide):
        def respond(self, request: Request) -> Response:
            if request.dialogue_id == "d00003":
                raise ValueError("tensor shapes do not match")
            return Response() if request.dialogue_id == "d00004" else super().respond(request)

    result = evaluate(Mistaken(), task, output_path=tmp_path / "run")
    assert (result.tasks["text_only"].n_answered, result.n_errors) == (84, 6)


def test_a_model_that_is_gone_ends_the_run_which_goes_on_later(task: str, tmp_path: Path) -> None:
    class Going(SideBySide):
        def respond(self, request: Request) -> Response:
            if len(self.asked) >= 20:
                raise ModelError("the server is gone")
            return super().respond(request)

    with pytest.raises(ModelError, match="the server is gone"):
        evaluate(Going(), task, output_path=tmp_path / "run")
    model = SideBySide()
    assert evaluate(model, task, output_path=tmp_path / "run").n_errors == 0
    assert len(model.asked) < 90


def test_what_was_answered_beside_the_end_of_the_run_is_kept(task: str, tmp_path: Path) -> None:
    class Going(SideBySide):
        """Answers eight at a time, and the first of the eight is that it is gone."""

        def __init__(self) -> None:
            super().__init__()
            self.waiting: list[tuple[Future[Response], Request]] = []

        def submit(self, request: Request) -> Future[Response]:
            self.waiting.append((Future(), request))
            if len(self.waiting) == 8:
                self.waiting[0][0].set_exception(ModelError("the server is gone"))
                for answered, other in self.waiting[1:]:
                    answered.set_result(self.respond(other))
            return self.waiting[-1][0]

    with pytest.raises(ModelError, match="the server is gone"):
        evaluate(Going(), task, output_path=tmp_path / "run")
    store = RunStore(tmp_path / "run")
    store.refresh()
    assert (len(store.answers), len(store.errors)) == (7, 0)


def test_a_model_may_give_the_same_future_for_several_requests(task: str, tmp_path: Path) -> None:
    class Shared(SideBySide):
        future: Future[Response] = Future()

        def submit(self, request: Request) -> Future[Response]:
            self.asked.append(request.key)
            return self.future

    Shared.future.set_result(Response(text="sad"))
    model = Shared()
    assert evaluate(model, task, output_path=tmp_path / "run").tasks["text_only"].n_answered == 90
    assert len(model.asked) == len(set(model.asked)) == 90


def test_a_request_that_the_model_cancels_is_an_error_of_its_item(task: str, tmp_path: Path) -> None:
    class Cancelling(SideBySide):
        def submit(self, request: Request) -> Future[Response]:
            if request.dialogue_id != "d00003":
                return super().submit(request)
            answered: Future[Response] = Future()
            threading.Timer(0.02, answered.cancel).start()
            return answered

    result = evaluate(Cancelling(), task, output_path=tmp_path / "run", batch_size=1)
    assert (result.tasks["text_only"].n_answered, result.n_errors) == (87, 3)
