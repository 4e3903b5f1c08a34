"""A small release whose clips are arbitrary bytes, and a server that offers it as the Hub would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.hub_server import HubServer, Repository, serve

from avemo_harness.benchmark.release import Clip, ConflictPair, Dialogue, Turn
from avemo_harness.benchmark.release_writer import write_release


def make_dialogue(number: int) -> Dialogue:
    """User, assistant, user; the user's turns have clips."""
    first, second = (Clip.from_bytes(f"clip {number} {turn} ".encode() * 40) for turn in (0, 2))
    return Dialogue(
        dialogue_id=f"d{number}",
        source="test",
        language="en",
        licence="CC0-1.0",
        turns=(
            Turn(0, "user", f"speaker{number % 2}", f"Guten Tag {number} …", "happy", "warm", first, 1.5, (0.7, 0.8)),
            Turn(1, "assistant", "assistant", "Tell me more."),
            Turn(2, "user", f"speaker{number % 2}", "It rained.", "sad", None, second, 2.25, (0.2,), (0.3,), 2.0),
        ),
    )


@pytest.fixture(scope="session")
def dialogues() -> tuple[Dialogue, ...]:
    """Twenty dialogues: more than two row groups."""
    return tuple(make_dialogue(number) for number in range(20))


@pytest.fixture(scope="session")
def pairs() -> tuple[ConflictPair, ...]:
    """Two conflict pairs within dialogues."""
    return (
        ConflictPair("p0", "d0", 0, "d0", 2, "happy", "sad", "speaker0"),
        ConflictPair("p1", "d19", 2, "d19", 0, "sad", "happy", "speaker1"),
    )


@pytest.fixture(scope="session")
def release_folder(
    tmp_path_factory: pytest.TempPathFactory, dialogues: tuple[Dialogue, ...], pairs: tuple[ConflictPair, ...]
) -> Path:
    """The release as files: `multiturn_real` with its pairs, parts `test` and `train`. Not to be changed."""
    folder = tmp_path_factory.mktemp("release")
    train = [replace(dialogue, dialogue_id=f"t{i}") for i, dialogue in enumerate(dialogues[:3])]
    write_release(folder, "multiturn_real", {"test": dialogues, "train": train}, {"test": pairs})
    return folder


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory, release_folder: Path) -> Iterator[HubServer]:
    """Serves the release as ``lab/release``; also with clips to be decoded, or only named; damaged; gated."""
    whole = Repository.of_folder("lab/release", release_folder, ("main", "v1"))
    file = "multiturn_real/test-00000.parquet"
    decoded = tmp_path_factory.mktemp("decoded") / "test.parquet"
    table = pq.read_table(release_folder / file)
    features = table.schema.metadata[b"huggingface"].replace(
        b'{"decode": false, "_type": "Video"}', b'{"_type": "Video"}'
    )
    assert b'{"_type": "Video"}' in features
    pq.write_table(table.replace_schema_metadata({"huggingface": features}), decoded)
    named = tmp_path_factory.mktemp("named") / "test.parquet"
    (row,) = table.slice(0, 1).to_pylist()
    for turn in row["turns"]:
        turn["clip"] = turn["clip"] and {"path": f"{turn['clip_sha256']}.mp4"}
    pq.write_table(pa.Table.from_pylist([row]), named)
    readme = f"---\nconfigs:\n- config_name: multiturn_real\n  data_files:\n  - {{split: test, path: {file}}}\n---\n"
    damaged = whole.files[file][:-200] + bytes(200)
    with serve(
        whole,
        replace(whole, name="lab/decoded", files={**whole.files, file: decoded.read_bytes()}),
        replace(whole, name="lab/named", files={"README.md": readme.encode(), file: named.read_bytes()}),
        replace(whole, name="lab/damaged", files={**whole.files, file: damaged}),
        replace(whole, name="lab/gated", refusal=403),
    ) as server:
        yield server
