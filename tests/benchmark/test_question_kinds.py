"""Labels of a data set become the task's; choices, numbers and texts are questions of their own kinds."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any, cast

import pytest
from support.planned import ALONE, PlainConditions, clip, make_dialogue, make_task, pair, release_of, shown

from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.planning import Plan, items_to_answer_first, left_out_label, plan_items, with_labels_of
from avemo_harness.benchmark.release import Clip, Dialogue, Release
from avemo_harness.benchmark.request import Item, Request, Text
from avemo_harness.benchmark.request_builder import RequestBuilder
from avemo_harness.benchmark.task import ContextSpec, LabelOutput, TaskSpec, TextOutput
from avemo_harness.errors import ReleaseError


def ask(task: TaskSpec, release: Release, item: Item) -> Request:
    return RequestBuilder(task, release, cast(ConditionCache, PlainConditions()), task.generation, {}, 0).request(item)


def test_turns_whose_label_is_none_of_the_tasks_are_left_out_and_counted_by_label() -> None:
    task = make_task(output={"type": "label", "labels": ["happy", "angry"]})
    plan = plan_items(task, release_of(make_dialogue("d1", emotions=("happy", "sad", "sad", "fear"))))
    assert [item.gold for item in plan.items] == ["happy"]
    assert plan.not_asked == {left_out_label("sad"): 2, left_out_label("fear"): 1}


def test_a_pair_is_left_out_where_either_label_is_none_of_the_tasks() -> None:
    task = ALONE.model_copy(update={"output": LabelOutput(type="label", labels=("happy", "angry"))})
    release = release_of(make_dialogue("a"), pairs=[pair("p", ("a", 2, "sad"), ("a", 0, "happy"))])
    assert plan_items(task, release) == Plan((), {left_out_label("sad"): 1})


TABLE: dict[str, Any] = {"path": "t.csv", "columns": {"video": "clip", "label": "emotion"}}


def test_a_label_map_gives_the_tasks_words_for_those_of_the_data_set() -> None:
    release = release_of(make_dialogue("d1", emotions=("happy", "sadness", "fear")))
    plan = plan_items(make_task(label_map={"sadness": "sad", "fear": None}), release)
    assert [item.gold for item in plan.items] == ["happy", "sad"]
    assert plan.not_asked == {left_out_label("fear"): 1}


def test_a_label_of_a_table_that_nothing_names_is_an_error_with_the_nearest_one() -> None:
    release = release_of(make_dialogue("d1", emotions=("happy", "sadd")))
    with pytest.raises(ReleaseError) as refused:
        plan_items(make_task(dataset=TABLE), release)
    assert "dialogue 'd1', turn 2 is labelled 'sadd', which is neither among the task's labels" in str(refused.value)
    assert "nearest: 'sad'" in str(refused.value)
    others = plan_items(make_task(dataset=TABLE, label_map={"*": None}), release)
    assert others.not_asked == {left_out_label("sadd"): 1}


def test_a_release_to_learn_from_has_the_tasks_labels_and_is_the_same_where_it_had_them_already() -> None:
    release = release_of(make_dialogue("d1", emotions=("happy", "sadness", "fear", None)))
    assert with_labels_of(make_task(), release_of(make_dialogue("d1"))) == release_of(make_dialogue("d1"))
    learned = with_labels_of(make_task(label_map={"sadness": "sad"}), release)
    assert [turn.emotion for turn in learned.dialogues[0].turns if turn.role == "user"] == ["happy", "sad", None, None]
    assert learned.fingerprint != release.fingerprint


def with_choices(dialogue: Dialogue, *choices: str | Clip, answer: str = "0") -> Dialogue:
    turns = (replace(turn, choices=choices, answer=answer) for turn in dialogue.turns)
    return replace(dialogue, turns=tuple(turns))


WHICH = {"type": "text", "text": "Which fits? {{ labels | join('/') }}"}
QUESTION = {"role": "user", "content": [WHICH, {"type": "choices"}]}


def choice(order: str = "shuffled", **changes: Any) -> TaskSpec:
    return make_task(output={"type": "choice", "order": order}, messages=[QUESTION], **changes)


def test_options_are_shown_behind_letters_in_an_order_of_item_and_seed_and_the_truth_is_a_letter() -> None:
    release = release_of(*(with_choices(make_dialogue(f"d{i}", emotions=(None,)), "x", "y", "z") for i in range(60)))
    items = plan_items(choice(), release).items
    assert {item.order for item in items} == set(permutations(range(3)))
    for item in items:
        assert item.gold == "ABC"[item.order.index(0)]
        lines = [f"{letter}. {'xyz'[index]}" for letter, index in zip("ABC", item.order, strict=True)]
        told = [("user", "Which fits? A/B/C"), ("user", "\n" + "\n".join(lines))]
        assert shown(ask(choice(context={"turns": "none"}), release, item)) == told
    assert plan_items(choice(), release_of(*release.dialogues[7:9])).items == items[7:9]
    assert plan_items(choice(), release, seed=1).items != items


def test_every_rotation_is_an_item_of_its_own_in_the_cluster_of_its_dialogue() -> None:
    release = release_of(with_choices(make_dialogue("d", emotions=(None,)), "x", "y", "z", answer="1"))
    items = plan_items(choice("rotations"), release).items
    assert [(item.item_id, item.order, item.gold, item.cluster) for item in items] == [
        ("d/0@0", (0, 1, 2), "B", "d"),
        ("d/0@1", (1, 2, 0), "A", "d"),
        ("d/0@2", (2, 0, 1), "C", "d"),
    ]


def test_a_model_is_asked_for_a_letter_and_never_sees_which_option_is_right() -> None:
    release = release_of(with_choices(make_dialogue("d", emotions=(None,)), "x", "y"))
    (item,) = plan_items(choice("given"), release).items
    request = ask(choice("given"), release, item)
    assert request.output == LabelOutput(type="label", labels=("A", "B"))
    swapped = release_of(with_choices(make_dialogue("d", emotions=(None,)), "x", "y", answer="1"))
    (other,) = plan_items(choice("given"), swapped).items
    assert (item.gold, other.gold) == ("A", "B")
    assert ask(choice("given"), swapped, other).key == request.key


def test_options_that_are_recordings_stand_behind_their_letters_under_the_tasks_condition() -> None:
    dialogue = with_choices(make_dialogue("d", emotions=(None,)), clip("one"), clip("two"))
    task = choice("given", condition="audio_only")
    (item,) = plan_items(task, release_of(dialogue)).items
    content = ask(task, release_of(dialogue), item).messages[0].content
    told = [block.text if isinstance(block, Text) else block.read().decode() for block in content]
    assert told == ["Which fits? A/B", "\nA.", "sound of one", "B.", "sound of two"]


@pytest.mark.parametrize("count", [1, 27])
def test_a_choice_has_as_many_options_as_there_are_letters_at_most(count: int) -> None:
    release = release_of(with_choices(make_dialogue("d", emotions=(None,)), *map(str, range(count))))
    with pytest.raises(ReleaseError, match=rf"dialogue 'd', turn 0: a choice has 2 to 26 options, found {count}"):
        plan_items(choice(), release)


def test_a_dialogue_of_questions_shows_the_earlier_ones_with_the_models_own_answers() -> None:
    release = release_of(with_choices(make_dialogue("d", emotions=(None, None)), "x", "y"))
    task = choice("given", context={"turns": "questions"})
    first, second = plan_items(task, release).items
    assert items_to_answer_first(task, release, second) == {0: first.item_id}
    builder = RequestBuilder(task, release, cast(ConditionCache, PlainConditions()), task.generation, {}, 0)
    question = [("user", "Which fits? A/B"), ("user", "\nA. x\nB. y")]
    assert shown(builder.request(second, {0: "B"})) == [*question, ("assistant", "B"), *question]


def test_numbers_and_texts_are_asked_for_as_text_and_held_against_the_answer() -> None:
    dialogue = make_dialogue("d", emotions=(None, None))
    first, *others = dialogue.turns
    release = release_of(replace(dialogue, turns=(replace(first, answer="3.5"), *others)))
    number = make_task(output={"type": "number", "low": 1.0, "high": 5.0}, scorers=[], headline=None)
    assert [item.gold for item in plan_items(number, release).items] == ["3.5"]
    text = make_task(output={"type": "text"}, scorers=[], headline=None)
    items = plan_items(text, release).items
    assert [item.gold for item in items] == ["3.5", None]
    assert ask(text, release, items[0]).output == TextOutput(type="text")


def test_a_task_may_ask_the_last_turn_of_each_dialogue_alone() -> None:
    release = release_of(make_dialogue("d1", emotions=("happy", "sad", "sad")), make_dialogue("d2"))
    content = [{"type": "text", "text": "What has changed?"}]
    task = make_task(unit="last_turn", output={"type": "text"}, messages=[{"role": "user", "content": content}])
    assert [item.item_id for item in plan_items(task, release).items] == ["d1/4", "d2/2"]
    own = task.model_copy(update={"context": ContextSpec(assistant_replies="own")})
    # The turns before are not asked, so that there is no reply of the model's to wait for.
    assert items_to_answer_first(own, release, plan_items(own, release).items[0]) == {}
