"""A folder, archives and a repository of the Hub hold the same corpus and give the same release."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants
from support.corpus_trees import (
    LFS_POINTER,
    pack_multidialog,
    pack_tar,
    pack_zip,
    write_clip,
    write_crema_d,
    write_multidialog,
)
from support.hub_server import Repository, serve
from support.hub_uploads import client_of
from support.imports import import_corpus

from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.data.importers.source import HubFiles, LocalFiles, Source, open_source
from avemo_harness.errors import MediaError, ReleaseError

ROWS = tuple((1, n, "ab"[n % 2], "Happy" if n % 4 else "Sad") for n in range(8))
STEMS = ("1001_DFA_ANG_XX", "1001_DFA_HAP_XX", "1001_IEO_SAD_HI")
SPLITS = {"train": ROWS, "test_rare": tuple((2, n, "ab"[n % 2], "Neutral") for n in range(3))}


@pytest.fixture(scope="module")
def multidialog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_multidialog(tmp_path_factory.mktemp("corpus") / "multidialog", SPLITS)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_multidialog(tmp_path_factory.mktemp("packed") / "multidialog", SPLITS)
    pack_multidialog(folder)
    return folder


def fingerprints(folder: Path, config: str, splits: tuple[str, ...]) -> list[str]:
    return [load_release(str(folder), config, split).fingerprint for split in splits]


def import_from_hub(url: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command against a server; its address is read when the Hub's client is imported."""
    environment = {**os.environ, "HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-m", "avemo_harness", "data", "import", "multidialog", "IVLLab/MultiDialog", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_archives_and_a_folder_give_equal_releases(multidialog: Path, packed: Path, tmp_path: Path) -> None:
    whole = pack_tar(multidialog, tmp_path / "multidialog.tar.gz")
    import_corpus("multidialog", multidialog, tmp_path / "of_folder")
    import_corpus("multidialog", packed, tmp_path / "of_archives")
    import_corpus("multidialog", whole, tmp_path / "of_archive")
    splits = ("train", "test")
    expected = fingerprints(tmp_path / "of_folder", "multiturn_real", splits)
    assert fingerprints(tmp_path / "of_archives", "multiturn_real", splits) == expected
    assert fingerprints(tmp_path / "of_archive", "multiturn_real", splits) == expected


def test_the_hub_gives_the_same_release_and_only_what_is_needed_is_fetched(
    multidialog: Path, packed: Path, tmp_path: Path
) -> None:
    import_corpus("multidialog", multidialog, tmp_path / "of_folder")
    repository = Repository.of_folder("IVLLab/MultiDialog", packed)
    with serve(repository) as server:
        done = import_from_hub(server.url, tmp_path / "hub", "--out", str(tmp_path / "of_hub"), "--parts", "test")
        fetched = {line.split("/resolve/")[1] for line in server.log if "/resolve/" in line and line.startswith("GET")}
    assert done.returncode == 0, done.stderr
    assert fingerprints(tmp_path / "of_hub", "multiturn_real", ("test",)) == fingerprints(
        tmp_path / "of_folder", "multiturn_real", ("test",)
    )
    assert not any("/data/train" in path for path in fetched)
    record = json.loads((tmp_path / "of_hub" / "import.json").read_text())
    assert (record["source"], record["revision"]) == ("IVLLab/MultiDialog", repository.commit)


def test_own_clips_in_an_archive_keep_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    write_clip(folder / "clips" / "a.mp4", 0.4, 0)
    (folder / "clips.csv").write_text("path,emotion,speaker\nclips/a.mp4,sad,Ann\n")
    import_corpus("folder", folder, tmp_path / "of_folder")
    import_corpus("folder", pack_tar(folder, tmp_path / "own.tgz"), tmp_path / "of_archive")
    config, splits = "singleturn_synthetic", ("test",)
    assert fingerprints(tmp_path / "of_archive", config, splits) == fingerprints(tmp_path / "of_folder", config, splits)


@pytest.mark.parametrize("pack", [pack_tar, pack_zip])
def test_files_stand_under_their_archive_and_hidden_ones_are_passed_over(
    pack: Callable[[Path, Path], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "one.txt").write_bytes(b"1")
    (folder / ".hidden").write_bytes(b"2")
    archive = pack(folder, tmp_path / f"x{'.zip' if pack is pack_zip else '.tar.gz'}")
    with open_source(str(archive)) as source:
        assert source.names() == [f"{archive.name}/b/one.txt"]
        assert source.read(f"{archive.name}/b/one.txt") == b"1"
        assert not source.is_local(f"{archive.name}/b/one.txt")


@pytest.mark.parametrize("ending", [".zip", ".tar.gz", ".tar"])
def test_a_damaged_archive_is_an_error_that_names_it(ending: str, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "one.bin").write_bytes(os.urandom(40_000))
    archive = (pack_zip if ending == ".zip" else pack_tar)(folder, tmp_path / f"broken{ending}")
    archive.write_bytes(archive.read_bytes()[:20_000])
    with (
        pytest.raises(ReleaseError, match=rf"broken{ending}: the archive cannot be read"),
        open_source(str(archive)) as source,
    ):
        source.read(source.names()[0])


@pytest.mark.parametrize(
    ("stored", "shown"), [("fröhlich.txt".encode(), "fröhlich.txt"), (b"fr\x94hlich.txt", "fröhlich.txt")]
)
def test_names_in_a_zip_without_the_flag_of_utf8_are_read_as_what_they_are(
    stored: bytes, shown: str, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x" * len(stored), b"1")
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(data.replace(b"x" * len(stored), stored))
    with open_source(str(tmp_path / "a.zip")) as source:
        assert source.names() == [f"a.zip/{shown}"]
        assert source.read(f"a.zip/{shown}") == b"1"


def test_names_in_a_zip_have_slashes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("sub\\one.txt", b"1")
    with open_source(str(tmp_path / "a.zip")) as source:
        assert source.names() == ["a.zip/sub/one.txt"]


def change_stated_size(archive: Path, stated: int) -> None:
    """Let the table of contents of a zip state another size of its last file."""
    data = bytearray(archive.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, entry + 24, stated)
    archive.write_bytes(data)


@pytest.mark.parametrize("stated", [10, 2**20])
def test_a_zip_that_lies_about_a_size_is_refused_in_bounded_memory(stated: int, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("one.bin", bytes(2**26))
    change_stated_size(path, stated)
    with open_source(str(path)) as source:
        name = source.names()[0]
        tracemalloc.start()
        try:
            with pytest.raises(ReleaseError, match=r"a\.zip: the archive cannot be read"):
                source.read(name)
            used = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert used < 2**23


def test_a_zip_that_states_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    path = pack_zip(write_crema_d(tmp_path / "crema", STEMS[:1]), tmp_path / "a.zip")
    change_stated_size(path, 2**29)
    with open_source(str(path)) as source, pytest.raises(ReleaseError, match=r"its header says 536870912"):
        source.read(source.names()[0])


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_cannot_be_unpacked_within_bounds_is_refused(method: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("one.bin", b"1")
    with open_source(str(tmp_path / "a.zip")) as source, pytest.raises(ReleaseError, match="pack it by deflate"):
        source.read(source.names()[0])


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    os.mkfifo(tmp_path / "a.zip")
    source = Source(LocalFiles(tmp_path))
    for name in ("a.wav", "a.zip/a.wav"):
        with pytest.raises(MediaError, match="it is a pipe, a socket or a device, not a file"):
            source.read(name) if name == "a.wav" else source.names()


def test_a_device_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").symlink_to("/dev/zero")
    with pytest.raises(MediaError, match="it is a pipe, a socket or a device, not a file"):
        Source(LocalFiles(tmp_path)).read("a.wav")


@pytest.mark.parametrize("pack", [pack_tar, pack_zip])
def test_a_pointer_of_git_lfs_in_an_archive_is_named(pack: Callable[[Path, Path], Path], tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.wav").write_text(LFS_POINTER)
    archive = pack(tmp_path / "files", tmp_path / f"x{'.zip' if pack is pack_zip else '.tar.gz'}")
    with (
        open_source(str(archive)) as source,
        pytest.raises(MediaError, match=r"a\.wav: .*it is a git-lfs pointer, not the file: run git lfs pull"),
    ):
        source.read(source.names()[0])


def test_files_that_are_too_large_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avemo_harness.data.importers.source.MAX_BYTES", 10)
    (tmp_path / "large.txt").write_bytes(bytes(11))
    with pytest.raises(MediaError, match=r"large\.txt: it has 11 bytes, at most 10 are read"):
        Source(LocalFiles(tmp_path)).read("large.txt")


def test_a_place_that_is_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    for location in ("nowhere", str(tmp_path / "notes.txt"), str(tmp_path / "none")):
        with pytest.raises(ReleaseError, match="expected a folder, an archive"):
            open_source(location)


def test_what_the_hub_does_not_give_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = HubFiles("lab/clips", "0" * 40)
    advice = "access was granted, or download the files and name their folder$"
    refused = pytest.raises(ReleaseError, match=rf"^lab/clips@00000000: cannot be read from the Hub \(.*403.*{advice}")
    with serve(Repository("lab/clips", {}, refusal=403)) as hub, client_of(hub), refused:
        files.names()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ReleaseError, match=rf"^lab/clips@00000000: a\.csv: cannot be read from the Hub \(.*{advice}"):
        files.local("a.csv")


def test_a_hub_that_has_no_such_corpus_is_an_error(tmp_path: Path) -> None:
    with serve() as server:
        done = import_from_hub(server.url, tmp_path / "hub", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "the Hub has no such data set" in done.stderr
    assert not (tmp_path / "out").exists()
