"""Read the rows of a release from Parquet (pyarrow) or the Hub (`datasets`), clips only on demand."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo_harness.benchmark.release import Clip, ConflictPair, Dialogue
from avemo_harness.benchmark.release_rows import parse_dialogue, parse_pair
from avemo_harness.errors import MediaError, ReleaseError, first_line
from avemo_harness.files import check_file, read_file, write_atomically

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

ROWS_AT_ONCE = 512
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
        with open_parquet(source) as parquet:
            clip_bytes = _clip_bytes_columns(parquet)
            columns = [name for name in _columns(parquet) if name not in clip_bytes]
            for groups in _groups_at_once(parquet):
                for group in groups:
                    check_group_size(parquet, group, columns, source)
                sizes = [(group, parquet.metadata.row_group(group).num_rows) for group in groups]
                places = [(group, position) for group, rows in sizes for position in range(rows)]
                with readable_parquet(source):
                    table = parquet.read_row_groups(groups, columns=columns, use_threads=False)
                    rows = list(zip(places, python_rows(table), strict=True))
                clips = {group: _RowGroupClips(source, group, clip_bytes, media_root) for group in groups}
                for (group, position), row in rows:
                    yield parse_dialogue(row, source.name, partial(clips[group].read, position))


def _groups_at_once(parquet: pq.ParquetFile) -> Iterator[list[int]]:
    """Row groups in order, small ones several at a time: a release with clips has a few rows a group."""
    groups: list[int] = []
    rows = 0
    for group in range(parquet.num_row_groups):
        rows += parquet.metadata.row_group(group).num_rows
        if groups and rows > ROWS_AT_ONCE:
            yield groups
            groups, rows = [], parquet.metadata.row_group(group).num_rows
        groups.append(group)
    if groups:
        yield groups


def python_rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rows of a table as `to_pylist` gives them, made column by column, which takes a third of the time."""
    columns = [[value for chunk in column.chunks for value in _python_values(chunk)] for column in table.columns]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def _python_values(array: Any) -> list[Any]:
    import pyarrow as pa

    kind = array.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        values, ends = _python_values(array.values), array.offsets.to_pylist()
        found: list[Any] = [values[start:end] for start, end in pairwise(ends)]
    elif pa.types.is_struct(kind) and 0 < kind.num_fields == len({field.name for field in kind}):
        names = [field.name for field in kind]
        columns = [_python_values(array.field(index)) for index in range(kind.num_fields)]
        found = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    elif pa.types.is_string(kind):
        # Words that occur over and over, such as roles, speakers and labels, are one object each.
        words: dict[str | None, str | None] = {}
        return [words.setdefault(word, word) for word in array.to_pylist()]
    else:
        plain: list[Any] = array.to_pylist()
        return plain
    if array.null_count:
        return [value if valid else None for value, valid in zip(found, array.is_valid().to_pylist(), strict=True)]
    return found


def read_pairs(sources: list[ParquetSource]) -> Iterator[ConflictPair]:
    """Yield the conflict pairs of a split (ReleaseError: a file is not Parquet, or a row breaks the schema)."""
    for source in sources:
        with open_parquet(source) as parquet, readable_parquet(source):
            rows = parquet.read().to_pylist()
        for row in rows:
            yield parse_pair(row, source.name)


def open_parquet(source: ParquetSource) -> pq.ParquetFile:
    import pyarrow.parquet as pq

    with readable_parquet(source):
        opened = source.open()
        # Ranges that lie near each other are read at once where the file is remote, which spares requests.
        return pq.ParquetFile(opened, pre_buffer=not isinstance(opened, Path))


@contextmanager
def readable_parquet(source: ParquetSource) -> Iterator[None]:
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


def check_group_size(parquet: pq.ParquetFile, group: int, columns: list[str], source: ParquetSource) -> None:
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
    # Of the class, not of an object: each group has an object of its own, and only one group is to be held.
    _last: tuple[_RowGroupClips, pa.ChunkedArray] | None = None

    def __init__(self, source: ParquetSource, group: int, clip_bytes: list[str], root: Path | None) -> None:
        self.source, self.group, self.clip_bytes, self.root = source, group, clip_bytes, root

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
                    with open_parquet(self.source) as parquet, readable_parquet(self.source):
                        turns = parquet.read_row_group(self.group, columns=self.clip_bytes).column("turns")
                except ReleaseError as error:
                    raise MediaError(str(error)) from error
                last = _RowGroupClips._last = (self, turns)
            return last[1]


