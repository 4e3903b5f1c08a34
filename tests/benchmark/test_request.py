"""A question's key is of its content alone: all that may change the answer, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from support.planned import ALONE, CONFLICT, PlannedTask, clip, make_dialogue, make_task, pair, release_of

from avemo_harness.benchmark.task import GenerationSpec


def keys(asked: PlannedTask) -> list[str]:
    return [request.key for request in asked.requests()]


def test_the_same_question_has_the_same_key_whatever_task_file_or_dialogue_it_comes_from() -> None:
    asked = PlannedTask()
    renamed = replace(asked.release.dialogues[0], dialogue_id="z9", source="other", licence="other")
    elsewhere = replace(release_of(renamed), source="/another/place", name="other", split="train")
    for same in (
        PlannedTask(),
        replace(asked, task=make_task(task="another", version=7, group="others", headline=None)),
        replace(asked, task=make_task(output={**make_task().output.model_dump(), "synonyms": {"sad": ["sorrow"]}})),
        replace(asked, release=elsewhere),
    ):
        assert keys(same) == keys(asked)


def test_what_decides_a_ranking_changes_the_task_and_not_the_question() -> None:
    output = {**make_task().output.model_dump(), "method": "rank"}
    raw, corrected = make_task(output=output), make_task(output={**output, "rank_by": "prior_corrected"})
    assert raw.model_dump() != corrected.model_dump()
    assert keys(PlannedTask(task=raw)) == keys(PlannedTask(task=corrected))


def test_whatever_may_change_the_answer_changes_the_key() -> None:
    asked = PlannedTask()
    (dialogue,) = asked.release.dialogues

    def with_turn(number: int, **change: Any) -> PlannedTask:
        turns = tuple(replace(turn, **change) if turn.turn_index == number else turn for turn in dialogue.turns)
        return replace(asked, release=release_of(replace(dialogue, turns=turns)))

    others = {
        "model": replace(asked, identity=(("model", "constant"), ("version", "1"))),
        "model's version": replace(asked, identity=(("model", "random"), ("version", "2"))),
        "another field of the model": replace(asked, identity=(*asked.identity, ("dtype", "bfloat16"))),
        "seed": replace(asked, seed=1),
        "asked clip": with_turn(2, clip=clip("another")),
        "earlier clip": with_turn(0, clip=clip("another")),
        "earlier reply": with_turn(1, text="another"),
        "condition": replace(asked, task=make_task(condition="audio_only")),
        "what the condition concerns": replace(
            asked, task=make_task(condition={"name": "audio_only", "applies_to": "asked_turn"})
        ),
        "noise": replace(asked, task=make_task(condition={"name": "video_only", "noise": "white"})),
        "context": replace(asked, task=make_task(context={"turns": "none"})),
        "prompt": replace(asked, task=make_task(messages=[{"role": "user", "content": [{"type": "clip"}]}])),
        "labels": replace(asked, task=make_task(output={"type": "label", "labels": ["sad", "happy"]})),
        "method": replace(
            asked, task=make_task(output={**make_task().output.model_dump(), "method": "rank", "synonyms": {}})
        ),
        "length": replace(asked, generation=GenerationSpec(max_new_tokens=17)),
        "sampling": replace(asked, generation=GenerationSpec(do_sample=True, temperature=0.5)),
        "temperature": replace(asked, generation=GenerationSpec(do_sample=True, temperature=0.7)),
        "nucleus": replace(asked, generation=GenerationSpec(do_sample=True, top_p=0.9)),
    }
    last = {"nothing": keys(asked)[-1], **{name: keys(other)[-1] for name, other in others.items()}}
    assert len(set(last.values())) == len(last)


def test_clips_that_swap_their_places_make_another_question() -> None:
    release = release_of(
        make_dialogue("a"),
        make_dialogue("b"),
        pairs=[pair("p1", ("a", 0, "happy"), ("b", 2, "sad")), pair("p2", ("b", 2, "sad"), ("a", 0, "happy"))],
    )
    first, second = PlannedTask(release, ALONE).requests()
    assert first.key != second.key


def test_a_request_is_the_same_whatever_the_labels_are() -> None:
    release = release_of(make_dialogue("d1", emotions=("happy", "sad", "angry")))
    other = release_of(make_dialogue("d1", emotions=("angry", "neutral", "neutral")))
    assert PlannedTask(release).requests() == PlannedTask(other).requests()


def test_neither_label_nor_style_nor_clip_name_stands_in_a_request() -> None:
    plain = make_task(
        messages=[{"role": "user", "content": [{"type": "clip"}, {"type": "text", "text": "{{ turn.text }}?"}]}]
    )
    shared = [make_dialogue("a", "same", ("angry", "happy")), make_dialogue("b", "same", ("angry", "sad"))]
    release = release_of(*shared, pairs=[pair("p", ("a", 2, "happy"), ("b", 2, "sad"))])
    conflict = plain.model_copy(update={"condition": CONFLICT.condition})
    for task in (plain, conflict):
        for request in PlannedTask(release, task).requests():
            said = repr(request.messages)
            assert not any(word in said for word in ("angry", "happy", "sad", "warmly"))


def test_an_items_labels_are_not_in_its_request() -> None:
    request = PlannedTask().requests()[0]
    assert {"gold", "audio_label", "video_label", "cluster", "item_id"}.isdisjoint(request.__slots__)


def test_a_request_draws_by_its_key() -> None:
    first, second = PlannedTask().requests()
    assert first.seed != second.seed
    assert first.seed == PlannedTask().requests()[0].seed == int(first.key[:15], 16)
