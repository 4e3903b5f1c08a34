"""Load a table that is no release of the benchmark: its rows become dialogues by the columns that a task names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from avemo_harness import files
from avemo_harness.benchmark.columns import ColumnsSpec, DatasetSpec
from avemo_harness.benchmark.release import Dialogue, Release, fingerprint
from avemo_harness.benchmark.release_loader import ReleaseOptions
from avemo_harness.benchmark.table_media import ClipMaker, MediaReader
from avemo_harness.benchmark.table_rows import RowReader
from avemo_harness.benchmark.table_sources import find_table
from avemo_harness.errors import ReleaseError
from avemo_harness.text import Notify

FIRST_ROWS = 1_000
"""Rows of a streamed table that a limit draws from."""


def load_table(
    dataset: DatasetSpec, options: ReleaseOptions | None = None, say: Notify = lambda sentence: None
) -> Release:
    """Read the split of a table as a release.

    Streamed, the release is of the first `FIRST_ROWS` rows alone, whose recordings are read when they are asked for; it
    says so in its split, as `test[:1000]`, and has a fingerprint of its own.

    Args:
        dataset: with its columns; its path is absolute, of the working directory, or a Hub id.
        say: takes a sentence for the user before something slow.

    Raises:
        ReleaseError: the table is missing, unreachable or not granted, or lists what is wrong with its rows.
    """
    options = options or ReleaseOptions()
    assert dataset.columns is not None
    source = find_table(dataset, options)
    media = MediaReader(source.folder)
    terms = {"title": source.title, "licence": source.licence, "language": source.language}
    reader = RowReader(source.name, dataset.columns, media, **terms)
    if options.streaming:
        rows = list(islice(source.rows(FIRST_ROWS + 1), FIRST_ROWS + 1))
        reader.read(rows[:FIRST_ROWS], cut=len(rows) > FIRST_ROWS)
    else:
        reader.read(source.rows())
    cache = files.cache_dir()
    kept = cache / "digests" / f"{hashlib.sha256(source.key.encode()).hexdigest()}.json"
    spool = cache / "clips" if options.streaming and source.commit is not None else None
    clips = ClipMaker(kept, options.streaming, spool, say)
    dialogues = reader.dialogues(clips)
    if clips.total and len(clips.unreadable) == clips.total:
        raise ReleaseError(f"none of its {clips.total:,} recordings can be read, the first: {clips.unreadable[0]}")
    clips.keep()
    if options.streaming:
        split, digest = (
            f"{dataset.split}[:{FIRST_ROWS}]",
            _streamed_fingerprint(dialogues, source.commit, dataset.columns),
        )
    else:
        split, digest = dataset.split, fingerprint(_without_source(dialogues), ())
    return Release(source.name, dataset.name, split, source.commit, tuple(dialogues), (), digest)


def _without_source(dialogues: Sequence[Dialogue]) -> list[Dialogue]:
    """The dialogues as every file that holds the same rows gives them."""
    return [replace(dialogue, source="") for dialogue in dialogues]


def _streamed_fingerprint(dialogues: Sequence[Dialogue], commit: str | None, columns: ColumnsSpec) -> str:
    """Digest of what the first rows say, without their recordings, which are not read."""
    silent = [
        replace(dialogue, turns=tuple(replace(turn, clip=None, choices=()) for turn in dialogue.turns))
        for dialogue in _without_source(dialogues)
    ]
    facts = [f"first {FIRST_ROWS:,} rows", commit, columns.model_dump(mode="json"), fingerprint(silent, ())]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
