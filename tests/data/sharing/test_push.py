"""A release goes up whole and checked, comes back the same, and what must not be shared stays where it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.byte_clips import CONFIG, clip_path, write_byte_release, write_clips_beside
from support.corpus_trees import write_ravdess
from support.hub_server import Repository
from support.hub_uploads import Pushed as Stored
from support.hub_uploads import UploadServer, client_of, serve_uploads
from support.imports import import_corpus

from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.benchmark.task_library import TaskLibrary
from avemo_harness.data.sharing.push import PushResult, push_release
from avemo_harness.data.sharing.repository import PushTarget
from avemo_harness.errors import AvemoError, ReleaseError, UsageError
from avemo_harness.scorers import METRICS

TASKS = [task.spec for task in TaskLibrary(METRICS).load(["multiturn_real", "singleturn_synthetic"])]
REPO = "lab/release"


@pytest.fixture
def hub() -> Iterator[UploadServer]:
    with serve_uploads() as server, client_of(server):
        yield server


def push(folder: Path, target: PushTarget | None = None, **terms: Any) -> PushResult:
    return push_release(folder, target or PushTarget(REPO), TASKS, lambda sentence: None, **terms)


def stored(hub: UploadServer) -> Stored:
    repository = hub.repositories[REPO]
    assert isinstance(repository, Stored)
    return repository


def restore(hub: UploadServer, folder: Path) -> Path:
    """The files on the server, written to a folder."""
    for name, data in stored(hub).files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def refused(folder: Path, hub: UploadServer, **terms: Any) -> str:
    """The refusal of a push that leaves nothing on the server."""
    with pytest.raises(AvemoError) as caught:
        push(folder, **terms)
    assert not hub.blobs
    assert not hub.repositories
    return str(caught.value)


def fingerprints(folder: Path) -> list[str]:
    return [load_release(str(folder), CONFIG, split).fingerprint for split in ("test", "train")]


READER = """
import sys
from avemo_harness.benchmark.release_loader import ReleaseOptions, load_release
release = load_release(sys.argv[1], sys.argv[2], "test", ReleaseOptions(revision=sys.argv[3]))
print(release.fingerprint, release.commit, len([t.clip.read() for d in release.dialogues for t in d.turns if t.clip]))
"""


def test_what_was_pushed_is_read_from_its_commit_and_its_tag_with_an_equal_fingerprint(
    hub: UploadServer, tmp_path: Path
) -> None:
    folder = write_byte_release(tmp_path / "release")
    pushed = push(folder, PushTarget(REPO, tag="v1"))
    expected = load_release(str(folder), CONFIG).fingerprint
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    for revision in (pushed.commit, "v1"):
        command = [sys.executable, "-c", READER, REPO, CONFIG, revision]
        done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
        assert done.stdout.split() == [expected, pushed.commit, "6"], done.stderr


def test_a_push_brings_data_card_and_leaderboards_and_leaves_other_files(hub: UploadServer, tmp_path: Path) -> None:
    folder = write_byte_release(tmp_path)
    for private in ("notes.txt", ".secret.parquet", "media/clip.mp4", ".work/test-00000.parquet"):
        (folder / private).parent.mkdir(exist_ok=True)
        (folder / private).write_bytes(b"mine")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    pushed = push(folder)
    files = stored(hub).files
    assert sorted(files) == [
        ".gitattributes",
        "README.md",
        "eval.yaml",
        "multiturn_real/test-00000.parquet",
        "multiturn_real/train-00000.parquet",
        "multiturn_real_conflict/test-00000.parquet",
    ]
    assert pushed.files == 5
    assert pushed.size == sum(len(data) for name, data in files.items() if name != ".gitattributes")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_clips_beside_the_parquet_files_are_put_into_them(hub: UploadServer, tmp_path: Path) -> None:
    folder = write_clips_beside(tmp_path / "release")
    assert not push(folder).publication.needs_media
    restored = restore(hub, tmp_path / "restored")
    assert fingerprints(restored) == fingerprints(folder)
    release = load_release(str(restored), CONFIG)
    assert all(turn.clip.read() for dialogue in release.dialogues for turn in dialogue.turns if turn.clip)


def test_a_config_of_several_files_is_published_as_one(hub: UploadServer, tmp_path: Path) -> None:
    folder = write_byte_release(tmp_path / "release")
    file = folder / CONFIG / "test-00000.parquet"
    table = pq.read_table(file)
    pq.write_table(table.slice(0, 1), file)
    pq.write_table(table.slice(1), folder / CONFIG / "test-00001.parquet")
    push(folder)
    assert fingerprints(restore(hub, tmp_path / "restored")) == fingerprints(folder)


def test_nothing_is_uploaded_where_a_clip_is_not_that_of_its_digest(hub: UploadServer, tmp_path: Path) -> None:
    folder = write_byte_release(tmp_path)
    file = folder / CONFIG / "test-00000.parquet"
    rows = pq.read_table(file).to_pylist()
    rows[1]["turns"][0]["clip"]["bytes"] = b"another recording"
    pq.write_table(pa.Table.from_pylist(rows, schema=pq.read_schema(file)), file)
    assert "fails the schema check (dialogue d1, turn 0: the clip's bytes are not those" in refused(folder, hub)


def test_clips_that_must_not_be_shared_are_refused_even_when_acknowledged(hub: UploadServer, tmp_path: Path) -> None:
    folder = write_byte_release(tmp_path)
    (folder / "import.json").write_text(json.dumps({"corpus": "MELD", "redistributable": False}))
    for acknowledged in (False, True):
        why = refused(folder, hub, acknowledged=acknowledged)
        assert "clips must not be passed on: made for tests (CC0-1.0); nothing is uploaded" in why
        assert "--ids_only" in why


def test_ids_of_a_restricted_corpus_go_up_once_acknowledged_and_no_clip_with_them(
    hub: UploadServer, tmp_path: Path
) -> None:
    folder = write_byte_release(tmp_path / "release")
    (folder / "import.json").write_text(json.dumps({"corpus": "MELD", "redistributable": False}))
    assert "--acknowledge_restricted" in refused(folder, hub, sharing="ids")
    assert push(folder, sharing="ids", acknowledged=True).publication.needs_media
    everything = [*stored(hub).files.values(), *hub.blobs.values()]
    assert not any(b"recording 0 0" in data for data in everything)
    restored = restore(hub, tmp_path / "restored")
    assert fingerprints(restored) == fingerprints(folder)
    digest = load_release(str(folder), CONFIG).dialogues[0].turns[0].clip
    assert digest is not None
    file = restored / "media" / digest.sha256[:2] / digest.sha256
    file.parent.mkdir(parents=True)
    file.write_bytes(digest.read())
    named = load_release(str(restored), CONFIG).dialogues[0].turns[0].clip
    assert named is not None
    assert named.read() == digest.read()


def test_a_release_that_names_clips_elsewhere_is_pushed_as_ids(hub: UploadServer, tmp_path: Path) -> None:
    folder = write_byte_release(tmp_path / "release", path_of=clip_path)
    (folder / "import.json").write_text(json.dumps({"redistributable": False, "clips": "named"}))
    assert "say so with --acknowledge_restricted" in refused(folder, hub)
    assert push(folder, acknowledged=True).publication.needs_media
    assert fingerprints(restore(hub, tmp_path / "restored")) == fingerprints(folder)


def test_a_release_of_which_clips_are_missing_is_refused_but_its_ids_are_not(hub: UploadServer, tmp_path: Path) -> None:
    folder = write_clips_beside(tmp_path)
    next((folder / "clips").iterdir()).unlink()
    assert "1 clips are not here; put back their files" in refused(folder, hub)
    assert push(folder, sharing="ids").publication.needs_media


def test_an_own_list_of_leaderboards_is_taken_as_it_is(hub: UploadServer, tmp_path: Path) -> None:
    folder = write_byte_release(tmp_path)
    (folder / "eval.yaml").write_text("name: mine\n")
    push(folder)
    assert stored(hub).files["eval.yaml"] == b"name: mine\n"


def test_records_go_up_without_folders_of_this_machine(hub: UploadServer, tmp_path: Path) -> None:
    folder = write_byte_release(tmp_path)
    (folder / "import.json").write_text(json.dumps({"corpus": "own", "source": str(tmp_path / "corpus")}))
    push(folder)
    assert json.loads(stored(hub).files["import.json"])["source"] == "…/corpus"
    assert not any(str(tmp_path).encode() in data for data in stored(hub).files.values())


def test_a_second_push_replaces_the_first_in_one_commit(hub: UploadServer, tmp_path: Path) -> None:
    folder = write_byte_release(tmp_path / "first")
    (folder / "build.json").write_text("{}")
    (folder / "import.json").write_text('{"corpus": "own"}')
    first = push(folder)
    assert push(folder).commit == first.commit
    second = push(write_byte_release(tmp_path / "second", dialogues=2, config="singleturn_synthetic"))
    assert len(hub.commits) == 2
    assert second.commit == stored(hub).commit != first.commit
    assert [name for name, kind in hub.commits[1].items() if kind == "deletedFile"] == [
        "import.json",
        "multiturn_real/test-00000.parquet",
        "multiturn_real/train-00000.parquet",
        "multiturn_real_conflict/test-00000.parquet",
    ]


def test_files_that_others_put_into_the_repository_stay(hub: UploadServer, tmp_path: Path) -> None:
    folder = write_byte_release(tmp_path)
    push(folder)
    repository = stored(hub)
    hub.repositories[REPO] = Stored(REPO, {**repository.files, "poster.png": b"picture"})
    (folder / "README.md").write_text("---\npretty_name: New\n---\n")
    push(folder)
    assert stored(hub).files["poster.png"] == b"picture"


def test_a_repository_that_holds_something_else_is_not_touched(tmp_path: Path) -> None:
    other = Stored(REPO, {"README.md": b"---\ntags: [cats]\n---\n", "cats.parquet": b"cats"})
    with serve_uploads(other) as hub, client_of(hub):
        with pytest.raises(UsageError, match="holds something else than a release"):
            push(write_byte_release(tmp_path))
        assert hub.repositories == {REPO: other}


def test_a_private_release_does_not_go_to_a_public_repository(hub: UploadServer, tmp_path: Path) -> None:
    folder = write_byte_release(tmp_path)
    push(folder)
    with pytest.raises(UsageError, match="is there and public"):
        push(folder, PushTarget(REPO, private=True))
    push(folder, PushTarget("lab/hidden", private=True))
    hidden = hub.repositories["lab/hidden"]
    assert isinstance(hidden, Stored)
    assert hidden.private


def test_a_tag_is_not_moved(hub: UploadServer, tmp_path: Path) -> None:
    folder = write_byte_release(tmp_path / "first")
    first = push(folder, PushTarget(REPO, tag="v1"))
    other = write_byte_release(tmp_path / "second", dialogues=2)
    with pytest.raises(UsageError, match="the tag v1 is there already"):
        push(other, PushTarget(REPO, tag="v1"))
    assert stored(hub).tags == {"v1": first.commit}
    second = push(other, PushTarget(REPO, tag="v2"))
    assert stored(hub).tags == {"v1": first.commit, "v2": second.commit}


@pytest.mark.parametrize(
    ("part", "status", "told"),
    [
        ("/repos/create", 401, r"log in with `hf auth login`"),
        ("/repos/create", 409, "it is there already, and closed to you"),
        ("/commit/main", 403, r"log in with `hf auth login`"),
        ("/commit/main", 400, r"lab/release: the Hub refused it \(Refused, 400\)"),
        ("/commit/main", 412, "somebody else changed it meanwhile"),
        ("/batch", 403, r"log in with `hf auth login`"),
        ("/lfs/", 403, r"log in with `hf auth login`"),
        ("/validate-yaml", 400, r"lab/release: refused \(Invalid metadata in README.md"),
    ],
)
def test_a_refusal_of_the_hub_is_one_sentence(
    hub: UploadServer, tmp_path: Path, part: str, status: int, told: str
) -> None:
    hub.refusals[part] = status
    with pytest.raises(UsageError, match=told):
        push(write_byte_release(tmp_path))


def test_a_push_without_its_tag_names_the_commit(hub: UploadServer, tmp_path: Path) -> None:
    hub.refusals["/tag/"] = 403
    with pytest.raises(UsageError, match=r"pushed as [0-9a-f]{40}, but not tagged: the Hub does not let you") as caught:
        push(write_byte_release(tmp_path), PushTarget(REPO, tag="v1"))
    assert stored(hub).commit in str(caught.value)


def test_a_hub_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    with serve_uploads() as hub:
        pass
    with client_of(hub), pytest.raises(UsageError, match="check the network or HF_ENDPOINT"):
        push(write_byte_release(tmp_path))


@pytest.mark.parametrize("repo", ["release", "a/b/c", "lab/", "lab/my release"])
def test_a_name_that_is_no_repository_is_refused(repo: str) -> None:
    with pytest.raises(UsageError, match="expected the id of a data set on the Hub"):
        PushTarget(repo)


@pytest.mark.parametrize("tag", ["", "-v1", "first release", "a/b"])
def test_a_name_that_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(UsageError, match="--revision_tag"):
        PushTarget(REPO, tag)


def test_a_folder_without_a_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="expected folders of Parquet files"):
        push(tmp_path)


def test_a_gated_repository_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    gated = Repository(REPO, {}, refusal=403)
    with serve_uploads(gated) as hub, client_of(hub), pytest.raises(UsageError, match="log in with"):
        push(write_byte_release(tmp_path))
    assert not any(line.startswith("POST") for line in hub.log)


def test_the_corpus_of_a_restricted_benchmark_stays_whatever_its_own_record_says(
    tmp_path: Path, hub: UploadServer
) -> None:
    source = write_ravdess(tmp_path / "corpus", ["03-01-03-01-01-01-01.wav", "03-01-04-01-01-01-01.wav"])
    import_corpus("ravdess", source, tmp_path / "release", clips="inside")
    assert "clips must not be passed on" in refused(tmp_path / "release", hub, restricted={"ravdess"})
    assert "--acknowledge_restricted" in refused(tmp_path / "release", hub, restricted={"ravdess"}, sharing="ids")
    assert push(tmp_path / "release", restricted={"crema-d"}).files
