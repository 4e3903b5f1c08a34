"""Find and load a release (folder, Parquet file or Hub id), and probe the streams of its clips."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo_harness import files
from avemo_harness.benchmark import release_sources
from avemo_harness.benchmark.release import CONFLICT, Clip, Dialogue, Release, Stream, make_release
from avemo_harness.benchmark.release_sources import ParquetSource
from avemo_harness.errors import MediaError, MissingDataError, ReleaseError
from avemo_harness.files import write_atomically
from avemo_harness.garbage import collection_paused, give_back_memory

if TYPE_CHECKING:
    from avemo_harness.benchmark.release import ConflictPair

_ANNOUNCE_ABOVE = 200
"""Clips above which probing takes long enough to be announced."""

StreamSet = frozenset[Stream]


def streams_of(clip: Clip) -> StreamSet:
    """The streams of a clip, at least one; where it does not say, from its header.

    Raises:
        MediaError: the clip is missing or damaged; the message names it.
    """
    if clip.streams is not None:
        return clip.streams
    from avemo_harness import media  # numpy and PyAV, which finding a release does without

    try:
        info = media.probe(clip.read())
    except MediaError as error:
        raise MediaError(f"{clip.name}: {error}") from error
    found: dict[Stream, object] = {"sound": info.sound, "picture": info.video}
    return frozenset(stream for stream, facts in found.items() if facts is not None)


def known_streams(clip: Clip) -> StreamSet | None:
    """The streams of a clip; None where it cannot be read, which is the error of whatever item shows it."""
    try:
        return streams_of(clip)
    except MediaError:
        return None


def with_known_streams(release: Release, cache: Path, say: Callable[[str], None]) -> Release:
    """The same release whose clips say which streams they have, but for those that cannot be read.

    Args:
        cache: folder with a file a release of what was probed, by digest of the clip.
        say: takes a sentence for the user before something slow.
    """
    clips = (turn.clip for dialogue in release.dialogues for turn in dialogue.turns if turn.clip is not None)
    unknown = {clip.sha256: clip for clip in clips if clip.streams is None}
    if not unknown:
        return release
    file = cache / f"{release.fingerprint}.json"
    known = _read_probed(file)
    fresh = {digest: clip for digest, clip in unknown.items() if digest not in known}
    if len(fresh) > _ANNOUNCE_ABOVE:
        say(f"looking for sound and picture in {len(fresh):,} clips of {release.source}, once")
    probed = {digest: streams for digest, clip in fresh.items() if (streams := known_streams(clip)) is not None}
    if probed:
        known = {**known, **probed}
        content = {digest: sorted(streams) for digest, streams in sorted(known.items())}
        write_atomically(file, json.dumps(content) + "\n")
    return replace(release, dialogues=tuple(_with_streams(dialogue, known) for dialogue in release.dialogues))


def _read_probed(file: Path) -> dict[str, StreamSet]:
    """Streams that an earlier run probed; none where the file is missing or damaged, since it can be made again."""
    try:
        values: dict[str, list[Stream]] = json.loads(file.read_text(encoding="utf-8"))
        known = {digest: frozenset(streams) for digest, streams in values.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return known if all(streams and streams <= {"sound", "picture"} for streams in known.values()) else {}


def _with_streams(dialogue: Dialogue, known: Mapping[str, StreamSet]) -> Dialogue:
    turns = tuple(
        replace(turn, clip=replace(turn.clip, streams=known[turn.clip.sha256]))
        if turn.clip is not None and turn.clip.sha256 in known
        else turn
        for turn in dialogue.turns
    )
    return replace(dialogue, turns=turns)


REMEMBERED = "release"
"""The file in the configuration folder that `avemo-eval data use` writes."""


@dataclass(frozen=True, slots=True)
class ReleaseOptions:
    """Options for reading a release.

    Args:
        revision: Hub revision (branch, tag or commit); None means the head of main.
        media_root: folder of the clips that a release names by path; None means the release's own folder.
        streaming: read a Hub release's rows alone, and each clip when it is asked for, instead of downloading it whole.
        corpus: the user's folder that a table lies in; paths of recordings may begin there, too.
    """

    revision: str | None = None
    media_root: Path | None = None
    streaming: bool = False
    corpus: Path | None = None


@collection_paused()
def load_release(source: str, name: str, split: str = "test", options: ReleaseOptions | None = None) -> Release:
    """Read one config's split, and its conflict pairs where the release has a ``<name>_conflict`` config.

    Args:
        source: Hub id (``owner/name``), local folder or Parquet file.
        name: config, one of the benchmark's splits such as ``multiturn_real``.
        split: the data set split, ``test`` or ``train``.

    Raises:
        ReleaseError: the release is missing, unreachable or malformed.
    """
    options = options or ReleaseOptions()
    path = Path(source).expanduser()
    commit = None
    if path.exists():
        dialogues, pairs = _read_local(path, source, name, split, options)
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", source) and not source.startswith("."):
        commit = release_sources.resolve_commit(source, options.revision)
        dialogues, pairs = _read_from_hub(source, commit, name, split, options)
    else:
        raise ReleaseError(f"{source}: no such folder or Parquet file, and not a Hub id (owner/name)")
    kept = list(dialogues)
    give_back_memory()
    if not kept:
        raise ReleaseError(f"{source}: config {name!r}, split {split!r} holds no dialogue")
    return make_release(source, name, split, commit, kept, pairs)


_Rows = tuple[Iterator[Dialogue], Iterator["ConflictPair"]]


def _read_local(path: Path, source: str, name: str, split: str, options: ReleaseOptions) -> _Rows:
    if path.is_file():
        dialogue_files, pair_files, root = [path], [], path.parent
    else:
        configs = _local_configs(path)
        if name not in configs:
            raise _no_such_config(source, name, configs)
        dialogue_files = _files_of(path, configs[name], split)
        if not dialogue_files:
            have = ", ".join(configs[name]) or "none"
            raise ReleaseError(f"{source}: config {name!r} has no Parquet file for split {split!r} (splits: {have})")
        pair_files = _files_of(path, configs.get(name + CONFLICT, {}), split)
        root = path
    rows = list(map(ParquetSource.local, dialogue_files))
    pairs = release_sources.read_pairs(list(map(ParquetSource.local, pair_files)))
    return release_sources.read_dialogues(rows, options.media_root or root), pairs


def _read_from_hub(repo: str, commit: str, name: str, split: str, options: ReleaseOptions) -> _Rows:
    configs = release_sources.list_configs(repo, commit)
    if name not in configs:
        raise _no_such_config(repo, name, configs)
    if options.streaming:
        spool = files.cache_dir() / "clips"
        dialogues = release_sources.stream_dialogues(repo, commit, name, split, options.media_root, spool)
    else:
        dialogues = release_sources.read_hub_dialogues(repo, commit, name, split, options.media_root)
    conflict = name + CONFLICT
    paired = conflict in configs and split in release_sources.list_splits(repo, commit, conflict)
    return dialogues, release_sources.read_hub_pairs(repo, commit, conflict, split) if paired else iter(())


def declared_files(folder: Path, name: str, split: str) -> list[Path] | None:
    """The files that a folder's card declares for a split of a config; None where it declares no configs.

    A card with one config alone need not call it `default`.

    Raises:
        ReleaseError: it declares others, or cannot be understood.
    """
    configs = _declared_configs(folder / "README.md")
    if not configs:
        return None
    if name not in configs and not (name == "default" and len(configs) == 1):
        raise _no_such_config(str(folder), name, configs)
    splits = configs.get(name) or next(iter(configs.values()))
    found = _files_of(folder, splits, split)
    if not found:
        raise ReleaseError(f"{folder}: there is no split {split!r} of config {name!r} (splits: {', '.join(splits)})")
    return found


def _local_configs(folder: Path) -> dict[str, dict[str, list[str]]]:
    """Configs of a local release: {config: {split: [glob, …]}}, from the README's front matter, else the layout."""
    if declared := _declared_configs(folder / "README.md"):
        return declared
    layout: dict[str, dict[str, list[str]]] = {}
    for file in sorted(folder.glob("*/*.parquet")):
        split = re.split(r"[-.]", file.name)[0]
        layout.setdefault(file.parent.name, {})[split] = [f"{file.parent.name}/{split}[-.]*parquet"]
    return layout


