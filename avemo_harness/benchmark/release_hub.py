"""Read a release through `datasets`: from the Hub, whole or streamed. Media are never decoded by `datasets`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo_harness.benchmark import release_parquet
from avemo_harness.benchmark.release import Clip, ConflictPair, Dialogue, parse_dialogue, parse_pair
from avemo_harness.benchmark.release_parquet import ParquetSource, read_named_clip
from avemo_harness.errors import MediaError, ReleaseError
from avemo_harness.paths import write_atomically

if TYPE_CHECKING:
    import pyarrow as pa


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
    with _network_errors(repo):
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
    """Return the names of the configs that a Hub data set has at a commit."""
    import datasets

    with _network_errors(repo):
        return list(datasets.get_dataset_config_names(repo, revision=commit))


def list_splits(repo: str, commit: str, name: str) -> list[str]:
    """Return the data set splits of a config at a commit. No file of the release is read for it."""
    import datasets

    with _network_errors(repo):
        builder = datasets.load_dataset_builder(repo, name, revision=commit)
    return list(builder.config.data_files or ())


def read_dialogues(repo: str, commit: str, name: str, split: str, media_root: Path | None) -> Iterator[Dialogue]:
    """Yield the dialogues of a config's split, downloaded whole and memory-mapped."""
    # The table holds media as bytes whatever its features say, so nothing needs to be cast, and so copied.
    table = _load(repo, commit, name, split).data.table
    _check_turns(table, _where(repo, commit))
    clips = _TableClips(table.column("turns"), media_root)
    for position, row in enumerate(_without_clip_bytes(table)):
        yield parse_dialogue(row, _where(repo, commit), partial(clips.fetcher, position))


def stream_dialogues(
    repo: str, commit: str, name: str, split: str, media_root: Path | None, spool: Path
) -> Iterator[Dialogue]:
    """Yield every dialogue of a config's split without downloading clips.

    Of the Parquet files only the other columns are read, by ranges. A clip comes with its row group when it is asked
    for, and is kept under `spool` by digest, unless it may lie under `media_root` already.

    Raises:
        ReleaseError: the Hub cannot be reached, or the split is not Parquet.
    """
    import datasets

    with _network_errors(repo):
        builder = datasets.load_dataset_builder(repo, name, revision=commit)
    files = [str(file) for file in (builder.config.data_files or {}).get(split, ())]
    if not files:
        known = ", ".join(map(str, builder.config.data_files or ())) or "none"
        raise ReleaseError(f"{repo}: config {name!r} has no split {split!r} (splits: {known})")
    if other := [file for file in files if not file.endswith(".parquet")]:
        raise ReleaseError(f"{repo}: {other[0]} is not Parquet, which streaming needs; leave --streaming out")
    sources = [_remote(repo, file) for file in files]
    for dialogue in release_parquet.read_dialogues(sources, media_root):
        if media_root is not None:
            yield dialogue
            continue
        turns = tuple(replace(turn, clip=turn.clip and _spooled(turn.clip, spool)) for turn in dialogue.turns)
        yield replace(dialogue, turns=turns)


def _remote(repo: str, file: str) -> ParquetSource:
    """A Parquet file of the Hub, by its ``hf://`` address, that is read by ranges."""

    def open_file() -> Any:
        from huggingface_hub import HfFileSystem

        # No read-ahead: pyarrow asks for what it needs, and clips lie between the columns that are wanted.
        return HfFileSystem().open(file, "rb", cache_type="none")

    return ParquetSource(file.removeprefix("hf://datasets/"), open_file, partial(_network_errors, repo))


def _spooled(clip: Clip, spool: Path) -> Clip:
    """The same clip, whose bytes are fetched once and then kept in a folder."""
    return replace(clip, fetch=partial(_fetch_once, clip, spool / clip.sha256[:2] / clip.sha256))


def _fetch_once(clip: Clip, kept: Path) -> bytes:
    try:
        return kept.read_bytes()
    except FileNotFoundError:
        data = clip.read()
        write_atomically(kept, data)
        return data
    except OSError as error:
        raise MediaError(f"{kept}: the clip kept there cannot be read ({error.strerror}); delete it") from error


def read_pairs(repo: str, commit: str, name: str, split: str) -> Iterator[ConflictPair]:
    """Yield the conflict pairs of a ``<split>_conflict`` config."""
    for row in _load(repo, commit, name, split):
        yield parse_pair(row, _where(repo, commit))


def _where(repo: str, commit: str) -> str:
    return f"{repo}@{commit[:8]}"


def _load(repo: str, commit: str, name: str, split: str) -> Any:
    import datasets

    with _network_errors(repo):
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

    def fetcher(self, position: int, turn: int, path: str | None) -> Callable[[], bytes]:
        return partial(self.read, position, turn, path)

    def read(self, position: int, turn: int, path: str | None) -> bytes:
        clip = self.turns[position].values[turn].as_py().get("clip") or {}
        if clip.get("bytes") is not None:
            return bytes(clip["bytes"])
        return read_named_clip(self.root, path, f"row {position}, turn {turn}")


@contextmanager
def _network_errors(repo: str) -> Iterator[None]:
    """Turn what `datasets` and `huggingface_hub` raise when a release cannot be had into one sentence.

    Their errors, and those of the HTTP client beneath them, have no base of their own.
    """
    try:
        yield
    except ReleaseError:
        raise
    except (FileNotFoundError, ValueError) as error:
        raise ReleaseError(f"{repo}: {_first_line(error)}") from error
    except Exception as error:
        raise ReleaseError(
            f"{repo}: cannot be read from the Hub ({_first_line(_root_cause(error))}); check the network or "
            "HF_ENDPOINT, or name a local folder with --dataset"
        ) from error


def _root_cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
