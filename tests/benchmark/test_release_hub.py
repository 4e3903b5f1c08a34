"""Releases of the Hub, read with `datasets` from a server that behaves like it.

`huggingface_hub` reads its settings when it is imported, so the readers run in processes of their own.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from support.hub_server import Fault, HubServer, Repository, hub_environment, serve
from support.waiting import PATIENCE_S

from avemo_harness.benchmark.release import Clip, Dialogue, Release, Turn, dialogue_row, pair_row
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.benchmark.release_writer import write_release

CONFIG = "multiturn_real"

READER = """
import json, sys, time
from pathlib import Path
from avemo_harness.benchmark.release import dialogue_row, pair_row
from avemo_harness.benchmark.release_loader import ReleaseOptions, has_split, load_release
from avemo_harness.errors import ReleaseError

pauses = []
time.sleep = pauses.append
answers = []
for source, name, split, options in json.loads(sys.argv[1]):
    pauses.clear()
    try:
        options["media_root"] = options["media_root"] and Path(options["media_root"])
        release = load_release(source, name, split, ReleaseOptions(**options))
        answers.append({
            "commit": release.commit,
            "fingerprint": release.fingerprint,
            "dialogues": [dialogue_row(dialogue) for dialogue in release.dialogues],
            "pairs": [pair_row(pair) for pair in release.pairs],
            "clips": [t.clip.read().hex() for d in release.dialogues for t in d.turns if t.clip],
            "splits": [one for one in ("test", "train", "dev") if has_split(release, source, one)],
        })
    except ReleaseError as error:
        answers.append({"refused": str(error)})
    answers[-1]["paused_s"] = sum(pauses)
decoders = [one for one in ("torchcodec", "av", "cv2") if one in sys.modules]
print(json.dumps({"answers": answers, "decoders": decoders}))
"""


@dataclass(frozen=True)
class Wanted:
    """A release that a reader is asked for."""

    source: str = "lab/release"
    name: str = CONFIG
    split: str = "test"
    revision: str | None = None
    streaming: bool = False
    media_root: str | None = None

    def arguments(self) -> list[Any]:
        options = asdict(self)
        return [options.pop("source"), options.pop("name"), options.pop("split"), options]


def read(home: Path, endpoint: str, *releases: Wanted, **environment: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows that a process of its own read, and the decoders that it had imported. Pauses are added up and not made."""
    wanted = json.dumps([release.arguments() for release in releases])
    done = subprocess.run(
        [sys.executable, "-c", READER, wanted],
        env=hub_environment(home, endpoint, **environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    return result["answers"], result["decoders"]


READABLE = {
    "whole": Wanted(),
    "streamed": Wanted(streaming=True),
    "tag": Wanted(revision="v1"),
    "train": Wanted(split="train"),
    "to decode": Wanted("lab/decoded"),
    "to decode, streamed": Wanted("lab/decoded", streaming=True),
}
REFUSED = {
    "unknown repository": (Wanted("lab/none"), "no such data set or revision 'main', or access is not granted (401)"),
    "gated repository": (Wanted("lab/gated"), "log in with `hf auth login` where it is gated"),
    "unknown branch": (Wanted(revision="v9"), "no such data set or revision 'v9'"),
    "unknown commit": (Wanted(revision="0" * 40), f"no such data set or revision '{'0' * 40}'"),
    "unknown config": (Wanted(name="x"), "no config 'x' (configs: multiturn_real, multiturn_real_conflict)"),
    "unknown split": (Wanted(split="dev"), 'Unknown split "dev". Should be one of'),
    "unknown split, streamed": (Wanted(split="dev", streaming=True), "has no split 'dev' (splits: test, train)"),
    "rows of something else": (Wanted(name=f"{CONFIG}_conflict"), "column 'turns' must hold lists of records"),
    "rows of something else, streamed": (
        Wanted(name=f"{CONFIG}_conflict", streaming=True),
        "column 'dialogue_id' must hold a str",
    ),
    "damaged file": (Wanted("lab/damaged"), "lab/damaged: "),
    "damaged file, streamed": (Wanted("lab/damaged", streaming=True), "lab/damaged: "),
}


@dataclass(frozen=True)
class Session:
    """Rows that one process read, one release after the other."""

    answers: dict[str, dict[str, Any]]
    decoders: list[str]
    requests: list[str]


@pytest.fixture(scope="module")
def session(hub: HubServer, tmp_path_factory: pytest.TempPathFactory, dialogues: tuple[Dialogue, ...]) -> Session:
    commit = hub.repositories["lab/release"].commit
    media = tmp_path_factory.mktemp("media")
    for turn in dialogues[0].turns:
        if turn.clip:
            (media / f"{turn.clip.sha256}.mp4").write_bytes(turn.clip.read())
    wanted = {
        **READABLE,
        "commit": Wanted(revision=commit),
        "named": Wanted("lab/named", media_root=str(media)),
        "named, streamed": Wanted("lab/named", media_root=str(media), streaming=True),
        **{name: want for name, (want, _) in REFUSED.items()},
    }
    hub.log.clear()
    answers, decoders = read(tmp_path_factory.mktemp("home"), hub.url, *wanted.values())
    return Session(dict(zip(wanted, answers, strict=True)), decoders, list(hub.log))


@pytest.fixture(scope="module")
def local(release_folder: Path) -> Release:
    return load_release(str(release_folder), CONFIG)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["whole", "streamed", "tag", "commit", "to decode", "to decode, streamed"])
def test_every_reader_gives_the_rows_clips_and_fingerprint_of_the_local_one(
    name: str, session: Session, local: Release
) -> None:
    answer = session.answers[name]
    assert answer["dialogues"] == [dialogue_row(dialogue) for dialogue in local.dialogues]
    assert answer["pairs"] == [pair_row(pair) for pair in local.pairs]
    assert answer["fingerprint"] == local.fingerprint
    assert answer["clips"] == [t.clip.read().hex() for d in local.dialogues for t in d.turns if t.clip]


@pytest.mark.slow
def test_a_branch_a_tag_and_a_commit_are_recorded_as_the_commit(session: Session, hub: HubServer) -> None:
    commit = hub.repositories["lab/release"].commit
    assert {session.answers[name]["commit"] for name in ("whole", "streamed", "tag", "commit")} == {commit}
    files = [line for line in session.requests if "/datasets/lab/release/resolve/" in line]
    assert files
    assert all(f"/resolve/{commit}/" in line for line in files)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["named", "named, streamed"])
