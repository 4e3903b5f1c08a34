"""Write a release as Parquet files that both `datasets` and the local reader understand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo_harness.benchmark.release import (
    CONFLICT,
    STREAM_COLUMNS,
    TABLE_FIELDS,
    VOTES,
    Clip,
    ConflictPair,
    Dialogue,
    Turn,
    Vote,
    dialogue_row,
    pair_row,
)
from avemo_harness.benchmark.release_loader import known_streams
from avemo_harness.files import write_atomically

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_A_GROUP = 8
"""Dialogues in a row group: a clip is read with its row group, so groups stay small."""


def write_release(
    folder: Path,
    config: str,
    splits: Mapping[str, Iterable[Dialogue]],
    pairs: Mapping[str, Iterable[ConflictPair]] | None = None,
    path_of: Callable[[Clip], str] | None = None,
    *,
    has_votes: bool = False,
) -> None:
    """Write one config of a release, and its conflict config where `pairs` are given.

    Files: ``<folder>/<config>/<split>-00000.parquet``, ``<folder>/<config>_conflict/<split>-00000.parquet`` and a
    ``README.md`` whose front matter names every config in the folder, so that ``datasets.load_dataset(folder, config)``
    works. What a ``README.md`` says besides stays.

    Args:
        splits: dialogues of each split; consumed lazily, a row group at a time.
        pairs: conflict pairs of each split.
        path_of: where each clip lies below the folder that readers give as ``media_root``; without it, clips are
            embedded as bytes.
        has_votes: some turns have votes of raters, for which there is a further column.
    """
    for split, dialogues in splits.items():
        rows = (_row_with_clips(dialogue, path_of, has_votes) for dialogue in dialogues)
        _write_rows(_split_file(folder, config, split), rows, _dialogue_schema(has_votes))
    write_pairs(folder, config, pairs or {})


def write_pairs(folder: Path, config: str, pairs: Mapping[str, Iterable[ConflictPair]]) -> None:
    """Write the conflict config of a config, and name it in the folder's ``README.md``.

    Args:
        pairs: conflict pairs of each split.
    """
    for split, split_pairs in pairs.items():
        path = _split_file(folder, config + CONFLICT, split)
        _write_rows(path, (pair_row(pair) for pair in split_pairs), _pair_schema())
    _write_readme(folder)


def _split_file(folder: Path, config: str, split: str) -> Path:
    path = folder / config / f"{split}-00000.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _row_with_clips(dialogue: Dialogue, path_of: Callable[[Clip], str] | None, has_votes: bool) -> dict[str, Any]:
    row = dialogue_row(dialogue)
    assert has_votes or not any(turn.votes for turn in dialogue.turns), "votes have no column"
    for turn, raw in zip(dialogue.turns, row["turns"], strict=True):
        streams = None if turn.clip is None else known_streams(turn.clip)
        raw.update({name: None if streams is None else kind in streams for kind, name in STREAM_COLUMNS.items()})
        if turn.clip is None:
            raw["clip"] = None
        elif path_of is None:
            raw["clip"] = {"bytes": turn.clip.read(), "path": None}
        else:
            raw["clip"] = {"bytes": None, "path": path_of(turn.clip)}
    return row


def _write_rows(path: Path, rows: Iterator[dict[str, Any]], schema: pa.Schema) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Media are compressed already; compressing them again only costs time.
    with pq.ParquetWriter(path, schema, compression="none") as writer:
        while group := list(islice(rows, ROWS_A_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


def _dialogue_schema(has_votes: bool) -> pa.Schema:
    import pyarrow as pa

    others = (VOTES, *TABLE_FIELDS)
    columns = {column.name: _arrow_type(column.type) for column in fields(Turn) if column.name not in others}
    if has_votes:
        columns[VOTES] = pa.list_(pa.struct([(column.name, _arrow_type(column.type)) for column in fields(Vote)]))
    of_clip = {
        "clip": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        "clip_sha256": pa.string(),
        **dict.fromkeys(STREAM_COLUMNS.values(), pa.bool_()),
    }
    turn = [item for name, kind in columns.items() for item in (of_clip if name == "clip" else {name: kind}).items()]
    texts = [(column.name, pa.string()) for column in fields(Dialogue) if column.name != "turns"]
    return _with_features(pa.schema([*texts, ("turns", pa.list_(pa.struct(turn)))]))


def _pair_schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(column.name, _arrow_type(column.type)) for column in fields(ConflictPair)])


def _arrow_type(annotation: Any) -> pa.DataType:
    """The Parquet type of a column, by the annotation of its field."""
    import pyarrow as pa

    others = {"int": pa.int32(), "float": pa.float64(), "tuple[float, ...]": pa.list_(pa.float64())}
    return others.get(annotation.removesuffix(" | None"), pa.string())


def _with_features(schema: pa.Schema) -> pa.Schema:
    """Tell `datasets` and the Hub's viewer that the clips are video, not to be decoded on access."""
    features = {field.name: _feature(field.type) for field in schema}
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def _feature(kind: pa.DataType) -> Any:
    import pyarrow as pa

    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        names = [kind.field(i).name for i in range(kind.num_fields)]
        if names == ["bytes", "path"]:
            return {"decode": False, "_type": "Video"}
        return {name: _feature(kind.field(name).type) for name in names}
    spelled = {"double": "float64"}.get(str(kind), str(kind))
    return {"dtype": spelled, "_type": "Value"}


def _write_readme(folder: Path) -> None:
    """Name the configs in the front matter; its other keys and the text below it stay."""
    readme = folder / "README.md"
    kept = re.fullmatch(
        r"(?:---\n(?P<keys>.*?)---\n)?(?P<text>.*)", readme.read_text("utf-8") if readme.is_file() else "", re.DOTALL
    )
    assert kept is not None
    keys = re.sub(r"^configs:\n(?:[- ].*\n)*", "", kept["keys"] or "", flags=re.MULTILINE)
    lines = ["configs:"]
    for config in sorted({path.parent.name for path in folder.glob("*/*.parquet")}):
        lines += [f"- config_name: {config}", "  data_files:"]
        for split in sorted({path.name.split("-")[0] for path in (folder / config).glob("*.parquet")}):
            lines += [f"  - split: {split}", f"    path: {config}/{split}-*.parquet"]
    text = "\n".join(["---", *lines, ""]) + keys + "---\n" + kept["text"]
    # Others may be reading the release while a split is added to it.
    write_atomically(readme, text)
