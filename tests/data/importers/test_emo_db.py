"""EMO-DB is imported, and learned from, as it is downloaded: names tell speaker, sentence and emotion."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.corpus_trees import pack_zip, write_emo_db
from support.imports import import_corpus, left_out
from support.tiny_corpora import write_wav

from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.data.importers.emo_db import EmoDbArguments, read_emo_db
from avemo_harness.errors import ReleaseError
from avemo_harness.recognizers.corpora import open_corpus

STEMS = ("03a01Fa", "03a01Nc", "03b10Wa", "08a02Ta", "08a05Lc", "16b01Eb", "16b02Ab")


def test_all_seven_emotions_are_kept_in_the_corpus_own_words(tmp_path: Path) -> None:
    imported = import_corpus("emo-db", write_emo_db(tmp_path / "corpus", STEMS), tmp_path / "out", labels="all")
    turns = {one.dialogue_id: one.turns[0] for one in imported.dialogues["test"]}
    assert {name: turn.emotion for name, turn in turns.items()} == {
        "emodb-03a01Fa": "happiness",
        "emodb-03a01Nc": "neutral",
        "emodb-03b10Wa": "anger",
        "emodb-08a02Ta": "sadness",
        "emodb-08a05Lc": "boredom",
        "emodb-16b01Eb": "disgust",
        "emodb-16b02Ab": "fear",
    }
    assert (turns["emodb-08a05Lc"].speaker_id, turns["emodb-03a01Fa"].text) == (
        "speaker-08",
        "Der Lappen liegt auf dem Eisschrank.",
    )
    assert not imported.found.dropped
    assert imported.found.notes == ("7 clips have no face; tasks that need it cannot ask about them",)


def test_the_four_emotions_of_the_benchmark_are_kept_and_the_others_counted(tmp_path: Path) -> None:
    imported = import_corpus("emo-db", write_emo_db(tmp_path / "corpus", STEMS), tmp_path / "out")
    assert [one.turns[0].emotion for one in imported.dialogues["test"]] == ["happy", "neutral", "angry", "sad"]
    assert left_out(imported) == {"label boredom": 1, "label disgust": 1, "label fear": 1}


def test_the_archive_of_the_download_is_read_as_it_is_and_its_language_told(tmp_path: Path) -> None:
    archive = pack_zip(write_emo_db(tmp_path / "corpus", STEMS), tmp_path / "download.zip")
    import_corpus("emo-db", archive, tmp_path / "out", clips="inside", labels="all")
    release = load_release(str(tmp_path / "out"), "singleturn_synthetic")
    assert {(one.language, one.source, one.licence) for one in release.dialogues} == {("de", "EMO-DB", "unknown")}
    assert all(one.turns[0].clip is not None and one.turns[0].clip.read() for one in release.dialogues)


def test_the_listening_test_beside_the_recordings_says_how_well_people_recognise_them(tmp_path: Path) -> None:
    shares = {"03a01Fa": "90,00", "03a01Nc": "100\xa0", "03b10Wa": "", "08a05Lc": "80,00", "99a01Fa": "10"}
    corpus = write_emo_db(tmp_path / "corpus", STEMS, shares)
    import_corpus("emo-db", corpus, tmp_path / "out", labels="all")
    record = json.loads((tmp_path / "out" / "import.json").read_text())
    assert record["notes"][0] == (
        "listeners named the intended emotion in 90.0 % of their answers to 3 of these clips (erkennung.txt)"
    )
    assert [table["name"] for table in record["read"]] == ["erkennung.txt"]


def test_a_recording_that_lies_in_two_folders_is_one(tmp_path: Path) -> None:
    corpus = write_emo_db(tmp_path / "corpus", STEMS[:2])
    write_wav(corpus / "copy" / "wav" / "03a01Fa.wav", 0.4, 9)
    imported = import_corpus("emo-db", corpus, tmp_path / "out")
    assert left_out(imported) == {"recordings that another file has too": 1}
    assert len(imported.dialogues["test"]) == 2


def test_speakers_can_be_kept_for_testing(tmp_path: Path) -> None:
    corpus = write_emo_db(tmp_path / "corpus", STEMS)
    imported = import_corpus("emo-db", corpus, tmp_path / "out", test_speakers="speaker-08")
    assert {part: len(those) for part, those in imported.dialogues.items()} == {"train": 3, "test": 1}


def test_it_is_learned_from_without_parts(tmp_path: Path) -> None:
    folder = write_emo_db(tmp_path / "corpus", STEMS)
    corpus = read_emo_db(EmoDbArguments(folder))
    assert [(one.recording_id, one.speaker, one.label, one.part) for one in corpus.labelled] == [
        ("03a01Fa", "speaker-03", "happy", None),
        ("03a01Nc", "speaker-03", "neutral", None),
        ("03b10Wa", "speaker-03", "angry", None),
        ("08a02Ta", "speaker-08", "sad", None),
    ]
    assert {(one.reason, one.count) for one in corpus.dropped} == {
        ("label boredom", 1),
        ("label disgust", 1),
        ("label fear", 1),
    }
    assert open_corpus(f"emo-db:{folder}") == corpus


def test_a_folder_without_such_recordings_is_refused(tmp_path: Path) -> None:
    corpus = write_emo_db(tmp_path / "corpus", ["08a05Lc"])
    with pytest.raises(ReleaseError, match=r"like 03a01Fa\.wav .*found 1 others; give the folder that holds wav/"):
        import_corpus("emo-db", corpus, tmp_path / "out")
