"""A rater's way through a study: step by step, with every wrong step refused, after a training in the scales."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import pytest
from human.studies import tokens_of, write_small_study

from avemo_harness.errors import StoreError
from avemo_harness.human.items import EXAMPLES, person_clip, reply_speech
from avemo_harness.human.screens import (
    DeviceScreen,
    EndScreen,
    InstructionsScreen,
    ItemScreen,
    Screen,
    feedback_on,
    passes_training,
)
from avemo_harness.human.service import Rating, RefusedError, StudyService
from avemo_harness.human.study import DeviceCheck, Segment, Study, StudyItem


class Room:
    """A study with its service and a clock that the test turns."""

    def __init__(self, folder: Path, *, seconds: float = 0.01, lease_minutes: float = 30.0) -> None:
        self.folder = folder
        self.study: Study = write_small_study(folder, seconds=seconds, lease_minutes=lease_minutes)
        self.now = 1000.0
        self.items = self.study.by_id()
        self.service = self.open()

    def open(self) -> StudyService:
        return StudyService(self.folder, self.study, lambda: self.now)

    def join(self, number: int) -> int:
        return self.service.rater_of(self.service.join(tokens_of(self.study)[number]))

    def expected(self, screen: ItemScreen) -> dict[str, int]:
        """Ratings of a careful rater: those that are expected, and 3 elsewhere."""
        by_media = {item.segments[0].media: item for item in self.study.items}
        return {"er": 3, "en": 3, "rr": 3, **by_media[screen.segments[0].media].expected}

    def rate(self, rater: int, screen: Screen, ratings: dict[str, int] | None = None) -> Screen:
        assert isinstance(screen, ItemScreen)
        self.service.begin(rater, screen.showing)
        self.now += 5 + sum(segment.seconds for segment in screen.segments)
        return self.service.rate(rater, Rating(screen.showing, ratings or self.expected(screen)))[0]

    def trained(self, number: int) -> tuple[int, Screen]:
        """A rater who has come to the first item that counts."""
        rater = self.join(number)
        self.service.consent(rater)
        self.name_device(rater)
        screen = self.service.ready(rater)
        while isinstance(screen, ItemScreen) and screen.part == "training":
            screen = self.rate(rater, screen)
        return rater, screen

    def to_the_end(self, number: int) -> int:
        rater, screen = self.trained(number)
        while isinstance(screen, ItemScreen):
            screen = self.rate(rater, screen)
        return rater

    def name_device(self, rater: int, digit: int = 7, beeps: int = 3, clip: int = 0) -> Screen:
        """Name what one of the clips of the device check shows and gives."""
        return self.service.check_device(rater, DeviceCheck(self.study.device_checks[clip].media, digit, beeps))

    def ratings(self) -> list[tuple[int, str, int]]:
        with sqlite3.connect(self.folder / "ratings.sqlite") as tables:
            return tables.execute("SELECT rater, item, repeat FROM ratings").fetchall()


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "study")


def test_a_rater_goes_from_consent_to_a_code(room: Room) -> None:
    rater = room.join(0)
    assert room.service.screen(rater).name == "consent"
    assert isinstance(room.service.consent(rater), DeviceScreen)
    assert isinstance(room.name_device(rater), InstructionsScreen)
    screen = room.service.ready(rater)
    parts = []
    while isinstance(screen, ItemScreen):
        parts.append((screen.part, screen.number, screen.of))
        screen = room.rate(rater, screen)
    session = room.study.sessions[0].showings
    assert parts[:2] == [("training", 1, 2), ("training", 2, 2)]
    assert parts[2:] == [("rating", number, len(session)) for number in range(1, len(session) + 1)]
    assert isinstance(screen, EndScreen)
    assert screen.why == "done"
    assert screen.code
    assert room.service.screen(rater) == screen


def test_every_item_gets_its_raters_and_no_rater_hears_two_systems_answer_one_dialogue(room: Room) -> None:
    for number in range(len(room.study.sessions)):
        room.to_the_end(number)
    rated = [(rater, item) for rater, item, repeat in room.ratings() if not repeat and room.items[item].kind == "rated"]
    assert set(Counter(item for _, item in rated).values()) == {room.study.raters_an_item}
    assert len(set(rated)) == len(rated)
    late = room.join(len(room.study.sessions))
    assert room.service.consent(late) == EndScreen("full")


def test_a_reload_and_a_restart_go_on_where_the_rater_was(room: Room) -> None:
    rater, screen = room.trained(0)
    screen = room.rate(rater, screen)
    assert room.service.screen(rater) == screen
    room.service.close()
    room.service = room.open()
    assert room.service.screen(rater) == screen


def test_the_same_rating_twice_counts_once_and_another_one_is_refused(room: Room) -> None:
    rater, screen = room.trained(0)
    assert isinstance(screen, ItemScreen)
    given = room.expected(screen)
    following = room.rate(rater, screen, given)
    assert room.service.rate(rater, Rating(screen.showing, given))[0] == following
    with pytest.raises(RefusedError, match="rated already"):
        room.service.rate(rater, Rating(screen.showing, {**given, "er": 1 if given["er"] != 1 else 2}))
    assert len(room.ratings()) == 1


def test_what_was_not_played_to_the_end_cannot_be_rated(tmp_path: Path) -> None:
    room = Room(tmp_path / "study", seconds=2.0)
    rater, screen = room.trained(0)
    assert isinstance(screen, ItemScreen)
    rating = Rating(screen.showing, room.expected(screen))
    with pytest.raises(RefusedError, match="to the end"):
        room.service.rate(rater, rating)
    room.service.begin(rater, screen.showing)
    room.now += 3
    with pytest.raises(RefusedError, match="to the end"):
        room.service.rate(rater, rating)
    room.now += 1
    room.service.begin(rater, screen.showing)  # playing again does not turn the time back
    room.service.rate(rater, rating)


def test_a_long_session_has_pauses_between_its_parts(tmp_path: Path) -> None:
    room = Room(tmp_path / "study", seconds=100.0)
    rater, screen = room.trained(0)
    pauses = []
    while isinstance(screen, ItemScreen):
        assert screen.blocks == len(room.study.sessions[0].blocks) > 1
        if screen.pause:
            pauses.append((screen.block, screen.number))
        screen = room.rate(rater, screen)
    lengths = [len(block) for block in room.study.sessions[0].blocks]
    assert pauses == [(number + 1, sum(lengths[:number]) + 1) for number in range(1, len(lengths))]


def test_what_does_not_play_is_left_out_with_a_reason(room: Room) -> None:
    rater, screen = room.trained(0)
    assert isinstance(screen, ItemScreen)
    with pytest.raises(RefusedError, match="say what does not work"):
        room.service.rate(rater, Rating(screen.showing, None))
    following, _ = room.service.rate(rater, Rating(screen.showing, None, plays=0, problem="no sound"))
    assert following != screen
    with sqlite3.connect(room.folder / "ratings.sqlite") as tables:
        assert tables.execute("SELECT er, en, rr, problem FROM ratings").fetchall() == [(None, None, None, "no sound")]


def test_who_stays_away_is_replaced_for_what_is_left(tmp_path: Path) -> None:
    room = Room(tmp_path / "study", lease_minutes=10)
    for number in range(1, len(room.study.sessions)):
        room.to_the_end(number)
    gone, screen = room.trained(0)
    screen = room.rate(gone, screen)
    room.rate(gone, screen)
    substitute = room.join(20 - 1)
    assert room.service.consent(substitute) == EndScreen("full")
    room.now += 11 * 60
    room.service.consent(substitute)
    room.name_device(substitute)
    shown = room.service.ready(substitute)
    while isinstance(shown, ItemScreen):
        shown = room.rate(substitute, shown)
    assert isinstance(shown, EndScreen)
    assert shown.why == "done"
    rated = Counter(item for _, item, repeat in room.ratings() if not repeat and room.items[item].kind == "rated")
    assert set(rated.values()) == {room.study.raters_an_item}
    repeated = {(rater, item) for rater, item, repeat in room.ratings() if repeat}
    assert repeated <= {(rater, item) for rater, item, repeat in room.ratings() if not repeat}
    assert room.service.screen(gone) == EndScreen("lapsed")


def test_who_comes_back_in_time_keeps_the_place(tmp_path: Path) -> None:
    room = Room(tmp_path / "study", lease_minutes=10)
    rater, screen = room.trained(0)
    room.now += 3600
    assert room.service.screen(rater) == screen
    other = room.join(1)
    room.service.consent(other)
    assert isinstance(room.rate(rater, screen), ItemScreen)


def test_failing_the_training_twice_ends_it_and_frees_the_place(room: Room) -> None:
    rater = room.join(0)
    room.service.consent(rater)
    room.name_device(rater)
    screen = room.service.ready(rater)
    wrong = {"er": 5, "en": 5, "rr": 5}
    seen = []
    while isinstance(screen, ItemScreen):
        seen.append(screen.again)
        screen = room.rate(rater, screen, wrong)
    assert seen == [False, False, True, True]
    assert screen == EndScreen("failed")
    with sqlite3.connect(room.folder / "ratings.sqlite") as tables:
        assert tables.execute("SELECT COUNT(*) FROM seats").fetchone() == (0,)


def test_training_tells_what_was_expected(room: Room) -> None:
    rater = room.join(0)
    room.service.consent(rater)
    room.name_device(rater)
    screen = room.service.ready(rater)
    assert isinstance(screen, ItemScreen)
    room.service.begin(rater, screen.showing)
    room.now += 1
    _, feedback = room.service.rate(rater, Rating(screen.showing, {"er": 3, "en": 3, "rr": 4}))
    assert [(one.given, one.expected, one.exact) for one in feedback] == [(4, 1, False)]
    screen = room.service.screen(rater)
    assert isinstance(screen, ItemScreen)
    room.service.begin(rater, screen.showing)
    room.now += 1
    _, feedback = room.service.rate(rater, Rating(screen.showing, {"er": 4, "en": 4, "rr": 3}))
    assert [(one.given, one.expected, one.exact) for one in feedback] == [(4, 4, True), (4, 4, True), (3, 4, True)]


def test_a_training_rating_that_comes_again_after_failing_shows_the_end(room: Room) -> None:
    rater = room.join(0)
    room.service.consent(rater)
    room.name_device(rater)
    screen = room.service.ready(rater)
    wrong = {"er": 5, "en": 5, "rr": 5}
    while isinstance(screen, ItemScreen):
        last, screen = screen, room.rate(rater, screen, wrong)
    assert room.service.rate(rater, Rating(last.showing, wrong)) == (EndScreen("failed"), [])


def test_a_device_without_sound_ends_it(room: Room) -> None:
    rater = room.join(0)
    room.service.consent(rater)
    assert room.name_device(rater, 7, 0).name == "device"
    assert room.name_device(rater, 5, 0, clip=1) == EndScreen("unfit")


def test_an_answer_that_comes_twice_is_no_second_try(room: Room) -> None:
    rater = room.join(0)
    room.service.consent(rater)
    for _ in range(3):
        screen = room.name_device(rater, 1, 1)
        assert isinstance(screen, DeviceScreen)
        assert (screen.media, screen.attempts_left) == (room.study.device_checks[1].media, 1)


def test_steps_out_of_order_and_other_raters_items_are_refused_and_noted(room: Room) -> None:
    one, shown = room.trained(0)
    assert isinstance(shown, ItemScreen)
    other, own = room.trained(1)
    for attempt in (
        lambda: room.service.consent(other),
        lambda: room.service.ready(other),
        lambda: room.name_device(other),
        lambda: room.service.begin(other, shown.showing),
        lambda: room.service.rate(other, Rating(shown.showing, room.expected(shown))),
    ):
        with pytest.raises(RefusedError):
            attempt()
    assert room.service.screen(other) == own
    assert not room.service.may_play(other, shown.segments[0].media)
    with sqlite3.connect(room.folder / "ratings.sqlite") as tables:
        assert tables.execute("SELECT COUNT(*) FROM audit WHERE what = 'refused'").fetchone() == (5,)
    assert room.service.screen(one) == shown


def test_only_invitations_open_the_study_and_no_token_or_cookie_is_kept(room: Room) -> None:
    with pytest.raises(RefusedError, match="no invitation"):
        room.service.join("token")
    for cookie in (None, "", "x" * 32):
        with pytest.raises(RefusedError, match="invitation"):
            room.service.rater_of(cookie)
    cookie = room.service.join("token0")
    room.service.close()
    for path in room.folder.glob("*.*"):
        assert b"token0" not in path.read_bytes()
        assert cookie.encode() not in path.read_bytes()


def test_the_audit_is_only_added_to(room: Room) -> None:
    room.join(0)
    with sqlite3.connect(room.folder / "ratings.sqlite") as tables:
        for statement in ("DELETE FROM audit", "UPDATE audit SET what = ''"):
            with pytest.raises(sqlite3.IntegrityError, match="only added to"):
                tables.execute(statement)


def test_ratings_of_another_plan_are_not_touched(room: Room, tmp_path: Path) -> None:
    room.service.close()
    other = write_small_study(tmp_path / "other", dialogues=5)
    with pytest.raises(StoreError, match="another plan"):
        StudyService(room.folder, other, lambda: 0.0)


def test_a_damaged_file_is_named(room: Room) -> None:
    room.service.close()
    (room.folder / "ratings.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match=r"ratings\.sqlite"):
        room.open()


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
    assert passes_training(ITEMS, ratings) == enough


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
