"""Rows come back as written, however files are cut; metadata cost no clip; damage and escapes are refused."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.corpus_trees import LFS_POINTER

from avemo_harness.benchmark.release import EMOTIONS, Clip, ConflictPair, Dialogue, Release, Turn, Vote
from avemo_harness.benchmark.release_loader import ReleaseOptions, load_release
from avemo_harness.benchmark.release_sources import MAX_GROUP_VALUES, ROWS_AT_ONCE, python_rows
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.errors import MediaError, ReleaseError

CONFIG = "multiturn_real"
FILE = f"{CONFIG}/test-00000.parquet"

numbers = st.floats(0, 1)
ratings = st.one_of(
    # Valence and arousal together, or one of them.
    st.lists(st.tuples(numbers, numbers), min_size=1, max_size=4).map(lambda pairs: tuple(zip(*pairs, strict=True))),
    st.lists(numbers, max_size=4).map(lambda values: (tuple(values), ())),
    st.lists(numbers, max_size=4).map(lambda values: ((), tuple(values))),
)
votes = st.lists(
    st.builds(Vote, st.sampled_from(["sound", "picture", "both"]), st.text(max_size=5), st.integers(1, 20)), max_size=3
)
clips = st.none() | st.binary(max_size=50).map(Clip.from_bytes)


@st.composite
def turns(draw: st.DrawFn, position: int) -> Turn:
    valence, arousal = draw(ratings)
    return Turn(
        turn_index=position,
        role="user" if position == 0 else draw(st.sampled_from(["user", "assistant"])),
        speaker_id=draw(st.text(max_size=5)),
        text=draw(st.text(max_size=20)),
        emotion=draw(st.none() | st.sampled_from(EMOTIONS)),
        style_prompt=draw(st.none() | st.text(max_size=5)),
        clip=draw(clips),
        duration_s=draw(st.none() | st.floats(0.1, 1e3)),
        valence=valence,
        arousal=arousal,
        va_rate_hz=draw(st.none() | st.floats(0.1, 100)),
        votes=tuple(draw(votes)),
    )


@st.composite
def releases(draw: st.DrawFn) -> list[Dialogue]:
    words = st.text(max_size=5)
    ids = draw(st.lists(words, min_size=1, max_size=12, unique=True))
    return [
        Dialogue(
            one, draw(words), draw(words), draw(words), tuple(draw(turns(i)) for i in range(draw(st.integers(1, 3))))
        )
        for one in ids
    ]


@st.composite
def conflict_pairs(draw: st.DrawFn) -> list[ConflictPair]:
    words, numbers = st.text(max_size=5), st.integers(0, 9)
    return [
        ConflictPair(one, draw(words), draw(numbers), draw(words), draw(numbers), heard, seen, draw(words))
        for one in draw(st.lists(words, max_size=3, unique=True))
        for heard, seen, *_ in [draw(st.permutations(EMOTIONS))]
    ]


def recut(folder: Path, rows_a_group: int, files: int) -> None:
    """Spread the test part over more files with other row groups."""
    table = pq.read_table(folder / FILE)
    (folder / FILE).unlink()
    rows = -(-table.num_rows // files)
    for number in range(files):
        shard = folder / CONFIG / f"test-{number:05}-of-{files:05}.parquet"
        pq.write_table(table.slice(number * rows, rows), shard, row_group_size=rows_a_group)


@settings(max_examples=40)
@given(releases(), conflict_pairs(), st.integers(1, 5), st.integers(1, 4))
def test_any_release_reads_back_equal_however_its_files_are_cut(
    dialogues: list[Dialogue], pairs: list[ConflictPair], rows_a_group: int, files: int
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        voted = any(turn.votes for dialogue in dialogues for turn in dialogue.turns)
        write_release(folder, CONFIG, {"test": dialogues}, {"test": pairs}, has_votes=voted)
        written = load_release(name, CONFIG)
        recut(folder, rows_a_group, files)
        cut = load_release(name, CONFIG)
        assert written.dialogues == cut.dialogues == tuple(dialogues)
        assert written.pairs == cut.pairs == tuple(pairs)
        assert written.fingerprint == cut.fingerprint
        given_clips = [turn.clip for dialogue in dialogues for turn in dialogue.turns if turn.clip]
        assert [clip.read() for clip in all_clips(cut)] == [clip.read() for clip in given_clips]


def all_clips(release: Release) -> list[Clip]:
    return [turn.clip for dialogue in release.dialogues for turn in dialogue.turns if turn.clip]


def write_raw(file: Path, *clips: dict[str, Any], compliant: bool = True) -> Path:
    """A Parquet file of one dialogue for each clip given as ``{clip, clip_sha256}``."""
    rows = [
        {"dialogue_id": f"d{i}", "turns": [{"turn_index": 0, "role": "user", "speaker_id": "ann", **clip}]}
        for i, clip in enumerate(clips)
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), file, use_compliant_nested_type=compliant)
    return file


def named(path: str, data: bytes = b"a clip") -> dict[str, Any]:
    return {"clip": {"path": path}, "clip_sha256": hashlib.sha256(data).hexdigest()}


def embedded(data: bytes, path: str | None = None) -> dict[str, Any]:
    return {"clip": {"bytes": data, "path": path}, "clip_sha256": hashlib.sha256(data).hexdigest()}


def only_clip(source: Path, media_root: Path | None = None) -> Clip:
    return all_clips(load_release(str(source), CONFIG, options=ReleaseOptions(media_root=media_root)))[0]


def test_a_row_group_of_more_values_than_memory_holds_is_refused_unread(tmp_path: Path) -> None:
    count = MAX_GROUP_VALUES + 1
    valence = pa.ListArray.from_arrays(pa.array([0, count], pa.int32()), pa.array(np.zeros(count, np.float32)))
    turn = pa.StructArray.from_arrays([pa.array([0]), valence], ["turn_index", "valence"])
    turns = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), turn)
    pq.write_table(pa.table({"dialogue_id": ["d"], "turns": turns}), tmp_path / "test.parquet")
    assert (tmp_path / "test.parquet").stat().st_size < 2**20
    with pytest.raises(ReleaseError, match=r"test\.parquet: row group 0 has 20,000,001 values of turns\..*valence"):
        load_release(str(tmp_path / "test.parquet"), CONFIG)


def test_a_file_that_git_lfs_has_not_fetched_is_named(tmp_path: Path) -> None:
    (tmp_path / CONFIG).mkdir()
    (tmp_path / FILE).write_text(LFS_POINTER)
    with pytest.raises(
        ReleaseError, match=r"test-00000\.parquet: .*it is a git-lfs pointer, not the file: run git lfs"
    ):
        load_release(str(tmp_path), CONFIG)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("pipe.mp4", "it is a pipe, a socket or a device, not a file"),
        ("dev/zero", "it is a pipe, a socket or a device, not a file"),
        ("pointer.mp4", "it is a git-lfs pointer, not the file: run git lfs pull"),
    ],
)
def test_what_is_no_file_is_no_clip(path: str, said: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "pointer.mp4").write_text(LFS_POINTER)
    root = Path("/") if path == "dev/zero" else tmp_path
    with pytest.raises(MediaError, match=said):
        only_clip(write_raw(tmp_path / "test.parquet", named(path)), root).read()


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts the bytes read by /proc/self/io")
def test_reading_metadata_reads_no_clip_and_reading_a_clip_only_its_row_group(tmp_path: Path) -> None:
    size = 5_000_000
    rng = random.Random(0)
    file = write_raw(tmp_path / "big.parquet", *(embedded(rng.randbytes(size)) for _ in range(6)))
    pq.write_table(pq.read_table(file), file, row_group_size=1, compression="none")
    release, read_for_metadata = counting_reads(lambda: load_release(str(file), CONFIG))
    assert file.stat().st_size > 6 * size
    assert read_for_metadata < 200_000
    clip = all_clips(release)[3]
    data, read_for_clip = counting_reads(clip.read)
    assert len(data) == size
    assert read_for_clip < 1.5 * size
    _, read_again = counting_reads(clip.read)
    assert read_again < 10_000


def counting_reads(act: Callable[[], Any]) -> tuple[Any, int]:
    """The result of an act, and the bytes that this process read during it."""

    def so_far() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    before = so_far()
    result = act()
    return result, so_far() - before


def test_embedded_bytes_go_before_a_path_that_stands_beside_them(tmp_path: Path) -> None:
    file = write_raw(tmp_path / "both.parquet", embedded(b"the bytes", "name-only.mp4"))
    assert only_clip(file).read() == b"the bytes"


def test_the_names_that_other_writers_give_to_list_levels_do_not_matter(tmp_path: Path) -> None:
    file = write_raw(tmp_path / "old.parquet", embedded(b"the bytes"), compliant=False)
    assert "turns.list.item.clip.bytes" in [pq.ParquetFile(file).schema.column(i).path for i in range(5)]
    assert only_clip(file).read() == b"the bytes"


def test_clips_by_path_lie_beside_the_release_or_under_the_media_root(tmp_path: Path) -> None:
    release = write_raw(tmp_path / "release/test.parquet", named("clips/a.mp4"))
    for folder in ("release", "media"):
        (tmp_path / folder / "clips").mkdir(parents=True)
        (tmp_path / folder / "clips/a.mp4").write_bytes(b"a clip")
    (tmp_path / "release/clips/a.mp4").write_bytes(b"a clip")
    assert only_clip(release).read() == b"a clip"
    (tmp_path / "release/clips/a.mp4").unlink()
    assert only_clip(release, tmp_path / "media").read() == b"a clip"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("../secret.mp4", "must stay inside"),
        ("clips/../../secret.mp4", "must stay inside"),
        ("/etc/passwd", "must stay inside"),
        ("link.mp4", "must stay inside"),
        ("folder-link/secret.mp4", "must stay inside"),
        ("missing.mp4", "cannot be read (No such file or directory); give the corpus' folder as media_root"),
        ("clips", "cannot be read (Is a directory)"),
        ("a\0b.mp4", "is no path of a clip"),
        ("loop", "loop"),
        ("", "the release holds neither its bytes nor its path"),
    ],
)
def test_a_path_that_leaves_its_folder_or_leads_nowhere_is_a_media_error(path: str, said: str, tmp_path: Path) -> None:
    root = tmp_path / "media"
    (root / "clips").mkdir(parents=True)
    (tmp_path / "secret.mp4").write_bytes(b"a clip")
    (root / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (root / "folder-link").symlink_to(tmp_path)
    (root / "loop").symlink_to(root / "loop")
    clip = only_clip(write_raw(tmp_path / "test.parquet", named(path)), root)
    with pytest.raises(MediaError) as refused:
        clip.read()
    assert said in str(refused.value)


def test_a_symlink_within_the_media_root_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a clip")
    (tmp_path / "b.mp4").symlink_to("a.mp4")
    assert only_clip(write_raw(tmp_path / "test.parquet", named("b.mp4"))).read() == b"a clip"


def test_changed_bytes_are_a_media_error(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"another clip")
    by_path = only_clip(write_raw(tmp_path / "path.parquet", named("a.mp4")))
    wrong = {**embedded(b"another clip"), "clip_sha256": hashlib.sha256(b"a clip").hexdigest()}
    inside = only_clip(write_raw(tmp_path / "inside.parquet", wrong))
    for clip in (by_path, inside):
        with pytest.raises(MediaError, match=r"^dialogue d0, turn 0: the clip's bytes have sha256 .* restore the file"):
            clip.read()


def test_a_digest_without_a_clip_is_a_media_error_only_when_the_clip_is_read(tmp_path: Path) -> None:
    nothing = {"clip": {"bytes": None, "path": None}, "clip_sha256": "0" * 64}
    clip = only_clip(write_raw(tmp_path / "test.parquet", nothing, embedded(b"present")))
    with pytest.raises(MediaError, match=r"test\.parquet: row 0 of group 0, turn 0: the clip is missing"):
        clip.read()


def test_embedded_bytes_without_a_digest_are_refused(tmp_path: Path) -> None:
    file = write_raw(tmp_path / "test.parquet", {"clip": {"bytes": b"x", "path": None}, "clip_sha256": None})
    with pytest.raises(ReleaseError, match=r"test\.parquet: dialogue 'd0', turn 0: a clip needs its clip_sha256"):
        load_release(str(file), CONFIG)


def test_a_release_made_anew_at_the_same_place_gives_its_new_clips(tmp_path: Path) -> None:
    for data in (b"the first", b"the second"):
        file = write_raw(tmp_path / "test.parquet", embedded(data))
        assert only_clip(file).read() == data


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"not parquet at all" * 100, None], ids=["empty", "magic", "text", "cut"]
)
def test_a_file_that_is_not_parquet_is_refused_by_name(
    content: bytes | None, release_folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "test.parquet"
    whole = (release_folder / FILE).read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(ReleaseError) as refused:
        load_release(str(file), CONFIG)
    assert str(refused.value).startswith(f"{file}: not a readable Parquet file (")
    assert "\n" not in str(refused.value)


def test_damage_among_the_rows_is_refused_by_name(release_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "test.parquet"
    column = pq.ParquetFile(release_folder / FILE).metadata.row_group(0).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    damaged = bytearray((release_folder / FILE).read_bytes())
    damaged[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    file.write_bytes(damaged)
    with pytest.raises(ReleaseError, match=r"test\.parquet: not a readable Parquet file"):
        load_release(str(file), CONFIG)


def test_damage_among_the_clips_costs_those_clips_and_never_the_release(release_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "test.parquet"
    metadata = pq.ParquetFile(release_folder / FILE).metadata.row_group(0)
    column = next(
        c for c in map(metadata.column, range(metadata.num_columns)) if c.path_in_schema.endswith("clip.bytes")
    )
    start = column.dictionary_page_offset or column.data_page_offset
    damaged = bytearray((release_folder / FILE).read_bytes())
    damaged[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    file.write_bytes(damaged)
    clips = all_clips(load_release(str(file), CONFIG))
    with pytest.raises(MediaError, match=r"test\.parquet"):
        clips[0].read()
    assert clips[-1].read()


def test_a_file_that_vanished_after_loading_is_a_media_error(tmp_path: Path) -> None:
    file = write_raw(tmp_path / "test.parquet", embedded(b"x"))
    clip = only_clip(file)
    file.unlink()
    with pytest.raises(MediaError, match=r"test\.parquet"):
        clip.read()


values = st.none() | st.integers(-9, 9)
records = st.none() | st.fixed_dictionaries({"a": values, "b": st.none() | st.lists(values, max_size=3)})


@given(st.lists(st.fixed_dictionaries({"x": st.none() | st.lists(records, max_size=3), "y": values}), max_size=6))
def test_rows_that_are_made_by_columns_are_those_of_pyarrow(rows: list[dict[str, Any]]) -> None:
    record = pa.struct([("a", pa.int32()), ("b", pa.list_(pa.int32()))])
    table = pa.Table.from_pylist(rows, pa.schema([("x", pa.list_(record)), ("y", pa.int32())]))
    assert python_rows(table) == table.to_pylist() == rows
    parts = pa.concat_tables([table.slice(1), table.slice(0, 2)])
    assert python_rows(parts) == parts.to_pylist()


def test_small_row_groups_are_read_together_and_each_clip_from_its_own(tmp_path: Path) -> None:
    count = ROWS_AT_ONCE + 20
    turns = [Turn(0, "user", "ann", "", "sad", None, Clip.from_bytes(f"clip {i}".encode())) for i in range(count)]
    dialogues = [Dialogue(f"d{i}", "test", "en", "CC0-1.0", (turn,)) for i, turn in enumerate(turns)]
    write_release(tmp_path, CONFIG, {"test": dialogues})
    assert pq.ParquetFile(tmp_path / FILE).num_row_groups > 2
    for number, dialogue in enumerate(load_release(str(tmp_path), CONFIG).dialogues):
        assert dialogue.turns[0].clip is not None
        assert dialogue.turns[0].clip.read() == f"clip {number}".encode()
