"""RAVDESS is imported, and learned from, wherever its files lie: their names tell label and speaker."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from support.corpus_trees import pack_zip, write_ravdess
from support.imports import import_corpus, left_out
from support.tiny_corpora import write_clip, write_silent_clip, write_wav

from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.data.importers.ravdess import RavdessArguments, read_ravdess
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


def test_the_real_voices_are_imported(real_media: Path, tmp_path: Path) -> None:
    imported = import_corpus("ravdess", real_media / "ravdess_speech" / "Actor_07", tmp_path / "out")
    (dialogues,) = imported.dialogues.values()
    assert len(dialogues) == 28
    assert not imported.found.dropped
    assert imported.found.notes == ("28 clips have no face; tasks that need it cannot ask about them",)


def test_names_tell_label_and_speaker(tmp_path: Path) -> None:
    write_wav(tmp_path / "Actor_12" / "03-01-04-01-01-01-12.wav", 0.2)
    write_wav(tmp_path / "Actor_02" / "03-01-05-02-01-01-02.wav", 0.2, seed=1)
    write_wav(tmp_path / "Actor_02" / "notes.wav", 0.2)
    corpus = read_ravdess(RavdessArguments(tmp_path))
    assert [(one.recording_id, one.speaker, one.face, one.label, one.part) for one in corpus.labelled] == [
        ("03-01-05-02-01-01-02", "actor-02", "actor-02", "angry", None),
        ("03-01-04-01-01-01-12", "actor-12", "actor-12", "sad", None),
    ]
    assert corpus.dropped == ()
    assert corpus.labelled[0].dialogue == corpus.labelled[0].recording_id


def test_a_take_is_read_once_from_the_file_that_has_most(tmp_path: Path) -> None:
    write_clip(tmp_path / "01-01-03-01-01-01-01.mp4", 0.4)
    write_silent_clip(tmp_path / "02-01-03-01-01-01-01.mp4", 0.4)
    write_wav(tmp_path / "03-01-03-01-01-01-01.wav", 0.4)
    write_silent_clip(tmp_path / "02-01-04-01-01-01-01.mp4", 0.4)
    corpus = read_ravdess(RavdessArguments(tmp_path))
    assert {one.recording_id: one.streams.views[0] for one in corpus.labelled} == {
        "01-01-03-01-01-01-01": "both",
        "02-01-04-01-01-01-01": "video",
    }
    assert [(one.reason, one.count) for one in corpus.dropped] == [("takes that another file has too", 2)]


def test_a_folder_without_such_files_is_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "03-02-03-01-01-01-01.wav", 0.2)
    with pytest.raises(ReleaseError, match=r"like 03-01-05-01-01-01-07\.wav .*found 1 others; give the folder"):
        read_ravdess(RavdessArguments(tmp_path))


def test_real_voices_are_labelled(real_media: Path) -> None:
    corpus = read_ravdess(RavdessArguments(real_media / "ravdess_speech"))
    assert Counter(one.label for one in corpus.labelled) == {"neutral": 48, "happy": 96, "sad": 96, "angry": 96}
    assert len({one.speaker for one in corpus.labelled}) == 12
    assert all(one.streams.views == ("audio",) and 2 < one.streams.duration_s < 7 for one in corpus.labelled)


def test_the_intensity_that_was_asked_of_the_actor_is_read(tmp_path: Path) -> None:
    write_wav(tmp_path / "03-01-05-01-01-01-02.wav", 0.2)
    write_wav(tmp_path / "03-01-05-02-01-01-02.wav", 0.2, seed=1)
    corpus = read_ravdess(RavdessArguments(tmp_path))
    assert [one.intensity for one in corpus.labelled] == ["medium", "high"]


SUNG = (
    "01-02-01-01-01-01-01.mp4",
    "01-02-02-01-01-01-01.mp4",
    "03-02-06-02-02-01-17.wav",
)


def test_songs_are_a_corpus_of_their_own_with_six_labels(tmp_path: Path) -> None:
    corpus = write_ravdess(tmp_path / "corpus", [*SUNG, "01-01-08-01-01-01-18.mp4"])
    imported = import_corpus("ravdess-song", corpus, tmp_path / "out", labels="all")
    assert [(one.dialogue_id, one.source, one.turns[0].emotion) for one in imported.dialogues["test"]] == [
        ("ravdess-01-02-01-01-01-01-01", "RAVDESS, song", "neutral"),
        ("ravdess-01-02-02-01-01-01-01", "RAVDESS, song", "calm"),
        ("ravdess-03-02-06-02-02-01-17", "RAVDESS, song", "fearful"),
    ]
    assert left_out(imported) == {"spoken takes": 1}
    assert set(imported.found.about.label_map) == {"neutral", "calm", "happy", "sad", "angry", "fearful"}


def test_archives_of_an_actor_and_of_a_modality_are_read_side_by_side(tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.mkdir()
    spoken = ["01-01-03-01-01-01-01.mp4", "02-01-03-01-01-01-01.mp4"]
    pack_zip(write_ravdess(tmp_path / "a", spoken), packed / "Video_Speech_Actor_01.zip")
    pack_zip(write_ravdess(tmp_path / "b", SUNG[:1]), packed / "Video_Song_Actor_01.zip")
    heard = ["03-01-03-01-01-01-01.wav", "03-01-05-01-01-01-02.wav"]
    pack_zip(write_ravdess(tmp_path / "c", heard), packed / "Audio_Speech_Actors_01-24.zip")
    imported = import_corpus("ravdess", packed, tmp_path / "out", labels="all")
    assert [one.dialogue_id for one in imported.dialogues["test"]] == [
        "ravdess-01-01-03-01-01-01-01",
        "ravdess-03-01-05-01-01-01-02",
    ]
    assert left_out(imported) == {"takes that another file has too": 2, "songs": 1}


def test_a_copy_that_holds_every_actor_twice_gives_every_take_once(tmp_path: Path) -> None:
    takes = ["03-01-03-01-01-01-01.wav", "03-01-07-01-01-01-01.wav"]
    write_ravdess(tmp_path / "corpus", takes)
    write_ravdess(tmp_path / "corpus" / "audio_speech_actors_01-24", takes)
    imported = import_corpus("ravdess", tmp_path / "corpus", tmp_path / "out", labels="all")
    assert sorted(one.turns[0].emotion or "" for one in imported.dialogues["test"]) == ["disgust", "happy"]
    assert left_out(imported) == {"takes that another file has too": 2}


def test_a_folder_of_speech_holds_no_songs(tmp_path: Path) -> None:
    corpus = write_ravdess(tmp_path / "corpus", ["03-01-03-01-01-01-01.wav"])
    with pytest.raises(ReleaseError, match=r"like 03-02-05-01-01-01-07\.wav \(sung, .*found 1 others"):
        import_corpus("ravdess-song", corpus, tmp_path / "out")
