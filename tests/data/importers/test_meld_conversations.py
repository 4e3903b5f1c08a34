"""MELD is imported as whole conversations of several people, each of whom is asked about."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus_trees import MeldRow, write_clip, write_meld, write_silent_video
from support.imports import import_corpus, left_out

from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.data.importers.base import CONVERSATIONS, ImportedCorpus
from avemo_harness.errors import ReleaseError

TEST: tuple[MeldRow, ...] = (
    (0, 0, "Mark", "surprise", "Why do all you’re coffee mugs have numbers on the bottom?"),
    (0, 1, "Rachel", "anger", "Oh. That’s so Monica can keep track."),
    (0, 2, "rachel ", "neutral", "Y'know what?"),
    (0, 4, "All", "joy", "Hey!"),
    (3, 0, "Joey", "fear", "Who is there?"),
)
PARTS = {"test": TEST, "train": TEST[:2], "dev": TEST[:1]}
WORDS = "whose words stand in their conversation"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_meld(tmp_path / "corpus", PARTS)


def imported(corpus: Path, out: Path, **options: str) -> ImportedCorpus:
    return import_corpus("meld", corpus, out, on_damage="leave out", dialogues="whole", labels="all", **options)


def said(found: ImportedCorpus) -> dict[str, list[tuple[str, str | None, bool]]]:
    """Speaker, label, and whether there is a clip, of each turn of the conversations of the test part."""
    return {
        dialogue.dialogue_id: [(turn.speaker_id, turn.emotion, turn.clip is not None) for turn in dialogue.turns]
        for dialogue in found.dialogues["test"]
    }


def test_every_utterance_of_everybody_is_a_turn_to_ask_about(corpus: Path, tmp_path: Path) -> None:
    found = imported(corpus, tmp_path / "out")
    assert said(found) == {
        "meld-test-0000": [
            ("Mark", "surprise", True),
            ("Rachel", "anger", True),
            ("Rachel", "neutral", True),
            ("All", "joy", True),
        ],
        "meld-test-0003": [("Joey", "fear", True)],
    }
    assert {turn.role for dialogue in found.dialogues["test"] for turn in dialogue.turns} == {"user"}
    assert {part: len(dialogues) for part, dialogues in found.dialogues.items()} == {
        "train": 1,
        "validation": 1,
        "test": 2,
    }
    assert left_out(found) == {}
    assert len(load_release(str(tmp_path / "out"), CONVERSATIONS).dialogues) == 2


def test_the_real_oddities_of_the_clips_leave_the_words_of_their_utterances(corpus: Path, tmp_path: Path) -> None:
    test = corpus / "output_repeated_splits_test"
    (test / "dia0_utt0.mp4").unlink()  # as dia110_utt7 of the development part
    (test / "dia0_utt1.mp4").write_bytes((test / "dia0_utt4.mp4").read_bytes()[:400])  # as dia125_utt3 of training
    write_silent_video(test / "dia0_utt2.mp4", 6.5)  # as dia38_utt4 of the test part
    write_clip(test / "final_videos_testdia0_utt4.mp4", 0.4, 0)
    write_clip(test / "dia108_utt2.mp4", 0.4, 0)
    (test / "._dia0_utt0.mp4").write_bytes(b"left by another system")
    found = imported(corpus, tmp_path / "out")
    assert [has_clip for _, _, has_clip in said(found)["meld-test-0000"]] == [False, False, False, True]
    assert left_out(found) == {
        "copies of clips named final_videos_test…": 1,
        "clips that no table names": 1,
        f"utterances without a clip, {WORDS}": 1,
        f"clips much longer than their utterance, {WORDS}": 1,
        f"utterances with a damaged clip, {WORDS}": 1,
    }
    assert list(found.bad_files) == ["output_repeated_splits_test/dia0_utt1.mp4"]
    assert found.dialogues["test"][0].turns[1].text == "Oh. That’s so Monica can keep track."


def test_words_that_were_read_in_the_wrong_encoding_are_restored(tmp_path: Path) -> None:
    corpus = write_meld(tmp_path / "corpus", {"test": [(0, 0, "Ross", "joy", "It\x92s me.")]})
    assert imported(corpus, tmp_path / "out").dialogues["test"][0].turns[0].text == "It’s me."


def test_an_utterance_that_a_table_has_twice_is_one_turn(corpus: Path, tmp_path: Path) -> None:
    table = corpus / "test_sent_emo.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join([*lines, lines[1]]) + "\n", encoding="utf-8")
    found = imported(corpus, tmp_path / "out")
    assert (len(said(found)["meld-test-0000"]), left_out(found)) == (4, {"utterances that a table has twice": 1})


def test_a_conversation_of_damaged_clips_alone_is_left_out(corpus: Path, tmp_path: Path) -> None:
    (corpus / "output_repeated_splits_test" / "dia3_utt0.mp4").write_bytes(b"no clip")
    found = imported(corpus, tmp_path / "out")
    assert (list(said(found)), left_out(found)) == (["meld-test-0000"], {"dialogues with a damaged clip": 1})


def test_the_reason_is_told_where_no_conversation_has_a_clip_that_can_be_shown(tmp_path: Path) -> None:
    corpus = write_meld(tmp_path / "corpus", {"test": TEST[-1:]})
    write_silent_video(corpus / "output_repeated_splits_test" / "dia3_utt0.mp4", 6.5)
    with pytest.raises(ReleaseError, match=r"no conversation with a clip among 1 utterances \(1: clips much longer"):
        imported(corpus, tmp_path / "out")