def test_clips_that_a_hub_release_only_names_are_read_under_the_media_root(
    name: str, session: Session, dialogues: tuple[Dialogue, ...]
) -> None:
    assert session.answers[name]["clips"] == [t.clip.read().hex() for t in dialogues[0].turns if t.clip]
    assert session.answers[name]["dialogues"] == [dialogue_row(dialogues[0])]


@pytest.mark.slow
def test_media_are_never_decoded_by_the_reader(session: Session) -> None:
    assert session.decoders == []


STREAMER = """
import sys
from avemo_harness.benchmark.release_loader import ReleaseOptions, load_release

release = load_release("lab/large", "large", options=ReleaseOptions(streaming=True))
print(len(release.dialogues), flush=True)
sys.stdin.readline()
for _ in range(2):
    print(len(release.dialogue("d17").turns[0].clip.read()), flush=True)
    sys.stdin.readline()
"""


def _bytes_of(requests: list[str], file: str) -> int:
    """Bytes of a file that the ranges of some requests cover."""
    ranges = [line.split("bytes=")[1].split("-") for line in requests if file in line and "bytes=" in line]
    return sum(int(last) - int(first) + 1 for first, last in ranges)


@pytest.mark.slow
def test_streaming_reads_all_rows_and_no_clip_before_it_is_asked_for_and_each_once(tmp_path: Path) -> None:
    turn = Turn(0, "user", "ann", "", "sad", clip=Clip.from_bytes(bytes(150_000)))
    rows = [Dialogue(f"d{number}", "", "en", "CC0-1.0", (turn,)) for number in range(24)]
    write_release(tmp_path / "large", "large", {"test": rows})
    with (
        serve(Repository.of_folder("lab/large", tmp_path / "large")) as hub,
        subprocess.Popen(
            [sys.executable, "-c", STREAMER],
            env=hub_environment(tmp_path, hub.url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as streamer,
    ):
        assert streamer.stdin
        assert streamer.stdout
        read_bytes, printed = [], []
        for _ in range(3):
            printed.append(int(streamer.stdout.readline()))
            read_bytes.append(_bytes_of(hub.log, "test-00000.parquet"))
            streamer.stdin.write("\n")
            streamer.stdin.flush()
    assert printed == [24, 150_000, 150_000]
    rows_alone, with_a_clip, again = read_bytes
    assert rows_alone < 24 * 150_000 / 10
    # Its row group came with it.
    assert 150_000 <= with_a_clip - rows_alone < 9 * 150_000
    assert again == with_a_clip


@pytest.mark.slow
def test_the_other_parts_of_a_release_are_known_and_read(session: Session, release_folder: Path) -> None:
    assert session.answers["whole"]["splits"] == ["test", "train"]
    train = load_release(str(release_folder), CONFIG, "train")
    assert session.answers["train"]["fingerprint"] == train.fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_what_the_hub_does_not_have_is_refused_in_one_sentence(name: str, session: Session) -> None:
    answer = session.answers[name]
    assert REFUSED[name][1] in answer["refused"]
    assert answer["refused"].startswith(REFUSED[name][0].source)
    assert "\n" not in answer["refused"]
    assert answer["paused_s"] < 15


@pytest.fixture
def failing(hub: HubServer) -> Any:
    """Sets a fault of the server; it is well again afterwards."""

    def set_fault(fault: Fault) -> None:
        hub.fault = fault
        hub.log.clear()

    yield set_fault
    hub.fault = "none"


@pytest.fixture
def nobody() -> str:
    """An address where no server listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_hub_that_is_down_is_noticed_at_once(tmp_path: Path, hub: HubServer, nobody: str) -> None:
    pinned = Wanted(revision=hub.repositories["lab/release"].commit)
    answers, _ = read(tmp_path, nobody, Wanted(), Wanted(streaming=True), pinned)
    for answer in answers:
        assert "Connection refused" in answer["refused"]
        assert answer["refused"].startswith("lab/release: cannot be read from the Hub (")
        assert answer["refused"].endswith("check the network or HF_ENDPOINT, or name a local folder with --dataset")
        assert answer["paused_s"] < 5


@pytest.mark.parametrize("streaming", [False, True])
def test_a_hub_that_cuts_every_connection_is_noticed_at_once(
    streaming: bool, tmp_path: Path, hub: HubServer, failing: Callable[[Fault], None]
) -> None:
    failing("cut every answer")
    (answer,), _ = read(tmp_path, hub.url, Wanted(streaming=streaming))
    assert answer["refused"].startswith("lab/release: cannot be read from the Hub (")
    assert answer["paused_s"] < 5
    assert len(hub.log) == 1


@pytest.mark.slow
def test_a_download_that_is_cut_again_and_again_is_given_up(
    tmp_path: Path, hub: HubServer, failing: Callable[[Fault], None]
) -> None:
    failing("cut files")
    (answer,), _ = read(tmp_path, hub.url, Wanted())
    assert answer["refused"].startswith("lab/release: cannot be read from the Hub (peer closed connection")
    assert answer["paused_s"] < 15


@pytest.mark.slow
def test_a_stream_that_is_cut_again_and_again_is_given_up_after_a_few_requests(
    tmp_path: Path, hub: HubServer, failing: Callable[[Fault], None]
) -> None:
    failing("cut files")
    (answer,), _ = read(tmp_path, hub.url, Wanted(streaming=True))
    assert answer["refused"].startswith("lab/release: cannot be read from the Hub (peer closed connection")
    assert sum("test-00000.parquet" in line for line in hub.log) <= 6


def test_offline_mode_is_named_as_the_reason(tmp_path: Path, hub: HubServer) -> None:
    hub.log.clear()
    (answer,), _ = read(tmp_path, hub.url, Wanted(), HF_HUB_OFFLINE="1")
    assert answer["refused"].startswith("lab/release: cannot be read from the Hub (")
    assert "HF_HUB_OFFLINE" in answer["refused"]
    assert answer["refused"].endswith("or name a local folder with --dataset")
    assert hub.log == []


def command(home: Path, endpoint: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "avemo_harness", "--model", "random", *arguments],
        env=hub_environment(home, endpoint),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        cwd=home,
    )


@pytest.mark.parametrize("source", ["lab/none", "lab/gated"])
def test_the_command_exits_with_2_and_one_line_where_the_hub_refuses(
    source: str, tmp_path: Path, hub: HubServer
) -> None:
    done = command(tmp_path, hub.url, "--tasks", CONFIG, "--dataset", source)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"avemo-eval: {source}: the Hub has no such data set")
    assert done.stderr.count("\n") == 1


def test_the_command_exits_with_2_and_one_line_where_the_hub_is_down(tmp_path: Path, nobody: str) -> None:
    done = command(tmp_path, nobody, "--tasks", CONFIG, "--dataset", "lab/release")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("avemo-eval: lab/release: cannot be read from the Hub")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("streaming", [(), ("--streaming", "--limit", "3")])
def test_a_run_records_the_commit_and_fingerprint_of_its_release(
    streaming: tuple[str, ...], tmp_path: Path, hub: HubServer, local: Release
) -> None:
    flags = ["--tasks", f"{CONFIG}_full_av", "--dataset", "lab/release", "--output_path", "run", *streaming]
    done = command(tmp_path, hub.url, *flags)
    assert done.returncode == 0, done.stderr
    recorded = json.loads((tmp_path / "run/run.json").read_text())["releases"]
    assert [release["source"] for release in recorded] == ["lab/release"]
    assert recorded[0]["commit"] == hub.repositories["lab/release"].commit
    assert recorded[0]["fingerprint"] == local.fingerprint
    assert recorded[0]["dialogues"] == 20
    assert len((tmp_path / f"run/items/{CONFIG}_full_av.jsonl").read_text().splitlines()) == (6 if streaming else 40)
