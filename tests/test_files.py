"""Files and folders are written whole or not at all, locked, read as what they have to be, and pruned."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support.planted_runs import Planted, TextBench
from support.waiting import ASLEEP_S, PATIENCE_S, wait_until

from avemo_harness.errors import StorageError, StoreError, UsageError
from avemo_harness.files import (
    exclusive_lock,
    link_new,
    new_folder,
    part_of,
    prune_files,
    read_json,
    read_whole,
    remove_leftovers,
    require_new_folder,
    write_atomically,
)

WRITE = """
import os, signal, sys, time
from pathlib import Path
from avemo_harness.files import write_atomically
def pause(handle):
    {pause}
os.fsync = pause
write_atomically(Path(sys.argv[1]), "whole")
"""
KILLED = WRITE.format(pause="os.kill(os.getpid(), signal.SIGKILL)")
SLOW = WRITE.format(pause="while not Path(sys.argv[2]).exists(): time.sleep(0.01)")


def parts(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob(".*.part*"))


def leave_part(path: Path) -> None:
    """Let a process be killed while it writes a file."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode < 0


def test_what_a_killed_writer_left_is_removed_at_once(tmp_path: Path) -> None:
    for path in (tmp_path / "results.json", tmp_path / "scores" / "task.jsonl"):
        leave_part(path)
    assert len(parts(tmp_path)) == 2
    assert remove_leftovers(tmp_path) == 2
    assert parts(tmp_path) == []


def test_what_is_being_written_stays_and_gets_into_its_place(tmp_path: Path) -> None:
    path, go = tmp_path / "results.json", tmp_path / "go"
    with subprocess.Popen([sys.executable, "-c", SLOW, str(path), str(go)]) as writer:
        wait_until(lambda: parts(tmp_path), "the other process writes")
        wait_until(lambda: all((tmp_path / name).stat().st_size for name in parts(tmp_path)), "it has written")
        assert remove_leftovers(tmp_path) == 0
        go.touch()
        assert writer.wait(PATIENCE_S) == 0
    assert path.read_text() == "whole"
    assert parts(tmp_path) == []


def test_no_writer_loses_its_file_to_one_who_tidies_up(tmp_path: Path) -> None:
    over = threading.Event()

    def tidy() -> None:
        while not over.is_set():
            remove_leftovers(tmp_path)

    tidying = threading.Thread(target=tidy)
    tidying.start()
    try:
        for number in range(200):
            write_atomically(tmp_path / f"{number}.json", str(number))
    finally:
        over.set()
        tidying.join()
    assert [(tmp_path / f"{number}.json").read_text() for number in range(200)] == [str(one) for one in range(200)]


def test_without_locks_what_is_old_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    fresh, old = tmp_path / ".a.0123456789ab.part", tmp_path / ".b.0123456789ab.part"
    for path in (fresh, old):
        path.touch()
    os.utime(old, (0, time.time() - 3600))
    assert remove_leftovers(tmp_path) == 1
    assert parts(tmp_path) == [fresh.name]
    write_atomically(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text() == "text"


def test_files_that_only_look_alike_stay(tmp_path: Path) -> None:
    names = [".hidden", "a.0123456789ab.part", ".a.part", ".a.0123456789ab.part.txt", ".a.nohexnumbers.part"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / ".folder.0123456789ab.part").mkdir()
    (tmp_path / ".link.0123456789ab.part").symlink_to(tmp_path / ".hidden")
    assert remove_leftovers(tmp_path) == 0
    assert all((tmp_path / name).exists() for name in names)


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        write_atomically(tmp_path / "folder", "text")
    with pytest.raises(KeyboardInterrupt), part_of(tmp_path / "file"):
        raise KeyboardInterrupt
    assert parts(tmp_path) == []


def test_the_next_run_command_removes_what_killed_ones_left(tmp_path: Path) -> None:
    bench = TextBench.of(tmp_path, dialogues=2)
    folder = bench.run(Planted("mine"))
    results = (folder / "results.json").read_bytes()
    for name in ("run.json", "results.json", "items/text_only.jsonl", "scores/text_only.jsonl", "report.html"):
        leave_part(folder / name)
    (folder / ".run.0123456789ab.part").touch()
    (folder / "speech").mkdir()
    (folder / "speech" / ".key.0123abcd.part.flac").touch()
    assert len(parts(folder)) == 7
    bench.run(Planted("mine"))
    assert parts(folder) == []
    assert (folder / "results.json").read_bytes() == results


def test_a_second_name_is_given_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    assert link_new(tmp_path / "file", tmp_path / "name")
    assert not link_new(tmp_path / "file", tmp_path / "name")
    assert read_whole(tmp_path / "name") == b"content"


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.EPERM, "put the run on a file system that has them"),
        (errno.EOPNOTSUPP, "put the run on a file system that has them"),
        (errno.ENOSPC, "make room"),
        (errno.EROFS, "it can only be read"),
    ],
)
def test_another_file_system_is_the_way_out_where_there_are_no_hard_links_and_only_there(
    code: int, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StoreError, match=advice):
        link_new(tmp_path / "file", tmp_path / "name")


