"""The training teaches the scales: matching anger and kind words for anybody are no 5, and raters are told why."""

from __future__ import annotations

from pathlib import Path

import pytest
from human.studies import write_small_study

from avemo_harness.human.items import EXAMPLES, person_clip, reply_speech
from avemo_harness.human.screens import feedback_on, passed
from avemo_harness.human.study import Segment, StudyItem

BY_NAME = {example.name: example for example in EXAMPLES}
ITEMS = [StudyItem(one.name, "example", (Segment("reply", one.name, 1.0),), one.expected) for one in EXAMPLES]


def test_the_replies_to_one_person_are_told_apart_by_the_scale_that_they_teach() -> None:
    mirrored, understood = BY_NAME["mirrored anger"], BY_NAME["understanding of anger"]
    assert mirrored.person == understood.person
    assert mirrored.reply.emotion == mirrored.person.emotion == "angry"
    assert (mirrored.expected["er"], understood.expected["er"]) == (2, 5)
    platitude, specific = BY_NAME["kind platitude"], BY_NAME["specific help"]
    assert platitude.person == specific.person
    assert (platitude.expected["rr"], specific.expected["rr"]) == (3, 5)
    assert all(set(one.why) == set(one.expected) for one in EXAMPLES)


@pytest.mark.parametrize(
    ("given", "enough"),
    [
        ({"mirrored anger": 2, "kind platitude": 3, "understanding of anger": 5, "specific help": 5}, True),
        ({"mirrored anger": 1, "kind platitude": 4, "understanding of anger": 4, "specific help": 4}, True),
        ({"mirrored anger": 5, "kind platitude": 5, "understanding of anger": 5, "specific help": 5}, False),
        ({"mirrored anger": 5, "kind platitude": 3, "understanding of anger": 3, "specific help": 5}, False),
    ],
    ids=["as meant", "within a point", "whoever is kind or alike gets a 5", "matching above understanding"],
)
def test_who_takes_matching_or_kindness_for_the_best_does_not_pass(given: dict[str, int], enough: bool) -> None:
    ratings = [dict.fromkeys(("er", "en", "rr"), given[item.item_id]) for item in ITEMS]
    assert passed(ITEMS, ratings) == enough


def test_feedback_says_why_where_the_plan_does(tmp_path: Path) -> None:
    study = write_small_study(tmp_path, lessons=True)
    gold, trap = (study.by_id()[one] for one in study.training)
    (told,) = feedback_on(study, gold, {"er": 3, "en": 3, "rr": 4})
    assert (told.title, told.given, told.expected, told.why) == ("Response relevance", 4, 1, "It answers another.")
    assert {one.why for one in feedback_on(study, trap, {"er": 3, "en": 3, "rr": 4})} == {""}


def test_examples_are_the_same_in_every_plan_and_sound_apart() -> None:
    mirrored, understood = BY_NAME["mirrored anger"], BY_NAME["understanding of anger"]
    assert person_clip(mirrored) == person_clip(understood)
    (angry, rate), (calm, _) = reply_speech(mirrored), reply_speech(understood)
    assert angry.tolist() == reply_speech(mirrored)[0].tolist()
    assert 3 < len(angry) / rate < 15
    assert abs(angry).mean() > 1.5 * abs(calm).mean()
