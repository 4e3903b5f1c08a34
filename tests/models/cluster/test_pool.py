"""A model on the workers of a Ray cluster answers as it does here; a lost worker costs its batch in flight alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.packages import write_package
from support.ray_nodes import RayNodes
from support.waiting import wait_until

from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Message, Request, Response, Text
from avemo_harness.benchmark.task import GenerationSpec, LabelOutput, ModelOutput, SpokenOutput
from avemo_harness.cli import main
from avemo_harness.errors import MediaError, ModelError, UsageError
from avemo_harness.models import load_model
from avemo_harness.models.base import Concurrent, ModelSetup
from avemo_harness.models.cluster.options import RayOptions
from avemo_harness.models.cluster.pool import LOSSES, RayPool

TESTS = Path(__file__).parents[2]
LABELS = LabelOutput(type="label", labels=("happy", "sad"))
RANKED = LabelOutput(type="label", labels=("happy", "sad"), method="rank")
SPOKEN = SpokenOutput(type="spoken_response")

Make = Callable[..., RayPool]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An installed package with models that workers find too."""
    site = tmp_path_factory.mktemp("site")
    entries = {name.lower(): f"support.worker_models:{name}" for name in ("Echo", "Unmakeable", "Drifting")}
    write_package(site, "cluster-models", {"avemo_harness.models": entries})
    with pytest.MonkeyPatch.context() as patch:
        paths = [str(site), str(TESTS), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        patch.syspath_prepend(site)
        yield


@pytest.fixture(scope="module")
def nodes(models: None) -> Iterator[RayNodes]:
    """A cluster for all tests, since to start one takes longer than most of them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in RayNodes.SETTINGS.items():
            patch.setenv(name, value)
        cluster = RayNodes()
        cluster.add(workers=4)
        yield cluster
        cluster.close()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def make(nodes: RayNodes, said: list[str]) -> Iterator[Make]:
    made: list[RayPool] = []

    def start(name: str = "echo", workers: int = 2, batch_size: int = 4, **arguments: Any) -> RayPool:
        setup = ModelSetup(say=said.append, device="cpu")
        made.append(RayPool(name, arguments, setup, RayOptions(ray_address=nodes.address, workers=workers), batch_size))
        return made[-1]

    yield start
    for pool in made:
        pool.close()


def ask(words: str, *clips: Clip, output: ModelOutput = LABELS, number: int = 1) -> Request:
    return Request(f"{number:064x}", "d1", 0, (Message("user", (*clips, Text(words))),), output, GenerationSpec())


def plain(response: Response) -> Mapping[str, Any]:
    speech = response.speech
    kept = None if speech is None else (speech.rate_hz, speech.samples.dtype, speech.samples.tobytes())
    return {**{name: getattr(response, name) for name in Response.__dataclass_fields__}, "speech": kept}


def unreadable() -> bytes:
    raise MediaError("clips/gone.mp4: no such file")


@pytest.mark.slow
def test_answers_equal_those_of_the_model_in_this_process(make: Make, said: list[str]) -> None:
    clips = [Clip.from_bytes(bytes([i]) * 50, f"clip {i}") for i in range(3)]
    gone = Clip(sha256="0" * 64, name="gone", fetch=unreadable)
    requests = [
        ask(f"question {i}", *chosen, output=output, number=10 * i + j)
        for i, chosen in enumerate([(), clips[:1], clips, (gone,)])
        for j, output in enumerate((LABELS, RANKED, SPOKEN))
    ]
    pool = make(times=2)
    alone = load_model("echo", {"times": 2}, ModelSetup(device="cpu"))
    assert [plain(answer) for answer in pool.generate(requests)] == [
        plain(answer) for answer in alone.generate(requests)
    ]
    assert pool.identity() == alone.identity()
    assert isinstance(pool, Concurrent)
    assert pool.capabilities == replace(alone.capabilities, largest_batch=16, usual_batch=16)
    assert any(sentence.startswith("answering") for sentence in said)


@pytest.mark.slow
def test_a_request_that_workers_are_lost_with_is_an_error_and_all_others_are_answered(
    make: Make, said: list[str]
) -> None:
    requests = [ask(words, number=i) for i, words in enumerate(["one", "crash", "two", "three", "four", "five"])]
    answers = make().generate(requests)
    assert [answer.text is not None for answer in answers] == [True, False, True, True, True, True]
    assert f"{LOSSES} workers were lost while they were asked this" in str(answers[1].error)
    assert sum("is lost; what it was asked is asked again" in sentence for sentence in said) == 1


@pytest.mark.slow
def test_what_the_model_raises_is_the_error_of_its_request(make: Make) -> None:
    answers = make().generate([ask("raise MediaError"), ask("fine", number=2), ask("raise KeyError", number=3)])
    assert [answer.error for answer in answers] == ["MediaError: bad MediaError", None, "KeyError: 'bad KeyError'"]


@pytest.mark.slow
def test_a_worker_with_another_model_is_left_out_and_named(make: Make, said: list[str], tmp_path: Path) -> None:
    pool = make("drifting", mark=str(tmp_path / "mark"))
    wait_until(lambda: any("one worker less, 1 left" in sentence for sentence in said), "the other worker's end")
    assert "drifting is another model than on" in said[-1]
    assert said[-1].endswith("making is 2, not 1")
    assert pool.identity() == {"model": "drifting", "making": "1"}
    assert [answer.error for answer in pool.generate([ask("well?", number=i) for i in range(5)])] == [None] * 5


@pytest.mark.slow
def test_a_model_that_no_worker_can_make_ends_the_run(make: Make) -> None:
    with pytest.raises(UsageError, match="times must be positive"):
        make(times=0)
    with pytest.raises(UsageError, match="no_such_module_anywhere"):
        make("unmakeable")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["audio-oracle", "baseline"])
def test_a_model_that_needs_the_release_is_refused_where_it_looks_for_it(name: str, make: Make) -> None:
    with pytest.raises(ModelError, match="looks at the release itself"):
        make(name).submit(ask("well?")).result()


@pytest.mark.parametrize(
    ("name", "why"),
    [("openai", "give --num_concurrent"), ("replies", "computes nothing"), ("reference", "computes nothing")],
)
def test_a_model_without_work_for_a_cluster_is_refused_before_one_is_looked_for(name: str, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        RayPool(name, {}, ModelSetup(), RayOptions())


def test_a_cluster_that_is_not_there_is_named(models: None) -> None:
    options = RayOptions(ray_address="127.0.0.1:1")
    with pytest.raises(ModelError, match=r"nothing answers at the Ray address 127\.0\.0\.1:1"):
        RayPool("echo", {}, ModelSetup(), options)


def test_without_ray_the_command_that_installs_it_is_named(models: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModelError, match=r"pip install 'avemo-harness\[ray\]'"):
        RayPool("echo", {}, ModelSetup(), RayOptions())


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--workers", "2"], "--workers is for --executor ray"),
        (["--executor", "ray", "--workers", "0"], "--workers must be 1 or more"),
        (["--executor", "ray", "--gpus_per_worker", "-1"], "--gpus_per_worker must be 0 or more"),
        (["--executor", "ray", "--num_concurrent", "4"], "--num_concurrent is for models behind a server"),
    ],
)
def test_options_of_a_cluster_are_checked_first(
    options: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--model", "random", "--tasks", "no_such_task", *options]) == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("gpus", [1.5, 0.00001, -1, float("inf"), float("nan")])
def test_a_share_of_gpus_that_ray_cannot_give_is_refused_before_a_cluster_is_begun(gpus: float) -> None:
    with pytest.raises(UsageError, match="--gpus_per_worker"):
        RayOptions(gpus_per_worker=gpus)


@pytest.mark.parametrize("gpus", [0, 0.0001, 0.25, 1, 2.0])
def test_whole_gpus_and_shares_of_one_are_taken(gpus: float) -> None:
    assert RayOptions(gpus_per_worker=gpus).gpus_per_worker == gpus


@pytest.mark.slow
def test_answers_that_cannot_be_read_are_errors_of_their_requests(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*content: object) -> list[Response]:
        raise ValueError("samples are no numbers")

    monkeypatch.setattr("avemo_harness.models.cluster.pool.responses_from", unreadable)
    answer = make("echo").submit(ask("well?")).result(timeout=60)
    assert "samples are no numbers" in str(answer.error)


@pytest.mark.slow
def test_a_cluster_that_cannot_place_a_worker_is_a_reason_and_no_stack_trace(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unplaced(pool: RayPool, actor: object) -> None:
        from ray.exceptions import RuntimeEnvSetupError

        raise RuntimeEnvSetupError("no room on the disk")

    monkeypatch.setattr(RayPool, "_introduced", unplaced)
    with pytest.raises(ModelError, match="no worker of the cluster can be made for echo"):
        make("echo")


@pytest.mark.slow
def test_more_gpus_than_this_machine_has_are_refused_rather_than_waited_for(models: None) -> None:
    with pytest.raises(ModelError, match=r"Ray sees \d+ GPUs on this machine"):
        RayPool("echo", {}, ModelSetup(), RayOptions(gpus_per_worker=64))
