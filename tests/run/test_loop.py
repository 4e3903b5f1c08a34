"""The asking loop: what is asked side by side and in which order, and what becomes of answers and failures."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from support.releases import write_text_release, write_text_task

from avemo_harness import evaluate
from avemo_harness.benchmark.release import Dialogue, Turn
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.benchmark.request import Request, Response, Speech, StoredResponse, Text
from avemo_harness.errors import ModelError, RunConflictError, UsageError
from avemo_harness.models.base import Capabilities, Output
from avemo_harness.report.results import score_run
from avemo_harness.run.claims import Claims
from avemo_harness.run.config import RunConfig
from avemo_harness.run.prepare import prepare
from avemo_harness.run.store import read_items

Behaviour = Callable[[Request], Response]


class FakeModel:
    """Answers one request after the other by a function, and notes what it was asked."""

    def __init__(self, behaviour: Behaviour, outputs: frozenset[Output] = frozenset({"label_text"})) -> None:
        self.capabilities = Capabilities(outputs, largest_batch=8)
        self.behaviour = behaviour
        self.asked: list[Request] = []

    def identity(self) -> Mapping[str, str]:
        return {"model": "fake"}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        self.asked += requests
        return [self.behaviour(request) for request in requests]


def sad(request: Request) -> Response:
    return Response(text="sad")


def fails_on(dialogue_id: str) -> Behaviour:
    def behaviour(request: Request) -> Response:
        if request.dialogue_id == dialogue_id:
            raise ValueError("tensor shapes do not match")
        return Response(text="sad")

    return behaviour


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text_release(tmp_path_factory.mktemp("release"), dialogues=12, turns=2)


@pytest.fixture
def task(data: Path, tmp_path: Path) -> str:
    return str(write_text_task(tmp_path / "text.yaml", data))


def test_one_failing_request_is_an_error_and_its_batch_is_answered(task: str, tmp_path: Path) -> None:
    result = evaluate(FakeModel(fails_on("d00003")), task, output_path=tmp_path / "run")
    scores = result.tasks["text_only"]
    assert (scores.n_items, scores.n_answered, scores.n_errors, scores.n_invalid) == (24, 22, 2, 0)
    assert result.provisional
    errors = [
        json.loads(line)["error"]
        for segment in (tmp_path / "run" / "responses").iterdir()
        for line in segment.read_text().splitlines()
        if "error" in json.loads(line)
    ]
    assert errors == ["ValueError: tensor shapes do not match"] * 2


def test_the_same_command_asks_failed_items_again_and_only_them(task: str, tmp_path: Path) -> None:
    evaluate(FakeModel(fails_on("d00003")), task, output_path=tmp_path / "run")
    repaired = FakeModel(sad)
    result = evaluate(repaired, task, output_path=tmp_path / "run")
    assert {request.dialogue_id for request in repaired.asked} == {"d00003"}
    assert result.n_errors == 0
    assert result.to_json() == evaluate(FakeModel(sad), task, output_path=tmp_path / "other").to_json()


def test_a_model_that_answers_nothing_or_too_little_is_an_error_not_an_empty_answer(task: str, tmp_path: Path) -> None:
    class TooFew(FakeModel):
        def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
            return []

    for number, model in enumerate((FakeModel(lambda request: Response()), TooFew(sad))):
        result = evaluate(model, task, output_path=tmp_path / str(number), max_errors=24)
        assert result.n_errors == 24
        assert result.tasks["text_only"].metrics["accuracy"].value is None


def test_a_model_that_cannot_be_loaded_ends_the_run_at_once(task: str, tmp_path: Path) -> None:
    def unloadable(request: Request) -> Response:
        raise ModelError("no such weights")

    model = FakeModel(unloadable)
    with pytest.raises(ModelError, match="no such weights"):
        evaluate(model, task, output_path=tmp_path / "run")
    assert len(model.asked) == model.capabilities.largest_batch
    assert evaluate(FakeModel(sad), task, output_path=tmp_path / "run").n_errors == 0


def test_an_empty_text_is_an_answer_and_counts_as_invalid(task: str, tmp_path: Path) -> None:
    result = evaluate(FakeModel(lambda request: Response(text="")), task, output_path=tmp_path / "run")
    assert (result.n_errors, result.tasks["text_only"].n_invalid) == (0, 24)


def test_two_tasks_that_ask_the_same_thing_share_an_answer(data: Path, tmp_path: Path) -> None:
    tasks = [str(write_text_task(tmp_path / f"{name}.yaml", data, name)) for name in ("first", "second")]
    model = FakeModel(sad)
    result = evaluate(model, tasks, output_path=tmp_path / "run")
    assert len(model.asked) == 24
    assert [result.tasks[name].n_answered for name in ("first", "second")] == [24, 24]


def test_a_shared_answer_is_shared_whole(data: Path, tmp_path: Path) -> None:
    head = "output: {type: label, labels: [neutral, happy, angry, sad], method: rank"
    ways = {"first": "raw", "second": "prior_corrected", "third": "length_normalised"}
    tasks = [
        str(write_text_task(tmp_path / f"{name}.yaml", data, name, f"{head}, rank_by: {way}}}\n"))
        for name, way in ways.items()
    ]
    scores = {"neutral": -3.0, "happy": -0.1, "angry": -4.0, "sad": -2.5}
    whole = Response(
        label_logprobs=scores,
        label_tokens=dict.fromkeys(scores, 1),
        label_priors=dict.fromkeys(scores, -1.0),
        flags=("repeating",),
    )
    model = FakeModel(lambda request: whole, frozenset({"label_ranking"}))
    result = evaluate(model, tasks, output_path=tmp_path / "run")
    assert len(model.asked) == 24
    assert [result.tasks[name].n_invalid for name in ways] == [0, 0, 0]
    assert [result.tasks[name].flags for name in ways] == [{"repeating": 24}] * 3


def test_a_model_sees_history_in_order_and_never_a_label(task: str, tmp_path: Path) -> None:
    model = FakeModel(sad)
    evaluate(model, task, output_path=tmp_path / "run")
    last = next(request for request in model.asked if (request.dialogue_id, request.turn_index) == ("d00001", 2))
    said = [(m.role, block.text) for m in last.messages for block in m.content if isinstance(block, Text)]
    assert said == [
        ("user", "sentence 0 of dialogue 1"),
        ("assistant", "sentence 1 of dialogue 1"),
        ("user", "How does the speaker of sentence 2 of dialogue 1 feel?"),
    ]
    assert not hasattr(last, "gold")


def test_another_configuration_in_the_same_directory_is_refused_with_the_difference(task: str, tmp_path: Path) -> None:
    evaluate(FakeModel(sad), task, output_path=tmp_path / "run", seed=2)
    with pytest.raises(RunConflictError, match=r"config\.seed: 2 there, 3 asked for"):
        evaluate(FakeModel(sad), task, output_path=tmp_path / "run", seed=3)


def test_a_task_outside_a_models_capabilities_is_skipped_with_the_reason(data: Path, tmp_path: Path) -> None:
    extra = "output: {type: label, labels: [neutral, happy, angry, sad], method: rank}\n"
    ranked = str(write_text_task(tmp_path / "ranked.yaml", data, "ranked", extra))
    result = evaluate(FakeModel(sad), ranked, output_path=tmp_path / "run")
    assert (result.tasks["ranked"].status, result.n_errors) == ("skipped", 0)
    assert result.tasks["ranked"].reason == "the model gives no label ranking"


def test_a_conflict_is_not_asked_of_a_release_without_pairs_and_the_rest_is(data: Path, tmp_path: Path) -> None:
    extra = "scorers: [{name: modality_preference, metrics: [aar]}]\nheadline: aar\n"
    conflict = write_text_task(tmp_path / "conflict.yaml", data, "conflict", extra)
    conflict.write_text(conflict.read_text().replace("condition: full_av", "condition: conflict"))
    both = [str(conflict), str(write_text_task(tmp_path / "text.yaml", data))]
    result = evaluate(FakeModel(sad), both, output_path=tmp_path / "run")
    assert result.tasks["conflict"].reason == "the release has no conflict pairs (config text_conflict)"
    assert result.tasks["text_only"].n_answered == 24
    assert not result.provisional


def test_ranked_labels_decide_by_log_probability(data: Path, tmp_path: Path) -> None:
    extra = "output: {type: label, labels: [neutral, happy, angry, sad], method: rank}\n"
    ranked = str(write_text_task(tmp_path / "ranked.yaml", data, "ranked", extra))
    scores = {"neutral": -3.0, "happy": -0.1, "angry": -4.0, "sad": -2.5}
    model = FakeModel(lambda request: Response(label_logprobs=scores), frozenset({"label_ranking"}))
    result = evaluate(model, ranked, output_path=tmp_path / "run")
    counts = result.tasks["ranked"].details["confusion"]["counts"]
    assert [row[1] for row in counts] == [6, 6, 6, 6]


def test_limit_ids_and_where_make_a_run_partial(task: str, tmp_path: Path) -> None:
    limited = evaluate(FakeModel(sad), task, output_path=tmp_path / "limited", limit=3)
    chosen = evaluate(FakeModel(sad), task, output_path=tmp_path / "chosen", ids=("d00004", "d00005/2"))
    angry = evaluate(FakeModel(sad), task, output_path=tmp_path / "angry", where=("emotion=angry",))
    assert [run.tasks["text_only"].n_items for run in (limited, chosen, angry)] == [6, 3, 6]
    assert all(run.partial for run in (limited, chosen, angry))


def test_a_limited_run_grows_in_its_own_directory_to_the_bytes_of_a_run_without_limits(
    task: str, tmp_path: Path
) -> None:
    whole = evaluate(FakeModel(sad), task, output_path=tmp_path / "whole")
    assert not whole.partial
    asked = []
    for limit in (2, 5, None):
        model = FakeModel(sad)
        grown = evaluate(model, task, output_path=tmp_path / "grown", limit=limit)
        asked.append(len(model.asked))
        assert grown.partial is (limit is not None)
    assert asked == [4, 6, grown.tasks["text_only"].n_items - 10]
    for name in ("run.json", "items.json", "results.json", "items/text_only.jsonl", "scores/text_only.jsonl"):
        assert (tmp_path / "grown" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_limit_that_asks_everything_is_a_complete_run(task: str, tmp_path: Path) -> None:
    assert not evaluate(FakeModel(sad), task, output_path=tmp_path / "run", limit=10_000).partial


def test_a_smaller_limit_shrinks_nothing_and_says_so(task: str, tmp_path: Path) -> None:
    evaluate(FakeModel(sad), task, output_path=tmp_path / "run", limit=5)
    said: list[str] = []
    model = FakeModel(sad)
    prepared = prepare(RunConfig("fake", (task,), limit=2), output_path=tmp_path / "run", model=model, say=said.append)
    prepared.ask()
    assert score_run(tmp_path / "run").tasks["text_only"].n_items == 10
    assert model.asked == []
    assert any("asked for more items before" in sentence for sentence in said)


def test_what_other_ids_and_conditions_ask_joins_what_was_asked_before(task: str, tmp_path: Path) -> None:
    evaluate(FakeModel(sad), task, output_path=tmp_path / "run", ids=("d00004",))
    joined = evaluate(FakeModel(sad), task, output_path=tmp_path / "run", where=("emotion=angry",))
    ids = [item.item_id for item in read_items(tmp_path / "run", "text_only")]
    assert len(ids) == joined.tasks["text_only"].n_items == 8
    assert ids == sorted(ids)


def test_an_id_that_nothing_has_is_refused_by_name(task: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--ids: no dialogue, pair or user turn is called 'd0000x'"):
        evaluate(FakeModel(sad), task, output_path=tmp_path / "run", ids=("d00004", "d0000x"))


def test_nothing_left_to_ask_is_an_error_not_an_empty_run(task: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--ids, --where and --limit leave nothing to ask of 24 items"):
        evaluate(FakeModel(sad), task, output_path=tmp_path / "run", where=("language=de",))


def test_generation_overrides_are_checked_and_reach_the_model(task: str, tmp_path: Path) -> None:
    model = FakeModel(sad)
    evaluate(model, task, output_path=tmp_path / "run", generation={"max_new_tokens": "5"})
    assert model.asked[0].generation.max_new_tokens == 5
    with pytest.raises(UsageError, match="max_tokens"):
        evaluate(FakeModel(sad), task, output_path=tmp_path / "other", generation={"max_tokens": 5})


def test_a_listener_hears_of_every_item_once_also_of_those_answered_before(task: str, tmp_path: Path) -> None:
    heard: list[tuple[str, str]] = []

    class Listener:
        def stored(self, records: Sequence[StoredResponse]) -> None:
            heard.extend(record.item_key for record in records)

        def waiting(self, units: int) -> None:
            raise AssertionError("nobody else is asking")

    config = RunConfig("fake", (task,))
    for _ in range(2):
        heard.clear()
        prepared = prepare(config, output_path=tmp_path / "run", model=FakeModel(sad))
        prepared.ask(listener=Listener())
        assert len(heard) == len(set(heard)) == prepared.n_items == 24


def test_options_of_the_wrong_type_are_refused(task: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"evaluate\(\): where"):
        evaluate(FakeModel(sad), task, output_path=tmp_path / "run", where="emotion=angry")
    with pytest.raises(UsageError, match="unknown key 'limits'"):
        evaluate(FakeModel(sad), task, output_path=tmp_path / "run", limits=3)


class NotingModel:
    """Notes every batch it is given."""

    def __init__(self, usual_batch: int | None = None) -> None:
        outputs = frozenset({"label_text", "spoken_response"})
        self.capabilities = Capabilities(outputs, largest_batch=6, usual_batch=usual_batch)
        self.batches: list[list[Request]] = []

    def identity(self) -> Mapping[str, str]:
        return {"model": "noting"}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        import numpy as np

        self.batches.append(list(requests))
        return [Response(text="sad", speech=Speech(np.zeros(240, np.float32), 24_000)) for _ in requests]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A label task and a reply task over dialogues of one, two and three user turns, in mixed order."""
    folder = tmp_path_factory.mktemp("schedule")
    dialogues = [_dialogue(f"d{i}", turns) for i, turns in enumerate((1, 3, 2, 3, 1, 2, 3))]
    write_release(folder / "release", "text", {"test": dialogues})
    reply = write_text_task(folder / "reply.yaml", folder / "release", "a_reply")
    words = reply.read_text(encoding="utf-8").split("extends:")[0]
    reply.write_text(
        f"""{words}version: 1
dataset: {{path: {folder / "release"}, name: text}}
condition: full_av
messages: [{{role: user, content: [{{type: text, text: "Reply to {{{{ turn.text }}}}."}}]}}]
output: {{type: spoken_response}}
""",
        encoding="utf-8",
    )
    return [str(reply), str(write_text_task(folder / "label.yaml", folder / "release", "label"))]


