"""A forecast counts what a run would ask, and its ranges hold what the whole would take."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.one_by_one import OneByOne
from support.releases import write_text_release, write_text_task
from support.synthetic_release import CONFIG, write_synthetic_release

from avemo_harness import evaluate
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.errors import UsageError
from avemo_harness.models.base import Capabilities
from avemo_harness.run.config import RunConfig
from avemo_harness.run.forecast import forecast, total_of
from avemo_harness.run.requests import Anyone


@dataclass(frozen=True)
class Counting(OneByOne):
    """Tells how many words it was asked, as its tokens."""

    capabilities = Capabilities(frozenset({"label_text", "label_ranking", "text"}), largest_batch=2)

    def identity(self) -> dict[str, str]:
        return {"model": "counting"}

    def answer(self, request: Request) -> Response:
        return Response(text="sad", prompt_tokens=10 * len(request.messages), new_tokens=1)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_release(tmp_path_factory.mktemp("forecast") / "release")


def config_of(release: Path, *tasks: str, **options: object) -> RunConfig:
    return RunConfig("counting", tasks or (CONFIG,), dataset=str(release), **options)  # type: ignore[arg-type]  # (typed by RunConfig)


def test_counts_are_those_of_the_run(release: Path, tmp_path: Path) -> None:
    config = config_of(release)
    found = forecast(config, model=Counting())
    result = evaluate(Counting(), CONFIG, dataset=str(release), output_path=tmp_path / "run")
    asked = {name: task.n_items for name, task in result.tasks.items() if task.status != "skipped"}
    assert {task.task: task.items for task in found.tasks} == asked
    assert set(found.skipped) == set(result.tasks) - set(asked)
    assert (found.items, found.dialogues) == (sum(asked.values()), 4)
    assert (found.clips, found.clips_unknown) == (8, 0)


def test_where_every_item_is_tried_the_sums_are_exact(release: Path) -> None:
    found = forecast(config_of(release, f"{CONFIG}_full_av"), model=Counting(), probed=1_000)
    tokens = found.prompt_tokens
    assert tokens is not None
    # Three turns of four dialogues: 1, 3 and 5 messages.
    assert (tokens.low, tokens.estimate, tokens.high) == (360, 360, 360)
    assert found.new_tokens is not None
    assert found.new_tokens.estimate == 12
    assert found.probed == found.items == 12


def test_ranges_of_a_few_items_hold_the_sum_of_all(release: Path) -> None:
    few, all_items = (
        forecast(config_of(release, f"{CONFIG}_full_av"), model=Counting(), probed=number) for number in (4, 1_000)
    )
    for name in ("prompt_tokens", "disk_bytes"):
        part, whole = getattr(few, name), getattr(all_items, name)
        assert part.low <= whole.estimate <= part.high
    media_s = few.tasks[0].media_s, all_items.tasks[0].media_s
    assert media_s[0] is not None
    assert media_s[1] is not None
    assert media_s[0].low < media_s[1].estimate < media_s[0].high


def test_without_a_model_nothing_is_asked_and_neither_hours_nor_tokens_are_told(release: Path) -> None:
    found = forecast(config_of(release), model=Anyone())
    assert (found.model, found.loading_s, found.model_s, found.prompt_tokens) == (None, None, None, None)
    assert found.disk_bytes is not None
    assert found.disk_bytes.estimate > 1_000 * found.items
    assert json.loads(found.to_json())["items"] == found.items


def test_text_alone_shows_no_media(tmp_path: Path) -> None:
    task = write_text_task(tmp_path / "text.yaml", write_text_release(tmp_path / "data", 20))
    found = forecast(RunConfig("counting", (str(task),)), model=Anyone())
    assert found.tasks[0].media_s is not None
    assert (found.clips, found.tasks[0].media_s.estimate) == (0, 0)


@dataclass(frozen=True)
class Failing(Counting):
    def answer(self, request: Request) -> Response:
        raise UsageError("no weights are here")


def test_a_model_that_cannot_answer_ends_the_forecast(release: Path) -> None:
    with pytest.raises(UsageError, match="no weights are here"):
        forecast(config_of(release), model=Failing())


@dataclass(frozen=True)
class Erring(Counting):
    def answer(self, request: Request) -> Response:
        return Response(error="GenerationError: planted")


def test_failed_items_are_named_and_their_time_counts(release: Path) -> None:
    found = forecast(config_of(release, f"{CONFIG}_full_av"), model=Erring(), probed=3)
    assert found.failed == [f"{CONFIG}_full_av: GenerationError: planted"] * 3
    assert found.model_s is not None
    assert found.prompt_tokens is None


def test_a_task_of_which_nothing_was_tried_has_no_total() -> None:
    assert total_of([("a", 1.0)], {"a": 2, "b": 2}) is None
