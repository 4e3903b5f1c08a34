"""Every rule of conflict pairs is looked after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from support.acted_release import acted_pair, acted_pairs, changed

from avemo_harness.benchmark.release import ConflictPair, Dialogue, Turn, make_release
from avemo_harness.data.checks.findings import Finding
from avemo_harness.data.checks.rows import check_conflicts
from avemo_harness.data.checks.survey import ClipProblem, SurveyedConfig

Pairs = list[ConflictPair]


def checked(material: SurveyedConfig, dialogues: list[Dialogue], pairs: Pairs) -> Finding:
    release = make_release("here", material.config, "test", None, dialogues, pairs)
    return check_conflicts(replace(material, releases={"test": release}))


def test_pairs_by_the_rules_pass(material: SurveyedConfig) -> None:
    finding = check_conflicts(material)
    assert finding.verdict == "pass"
    assert finding.details["by_emotions"] == {
        "angry heard, happy seen": 8,
        "happy heard, angry seen": 8,
        "happy heard, sad seen": 8,
        "sad heard, happy seen": 8,
    }


def test_a_release_without_pairs_leaves_them_open(material: SurveyedConfig, acted: list[Dialogue]) -> None:
    finding = checked(material, acted, [])
    assert (finding.verdict, finding.summary) == ("cannot tell", "there are none")


def test_durations_of_clips_that_could_not_be_read_are_left_open(material: SurveyedConfig) -> None:
    one, *_ = (turn.clip.sha256 for _, turn in sides(material) if turn.clip is not None)
    clips = {**material.clips, one: ClipProblem("missing", "not here")}
    finding = check_conflicts(replace(material, clips=clips))
    assert finding.verdict == "cannot tell"
    assert finding.summary == "the durations of 2 of 32 pairs are unknown, as their clips could not be read"


def sides(material: SurveyedConfig) -> list[tuple[ConflictPair, Turn]]:
    """Every pair with the turn whose sound it has."""
    release = material.releases["test"]
    return [(pair, release.dialogue(pair.audio_dialogue_id).turns[pair.audio_turn]) for pair in release.pairs]


def first(pairs: Pairs, **values: object) -> Pairs:
    return [replace(pairs[0], **values), *pairs[1:]]  # type: ignore[arg-type]  # (columns of a pair)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda pairs: pairs[1:], "the pair with sound and face exchanged is missing"),
        (lambda pairs: first(pairs, audio_emotion="neutral"), "neutral and sad are not of opposite valence"),
        (lambda pairs: first(pairs, audio_emotion="angry", video_emotion="happy"), "its sound is said to be angry"),
        (lambda pairs: first(pairs, video_emotion="angry"), "its face is said to be angry, the turn's label is sad"),
        (lambda pairs: first(pairs, speaker_id="Ann"), "its sound is of 'speaker0', not of 'Ann'"),
        (lambda pairs: first(pairs, audio_turn=1), "its sound should be that of a user turn with a clip, and is not"),
        (lambda pairs: first(pairs, video_turn=-2), "its face should be that of a user turn with a clip, and is not"),
        (lambda pairs: first(pairs, video_dialogue_id="no"), "its face should be that of a user turn with a clip"),
        (lambda pairs: [*pairs, replace(pairs[0], pair_id="again")], "its sound is in 2 pairs, allowed is one"),
    ],
    ids=["one order", "valence", "sound", "face", "speaker", "assistant", "negative turn", "no dialogue", "twice"],
)
def test_a_pair_against_a_rule_fails(
    spoil: Callable[[Pairs], Pairs], message: str, material: SurveyedConfig, acted: list[Dialogue]
) -> None:
    finding = checked(material, acted, spoil(acted_pairs(acted)))
    assert finding.verdict == "fail"
    assert any(message in problem for problem in finding.details["problems"]), finding.details["problems"]


def test_durations_of_a_pair_differ_by_a_second_at_most(material: SurveyedConfig, acted: list[Dialogue]) -> None:
    pair = acted_pairs(acted)[0]
    seconds = acted[0].turns[0].duration_s or 0.0
    for extra, verdict in ((0.9, "pass"), (1.2, "fail")):
        near = changed(acted, lambda turn: replace(turn, duration_s=seconds), pair.audio_dialogue_id)
        far = changed(near, lambda turn, s=seconds + extra: replace(turn, duration_s=s), pair.video_dialogue_id)  # type: ignore[misc]  # (bound now)
        assert checked(material, far, acted_pairs(far)).verdict == verdict


def test_a_clip_that_several_dialogues_have_counts_as_one(material: SurveyedConfig, acted: list[Dialogue]) -> None:
    copies = [replace(one, dialogue_id=f"copy of {one.dialogue_id}") for one in acted[:4]]
    pairs = [
        pair
        for happy, sad in ((acted[1], acted[3]), (copies[1], copies[3]))
        for pair in (acted_pair(happy, sad), acted_pair(sad, happy))
    ]
    assert checked(material, [*acted, *copies], pairs[:2]).verdict == "pass"
    assert "is in 2 pairs" in checked(material, [*acted, *copies], pairs).summary