def _dialogue(name: str, turns: int) -> Dialogue:
    said = []
    for index in range(2 * turns - 1):
        role = "user" if index % 2 == 0 else "assistant"
        said.append(Turn(index, role, name, f"{name} {index}", "sad" if role == "user" else None))
    return Dialogue(name, "test", "en", "CC0-1.0", tuple(said))


def test_a_batch_joins_equal_turns_of_several_dialogues(tasks: list[str], tmp_path: Path) -> None:
    model = NotingModel()
    result = evaluate(model, tasks, output_path=tmp_path / "run", batch_size=3)
    assert sum(task.n_answered for task in result.tasks.values()) == 30
    assert all(len({request.turn_index for request in batch}) == 1 for batch in model.batches)
    assert [sorted({request.dialogue_id for request in batch}) for batch in model.batches[:6]] == [
        ["d1", "d3", "d6"]
    ] * 6


def test_labels_are_asked_before_replies_about_the_same_turn(tasks: list[str], tmp_path: Path) -> None:
    model = NotingModel()
    evaluate(model, tasks, output_path=tmp_path / "run", batch_size=3)
    kinds = [{request.output.type for request in batch} for batch in model.batches[:6]]
    assert kinds == [{"label"}, {"spoken_response"}] * 3
    assert [batch[0].turn_index for batch in model.batches[:6]] == [0, 0, 2, 2, 4, 4]


