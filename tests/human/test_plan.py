"""A planned study shows nobody whose replies they are, and one that would end with too few raters is given more."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
from human.runs import TASK, Tones, write_run
from human.test_service import Room
from hypothesis import given
from hypothesis import strategies as st
from support.synthetic_release import CONFIG, write_synthetic_release

from avemo_harness import media
from avemo_harness.benchmark.release import Release
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.errors import StoreError, UsageError
from avemo_harness.human.analysis import analyze
from avemo_harness.human.items import open_systems
from avemo_harness.human.media import RATE, TARGET_LUFS, loudness
from avemo_harness.human.plan import extend_study, greedy_cover, make_study, token_digest
from avemo_harness.human.ratings import read_collection
from avemo_harness.human.screens import ItemScreen
from avemo_harness.human.service import Rating
from avemo_harness.human.settings import StudyPlan
from avemo_harness.human.study import Session, Showing, Study, StudyKey, read_key, read_study


class Runs:
    """Three systems on one release of eight dialogues with two user turns; one is silent in two that begin alike."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = write_synthetic_release(folder / "release", dialogues=4, turns=2)
        self.release: Release = load_release(str(self.source), CONFIG, "test")
        self.quiet = write_run(folder / "quiet", self.source, Tones("quiet-model", hz=300, level=0.01, rate=16_000))
        self.loud = write_run(folder / "loud", self.source, Tones("loud-model", hz=500, level=0.8, rate=48_000))
        self.mute = write_run(folder / "mute", self.source, Tones("mute-model", silent=frozenset({"d0a", "d0b"})))

    def plan(self, out: Path, **settings: object) -> Study:
        systems = open_systems([str(self.quiet), f"zweites={self.loud}", str(self.mute)], None)
        plan = StudyPlan(dialogues=5, **settings)  # type: ignore[arg-type]  # fields by name
        return make_study(out, systems, self.release, plan, lambda line: None)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def folder(runs: Runs) -> Path:
    runs.plan(runs.folder / "study")
    return runs.folder / "study"


@pytest.fixture(scope="module")
def study(folder: Path) -> Study:
    return read_study(folder)


@pytest.fixture(scope="module")
def key(folder: Path) -> StudyKey:
    return read_key(folder)


def test_every_system_is_rated_on_the_same_dialogues(study: Study, key: StudyKey) -> None:
    rated = [key.items[item.item_id] for item in study.items if item.kind == "rated"]
    by_system = {system.label: {one.dialogue for one in rated if one.system == system.label} for system in key.systems}
    assert set(by_system) == {"quiet-model", "zweites", "mute-model"}
    assert len(set(map(frozenset, by_system.values()))) == 1
    assert {len(dialogues) for dialogues in by_system.values()} == {5}
    assert "d0a" not in by_system["zweites"]
    assert key.left_out["dialogues whose first turn is left out"] == 2


def test_sessions_rate_every_item_by_enough_raters_and_hold_a_dialogue_once(study: Study, key: StudyKey) -> None:
    kinds = {item.item_id: item.kind for item in study.items}
    shown: Counter[str] = Counter()
    for session in study.sessions:
        rated = [one.item for one in session.showings if kinds[one.item] == "rated" and not one.repeat]
        assert len({key.items[item].dialogue for item in rated}) == len(rated) == 5
        shown.update(rated)
        counts = Counter(kinds[one.item] for one in session.showings)
        assert (counts["gold"], counts["trap"]) == (1, 1)
        repeated = [one.item for one in session.showings if one.repeat]
        assert len(repeated) == 1
        assert set(repeated) <= set(rated)
    assert set(shown.values()) == {5}
    assert len(study.invitations) == 2 * len(study.sessions)


def test_training_and_checks_have_expected_ratings_and_rated_items_none(study: Study) -> None:
    by_id = study.by_id()
    assert [by_id[one].kind for one in study.training] == ["example"] * 4 + ["gold"] * 2 + ["trap"]
    for item in study.items:
        expected = {"rated": 0, "gold": 1, "trap": 3, "example": 1}[item.kind]
        assert len(item.expected) == expected
    scheduled = {one.item for session in study.sessions for one in session.showings}
    assert not scheduled & set(study.training)


def test_nothing_that_raters_get_names_a_system_a_dialogue_or_a_file(folder: Path, study: Study) -> None:
    names = [b"quiet", b"loud", b"zweites", b"mute", b'"d1b"', b"release", b"Lavf", b"Lavc"]
    for path in (folder / "plan.json", *(folder / "media").iterdir()):
        found = [name for name in names if name in path.read_bytes()]
        assert not found, path
    named = {segment.media for item in study.items for segment in item.segments}
    assert {path.stem for path in (folder / "media").iterdir()} == named | {one.media for one in study.device_checks}