def test_a_missing_file_is_told_from_one_that_cannot_be_read(tmp_path: Path) -> None:
    for path, missing in ((tmp_path / "none", True), (tmp_path, False)):
        with pytest.raises(StorageError, match=f"{path}: cannot be read") as found:
            read_whole(path)
        assert found.value.missing is missing


def test_a_new_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "below" / "release"

    def fail_halfway(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), new_folder(path) as folder:
        fail_halfway(folder)
    assert list(path.parent.iterdir()) == []
    with new_folder(path) as folder:
        (folder / "rows.json").write_text("[]")
        assert not path.exists()
    assert [one.name for one in path.parent.iterdir()] == ["release"]
    assert (path / "rows.json").read_text() == "[]"
    assert path.stat().st_mode == (tmp_path / "below").stat().st_mode


def test_a_new_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file/release: cannot be written"), new_folder(tmp_path / "file/release"):
        pass
    (tmp_path / "full").mkdir()
    (tmp_path / "full/old").touch()
    with pytest.raises(StorageError, match="full: cannot be written"), new_folder(tmp_path / "full"):
        pass
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["old"]


def test_a_folder_that_holds_something_is_refused_and_an_empty_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for free in ("nowhere", "empty"):
        require_new_folder(tmp_path / free)
    (tmp_path / "file").touch()
    for taken in (tmp_path / "file", tmp_path):
        with pytest.raises(UsageError, match="is there already and is not overwritten; name a new folder"):
            require_new_folder(taken)
    with pytest.raises(UsageError, match=f"{tmp_path.name} is taken"):
        require_new_folder(tmp_path, " is taken")


def test_a_json_file_is_read_as_what_it_has_to_be(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    with pytest.raises(FileNotFoundError):
        read_json(path, dict)
    path.write_text('{"name": "Ärger"}', encoding="utf-8")
    assert read_json(path, dict) == {"name": "Ärger"}
    with pytest.raises(ValueError, match="expected a JSON array, found dict"):
        read_json(path, list)


@pytest.mark.parametrize("damaged", [b"", b'{"a": 1', b"\xff\xfe", b"[] []"])
def test_a_damaged_json_file_is_a_value_error(damaged: bytes, tmp_path: Path) -> None:
    (tmp_path / "file.json").write_bytes(damaged)
    with pytest.raises(ValueError, match=r".+"):
        read_json(tmp_path / "file.json", list)


HOLD = f"""
import sys, time
from pathlib import Path
from avemo_harness.files import exclusive_lock
with exclusive_lock(Path(sys.argv[1]), lambda: None):
    Path(sys.argv[2]).touch()
    time.sleep({ASLEEP_S})
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "thing"


def test_a_free_lock_is_taken_at_once_again_and_again(lock: Path) -> None:
    waited: list[str] = []
    for _ in range(2):
        with exclusive_lock(lock, lambda: waited.append("waited")):
            pass
    assert waited == []


def test_a_process_waits_for_the_one_inside_and_comes_in_when_that_is_killed(lock: Path, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock), str(inside)]) as other:
        wait_until(inside.exists, "the other process holds the lock")
        with exclusive_lock(lock, other.kill):
            assert other.wait(timeout=PATIENCE_S) != 0


def test_an_error_inside_lets_the_next_one_in(lock: Path) -> None:
    with pytest.raises(ValueError, match="inside"), exclusive_lock(lock, lambda: None):
        raise ValueError("inside")
    with exclusive_lock(lock, lambda: pytest.fail("the lock is still held")):
        pass


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written"), exclusive_lock(tmp_path / "file" / "lock", lambda: None):
        pass


def test_files_used_longest_ago_go_until_the_rest_fits(tmp_path: Path) -> None:
    for age in range(5):
        path = tmp_path / f"{age}"
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000 + age, 1000 + age))
    assert prune_files(tmp_path.iterdir(), 250) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3", "4"]
    assert prune_files(tmp_path.iterdir(), 250) == 0


def test_a_file_that_is_gone_meanwhile_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(b"x" * 100)
    assert prune_files([tmp_path / "gone", tmp_path / "here"], 10) == 1


def test_what_cannot_be_deleted_stays_and_keeps_nothing_else_from_going(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.utime(tmp_path / "folder", (1000, 1000))
    (tmp_path / "file").write_bytes(b"x" * 100)
    assert prune_files(tmp_path.iterdir(), 0) == 1
    assert (tmp_path / "folder").exists()