def test_a_worker_claims_no_more_than_its_share(tasks: list[str], tmp_path: Path) -> None:
    model = NotingModel()
    other = Claims(tmp_path / "run" / "claims", "other")
    try:
        evaluate(model, tasks, output_path=tmp_path / "run", batch_size=6)
    finally:
        other.close()
    # Seven dialogues, two workers; then the four that are left, and so on.
    assert sorted({request.dialogue_id for request in model.batches[0]}) == ["d1", "d2", "d3", "d6"]


def test_long_dialogues_come_first(tasks: list[str], tmp_path: Path) -> None:
    model = NotingModel()
    evaluate(model, tasks, output_path=tmp_path / "run", batch_size=1)
    asked = list(dict.fromkeys(batch[0].dialogue_id for batch in model.batches))
    assert asked == ["d1", "d3", "d6", "d2", "d5", "d0", "d4"]


@pytest.mark.parametrize(
    ("usual", "asked", "largest"), [(None, None, 6), (2, None, 2), (2, "auto", 6), (2, 4, 4), (2, 100, 6)]
)
def test_how_many_requests_a_model_is_given_at_once(
    usual: int | None, asked: int | None, largest: int, tasks: list[str], tmp_path: Path
) -> None:
    model = NotingModel(usual)
    evaluate(model, tasks, output_path=tmp_path / "run", batch_size=asked)
    assert max(len(batch) for batch in model.batches) == largest


def test_clips_are_made_ready_before_and_beside_the_answering(tasks: list[str], tmp_path: Path) -> None:
    class Prefetched(NotingModel):
        def __init__(self) -> None:
            super().__init__()
            self.ready: dict[str, str] = {}

        def prefetch(self, request: Request) -> None:
            self.ready[request.key] = threading.current_thread().name

        def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
            assert {request.key for request in requests} <= set(self.ready)
            return super().generate(requests)

    model = Prefetched()
    result = evaluate(model, tasks, output_path=tmp_path / "run")
    assert result.n_errors == 0
    assert threading.current_thread().name not in model.ready.values()
