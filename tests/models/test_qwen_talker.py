"""Rows that have ended leave the talker, and become sound while the others speak; nothing about any of them changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from support.questions import conversations

from avemo_harness.benchmark.request import Request
from avemo_harness.errors import GenerationError
from avemo_harness.models.neural import SpokenReply
from avemo_harness.models.qwen_steps import CompiledSteps

if TYPE_CHECKING:
    from avemo_harness.models.qwen_omni import QwenOmni
    from avemo_harness.models.qwen_talker import Talker, TalkerRequest

Make = Callable[..., "QwenOmni"]
REPLIES: list[Request] = conversations("reply", max_new_tokens=16)


@pytest.fixture(params=[False, True], ids=["greedy", "drawn"])
def drawing(request: pytest.FixtureRequest) -> bool:
    drawn: bool = request.param
    return drawn


def asked_of(model: QwenOmni, monkeypatch: pytest.MonkeyPatch) -> tuple[Talker, list[TalkerRequest]]:
    """Talker and its requests for replies of one batch, none of which is spoken."""
    taken: list[TalkerRequest] = []
    model.generate(REPLIES[:1])
    talker = model._talker
    assert talker is not None

    def take(requests: Sequence[TalkerRequest]) -> list[SpokenReply]:
        taken.extend(requests)
        return [SpokenReply(None) for _ in requests]

    with monkeypatch.context() as patch:
        patch.setattr(talker, "speak", take)
        model.generate(REPLIES)
    return talker, taken


def test_codes_are_those_of_each_row_alone_and_rows_that_ended_leave(
    drawing: bool, make_qwen: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    talker, requests = asked_of(make_qwen(talker_do_sample=drawing), monkeypatch)
    alone = [codes for request in requests for _, codes in talker._codes([request])]
    sizes: list[int] = []
    hook = talker.talker.model.register_forward_pre_hook(
        lambda module, given, named: sizes.append(len(named["inputs_embeds"])), with_kwargs=True
    )
    together = list(talker._codes(requests))
    hook.remove()
    assert [codes for _, codes in sorted(together)] == alone
    assert len({len(codes) for codes in alone}) > 2, "all rows are equally long"
    assert [len(codes) for _, codes in together] == sorted(map(len, alone)), "a row is there as soon as it ends"
    # A row takes part in a step for each of its codes, and in one more that tells that it ends.
    limit = talker.limit
    assert sum(sizes) == sum(min(len(codes) + 1, limit) for codes in alone)


def test_sound_is_made_of_a_row_while_others_speak(make_qwen: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    talker, requests = asked_of(make_qwen(), monkeypatch)
    begun, codes, spoken = threading.Event(), talker._codes, talker._spoken
    by: set[str] = set()

    def watch(asked: Sequence[TalkerRequest]) -> Iterator[tuple[int, list[int]]]:
        for number, row in enumerate(codes(asked)):
            yield row
            assert number or begun.wait(60.0), "the first row waits for the others"

    def note(*given: Any) -> SpokenReply:
        begun.set()
        by.add(threading.current_thread().name)
        return spoken(*given)

    expected = [reply.speech and reply.speech.samples.tobytes() for reply in talker.speak(requests)]
    monkeypatch.setattr(talker, "_codes", watch)
    monkeypatch.setattr(talker, "_spoken", note)
    found = [reply.speech and reply.speech.samples.tobytes() for reply in talker.speak(requests)]
    assert found == expected
    assert any(found)
    assert by == {"vocode_0"}


def test_what_fails_beside_fails_the_reply(make_qwen: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    talker, requests = asked_of(make_qwen(), monkeypatch)

    def broken(codes: Sequence[int], seed: int) -> SpokenReply:
        raise GenerationError("no usable sound")

    monkeypatch.setattr(talker, "_spoken", broken)
    with pytest.raises(GenerationError, match="no usable sound"):
        talker.speak(requests)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("vocode")]


@pytest.mark.slow
def test_compiled_steps_over_one_static_cache_give_the_same_codes(
    make_qwen: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    talker, requests = asked_of(make_qwen(talker_do_sample=True), monkeypatch)
    requests.sort(key=lambda request: -len(request.prompt.states))
    grown = list(talker._codes(requests[:8]))
    talker.steps = CompiledSteps(talker.talker)
    assert list(talker._codes(requests[:8])) == grown
    held = talker.steps._cache
    # Fewer rows than the shape has, whose places are filled up, and what the cache held before is gone.
    assert sorted(talker._codes(requests[:5])) == sorted(row for row in grown if row[0] < 5)
    assert talker.steps._cache is held


@pytest.mark.parametrize("name", ["compile", "float32_scores"])
def test_what_may_change_an_answer_is_part_of_the_identity_only_where_it_is_asked_for(
    name: str, make_qwen: Make
) -> None:
    plain, asked = make_qwen().identity(), make_qwen(**{name: True}).identity()
    assert name not in plain
    assert asked == {**plain, name: "True"}
