"""A release is checked as a whole, and what the rule keeps is a release of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from support.acted_release import CONFIG, acted_pairs, write_acted

from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Clip, Dialogue
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.data.checks import checking
from avemo_harness.data.checks.checking import CheckedRelease, check_release
from avemo_harness.data.checks.findings import CheckOptions, LabelRatings, Stream
from avemo_harness.data.checks.keeping import write_kept
from avemo_harness.data.checks.survey import LabelledClip
from avemo_harness.errors import UsageError

pytestmark = pytest.mark.slow

CHECK_NAMES = [
    "schema",
    "media",
    "label balance",
    "speaker overlap",
    "durations",
    "loudness",
    "noise alone",
    "first frame alone",
    "conflict pairs",
]


def votes(folder: Path, acted: list[Dialogue], doubted: set[str]) -> Path:
    """Two raters name the label of every dialogue but the doubted ones."""
    lines = ["dialogue,turn,rater,modality,label"]
    for one in acted:
        label = "unsure" if one.dialogue_id in doubted else one.turns[0].emotion
        lines += [f"{one.dialogue_id},0,{rater},{stream},{label}" for rater in "AB" for stream in ("sound", "face")]
    file = folder / "votes.csv"
    file.write_text("\n".join(lines))
    return file


def checked(folder: Path, conditions: Path, options: CheckOptions) -> CheckedRelease:
    return check_release(folder, options, ConditionCache(conditions), lambda sentence: None)


DOUBTED = {"0-0-happy", "3-1-neutral"}


@pytest.fixture(scope="module")
def acted(acted: list[Dialogue]) -> list[Dialogue]:
    """Those of six speakers: the recogniser takes its time."""
    return acted[:48]


@pytest.fixture(scope="module")
def acted_folder(acted: list[Dialogue], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_acted(tmp_path_factory.mktemp("acted") / "release", acted)


@pytest.fixture(scope="module")
def voted(
    acted: list[Dialogue], acted_folder: Path, conditions: Path, tmp_path_factory: pytest.TempPathFactory
) -> CheckedRelease:
    table = votes(tmp_path_factory.mktemp("votes"), acted, DOUBTED)
    return checked(acted_folder, conditions, CheckOptions(votes=table, drop="majority"))


def test_every_check_is_made_and_none_fails(voted: CheckedRelease) -> None:
    names = [finding.check for finding in voted.findings]
    assert names == [*CHECK_NAMES, "labels by recogniser fusion", "labels by 2 raters of votes.csv"]
    assert not voted.failed


def test_the_built_in_recogniser_tells_emotions_of_speakers_it_never_heard(voted: CheckedRelease) -> None:
    finding = next(one for one in voted.findings if one.check == "labels by recogniser fusion")
    assert finding.verdict == "pass"
    assert {one["stream"]: one["kept"] > 0.5 * one["clips"] for one in finding.details["streams"]} == {
        "sound": True,
        "face": True,
    }


def test_a_recogniser_does_not_fail_what_raters_decide(
    acted: list[Dialogue], acted_folder: Path, conditions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells emotions from sound and from face, but no clip's from both."""

    def contrary(clips: Sequence[LabelledClip]) -> LabelRatings:
        said: dict[tuple[str, Stream], tuple[str, ...]] = {}
        for number, one in enumerate(clips):
            heard = (number // 4 + number) % 2 == 0
            said[one.clip.sha256, "sound"] = (one.emotion if heard else "unsure",)
            said[one.clip.sha256, "face"] = ("unsure" if heard else one.emotion,)
        return LabelRatings("contrary", "recognizer", said)

    monkeypatch.setattr(checking, "open_recognizer", lambda *_: contrary)
    alone = checked(acted_folder, conditions, CheckOptions())
    assert alone.failed
    table = votes(tmp_path, acted, DOUBTED)
    beside = checked(acted_folder, conditions, CheckOptions(votes=table, drop="majority"))
    verdicts = {one.check: one.verdict for one in beside.findings if one.check.startswith("labels by")}
    assert verdicts == {"labels by contrary": "warn", "labels by 2 raters of votes.csv": "pass"}
    assert not beside.failed


def test_the_report_holds_everything_and_is_json(voted: CheckedRelease, acted_folder: Path) -> None:
    report = json.loads(json.dumps(voted.to_json()))
    assert (report["noise"], report["rule"]) == ("speech_shaped", "majority")
    assert report["fingerprints"] == {f"{CONFIG}/test": load_release(str(acted_folder), CONFIG).fingerprint}
    by_name = {one["check"]: one for one in report["findings"]}
    assert by_name["noise alone"]["details"]["control"]["accuracy"] > 0.5
    assert len(by_name["labels by 2 raters of votes.csv"]["details"]["opinions"]) == 96


def test_what_is_kept_is_a_release_without_the_doubted_dialogues(
    voted: CheckedRelease, acted: list[Dialogue], tmp_path: Path
) -> None:
    kept = write_kept(voted, tmp_path / "kept")
    assert [(one.dialogues, one.dialogues_kept, one.pairs, one.pairs_kept) for one in kept.splits] == [(48, 46, 24, 22)]
    release = load_release(str(tmp_path / "kept"), CONFIG)
    assert [one.dialogue_id for one in release.dialogues] == [
        one.dialogue_id for one in acted if one.dialogue_id not in DOUBTED
    ]
    assert len({pair.pair_id for pair in release.pairs}) == 22
    assert all(turn.clip.read() for one in release.dialogues for turn in one.turns if turn.clip)
    record = json.loads((tmp_path / "kept" / "checks.json").read_text())
    assert record["kept"]["rule"] == "majority"
    assert record["kept"]["by"] == "2 raters of votes.csv"
    assert record["fingerprints"] == {f"{CONFIG}/test": release.fingerprint}
    assert [one["check"] for one in record["findings"]] == [*CHECK_NAMES, "labels by 2 raters of votes.csv"]
    assert record["findings"][0]["summary"] == "46 dialogues, 92 turns, 46 clips, 22 pairs"


def test_the_other_files_come_along_and_clips_of_dropped_dialogues_do_not(
    acted: list[Dialogue], conditions: Path, tmp_path: Path
) -> None:
    some, folder = acted[:8], tmp_path / "release"

    def path_of(clip: Clip) -> str:
        return f"media/{clip.sha256}.mp4"

    for one in some:
        clip = one.turns[0].clip
        assert clip is not None
        (folder / path_of(clip)).parent.mkdir(parents=True, exist_ok=True)
        (folder / path_of(clip)).write_bytes(clip.read())
    write_release(folder, CONFIG, {"test": some}, {"test": acted_pairs(some)}, path_of)
    for name in ("import.json", "build.json", "provenance.jsonl"):
        (folder / name).write_text("{}\n")
    with (folder / "README.md").open("a") as readme:
        readme.write("# Mine\n")
    table = votes(tmp_path, some, {"0-0-happy"})
    write_kept(checked(folder, conditions, CheckOptions(votes=table, drop="unanimous")), tmp_path / "kept")
    for name in ("import.json", "build.json", "provenance.jsonl", "README.md"):
        assert (tmp_path / "kept" / name).read_bytes() == (folder / name).read_bytes()
    kept = load_release(str(tmp_path / "kept"), CONFIG)
    assert {path.stem for path in (tmp_path / "kept" / "media").iterdir()} == {
        turn.clip.sha256 for one in kept.dialogues for turn in one.turns if turn.clip
    }
    assert len(kept.dialogues) == 7
    assert len(kept.pairs) == 2


def test_a_rule_that_keeps_nothing_of_a_split_is_refused(
    acted: list[Dialogue], conditions: Path, tmp_path: Path
) -> None:
    some = acted[:8]
    folder = write_acted(tmp_path / "release", some)
    table = votes(tmp_path, some, {one.dialogue_id for one in some[1:]})
    options = CheckOptions(votes=table, drop="majority")
    assert write_kept(checked(folder, conditions, options), tmp_path / "one").splits[0].dialogues_kept == 1
    few = write_acted(tmp_path / "few", some[1:], pairs=[])
    table.write_text(table.read_text() + "\n0-0-happy,0,C,both,sad")
    with pytest.raises(UsageError, match="no dialogue has all its labels confirmed, and nothing is written"):
        write_kept(checked(few, conditions, options), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_labels_that_nobody_can_judge_are_no_reason_to_keep_or_drop(
    acted: list[Dialogue], conditions: Path, tmp_path: Path
) -> None:
    found = checked(write_acted(tmp_path / "release", acted[:8]), conditions, CheckOptions())
    assert [one.check for one in found.findings if one.verdict == "cannot tell"][-1] == "labels by recogniser"
    with pytest.raises(UsageError, match="its labels could not be judged"):
        write_kept(found, tmp_path / "kept")


def test_rows_that_break_the_schema_are_a_finding_and_other_configs_are_checked(
    acted: list[Dialogue], conditions: Path, tmp_path: Path
) -> None:
    folder = write_acted(tmp_path / "release", acted[:8])
    broken = [replace(acted[8], turns=acted[8].turns[::-1])]
    write_release(folder, "multiturn_synthetic", {"test": broken})
    found = checked(folder, conditions, CheckOptions())
    assert found.failed
    first, *_ = found.configs["multiturn_synthetic"].findings
    assert (first.check, first.verdict) == ("schema", "fail")
    assert "turn_index must be 0, found 1" in first.summary
    assert len(found.configs[CONFIG].findings) == len(CHECK_NAMES) + 1
    with pytest.raises(UsageError, match="config 'multiturn_synthetic': its labels could not be judged"):
        write_kept(found, tmp_path / "kept")


def test_a_rule_of_votes_needs_votes(acted_folder: Path, conditions: Path) -> None:
    with pytest.raises(UsageError, match="--drop unanimous goes by raters' votes"):
        checked(acted_folder, conditions, CheckOptions(drop="unanimous"))
