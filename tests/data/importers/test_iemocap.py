"""IEMOCAP is imported as dialogues in which both actors are asked about, by their sound."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus_trees import pack_tar
from support.dyadic_trees import IemocapRow, write_iemocap
from support.imports import import_corpus, left_out

from avemo_harness.data.importers.base import ImportedCorpus
from avemo_harness.errors import ReleaseError, UsageError

ROWS: tuple[IemocapRow, ...] = (
    ("Ses01F_impro01_F000", 6.2901, "neu", "Excuse me."),
    ("Ses01F_impro01_M000", 7.5712, "fru", "Do you have your forms?"),
    ("Ses01F_impro01_M001", 9.1, "xxx", "Did you get the mail?"),
    ("Ses01F_impro01_F001", 6.5, "exc", "Yeah."),
    ("Ses05M_script01_1b_M000", 1.0, "ang", "What happened here?"),
    ("Ses05M_script01_1b_F000", 2.0, "hap", "The wind."),
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_iemocap(tmp_path / "IEMOCAP_full_release", ROWS)


def imported(corpus: Path, out: Path, **options: str) -> ImportedCorpus:
    return import_corpus("iemocap", corpus, out, on_damage="leave out", **options)


def said(found: ImportedCorpus, part: str = "test") -> dict[str, list[tuple[str, str | None, str]]]:
    """Speaker, label and words of each turn."""
    return {
        dialogue.dialogue_id: [(turn.speaker_id, turn.emotion, turn.text) for turn in dialogue.turns]
        for of, dialogues in found.dialogues.items()
        if of == part
        for dialogue in dialogues
    }


def test_the_turns_of_both_actors_stand_in_the_order_in_which_they_begin(corpus: Path, tmp_path: Path) -> None:
    found = imported(corpus, tmp_path / "out", labels="all")
    assert said(found) == {
        "iemocap-Ses01F_impro01": [
            ("Ses01_F", "neu", "Excuse me."),
            ("Ses01_F", "exc", "Yeah."),
            ("Ses01_M", "fru", "Do you have your forms?"),
            ("Ses01_M", "xxx", "Did you get the mail?"),
        ],
        "iemocap-Ses05M_script01_1b": [("Ses05_M", "ang", "What happened here?"), ("Ses05_F", "hap", "The wind.")],
    }
    assert found.found.notes == (
        "1 utterances begin before an earlier one ends",
        "single raters chose the label of most in 13.3 % of 15 votes, their own among them",
        "6 clips have no face; tasks that need it cannot ask about them",
    )
    assert not found.found.about.redistributable


def test_happiness_and_excitement_are_one_of_the_four(corpus: Path, tmp_path: Path) -> None:
    turns = [turn for talk in said(imported(corpus, tmp_path / "out")).values() for turn in talk]
    assert [label for _, label, _ in turns] == ["neutral", "happy", None, None, "angry", "happy"]


def test_one_session_can_be_tested_and_the_others_left_for_training(corpus: Path, tmp_path: Path) -> None:
    found = imported(corpus, tmp_path / "out", test_sessions="5")
    assert list(said(found, "test")) == ["iemocap-Ses05M_script01_1b"]
    assert list(said(found, "train")) == ["iemocap-Ses01F_impro01"]
    with pytest.raises(UsageError, match="test_sessions: there is no session '6'"):
        imported(corpus, tmp_path / "other", test_sessions="6")


def test_the_release_is_read_from_its_archive_too(corpus: Path, tmp_path: Path) -> None:
    archive = pack_tar(corpus.parent, tmp_path.parent / f"{tmp_path.name}.tar.gz")
    assert len(said(imported(archive, tmp_path / "out"))) == 2


def test_an_utterance_without_sound_or_with_damaged_sound_keeps_its_words(corpus: Path, tmp_path: Path) -> None:
    wavs = corpus / "Session1" / "sentences" / "wav" / "Ses01F_impro01"
    (wavs / "Ses01F_impro01_F000.wav").unlink()
    (wavs / "Ses01F_impro01_M000.wav").write_bytes(b"RIFF")
    found = imported(corpus, tmp_path / "out", labels="all")
    first = found.dialogues["test"][0]
    assert [turn.clip is not None for turn in first.turns] == [False, True, False, True]
    words = "whose words stand in their conversation"
    assert left_out(found) == {
        f"utterances without sound, {words}": 1,
        f"utterances with a damaged clip, {words}": 1,
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\tneu\t", "\t", r"Ses01F_impro01\.txt:3: expected \[start - end\]"),
        (
            "Ses01F_impro01_M000",
            "Ses01F_impro01_F000",
            r"\.txt:12: Ses01F_impro01_F000 stands there twice",
        ),
        ("Ses01F_impro01_M000", "Ses02F_impro01_M000", "an utterance of Ses01F_impro01"),
    ],
)
def test_a_line_that_is_no_label_is_an_error_that_names_it(
    old: str, new: str, message: str, corpus: Path, tmp_path: Path
) -> None:
    file = corpus / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ReleaseError, match=message):
        imported(corpus, tmp_path / "out")


def test_what_is_missing_is_named(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="holds Session1 to Session5"):
        imported(corpus / "Session1" / "sentences", tmp_path / "out")
    with pytest.raises(ReleaseError, match="none of 4 utterances has its sound"):
        imported(corpus / "Session1" / "dialog", tmp_path / "out")
