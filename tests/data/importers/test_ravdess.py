"""RAVDESS is imported from wherever its files lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus_trees import write_ravdess
from support.imports import import_corpus, left_out

from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.errors import ReleaseError, UsageError

SPOKEN = "01-01-{emotion}-01-{statement}-01-{actor}.mp4"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    takes = [
        SPOKEN.format(emotion=emotion, statement=statement, actor=actor)
        for actor in ("01", "02")
        for emotion in ("01", "03", "05", "08")
        for statement in ("01", "02")
    ]
    others = ["03-01-03-01-01-01-01.wav", "01-02-03-01-01-01-01.mp4", "03-01-04-02-01-01-02.wav"]
    return write_ravdess(tmp_path / "corpus", [*takes, *others])


def test_takes_are_dialogues_of_one_turn_with_the_words_and_the_actor(corpus: Path, tmp_path: Path) -> None:
    imported = import_corpus("ravdess", corpus, tmp_path / "out")
    release = load_release(str(tmp_path / "out"), "singleturn_synthetic")
    assert len(release.dialogues) == 13
    first = release.dialogues[0]
    assert first.dialogue_id == "ravdess-01-01-01-01-01-01-01"
    assert (first.source, first.licence, first.language) == ("RAVDESS", "CC-BY-NC-SA-4.0", "en")
    (turn,) = first.turns
    assert (turn.role, turn.speaker_id, turn.emotion) == ("user", "actor-01", "neutral")
    assert turn.text == "Kids are talking by the door."
    assert turn.duration_s == pytest.approx(0.4, abs=0.07)
    assert left_out(imported) == {"takes that another file has too": 1, "songs": 1, "label surprised": 4}


def test_opposite_takes_of_an_actor_are_paired_where_they_have_faces(corpus: Path, tmp_path: Path) -> None:
    imported = import_corpus("ravdess", corpus, tmp_path / "out")
    pairs = imported.pairs["test"]
    assert len(pairs) == 8  # two happy and two angry takes of each actor, in both orders; the sad one has no face
    assert load_release(str(tmp_path / "out"), "singleturn_synthetic").pairs == pairs


def test_speakers_can_be_kept_for_testing(corpus: Path, tmp_path: Path) -> None:
    imported = import_corpus("ravdess", corpus, tmp_path / "out", test_speakers="actor-02")
    speakers = {
        part: {turn.speaker_id for dialogue in dialogues for turn in dialogue.turns}
        for part, dialogues in imported.dialogues.items()
    }
    assert speakers == {"train": {"actor-01"}, "test": {"actor-02"}}
    with pytest.raises(UsageError, match="there is no speaker 'actor-3'; nearest: 'actor-02'"):
        import_corpus("ravdess", corpus, tmp_path / "other", test_speakers="actor-3")


def test_a_folder_without_takes_is_an_error_that_says_how_they_are_named(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"expected files named like 03-01-05-01-01-01-07\.wav"):
        import_corpus("ravdess", tmp_path, tmp_path / "out")


def test_the_real_voices_are_imported(real_media: Path, tmp_path: Path) -> None:
    imported = import_corpus("ravdess", real_media / "ravdess_speech" / "Actor_07", tmp_path / "out")
    (dialogues,) = imported.dialogues.values()
    assert len(dialogues) == 28
    assert not imported.dropped
    assert imported.notes == ("28 clips have no face; tasks that need it cannot ask about them",)
