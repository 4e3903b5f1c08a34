"""Read a release from Parquet files with pyarrow, local or remote, clips only when they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo_harness.benchmark.release import ConflictPair, Dialogue, parse_dialogue, parse_pair
from avemo_harness.errors import MediaError, ReleaseError, first_line
from avemo_harness.file_reading import check_file, read_file

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


MAX_GROUP_VALUES = 20_000_000
"""Values of one column in one row group that are read at once."""


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """A Parquet file and how to reach it.

    Args:
        name: how errors call it.
        open: gives its path, or a binary file object with random access; may be called more than once.
        guard: around every access; turns what the access itself raises into a ReleaseError.
    """

    name: str
    open: Callable[[], Any]
    guard: Callable[[], AbstractContextManager[None]] = nullcontext

    @classmethod
    def local(cls, path: Path) -> ParquetSource:
        """A file on this machine."""
        return cls(str(path), partial(_checked, path))


def _checked(path: Path) -> Path:
    check_file(path)
    return path


def read_dialogues(sources: list[ParquetSource], media_root: Path | None) -> Iterator[Dialogue]:
    """Yield the dialogues of a split without reading embedded clips.

    Args:
        sources: Parquet files in order.
        media_root: the folder under which clips given by path lie.

    Raises:
        ReleaseError: a file is not Parquet, or a row breaks the schema.
    """
    for source in sources:
        with _open_parquet(source) as parquet:
            clip_bytes = _clip_bytes_columns(parquet)
            columns = [name for name in _columns(parquet) if name not in clip_bytes]
            for group in range(parquet.num_row_groups):
                clips = _RowGroupClips(source, group, clip_bytes, media_root)
                _check_size(parquet, group, columns, source)
                with _readable(source):
                    rows = parquet.read_row_group(group, columns=columns).to_pylist()
                for position, row in enumerate(rows):
                    yield parse_dialogue(row, source.name, partial(clips.fetcher, position))


def read_pairs(sources: list[ParquetSource]) -> Iterator[ConflictPair]:
    """Yield the conflict pairs of a split.

    Raises:
        ReleaseError: a file is not Parquet, or a row breaks the schema.
    """
    for source in sources:
        with _open_parquet(source) as parquet, _readable(source):
            rows = parquet.read().to_pylist()
        for row in rows:
            yield parse_pair(row, source.name)


def _open_parquet(source: ParquetSource) -> pq.ParquetFile:
    import pyarrow.parquet as pq

    with _readable(source):
        # Ranges that lie near each other are read at once, which spares requests where the file is remote.
        return pq.ParquetFile(source.open(), pre_buffer=True)


@contextmanager
def _readable(source: ParquetSource) -> Iterator[None]:
    """Turn what pyarrow raises about a damaged file into one sentence."""
    import pyarrow as pa

    try:
        with source.guard():
            yield
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise ReleaseError(
            f"{source.name}: not a readable Parquet file ({reason}); restore it or rebuild it"
        ) from error


def _check_size(parquet: pq.ParquetFile, group: int, columns: list[str], source: ParquetSource) -> None:
    """Refuse a row group of too many values for memory; with run lengths, a small file has any number of them."""
    facts = parquet.metadata.row_group(group)
    for number in range(facts.num_columns):
        column = facts.column(number)
        if column.path_in_schema in columns and column.num_values > MAX_GROUP_VALUES:
            raise ReleaseError(
                f"{source.name}: row group {group} has {column.num_values:,} values of {column.path_in_schema}, at "
                f"most {MAX_GROUP_VALUES:,} are read; write it in smaller row groups"
            )


def _columns(parquet: pq.ParquetFile) -> list[str]:
    return [parquet.schema.column(i).path for i in range(len(parquet.schema))]


def _clip_bytes_columns(parquet: pq.ParquetFile) -> list[str]:
    """The column that holds embedded clips, if any; how the levels between are called is up to the file's writer."""
    return [name for name in _columns(parquet) if name.startswith("turns.") and name.endswith(".clip.bytes")]


def read_named_clip(root: Path | None, path: str | None, where: str) -> bytes:
    """Read a clip that a release does not hold but names by a path relative to `root`.

    Raises:
        MediaError: there is no path or root, the path leaves `root`, or there is no such file.
    """
    if not path:
        raise MediaError(f"{where}: the clip is missing: the release holds neither its bytes nor its path")
    if root is None:
        raise MediaError(f"{path}: this release names its clips without holding them; give their folder as media_root")
    try:
        full = (root / path).resolve()
    except (ValueError, RuntimeError) as error:
        raise MediaError(f"{where}: {path!r} is no path of a clip ({error})") from error
    if not full.is_relative_to(root.resolve()):
        raise MediaError(f"{path}: a clip's path must stay inside {root}; give the corpus' folder as media_root")
    try:
        return read_file(full)
    except OSError as error:
        raise MediaError(
            f"{full}: the clip cannot be read ({error.strerror}); give the corpus' folder as media_root"
        ) from error


class _RowGroupClips:
    """The clips of one row group; the embedded ones of the group read last stay in memory: clips are asked in turn."""

    _lock = threading.Lock()
    _last: tuple[_RowGroupClips, pa.ChunkedArray] | None = None

    def __init__(self, source: ParquetSource, group: int, clip_bytes: list[str], root: Path | None) -> None:
        self.source, self.group, self.clip_bytes, self.root = source, group, clip_bytes, root

    def fetcher(self, position: int, turn: int, path: str | None) -> Callable[[], bytes]:
        return partial(self.read, position, turn, path)

    def read(self, position: int, turn: int, path: str | None) -> bytes:
        if self.clip_bytes:
            clip = self._turns()[position].values[turn]["clip"]
            data = clip["bytes"].as_py() if clip.is_valid else None
            if data is not None:
                return bytes(data)
        where = f"{self.source.name}: row {position} of group {self.group}, turn {turn}"
        return read_named_clip(self.root, path, where)

    def _turns(self) -> pa.ChunkedArray:
        with self._lock:
            last = _RowGroupClips._last
            if last is None or last[0] is not self:
                try:
                    with _open_parquet(self.source) as parquet, _readable(self.source):
                        turns = parquet.read_row_group(self.group, columns=self.clip_bytes).column("turns")
                except ReleaseError as error:
                    raise MediaError(str(error)) from error
                last = _RowGroupClips._last = (self, turns)
            return last[1]
