"""MSP-IMPROV is imported turn by turn, by the label that most raters chose."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus_trees import write_silent_video
from support.dyadic_trees import LENGTH_S, MspImprovRow, write_msp_improv
from support.imports import import_corpus, left_out

from avemo_harness.benchmark.release import Stream, Vote
from avemo_harness.benchmark.release_loader import load_release, streams_of
from avemo_harness.data.importers.base import SINGLE_TURN, ImportedCorpus
from avemo_harness.errors import ReleaseError, UsageError

ROWS: tuple[MspImprovRow, ...] = (
    ("S01A-F01-S-FM01", "N", "How can I not?"),
    ("S01A-M01-R-MM01", "A", "How can I not?"),
    ("S08H-F02-P-MF12", "H", "Okay."),
    ("S11S-M02-T-FM03", "S", "I am quite sure that we will find some way or another."),
    ("S20N-M02-S-MM07", "X", "Well."),
    ("S20N-F02-S-MF08", "O", "Hm."),
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_msp_improv(tmp_path / "corpus", ROWS)


def imported(corpus: Path, out: Path, **options: str) -> ImportedCorpus:
    return import_corpus("msp-improv", corpus, out, on_damage="leave out", **options)


def turns(found: ImportedCorpus, part: str = "test") -> list[tuple[str, str | None, str]]:
    return [
        (dialogue.turns[0].speaker_id, dialogue.turns[0].emotion, dialogue.turns[0].text)
        for of, dialogues in found.dialogues.items()
        if of == part
        for dialogue in dialogues
    ]


def streams(release: Path) -> list[frozenset[Stream]]:
    """Streams of each clip of the release."""
    turns = [dialogue.turns[0] for dialogue in load_release(str(release), SINGLE_TURN).dialogues]
    return [streams_of(turn.clip) for turn in turns if turn.clip is not None]


def test_a_turn_has_its_speaker_the_label_of_most_raters_and_its_words(corpus: Path, tmp_path: Path) -> None:
    found = imported(corpus, tmp_path / "out")
    assert turns(found) == [
        ("F01", "neutral", "How can I not?"),
        ("M01", "angry", "How can I not?"),
        ("F02", "happy", "Okay."),
        ("M02", "sad", "I am quite sure that we will find some way or another."),
    ]
    assert left_out(found) == {"label X": 1, "label O": 1}
    (turn,) = load_release(str(tmp_path / "out"), SINGLE_TURN).dialogues[0].turns
    assert turn.votes == (Vote("both", "happy", 1), Vote("both", "neutral", 1))
    assert streams(tmp_path / "out")[0] == {"sound", "picture"}


def test_all_labels_are_kept_in_the_letters_of_the_corpus(corpus: Path, tmp_path: Path) -> None:
    assert {label for _, label, _ in turns(imported(corpus, tmp_path / "out", labels="all"))} == set("NAHSXO")


def test_the_slip_in_the_name_of_the_labels_and_the_older_layout_are_known(corpus: Path, tmp_path: Path) -> None:
    (corpus / "Evaluation.txt").rename(corpus / "Evalution.txt")
    for session in sorted((corpus / "Audio").iterdir()):
        session.rename(corpus / session.name)
    for clip in (corpus / "Video").rglob("*.avi"):
        clip.rename(clip.with_name(clip.name.replace("MSP-", "UTD-")))
    assert len(turns(imported(corpus, tmp_path / "out"))) == 4
    assert streams(tmp_path / "out") == 4 * [{"sound", "picture"}]


def test_sound_stands_alone_where_there_is_no_video_and_is_joined_to_a_silent_one(tmp_path: Path) -> None:
    corpus = write_msp_improv(tmp_path / "corpus", ROWS[:2], video=False)
    write_silent_video(corpus / "Video" / "session1" / "S01A" / "S" / f"MSP-IMPROV-{ROWS[0][0]}.mp4", LENGTH_S)
    imported(corpus, tmp_path / "out")
    assert streams(tmp_path / "out") == [{"sound", "picture"}, {"sound"}]


def test_what_is_missing_or_malformed_is_named(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no speaker 'F9'"):
        imported(corpus, tmp_path / "out", test_speakers="F9")
    labels = corpus / "Evaluation.txt"
    labels.write_text(labels.read_text().replace("S01A-F01-S-FM01", "S01A-F01"))
    with pytest.raises(ReleaseError, match=r"Evaluation\.txt:1: expected UTD-IMPROV"):
        imported(corpus, tmp_path / "out")
    labels.unlink()
    with pytest.raises(ReleaseError, match=r"expected Evaluation\.txt"):
        imported(corpus, tmp_path / "out")


def test_turns_without_any_clip_are_counted(corpus: Path, tmp_path: Path) -> None:
    for clip in corpus.rglob(f"MSP-IMPROV-{ROWS[0][0]}.[aw]*"):
        clip.unlink()
    assert left_out(imported(corpus, tmp_path / "out"))["turns without video and sound"] == 1
    for clip in corpus.rglob("MSP-IMPROV-*.[aw]*"):
        clip.unlink()
    with pytest.raises(ReleaseError, match=r"none of 6 turns in Evaluation\.txt has a clip"):
        imported(corpus, tmp_path / "other")
