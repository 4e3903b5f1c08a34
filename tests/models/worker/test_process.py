"""A worker answers as its model would here, and however it fails, the parent knows how."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from support.processes import is_alive
from support.waiting import wait_until
from support.worker_models import Echo

from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Message, Request, Response, Text
from avemo_harness.benchmark.task import GenerationSpec, LabelOutput, SpokenOutput
from avemo_harness.errors import GenerationError, MediaError, ModelError, SampleError, StoreError
from avemo_harness.models.base import ModelSetup
from avemo_harness.models.worker import process
from avemo_harness.models.worker import process as log_module
from avemo_harness.models.worker.process import Patience, Worker, WorkerLog, WorkerLostError
from avemo_harness.models.worker.protocol import WorkerConfig

TESTS = Path(__file__).parents[2]
PATIENCE = Patience(start=60.0, silence=60.0, idleness=60.0, beat=0.1)
ECHO = WorkerConfig("echo", "support.worker_models:Echo", {"times": 2}, "cpu", ("label_text",), (str(TESTS),))
LABELS = LabelOutput(type="label", labels=("neutral", "happy", "angry", "sad"))

Start = Callable[..., Worker]


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of the worker that is shared."""
    return tmp_path_factory.mktemp("logs") / "echo.log"


@pytest.fixture(scope="module")
def worker(written: Path, said: list[str]) -> Iterator[Worker]:
    """One that these tests share."""
    log = WorkerLog()
    log.keep_in(written)
    one = Worker(Path(sys.executable), ECHO, log, said.append, PATIENCE)
    yield one
    one.close()


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts workers that a test may lose."""
    started: list[Worker] = []

    def go(order: WorkerConfig = ECHO, patience: Patience = PATIENCE, python: str = sys.executable) -> Worker:
        started.append(Worker(Path(python), order, WorkerLog(), lambda sentence: None, patience))
        return started[-1]

    yield go
    for one in started:
        one.close()


def ask(words: str, *clips: Clip, output: Any = LABELS, number: int = 1) -> Request:
    messages = (Message("assistant", (Text("Hm."),)), Message("user", (*clips, Text(words))))
    return Request(f"{number:064x}", "d1", 1, messages, output, GenerationSpec())


def asked(words: str) -> Request:
    return Request("0" * 64, "d1", 0, (Message("user", (Text(words),)),), LABELS, GenerationSpec())


def questions() -> list[Request]:
    clips = [Clip.from_bytes(bytes([i]) * 100_000, f"clip {i}") for i in range(3)]
    return [
        ask("Which?", clips[0], number=1),
        ask("Which, then?", clips[1], clips[0], number=2),
        ask("Rank \ud800 ☺", clips[2], output=LABELS.model_copy(update={"method": "rank"}), number=3),
        ask("Reply.", output=SpokenOutput(type="spoken_response"), number=4),
    ]


def same(one: Response, other: Response) -> bool:
    if one.speech is None or other.speech is None:
        return one == other
    samples = (one.speech.samples, other.speech.samples)
    alike = np.array_equal(*samples) and samples[0].dtype == samples[1].dtype
    return alike and replace(one, speech=None) == replace(other, speech=None)


def test_answers_equal_those_of_the_model_in_this_process(worker: Worker) -> None:
    here = Echo(Echo.Arguments(times=2), ModelSetup())
    expected = here.generate(questions())
    assert all(same(*pair) for pair in zip(worker.generate(questions()), expected, strict=True))


def test_the_model_gets_its_arguments_and_its_device(worker: Worker) -> None:
    assert worker.identity() == {"model": "echo", "times": "2", "device": "cpu"}


def test_sentences_of_the_model_reach_the_user(worker: Worker, said: list[str]) -> None:
    worker.generate(questions()[:3])
    assert said[-1] == "answering 3"


def test_a_prefetched_clip_is_read_during_the_next_call(start: Start) -> None:
    worker = start(replace(ECHO, arguments={"times": 1}))
    clip = Clip.from_bytes(b"abc", "clip")
    worker.prefetch(ask("?", clip))
    wait_until(lambda: worker.generate([asked("How many?")])[0].text == "How many? [] 1", "the clip is prefetched")


def test_a_clip_that_cannot_be_read_fails_its_request_alone(worker: Worker) -> None:
    def gone() -> bytes:
        raise MediaError("d1, turn 2: the file is gone")

    changed = Clip("0" * 64, "d1, turn 3", lambda: b"other bytes")
    bad, worse, good = worker.generate(
        [ask("?", Clip("1" * 64, "d1, turn 2", gone)), ask("?", changed), ask("?", Clip.from_bytes(b"x"))]
    )
    assert bad.error == "MediaError: d1, turn 2: the file is gone"
    assert worse.error is not None
    assert "d1, turn 3: the clip's bytes have sha256" in worse.error
    assert good.error is None


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("MediaError", MediaError, "bad MediaError"),
        ("SampleError", SampleError, "bad SampleError"),
        ("KeyError", GenerationError, "KeyError: 'bad KeyError'"),
    ],
)
def test_what_the_model_raises_is_raised_here_and_the_worker_goes_on(
    worker: Worker, name: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        worker.generate([asked(f"raise {name}")])
    assert (type(caught.value), str(caught.value)) == (kind, message)
    assert worker.generate([asked("well?")])[0].error is None


def test_the_traceback_of_a_mistake_is_kept(worker: Worker, written: Path) -> None:
    with pytest.raises(GenerationError):
        worker.generate([asked("raise KeyError")])
    wait_until(lambda: "KeyError: 'bad KeyError'" in written.read_text(), "the mistake is written down")
    assert "Traceback" in written.read_text()


def test_a_worker_that_ends_is_an_error_that_quotes_its_last_words(start: Start) -> None:
    worker = start()
    with pytest.raises(WorkerLostError) as caught:
        worker.generate([asked("crash")])
    assert "the worker process of echo ended (exit status 3)" in str(caught.value)
    assert "the allocator is out of its depth" in str(caught.value)


def test_a_worker_that_is_killed_is_an_error_that_names_the_signal(start: Start, tmp_path: Path) -> None:
    worker = start(replace(ECHO, arguments={"mark": str(tmp_path / "mark")}))
    with pytest.raises(WorkerLostError, match=r"ended \(killed by signal 9, Killed\).*about to crash"):
        worker.generate([asked("crash once")])


def test_a_worker_without_a_sign_of_life_is_given_up(start: Start) -> None:
    worker = start(patience=replace(PATIENCE, silence=2.0))
    with pytest.raises(WorkerLostError, match="gave no sign of life for 2 s"):
        worker.generate([asked("hang")])


def test_a_worker_that_computes_nothing_is_given_up(start: Start) -> None:
    worker = start(patience=replace(PATIENCE, idleness=1.0))
    with pytest.raises(WorkerLostError, match="computed nothing for 1 s"):
        worker.generate([asked("wait")])


def test_a_worker_that_stopped_reading_is_given_up(start: Start) -> None:
    worker = start(patience=replace(PATIENCE, silence=2.0))
    large = Clip.from_bytes(bytes(2**23))
    with pytest.raises(WorkerLostError, match=r"takes no messages|no sign of life"):
        worker.generate([ask("x", large), asked("hang"), ask("x", large)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arguments": {"times": 0}}, "echo: times must be positive"),
        ({"arguments": {"tims": 1}}, "echo takes no argument 'tims'; nearest: 'times'"),
        (
            {"class_path": "support.no_such:Echo"},
            "echo: its environment lacks something (No module named 'support.no_such')",
        ),
        (
            {"class_path": "support.worker_models:Unmakeable"},
            "echo: its environment lacks something (No module named 'no_such_module_anywhere')",
        ),
        (
            {"class_path": "support.worker_models:Demanding"},
            "echo runs on no-such-package ==1.0, which is not installed: make its environment anew: "
            "`avemo-eval env remove echo`, then create",
        ),
    ],
)
def test_a_model_that_cannot_be_made_is_an_error_of_one_sentence(
    start: Start, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError) as caught:
        start(replace(ECHO, **change))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_another_version_of_the_protocol_is_refused(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "VERSION", 99)
    with pytest.raises(ModelError, match=r"speaks version \d of the protocol and this process version 99"):
        start()


def test_an_interpreter_that_is_none_is_refused(start: Start) -> None:
    with pytest.raises(ModelError, match="cannot be started"):
        start(python="/no/such/python")


def test_an_interpreter_that_does_not_get_as_far_as_the_worker_is_an_error(start: Start, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such library >&2\nexit 127\n")
    broken.chmod(0o755)
    with pytest.raises(WorkerLostError, match=r"exit status 127.*no such library"):
        start(python=str(broken))


def test_only_the_package_is_found_beside_itself(start: Start) -> None:
    """Packages beside an installed one belong to another environment."""
    order = replace(ECHO, class_path="support.worker_models:StandingIn", paths=(str(TESTS),))
    with pytest.raises(ModelError, match=r"its environment lacks something \(No module named 'flash_attn'\)"):
        start(order).identity()


def test_stand_ins_are_found_last_and_told(start: Start) -> None:
    from avemo_harness.models.worker.hosted import STAND_INS

    class_path = "support.worker_models:StandingIn"
    worker = start(
        replace(ECHO, class_path=class_path, paths=(str(TESTS), str(STAND_INS)), stand_ins=("flash_attn", "json"))
    )
    assert worker.stand_ins == ("flash_attn",)
    assert Path(worker.identity()["flash_attn"]).is_relative_to(STAND_INS)


def test_temporary_files_go_with_the_worker(start: Start) -> None:
    worker = start()
    scratch = Path(worker.scratch)
    (scratch / "copy.mp4").touch()
    worker.close()
    assert not scratch.exists()


PARENT = """
import sys, time
from pathlib import Path
from avemo_harness.models.worker.process import WorkerLog
from avemo_harness.models.worker.protocol import WorkerConfig
from avemo_harness.models.worker.process import Worker
config = WorkerConfig("echo", "support.worker_models:Echo", {}, paths=(sys.argv[1],))
worker = Worker(Path(sys.executable), config, WorkerLog(), print)
print(worker.pid, worker.scratch, flush=True)
time.sleep(3600)
"""


def test_a_worker_ends_with_its_parent_however_that_ends() -> None:
    command = [sys.executable, "-c", PARENT, str(TESTS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, scratch = parent.stdout.readline().split()
        parent.kill()
    wait_until(lambda: not is_alive(int(pid)) and not Path(scratch).exists(), "the worker has ended")


def test_an_interrupt_from_the_keyboard_is_left_to_the_parent(start: Start) -> None:
    import signal

    worker = start()
    os.kill(worker.pid, signal.SIGINT)
    assert worker.generate([asked("still there?")])[0].error is None


def stream() -> tuple[IO[bytes], IO[bytes]]:
    """Two ends of a pipe: for the log, and for a worker."""
    theirs, ours = os.pipe()
    return os.fdopen(theirs, "rb"), os.fdopen(ours, "wb", buffering=0)


def last_words(log: WorkerLog, text: bytes) -> str:
    """The last words of a worker that wrote a text and ended."""
    end, worker = stream()
    log.follow(end)
    worker.write(text)
    worker.close()
    return log.last_words()


def test_errors_quote_the_last_lines_of_the_newest_worker() -> None:
    log = WorkerLog()
    assert log.last_words() == ""
    assert last_words(log, b"one\n\ntwo\nthree\nfour") == "; its last words: 'two / three / four'"
    assert last_words(log, b"") == ""
    assert last_words(log, "caf\u00e9 \u2603".encode("latin-1", "replace")) == "; its last words: 'caf\ufffd ?'"


def test_what_was_written_before_there_was_a_file_is_in_it(tmp_path: Path) -> None:
    log, path = WorkerLog(), tmp_path / "run" / "logs" / "w.log"
    last_words(log, b"early\n")
    log.keep_in(path)
    assert last_words(log, b"late\n") == f"; its last words: 'late' (in {path})"
    assert path.read_bytes() == b"early\nlate\n"


def test_a_flood_before_there_is_a_file_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "MOST_PENDING", 100)
    log = WorkerLog()
    last_words(log, b"".join(b"line %02d\n" % number for number in range(50)))
    log.keep_in(tmp_path / "log")
    kept = (tmp_path / "log").read_bytes()
    assert len(kept) <= 100
    assert kept.endswith(b"line 48\nline 49\n")


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(StoreError, match="cannot be written"):
        WorkerLog().keep_in(tmp_path / "logs" / "w.log")


def test_what_can_no_longer_be_kept_is_told(tmp_path: Path) -> None:
    log, path = WorkerLog(), tmp_path / "w.log"
    log.keep_in(path)
    path.unlink()
    path.mkdir()
    assert last_words(log, b"late\n") == (
        f"; its last words: 'late' (in {path}); what it wrote could not be kept (Is a directory)"
    )
