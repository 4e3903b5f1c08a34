"""A neural model's time is counted in the phases that it goes through, in whichever process that is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from support.questions import A, B, ask

from avemo_harness.models.worker.hosted import Host
from avemo_harness.models.worker.process import Patience, Worker, WorkerLog
from avemo_harness.models.worker.protocol import WorkerConfig
from avemo_harness.phases import PhaseClock, PhaseSeconds

if TYPE_CHECKING:
    from avemo_harness.models.qwen_omni import QwenOmni

TESTS = Path(__file__).parents[1]


def test_a_native_model_names_every_phase(make_qwen: Callable[..., QwenOmni]) -> None:
    model, clock = make_qwen(), PhaseClock()
    with clock.asking():
        model.generate([ask(A, output="reply", max_new_tokens=16), ask(B, output="reply", max_new_tokens=16)])
        first = clock.take()
        model.generate([ask(A, output="rank")])
    again = clock.take()
    assert set(first) >= {"load", "media", "prepare", "encode", "prefill", "talk", "vocode", "other"}
    assert set(again) >= {"prepare", "prefill", "other"}
    assert not {"load", "media", "encode", "talk", "vocode"} & set(again), "its clip is encoded already"
    assert [name for name, seconds in first.items() if seconds.beside] == ["vocode"], "beside those that still speak"
    assert not any(seconds.beside for seconds in again.values())


def test_the_phases_of_a_process_of_its_own_are_told() -> None:
    config = WorkerConfig("timed", "support.worker_models:Timed", {}, "cpu", (), (str(TESTS),))
    patience = Patience(start=60.0, silence=60.0, idleness=60.0, beat=0.1)
    worker = Worker(Path(sys.executable), config, WorkerLog(), lambda sentence: None, patience)
    clock = PhaseClock()
    try:
        with clock.asking():
            Host(lambda: worker).generate([ask(A)])
    finally:
        worker.close()
    taken = clock.take()
    assert taken["encode"].asking >= 0.05
    assert taken["other"].asking > 0.0, "what the process took to start"
    assert PhaseSeconds() not in taken.values()
