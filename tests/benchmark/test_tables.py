"""Tables of every format give equal releases, and recordings are found wherever a row says they are."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.table_files import (
    EMOTIONS,
    SPOKEN,
    embedded,
    load,
    sound,
    utterances,
    video,
    write_clips,
    write_lines,
    write_parquet,
    write_tar,
    write_text,
    write_zip,
)

from avemo_harness import media
from avemo_harness.benchmark.columns import ColumnsSpec
from avemo_harness.benchmark.release import Release, Turn
from avemo_harness.errors import MediaError, ReleaseError


def _split_in_two(folder: Path) -> Path:
    write_parquet(folder / "data" / "test-00000-of-00002.parquet", embedded(utterances()[:2]))
    write_parquet(folder / "data" / "test-00001-of-00002.parquet", embedded(utterances()[2:]))
    write_parquet(folder / "data" / "train-00000-of-00001.parquet", embedded(utterances()[:1]))
    return folder


def _json_list(folder: Path) -> Path:
    (folder / "t.json").write_text(json.dumps(utterances()))
    return folder / "t.json"


def _bytes_alone(folder: Path) -> Path:
    rows = [{**row, "clip": video(int(row["clip"][0]))} for row in utterances()]
    return write_parquet(folder / "t.parquet", rows)


def _listed(folder: Path) -> Path:
    rows = [{**row, "clip": [row["clip"]]} for row in embedded(utterances())]
    return write_parquet(folder / "t.parquet", rows)


def _in_zip(folder: Path) -> Path:
    write_zip(folder / "clips.zip", {f"all/{row['clip']}": video(int(row["clip"][0])) for row in utterances()})
    rows = [{**row, "clip": f"clips.zip::all/{row['clip']}"} for row in utterances()]
    return write_lines(folder / "t.jsonl", rows)


def _in_tar(folder: Path) -> Path:
    write_tar(folder / "clips.tar.gz", {row["clip"]: video(int(row["clip"][0])) for row in utterances()})
    rows = [{**row, "clip": f"clips.tar.gz::{row['clip']}"} for row in utterances()]
    return write_lines(folder / "t.jsonl", rows)


FORMATS: dict[str, Callable[[Path], Path]] = {
    "CSV": lambda folder: write_text(folder / "t.csv", utterances()),
    "CSV of Excel": lambda folder: write_text(folder / "t.csv", utterances(), ";", "utf-8-sig"),
    "TSV in UTF-16": lambda folder: write_text(folder / "t.tsv", utterances(), "\t", "utf-16"),
    "JSON lines": lambda folder: write_lines(folder / "t.jsonl", utterances()),
    "JSON list": _json_list,
    "Parquet with paths": lambda folder: write_parquet(folder / "t.parquet", utterances()),
    "Parquet with records": lambda folder: write_parquet(folder / "t.parquet", embedded(utterances())),
    "Parquet with bytes": _bytes_alone,
    "Parquet with lists": _listed,
    "folder of shards": _split_in_two,
    "files in a zip": _in_zip,
    "files in a tar": _in_tar,
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Release:
    folder = write_clips(tmp_path_factory.mktemp("plain"))
    return load(write_lines(folder / "t.jsonl", utterances()))


def turns(release: Release) -> list[Turn]:
    return [turn for dialogue in release.dialogues for turn in dialogue.turns]


def clips(release: Release) -> list[bytes]:
    return [turn.clip.read() for turn in turns(release) if turn.clip is not None]


@pytest.mark.parametrize("name", FORMATS)
def test_equal_rows_are_an_equal_release_whatever_holds_them(name: str, plain: Release, tmp_path: Path) -> None:
    release = load(FORMATS[name](write_clips(tmp_path)))
    assert release.fingerprint == plain.fingerprint
    assert clips(release) == [video(0), video(1), video(2)]
    assert [(turn.text, turn.emotion, turn.speaker_id) for turn in turns(release)] == [
        ("line 0", "joy", "s0"),
        ("line 1", "anger", "s1"),
        ("line 2", "sadness", "s2"),
    ]


@pytest.mark.parametrize("change", [{"said": "other"}, {"emotion": "fear"}, {"clip": "1.mp4"}, {"more": 1}])
def test_another_value_of_a_row_is_another_release(change: dict[str, Any], plain: Release, tmp_path: Path) -> None:
    first, *others = utterances()
    table = write_lines(write_clips(tmp_path) / "t.jsonl", [{**first, **change}, *others])
    assert load(table).fingerprint != plain.fingerprint


def test_templates_of_a_task_see_single_values_but_none_that_tell_the_answer(tmp_path: Path) -> None:
    row = {"clip": "0.mp4", "emotion": "joy", "gold": 1, "place": "bus", "year": 2020, "tags": ["a"], "note": None}
    columns = ColumnsSpec(video="clip", label="{{ row.emotion | upper }}", answer="gold")
    (turn,) = turns(load(write_lines(write_clips(tmp_path) / "t.jsonl", [row]), columns))
    assert turn.emotion == "JOY"
    assert turn.row == {"place": "bus", "year": 2020, "note": None}


def test_class_numbers_in_a_file_of_datasets_are_their_names(tmp_path: Path) -> None:
    import datasets

    labels = datasets.ClassLabel(names=list(EMOTIONS))
    said = datasets.List({"text": datasets.Value("string"), "emotion": labels, "audio": datasets.Audio()})
    features = datasets.Features({"emotion": labels, "clip": datasets.Video(), "turns": said})
    said_rows = [
        {"text": f"{seed}", "emotion": seed, "audio": {"bytes": sound(seed), "path": None}} for seed in range(2)
    ]
    rows = [{"emotion": number, "clip": None, "turns": said_rows} for number in (2, -1)]
    table = write_parquet(tmp_path / "t.parquet", rows, features)
    assert [turn.emotion for turn in turns(load(table, ColumnsSpec(label="emotion")))] == ["sadness", None]
    first, _ = load(table, ColumnsSpec(turns="turns", text="text", label="emotion", sound="audio")).dialogues
    assert [(turn.text, turn.emotion) for turn in first.turns] == [("0", "joy"), ("1", "anger")]
    assert [turn.clip and turn.clip.read() for turn in first.turns] == [sound(0), sound(1)]


def test_sound_and_picture_of_two_columns_are_one_clip(tmp_path: Path) -> None:
    rows = [{"clip": "0.mp4", "voice": "1.wav"}]
    table = write_lines(write_clips(tmp_path) / "t.jsonl", rows)
    (data,) = clips(load(table, ColumnsSpec(video="clip", sound="voice")))
    assert media.packet_digests(data).video == media.packet_digests(video(0)).video
    assert media.packet_digests(data).sound != media.packet_digests(video(0)).sound
    (again,) = clips(load(table, ColumnsSpec(video="clip", sound="voice")))
    assert again == data


def test_a_column_of_sound_shows_no_picture(tmp_path: Path) -> None:
    table = write_lines(write_clips(tmp_path) / "t.jsonl", [{"voice": "0.mp4"}, {"voice": "0.wav"}])
    of_video, of_sound = clips(load(table, ColumnsSpec(sound="voice")))
    assert media.probe(of_video).video is None
    assert of_sound == sound(0)


def test_a_folder_of_files_with_metadata_is_a_table(tmp_path: Path) -> None:
    write_clips(tmp_path / "test" / "clips")
    write_clips(tmp_path / "train")
    rows = [{"file_name": f"clips/{row['clip']}", "emotion": row["emotion"]} for row in utterances()]
    write_text(tmp_path / "test" / "metadata.csv", rows)
    release = load(tmp_path, ColumnsSpec(video="video", label="emotion"))
    assert clips(release) == [video(0), video(1), video(2)]
    assert [turn.emotion for turn in turns(release)] == list(EMOTIONS)


@pytest.mark.parametrize("parent", ["", "test", "data/eval"])
def test_folders_named_by_class_are_a_table(parent: str, tmp_path: Path) -> None:
    for seed, emotion in enumerate(EMOTIONS):
        (tmp_path / parent / emotion).mkdir(parents=True)
        (tmp_path / parent / emotion / "a.wav").write_bytes(sound(seed))
    release = load(tmp_path, ColumnsSpec(sound="audio", label="label"))
    assert {turn.emotion: turn.clip and turn.clip.read() for turn in turns(release)} == dict(
        zip(EMOTIONS, map(sound, range(3)), strict=True)
    )


def test_the_folder_of_a_split_is_no_class(tmp_path: Path) -> None:
    write_clips(tmp_path / "test", 1)
    release = load(tmp_path, ColumnsSpec(sound="audio", label="label"))
    assert {turn.emotion for turn in turns(release)} == {None}


def test_a_tar_of_samples_is_a_table(tmp_path: Path) -> None:
    samples = {}
    for seed, emotion in enumerate(EMOTIONS):
        facts = {"emotion": emotion, "said": f"line {seed}"}
        samples |= {f"{seed}.mp4": video(seed), f"{seed}.json": json.dumps(facts).encode(), f"{seed}.cls": b"7"}
    table = write_tar(tmp_path / "t.tar", samples)
    release = load(table, ColumnsSpec(video="mp4", label="json.emotion", text="json.said", answer="cls"))
    assert clips(release) == [video(0), video(1), video(2)]
    assert [(turn.emotion, turn.text, turn.answer) for turn in turns(release)][1] == ("anger", "line 1", "7")


def test_recordings_lie_under_the_media_root_where_one_is_given(tmp_path: Path, plain: Release) -> None:
    table = write_lines(tmp_path / "t.jsonl", utterances())
    with pytest.raises(ReleaseError, match=r"none of its 3 recordings can be read, the first: .*0\.mp4.*--media_root"):
        load(table)
    assert load(table, media_root=write_clips(tmp_path / "elsewhere")).fingerprint == plain.fingerprint


@pytest.mark.parametrize("name", ["missing.mp4", "../outside.mp4", "/etc/hostname"])
def test_a_recording_that_cannot_be_had_is_the_error_of_its_turn_alone(name: str, tmp_path: Path) -> None:
    folder = write_clips(tmp_path / "inside")
    (tmp_path / "outside.mp4").write_bytes(video(0))
    rows = [*utterances(2), {**utterances()[2], "clip": name}]
    release = load(write_lines(folder / "t.jsonl", rows))
    *_, last = turns(release)
    assert last.clip is not None
    with pytest.raises(MediaError, match=r"t\.jsonl:3: "):
        last.clip.read()


def test_digests_are_kept_so_that_recordings_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    table = write_lines(write_clips(tmp_path) / "t.jsonl", utterances())
    first = load(table)
    from avemo_harness.benchmark import table_media

    monkeypatch.setattr(table_media, "read_file", lambda path: read.append(path) or path.read_bytes())
    assert load(table).fingerprint == first.fingerprint
    assert read == []
    (tmp_path / "1.mp4").write_bytes(video(5))
    assert load(table).fingerprint != first.fingerprint
    assert [path.name for path in read] == ["1.mp4"]


def test_the_terms_of_a_card_are_those_of_dialogues_that_name_none(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-4.0\nlanguage:\n- de\n---\n# Set\n")
    rows = [{**utterances()[0], "terms": terms} for terms in (None, "mit")]
    table = write_lines(write_clips(tmp_path) / "t.jsonl", rows)
    release = load(table, SPOKEN.model_copy(update={"licence": "terms"}))
    assert [(d.licence, d.language, d.source) for d in release.dialogues] == [
        ("cc-by-4.0", "de", "t.jsonl"),
        ("mit", "de", "t.jsonl"),
    ]


LOADS = """
import sys
from support.table_files import load
load(sys.argv[1])
assert not {"datasets", "torch", "pandas"} & set(sys.modules), set(sys.modules) & {"datasets", "torch", "pandas"}
"""


@pytest.mark.parametrize("name", ["CSV", "JSON lines", "Parquet with records"])
def test_local_files_are_read_without_datasets(name: str, tmp_path: Path) -> None:
    table = FORMATS[name](write_clips(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", LOADS, str(table)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_file_of_one_object_over_several_lines_is_one_row(tmp_path: Path) -> None:
    for number, row in enumerate(utterances()):
        folder = write_clips(tmp_path) / "talks" / str(number)
        folder.mkdir(parents=True)
        (folder / "facts.json").write_text(json.dumps(row, indent=2))
    columns = SPOKEN.model_copy(update={"video": "{{ row.clip }}"})
    release = load(tmp_path / "talks", columns, media_root=tmp_path)
    assert [turn.text for turn in turns(release)] == ["line 0", "line 1", "line 2"]


def test_a_path_with_a_star_is_of_the_files_that_have_such_names_and_of_no_others(tmp_path: Path) -> None:
    write_clips(tmp_path)
    (tmp_path / "index.json").write_text("[1, 2]")
    for language, row in zip(("de", "en", "fr"), utterances(), strict=True):
        (tmp_path / language).mkdir()
        write_lines(tmp_path / language / "talks.jsonl", [row])
        write_lines(tmp_path / language / "others.jsonl", [row])
    release = load(tmp_path / "*" / "talks.jsonl")
    assert [turn.text for turn in turns(release)] == ["line 0", "line 1", "line 2"]
    assert clips(release) == [video(0), video(1), video(2)]
    with pytest.raises(ReleaseError, match=r"\*/none.jsonl: there is no such file"):
        load(tmp_path / "*" / "none.jsonl")
