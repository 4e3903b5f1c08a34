"""Share a release on the Hub: what must not be shared is refused, the rest goes up in one commit with its card."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.build.card import Publication, compose_card, title_of
from avemo_harness.build.sharing.assets import find_assets, refuse_restricted
from avemo_harness.build.sharing.contents import Contents, parquet_files, read_contents
from avemo_harness.build.sharing.front_matter import configs_of_files
from avemo_harness.build.sharing.leaderboard import FILE as LEADERBOARD
from avemo_harness.build.sharing.leaderboard import leaderboard_file, tasks_of
from avemo_harness.build.sharing.readme import read_readme
from avemo_harness.build.sharing.repository import Target, address, look_up, upload
from avemo_harness.build.sharing.staging import Sharing, shares_clips, stage

DESCRIPTION = (
    "Audio-visual dialogues for the AV-EMO-Reasoning benchmark (arXiv 2510.07355): how a person feels, told from voice "
    "and face."
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is shared.

    Args:
        acknowledged: whether the user has made sure that restricted assets may be shared.
    """

    sharing: Sharing = "whole"
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did.

    Args:
        files: how many files the release has on the Hub.
        size: of them all, in bytes.
        tasks: names of what can be asked of the release, for ``--tasks``.
        needs_media: whether readers have to give a folder of clips.
    """

    url: str
    commit: str
    files: int
    size: int
    tasks: tuple[str, ...]
    needs_media: bool


def push_release(
    folder: Path, target: Target, terms: Terms, known_tasks: Sequence[TaskSpec], say: Callable[[str], None]
) -> Pushed:
    """Push a release, whole or not at all. The folder stays as it is.

    Args:
        known_tasks: those that may be asked of the release; they become its leaderboards.

    Raises:
        ReleaseError: the release fails the schema check.
        UsageError: something in it must not be shared, or the Hub refuses it.
        StoreError: there is no room for files that have to be written first.
    """
    contents = read_contents(folder)
    with_clips = shares_clips(contents, terms.sharing)
    assets = find_assets(contents.releases, contents.records)
    refuse_restricted(assets, with_clips, terms.acknowledged)
    found = look_up(target)
    say(f"{folder}: rows, clips and licences are checked; uploading")
    tasks = tasks_of(contents, known_tasks)
    with tempfile.TemporaryDirectory(prefix="avemo-push-") as scratch:
        root = stage(contents, terms.sharing, Path(scratch))
        data = {file.relative_to(root).as_posix(): file for file in parquet_files(root)}
        publication = Publication(
            repo=target.repo,
            revision=target.tag,
            needs_media=not with_clips and contents.holding != "none",
            tasks=_names(tasks),
            configs=read_readme(root).keys.get("configs") or configs_of_files(data),
        )
        files: dict[str, Path | bytes] = {**data, **_texts(contents, publication, tasks)}
        files["README.md"] = compose_card(contents, assets, publication).encode()
        size = sum(len(one) if isinstance(one, bytes) else one.stat().st_size for one in files.values())
        commit = upload(target, found, files)
    return Pushed(address(target), commit, len(files), size, publication.tasks, publication.needs_media)


def _texts(contents: Contents, publication: Publication, tasks: Sequence[TaskSpec]) -> Mapping[str, bytes]:
    """The records, and ``eval.yaml``: the folder's own where it has one."""
    files = contents.records.published()
    own = contents.folder / LEADERBOARD
    if own.is_file():
        files[LEADERBOARD] = own.read_bytes()
    elif tasks:
        files[LEADERBOARD] = leaderboard_file(title_of(contents, publication), DESCRIPTION, tasks).encode()
    return files


def _names(tasks: Sequence[TaskSpec]) -> tuple[str, ...]:
    """The groups that are named after what they ask about, which are the rows of the benchmark's table."""
    return tuple(dict.fromkeys(spec.group for spec in tasks if spec.group == spec.dataset.name))