def resolve_commit(repo: str, revision: str | None) -> str:
    """Return the commit that a Hub revision stands for now.

    The Hub is asked once, without retries and even about a full commit, so that one that is down is noticed at once.
    In offline mode (``HF_HUB_OFFLINE``) a full commit is taken as it is, to be read from the local cache.

    Raises:
        ReleaseError: the Hub cannot be reached, or has no such repository or revision.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError

    if constants.HF_HUB_OFFLINE and revision and re.fullmatch("[0-9a-f]{40}", revision):
        return revision
    with network_errors(repo):
        try:
            commit = HfApi().dataset_info(repo, revision=revision, timeout=10).sha
        except HfHubHTTPError as error:
            raise ReleaseError(
                f"{repo}: the Hub has no such data set or revision {revision or 'main'!r}, or access is not granted "
                f"({error.response.status_code}); check the id, and log in with `hf auth login` where it is gated"
            ) from error
    if commit is None:
        raise ReleaseError(f"{repo}: the Hub did not say which commit {revision or 'main'!r} is; give --revision")
    return commit


def list_configs(repo: str, commit: str) -> list[str]:
    import datasets

    with network_errors(repo):
        return list(datasets.get_dataset_config_names(repo, revision=commit))


def list_splits(repo: str, commit: str, name: str) -> list[str]:
    """Return the data set splits of a config at a commit. No file of the release is read for it."""
    return list(data_files(repo, commit, name))


def data_files(repo: str, commit: str, name: str) -> dict[str, list[str]]:
    import datasets

    with network_errors(repo):
        builder = datasets.load_dataset_builder(repo, name, revision=commit)
    return {str(split): list(map(str, files)) for split, files in (builder.config.data_files or {}).items()}


def read_hub_dialogues(repo: str, commit: str, name: str, split: str, media_root: Path | None) -> Iterator[Dialogue]:
    """Yield the dialogues of a config's split, downloaded whole and memory-mapped."""
    # The table holds media as bytes whatever its features say, so nothing needs to be cast, and so copied.
    table = _load(repo, commit, name, split).data.table
    _check_turns(table, _where(repo, commit))
    clips = _TableClips(table.column("turns"), media_root)
    for position, row in enumerate(_without_clip_bytes(table)):
        yield parse_dialogue(row, _where(repo, commit), partial(clips.read, position))


def stream_dialogues(
    repo: str, commit: str, name: str, split: str, media_root: Path | None, spool: Path
) -> Iterator[Dialogue]:
    """Yield every dialogue of a config's split without downloading clips.

    Of the Parquet files only the other columns are read, by ranges. A clip comes with its row group when it is asked
    for, and is kept under `spool` by digest, unless it may lie under `media_root` already.

    Raises:
        ReleaseError: the Hub cannot be reached, or the split is not Parquet.
    """
    by_split = data_files(repo, commit, name)
    files = by_split.get(split)
    if not files:
        known = ", ".join(by_split) or "none"
        raise ReleaseError(f"{repo}: config {name!r} has no split {split!r} (splits: {known})")
    if other := [file for file in files if not file.endswith(".parquet")]:
        raise ReleaseError(f"{repo}: {other[0]} is not Parquet, which streaming needs; leave --streaming out")
    sources = [remote_parquet(repo, file) for file in files]
    for dialogue in read_dialogues(sources, media_root):
        if media_root is not None:
            yield dialogue
            continue
        turns = tuple(replace(turn, clip=turn.clip and _spooled(turn.clip, spool)) for turn in dialogue.turns)
        yield replace(dialogue, turns=turns)


def remote_parquet(repo: str, file: str) -> ParquetSource:
    """A Parquet file of the Hub, by its ``hf://`` address, that is read by ranges."""

    def open_file() -> Any:
        from huggingface_hub import HfFileSystem

        # No read-ahead: pyarrow asks for what it needs, and clips lie between the columns that are wanted.
        return HfFileSystem().open(file, "rb", cache_type="none")

    return ParquetSource(file.removeprefix("hf://datasets/"), open_file, partial(network_errors, repo))


