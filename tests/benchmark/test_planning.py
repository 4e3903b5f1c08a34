"""A task asks of a release the turns that have what it needs, and leaves the others out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

import pytest
from support.planned import (
    ALONE,
    CONFLICT,
    QUESTION,
    PlainConditions,
    PlannedTask,
    clip,
    make_dialogue,
    make_task,
    pair,
    release_of,
    shown,
)

from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.planning import items_to_answer_first, plan_items
from avemo_harness.benchmark.release import Clip, Dialogue, Release, Stream, Vote
from avemo_harness.benchmark.request import OTHER_VOTES, Item
from avemo_harness.benchmark.request_builder import RequestBuilder
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.errors import ReleaseError


def test_every_labelled_turn_of_the_user_is_asked_in_release_order() -> None:
    release = release_of(make_dialogue("d2", emotions=("sad", None, "angry")), make_dialogue("d1"))
    items = plan_items(make_task(), release).items
    assert [(item.item_id, item.gold) for item in items] == [
        ("d2/0", "sad"),
        ("d2/4", "angry"),
        ("d1/0", "happy"),
        ("d1/2", "sad"),
    ]
    assert [item.cluster for item in items] == ["d2", "d2", "d1", "d1"]
    assert len({item.unit for item in items}) == 2


def test_replies_are_asked_of_turns_without_a_label_too() -> None:
    spoken = make_task(output={"type": "spoken_response"})
    items = plan_items(spoken, release_of(make_dialogue("d1", emotions=("sad", None)))).items
    assert [(item.item_id, item.gold) for item in items] == [("d1/0", None), ("d1/2", None)]


def test_a_question_follows_the_history_up_to_it_with_the_assistants_turns_as_text() -> None:
    first, second = PlannedTask().requests()
    assert shown(first) == [("user", "d1/0"), QUESTION]
    assert shown(second) == [("user", "d1/0"), ("assistant", "answer 1 of d1"), ("user", "d1/2"), QUESTION]
    assert second.asked_clip == clip("d1/2")


def test_without_context_only_the_question_is_asked() -> None:
    alone = PlannedTask(task=make_task(context={"turns": "none"})).requests()[1]
    assert shown(alone) == [("user", "d1/2"), QUESTION]


def with_streams(dialogue: Dialogue, turn: int, sound: bool, picture: bool) -> Dialogue:
    """The same dialogue with known streams of one turn's clip, and both streams in the others."""
    both: frozenset[Stream] = frozenset({"sound", "picture"})
    lacking = {stream for stream, is_there in (("sound", sound), ("picture", picture)) if not is_there}
    turns = tuple(
        replace(one, clip=one.clip and replace(one.clip, streams=both - (lacking if one.turn_index == turn else set())))
        for one in dialogue.turns
    )
    return replace(dialogue, turns=turns)


def test_a_turn_without_a_clip_is_not_asked_and_counted_and_given_as_text_in_a_history() -> None:
    dialogue = make_dialogue("d1")
    silent = replace(dialogue, turns=(replace(dialogue.turns[0], clip=None), *dialogue.turns[1:]))
    asked = PlannedTask(release_of(silent))
    plan = plan_items(asked.task, asked.release)
    assert [item.item_id for item in plan.items] == ["d1/2"]
    assert plan.not_asked == {"no recording": 1}
    (request,) = asked.requests()
    assert shown(request)[0] == ("user", "d1 0")


@pytest.mark.parametrize(
    ("sound", "picture", "asked_under", "lacking"),
    [
        (True, False, {"audio_only"}, "no face"),
        (False, True, {"video_only"}, "no sound"),
        (True, True, {"full_av", "audio_only", "video_only"}, None),
    ],
)
@pytest.mark.parametrize("condition", ["full_av", "audio_only", "video_only"])
def test_a_turn_is_asked_under_the_conditions_whose_streams_it_has_and_else_counted(
    sound: bool, picture: bool, asked_under: set[str], lacking: str | None, condition: str
) -> None:
    release = release_of(with_streams(make_dialogue("d1"), 0, sound, picture))
    plan = plan_items(make_task(condition=condition), release)
    expected = ["d1/0", "d1/2"] if condition in asked_under else ["d1/2"]
    assert [item.item_id for item in plan.items] == expected
    assert plan.not_asked == ({} if condition in asked_under else {lacking: 1})


def test_a_clip_whose_streams_are_unknown_is_asked_so_that_its_error_is_seen() -> None:
    plan = plan_items(make_task(condition="full_av"), release_of(make_dialogue("d1")))
    assert (len(plan.items), plan.not_asked) == (2, {})


def test_a_reply_answers_what_was_said_so_it_needs_the_sound_and_no_face() -> None:
    spoken = make_task(output={"type": "spoken_response"})
    faceless = plan_items(spoken, release_of(with_streams(make_dialogue("d1"), 0, sound=True, picture=False)))
    mute = plan_items(spoken, release_of(with_streams(make_dialogue("d1"), 0, sound=False, picture=True)))
    assert (len(faceless.items), faceless.not_asked) == (2, {})
    assert (len(mute.items), mute.not_asked) == (1, {"no sound": 1})