def test_replies_are_equally_loud_and_of_one_rate(folder: Path, study: Study, key: StudyKey) -> None:
    for item in study.items:
        if item.kind not in ("rated", "example"):
            continue
        for segment in item.segments:
            path = folder / "media" / f"{segment.media}.mp4"
            found = loudness(media.decode_sound(path, rate=RATE))
            assert found == pytest.approx(TARGET_LUFS, abs=0.5), key.items[item.item_id]
            info = media.probe(path)
            assert info.sound is not None
            assert info.sound.channels == 1
            assert segment.speaker == "user" or (info.video, info.sound.rate) == (None, 24_000)


def test_a_trap_ends_in_as_many_beeps_as_points_are_expected(folder: Path, study: Study) -> None:
    for item in study.items:
        if item.kind == "trap":
            sound = media.decode_sound(folder / "media" / f"{item.segments[-1].media}.mp4", rate=16_000)
            level = abs(sound[-int(0.4 * 16_000) * item.expected["er"] :]).reshape(item.expected["er"], -1)
            assert (level.max(axis=1) > 0.05).all()


def test_the_same_seed_gives_the_same_plan_but_for_invitations(runs: Runs, study: Study, tmp_path: Path) -> None:
    again = runs.plan(tmp_path / "again")
    assert (again.items, again.sessions, again.training) == (study.items, study.sessions, study.training)
    assert again.invitations != study.invitations
    other = runs.plan(tmp_path / "other", seed=1)
    assert other.sessions != study.sessions


def test_invitations_are_kept_as_digests_and_their_texts_apart(folder: Path, study: Study) -> None:
    tokens = (folder / "invitations.txt").read_text().split()
    assert tuple(token_digest(token) for token in tokens) == study.invitations
    assert all(len(token) == 32 for token in tokens)
    assert (folder / "invitations.txt").stat().st_mode & 0o077 == 0


def test_no_recording_of_a_gold_item_was_rated_with_feedback_before(study: Study) -> None:
    golds = [item for item in study.items if item.kind == "gold"]
    assert len({item.segments[-1].media for item in golds}) == len(golds)


def test_gold_items_of_experts_are_taken(runs: Runs, tmp_path: Path) -> None:
    golds = tmp_path / "golds.jsonl"
    names = ["d1a", "d1b", "d2a", "d2b", "d3a"]
    rated = {"system": "zweites", "scales": "av-emo-2", "er": 4, "rr": 2}
    golds.write_text("\n".join(json.dumps({"dialogue": one, **rated}) for one in names))
    study = runs.plan(tmp_path / "study", golds=golds)
    expected = [item.expected for item in study.items if item.kind == "gold"]
    assert expected == [{"er": 4, "rr": 2}] * 3  # one for the sessions, two for the training
    for other in ("av-emo-1", None):
        golds.write_text(json.dumps({"dialogue": "d1b", **rated, "scales": other}))
        with pytest.raises(UsageError, match=r"golds\.jsonl:1: was rated on the scales .* asks on 'av-emo-2'"):
            runs.plan(tmp_path / "none", golds=golds)
    golds.write_text('{"dialogue": "d1b", "system": "nobody", "er": 4}')
    with pytest.raises(UsageError, match=r"golds\.jsonl:1: expected"):
        runs.plan(tmp_path / "none", golds=golds)


def test_the_training_begins_with_made_examples_that_show_their_words_and_explain_their_ratings(
    study: Study, folder: Path
) -> None:
    by_id = study.by_id()
    examples = [by_id[one] for one in study.training if by_id[one].kind == "example"]
    for item in examples:
        lesson = study.lessons[item.item_id]
        assert len(lesson.words) == len(item.segments) == 2
        assert set(lesson.why) == set(item.expected)
        person = media.probe(folder / "media" / f"{item.segments[0].media}.mp4")
        assert person.video is not None
    golds = [one for one in study.training if by_id[one].kind == "gold"]
    assert all("another conversation" in study.lessons[one].why["rr"] for one in golds)


def test_a_study_is_not_planned_over_another(runs: Runs, folder: Path) -> None:
    with pytest.raises(UsageError, match="holds a study already"):
        runs.plan(folder)


def test_fewer_than_five_raters_are_refused(runs: Runs, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ask for 5 or more"):
        runs.plan(tmp_path / "study", raters_an_item=4)


def test_more_dialogues_than_there_are_are_refused(runs: Runs, tmp_path: Path) -> None:
    systems = open_systems([str(runs.quiet)], None)
    with pytest.raises(UsageError, match="8 dialogues have spoken replies of every system, 30 are asked for"):
        make_study(tmp_path / "study", systems, runs.release, StudyPlan(), lambda line: None)


def test_systems_of_one_name_or_of_another_release_are_refused(runs: Runs, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give each its own name"):
        open_systems([str(runs.quiet), str(runs.quiet)], None)
    other = write_synthetic_release(tmp_path / "other", dialogues=1, turns=2)
    run = write_run(tmp_path / "run", other, Tones("elsewhere"))
    with pytest.raises(UsageError, match="one run is given twice"):
        open_systems([f"a={runs.quiet}", f"b={runs.quiet}"], None)
    with pytest.raises(UsageError, match="another release"):
        open_systems([str(runs.quiet), str(run)], TASK)
    with pytest.raises(UsageError, match="no spoken replies to 'multiturn_synthetic_repl'"):
        open_systems([str(runs.quiet)], "multiturn_synthetic_repl")


def test_a_damaged_plan_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="human plan"):
        read_study(tmp_path)
    text = (folder / "plan.json").read_text()
    for damaged in (text[:1000], text.replace('"raters_an_item": 5', '"raters_an_item": "x"'), "[]"):
        (tmp_path / "plan.json").write_text(damaged)
        with pytest.raises(StoreError, match=r"plan\.json"):
            read_study(tmp_path)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "study", seconds=2.0)


