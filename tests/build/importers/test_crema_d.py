"""CREMA-D is imported with the emotion that was asked for, or with the one that raters saw and heard."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus_trees import write_crema_d, write_crema_d_responses, write_crema_d_summary
from support.imports import import_corpus, left_out

from avemo_harness.build.importers.base import Imported
from avemo_harness.errors import MediaError, ReleaseError

STEMS = (
    "1001_DFA_ANG_XX",
    "1001_DFA_HAP_XX",
    "1001_IEO_SAD_HI",
    "1001_IEO_DIS_LO",
    "1002_IEO_FEA_MD",
    "1002_TAI_NEU_XX",
)


def labels(imported: Imported) -> dict[str, str | None]:
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
    assert imported.notes == ("1 clips have no face; tasks that need it cannot ask about them",)


VOTES = {
    "1001_DFA_ANG_XX": "A",
    "1001_DFA_HAP_XX": "N",
    "1001_IEO_SAD_HI": "S:N",
    "1001_IEO_DIS_LO": "A",
    "1002_IEO_FEA_MD": "F",
}


def check_votes(imported: Imported) -> None:
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


def test_clips_that_git_lfs_has_not_fetched_are_named(tmp_path: Path) -> None:
    corpus = write_crema_d(tmp_path / "corpus", STEMS[:2])
    clip = corpus / "VideoFlash" / f"{STEMS[1]}.mp4"
    clip.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n")
    with pytest.raises(MediaError, match=STEMS[1]):
        import_corpus("crema-d", corpus, tmp_path / "out")
