"""Read a release through `datasets`: from the Hub, whole or streamed. Media are never decoded by `datasets`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo_harness.benchmark.release import ConflictPair, Dialogue, parse_dialogue, parse_pair
from avemo_harness.benchmark.release_parquet import read_under
from avemo_harness.errors import MediaError, ReleaseError
from avemo_harness.paths import write_atomically

if TYPE_CHECKING:
    import pyarrow as pa


def resolve_commit(repo: str, revision: str | None) -> str:
    """Return the commit that a Hub revision stands for now; a full commit is returned as it is.

    Raises:
        ReleaseError: the Hub cannot be reached, or has no such repository or revision.
    """
    if revision and re.fullmatch(r"[0-9a-f]{40}", revision):
        return revision
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        commit = HfApi().dataset_info(repo, revision=revision, timeout=10).sha
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no answer"
        raise ReleaseError(
            f"{repo}: the Hub has no such data set or revision {revision or 'main'!r}, or access is not granted "
            f"({status}); check the id, and log in with `hf auth login` where it is gated"
        ) from error
    except (OSError, RuntimeError, OfflineModeIsEnabled) as error:
        raise _unreachable(repo, error) from error
    if commit is None:
        raise ReleaseError(f"{repo}: the Hub did not say which commit {revision or 'main'!r} is; give --revision")
    return commit


def list_configs(repo: str, commit: str) -> list[str]:
    """Return the names of the configs that a Hub data set has at a commit."""
    import datasets

    with _network_errors(repo):
        return list(datasets.get_dataset_config_names(repo, revision=commit))


def list_splits(repo: str, commit: str | None, name: str) -> list[str]:
    """Return the data set splits of a config at a commit."""
    import datasets

    with _network_errors(repo):
        return list(datasets.get_dataset_split_names(repo, name, revision=commit))


def read_dialogues(repo: str, commit: str, name: str, split: str, media_root: Path | None) -> Iterator[Dialogue]:
    """Yield the dialogues of a config's split, downloaded whole and memory-mapped."""
    table = _load(repo, commit, name, split, streaming=False).data.table
    turns = table.column("turns")
    for position, row in enumerate(_without_clip_bytes(table)):
        fetcher = partial(_table_fetcher, turns, position, media_root, row)
        yield parse_dialogue(row, f"{repo}@{commit[:8]}", fetcher)


def stream_dialogues(
    repo: str, commit: str, name: str, split: str, media_root: Path | None, spool: Path
) -> Iterator[Dialogue]:
    """Yield dialogues as they arrive; their clips are kept under `spool` by digest."""
    rows = iter(_load(repo, commit, name, split, streaming=True))
    while True:
        with _network_errors(repo):
            row = next(rows, None)
        if row is None:
            return
        yield parse_dialogue(row, f"{repo}@{commit[:8]}", partial(_spool_fetcher, row, media_root, spool))


def read_pairs(repo: str, commit: str, name: str, split: str) -> Iterator[ConflictPair]:
    """Yield the conflict pairs of a ``<split>_conflict`` config."""
    for row in _load(repo, commit, name, split, streaming=False):
        yield parse_pair(row, f"{repo}@{commit[:8]}")


def _load(repo: str, commit: str, name: str, split: str, streaming: bool) -> Any:
    import datasets

    with _network_errors(repo):
        loaded = datasets.load_dataset(repo, name, split=split, revision=commit, streaming=streaming)
        if loaded.features is None:
            loaded = loaded._resolve_features()
        return loaded.cast(datasets.Features(_undecoded(loaded.features)))


def _undecoded(feature: Any) -> Any:
    """The same features with every media column left as bytes."""
    import datasets

    if isinstance(feature, datasets.Video | datasets.Audio | datasets.Image):
        return type(feature)(decode=False)
    if isinstance(feature, datasets.List):
        return datasets.List(_undecoded(feature.feature))
    if isinstance(feature, Mapping):
        return {key: _undecoded(value) for key, value in feature.items()}
    return feature


def _without_clip_bytes(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The table's rows as Python values, leaving embedded clips where they are."""
    import pyarrow as pa

    for batch in table.to_batches(max_chunksize=64):
        turns = batch.column("turns")
        fields = {field.name: turns.values.field(field.name) for field in turns.type.value_type}
        clips = fields.pop("clip", None)
        if clips is not None:
            fields["clip"] = pa.StructArray.from_arrays([clips.field("path")], ["path"], mask=clips.is_null())
        slim = pa.ListArray.from_arrays(turns.offsets, pa.StructArray.from_arrays(list(fields.values()), list(fields)))
        others = {key: batch.column(key) for key in batch.schema.names if key != "turns"}
        yield from pa.RecordBatch.from_pydict({**others, "turns": slim}).to_pylist()


def _table_fetcher(
    turns: pa.ChunkedArray,
    position: int,
    root: Path | None,
    row: Mapping[str, Any],
    _id: str,
    turn: int,
    path: str | None,
) -> Callable[[], bytes] | None:
    if row["turns"][turn].get("clip_sha256") is None:
        return None
    return partial(_read_from_table, turns, position, turn, root, path)


def _read_from_table(turns: pa.ChunkedArray, position: int, turn: int, root: Path | None, path: str | None) -> bytes:
    clip = turns[position].values[turn]["clip"]
    data = clip["bytes"].as_py() if clip.is_valid else None
    if data is not None:
        return bytes(data)
    return _read_by_path(root, path, f"row {position}, turn {turn}")


def _read_by_path(root: Path | None, path: str | None, where: str) -> bytes:
    if not path:
        raise MediaError(f"{where}: the release holds neither the clip's bytes nor its path")
    if root is None:
        raise MediaError(
            f"{path}: this release names its clips without holding them; give their folder as --media_root"
        )
    return read_under(root, path)


def _spool_fetcher(
    row: Mapping[str, Any], root: Path | None, spool: Path, _id: str, turn: int, path: str | None
) -> Callable[[], bytes] | None:
    raw = row["turns"][turn]
    if raw.get("clip_sha256") is None:
        return None
    data = (raw.get("clip") or {}).get("bytes")
    if data is None:
        return partial(_read_by_path, root, path, f"dialogue {row['dialogue_id']}, turn {turn}")
    digest = hashlib.sha256(data).hexdigest()
    kept = spool / digest[:2] / digest
    if not kept.exists():
        write_atomically(kept, data)
    return kept.read_bytes


@contextmanager
def _network_errors(repo: str) -> Iterator[None]:
    """Turn what `datasets` raises when a Hub release cannot be had into one sentence."""
    try:
        yield
    except (FileNotFoundError, ValueError) as error:
        raise ReleaseError(f"{repo}: {str(error).splitlines()[0]}") from error
    except (OSError, RuntimeError) as error:
        raise _unreachable(repo, error) from error


def _unreachable(repo: str, error: Exception) -> ReleaseError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return ReleaseError(
        f"{repo}: the Hub cannot be reached ({reason}); check the network or HF_ENDPOINT, or name a local folder "
        "with --dataset"
    )