def _declared_configs(readme: Path) -> dict[str, dict[str, list[str]]]:
    import yaml

    if not readme.is_file():
        return {}
    text = readme.read_text(encoding="utf-8", errors="replace")
    front = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    try:
        entries = (yaml.safe_load(front[1]) if front else {}).get("configs") or []
        return {entry["config_name"]: _globs_by_split(entry["data_files"]) for entry in entries}
    except (yaml.YAMLError, RecursionError, AttributeError, KeyError, TypeError) as error:
        raise ReleaseError(
            f"{readme}: its front matter must be YAML whose 'configs' list records of a config_name and data_files, "
            "those records of a split and a path"
        ) from error


def _globs_by_split(data_files: Any) -> dict[str, list[str]]:
    if isinstance(data_files, str):
        return {"test": [data_files]}
    globs: dict[str, list[str]] = {}
    for entry in data_files:
        path = entry["path"]
        globs[entry["split"]] = [path] if isinstance(path, str) else list(path)
    return globs


def _files_of(folder: Path, splits: dict[str, list[str]], split: str) -> list[Path]:
    globs = splits.get(split, [])
    for glob in globs:
        if not glob or Path(glob).is_absolute() or ".." in Path(glob).parts:
            raise ReleaseError(f"{folder}/README.md: the path {glob!r} of split {split!r} must stay inside the folder")
    return sorted({file for glob in globs for file in folder.glob(glob)})


