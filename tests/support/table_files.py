"""The same rows, with real recordings, in every format that a table may have."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from support.clips import RATE, make_clip, melody

from avemo_harness import media
from avemo_harness.benchmark.columns import ColumnsSpec, DatasetSpec
from avemo_harness.benchmark.release import Release
from avemo_harness.benchmark.release_loader import ReleaseOptions
from avemo_harness.benchmark.table_loader import load_table

Rows = Sequence[Mapping[str, Any]]
EMOTIONS = ("joy", "anger", "sadness")


@cache
def video(seed: int) -> bytes:
    return make_clip(0.4, seed)


@cache
def sound(seed: int) -> bytes:
    return media.write_wave(melody(0.4, seed=seed), RATE)


def write_clips(folder: Path, count: int = 3) -> Path:
    """`count` videos and as many sounds, as 0.mp4, 0.wav, …"""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(count):
        (folder / f"{seed}.mp4").write_bytes(video(seed))
        (folder / f"{seed}.wav").write_bytes(sound(seed))
    return folder


def utterances(count: int = 3) -> list[dict[str, Any]]:
    """A row an utterance, its video by path."""
    return [
        {"clip": f"{seed}.mp4", "said": f"line {seed}", "emotion": EMOTIONS[seed % 3], "who": f"s{seed}"}
        for seed in range(count)
    ]


def embedded(rows: Rows, column: str = "clip") -> list[dict[str, Any]]:
    """The rows with the bytes of their videos, as `datasets` holds them."""
    return [{**row, column: {"bytes": video(int(row[column][0])), "path": row[column]}} for row in rows]


def write_text(file: Path, rows: Rows, delimiter: str = ",", encoding: str = "utf-8") -> Path:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    file.write_bytes(text.getvalue().encode(encoding))
    return file


def write_lines(file: Path, rows: Rows) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def write_parquet(file: Path, rows: Rows, features: Any = None, group: int = 2) -> Path:
    """Rows in groups of two, with the schema that `datasets` writes where features are given."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = None if features is None else features.arrow_schema
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), file, row_group_size=group)
    return file


def write_tar(file: Path, samples: Mapping[str, bytes]) -> Path:
    with tarfile.open(file, "w:gz" if file.suffix == ".gz" else "w") as tar:
        for name, data in samples.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return file


def write_zip(file: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file


SPOKEN = ColumnsSpec(video="clip", text="said", label="emotion", speaker="who")
"""The columns of `utterances`."""


def load(
    path: Path | str, columns: ColumnsSpec = SPOKEN, split: str = "test", *, streaming: bool = False, **more: Any
) -> Release:
    dataset = DatasetSpec(path=str(path), name="default", split=split, columns=columns)
    return load_table(dataset, ReleaseOptions(streaming=streaming, **more))
