"""Conflict pairs for a release that has none yet."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from avemo_harness.benchmark.release import CONFLICT, ConflictPair, Turn
from avemo_harness.benchmark.release_hub import resolve_commit
from avemo_harness.benchmark.release_loader import ReleaseOptions, load_release, local_splits
from avemo_harness.benchmark.release_writer import write_pairs
from avemo_harness.build.conflicts import Polarity, Sharing, find_recordings, measure_clip, pair_opposites
from avemo_harness.errors import ReleaseError, StorageError, UsageError, first_line
from avemo_harness.names import hint


@dataclass(frozen=True, slots=True)
class PairingRules:
    """Which recordings may be paired.

    Args:
        sharing: None means one transcript in configs that end in ``_synthetic``, and the speaker alone in others.
        media_root: folder of the clips where the release names them by path; None means the release's own.
    """

    polarity: Polarity = "valence"
    sharing: Sharing | None = None
    media_root: Path | None = None


def choose_config(folder: Path, named: str | None) -> str:
    """The config to pair: the one that is named, or the only one there is.

    Raises:
        ReleaseError: there is no such config, or several and none is named.
        UsageError: it has conflict pairs already.
    """
    configs = local_splits(folder)
    talks = [config for config in configs if not config.endswith(CONFLICT)]
    if named is None and len(talks) != 1:
        raise ReleaseError(f"{folder}: it has the configs {', '.join(talks) or '(none)'}; name one with --config")
    chosen = named or talks[0]
    if chosen not in talks:
        raise ReleaseError(f"{folder}: there is no config {chosen!r}{hint(chosen, talks)}")
    if chosen + CONFLICT in configs or (folder / (chosen + CONFLICT)).exists():
        raise UsageError(
            f"{folder}: config {chosen + CONFLICT} is there already and is not overwritten; delete it first, from the "
            "README too"
        )
    return chosen


def pair_release(
    folder: Path, config: str, rules: PairingRules, say: Callable[[str], None]
) -> dict[str, list[ConflictPair]]:
    """The pairs of each split of a config that has some. Every clip whose label has an opposite is opened once.

    Raises:
        ReleaseError: the release cannot be read, or nothing in it can be paired.
        MediaError: a clip is missing or damaged.
    """
    sharing = rules.sharing or ("transcript" if config.endswith("_synthetic") else "speaker")

    def measure(turn: Turn) -> float | None:
        paired = turn.emotion != "neutral" or rules.polarity == "any"
        return measure_clip(turn) if paired else None

    found = {}
    for split in local_splits(folder)[config]:
        release = load_release(str(folder), config, split, ReleaseOptions(media_root=rules.media_root))
        pairs = pair_opposites(find_recordings(release.dialogues, sharing, measure), rules.polarity)
        say(f"{config}, {split}: {len(pairs):,} conflict pairs among {len(release.dialogues):,} dialogues")
        if pairs:
            found[split] = pairs
    if not found:
        raise ReleaseError(
            f"{folder}: nothing in config {config!r} can be paired: it needs opposite emotions of one speaker, "
            "in clips with sound and face whose durations differ by at most a second"
        )
    return found


def add_pairs(folder: Path, config: str, pairs: dict[str, list[ConflictPair]]) -> None:
    """Put a conflict config into a release; it is there whole or not at all.

    Raises:
        StorageError: the folder cannot be written.
    """
    name = config + CONFLICT
    try:
        with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=folder) as place:
            write_pairs(Path(place), config, pairs)
            (Path(place) / name).rename(folder / name)
        write_pairs(folder, config, {})
    except OSError as error:
        raise StorageError(folder, "written", error) from error


def fetch_release(release: str, revision: str | None) -> Path:
    """The folder of a release: its own, or for a Hub id a copy in the Hub's cache.

    Raises:
        ReleaseError: there is no such release, or the Hub cannot be reached.
    """
    folder = Path(release).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists() or release.count("/") != 1 or release.startswith("."):
        raise ReleaseError(f"{release}: expected the folder of a release, or a Hub id (owner/name); check the path")
    from huggingface_hub import HfApi

    commit = resolve_commit(release, revision)
    try:
        return Path(HfApi().snapshot_download(release, repo_type="dataset", revision=commit))
    except Exception as error:  # the Hub's client raises errors without a base of their own
        raise ReleaseError(
            f"{release}: cannot be had from the Hub ({first_line(error)}); check the network or HF_ENDPOINT"
        ) from error


def copy_release(folder: Path, out: Path) -> None:
    """Copy a release to a new folder, whole or not at all.

    Raises:
        StorageError: the folder cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as place:
            shutil.copytree(folder, Path(place) / "release")
            (Path(place) / "release").rename(out)
    except OSError as error:
        raise StorageError(out, "written", error) from error
