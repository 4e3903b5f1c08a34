"""RECOLA, as it is given out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.tiny_corpora import write_clip, write_ratings, write_recola, write_wav

from avemo_harness.errors import ReleaseError
from avemo_harness.recognizers.corpora.recola import RecolaArguments, read_recola

RATINGS = Path("RECOLA-Annotation", "emotional_behaviour")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_recola(tmp_path, {9: 1, 16: 1, 100: 2})
    return tmp_path


def test_every_rated_person_is_a_recording_of_their_group(folder: Path) -> None:
    corpus = read_recola(RecolaArguments(folder))
    assert [(one.recording_id, one.speaker, one.group, one.part) for one in corpus.rated] == [
        ("P9", "P9", "group-1", None),
        ("P16", "P16", "group-1", None),
        ("P100", "P100", "group-2", None),
    ]
    assert corpus.rated_live
    assert corpus.dropped == ()
    assert corpus.name == "RECOLA (avec2018)"


def test_ratings_from_minus_one_to_one_become_two_values_a_second_from_zero_to_one(folder: Path) -> None:
    levels = np.repeat([-1.0, -0.5, 0.0, 0.5, 1.0, 0.2, 0.4, 0.6], 13)[:101]
    write_ratings(folder / RATINGS / "valence" / "P16.csv", np.tile(levels[:, None], (1, 6)))
    (recording,) = (one for one in read_recola(RecolaArguments(folder, "mean")).rated if one.speaker == "P16")
    assert recording.trajectory.columns == ("valence", "arousal")
    assert (recording.trajectory.scale, recording.trajectory.rate_hz) == ("unit", 2.0)
    valence = recording.trajectory.column("valence")
    assert len(valence) == 8
    assert valence[:2] == pytest.approx([0.0, 0.25])


def test_ratings_end_with_the_recording(folder: Path) -> None:
    write_wav(folder / "RECOLA-Audio-recordings" / "P16.wav", 3.0)
    write_wav(folder / "RECOLA-Audio-recordings" / "P9.wav", 9.0)
    lengths = {
        one.speaker: (len(one.trajectory), one.streams.duration_s) for one in read_recola(RecolaArguments(folder)).rated
    }
    assert lengths == {"P9": (8, 9.0), "P16": (6, 3.0), "P100": (8, 4.0)}


def test_a_video_adds_the_face(folder: Path) -> None:
    write_clip(folder / "RECOLA-Video-recordings" / "P16.mp4", 1.0)
    views = {one.speaker: one.streams.views for one in read_recola(RecolaArguments(folder)).rated}
    assert views == {"P9": ("audio",), "P16": ("both", "audio", "video"), "P100": ("audio",)}


def test_parts_are_those_that_the_user_wrote_down(folder: Path) -> None:
    (folder / "partition.csv").write_text("person,part\nP16,train\n9,dev\n", encoding="utf-8")
    parts = {one.speaker: one.part for one in read_recola(RecolaArguments(folder)).rated}
    assert parts == {"P9": "validation", "P16": "train", "P100": None}


def test_the_table_of_users_may_lie_in_a_folder_among_others(folder: Path) -> None:
    metadata = folder / "RECOLA-Metadata"
    metadata.mkdir()
    (folder / "RECOLA-Metadata.csv").rename(metadata / "recola_user_info.csv")
    (metadata / "reports.csv").write_text("mood;score\n1;2\n", encoding="utf-8")
    assert {one.group for one in read_recola(RecolaArguments(folder)).rated} == {"group-1", "group-2"}


def test_moments_that_nobody_rated_are_filled_in(folder: Path) -> None:
    ratings = np.full((101, 6), 0.2)
    ratings[20:60] = np.nan
    ratings[:, 3] = np.nan
    write_ratings(folder / RATINGS / "arousal" / "P16.csv", ratings)
    (recording,) = (one for one in read_recola(RecolaArguments(folder)).rated if one.speaker == "P16")
    assert recording.trajectory.column("arousal") == pytest.approx(np.full(8, 0.6))


def test_who_is_left_out_is_counted(folder: Path) -> None:
    (folder / RATINGS / "arousal" / "P100.csv").unlink()
    (folder / "RECOLA-Audio-recordings" / "P9.wav").unlink()
    corpus = read_recola(RecolaArguments(folder))
    assert [one.speaker for one in corpus.rated] == ["P16"]
    assert {one.reason: one.count for one in corpus.dropped} == {
        "persons without ratings of both dimensions": 1,
        "rated persons without a sound file": 1,
    }


def test_a_gold_standard_beyond_the_scale_is_cut_and_counted(folder: Path) -> None:
    # All agree on 1 in the first two seconds; one who goes lower afterwards weighs less, which lifts the whole.
    ratings = np.concatenate([np.ones((50, 6)), np.zeros((51, 6))])
    ratings[50:, 5] = -1.0
    write_ratings(folder / RATINGS / "arousal" / "P16.csv", ratings)
    corpus = read_recola(RecolaArguments(folder))
    (recording,) = (one for one in corpus.rated if one.speaker == "P16")
    assert recording.trajectory.column("arousal")[:4].tolist() == [1.0] * 4
    (cut,) = corpus.dropped
    assert (cut.reason, cut.count) == ("values of the gold standard beyond [-1, 1], set to the bound", 4)


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        (np.full((101, 6), 40.0), "expected ratings from -1 to 1, found 40"),
        (np.full((101, 6), np.nan), "nobody rated anything"),
        (np.empty((0, 6)), "expected rising times"),
    ],
)
def test_ratings_that_cannot_be_right_are_refused(folder: Path, ratings: np.ndarray, message: str) -> None:
    write_ratings(folder / RATINGS / "arousal" / "P16.csv", ratings)
    with pytest.raises(ReleaseError, match=rf"P16\.csv: {message}"):
        read_recola(RecolaArguments(folder))


@pytest.mark.parametrize("last", ["1e308", "inf", "nan", "90000", "-1"])
def test_times_that_cannot_be_right_are_refused(last: str, folder: Path) -> None:
    path = folder / RATINGS / "arousal" / "P16.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:-1], f"{last};{lines[-1].partition(';')[2]}"]), encoding="utf-8")
    with pytest.raises(ReleaseError, match=r"P16\.csv: expected rising times in seconds, from 0 to 86400"):
        read_recola(RecolaArguments(folder))


def test_a_folder_without_the_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"expected RECOLA-Annotation.*found 0 rated persons and 0 sound files"):
        read_recola(RecolaArguments(tmp_path))


def test_groups_must_be_known(folder: Path) -> None:
    (folder / "RECOLA-Metadata.csv").write_text("Group_id;User\n1;9\n1;16\n", encoding="utf-8")
    with pytest.raises(ReleaseError, match="no group for P100"):
        read_recola(RecolaArguments(folder))
    (folder / "RECOLA-Metadata.csv").write_text("couple;User\n1;9\n", encoding="utf-8")
    with pytest.raises(ReleaseError, match="with columns user and group_id"):
        read_recola(RecolaArguments(folder))