def _spooled(clip: Clip, spool: Path) -> Clip:
    """The same clip, whose bytes are fetched once and then kept in a folder."""
    return replace(clip, fetch=partial(fetch_once, spool / clip.sha256[:2] / clip.sha256, clip.read))


def fetch_once(kept: Path, fetch: Callable[[], bytes]) -> bytes:
    """The bytes of a clip from the file that keeps them, which is written by the first fetch.

    Raises:
        MediaError: the file cannot be read, or the fetch fails.
    """
    try:
        return kept.read_bytes()
    except FileNotFoundError:
        data = fetch()
        write_atomically(kept, data)
        return data
    except OSError as error:
        raise MediaError(f"{kept}: the clip kept there cannot be read ({error.strerror}); delete it") from error


def read_hub_pairs(repo: str, commit: str, name: str, split: str) -> Iterator[ConflictPair]:
    """Yield the conflict pairs of a ``<split>_conflict`` config."""
    for row in _load(repo, commit, name, split):
        yield parse_pair(row, _where(repo, commit))


def _where(repo: str, commit: str) -> str:
    return f"{repo}@{commit[:8]}"


def _load(repo: str, commit: str, name: str, split: str) -> Any:
    import datasets

    with network_errors(repo):
        return datasets.load_dataset(repo, name, split=split, revision=commit)


def _check_turns(table: pa.Table, where: str) -> None:
    import pyarrow as pa

    column = table.schema.get_field_index("turns")
    kind: Any = table.schema.field(column).type if column >= 0 else pa.null()
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not listed or not pa.types.is_struct(kind.value_type):
        raise ReleaseError(f"{where}: column 'turns' must hold lists of records, found {kind}")


def _without_clip_bytes(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The table's rows as Python values, leaving embedded clips where they are."""
    import pyarrow as pa

    for batch in table.to_batches(max_chunksize=64):
        turns: Any = batch.column("turns")
        fields = {field.name: turns.values.field(field.name) for field in turns.type.value_type}
        clips = fields.get("clip")
        if clips is not None and clips.type == pa.struct([("bytes", pa.binary()), ("path", pa.string())]):
            fields["clip"] = pa.StructArray.from_arrays([clips.field("path")], ["path"], mask=clips.is_null())
        records = pa.StructArray.from_arrays(list(fields.values()), list(fields))
        slim = type(turns).from_arrays(turns.offsets, records)
        others = {key: batch.column(key) for key in batch.schema.names if key != "turns"}
        yield from pa.RecordBatch.from_pydict({**others, "turns": slim}).to_pylist()


class _TableClips:
    """The clips of a memory-mapped table, read when asked for."""

    def __init__(self, turns: pa.ChunkedArray, root: Path | None) -> None:
        self.turns, self.root = turns, root

    def read(self, position: int, turn: int, path: str | None) -> bytes:
        clip = self.turns[position].values[turn].as_py().get("clip") or {}
        if clip.get("bytes") is not None:
            return bytes(clip["bytes"])
        return read_named_clip(self.root, path, f"row {position}, turn {turn}")


@contextmanager
def network_errors(repo: str) -> Iterator[None]:
    """As `hub_errors`, and what `datasets` itself says of a release that is not as it should be."""
    with hub_errors(repo, "check the network or HF_ENDPOINT, or name a local folder with --dataset"):
        try:
            yield
        except (FileNotFoundError, ValueError) as error:
            raise ReleaseError(f"{repo}: {first_line(error)}") from error


@contextmanager
def hub_errors(what: str, advice: str) -> Iterator[None]:
    """Turn what `datasets` and `huggingface_hub` raise when the Hub gives nothing into one sentence.

    Their errors, and those of the HTTP client beneath them, have no base of their own.

    Args:
        what: could not be had.
        advice: what to do next.

    Raises:
        ReleaseError: with the sentence.
    """
    try:
        yield
    except ReleaseError:
        raise
    except Exception as error:
        raise ReleaseError(
            f"{what}: cannot be read from the Hub ({first_line(_root_cause(error))}); {advice}"
        ) from error


def _root_cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error
