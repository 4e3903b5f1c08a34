"""Labels are verified stream by stream by recognisers and raters' votes, pairs each stream by its own label."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.acted_release import CONFIG, write_acted
from support.planted_labels import QUICK

from avemo_harness.benchmark.release import EMOTIONS, Clip, Dialogue, Release, Turn, make_release
from avemo_harness.data.checks.findings import LabelRatings, RatingsByClip, Rule, Stream
from avemo_harness.data.checks.raters import open_recognizer, read_votes
from avemo_harness.data.checks.survey import SurveyedConfig
from avemo_harness.data.checks.verification import verify_labels
from avemo_harness.errors import ReleaseError, UsageError
from avemo_harness.recognizers.checkpoint import save_recognizer
from avemo_harness.recognizers.corpora.release import ReleaseArguments, read_release
from avemo_harness.recognizers.features import make_extractor
from avemo_harness.recognizers.features.feature_set import FeatureCache, FeatureSet
from avemo_harness.recognizers.heads.label_evaluation import train_categorical
from avemo_harness.recognizers.heads.training import Method


def agreeing(material: SurveyedConfig, doubts: dict[tuple[str, Stream], tuple[str, ...]], rule: Rule) -> LabelRatings:
    """Three raters who name the label of every stream, but for some."""
    said: dict[tuple[str, Stream], tuple[str, ...]] = {}
    for one in material.labelled():
        said[one.clip.sha256, "sound"] = said[one.clip.sha256, "face"] = (one.emotion,) * 3
    return LabelRatings("three raters", rule, {**said, **doubts})


def digest_of(acted: list[Dialogue], dialogue_id: str) -> str:
    clip = next(one for one in acted if one.dialogue_id == dialogue_id).turns[0].clip
    assert clip is not None
    return clip.sha256


def test_labels_that_everybody_confirms_pass(material: SurveyedConfig) -> None:
    verified = verify_labels(material, agreeing(material, {}, "unanimous"))
    assert verified.finding.verdict == "pass"
    assert verified.finding.summary == (
        "confirmed: sound 100% of 64 clips, face 100% of 64 clips; unanimous keeps 64 of 64 dialogues; both streams of "
        "32 of 32 conflict pairs are confirmed"
    )
    assert not verified.dropped


def test_a_rule_drops_dialogues_whose_sound_or_face_is_not_confirmed(
    material: SurveyedConfig, acted: list[Dialogue]
) -> None:
    doubts: RatingsByClip = {
        (digest_of(acted, "0-0-happy"), "sound"): ("happy", "sad", "sad"),
        (digest_of(acted, "0-0-neutral"), "face"): ("neutral", "neutral", "unsure"),
    }
    by_most = verify_labels(material, agreeing(material, dict(doubts), "majority"))
    assert by_most.dropped == {("test", "0-0-happy")}
    by_all = verify_labels(material, agreeing(material, dict(doubts), "unanimous"))
    assert by_all.dropped == {("test", "0-0-happy"), ("test", "0-0-neutral")}
    doubted = [one for one in by_all.finding.details["opinions"] if not one["kept"]]
    assert {(one["dialogue"], one["stream"], tuple(one["said"].items())) for one in doubted} == {
        ("0-0-happy", "sound", (("happy", 1), ("sad", 2))),
        ("0-0-neutral", "face", (("neutral", 2), ("unsure", 1))),
    }


def test_each_stream_of_a_pair_goes_by_its_own_clip(material: SurveyedConfig, acted: list[Dialogue]) -> None:
    """The happy sound is doubted: that concerns the pair that takes its sound, and not the one that takes its face."""
    doubts: RatingsByClip = {(digest_of(acted, "0-0-happy"), "sound"): ("sad", "sad", "sad")}
    pairs = verify_labels(material, agreeing(material, dict(doubts), "majority")).finding.details["pairs"]
    assert pairs == {"pairs": 32, "judged": 32, "sound": 31, "face": 32, "both": 31}


def test_clips_of_which_nothing_is_said_are_kept_and_counted(material: SurveyedConfig, acted: list[Dialogue]) -> None:
    opinions = LabelRatings("one rater", "majority", {(digest_of(acted, "0-0-sad"), "both"): ("sad",)}, unplaced=3)
    details = verify_labels(material, opinions).finding.details
    assert [details[name] for name in ("clips", "judged", "kept", "unplaced")] == [64, 1, 64, 3]
    assert details["pairs"]["judged"] == 0
    nobody = verify_labels(material, LabelRatings("nobody", "majority", {}))
    assert nobody.finding.verdict == "cannot tell"


@pytest.mark.parametrize(
    ("kept", "verdict", "summary"),
    [
        (12, "fail", "majority keeps 12 of 64 dialogues (18.8%, fewer than 20%); "),
        (13, "warn", "majority keeps 13 of 64 dialogues (20.3%, fewer than 50%); "),
        (31, "warn", "majority keeps 31 of 64 dialogues (48.4%, fewer than 50%); "),
        (32, "pass", "confirmed: sound 50% of 64 clips, face 100% of 64 clips; majority keeps 32 of 64 dialogues"),
    ],
)
def test_a_release_of_which_little_is_confirmed_does_not_pass(
    kept: int, verdict: str, summary: str, material: SurveyedConfig
) -> None:
    release = material.releases["test"]
    unpaired = make_release("here", CONFIG, "test", None, release.dialogues, ())
    refused = np.random.default_rng(0).permutation(64) >= kept
    doubts: RatingsByClip = {
        (one.clip.sha256, "sound"): ("unsure",) * 3
        for one, drop in zip(material.labelled(), refused, strict=True)
        if drop
    }
    opinions = agreeing(material, dict(doubts), "majority")
    finding = verify_labels(replace(material, releases={"test": unpaired}), opinions).finding
    assert finding.verdict == verdict, finding.summary
    assert summary in finding.summary


def test_a_recogniser_that_learned_nothing_is_no_reason_to_fail(material: SurveyedConfig) -> None:
    said: RatingsByClip = {(one.clip.sha256, "face"): ("sad",) for one in list(material.labelled())}
    mostly_sad = {**said, **dict.fromkeys(list(said)[8:], ("unsure",))}
    by_raters, by_recogniser = (
        verify_labels(material, LabelRatings("somebody", rule, mostly_sad)).finding
        for rule in ("majority", "recognizer")
    )
    assert by_raters.verdict == "fail"
    assert by_recogniser.verdict == "warn"
    assert "recognizer keeps 2 of 64 dialogues (3.1%, fewer than 20%)" in by_recogniser.summary


def test_conflict_pairs_of_which_little_is_confirmed_do_not_pass(material: SurveyedConfig) -> None:
    doubts: RatingsByClip = {
        (one.clip.sha256, "face"): ("neutral",) * 3 for one in material.labelled() if one.emotion == "happy"
    }
    few = {
        **doubts,
        **{(one.clip.sha256, "sound"): ("sad",) * 3 for one in material.labelled() if one.emotion == "happy"},
    }
    by_face = verify_labels(material, agreeing(material, dict(doubts), "majority")).finding
    assert by_face.verdict == "pass"
    by_both = verify_labels(material, agreeing(material, dict(few), "majority")).finding
    assert by_both.verdict == "fail"
    assert by_both.summary.startswith("both streams of 0 of 32 conflict pairs are confirmed (0.0%, fewer than 20%); ")


def test_votes_on_few_of_the_clips_say_nothing_of_the_release(material: SurveyedConfig) -> None:
    labelled = list(material.labelled())
    said: RatingsByClip = {(one.clip.sha256, "both"): (one.emotion,) * 3 for one in labelled[:31]}
    finding = verify_labels(material, LabelRatings("three raters", "majority", said, unplaced=7)).finding
    assert finding.verdict == "cannot tell"
    assert finding.summary.startswith("31 of 64 labelled clips are judged, fewer than 50%; confirmed: both 100% of 31")
    assert finding.summary.endswith("; 7 opinions are of other clips")
    half = {**said, (labelled[31].clip.sha256, "both"): (labelled[31].emotion,)}
    assert verify_labels(material, LabelRatings("three raters", "majority", half)).finding.verdict == "pass"


def test_agreement_on_three_clips_may_be_chance(material: SurveyedConfig) -> None:
    said: RatingsByClip = {(one.clip.sha256, "both"): (one.emotion,) for one in list(material.labelled())[:3]}
    finding = verify_labels(material, LabelRatings("a rater", "majority", said)).finding
    assert finding.verdict == "cannot tell"
    assert finding.summary.startswith("3 judged clips are too few to tell agreement from chance; ")


def test_labels_that_are_confirmed_no_more_often_than_by_chance_are_told(material: SurveyedConfig) -> None:
    said: RatingsByClip = {(one.clip.sha256, "face"): ("happy",) for one in material.labelled()}
    finding = verify_labels(material, LabelRatings("a rater who sees joy", "majority", said)).finding
    assert finding.verdict == "warn"
    assert finding.summary.startswith("no better than chance, face: 0.25 (chance 0.25, up to ")


@pytest.mark.slow
def test_a_recogniser_that_was_trained_before_judges_each_stream_alone(
    material: SurveyedConfig, acted: list[Dialogue], tmp_path: Path
) -> None:
    specs = ("clip-sound", "clip-face")
    features = FeatureSet(tuple(make_extractor(spec) for spec in specs), FeatureCache(tmp_path / "features"))
    some = write_acted(tmp_path / "release", acted[:24])
    corpus = read_release(ReleaseArguments(str(some), CONFIG))
    save_recognizer(train_categorical(corpus, Method(features, QUICK)), specs, tmp_path / "mine")
    clips = list(material.labelled())[:8]
    opinions = open_recognizer(str(tmp_path / "mine"), tmp_path, print)(clips)
    assert re.fullmatch(r"recogniser mine \([0-9a-f]{8}\)", opinions.by)
    assert set(opinions.said) == {(one.clip.sha256, stream) for one in clips for stream in ("sound", "face")}
    named = [opinions.confirm(one.clip.sha256, "sound", one.emotion) for one in clips]
    assert sum(map(bool, named)) > 4  # it learned from these very clips


def test_a_recogniser_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown recognizer 'fussion'; nearest: 'fusion'"):
        open_recognizer("fussion", tmp_path, print)
    with pytest.raises(UsageError, match="not/there"):
        open_recognizer("not/there", tmp_path, print)


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
