"""MultiDialog is imported as segments of 3 to 5 turns, and its utterances are recordings to learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.clips import make_clip, pattern, positions
from support.corpus_trees import MultiDialogRow, pack_multidialog, write_film, write_multidialog, write_utterance_videos
from support.imports import import_corpus, left_out
from support.tiny_corpora import dialogue_name, write_multidialog_metadata, write_multidialog_sound, write_silent_clip

from avemo_harness import media
from avemo_harness.data.importers.base import ImportedCorpus
from avemo_harness.data.importers.multidialog import MultiDialogArguments, list_utterances, read_multidialog
from avemo_harness.errors import MediaError, ReleaseError, UsageError
from avemo_harness.recognizers.recordings import Corpus

TRAIN: tuple[MultiDialogRow, ...] = (
    (1, 0, "a", "Neutral"),
    (1, 1, "b", "Surprising"),
    (1, 2, "a", "Happy"),
    (1, 3, "b", "Fear"),
    (1, 4, "a", "Sad"),
    (1, 5, "b", "Disgusting"),
    (1, 6, "a", "Happy"),
    (1, 7, "b", "Happy"),
    (1, 8, "a", "Angry"),
    (1, 9, "b", "Happy"),
    (1, 10, "b", "Happy"),
)
VALID: tuple[MultiDialogRow, ...] = tuple((2, n, "cd"[n % 2], "Neutral") for n in range(4))
TEST: tuple[MultiDialogRow, ...] = tuple((3, n, "bc"[n % 2], ("Happy", "Sad")[n // 2]) for n in range(3))
SPLITS = {"train": TRAIN, "valid_rare": VALID, "test_freq": TEST}
TOTAL = sum(map(len, SPLITS.values()))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_multidialog(tmp_path_factory.mktemp("multidialog") / "corpus", SPLITS)


def segments(imported: ImportedCorpus) -> dict[str, list[str]]:
    """Of each part, the segments: dialogue number, first utterance, and the turns' actors."""
    names = {dialogue_name(number): number for number in range(9)}
    return {
        part: [
            f"{names[one.dialogue_id[:-4]]} {one.dialogue_id[-3:]} "
            + "".join(turn.speaker_id.removeprefix("actor-") for turn in one.turns)
            for one in dialogues
        ]
        for part, dialogues in imported.dialogues.items()
    }


def test_segments_are_as_long_as_their_labels_allow_and_stay_in_their_official_parts(
    corpus: Path, tmp_path: Path
) -> None:
    imported = import_corpus("multidialog", corpus, tmp_path / "out")
    assert segments(imported) == {
        "train": ["1 000 ababa", "1 006 abab"],
        "validation": ["2 000 cdcd"],
        "test": ["3 000 bcb"],
    }
    first = imported.dialogues["train"][0]
    assert [turn.role for turn in first.turns] == ["user", "assistant", "user", "assistant", "user"]
    assert [turn.emotion for turn in first.turns] == ["neutral", None, "happy", None, "sad"]
    assert first.turns[0].text == "Did you know that?"
    assert imported.found.config == "multiturn_real"


def test_every_utterance_is_kept_or_counted_once(corpus: Path, tmp_path: Path) -> None:
    imported = import_corpus("multidialog", corpus, tmp_path / "out")
    assert left_out(imported) == {"label disgusting": 1, "utterances in no segment of 3 to 5 turns": 1}
    kept = sum(len(one.turns) for those in imported.dialogues.values() for one in those)
    assert kept + 2 == TOTAL


def test_only_the_parts_asked_for_are_opened(corpus: Path, tmp_path: Path) -> None:
    packed = write_multidialog(tmp_path / "packed", SPLITS)
    pack_multidialog(packed)
    (packed / "data" / "train" / "train_chunks_0000.tar.gz").write_bytes(b"not needed")
    imported = import_corpus("multidialog", packed, tmp_path / "out", parts="test,validation")
    assert set(segments(imported)) == {"validation", "test"}
    assert left_out(imported) == {"utterances of parts that were not asked for": len(TRAIN)}


