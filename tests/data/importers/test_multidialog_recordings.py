"""MultiDialog's utterances are recordings that recognisers learn from, once its archives are unpacked."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tiny_corpora import dialogue_name, write_multidialog_metadata, write_multidialog_sound, write_silent_clip

from avemo_harness.data.importers.multidialog import MultiDialogArguments, list_utterances, read_multidialog
from avemo_harness.errors import ReleaseError
from avemo_harness.recognizers.recordings import Corpus

TRAIN = [(1, 0, "a", "Neutral"), (1, 1, "b", "Happy"), (1, 2, "a", "Fear"), (2, 0, "c", "Sad")]
VALID = [(3, 0, "a", "Angry"), (3, 1, "d", "Surprising")]
TEST = [(4, 0, "b", "Happy"), (4, 1, "l", "Disgusting")]
SHARDS = {"train": TRAIN, "valid_rare": VALID, "test_freq": TEST}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split, rows in SHARDS.items():
        write_multidialog_metadata(tmp_path / "metadata" / split / f"{split}_metadata_0000.jsonl", rows)
        write_multidialog_sound(tmp_path / "data" / split / f"{split}_chunks_0000", rows)
    return tmp_path


def reasons(corpus: Corpus) -> dict[str, int]:
    return {one.reason: one.count for one in corpus.dropped}


def test_an_utterance_is_a_recording_of_its_actor_in_its_part(folder: Path) -> None:
    corpus = read_multidialog(MultiDialogArguments(folder))
    (first,) = (one for one in corpus.labelled if one.label == "neutral")
    assert (first.recording_id, first.dialogue) == (f"{dialogue_name(1)}_0a", dialogue_name(1))
    assert {(one.speaker, one.label, one.part) for one in corpus.labelled} == {
        ("a", "neutral", "train"),
        ("b", "happy", "train"),
        ("c", "sad", "train"),
        ("a", "angry", "validation"),
        ("b", "happy", "test"),
    }
    assert all(one.face == one.speaker and one.streams.views == ("audio",) for one in corpus.labelled)


def test_it_is_told_what_is_left_out_and_how_much_of_the_corpus_is_not_there(folder: Path) -> None:
    found = reasons(read_multidialog(MultiDialogArguments(folder)))
    assert [found[f"label {label}"] for label in ("fear", "surprising", "disgusting")] == [1, 1, 1]
    assert found["dialogues of the train part that are not here, of 7,011"] == 7_009
    assert found["dialogues of the validation part that are not here, of 891"] == 890
    assert found["dialogues of the test part that are not here, of 831"] == 830


def test_the_whole_corpus_lacks_nothing(tmp_path: Path) -> None:
    write_multidialog_sound(tmp_path, [(0, 0, "a", "")])
    for split, first, count in [("train", 0, 7_011), ("valid_freq", 7_011, 891), ("test_rare", 7_902, 832)]:
        rows = [(dialogue, 0, "a", "Sad") for dialogue in range(first, first + count)]
        write_multidialog_metadata(tmp_path / "metadata" / f"{split}_metadata_0000.jsonl", rows)
    assert reasons(read_multidialog(MultiDialogArguments(tmp_path))) == {
        "dialogues of the test part more than 831, read": 1,
        "utterances without a sound file": 8_733,
    }


def test_only_the_actors_asked_for_are_read(folder: Path) -> None:
    corpus = read_multidialog(MultiDialogArguments(folder, actors="ac"))
    assert {one.speaker for one in corpus.labelled} == {"a", "c"}
    assert reasons(corpus)["utterances of other actors"] == 4


def test_utterances_without_sound_are_left_out_and_counted(folder: Path) -> None:
    name = dialogue_name(2)
    (folder / "data" / "train" / "train_chunks_0000" / name / f"{name}_0c.wav").unlink()
    corpus = read_multidialog(MultiDialogArguments(folder))
    assert "c" not in {one.speaker for one in corpus.labelled}
    assert reasons(corpus)["utterances without a sound file"] == 1


def test_sound_and_videos_of_utterances_may_lie_elsewhere(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sound, video = tmp_path_factory.mktemp("sound"), tmp_path_factory.mktemp("video")
    (folder / "data").rename(sound / "data")
    write_silent_clip(video / dialogue_name(4) / f"{dialogue_name(4)}_0b.mp4", 0.2)
    corpus = read_multidialog(MultiDialogArguments(folder, sound=sound, video=video))
    views = {one.part: one.streams.views[0] for one in corpus.labelled}
    assert views == {"train": "audio", "validation": "audio", "test": "both"}


def test_metadata_may_be_in_one_file(tmp_path: Path) -> None:
    write_multidialog_metadata(tmp_path / "metadata.jsonl", TRAIN)
    assert {one.part for one in list_utterances(tmp_path)} == {"validation"}, "by the folder in the original path"


def test_without_sound_it_is_told_how_to_unpack(folder: Path) -> None:
    with pytest.raises(ReleaseError, match=r"none of 5 utterances .*tar -xzf data/train/train_chunks_0000\.tar\.gz"):
        read_multidialog(MultiDialogArguments(folder, sound=folder / "metadata"))
    with pytest.raises(ReleaseError, match="none of 5 utterances has its video among 0 mp4 files"):
        read_multidialog(MultiDialogArguments(folder, video=folder))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"emotion": "Sad"}', "expected texts 'file_name'"),
        ('{"file_name": "x/y.wav", "emotion": "Sad"}', "expected a file named t_<dialogue>_<number><actor>"),
        ("[1]", "expected a JSON object"),
        ("{", "cannot be read"),
        (
            '{"file_name": "t_a_0a.wav", "emotion": "Sad"}\n{"audpath": "t_a_0a.wav", "emotion": "Sad"}',
            "is there twice",
        ),
    ],
)
def test_malformed_metadata_are_refused(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "metadata.jsonl").write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(ReleaseError, match=rf"metadata\.jsonl.*{message}"):
        list_utterances(tmp_path)


def test_a_folder_without_metadata_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="expected metadata/train"):
        list_utterances(tmp_path)
