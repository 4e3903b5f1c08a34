"""A folder of a user's own recordings with ratings beside them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from support.tiny_corpora import write_clip, write_wav

from avemo_harness.errors import ReleaseError, UsageError
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.recognizers.corpora.rated_folder import RatedFolderArguments, read_rated_folder

SPEAKERS = "recording,speaker,group,part\na,ann,ann+bob,train\nb,bob,,\n"


@pytest.fixture
def rated_folder(tmp_path: Path) -> Path:
    write_wav(tmp_path / "a.wav", 3.0)
    (tmp_path / "a.csv").write_text(
        "second,arousal,valence,dominance\n0,50,-100,0\n1,50,0,0\n2,50,100,0\n", encoding="utf-8"
    )
    (tmp_path / "speakers.csv").write_text(SPEAKERS, encoding="utf-8")
    return tmp_path


def trajectory(rated_folder: Path, text: str, arguments: RatedFolderArguments) -> Trajectory:
    (rated_folder / "a.csv").write_text(text, encoding="utf-8")
    (recording,) = read_rated_folder(arguments).rated
    return recording.trajectory


def test_columns_are_read_by_name_and_rows_lie_in_the_middle_of_their_seconds(rated_folder: Path) -> None:
    corpus = read_rated_folder(RatedFolderArguments(rated_folder, "hundred"))
    (recording,) = corpus.rated
    assert (recording.recording_id, recording.speaker, recording.group, recording.part) == (
        "a",
        "ann",
        "ann+bob",
        "train",
    )
    assert recording.trajectory.columns == ("valence", "arousal", "dominance")
    assert recording.trajectory.column("valence") == pytest.approx([0, 0.125, 0.375, 0.625, 0.875, 1])
    assert recording.trajectory.column("arousal") == pytest.approx([0.75] * 6)
    assert (corpus.name, corpus.rated_live) == (rated_folder.name, True)


def test_ratings_may_come_more_often_than_twice_a_second(rated_folder: Path) -> None:
    arguments = RatedFolderArguments(rated_folder, "signed", rate_hz=4.0, rated_live=False)
    found = trajectory(rated_folder, "valence,arousal\n-1,0\n0,0\n0.5,\n1,0\n", arguments)
    assert found.column("valence") == pytest.approx([0.25, 0.875])
    assert not read_rated_folder(arguments).rated_live


def test_ratings_end_with_the_recording(rated_folder: Path) -> None:
    rows = "0.2,0.4\n" * 9
    found = trajectory(rated_folder, f"valence,arousal\n{rows}", RatedFolderArguments(rated_folder, "unit"))
    assert (len(found), found.columns) == (6, ("valence", "arousal"))
    assert found.values[0] == pytest.approx([0.2, 0.4])


def test_recordings_without_ratings_are_left_out_and_counted(rated_folder: Path) -> None:
    write_clip(rated_folder / "b.mp4", 1.0)
    write_wav(rated_folder / "c.wav", 1.0)
    (rated_folder / "b.csv").write_text("valence,arousal\n0,0\n", encoding="utf-8")
    corpus = read_rated_folder(RatedFolderArguments(rated_folder, "hundred"))
    assert [(one.recording_id, one.group, one.part, one.streams.views[0]) for one in corpus.rated] == [
        ("a", "ann+bob", "train", "audio"),
        ("b", "bob", None, "both"),
    ]
    assert [(one.reason, one.count) for one in corpus.dropped] == [("recordings without ratings", 1)]


def test_parts_of_a_conversation_stay_together_where_names_tell_it(rated_folder: Path) -> None:
    (rated_folder / "speakers.csv").unlink()
    for ending in ("wav", "csv"):
        (rated_folder / f"a.{ending}").rename(rated_folder / f"MSP-Conversation_0001_1_1.{ending}")
    (recording,) = read_rated_folder(RatedFolderArguments(rated_folder, "hundred")).rated
    assert recording.group == "MSP-Conversation_0001"


def test_who_is_recorded_must_be_known(rated_folder: Path) -> None:
    (rated_folder / "speakers.csv").write_text("recording,speaker\nb,bob\n", encoding="utf-8")
    with pytest.raises(ReleaseError, match=r"a\.wav: who is recorded\? Write a row for 'a' in speakers\.csv"):
        read_rated_folder(RatedFolderArguments(rated_folder, "hundred"))
    (rated_folder / "speakers.csv").write_text("recording,speaker\na,\n", encoding="utf-8")
    with pytest.raises(ReleaseError, match=r"speakers\.csv:2: expected a speaker"):
        read_rated_folder(RatedFolderArguments(rated_folder, "hundred"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("valence,activation\n0,0\n", "expected a column 'arousal'"),
        (
            "valence,arousal\n0,0\n0,1.5\n",
            r"a\.csv:3: expected values from -1 to 1 \(scale signed\), found arousal 1\.5",
        ),
        ("valence,arousal\n0,\n", "expected a number in each of the columns"),
        ("valence,arousal\n", "expected a number in each of the columns"),
    ],
)
def test_ratings_that_cannot_be_right_are_refused(rated_folder: Path, text: str, message: str) -> None:
    with pytest.raises(ReleaseError, match=message):
        trajectory(rated_folder, text, RatedFolderArguments(rated_folder, "signed"))


def test_a_folder_without_rated_recordings_is_refused(rated_folder: Path) -> None:
    (rated_folder / "a.csv").unlink()
    with pytest.raises(ReleaseError, match="found 1 without one"):
        read_rated_folder(RatedFolderArguments(rated_folder, "signed"))
    with pytest.raises(UsageError, match="rate_hz=0: expected rows a second, above 0"):
        read_rated_folder(RatedFolderArguments(rated_folder, "signed", rate_hz=0.0))
    for rate_hz in (1e308, 1e-308, math.inf, math.nan, -1.0):
        with pytest.raises(UsageError, match=r"expected rows a second, above 0: 0\.001 to 1000"):
            read_rated_folder(RatedFolderArguments(rated_folder, "signed", rate_hz=rate_hz))
