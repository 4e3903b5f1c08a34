"""A lost worker is started once more; a model with an environment of its own says what is missing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from support.releases import write_text_release, write_text_task

from avemo_harness.benchmark.request import Message, Request, Text
from avemo_harness.benchmark.task import GenerationSpec, LabelOutput
from avemo_harness.cli import main
from avemo_harness.errors import GenerationError, ModelError, SampleError
from avemo_harness.models import REGISTRY, load_model
from avemo_harness.models.base import ModelSetup, Prefetching
from avemo_harness.models.environments.recipes import RECIPES, Environment, find_recipe
from avemo_harness.models.worker.hosted import HOPELESS, STAND_INS, Host
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


NAMES = ("minicpm-o", "baichuan-omni")


@pytest.fixture(autouse=True)
def _no_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVEMO_CACHE", str(tmp_path / "cache"))


def test_every_environment_has_a_model_of_its_name() -> None:
    assert set(RECIPES) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_hosted_model_takes_and_gives_what_its_class_does(name: str) -> None:
    hosted = REGISTRY.load(name)
    module, attribute = hosted.class_path.split(":")
    model_class = getattr(import_module(module), attribute)
    assert hosted.environment == name
    assert hosted.Arguments is model_class.Arguments
    assert hosted.capabilities is model_class.capabilities
    assert isinstance(load_model(name, {}, ModelSetup()), Prefetching)


@pytest.mark.parametrize("name", NAMES)
def test_every_stand_in_of_a_recipe_is_there(name: str) -> None:
    for stand_in in find_recipe(name).stand_ins:
        assert (STAND_INS / stand_in / "__init__.py").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_environment_is_one_sentence_with_the_one_command(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_text_release(tmp_path / "release", dialogues=2, turns=1)
    task = write_text_task(tmp_path / "text.yaml", data)
    assert main(["--model", name, "--tasks", str(task), "--output_path", str(tmp_path / "run")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"{name} needs an environment of its own: `avemo-eval env create {name}` makes it once" in line
    assert not (tmp_path / "run").exists()


def test_an_environment_of_another_recipe_is_not_used() -> None:
    environment = Environment(find_recipe("minicpm-o"))
    environment.python.parent.mkdir(parents=True)
    environment.python.symlink_to("/bin/true")
    environment.finish({}, "3.11")
    changed = environment.marker.read_text(encoding="utf-8").replace(environment.recipe.digest, "0" * 16)
    environment.marker.write_text(changed, encoding="utf-8")
    with pytest.raises(ModelError, match="was made for other packages"):
        load_model("minicpm-o", {}, ModelSetup()).identity()
