"""Checks of rows: digests, labels, speakers, durations, and every rule of conflict pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.acted_release import CONFIG, acted_pair, acted_pairs, changed, surveyed
from support.releases import write_text_release

from avemo_harness.benchmark.release import Clip, ConflictPair, Dialogue, Release, Turn, make_release
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.data.checks.checking import CHECKS, Check
from avemo_harness.data.checks.findings import Finding
from avemo_harness.data.checks.rows import check_balance, check_conflicts, check_media, check_schema, check_speakers
from avemo_harness.data.checks.shortcuts import check_durations, check_first_frame, check_noise
from avemo_harness.data.checks.survey import ClipFacts, ClipProblem, SurveyedConfig, decode_fully, load_splits


def release_of(dialogues: list[Dialogue], split: str = "test") -> Release:
    return make_release("here", CONFIG, split, None, dialogues, ())


def material_of(splits: dict[str, list[Dialogue]]) -> SurveyedConfig:
    """Clips are looked at, not described."""
    releases = {split: release_of(dialogues, split) for split, dialogues in splits.items()}
    turns = (turn for dialogues in splits.values() for one in dialogues for turn in one.turns)
    return SurveyedConfig(CONFIG, releases, {turn.clip.sha256: decode_fully(turn.clip) for turn in turns if turn.clip})


def with_clip(turn: Turn, data: bytes) -> Turn:
    return replace(turn, clip=Clip.from_bytes(data, "clip 0"))


def told(finding: Finding) -> tuple[str, str]:
    return finding.verdict, finding.summary


def test_an_acted_release_is_as_it_should_be(material: SurveyedConfig) -> None:
    assert told(check_schema(material)) == ("pass", "64 dialogues, 128 turns, 64 clips, 32 pairs")
    assert told(check_media(material)) == ("pass", "the clips of 64 turns decode to the end")
    assert told(check_balance(material)) == ("pass", "test: neutral 25%, happy 25%, angry 25%, sad 25%")
    assert told(check_speakers(material)) == ("pass", "test 8 speakers")


def test_a_clip_of_other_bytes_than_its_digest_fails(acted: list[Dialogue]) -> None:
    def altered(turn: Turn) -> Turn:
        assert turn.clip is not None
        return replace(turn, clip=replace(turn.clip, fetch=lambda: b"another file"))

    verdict, summary = told(check_schema(material_of({"test": changed(acted[:2], altered, acted[0].dialogue_id)})))
    assert verdict == "fail"
    assert "are not those of its digest" in summary


def test_a_row_that_states_other_streams_than_its_clip_has_fails(acted: list[Dialogue]) -> None:
    def silenced(turn: Turn) -> Turn:
        assert turn.clip is not None
        return replace(turn, clip=replace(turn.clip, streams=frozenset({"picture"})))

    verdict, summary = told(check_schema(material_of({"test": changed(acted[:2], silenced, acted[0].dialogue_id)})))
    assert verdict == "fail"
    assert f"test, dialogue {acted[0].dialogue_id}, turn 0: has_sound is false, and the clip has sound" in summary


def test_clips_that_are_not_here_leave_it_open(acted: list[Dialogue], tmp_path: Path) -> None:
    absent = surveyed_without_clips(tmp_path / "release", acted)
    verdict, summary = told(check_schema(absent))
    assert verdict == "cannot tell"
    assert "1 clips are not here" in summary
    assert told(check_media(absent)) == ("cannot tell", "there is no clip here")


def surveyed_without_clips(folder: Path, acted: list[Dialogue]) -> SurveyedConfig:
    """Rows that name a clip below a folder that does not hold it."""
    write_release(folder, CONFIG, {"test": acted[:1]}, path_of=lambda clip: f"{clip.sha256}.mp4")
    return surveyed(folder, folder / "conditions")


def test_a_clip_that_ends_early_fails(acted: list[Dialogue]) -> None:
    clip = acted[0].turns[0].clip
    assert clip is not None
    broken = changed(acted[:1], lambda turn: with_clip(turn, clip.read()[:-4000]))
    verdict, summary = told(check_media(material_of({"test": broken})))
    assert verdict == "fail"
    assert "clip 0" in summary


def test_a_clip_of_another_duration_than_its_row_gives_fails(acted: list[Dialogue]) -> None:
    longer = changed(acted[:3], lambda turn: replace(turn, duration_s=9.0), acted[1].dialogue_id)
    verdict, summary = told(check_media(material_of({"test": longer})))
    assert verdict == "fail"
    assert summary.endswith("s, duration_s says 9.00")
    assert f"dialogue {acted[1].dialogue_id}, turn 0" in summary


def test_sound_that_is_shorter_than_its_video_is_told(acted: list[Dialogue]) -> None:
    dialogue = acted[0]
    clip, stated = dialogue.turns[0].clip, dialogue.turns[0].duration_s
    assert clip is not None
    facts = ClipFacts(sound_s=0.5, video_s=stated, level_dbfs=-26.0)
    material = SurveyedConfig(CONFIG, {"test": release_of([dialogue])}, {clip.sha256: facts})
    verdict, summary = told(check_media(material))
    assert verdict == "warn"
    assert "its sound lasts 0.50 s" in summary


def test_an_emotion_that_is_nearly_always_right_is_told(acted: list[Dialogue]) -> None:
    happy = changed(acted, lambda turn: replace(turn, emotion="happy", clip=None))
    some = [*happy[:40], *(changed([one], lambda turn: replace(turn, clip=None))[0] for one in acted[40:44])]
    verdict, summary = told(check_balance(material_of({"test": some})))
    assert verdict == "warn"
    assert summary.endswith("saying happy always is right 93% of the time")


def test_shares_are_of_the_labels_that_there_are(acted: list[Dialogue]) -> None:
    names = ["joy", "anger", "fear", "disgust", "sad"]
    own = [
        replace(one, turns=(replace(one.turns[0], emotion=names[index % 5], clip=None), *one.turns[1:]))
        for index, one in enumerate(acted[:50])
    ]
    passed = told(check_balance(material_of({"test": own})))
    assert passed == ("pass", "test: sad 20%, anger 20%, disgust 20%, fear 20%, joy 20%")
    few = told(check_balance(material_of({"test": own[:24]})))
    assert few == ("cannot tell", "test: 24 of 24 user turns have a label; shares take 25 or more")


def test_one_clip_with_two_labels_fails(acted: list[Dialogue]) -> None:
    twice = [acted[0], replace(changed([acted[0]], lambda turn: replace(turn, emotion="sad"))[0], dialogue_id="again")]
    verdict, summary = told(check_balance(material_of({"test": twice})))
    assert verdict == "fail"
    assert "its clip is labelled sad, and neutral in test, dialogue 0-0-neutral, turn 0" in summary


def test_turns_without_labels_leave_balance_open(acted: list[Dialogue]) -> None:
    unlabelled = changed(acted[:2], lambda turn: replace(turn, emotion=None))
    assert told(check_balance(material_of({"test": unlabelled})))[0] == "cannot tell"


def test_a_speaker_in_two_splits_is_told_and_a_clip_in_two_fails(acted: list[Dialogue]) -> None:
    apart = check_speakers(material_of({"train": acted[:8], "test": acted[8:16]}))
    assert told(apart) == ("pass", "train 1, test 1 speakers")
    shared = check_speakers(material_of({"train": acted[:4], "test": acted[4:16]}))
    assert told(shared) == ("warn", "train 1, test 2 speakers; 1 are in several splits, such as 'speaker0'")
    same = check_speakers(material_of({"train": acted[:4], "test": acted[3:16]}))
    assert told(same) == ("fail", "train 1, test 2 speakers; 1 clips are in several splits")


def test_a_split_without_a_user_leaves_overlap_open(acted: list[Dialogue]) -> None:
    mute = [replace(one, turns=(replace(one.turns[1], turn_index=0),)) for one in acted[8:10]]
    found = check_speakers(material_of({"train": acted[:8], "test": mute}))
    assert told(found) == ("cannot tell", "train 1, test 0 speakers; test has no user turn")


def test_shares_of_a_handful_of_labels_say_nothing(acted: list[Dialogue]) -> None:
    bare = changed(acted, lambda turn: replace(turn, clip=None))
    few = told(check_balance(material_of({"test": bare[:19]})))
    assert few == ("cannot tell", "test: 19 of 19 user turns have a label; shares take 20 or more")
    unlabelled = changed(bare[20:], lambda turn: replace(turn, emotion=None))
    enough = told(check_balance(material_of({"test": [*bare[:20], *unlabelled]})))
    assert enough[0] == "pass"
    assert enough[1].endswith("sad 25%; 44 user turns have no label")


def test_clips_that_are_whole_say_nothing_of_those_that_could_not_be_read(material: SurveyedConfig) -> None:
    missing = dict.fromkeys(list(material.clips)[:60], ClipProblem("missing", "not here"))
    some = replace(material, clips={**material.clips, **missing})
    why = "the clips of 60 of 64 turns could not be read; the others decode to the end"
    assert told(check_media(some)) == ("cannot tell", why)


@pytest.mark.parametrize("check", [check_durations, check_noise, check_first_frame])
def test_what_most_of_the_clips_may_tell_is_left_open(check: Check, material: SurveyedConfig) -> None:
    """Sixty-four clips are read, and as many or one more are not."""
    as_many, one_more = (check(with_unread(material, count)) for count in (64, 65))
    assert as_many.verdict == "pass", as_many.summary
    assert one_more.verdict == "cannot tell"
    assert one_more.summary.endswith("64 of 129 clips could be measured, fewer than 50%")


def with_unread(material: SurveyedConfig, count: int) -> SurveyedConfig:
    """The config with as many labelled clips more that are not here."""
    dialogues = list(material.releases["test"].dialogues)
    absent = [Clip.from_bytes(str(number).encode()) for number in range(count)]
    for clip in absent:
        first, *rest = dialogues[0].turns
        dialogues.append(replace(dialogues[0], dialogue_id=clip.sha256, turns=(replace(first, clip=clip), *rest)))
    missing = {clip.sha256: ClipProblem("missing", "not here") for clip in absent}
    return SurveyedConfig(CONFIG, {"test": release_of(dialogues)}, {**material.clips, **missing})


@pytest.mark.parametrize("check", CHECKS)
def test_a_release_without_clips_can_be_checked(check: Check, tmp_path: Path) -> None:
    releases = load_splits(write_text_release(tmp_path, 8), "text", ["test"], None)
    assert check(SurveyedConfig("text", releases, {})).verdict in ("pass", "cannot tell")


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
    return [(pair, release.turn(pair.audio)) for pair in release.pairs]


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
