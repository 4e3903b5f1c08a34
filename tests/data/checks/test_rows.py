"""What a release says: digests, labels, speakers, durations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.acted_release import CONFIG, changed, surveyed
from support.releases import write_text_release

from avemo_harness.benchmark.release import Clip, Dialogue, Release, Turn, make_release
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.data.checks.checking import CHECKS, Check
from avemo_harness.data.checks.findings import Finding
from avemo_harness.data.checks.rows import check_balance, check_media, check_schema, check_speakers
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