def test_a_question_that_shows_no_clip_needs_no_stream() -> None:
    told = make_task(
        messages=[{"role": "user", "content": [{"type": "text", "text": "How does {{ turn.text }} feel?"}]}]
    )
    dialogue = make_dialogue("d1")
    bare = replace(dialogue, turns=tuple(replace(turn, clip=None) for turn in dialogue.turns))
    assert len(plan_items(told, release_of(bare)).items) == 2


def test_a_clip_that_a_question_does_not_show_is_not_put_under_a_condition() -> None:
    text = {"type": "text", "text": "How does {{ turn.text }} feel?"}
    told = make_task(messages=[{"role": "user", "content": [text]}], condition="audio_only", context={"turns": "none"})
    release = release_of(with_streams(make_dialogue("d1"), 0, sound=False, picture=True))

    class Refusing(PlainConditions):
        def audio_only(self, clip: Clip) -> Clip:
            raise AssertionError("made for nobody")

    asking = RequestBuilder(told, release, cast(ConditionCache, Refusing()), told.generation, {}, 0)
    request = asking.request(plan_items(told, release).items[0])
    assert shown(request) == [("user", "How does d1 0 feel?")]


@pytest.mark.parametrize(
    ("heard", "seen", "lacking"),
    [
        ((True, False), (False, True), {}),
        ((False, True), (True, True), {"no sound": 1}),
        ((True, True), (True, False), {"no face": 1}),
    ],
)
def test_a_pair_needs_the_sound_of_one_clip_and_the_face_of_the_other(
    heard: tuple[bool, bool], seen: tuple[bool, bool], lacking: dict[str, int]
) -> None:
    release = release_of(
        with_streams(make_dialogue("a"), 2, *heard),
        with_streams(make_dialogue("b"), 0, *seen),
        pairs=[pair("p", ("a", 2, "sad"), ("b", 0, "happy"))],
    )
    plan = plan_items(ALONE, release)
    assert (len(plan.items), plan.not_asked) == (0 if lacking else 1, lacking)


def test_own_replies_are_not_waited_for_where_a_turn_is_not_asked() -> None:
    own = make_task(output={"type": "spoken_response"}, context={"assistant_replies": "own"})
    release = release_of(with_streams(make_dialogue("d1"), 0, sound=False, picture=True))
    (item,) = plan_items(own, release).items
    assert items_to_answer_first(own, release, item) == {}


@pytest.mark.parametrize(
    ("condition", "history", "question"),
    [
        ({"name": "audio_only"}, "sound of d1/0", "sound of d1/2"),
        ({"name": "audio_only", "applies_to": "asked_turn"}, "d1/0", "sound of d1/2"),
        ({"name": "video_only"}, "speech_shaped over d1/0", "speech_shaped over d1/2"),
        ({"name": "video_only", "noise": "white"}, "white over d1/0", "white over d1/2"),
        ({"name": "full_av"}, "d1/0", "d1/2"),
    ],
)
def test_a_condition_changes_all_clips_of_the_user_or_the_asked_one_alone(
    condition: dict[str, str], history: str, question: str
) -> None:
    said = shown(PlannedTask(task=make_task(condition=condition)).requests()[1])
    assert (said[0], said[2]) == (("user", history), ("user", question))


def test_a_pair_within_a_dialogue_swaps_the_asked_clip_alone() -> None:
    shared = [make_dialogue("a", "same", ("neutral", "happy")), make_dialogue("b", "same", ("neutral", "sad"))]
    release = release_of(*shared, pairs=[pair("p", ("a", 2, "happy"), ("b", 2, "sad"))])
    (item,) = plan_items(CONFLICT, release).items
    assert (item.audio_label, item.video_label, item.gold) == ("happy", "sad", None)
    (request,) = PlannedTask(release, CONFLICT).requests()
    assert shown(request) == [
        ("user", "same/0"),
        ("assistant", "answer 1 of same"),
        ("user", "sound of same/2, face of same/2"),
        QUESTION,
    ]


def test_a_pair_of_two_dialogues_is_asked_without_history_and_refused_with_it() -> None:
    release = release_of(make_dialogue("a"), make_dialogue("b"), pairs=[pair("p", ("a", 2, "sad"), ("b", 0, "happy"))])
    (request,) = PlannedTask(release, ALONE).requests()
    assert shown(request) == [("user", "sound of a/2, face of b/0"), QUESTION]
    with pytest.raises(
        ReleaseError, match=r"data: pair 'p': its dialogues differ before .* `context: \{turns: none\}`"
    ):
        plan_items(CONFLICT, release)


