"""MSP-Conversation, as it is given out."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.tiny_corpora import write_msp_conversation, write_trace

from avemo_harness import media
from avemo_harness.errors import MediaError, ReleaseError
from avemo_harness.recognizers.corpora.msp_conversation import MspConversationArguments, read_msp_conversation

NAME = "MSP-Conversation_0002"
VALENCE = Path("Annotations", "Annotations", "Valence")
TIMES = Path("Time_Labels", "Time_Labels")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_msp_conversation(tmp_path, {"0002": "Train", "0005": "Validation"})
    return tmp_path


def test_a_part_of_a_conversation_is_a_recording(folder: Path) -> None:
    corpus = read_msp_conversation(MspConversationArguments(folder))
    assert [(one.recording_id, one.speaker, one.group, one.part) for one in corpus.rated] == [
        ("MSP-Conversation_0002_1", NAME, NAME, "train"),
        ("MSP-Conversation_0002_2", NAME, NAME, "train"),
        ("MSP-Conversation_0005_1", "MSP-Conversation_0005", "MSP-Conversation_0005", "validation"),
        ("MSP-Conversation_0005_2", "MSP-Conversation_0005", "MSP-Conversation_0005", "validation"),
    ]
    assert corpus.rated_live
    assert corpus.dropped == ()


def test_a_part_has_the_sound_between_its_times(folder: Path) -> None:
    second = read_msp_conversation(MspConversationArguments(folder)).rated[1].streams
    whole = media.decode_sound(folder / "Audio" / "Audio" / f"{NAME}.wav")
    assert (second.views, second.duration_s) == (("audio",), 3.0)
    assert second.sound is not None
    np.testing.assert_array_equal(media.decode_sound(second.sound.read()), whole[48_000:])


def test_ratings_from_minus_a_hundred_to_a_hundred_become_the_mean_of_raters_from_zero_to_one(folder: Path) -> None:
    trajectory = read_msp_conversation(MspConversationArguments(folder)).rated[0].trajectory
    assert trajectory.columns == ("valence", "arousal", "dominance")
    assert (trajectory.scale, trajectory.rate_hz, len(trajectory)) == ("unit", 2.0, 6)
    assert trajectory.values == pytest.approx(np.tile([0.25, 0.6, 0.8], (6, 1)))


def test_a_rater_is_averaged_over_half_seconds_and_held_where_there_is_no_value(folder: Path) -> None:
    for rater in ("001", "007"):
        path = folder / VALENCE / f"{NAME}_1_{rater}.csv"
        write_trace(path, np.array([0.0, 0.4, 0.6, 2.0, 7.0]), np.array([-100.0, 0.0, 50.0, 100.0, -100.0]))
    trajectory = read_msp_conversation(MspConversationArguments(folder)).rated[0].trajectory
    assert trajectory.column("valence") == pytest.approx([0.25, 0.75, 0.75 + 0.25 / 3, 0.75 + 0.5 / 3, 1.0, 1.0])


def test_a_third_cell_means_nothing(folder: Path) -> None:
    for rater in ("001", "007"):
        path = folder / VALENCE / f"{NAME}_1_{rater}.csv"
        path.write_text("%%%%%%,%%%%%%\n0.1,50,\n0.2,100,7\n\n", encoding="utf-8")
    trajectory = read_msp_conversation(MspConversationArguments(folder)).rated[0].trajectory
    assert trajectory.column("valence") == pytest.approx([0.875] * 6)


def test_without_dominance_there_are_two_columns(folder: Path) -> None:
    (folder / "Annotations" / "Annotations" / "Dominance" / f"{NAME}_1_001.csv").unlink()
    (folder / "Annotations" / "Annotations" / "Dominance" / f"{NAME}_1_007.csv").unlink()
    corpus = read_msp_conversation(MspConversationArguments(folder))
    assert {one.trajectory.columns for one in corpus.rated} == {("valence", "arousal")}


def test_parts_without_ratings_or_sound_are_left_out_and_counted(folder: Path) -> None:
    for rater in ("001", "007"):
        (folder / VALENCE / f"{NAME}_1_{rater}.csv").unlink()
    (folder / "Audio" / "Audio" / "MSP-Conversation_0005.wav").unlink()
    corpus = read_msp_conversation(MspConversationArguments(folder))
    assert [one.recording_id for one in corpus.rated] == ["MSP-Conversation_0002_2"]
    assert {one.reason: one.count for one in corpus.dropped} == {
        "parts without ratings of valence and arousal": 1,
        "rated parts without a sound file": 2,
    }


def test_folders_need_not_be_nested_and_the_split_need_not_be_there(folder: Path) -> None:
    for name in ("Audio", "Annotations", "Time_Labels"):
        (folder / name / name).rename(folder / "inner")
        (folder / name).rmdir()
        (folder / "inner").rename(folder / name)
    (folder / "Time_Labels").rename(folder / "Time Labels")
    (folder / "partitions.txt").unlink()
    corpus = read_msp_conversation(MspConversationArguments(folder))
    assert [one.part for one in corpus.rated] == [None] * 4


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        (VALENCE / f"{NAME}_1_001.csv", "0.0,1\n", "expected a line %%%%%%,%%%%%% before the ratings"),
        (VALENCE / f"{NAME}_1_001.csv", "x\n%%%%%%,%%%%%%\n0.0,1\nlater,2\n", r"001\.csv:4: expected seconds,value"),
        (VALENCE / f"{NAME}_1_001.csv", "%%%%%%,%%%%%%\n", "expected ratings within the 3 s of the part.*found none"),
        (VALENCE / f"{NAME}_1_001.csv", "%%%%%%,%%%%%%\n13.0,4\n", "found the first at 13 s"),
        (VALENCE / f"{NAME}_1_001.csv", "%%%%%%,%%%%%%\n1.0,140\n", "expected values from -100 to 100, found 140"),
        (TIMES / "conversations.txt", f"{NAME};10.0\n", r"conversations\.txt:1: expected 3 cells"),
        (TIMES / "conversations.txt", f"{NAME};10.0;16.0\n", "MSP-Conversation_0005_1 is of a conversation that"),
        *(
            (TIMES / "conversation_parts.txt", f"{NAME}_1;{times}\n", r"parts\.txt:1: expected a start and a later end")
            for times in ("0;1e308", "nan;3", "0;inf", "-1;3", "3;1")
        ),
        (TIMES / "conversation_parts.txt", f"\n{NAME}_1;ten;11\n", r"parts\.txt:2: expected name;start;end"),
        (Path("partitions.txt"), f"{NAME};Holdout\n", r"partitions\.txt:1: expected one of the parts"),
    ],
)
def test_malformed_files_are_refused(folder: Path, path: Path, text: str, message: str) -> None:
    (folder / path).write_text(text, encoding="utf-8")
    with pytest.raises(ReleaseError, match=message):
        read_msp_conversation(MspConversationArguments(folder))


def test_a_part_that_is_not_in_its_sound_file_is_refused(folder: Path) -> None:
    (folder / TIMES / "conversation_parts.txt").write_text(f"{NAME}_1;30.0;33.0\n", encoding="utf-8")
    with pytest.raises(MediaError, match="nothing from 20 s to 23 s, it lasts 6 s"):
        read_msp_conversation(MspConversationArguments(folder))


def test_a_folder_without_the_corpus_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "Annotations" / "Annotations" / "Arousal")
    with pytest.raises(ReleaseError, match="none of 4 parts has"):
        read_msp_conversation(MspConversationArguments(folder))
    shutil.rmtree(folder / "Audio")
    with pytest.raises(ReleaseError, match="expected a folder Audio/"):
        read_msp_conversation(MspConversationArguments(folder))
