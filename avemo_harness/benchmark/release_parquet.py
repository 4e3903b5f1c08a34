"""Read a release from local Parquet files with pyarrow, clips only when they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo_harness.benchmark.release import ConflictPair, Dialogue, parse_dialogue, parse_pair
from avemo_harness.errors import MediaError, ReleaseError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

CLIP_BYTES = "turns.list.element.clip.bytes"


def read_dialogues(files: list[Path], media_root: Path) -> Iterator[Dialogue]:
    """Yield the dialogues of a split without reading embedded clips.

    Args:
        files: Parquet files in order.
        media_root: the folder under which clips given by path lie.

    Raises:
        ReleaseError: a file is not Parquet, or a row breaks the schema.
    """
    for file in files:
        with _open_parquet(file) as parquet:
            columns = _columns_without_clip_bytes(parquet)
            for group in range(parquet.num_row_groups):
                reader = _RowGroupClips(file, group)
                for position, row in enumerate(parquet.read_row_group(group, columns=columns).to_pylist()):
                    fetcher = partial(_fetcher, reader, position, media_root, row)
                    yield parse_dialogue(row, str(file), fetcher)


def read_pairs(files: list[Path]) -> Iterator[ConflictPair]:
    """Yield the conflict pairs of a split.

    Raises:
        ReleaseError: a file is not Parquet, or a row breaks the schema.
    """
    for file in files:
        with _open_parquet(file) as parquet:
            for row in parquet.read().to_pylist():
                yield parse_pair(row, str(file))


def _open_parquet(file: Path) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise ReleaseError(f"{file}: not a readable Parquet file ({error})") from error


def _columns_without_clip_bytes(parquet: pq.ParquetFile) -> list[str]:
    return [path for i in range(len(parquet.schema)) if (path := parquet.schema.column(i).path) != CLIP_BYTES]


def _fetcher(
    reader: _RowGroupClips,
    position: int,
    root: Path,
    row: Mapping[str, Any],
    _id: str,
    turn: int,
    path: str | None,
) -> Callable[[], bytes] | None:
    if path:
        return partial(read_under, root, path)
    if row["turns"][turn].get("clip_sha256") is None:
        return None
    return partial(reader.read, position, turn)


def read_under(root: Path, path: str) -> bytes:
    """Read a clip that a release names by a path relative to `root`.

    Raises:
        MediaError: the path leaves `root`, or there is no such file.
    """
    full = (root / path).resolve()
    if not full.is_relative_to(root.resolve()):
        raise MediaError(f"{path}: a clip's path must stay inside {root}; give the corpus' folder as --media_root")
    try:
        return full.read_bytes()
    except OSError as error:
        raise MediaError(
            f"{full}: the clip cannot be read ({error.strerror}); give the corpus' folder as --media_root"
        ) from error


class _RowGroupClips:
    """The embedded clips of one row group; the group read last stays in memory, since its clips are asked in turn."""

    _lock = threading.Lock()
    _last: tuple[Path, int, pa.ChunkedArray] | None = None

    def __init__(self, file: Path, group: int) -> None:
        self.file, self.group = file, group

    def read(self, position: int, turn: int) -> bytes:
        turns = self._turns()[position]
        clip = turns.values[turn]["clip"]
        data = clip["bytes"].as_py() if clip.is_valid else None
        if data is None:
            raise MediaError(f"{self.file}: row {position} of group {self.group}, turn {turn}: the clip is missing")
        return bytes(data)

    def _turns(self) -> pa.ChunkedArray:
        with self._lock:
            last = _RowGroupClips._last
            if last is None or last[:2] != (self.file, self.group):
                with _open_parquet(self.file) as parquet:
                    turns = parquet.read_row_group(self.group, columns=[CLIP_BYTES]).column("turns")
                last = _RowGroupClips._last = (self.file, self.group, turns)
            return last[2]
