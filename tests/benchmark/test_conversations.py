"""A conversation of several people is one message, each turn behind the name of whoever spoke."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError
from support.planned import QUESTION, PlannedTask, clip, make_task, release_of, shown

from avemo_harness.benchmark.planning import plan_items
from avemo_harness.benchmark.release import Dialogue, Release, Turn
from avemo_harness.benchmark.request import Request, Text
from avemo_harness.benchmark.request_builder import history_words

WORDS = {"Ross": "Hi.", "Rachel": "You again?", "Joey": "Hey!"}


def talk(**changes: Any) -> Release:
    """Three people, of whom each says one thing; `changes` are of what Rachel says."""
    turns = [Turn(n, "user", name, text, "sad", clip=clip(name)) for n, (name, text) in enumerate(WORDS.items())]
    turns[1] = replace(turns[1], **changes)
    return release_of(Dialogue("d", "test", "en", "", tuple(turns)))


def asked(form: str, release: Release | None = None, **changes: Any) -> list[Request]:
    return PlannedTask(release or talk(), make_task(context={"user_as": form}, **changes)).requests()


def test_whoever_speaks_is_asked_about_after_all_that_others_said() -> None:
    assert [shown(request) for request in asked("named_clip")] == [
        [("user", "Ross: "), ("user", "Ross"), QUESTION],
        [("user", "Ross: "), ("user", "Ross"), ("user", "\nRachel: "), ("user", "Rachel"), QUESTION],
        [
            ("user", "Ross: "),
            ("user", "Ross"),
            ("user", "\nRachel: "),
            ("user", "Rachel"),
            ("user", "\nJoey: "),
            ("user", "Joey"),
            QUESTION,
        ],
    ]
    assert [len(request.messages) for request in asked("named_clip")] == [1, 1, 1]


def test_a_transcript_has_the_words_of_earlier_turns_and_the_asked_clip_alone() -> None:
    last = asked("transcript")[-1]
    assert shown(last) == [("user", "Ross: Hi.\nRachel: You again?\nJoey: "), ("user", "Joey"), QUESTION]
    assert last.asked_clip == clip("Joey")


def test_the_condition_concerns_earlier_turns_of_all_speakers() -> None:
    last = asked("named_clip", condition="video_only")[-1]
    clips = [block.read() for block in last.messages[0].content if not isinstance(block, Text)]
    assert clips == [b"speech_shaped over Ross", b"speech_shaped over Rachel", b"speech_shaped over Joey"]


def test_a_turn_without_a_recording_stands_there_in_words_and_is_not_asked() -> None:
    release = talk(clip=None)
    first, last = asked("named_clip", release)
    assert shown(last)[2] == ("user", "\nRachel: You again?\nJoey: ")
    assert plan_items(make_task(), release).not_asked == {"no recording": 1}
    assert shown(first) == shown(asked("named_clip")[0])


def test_an_assistants_reply_stays_a_message_of_its_own() -> None:
    last = asked("named_clip", talk(role="assistant", emotion=None))[-1]
    assert [message.role for message in last.messages] == ["user", "assistant", "user"]
    assert shown(last)[2:] == [("assistant", "You again?"), ("user", "Joey: "), ("user", "Joey"), QUESTION]


def test_the_form_of_earlier_turns_changes_the_question_and_by_default_nothing() -> None:
    keys = {form: asked(form)[-1].key for form in ("clip", "named_clip", "transcript")}
    assert len(set(keys.values())) == 3
    assert keys["clip"] == PlannedTask(talk()).requests()[-1].key
    assert make_task(context={"user_as": "clip"}).model_dump() == make_task().model_dump()


def test_names_of_speakers_need_a_history() -> None:
    with pytest.raises(ValidationError, match="needs turns: history"):
        make_task(context={"turns": "none", "user_as": "named_clip"})


def test_a_ranking_whose_prior_would_hold_the_history_is_refused() -> None:
    ranked = {"type": "label", "labels": ["happy", "sad"], "method": "rank"}
    with pytest.raises(ValidationError, match="problems_below"):
        make_task(context={"user_as": "transcript"}, output=ranked)
    assert make_task(context={"user_as": "clip"}, output=ranked)


def test_a_grader_reads_who_said_what() -> None:
    task = make_task(context={"user_as": "transcript"})
    item = plan_items(task, talk()).items[-1]
    assert history_words(task, talk(), item, {}) == "Ross: Hi.\nRachel: You again?"
