"""Releases are found by folder, file or id, and their clips say which streams they have."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.clips import make_clip, melody
from support.waiting import PATIENCE_S

from avemo_harness import media
from avemo_harness.benchmark.release import Clip, ConflictPair, Dialogue, Release, Stream, Turn, make_release
from avemo_harness.benchmark.release_loader import (
    configured_release,
    has_split,
    load_release,
    remember_release,
    remembered_release,
    with_known_streams,
)
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.errors import ReleaseError
from avemo_harness.media.wave import write_wave

CONFIG = "multiturn_real"


@pytest.fixture
def folder(release_folder: Path, tmp_path: Path) -> Path:
    """A copy of the release that a test may change."""
    return Path(shutil.copytree(release_folder, tmp_path / "copy"))


@pytest.fixture
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("AVEMO_DATASET", raising=False)


def test_a_folder_is_read_by_its_readme(
    folder: Path, dialogues: tuple[Dialogue, ...], pairs: tuple[ConflictPair, ...]
) -> None:
    release = load_release(str(folder), CONFIG)
    assert (release.source, release.name, release.split, release.commit) == (str(folder), CONFIG, "test", None)
    assert release.dialogues == dialogues
    assert release.pairs == pairs
    assert [d.dialogue_id for d in load_release(str(folder), CONFIG, "train").dialogues] == ["t0", "t1", "t2"]


@pytest.mark.parametrize("readme", [None, "# A release\n", "---\nlicense: cc0-1.0\n---\n", "---\n---\n"])
def test_a_folder_whose_readme_names_no_configs_is_read_by_its_layout(readme: str | None, folder: Path) -> None:
    declared = load_release(str(folder), CONFIG)
    (folder / "README.md").unlink()
    if readme:
        (folder / "README.md").write_text(readme)
    found = load_release(str(folder), CONFIG)
    assert (found.fingerprint, len(found.pairs)) == (declared.fingerprint, 2)


def test_a_file_without_a_number_in_its_name_is_a_split_too(folder: Path, dialogues: tuple[Dialogue, ...]) -> None:
    (folder / "README.md").unlink()
    (folder / CONFIG / "test-00000.parquet").rename(folder / CONFIG / "test.parquet")
    assert load_release(str(folder), CONFIG).dialogues == dialogues


def test_a_readme_may_place_files_where_it_likes(folder: Path, dialogues: tuple[Dialogue, ...]) -> None:
    (folder / "data").mkdir()
    (folder / CONFIG / "test-00000.parquet").rename(folder / "data" / "part-0.parquet")
    (folder / "README.md").write_text(
        f"---\nconfigs:\n- config_name: {CONFIG}\n  data_files:\n  - split: test\n    path: [data/part-*.parquet]\n"
        "- config_name: other\n  data_files: data/part-0.parquet\n---\nText.\n"
    )
    assert load_release(str(folder), CONFIG).dialogues == dialogues
    assert load_release(str(folder), CONFIG).pairs == ()
    assert load_release(str(folder), "other").dialogues == dialogues


@pytest.mark.parametrize(
    "front",
    [
        "configs: [",
        "- a list",
        "just text",
        "configs: [{config_name: x}]",
        "configs: [{data_files: x.parquet}]",
        "configs: [x]",
        "configs: 3",
        "configs: [{config_name: x, data_files: [x.parquet]}]",
        "configs: [{config_name: x, data_files: 3}]",
        "configs: " + "[" * 3000,
    ],
    ids=lambda front: front[:40],
)
def test_a_readme_with_broken_front_matter_is_refused_by_name(front: str, folder: Path) -> None:
    (folder / "README.md").write_text(f"---\n{front}\n---\n")
    with pytest.raises(ReleaseError, match=r"README\.md: its front matter must be YAML whose 'configs' list records"):
        load_release(str(folder), CONFIG)


@pytest.mark.parametrize("path", ["../secret/*.parquet", "/etc/*.parquet", "data/../../x.parquet", ""])
def test_a_readme_cannot_name_files_outside_its_folder(path: str, folder: Path) -> None:
    (folder / "README.md").write_text(
        f"---\nconfigs:\n- config_name: {CONFIG}\n  data_files:\n  - {{split: test, path: '{path}'}}\n---\n"
    )
    with pytest.raises(ReleaseError, match="must stay inside the folder"):
        load_release(str(folder), CONFIG)


def test_a_single_file_is_a_release_without_pairs(folder: Path, dialogues: tuple[Dialogue, ...]) -> None:
    file = folder / CONFIG / "test-00000.parquet"
    release = load_release(str(file), CONFIG)
    assert (release.dialogues, release.pairs) == (dialogues, ())


def test_a_file_of_something_else_is_refused_by_what_it_lacks(folder: Path) -> None:
    with pytest.raises(ReleaseError, match=r"test-00000\.parquet: column 'dialogue_id' must hold a str, found nothing"):
        load_release(str(folder / f"{CONFIG}_conflict" / "test-00000.parquet"), CONFIG)


def test_a_snapshot_that_the_hub_client_downloaded_is_read_as_a_folder(
    folder: Path, tmp_path: Path, dialogues: tuple[Dialogue, ...]
) -> None:
    snapshot = tmp_path / "snapshots/0a1b"
    for number, file in enumerate(sorted(file for file in folder.rglob("*") if file.is_file())):
        blob = tmp_path / "blobs" / str(number)
        link = snapshot / file.relative_to(folder)
        for path in (blob, link):
            path.parent.mkdir(parents=True, exist_ok=True)
        file.rename(blob)
        link.symlink_to(blob)
    release = load_release(str(snapshot), CONFIG)
    assert release.dialogues == dialogues
    assert release.dialogues[0].turns[0].clip == dialogues[0].turns[0].clip


def test_an_unknown_config_or_split_is_refused_with_those_there_are(folder: Path) -> None:
    with pytest.raises(
        ReleaseError, match=r"no config 'singleturn' \(configs: multiturn_real, multiturn_real_conflict\)"
    ):
        load_release(str(folder), "singleturn")
    with pytest.raises(ReleaseError, match=r"no Parquet file for split 'dev' \(splits: test, train\)"):
        load_release(str(folder), CONFIG, "dev")
    (folder / "empty").mkdir()
    with pytest.raises(ReleaseError, match=r"no config 'x' \(configs: none\)"):
        load_release(str(folder / "empty"), "x")


@pytest.mark.parametrize("source", ["./nowhere", "nowhere", "a/b/c", "../nowhere/x", "/nowhere", "a b/c", ""])
def test_what_is_neither_a_path_nor_a_hub_id_is_refused(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ReleaseError, match=r"no such folder or Parquet file, and not a Hub id \(owner/name\)|no config"
    ):
        load_release(source, CONFIG)


def test_a_local_release_says_which_splits_it_has(folder: Path) -> None:
    release = load_release(str(folder), CONFIG)
    assert has_split(release, str(folder), "train")
    assert not has_split(release, str(folder), "dev")
    assert not has_split(release, str(folder / CONFIG / "test-00000.parquet"), "train")


@pytest.mark.usefixtures("_own_settings")
def test_the_flag_goes_before_the_variable_before_the_remembered_before_the_shipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert configured_release(None, "task", "shipped/one") == "shipped/one"
    remember_release("remembered/one")
    assert configured_release(None, "task", "shipped/one") == "remembered/one"
    monkeypatch.setenv("AVEMO_DATASET", "variable/one")
    assert configured_release(None, "task", "shipped/one") == "variable/one"
    assert configured_release("flag/one", "task", "shipped/one") == "flag/one"


@pytest.mark.usefixtures("_own_settings")
def test_a_remembered_folder_is_found_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert remembered_release() is None
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    file = remember_release("data")
    assert file.is_relative_to(tmp_path / "config")
    assert remembered_release() == str(tmp_path / "data")


@pytest.mark.usefixtures("_own_settings")
def test_without_any_release_one_sentence_says_how_to_get_one() -> None:
    with pytest.raises(ReleaseError) as refused:
        configured_release(None, "multiturn_real", None)
    said = str(refused.value)
    assert said.startswith("multiturn_real needs a release of the benchmark and none is named")
    for way in ("--dataset", "AVEMO_DATASET", "avemo-eval data use", "MultiDialog", "--tasks demo"):
        assert way in said
    assert "\n" not in said


REFUSED_COMMAND = """
import sys, time
asked = []
calls = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen")
sys.addaudithook(lambda event, arguments: asked.append(event) if event in calls else None)
time.sleep = lambda seconds: asked.append("pause")
from avemo_harness.cli import main
code = main(["--model", "qwen2.5-omni", "--tasks", "multiturn_real"])
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"torch", "transformers", "datasets", "huggingface_hub", "av", "pyarrow"}, loaded
assert asked == [], asked
sys.exit(code)
"""


@pytest.mark.usefixtures("_own_settings")
def test_a_split_without_a_release_ends_in_one_line_with_nothing_heavy_loaded_and_nobody_asked(tmp_path: Path) -> None:
    command = [sys.executable, "-c", REFUSED_COMMAND]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("avemo-eval: multiturn_real needs a release")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_own_settings")
@pytest.mark.parametrize("by", ["flag", "variable", "memory"])
def test_the_command_finds_a_release_in_each_of_the_three_ways(
    by: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag = ["--dataset", str(folder)] if by == "flag" else []
    if by == "variable":
        monkeypatch.setenv("AVEMO_DATASET", str(folder))
    if by == "memory":
        remember_release(str(folder))
    command = [sys.executable, "-m", "avemo_harness", "--model", "random", "--tasks", "multiturn_real_full_av", *flag]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert "multiturn_real_full_av" in done.stdout


WHOLE = make_clip(0.4)
MUTE = media.remove_sound(WHOLE)
VOICE = write_wave(melody(0.4), 16_000)


def dialogue_of(*clips: bytes | None) -> Dialogue:
    turns = tuple(
        Turn(number, "user", "ann", "", "sad", clip=None if data is None else Clip.from_bytes(data))
        for number, data in enumerate(clips)
    )
    return Dialogue("d", "made for tests", "en", "CC0-1.0", turns)


def release_of(dialogue: Dialogue) -> Release:
    return make_release("source", "name", "test", None, [dialogue], [])


def streams(release: Release) -> list[frozenset[Stream] | None]:
    return [turn.clip and turn.clip.streams for turn in release.dialogues[0].turns]


BOTH, SOUND, PICTURE = frozenset({"sound", "picture"}), frozenset({"sound"}), frozenset({"picture"})


def quiet(sentence: str) -> None:
    del sentence


def test_a_written_release_says_which_streams_each_clip_has(tmp_path: Path) -> None:
    write_release(tmp_path, "name", {"test": [dialogue_of(WHOLE, MUTE, VOICE, None, b"no clip")]})
    read = load_release(str(tmp_path), "name")
    assert streams(read) == [BOTH, PICTURE, SOUND, None, None]


def test_streams_are_probed_where_the_release_does_not_say(tmp_path: Path) -> None:
    release = release_of(dialogue_of(WHOLE, MUTE, VOICE, None))
    known = with_known_streams(release, tmp_path, quiet)
    assert streams(known) == [BOTH, PICTURE, SOUND, None]
    assert known.fingerprint == release.fingerprint


def test_a_clip_is_probed_once_and_then_remembered_by_its_digest(tmp_path: Path) -> None:
    release = release_of(dialogue_of(WHOLE, VOICE))
    known = with_known_streams(release, tmp_path, quiet)

    def unreadable() -> bytes:
        raise AssertionError("the clip is read again")

    turns = tuple(
        replace(turn, clip=turn.clip and replace(turn.clip, fetch=unreadable)) for turn in release.dialogues[0].turns
    )
    gone = replace(release, dialogues=(replace(release.dialogues[0], turns=turns),))
    assert streams(with_known_streams(gone, tmp_path, quiet)) == streams(known)


def test_a_damaged_memory_is_made_again(tmp_path: Path) -> None:
    release = release_of(dialogue_of(WHOLE))
    known = with_known_streams(release, tmp_path, quiet)
    (file,) = tmp_path.iterdir()
    for damage in ("", "{", "[]", '{"a": 1}', '{"a": []}', '{"a": ["smell"]}'):
        file.write_text(damage, encoding="utf-8")
        assert streams(with_known_streams(release, tmp_path, quiet)) == streams(known)


def test_a_clip_that_cannot_be_read_has_unknown_streams_and_is_tried_again(tmp_path: Path) -> None:
    broken = release_of(dialogue_of(b"no clip"))
    assert streams(with_known_streams(broken, tmp_path, quiet)) == [None]
    assert list(tmp_path.iterdir()) == []


def test_the_columns_change_no_fingerprint(tmp_path: Path) -> None:
    dialogue = dialogue_of(WHOLE, VOICE)
    write_release(tmp_path, "name", {"test": [dialogue]})
    assert load_release(str(tmp_path), "name").fingerprint == release_of(dialogue).fingerprint


def test_a_column_of_another_type_is_refused(tmp_path: Path) -> None:
    write_release(tmp_path, "name", {"test": [dialogue_of(WHOLE)]})
    file = tmp_path / "name" / "test-00000.parquet"
    rows = pq.read_table(file).to_pylist()
    rows[0]["turns"][0]["has_sound"] = "yes"
    pq.write_table(type(pq.read_table(file)).from_pylist(rows), file)
    with pytest.raises(ReleaseError, match="turn 0: has_sound must be true, false or null, found 'yes'"):
        load_release(str(tmp_path), "name")
