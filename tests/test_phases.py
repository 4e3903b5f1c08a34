"""Time is counted once, in the innermost phase, by the thread that spends it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.costs import cpu_s

from avemo_harness import phases
from avemo_harness.phases import PhaseClock, PhaseSeconds, beside, credit, phase
from avemo_harness.run.json_files import checked_lines


class Hands:
    """A clock's hands, moved by tests."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    hands = Hands()
    monkeypatch.setattr(phases, "perf_counter", hands.perf_counter)
    return hands


def fail_after(seconds: float, hands: Hands) -> None:
    with phase("store"):
        hands.now += seconds
        raise ValueError("planted")


def test_a_phase_inside_another_one_takes_its_time_from_that(hands: Hands) -> None:
    clock = PhaseClock()
    with clock.asking():
        hands.now += 1
        with phase("generate"):
            hands.now += 2
            with phase("encode"):
                hands.now += 4
            with phase("prefill"):
                hands.now += 8
            hands.now += 16
        hands.now += 32
    assert clock.take() == {
        "encode": PhaseSeconds(4),
        "prefill": PhaseSeconds(8),
        "generate": PhaseSeconds(18),
        "other": PhaseSeconds(33),
    }


def test_time_is_taken_once_and_belongs_to_a_phase_that_failed(hands: Hands) -> None:
    clock = PhaseClock()
    with clock.asking():
        with pytest.raises(ValueError, match="planted"):
            fail_after(3, hands)
        hands.now += 1
    assert clock.take() == {"store": PhaseSeconds(3), "other": PhaseSeconds(1)}
    assert clock.take() == {}
    with clock.asking():
        hands.now += 5
    assert clock.take() == {"other": PhaseSeconds(5)}


def test_other_threads_count_beside_and_only_what_they_do_in_phases() -> None:
    clock = PhaseClock()
    with clock.asking():
        pool = ThreadPoolExecutor(1, initializer=beside())

        def work() -> None:
            with phase("media"):
                time.sleep(0.02)

        started = time.perf_counter()
        with phase("waiting"):
            pool.submit(work).result()
        pool.shutdown()
        whole = time.perf_counter() - started
    taken = clock.take()
    assert taken["media"].asking == 0.0
    assert 0.02 <= taken["media"].beside <= taken["waiting"].asking <= whole
    assert taken["waiting"].beside == 0.0


def test_without_a_clock_nothing_is_counted() -> None:
    with phase("media"):
        beside()()
        credit({"media": PhaseSeconds(1.0)})
    assert phases._here.timer is None


def test_two_runs_in_one_process_count_apart() -> None:
    clocks = [PhaseClock(), PhaseClock()]
    both = threading.Barrier(2)

    def run(clock: PhaseClock, name: str) -> None:
        with clock.asking(), phase(name):
            both.wait()
            time.sleep(0.01)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(clocks, ("media", "store"), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [set(clock.take()) - {"other"} for clock in clocks] == [{"media"}, {"store"}]


def test_what_another_process_counted_is_taken_out_of_the_phase_that_waited_for_it(hands: Hands) -> None:
    clock = PhaseClock()
    with clock.asking(), phase("generate"):
        hands.now += 10
        credit({"encode": PhaseSeconds(3), "media": PhaseSeconds(0, 7), "other": PhaseSeconds(2)})
    assert clock.take() == {"media": PhaseSeconds(0, 7), "encode": PhaseSeconds(3), "generate": PhaseSeconds(7)}


def test_a_gpu_is_waited_for_only_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[str] = []
    monkeypatch.setattr(phases, "_wait_for_device", lambda: waits.append("waited"))
    for clock in (PhaseClock(), PhaseClock(wait_for_device=True)):
        with clock.asking():
            with phase("store"):
                pass
            assert not waits
            with phase("encode"):
                pass
    assert len(waits) == 2, "as the phase begins, and as it ends"


def test_counting_costs_less_than_writing_one_line_an_item() -> None:
    def count() -> None:
        with PhaseClock().asking():
            for _ in range(2000):
                with phase("encode"):
                    pass

    def write() -> None:
        for number in range(2000):
            checked_lines([{"task": "multiturn", "item": f"d{number}-1", "text": "sad", "prompt_tokens": number}])

    assert cpu_s(count) < cpu_s(write)


def test_the_time_of_a_thread_is_that_of_its_phases() -> None:
    clock = PhaseClock()
    started = time.perf_counter()
    with clock.asking():
        for _ in range(3):
            with phase("generate"), phase("encode"):
                time.sleep(0.01)
        taken = clock.take()
        whole = time.perf_counter() - started
    assert taken["encode"].asking >= 0.03
    assert sum(seconds.asking for seconds in taken.values()) == pytest.approx(whole, abs=5e-3)