def rate_wrongly(room: Room, number: int) -> None:
    """Go through a session and fail its traps."""
    rater, screen = room.trained(number)
    while isinstance(screen, ItemScreen):
        expected = room.expected(screen)
        trap = expected["er"] == 4
        screen = room.rate(rater, screen, dict.fromkeys(expected, 2) if trap else expected)


def short_items(room: Room) -> int:
    ratings = read_collection(room.folder, room.study).ratings
    return analyze(room.study, read_key(room.folder), ratings).short_items


def added_tokens(room: Room) -> list[str]:
    return (room.folder / "invitations.txt").read_text().split()


def join_by(room: Room, token: str) -> int:
    """Go through a session by an invitation that was added."""
    rater = room.service.rater_of(room.service.join(token))
    room.service.consent(rater)
    room.name_device(rater)
    screen = room.service.ready(rater)
    while isinstance(screen, ItemScreen):
        screen = room.rate(rater, screen)
    return rater


def test_the_items_of_a_rater_who_is_left_out_are_rated_by_others(room: Room) -> None:
    rate_wrongly(room, 0)
    for number in range(1, len(room.study.sessions)):
        room.to_the_end(number)
    assert short_items(room) == 4
    done = extend_study(room.folder, room.study, None)
    assert (done.lacking, done.sessions, done.invitations) == (4, 1, 2)
    # The service was open all the while.
    join_by(room, added_tokens(room)[0])
    assert short_items(room) == 0
    rated = Counter((rater, item) for rater, item, repeat in room.ratings() if not repeat)
    assert set(rated.values()) == {1}
    again = extend_study(room.folder, room.study, None)
    assert (again.lacking, again.sessions, again.invitations) == (0, 0, 0)


def test_an_item_that_did_not_play_is_rated_by_another(room: Room) -> None:
    rater, screen = room.trained(0)
    while isinstance(screen, ItemScreen) and room.expected(screen) != dict.fromkeys(("er", "en", "rr"), 3):
        screen = room.rate(rater, screen)
    assert isinstance(screen, ItemScreen)
    screen, _ = room.service.rate(rater, Rating(screen.showing, None, plays=0, problem="no sound"))
    while isinstance(screen, ItemScreen):
        screen = room.rate(rater, screen)
    # Sessions that nobody has held yet are no reason to ask for more.
    assert extend_study(room.folder, room.study, None).lacking == 1
    for number in range(1, len(room.study.sessions)):
        room.to_the_end(number)
    join_by(room, added_tokens(room)[0])
    assert short_items(room) == 0


def test_sessions_that_are_still_open_are_waited_for(room: Room) -> None:
    room.to_the_end(0)
    assert extend_study(room.folder, room.study, None).sessions == 0


def test_invitations_alone_can_be_added(room: Room) -> None:
    room.to_the_end(0)
    assert extend_study(room.folder, room.study, 3).invitations == 3
    tokens = added_tokens(room)
    assert len(tokens) == 3
    join_by(room, tokens[2])
    room.service.close()
    room.service = room.open()
    assert join_by(room, tokens[0]) != join_by(room, tokens[1])
    with sqlite3.connect(room.folder / "ratings.sqlite") as tables:
        assert all(token.encode() not in (room.folder / "ratings.sqlite").read_bytes() for token in tokens)
        assert tables.execute("SELECT COUNT(DISTINCT rater) FROM ratings").fetchone() == (4,)


@given(
    st.lists(st.sets(st.sampled_from("abcdefgh"), min_size=1), min_size=1, max_size=6),
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 3)),
)
def test_chosen_sessions_give_what_is_lacking_and_none_is_idle(sets: list[set[str]], lacking: dict[str, int]) -> None:
    lacking = {item: number for item, number in lacking.items() if any(item in one for one in sets)}
    sessions = [Session((tuple(Showing(item) for item in sorted(one)),)) for one in sets]
    chosen = greedy_cover(sessions, lacking)
    given_again = Counter(item for number in chosen for item in sets[number])
    assert all(given_again[item] >= number for item, number in lacking.items())
    assert len(chosen) <= sum(lacking.values())
