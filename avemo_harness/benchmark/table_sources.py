"""Find a table: a file, a folder or a data set of the Hub, with the files of its split and what its card says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from avemo_harness.benchmark import release_sources
from avemo_harness.benchmark.columns import ARRAYS, LINES, TABLES, TEXT, DatasetSpec, RowsSpec, is_hub_id
from avemo_harness.benchmark.release_loader import ReleaseOptions, declared_files
from avemo_harness.benchmark.release_sources import ParquetSource, network_errors, remote_parquet
from avemo_harness.benchmark.row_selection import select_rows
from avemo_harness.benchmark.table_files import Features, TableFile, TableRow
from avemo_harness.benchmark.table_media import MEDIA, HubFolder, MediaFolder, file_key
from avemo_harness.benchmark.tables import METADATA, SPLITS, folder_rows, read_rows
from avemo_harness.errors import ReleaseError
from avemo_harness.files import check_file
from avemo_harness.registry import hint


@dataclass(frozen=True, slots=True)
class TableSource:
    """The files of a table's split.

    Args:
        name: Hub id or path, as errors call the table.
        title: the same without folders of this machine.
        key: of its digests in the cache.
        files: by path relative to the folder, in order.
        folder: where paths of recordings lead.
        commit: of the Hub; None for what is local.
        features: what `datasets` says of the columns; None where the files say it, or nobody.
        licence: of the card, as `language`; empty where it does not say.
        selected: the rows that the task is about; all where there is no entry.
    """

    name: str
    title: str
    key: str
    files: Mapping[str, TableFile]
    folder: MediaFolder | HubFolder
    commit: str | None
    features: Features | None
    licence: str
    language: str
    selected: tuple[RowsSpec, ...] = ()

    def rows(self, first: int | None = None) -> Iterator[TableRow]:
        """Yield all rows that are selected, or those of at least the first.

        Raises:
            ReleaseError: a file cannot be read as what it is, or no row is selected.
        """
        return select_rows(self._rows(first), self.selected, self.name) if self.selected else self._rows(first)

    def _rows(self, first: int | None) -> Iterator[TableRow]:
        if _is_media_folder(self.files):
            yield from folder_rows(self.files, self.name)
            return
        for name, file in self.files.items():
            if PurePosixPath(name).suffix.lower() in (*TABLES, ARRAYS):
                yield from read_rows(file, self.features, first)


ANY_NAME = "*"
"""In a path, any characters of a name."""


def _is_media_folder(names: Iterable[str]) -> bool:
    paths = [PurePosixPath(name) for name in names]
    tables = [path for path in paths if path.suffix.lower() in (*TABLES, ARRAYS)]
    return any(path.name in METADATA for path in tables) or not tables


def find_table(dataset: DatasetSpec, options: ReleaseOptions) -> TableSource:
    """Find the files of a table's split.

    Raises:
        ReleaseError: there is no such file, folder or data set, no such split, or access is not granted.
    """
    return replace(_find(dataset, options), selected=dataset.rows)


def _find(dataset: DatasetSpec, options: ReleaseOptions) -> TableSource:
    source = dataset.path or ""
    path = Path(source).expanduser()
    if path.is_file():
        if path.suffix.lower() not in (*TABLES, ARRAYS):
            raise ReleaseError(f"{source}: not a table; known are {', '.join((*TABLES, ARRAYS))}, and folders")
        return _local_source(source, {path.name: path}, path.parent, options, dataset.split)
    if path.is_dir():
        return _local_source(source, _folder_files(path, dataset), path, options)
    if ANY_NAME in source:
        return _local_source(source, _files_of_names(path), _before_names(path), options)
    if is_hub_id(source):
        return _hub_source(source, dataset, options)
    raise ReleaseError(
        f"{source}: no such file or folder, and not a Hub id (owner/name); a task's path is relative to its file"
    )


def _before_names(path: Path) -> Path:
    """The folder above the first part of a path that stands for several names."""
    whole = [part for part in (path, *path.parents) if ANY_NAME not in str(part)]
    return whole[0]


def is_local_table(source: str) -> bool:
    """Tell whether a file or folder is there, or with `*` any file whose path fits."""
    path = Path(source).expanduser()
    return path.exists() or (ANY_NAME in source and bool(_fitting(path)))


def _fitting(path: Path) -> list[Path]:
    folder = _before_names(path)
    return sorted(file for file in folder.glob(str(path.relative_to(folder))) if file.is_file())


def _files_of_names(path: Path) -> dict[str, Path]:
    """The tables whose paths fit one with `*`, by path relative to `_before_names`."""
    folder, found = _before_names(path), _fitting(path)
    if not found:
        raise ReleaseError(f"{path}: there is no such file")
    for file in found:
        if file.suffix.lower() not in TABLES:
            raise ReleaseError(f"{file}: not a table; known are {', '.join(TABLES)}")
    return {file.relative_to(folder).as_posix(): file for file in found}


def _local_source(
    source: str, files: Mapping[str, Path], root: Path, options: ReleaseOptions, split: str = ""
) -> TableSource:
    readme = root / "README.md"
    facts = _card_facts(readme.read_text(encoding="utf-8", errors="replace")) if readme.is_file() else {}
    found = {name: replace(_local_file(path), split=split) for name, path in files.items()}
    folder = MediaFolder(options.media_root or root, None if options.media_root else options.corpus)
    return TableSource(
        source, Path(source).resolve().name, str(Path(source).resolve()), found, folder, None, None, *_terms(facts)
    )


def _local_file(path: Path) -> TableFile:
    def checked() -> Path:
        check_file(path)
        return path

    return TableFile(str(path), partial(file_key, path), ParquetSource(str(path), checked))


def _folder_files(folder: Path, dataset: DatasetSpec) -> dict[str, Path]:
    declared = declared_files(folder, dataset.name, dataset.split)
    if declared is not None:
        return {path.relative_to(folder).as_posix(): path for path in declared}
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    known = (*MEDIA, *TABLES)
    kept = [
        name
        for name in names
        if PurePosixPath(name).suffix.lower() in known and not any(part.startswith(".") for part in name.split("/"))
    ]
    if not kept:
        raise ReleaseError(f"{folder}: expected tables ({', '.join(TABLES)}) or recordings in it, found neither")
    by_split: dict[str, list[str]] = {}
    for name in kept:
        if found := _stated_split(name, dataset.split):
            by_split.setdefault(found, []).append(name)
    # Where no name says of which split it is, all are of the one that is asked for.
    wanted = by_split.get(_canonical(dataset.split)) if by_split else kept
    if wanted is None:
        raise _no_such_split(str(folder), dataset.split, by_split)
    return {name: folder / name for name in wanted}


def find_training_part(dataset: DatasetSpec, commit: str | None) -> DatasetSpec | None:
    """The part of a table to learn from, beside the split that is asked about; None where there is none.

    Args:
        commit: of the Hub, that the asked split was read at.

    Raises:
        ReleaseError: the Hub cannot be reached.
    """
    part = dataset.model_copy(update={"split": "train", "revision": commit})
    path = Path(dataset.path or "").expanduser()
    if _canonical(dataset.split) == "train" or path.is_file() or ANY_NAME in str(path):
        return None
    if path.is_dir():
        asked, training = ({*_files_or_none(path, one)} for one in (dataset, part))
        return part if training - asked else None
    by_split, _ = _hub_files(dataset.path or "", commit or "", dataset.name)
    return part if "train" in by_split and len(by_split) > 1 else None


def _files_or_none(folder: Path, dataset: DatasetSpec) -> dict[str, Path]:
    try:
        return _folder_files(folder, dataset)
    except ReleaseError:
        return {}


def _stated_split(name: str, split: str) -> str | None:
    path = PurePosixPath(name)
    words = [*path.parts[:-1], path.name.split(".")[0]]
    if path.suffix.lower() in TABLES:
        words += re.split(r"[^a-zA-Z0-9]+", path.name.split(".")[0])
    for word in words:
        if word == split:
            return _canonical(split)
        if (canonical := _canonical(word.lower())) in SPLITS:
            return canonical
    return None


def _canonical(split: str) -> str:
    return next((name for name, words in SPLITS.items() if split in words), split)


def _no_such_split(where: str, split: str, known: Iterable[str]) -> ReleaseError:
    names = sorted(known)
    return ReleaseError(f"{where}: there is no split {split!r} (splits: {', '.join(names)}){hint(split, names)}")


def _hub_source(repo: str, dataset: DatasetSpec, options: ReleaseOptions) -> TableSource:
    commit = release_sources.resolve_commit(repo, options.revision)
    by_split, features = _hub_files(repo, commit, dataset.name)
    split = dataset.split if dataset.split in by_split else _canonical(dataset.split)
    names = by_split.get(split)
    if names is None and len(by_split) == 1:
        # What is in no split is `train` to `datasets`.
        (only,) = by_split.values()
        names = only if not any(_stated_split(name, dataset.split) for name in only) else None
    if names is None:
        raise _no_such_split(repo, dataset.split, by_split)
    folder = HubFolder(repo, commit) if options.media_root is None else MediaFolder(options.media_root)
    streamed = options.streaming
    files = {name: _hub_file(repo, commit, name, streamed) for name in names}
    if streamed and not all(name.lower().endswith((".parquet", *LINES, *TEXT)) for name in files):
        other = next(name for name in files if not name.lower().endswith((".parquet", *LINES, *TEXT)))
        raise ReleaseError(f"{repo}: {other} is neither Parquet nor text, which streaming needs; leave --streaming out")
    facts = _hub_card(repo, commit)
    return TableSource(repo, repo, f"{repo}@{commit}", files, folder, commit, features, *_terms(facts))


def _hub_files(repo: str, commit: str, name: str) -> tuple[dict[str, list[str]], Features | None]:
    """The files of each split of a config, by path, and the features that the card or the files state."""
    import datasets

    configs = release_sources.list_configs(repo, commit)
    if name == "default" and name not in configs and len(configs) == 1:
        name = configs[0]
    if name not in configs:
        raise ReleaseError(
            f"{repo}: there is no config {name!r} (configs: {', '.join(sorted(configs))}){hint(name, configs)}; give "
            "it as `name` of the task's dataset"
        )
    with network_errors(repo):
        builder = datasets.load_dataset_builder(repo, name, revision=commit)
    prefix = f"hf://datasets/{repo}@{commit}/"
    files = {
        str(split): [str(file).removeprefix(prefix) for file in found]
        for split, found in (builder.config.data_files or {}).items()
    }
    stated: Any = builder.info.features
    return files, None if stated is None else stated.to_dict()


def _hub_file(repo: str, commit: str, name: str, streamed: bool) -> TableFile:
    where = f"{repo}@{commit[:8]}/{name}"
    if streamed and name.lower().endswith(".parquet"):
        source = remote_parquet(repo, f"hf://datasets/{repo}@{commit}/{name}")
    else:
        source = ParquetSource(where, partial(_download, repo, commit, name), partial(network_errors, repo))
    return TableFile(where, lambda: f"{repo}@{commit}/{name}", source)


def _download(repo: str, commit: str, name: str) -> Path:
    from huggingface_hub import HfApi

    return Path(HfApi().hf_hub_download(repo, name, repo_type="dataset", revision=commit))


def _hub_card(repo: str, commit: str) -> dict[str, Any]:
    from huggingface_hub.errors import EntryNotFoundError

    with network_errors(repo):
        try:
            readme = _download(repo, commit, "README.md")
        except EntryNotFoundError:
            return {}
    return _card_facts(readme.read_text(encoding="utf-8", errors="replace"))


def _card_facts(text: str) -> dict[str, Any]:
    """The front matter of a card; nothing where it has none that can be read."""
    import yaml

    front = re.match(r"---\r?\n(.*?)\r?\n---", text, re.DOTALL)
    try:
        facts = yaml.safe_load(front[1]) if front else {}
    except (yaml.YAMLError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _terms(facts: Mapping[str, Any]) -> tuple[str, str]:
    """Licence and language of a card, where it has one of each."""

    def single(value: Any) -> str:
        values = value if isinstance(value, list) else [value]
        return values[0] if len(values) == 1 and isinstance(values[0], str) else ""

    return single(facts.get("license")), single(facts.get("language"))
