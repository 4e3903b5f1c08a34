"""MELD is imported as stretches of two people who take turns."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus_trees import MeldRow, pack_tar, write_clip, write_meld, write_silent_video
from support.imports import import_corpus, left_out

from avemo_harness.errors import ReleaseError

TRAIN: tuple[MeldRow, ...] = (
    (0, 0, "Ross", "joy", "It’s me."),
    (0, 1, "Rachel", "surprise", "Oh!"),
    (0, 2, "Ross", "anger", "Well…"),
    (0, 3, "Joey", "neutral", "Hey."),
    (0, 4, "Ross", "neutral", "Hey Joey."),
    (0, 5, "Joey", "sadness", "I’m hungry."),
    (0, 6, "Ross", "joy", "Again?"),
    (0, 7, "All", "joy", "Hey!"),
    (1, 0, "Monica", "neutral", "Hi."),
    (1, 2, "Phoebe", "neutral", "Hi."),
    (1, 3, "Monica", "fear", "Who is there?"),
)
TEST: tuple[MeldRow, ...] = tuple((0, n, "AB"[n % 2], "neutral", "Yes.") for n in range(3))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = write_meld(tmp_path / "corpus", {"train": TRAIN, "test": TEST})
    write_clip(folder / "output_repeated_splits_test" / "final_videos_testdia0_utt0.mp4", 0.4, 0)
    (folder / "train_splits" / "._dia0_utt0.mp4").write_bytes(b"left by another system")
    return folder


def test_segments_are_of_two_people_and_every_user_turn_has_a_label(corpus: Path, tmp_path: Path) -> None:
    imported = import_corpus("meld", corpus, tmp_path / "out")
    found = {
        dialogue.dialogue_id: [(turn.role, turn.speaker_id, turn.emotion) for turn in dialogue.turns]
        for dialogue in imported.dialogues["train"]
    }
    assert found == {
        "meld-train-0000-00": [("user", "ross", "happy"), ("assistant", "rachel", None), ("user", "ross", "angry")],
        "meld-train-0000-03": [
            ("user", "joey", "neutral"),
            ("assistant", "ross", "neutral"),
            ("user", "joey", "sad"),
            ("assistant", "ross", "happy"),
        ],
    }
    assert [dialogue.dialogue_id for dialogue in imported.dialogues["test"]] == ["meld-test-0000-00"]
    assert imported.dialogues["train"][0].turns[0].text == "It’s me."


def test_each_utterance_that_is_left_out_is_counted_once(corpus: Path, tmp_path: Path) -> None:
    imported = import_corpus("meld", corpus, tmp_path / "out")
    assert left_out(imported) == {
        "copies of clips named final_videos_test…": 1,
        "utterances of several people at once": 1,
        "utterances in no segment of 3 to 5 turns": 2,
        "label fear": 1,
    }
    kept = sum(len(one.turns) for those in imported.dialogues.values() for one in those)
    assert kept + 1 + 2 + 1 == len(TRAIN) + len(TEST)


def test_an_utterance_without_a_clip_ends_a_segment(corpus: Path, tmp_path: Path) -> None:
    (corpus / "train_splits" / "dia0_utt5.mp4").unlink()
    imported = import_corpus("meld", corpus, tmp_path / "out")
    assert [one.dialogue_id for one in imported.dialogues["train"]] == ["meld-train-0000-00"]
    assert left_out(imported)["utterances without a clip"] == 1


def test_an_utterance_that_is_only_missed_in_the_count_of_all_ends_a_segment_too(corpus: Path, tmp_path: Path) -> None:
    table = corpus / "train_sent_emo.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    later = [f"{int(line.partition(',')[0]) + 1},{line.partition(',')[2]}" for line in lines[6:]]
    table.write_text("\n".join([*lines[:6], *later]) + "\n", encoding="utf-8")
    imported = import_corpus("meld", corpus, tmp_path / "out")
    assert [one.dialogue_id for one in imported.dialogues["train"]] == ["meld-train-0000-00"]


@pytest.mark.parametrize("speaker", ["Ross and Joey", "Ross & Joey", "Ross, Joey", "Ross/Joey", "BOTH"])
def test_several_people_are_no_speaker(speaker: str, tmp_path: Path) -> None:
    rows = tuple((0, n, [speaker, "Monica"][n % 2], "joy", "Yes.") for n in range(3))
    corpus = write_meld(tmp_path / "corpus", {"train": rows, "test": TEST})
    imported = import_corpus("meld", corpus, tmp_path / "out")
    assert set(imported.dialogues) == {"test"}
    assert left_out(imported)["utterances of several people at once"] == 2


def test_a_name_that_holds_the_word_is_one_person(tmp_path: Path) -> None:
    rows = tuple((0, n, ["Sandy Anderson", "Monica"][n % 2], "joy", "Yes.") for n in range(3))
    imported = import_corpus("meld", write_meld(tmp_path / "corpus", {"train": rows}), tmp_path / "out")
    assert imported.dialogues["train"][0].turns[0].speaker_id == "sandy anderson"


def test_archives_inside_an_archive_are_named(corpus: Path, tmp_path: Path) -> None:
    inner = tmp_path / "raw"
    inner.mkdir()
    pack_tar(corpus / "train_splits", inner / "train.tar.gz")
    (inner / "train_sent_emo.csv").write_bytes((corpus / "train_sent_emo.csv").read_bytes())
    raw = pack_tar(inner, tmp_path / "MELD.Raw.tar.gz")
    with pytest.raises(ReleaseError, match=r"unpack MELD\.Raw\.tar\.gz/train\.tar\.gz"):
        import_corpus("meld", raw, tmp_path / "out")


def test_one_person_in_two_spellings_takes_no_turns_with_herself(tmp_path: Path) -> None:
    rows = tuple((0, n, ["Person One", "person  one "][n % 2], "joy", "Yes.") for n in range(3))
    imported = import_corpus("meld", write_meld(tmp_path / "corpus", {"train": rows, "test": TEST}), tmp_path / "out")
    assert set(imported.dialogues) == {"test"}
    assert left_out(imported) == {"utterances in no segment of 3 to 5 turns": 3}


def test_a_clip_that_is_much_longer_than_its_utterance_is_left_out_with_its_dialogue(tmp_path: Path) -> None:
    rows = tuple((0, n, "AB"[n % 2], "joy", "Yes.") for n in range(3))
    corpus = write_meld(tmp_path / "corpus", {"train": rows, "test": TEST})
    write_silent_video(corpus / "train_splits" / "dia0_utt0.mp4", 6.5)
    imported = import_corpus("meld", corpus, tmp_path / "out")
    assert set(imported.dialogues) == {"test"}
    assert left_out(imported) == {
        "clips much longer than their utterance": 1,
        "utterances in no segment of 3 to 5 turns": 2,
    }


def test_the_reason_is_told_where_every_clip_is_much_longer_than_its_utterance(tmp_path: Path) -> None:
    corpus = write_meld(tmp_path / "corpus", {"test": TEST})
    for n in range(3):
        write_silent_video(corpus / "output_repeated_splits_test" / f"dia0_utt{n}.mp4", 6.5)
    with pytest.raises(ReleaseError, match=r"no segment .* \(3: clips much longer than their utterance\)"):
        import_corpus("meld", corpus, tmp_path / "out")


@pytest.mark.parametrize(
    ("end", "expected"), [("00:00:09,500", {"train"}), ("", {"train"}), ("soon", {"train"}), ("00:00:01,000", set())]
)
def test_lengths_are_compared_where_the_table_tells_them(end: str, expected: set[str], tmp_path: Path) -> None:
    rows = tuple((0, n, "AB"[n % 2], "joy", "Yes.") for n in range(3))
    corpus = write_meld(tmp_path / "corpus", {"train": rows, "test": TEST})
    write_silent_video(corpus / "train_splits" / "dia0_utt0.mp4", 6.5)
    table = corpus / "train_sent_emo.csv"
    table.write_text(table.read_text().replace('"00:00:00,000","00:00:01,000"', f'"00:00:00,000","{end}"'))
    imported = import_corpus("meld", corpus, tmp_path / "out")
    assert set(imported.dialogues) == {"test", *expected}


def test_a_line_without_numbers_is_an_error_that_names_it(corpus: Path, tmp_path: Path) -> None:
    table = corpus / "train_sent_emo.csv"
    table.write_text(table.read_text().replace("neutral,0,3,", "neutral,0,three,"))
    with pytest.raises(ReleaseError, match=r"train_sent_emo\.csv:5: expected numbers"):
        import_corpus("meld", corpus, tmp_path / "out")
