"""Raters' votes are read from a table, and what keeps a clip is a rule."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.benchmark.release import EMOTIONS, Clip, Dialogue, Release, Turn, make_release
from avemo_harness.data.checks.findings import LabelRatings, Rule
from avemo_harness.data.checks.raters import read_votes
from avemo_harness.errors import ReleaseError

CLIPS = {name: Clip.from_bytes(name.encode()) for name in ("a", "b", "c")}


def release_of(config: str, split: str, clips: Mapping[str, str]) -> Release:
    """Dialogues of one turn: id -> name of its clip."""
    dialogues = [
        Dialogue(name, "", "en", "", (Turn(0, "user", "Ann", "", "sad", clip=CLIPS[clip]),))
        for name, clip in clips.items()
    ]
    return make_release("here", config, split, None, dialogues, ())


CONFIGS = {
    "single": {"test": release_of("single", "test", {"d0": "a", "d1": "b"})},
    "multi": {"test": release_of("multi", "test", {"d1": "c"})},
}


def read(folder: Path, text: str, rule: Rule = "majority") -> LabelRatings:
    (folder / "votes.csv").write_text(text)
    return read_votes(folder / "votes.csv", CONFIGS, rule)


def test_clips_are_named_by_digest_or_place(tmp_path: Path) -> None:
    a, b = CLIPS["a"].sha256, CLIPS["b"].sha256
    opinions = read(
        tmp_path,
        "Clip,Dialogue,Turn,Config,Rater,Modality,Label\n"
        f"{a[:12]},,,,Ann,audio,Sad\n{a},,,,Bob,sound,happy\n"
        ",d0,0,,Ann,video,disgust\n,d1,0,single,Ann,,sad\n",
    )
    assert opinions.said == {
        (a, "sound"): ("sad", "happy"),
        (a, "face"): ("disgust",),
        (b, "both"): ("sad",),
    }
    assert opinions.by == "2 raters of votes.csv"


def test_a_clip_that_stands_in_several_rows_has_one_vote_of_a_rater(tmp_path: Path) -> None:
    opinions = read(tmp_path, "dialogue,turn,rater,label\nd0,0,Ann,sad\nd0,0,Ben,happy\nd0,0,Ann,sad\n")
    assert list(opinions.said.values()) == [("sad", "happy")]


def test_votes_on_clips_of_other_releases_are_counted(tmp_path: Path) -> None:
    opinions = read(tmp_path, "dialogue,turn,rater,label\nd0,0,Ann,sad\nd7,0,Ann,sad\nd0,3,Ann,sad\n")
    assert (len(opinions.said), opinions.unplaced) == (1, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip,label\n", "votes.csv: expected a column 'rater', found clip, label"),
        ("rater,label,dialogue\n", "votes.csv: expected a column 'turn'"),
        ("rater,label,dialogue,turn\nAnn,sad,d1,0\n", "votes.csv:2: 2 clips of the release are dialogue d1, turn 0"),
        ("rater,label,dialogue,turn\nAnn,sad,d0,\n", "votes.csv:2: expected a clip, or a dialogue and a turn"),
        ("rater,label,dialogue,turn\nAnn,,d0,0\n", "votes.csv:2: expected a label, found nothing"),
        ("rater,label,clip\nAnn,sad,ab12\n", "votes.csv:2: expected 12 or more digits of a clip's digest, found ab12"),
        (
            "rater,label,dialogue,turn,modality\nAnn,sad,d0,0,smell\n",
            "votes.csv:2: expected a modality of sound, face or both, found 'smell'",
        ),
        (
            "rater,label,dialogue,turn\nAnn,sad,d0,0\nAnn,happy,d0,0\n",
            "votes.csv:3: 'Ann' named 'sad' before and names 'happy' now for one clip \\(both\\)",
        ),
        ("rater,label,dialogue,turn\nAnn,triste,d0,0\n", "found none among 1 rows"),
        ("rater,label,dialogue,turn\nAnn,sad,d9,0\n", r"found none among 1 rows \(1 of other clips\)"),
    ],
)
def test_a_wrong_table_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ReleaseError, match=message):
        read(tmp_path, text)


@given(st.lists(st.sampled_from([*EMOTIONS, "unsure"]), min_size=1, max_size=7), st.sampled_from(EMOTIONS))
def test_what_all_say_most_say_and_ties_keep_nothing(said: list[str], label: str) -> None:
    opinions = {
        rule: LabelRatings("raters", rule, {("a", "face"): tuple(said)}).confirm("a", "face", label)
        for rule in ("majority", "unanimous")
    }
    assert opinions["majority"] == (said.count(label) > len(said) - said.count(label))
    assert opinions["unanimous"] == (set(said) == {label})
    assert opinions["majority"] or not opinions["unanimous"]