def _no_such_config(source: str, name: str, configs: Iterable[str]) -> ReleaseError:
    have = ", ".join(sorted(configs)) or "none"
    return ReleaseError(f"{source}: the release has no config {name!r} (configs: {have})")


def local_files(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """The configs of a local release, each with the Parquet files of its data set splits.

    Raises:
        ReleaseError: its README cannot be understood.
    """
    return {
        config: {split: _files_of(folder, splits, split) for split in splits}
        for config, splits in _local_configs(folder).items()
    }


def local_splits(folder: Path) -> dict[str, list[str]]:
    """The configs of a local release, each with its data set splits that have files.

    Raises:
        ReleaseError: its README cannot be understood.
    """
    return {
        config: [split for split, files in splits.items() if files] for config, splits in local_files(folder).items()
    }


def has_split(release: Release, path: str, split: str) -> bool:
    """Check that the release that was read from `path` has another data set split, such as ``train``."""
    folder = Path(path).expanduser()
    if folder.is_dir():
        return bool(_files_of(folder, _local_configs(folder).get(release.name, {}), split))
    return release.commit is not None and split in release_sources.list_splits(path, release.commit, release.name)


def configured_release(chosen: str | None, task: str, shipped: str | None) -> str:
    """Return the release to use for a task: `chosen` (``--dataset``), ``AVEMO_DATASET``, the remembered one, `shipped`.

    Raises:
        MissingDataError: none of them names one; the message says how to get one.
    """
    named = chosen or os.environ.get("AVEMO_DATASET") or remembered_release() or shipped
    if not named:
        raise MissingDataError(
            f"{task} needs a release of the benchmark and none is named: give --dataset ID_OR_PATH, set AVEMO_DATASET, "
            "or remember one with `avemo-eval data use ID_OR_PATH`, where ID_OR_PATH is a Hub id, a folder or a "
            "Parquet file that you built or imported from MultiDialog (README, 'A release of your own'); "
            "`--tasks demo` needs none",
            "avemo-eval data use ID_OR_PATH",
        )
    return named


def remembered_release() -> str | None:
    """The release that `avemo-eval data use` remembered, if any."""
    return files.read_choice(REMEMBERED)


def remember_release(source: str) -> Path:
    """Remember a release for later commands; returns the file that holds it."""
    local = Path(source).expanduser()
    return files.remember_choice(REMEMBERED, str(local.resolve() if local.exists() else source))
