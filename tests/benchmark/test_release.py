"""A row that breaks the schema is refused in one sentence; a fingerprint is of what a release says."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from avemo_harness.benchmark.release import (
    Clip,
    ConflictPair,
    Dialogue,
    SplitCounts,
    fingerprint,
    make_release,
    pair_row,
)
from avemo_harness.benchmark.release_rows import parse_dialogue, parse_pair
from avemo_harness.errors import MediaError, ReleaseError

FILE = "data/test-00000.parquet"
CLIP = b"a clip"
DIGEST = Clip.from_bytes(CLIP).sha256
Change = Callable[[dict[str, Any]], None]


def valid_row() -> dict[str, Any]:
    user = {
        "turn_index": 0,
        "role": "user",
        "speaker_id": "ann",
        "text": "Hello.",
        "emotion": "happy",
        "clip": {"bytes": None, "path": "a.mp4"},
        "clip_sha256": DIGEST,
        "valence": [0.0, 1.0],
    }
    assistant = {"turn_index": 1, "role": "assistant", "speaker_id": "bot", "text": "Hello?"}
    return {"dialogue_id": "d1", "source": "test", "language": "en", "licence": "CC0-1.0", "turns": [user, assistant]}


def parsed(row: dict[str, Any]) -> Dialogue:
    return parse_dialogue(row, FILE, lambda turn, path: CLIP)


def in_turn(number: int, key: str, value: object) -> Change:
    return lambda row: row["turns"][number].update({key: value})


def in_row(key: str, value: object) -> Change:
    return lambda row: row.update({key: value})


def test_a_row_becomes_a_dialogue_and_what_is_optional_may_be_left_out() -> None:
    dialogue = parsed(valid_row())
    assert dialogue.turns[0].clip is not None
    assert dialogue.turns[0].clip.read() == CLIP
    assert dialogue.turns[1].clip is None
    assert (dialogue.turns[1].emotion, dialogue.turns[1].valence, dialogue.turns[1].duration_s) == (None, (), None)


@pytest.mark.parametrize(
    ("change", "where", "expectation"),
    [
        (in_row("dialogue_id", None), "", "column 'dialogue_id' must hold a str, found nothing"),
        (in_row("dialogue_id", 7), "", "column 'dialogue_id' must hold a str, found 7"),
        (in_row("turns", None), "dialogue 'd1'", "'turns' must be a non-empty list"),
        (in_row("turns", []), "dialogue 'd1'", "'turns' must be a non-empty list"),
        (in_row("turns", {"role": ["user"]}), "dialogue 'd1'", "'turns' must be a non-empty list"),
        (in_row("turns", ["hello"]), "dialogue 'd1', turn 0", "a turn must be a record, found str"),
        (in_turn(1, "turn_index", 2), "dialogue 'd1', turn 1", "turn_index must be 1, found 2"),
        (in_turn(1, "turn_index", None), "dialogue 'd1', turn 1", "turn_index must be 1, found None"),
        (in_turn(1, "role", "system"), "dialogue 'd1', turn 1", "role must be 'user' or 'assistant', found 'system'"),
        (in_turn(0, "role", None), "dialogue 'd1', turn 0", "column 'role' must hold a str, found nothing"),
        (in_turn(0, "role", "assistant"), "dialogue 'd1'", "the first turn must be the user's, found 'assistant'"),
        (in_turn(0, "speaker_id", None), "dialogue 'd1', turn 0", "column 'speaker_id' must hold a str"),
        (
            in_turn(0, "emotion", ""),
            "dialogue 'd1', turn 0",
            "emotion must be a label, or null, found ''",
        ),
        (in_turn(0, "votes", "happy"), "dialogue 'd1', turn 0", "votes must be a list of records of shown, label and"),
        (
            in_turn(0, "votes", [{"shown": "both", "label": "sad"}]),
            "dialogue 'd1', turn 0",
            "column 'raters' must hold",
        ),
        (
            in_turn(0, "votes", [{"shown": "voice", "label": "sad", "raters": 0}]),
            "dialogue 'd1', turn 0",
            "a vote must be of what was shown (sound, picture, both) by 1 rater or more, found 'voice' by 0",
        ),
        (in_turn(0, "clip_sha256", None), "dialogue 'd1', turn 0", "a clip needs its clip_sha256 (64 hex digits)"),
        (in_turn(0, "clip_sha256", DIGEST.upper()), "dialogue 'd1', turn 0", "a clip needs its clip_sha256"),
        (in_turn(0, "clip_sha256", DIGEST[:40]), "dialogue 'd1', turn 0", "a clip needs its clip_sha256"),
        (in_turn(0, "clip", b"video"), "dialogue 'd1', turn 0", "clip must be a record of bytes and path, found bytes"),
        (
            in_turn(0, "valence", [0.5, 1.2]),
            "dialogue 'd1', turn 0",
            "valence must hold numbers from 0 to 1, found 1.2",
        ),
        (in_turn(1, "arousal", [float("nan")]), "dialogue 'd1', turn 1", "arousal must hold numbers from 0 to 1"),
        (in_turn(1, "arousal", [None]), "dialogue 'd1', turn 1", "arousal must hold numbers from 0 to 1, found None"),
        (in_turn(1, "arousal", 0.5), "dialogue 'd1', turn 1", "arousal must be a list of at most 100,000 numbers"),
        (in_turn(1, "arousal", [0.5] * 100_001), "dialogue 'd1', turn 1", "at most 100,000 numbers, found 100,001"),
        (
            in_turn(0, "arousal", [0.5] * 3),
            "dialogue 'd1', turn 0",
            "valence and arousal must have as many values as each other, found 2 and 3",
        ),
        (in_turn(0, "emotion", 2), "dialogue 'd1', turn 0", "found 2, a class number: write the label itself"),
        (lambda row: row.update(turns=row["turns"] * 10_000), "dialogue 'd1'", "at most 1,000 turns, found 20,000"),
        *(
            (
                in_turn(0, column, value),
                "dialogue 'd1', turn 0",
                f"{column} must be a number above 0 and at most {high}, or null, found {value!r}",
            )
            for column, high in (("duration_s", "3600"), ("va_rate_hz", "1000"))
            for value in (1e308, -1.0, 0, math.inf, math.nan, "2", True)
        ),
    ],
)
def test_a_wrong_row_is_refused_with_its_file_dialogue_and_turn(change: Change, where: str, expectation: str) -> None:
    row = valid_row()
    change(row)
    with pytest.raises(ReleaseError) as refused:
        parsed(row)
    said = str(refused.value)
    assert said.startswith(f"{FILE}: {where}")
    assert expectation in said
    assert "\n" not in said


PAIR = ConflictPair("p1", "d1", 0, "d2", 2, "happy", "sad", "ann")


def test_a_pair_row_becomes_a_pair() -> None:
    assert parse_pair(pair_row(PAIR), FILE) == PAIR


def test_a_turn_of_a_pair_that_pandas_took_for_a_float_is_whole() -> None:
    assert parse_pair({**pair_row(PAIR), "audio_turn": 0.0, "video_turn": 2.0}, FILE) == PAIR
    with pytest.raises(ReleaseError, match=r"column 'video_turn' must hold a int, found 1\.5"):
        parse_pair({**pair_row(PAIR), "video_turn": 1.5}, FILE)


@pytest.mark.parametrize("column", [field.name for field in fields(ConflictPair)])
def test_a_pair_without_one_of_its_columns_is_refused(column: str) -> None:
    row = pair_row(PAIR)
    del row[column]
    with pytest.raises(ReleaseError, match=rf"^{re.escape(FILE)}: .*column '{column}' must hold .*, found nothing"):
        parse_pair(row, FILE)


@pytest.mark.parametrize(
    ("columns", "expectation"),
    [
        ({"video_emotion": "happy"}, "sound and face must disagree, both are 'happy'"),
        ({"audio_turn": "0"}, "column 'audio_turn' must hold a int, found '0'"),
    ],
)
def test_a_wrong_pair_is_refused_with_its_file_and_id(columns: dict[str, object], expectation: str) -> None:
    with pytest.raises(ReleaseError) as refused:
        parse_pair({**pair_row(PAIR), **columns}, FILE)
    assert str(refused.value) == f"{FILE}: pair 'p1': {expectation}"


def test_ids_that_occur_twice_are_refused() -> None:
    dialogue = parsed(valid_row())
    with pytest.raises(ReleaseError, match="data: config 'real': dialogue_id 'd1' occurs twice; ids must be unique"):
        make_release("data", "real", "test", None, [dialogue, dialogue], [])
    with pytest.raises(ReleaseError, match="data: config real_conflict: pair_id 'p1' occurs twice"):
        make_release("data", "real", "test", None, [dialogue], [PAIR, PAIR])


def test_dialogues_and_pairs_are_found_by_id() -> None:
    release = make_release("data", "real", "test", None, [parsed(valid_row())], [PAIR])
    assert release.dialogue("d1") is release.dialogues[0]
    assert release.pair("p1") is PAIR
    with pytest.raises(KeyError):
        release.dialogue("d2")


def test_a_split_is_counted_by_what_its_users_say() -> None:
    dialogue = parsed(valid_row())
    other = replace(dialogue, dialogue_id="d2", turns=(replace(dialogue.turns[0], speaker_id="bob", emotion=None),))
    counts = SplitCounts.of([dialogue, other])
    assert (counts.dialogues, counts.user_turns, counts.speakers) == (2, 2, 2)
    assert counts.emotions == {"happy": 1, None: 1}


def test_a_pair_refers_to_the_turns_of_its_sound_and_its_face() -> None:
    release = make_release("data", "real", "test", None, [parsed(valid_row())], [PAIR])
    assert PAIR.audio == (PAIR.audio_dialogue_id, PAIR.audio_turn)
    assert PAIR.video == (PAIR.video_dialogue_id, PAIR.video_turn)
    assert release.turn(("d1", 1)) is release.dialogues[0].turns[1]
    for nowhere in (("d2", 0), ("d1", 2), ("d1", -1)):
        with pytest.raises(KeyError):
            release.turn(nowhere)


def test_a_clip_whose_bytes_changed_is_an_error_that_names_it() -> None:
    clip = Clip(DIGEST, "dialogue d1, turn 0", lambda: b"another clip")
    with pytest.raises(MediaError, match=rf"^dialogue d1, turn 0: .* the release says {DIGEST[:12]}…"):
        clip.read()


def test_a_fingerprint_changes_with_everything_that_a_release_says() -> None:
    dialogue = parsed(valid_row())
    user, assistant = dialogue.turns
    turns = [
        replace(user, speaker_id="eve"),
        replace(user, text="Hello!"),
        replace(user, emotion="sad"),
        replace(user, emotion=None),
        replace(user, style_prompt="whispering"),
        replace(user, clip=Clip.from_bytes(b"another clip")),
        replace(user, clip=None),
        replace(user, duration_s=1.0),
        replace(user, valence=(0.0, 0.9)),
        replace(user, arousal=(0.0, 1.0)),
        replace(user, va_rate_hz=2.0),
    ]
    changed = [
        *(replace(dialogue, turns=(turn, assistant)) for turn in turns),
        replace(dialogue, turns=(user,)),
        replace(dialogue, turns=(user, replace(assistant, role="user"))),
        replace(dialogue, dialogue_id="x"),
        replace(dialogue, source="x"),
        replace(dialogue, language="x"),
        replace(dialogue, licence="x"),
    ]
    values = pair_row(PAIR)
    pairs = [ConflictPair(**{**values, name: 9 if name.endswith("turn") else "x"}) for name in values]
    prints = [
        fingerprint([dialogue], [PAIR]),
        fingerprint([dialogue], []),
        fingerprint([dialogue, dialogue], [PAIR]),
        *(fingerprint([one], [PAIR]) for one in changed),
        *(fingerprint([dialogue], [pair]) for pair in pairs),
        *(fingerprint(order, []) for order in ([dialogue, changed[0]], [changed[0], dialogue])),
    ]
    assert len(set(prints)) == len(prints)


def test_a_fingerprint_does_not_depend_on_where_a_release_was_read_from() -> None:
    dialogue = parsed(valid_row())
    local = make_release("folder", "real", "test", None, [dialogue], [PAIR])
    hub = make_release("lab/release", "real", "test", "0" * 40, [dialogue], [PAIR])
    assert local.fingerprint == hub.fingerprint