def test_leave_actors_out_tests_on_actors_who_are_in_no_other_part(corpus: Path, tmp_path: Path) -> None:
    imported = import_corpus("multidialog", corpus, tmp_path / "out", split="leave-actors-out")
    assert segments(imported) == {"train": ["1 000 ababa", "1 006 abab"], "test": ["2 000 cdcd"]}
    assert left_out(imported)["utterances between actors for training and for testing"] == 3
    assert "tested on actors c, d, who are in no other part" in imported.found.notes


def test_actors_for_testing_can_be_named(corpus: Path, tmp_path: Path) -> None:
    options = {"split": "leave-actors-out", "test_actors": "ab"}
    imported = import_corpus("multidialog", corpus, tmp_path / "out", **options)
    assert segments(imported) == {"train": ["2 000 cdcd"], "test": ["1 000 ababa", "1 006 abab"]}
    with pytest.raises(UsageError, match="letters of some of abcd"):
        import_corpus("multidialog", corpus, tmp_path / "other", split="leave-actors-out", test_actors="ax")
    with pytest.raises(UsageError, match="belongs to --split leave-actors-out"):
        import_corpus("multidialog", corpus, tmp_path / "other", test_actors="ab")


def test_gold_only_keeps_dialogues_between_gold_actors(corpus: Path, tmp_path: Path) -> None:
    imported = import_corpus("multidialog", corpus, tmp_path / "out", gold_only=True)
    assert set(segments(imported)) == {"train", "test"}
    assert left_out(imported)["utterances of dialogues with an actor who is not gold"] == len(VALID)
    assert any("compare them with the corpus' card" in note for note in imported.found.notes)


def test_a_video_for_each_utterance_is_joined_with_the_sound(corpus: Path, tmp_path: Path) -> None:
    videos = write_utterance_videos(tmp_path / "videos", [*TRAIN, *TEST[1:]])
    imported = import_corpus("multidialog", corpus, tmp_path / "out", video=str(videos))
    assert segments(imported) == {"train": ["1 000 ababa", "1 006 abab"]}
    assert left_out(imported)["utterances without a clip"] == len(VALID) + 1
    clip = tmp_path / "out" / sorted(imported.paths.values())[0]
    info = media.probe(clip)
    assert info.video is not None
    assert info.sound is not None
    assert len(imported.pairs["train"]) == 4  # happy turns with the sad and the angry one


def test_a_video_of_another_length_than_the_sound_is_refused(corpus: Path, tmp_path: Path) -> None:
    videos = write_utterance_videos(tmp_path / "videos", TRAIN)
    name = f"{dialogue_name(1)}_2a"
    (videos / dialogue_name(1) / f"{name}.mp4").write_bytes(make_clip(1.2))
    with pytest.raises(MediaError, match=rf"{name}\.mp4: its video lasts 1\.20 s, the sound of .* 0\.40 s"):
        import_corpus("multidialog", corpus, tmp_path / "out", video=str(videos))
    imported = import_corpus("multidialog", corpus, tmp_path / "out", video=str(videos), on_damage="leave out")
    assert segments(imported) == {"train": ["1 006 abab"]}
    assert left_out(imported)["dialogues with a damaged clip"] == 1
    assert [Path(name).stem for name in imported.bad_files] == [name]


@pytest.fixture
def films(corpus: Path, tmp_path: Path) -> Path:
    """A folder with the video of dialogue 3, 60 ms of it before the first utterance."""
    sounds = sorted((corpus / "data" / "test_freq").rglob("*.wav"))
    write_film(tmp_path / "films" / f"{dialogue_name(3)}.mp4", sounds, lead_s=0.06)
    return tmp_path / "films"