@pytest.mark.parametrize("change", [{"text": "other"}, {"clip": None}, {"role": "user"}])
def test_histories_that_differ_in_one_turn_are_refused(change: dict[str, Any]) -> None:
    one, other = make_dialogue("a", "same"), make_dialogue("b", "same", ("happy", "happy"))
    number = 0 if "clip" in change else 1
    turns = tuple(replace(turn, **change) if turn.turn_index == number else turn for turn in other.turns)
    release = release_of(one, replace(other, turns=turns), pairs=[pair("p", ("a", 2, "sad"), ("b", 2, "happy"))])
    with pytest.raises(ReleaseError, match="its dialogues differ before the asked turn"):
        plan_items(CONFLICT, release)


@pytest.mark.parametrize(
    ("video", "said"),
    [
        (("b", 0, "sad"), "turn 0 of 'b' is labelled 'happy', the pair says 'sad'"),
        (("b", 7, "sad"), "there is no turn 7 of dialogue 'b' in the release"),
        (("b", -1, "sad"), "there is no turn -1 of dialogue 'b' in the release"),
        (("c", 0, "sad"), "there is no turn 0 of dialogue 'c' in the release"),
    ],
)
def test_a_pair_that_does_not_fit_the_release_is_refused(video: tuple[str, int, str], said: str) -> None:
    release = release_of(make_dialogue("a"), make_dialogue("b"), pairs=[pair("p", ("a", 0, "happy"), video)])
    with pytest.raises(ReleaseError) as refused:
        plan_items(ALONE, release)
    assert str(refused.value) == f"data: pair 'p': {said}"


def test_a_pair_whose_turn_has_no_clip_is_not_asked() -> None:
    silent = make_dialogue("b")
    silent = replace(silent, turns=tuple(replace(turn, clip=None) for turn in silent.turns))
    release = release_of(make_dialogue("a"), silent, pairs=[pair("p", ("a", 2, "sad"), ("b", 0, "happy"))])
    plan = plan_items(ALONE, release)
    assert (plan.items, plan.not_asked) == ((), {"no recording": 1})


def test_dialogues_that_pairs_link_are_one_cluster() -> None:
    pairs = [
        pair("p1", ("a", 0, "happy"), ("b", 2, "sad")),
        pair("p2", ("c", 0, "happy"), ("b", 2, "sad")),
        pair("p3", ("d", 0, "happy"), ("d", 2, "sad")),
    ]
    items = plan_items(ALONE, release_of(*(make_dialogue(name) for name in "abcd"), pairs=pairs)).items
    assert [item.cluster for item in items] == ["a", "a", "d"]


@pytest.mark.parametrize(
    ("task", "release", "said"),
    [
        (
            make_task(),
            release_of(make_dialogue("d1", emotions=(None,))),
            "holds nothing to ask; no user turn has a label",
        ),
        (ALONE, release_of(make_dialogue("d1")), "holds nothing to ask; it has no conflict pairs"),
        (
            make_task(output={"type": "choice"}),
            release_of(make_dialogue("d1")),
            "holds nothing to ask; no user turn has choices and an answer",
        ),
    ],
)
def test_a_release_that_a_task_cannot_ask_is_refused(task: TaskSpec, release: Release, said: str) -> None:
    with pytest.raises(ReleaseError) as refused:
        plan_items(task, release)
    assert str(refused.value).startswith("feeling: ")
    assert said in str(refused.value)


def test_all_that_a_speaker_says_is_one_cluster_where_a_task_says_so() -> None:
    dialogues = [make_dialogue(name, emotions=("happy",)) for name in "abc"]
    dialogues[2] = replace(dialogues[2], turns=(replace(dialogues[2].turns[0], speaker_id="bob"),))
    by_speaker = plan_items(make_task(clusters="speaker"), release_of(*dialogues)).items
    assert [item.cluster for item in by_speaker] == ["ann", "ann", "bob"]
    assert [item.cluster for item in plan_items(make_task(), release_of(*dialogues)).items] == ["a", "b", "c"]


def voted_release() -> Release:
    first = make_dialogue("a", emotions=("happy",))
    votes = (
        Vote("both", "joy", 5),
        Vote("both", "happy", 1),
        Vote("both", "fear", 2),
        Vote("sound", "sad", 3),
        Vote("picture", "joy", 4),
    )
    return release_of(replace(first, turns=(replace(first.turns[0], votes=votes),)), make_dialogue("b"))


@pytest.mark.parametrize(
    ("condition", "votes"),
    [("full_av", (("happy", 6), (OTHER_VOTES, 2))), ("audio_only", (("sad", 3),)), ("video_only", (("happy", 4),))],
)
def test_an_item_has_the_votes_of_those_who_were_shown_what_its_task_shows(
    condition: str, votes: tuple[tuple[str, int], ...]
) -> None:
    task = make_task(condition=condition, label_map={"joy": "happy", "fear": None})
    first, *others = plan_items(task, voted_release()).items
    assert first.votes == votes
    assert {item.votes for item in others} == {()}
    assert Item.from_json(json.loads(json.dumps(first.to_json()))) == first
    assert "votes" not in others[0].to_json()
    assert first.without_labels().votes == ()
