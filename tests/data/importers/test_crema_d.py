"""CREMA-D is imported with the emotion that was asked for, or with the one that raters saw and heard."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.clips import positions
from support.corpus_trees import (
    LFS_POINTER,
    write_clip,
    write_crema_d,
    write_crema_d_responses,
    write_crema_d_summary,
    write_crema_d_tabulated,
    write_silent_video,
)
from support.imports import import_corpus, left_out
from support.tiny_corpora import write_wav

from avemo_harness import media
from avemo_harness.benchmark.release import Vote
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.data.importers.base import ImportedCorpus
from avemo_harness.data.importers.crema_d import CremaDArguments, read_crema_d
from avemo_harness.errors import MediaError, ReleaseError
from avemo_harness.recognizers.corpora import open_corpus

STEMS = (
    "1001_DFA_ANG_XX",
    "1001_DFA_HAP_XX",
    "1001_IEO_SAD_HI",
    "1001_IEO_DIS_LO",
    "1002_IEO_FEA_MD",
    "1002_TAI_NEU_XX",
)


def labels(imported: ImportedCorpus) -> dict[str, str | None]:
    return {one.dialogue_id.removeprefix("cremad-"): one.turns[0].emotion for one in imported.dialogues["test"]}


def test_intended_emotions_are_kept_and_the_others_counted(tmp_path: Path) -> None:
    imported = import_corpus("crema-d", write_crema_d(tmp_path / "corpus", STEMS), tmp_path / "out")
    assert labels(imported) == {
        "1001_DFA_ANG_XX": "angry",
        "1001_DFA_HAP_XX": "happy",
        "1001_IEO_SAD_HI": "sad",
        "1002_TAI_NEU_XX": "neutral",
    }
    assert left_out(imported) == {"label disgust": 1, "label fear": 1}
    turn = imported.dialogues["test"][0].turns[0]
    assert (turn.speaker_id, turn.text) == ("1001", "Don't forget a jacket.")


def test_sound_stands_in_where_there_is_no_video(tmp_path: Path) -> None:
    imported = import_corpus("crema-d", write_crema_d(tmp_path / "corpus", STEMS), tmp_path / "out")
    paths = sorted(imported.paths.values())
    assert paths[0] == "AudioWAV/1001_DFA_ANG_XX.wav"
    assert [path.split("/")[0] for path in paths[1:]] == ["VideoFlash"] * 3
    assert imported.found.notes == ("1 clips have no face; tasks that need it cannot ask about them",)


VOTES = {
    "1001_DFA_ANG_XX": "A",
    "1001_DFA_HAP_XX": "N",
    "1001_IEO_SAD_HI": "S:N",
    "1001_IEO_DIS_LO": "A",
    "1002_IEO_FEA_MD": "F",
}


def check_votes(imported: ImportedCorpus) -> None:
    assert labels(imported) == {
        "1001_DFA_ANG_XX": "angry",
        "1001_DFA_HAP_XX": "neutral",
        "1001_IEO_DIS_LO": "angry",
    }
    assert left_out(imported) == {"a tie of votes": 1, "label fear": 1, "no votes": 1}


def test_labels_by_votes_follow_most_raters_of_both_and_ties_are_dropped(tmp_path: Path) -> None:
    corpus = write_crema_d(tmp_path / "corpus", STEMS)
    write_crema_d_summary(corpus, VOTES)
    check_votes(import_corpus("crema-d", corpus, tmp_path / "out", labels="votes"))


def test_single_votes_give_the_same_labels(tmp_path: Path) -> None:
    corpus = write_crema_d(tmp_path / "corpus", STEMS)
    votes = [(stem, 3, answer) for stem, most in VOTES.items() for answer in most.split(":") * 2]
    minority = [(stem, 3, "D") for stem in VOTES]
    voice_alone = [(stem, 1, "H") for stem in VOTES] * 9
    write_crema_d_responses(corpus, [*voice_alone, *votes, *minority])
    check_votes(import_corpus("crema-d", corpus, tmp_path / "out", labels="votes"))


def test_labels_by_votes_need_votes(tmp_path: Path) -> None:
    corpus = write_crema_d(tmp_path / "corpus", STEMS[:1])
    with pytest.raises(ReleaseError, match=r"expected processedResults/summaryTable\.csv or finishedResponses\.csv"):
        import_corpus("crema-d", corpus, tmp_path / "out", labels="votes")


def test_votes_that_git_lfs_has_not_fetched_are_named(tmp_path: Path) -> None:
    corpus = write_crema_d(tmp_path / "corpus", STEMS[:2])
    (corpus / "finishedResponses.csv").write_text(LFS_POINTER)
    with pytest.raises(MediaError, match=r"finishedResponses\.csv: .*git lfs pull"):
        import_corpus("crema-d", corpus, tmp_path / "out", labels="votes")


def test_a_clip_whose_level_is_spelled_in_two_ways_is_one_clip(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    write_clip(corpus / "VideoFlash" / "1040_ITH_SAD_XX.mp4", 0.4, 0)
    write_wav(corpus / "AudioWAV" / "1040_ITH_SAD_X.wav", 0.4)
    write_wav(corpus / "AudioWAV" / "1041_ITH_HAP_X.wav", 0.4)
    write_crema_d_summary(corpus, {"1040_ITH_SAD_X": "S", "1041_ITH_HAP_XX": "H"})
    imported = import_corpus("crema-d", corpus, tmp_path / "out", labels="votes")
    assert labels(imported) == {"1040_ITH_SAD_XX": "sad", "1041_ITH_HAP_XX": "happy"}
    assert set(imported.paths.values()) == {"VideoFlash/1040_ITH_SAD_XX.mp4", "AudioWAV/1041_ITH_HAP_X.wav"}


def import_with_silent_video(tmp_path: Path, ending: str, sound_s: float) -> bytes:
    """The bytes of a clip whose video, of 2 s, has no sound; another clip of the corpus is whole."""
    corpus = tmp_path / "corpus"
    write_silent_video(corpus / "VideoFlash" / f"1064_IEO_HAP_MD{ending}", 2.0)
    write_wav(corpus / "AudioWAV" / "1064_IEO_HAP_MD.wav", sound_s)
    write_clip(corpus / "VideoFlash" / "1065_IEO_HAP_MD.mp4", 0.4, 1)
    write_wav(corpus / "AudioWAV" / "1065_IEO_HAP_MD.wav", 0.4)
    import_corpus("crema-d", corpus, tmp_path / "out")
    clip = load_release(str(tmp_path / "out"), "singleturn_synthetic").dialogues[0].turns[0].clip
    assert clip is not None
    return clip.read()


@pytest.mark.parametrize(("sound_s", "kept_s"), [(1.55, 1.52), (2.2, 2.0)])
def test_a_silent_video_may_go_on_after_its_sound_more_than_the_sound_after_it(
    sound_s: float, kept_s: float, tmp_path: Path
) -> None:
    info = media.probe(import_with_silent_video(tmp_path, ".flv", sound_s))
    assert info.video is not None
    assert info.video.duration_s == pytest.approx(kept_s)


@pytest.mark.parametrize("ending", [".flv", ".mp4"])
def test_a_silent_video_has_the_sound_of_its_sound_file(ending: str, tmp_path: Path) -> None:
    clip = import_with_silent_video(tmp_path, ending, 1.9)
    info = media.probe(clip)
    assert info.video is not None
    assert info.sound is not None
    assert (info.video.duration_s, info.sound.duration_s) == (pytest.approx(1.88), pytest.approx(1.88, abs=0.01))
    heard, sound = (
        media.decode_sound(clip),
        media.decode_sound(tmp_path / "corpus" / "AudioWAV" / "1064_IEO_HAP_MD.wav"),
    )
    assert np.corrcoef(heard, sound[: len(heard)])[0, 1] > 0.9
    assert positions(media.decode_frames(clip))[::20] == [0, 20, 40]


@pytest.mark.parametrize("sound_s", [1.0, 2.4])
def test_the_sound_stands_alone_where_the_silent_video_is_of_another_length(sound_s: float, tmp_path: Path) -> None:
    info = media.probe(import_with_silent_video(tmp_path, ".flv", sound_s))
    assert info.video is None
    assert info.duration_s == pytest.approx(sound_s)
    notes = json.loads((tmp_path / "out" / "import.json").read_text())["notes"]
    assert "1 silent videos are longer or shorter than the files with their sound; that sound stands alone" in notes


def test_it_is_learned_from_by_the_intended_emotions_and_their_levels(tmp_path: Path) -> None:
    levels = ("1003_IEO_ANG_LO", "1003_IEO_HAP_MD")
    folder = write_crema_d(tmp_path / "corpus", [*STEMS, *levels])
    corpus = read_crema_d(CremaDArguments(folder))
    assert [(one.recording_id, one.speaker, one.label, one.intensity, one.part) for one in corpus.labelled] == [
        ("1001_DFA_ANG_XX", "1001", "angry", None, None),
        ("1001_DFA_HAP_XX", "1001", "happy", None, None),
        ("1001_IEO_SAD_HI", "1001", "sad", "high", None),
        ("1002_TAI_NEU_XX", "1002", "neutral", None, None),
        ("1003_IEO_ANG_LO", "1003", "angry", "low", None),
        ("1003_IEO_HAP_MD", "1003", "happy", "medium", None),
    ]
    assert {(one.reason, one.count) for one in corpus.dropped} == {("label disgust", 1), ("label fear", 1)}
    # The first clip has no video.
    assert [one.streams.views[0] for one in corpus.labelled] == ["audio", *["both"] * 5]
    assert corpus.labelled[1].streams.sound != corpus.labelled[1].streams.face
    assert open_corpus(f"crema-d:{folder}") == corpus


def test_it_is_learned_from_by_votes_and_the_level_of_another_emotion_is_none(tmp_path: Path) -> None:
    folder = write_crema_d(tmp_path / "corpus", STEMS)
    write_crema_d_summary(folder, {**VOTES, "1001_IEO_SAD_HI": "S"})
    corpus = open_corpus(f"crema-d:{folder},labels=votes")
    assert [(one.recording_id, one.label, one.intensity) for one in corpus.labelled] == [
        ("1001_DFA_ANG_XX", "angry", None),
        ("1001_DFA_HAP_XX", "neutral", None),
        ("1001_IEO_DIS_LO", "angry", None),
        ("1001_IEO_SAD_HI", "sad", "high"),
    ]


def test_a_clip_of_video_alone_is_learned_from_and_a_folder_without_clips_refused(tmp_path: Path) -> None:
    write_clip(tmp_path / "one" / "1001_DFA_ANG_XX.mp4", 0.4, 0)
    (only,) = read_crema_d(CremaDArguments(tmp_path / "one")).labelled
    assert only.streams.views[0] == "both"
    (tmp_path / "none").mkdir()
    with pytest.raises(ReleaseError, match=r"none: expected clips named like 1001_DFA_ANG_XX\.flv"):
        read_crema_d(CremaDArguments(tmp_path / "none"))


RATED = {
    ("1001_DFA_ANG_XX", 1): "AAAN",
    ("1001_DFA_ANG_XX", 2): "AAD",
    ("1001_DFA_ANG_XX", 3): "AAAA",
    ("1001_IEO_DIS_LO", 3): "DDA",
}


def votes_of(folder: Path) -> dict[str, tuple[Vote, ...]]:
    release = load_release(str(folder), "singleturn_synthetic")
    return {one.dialogue_id.removeprefix("cremad-"): one.turns[0].votes for one in release.dialogues}


def test_the_counts_of_raters_by_what_they_were_shown_are_written_beside_the_intended_label(tmp_path: Path) -> None:
    corpus = write_crema_d(tmp_path / "corpus", ["1001_DFA_ANG_XX", "1001_IEO_DIS_LO", "1002_TAI_NEU_XX"])
    write_crema_d_tabulated(corpus, RATED)
    imported = import_corpus("crema-d", corpus, tmp_path / "out", labels="all", votes=True)
    assert votes_of(tmp_path / "out") == {
        "1001_DFA_ANG_XX": (
            Vote("both", "anger", 4),
            Vote("picture", "anger", 2),
            Vote("picture", "disgust", 1),
            Vote("sound", "anger", 3),
            Vote("sound", "neutral", 1),
        ),
        "1001_IEO_DIS_LO": (Vote("both", "anger", 1), Vote("both", "disgust", 2)),
        "1002_TAI_NEU_XX": (),
    }
    assert "1 clips have no votes" in imported.found.notes
    assert [read.name for read in imported.found.tables] == ["processedResults/tabulatedVotes.csv"]


def test_single_answers_are_counted_where_the_authors_counts_are_not_there(tmp_path: Path) -> None:
    corpus = write_crema_d(tmp_path / "corpus", ["1001_DFA_ANG_XX"])
    answers = [(stem, kind, letter) for (stem, kind), letters in RATED.items() for letter in letters]
    write_crema_d_responses(corpus, answers)
    import_corpus("crema-d", corpus, tmp_path / "out", labels="all", votes=True)
    write_crema_d_tabulated(corpus, RATED)
    import_corpus("crema-d", corpus, tmp_path / "tabulated", labels="all", votes=True)
    assert votes_of(tmp_path / "out") == votes_of(tmp_path / "tabulated")
    assert len(votes_of(tmp_path / "out")["1001_DFA_ANG_XX"]) == 5


def test_votes_that_nobody_asks_for_change_no_byte_of_a_release(tmp_path: Path) -> None:
    corpus = write_crema_d(tmp_path / "corpus", STEMS)
    import_corpus("crema-d", corpus, tmp_path / "without", labels="all")
    write_crema_d_tabulated(corpus, RATED)
    import_corpus("crema-d", corpus, tmp_path / "beside", labels="all")
    for name in ("README.md", "import.json", "singleturn_synthetic/test-00000.parquet"):
        assert (tmp_path / "without" / name).read_bytes() == (tmp_path / "beside" / name).read_bytes()


def test_votes_are_part_of_what_a_release_says(tmp_path: Path) -> None:
    corpus = write_crema_d(tmp_path / "corpus", ["1001_DFA_ANG_XX"])
    write_crema_d_tabulated(corpus, RATED)
    prints = set()
    for name, votes in (("with", True), ("without", False)):
        import_corpus("crema-d", corpus, tmp_path / name, votes=votes)
        prints.add(load_release(str(tmp_path / name), "singleturn_synthetic").fingerprint)
    assert len(prints) == 2


def test_a_table_of_counts_that_names_no_kind_of_question_is_refused(tmp_path: Path) -> None:
    corpus = write_crema_d(tmp_path / "corpus", ["1001_DFA_ANG_XX"])
    write_crema_d_tabulated(corpus, RATED)
    table = corpus / "processedResults" / "tabulatedVotes.csv"
    table.write_text(table.read_text().replace('"300003"', '"3"'))
    with pytest.raises(ReleaseError, match=r"tabulatedVotes\.csv, line 4: expected a row number such as 100001 .*'3'"):
        import_corpus("crema-d", corpus, tmp_path / "out", votes=True)


def test_votes_need_a_table_of_them(tmp_path: Path) -> None:
    corpus = write_crema_d(tmp_path / "corpus", ["1001_DFA_ANG_XX"])
    with pytest.raises(ReleaseError, match=r"expected processedResults/tabulatedVotes\.csv or finishedResponses\.csv"):
        import_corpus("crema-d", corpus, tmp_path / "out", votes=True)


def test_files_that_the_authors_list_as_wrong_are_left_out_and_right_sounds_kept(tmp_path: Path) -> None:
    stems = ["1001_DFA_SAD_XX", "1064_IEO_DIS_MD", "1064_TIE_SAD_XX", "1076_MTI_NEU_XX", "1076_MTI_SAD_XX"]
    imported = import_corpus("crema-d", write_crema_d(tmp_path / "corpus", stems), tmp_path / "out", labels="all")
    assert sorted(imported.paths.values()) == [f"AudioWAV/{stem}.wav" for stem in stems[:-1]]
    assert left_out(imported) == {"clips that the authors list as wrong": 1}
    assert imported.found.notes[0] == ("3 videos that the authors list as wrong are left out; their sound stands alone")