def test_the_video_of_a_dialogue_is_cut_where_each_utterance_is_heard(
    corpus: Path, films: Path, tmp_path: Path
) -> None:
    imported = import_corpus("multidialog", corpus, tmp_path / "out", video=str(films))
    assert segments(imported) == {"test": ["3 000 bcb"]}
    film = positions(media.decode_frames(films / f"{dialogue_name(3)}.mp4"))
    for number, turn in enumerate(imported.dialogues["test"][0].turns):
        assert turn.clip is not None
        clip = tmp_path / "out" / imported.paths[turn.clip.sha256]
        begin = round((0.06 + 0.4 * number) * 25)
        found = positions(media.decode_frames(clip))
        assert np.abs(np.array(found) - film[begin : begin + 10]).max() <= 1
        said = media.decode_sound(corpus / "data" / "test_freq" / dialogue_name(3) / f"{Path(turn.clip.name).stem}.wav")
        assert np.corrcoef(media.decode_sound(clip), said)[0, 1] > 0.99


def test_a_video_that_the_sound_does_not_belong_to_is_refused(corpus: Path, films: Path, tmp_path: Path) -> None:
    film = films / f"{dialogue_name(3)}.mp4"
    sounds = sorted((corpus / "data" / "test_freq").rglob("*.wav"))
    write_film(film, sounds, lead_s=2.0)
    with pytest.raises(MediaError, match=r"the video lasts 3\.2\d s, its 3 sound files together 1\.20 s"):
        import_corpus("multidialog", corpus, tmp_path / "out", video=str(films))
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 19_200).astype(np.float32)
    film.write_bytes(media.encode_clip((pattern(index) for index in range(30)), noise))
    with pytest.raises(MediaError, match=r"is not heard at 0\.00 s"):
        import_corpus("multidialog", corpus, tmp_path / "out", video=str(films))


def test_a_dialogue_that_lacks_a_sound_file_is_not_cut(corpus: Path, films: Path, tmp_path: Path) -> None:
    partial = write_multidialog(tmp_path / "partial", {"test_freq": TEST, "train": TRAIN})
    write_film(films / f"{dialogue_name(1)}.mp4", sorted((partial / "data" / "train").rglob("*.wav")), 0.0)
    next((partial / "data" / "test_freq").rglob("*_2b.wav")).unlink()
    imported = import_corpus("multidialog", partial, tmp_path / "out", video=str(films))
    assert set(segments(imported)) == {"train"}
    assert left_out(imported)["utterances without a clip"] == len(TEST)


def test_a_folder_of_other_videos_is_refused(corpus: Path, tmp_path: Path) -> None:
    videos = write_utterance_videos(tmp_path / "videos", [(9, 0, "a", "")])
    with pytest.raises(ReleaseError, match="none of 18 utterances has its video among 1 mp4 files"):
        import_corpus("multidialog", corpus, tmp_path / "out", video=str(videos))


def test_metadata_without_sound_say_what_to_give(tmp_path: Path) -> None:
    corpus = write_multidialog(tmp_path / "corpus", {"train": TRAIN})
    for path in corpus.rglob("*.wav"):
        path.unlink()
    with pytest.raises(ReleaseError, match="no segment of 3 to 5 turns among 11 utterances, 0 of which"):
        import_corpus("multidialog", corpus, tmp_path / "out")


SPOKEN_TRAIN = [(1, 0, "a", "Neutral"), (1, 1, "b", "Happy"), (1, 2, "a", "Fear"), (2, 0, "c", "Sad")]
SHARDS = {
    "train": SPOKEN_TRAIN,
    "valid_rare": [(3, 0, "a", "Angry"), (3, 1, "d", "Surprising")],
    "test_freq": [(4, 0, "b", "Happy"), (4, 1, "l", "Disgusting")],
}


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
    write_multidialog_metadata(tmp_path / "metadata.jsonl", SPOKEN_TRAIN)
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
