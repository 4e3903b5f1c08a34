"""Push a release to the Hub in one commit with its card; refuse what must not be shared."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.data.sharing.assets import find_assets, refuse_restricted
from avemo_harness.data.sharing.card import Publication, compose_card, configs_of_files, title_of
from avemo_harness.data.sharing.contents import (
    LEADERBOARD_FILE,
    ReleaseContents,
    leaderboard_file,
    parquet_files,
    read_contents,
    tasks_of,
)
from avemo_harness.data.sharing.records import read_readme
from avemo_harness.data.sharing.repository import PushTarget, address, look_up, upload
from avemo_harness.errors import StorageError, UsageError

UploadMode = Literal["whole", "ids"]
"""Rows with the clips that are here, or rows alone: ids, texts, labels and the clips' digests."""


def shares_clips(contents: ReleaseContents, sharing: UploadMode) -> bool:
    """True where clips are uploaded too."""
    return sharing == "whole" and contents.holding in ("embedded", "beside")


def stage(contents: ReleaseContents, sharing: UploadMode, scratch: Path) -> Path:
    """The folder whose Parquet files, and the configs of whose ``README.md``, are those to be published.

    Clips that lie beside the Parquet files are put into them, as readers of a repository look for none elsewhere. It is
    the release's own folder where nothing has to change; the fingerprint is the same in any case.

    Args:
        scratch: an empty folder for files that have to be written.

    Raises:
        UsageError: only some of the clips are here.
        StorageError: there is no room in `scratch`.
    """
    if contents.absent and shares_clips(contents, sharing):
        raise UsageError(
            f"{contents.folder}: {contents.absent:,} clips are not here; put back their files, or push ids, labels and "
            "digests alone with --ids_only"
        )
    if sharing == "whole" and contents.holding == "beside":
        return _write_staged(contents, scratch, None)
    if sharing == "ids" and contents.holding == "embedded":
        return _write_staged(contents, scratch, named_path)
    return contents.folder


def named_path(clip: Clip) -> str:
    """Path of a clip below the ``--media_root`` of those who read rows without clips."""
    return f"media/{clip.sha256[:2]}/{clip.sha256}"


def _write_staged(contents: ReleaseContents, scratch: Path, path_of: Callable[[Clip], str] | None) -> Path:
    try:
        for config, releases in contents.configs.items():
            dialogues = {split: release.dialogues for split, release in releases.items()}
            pairs = {split: release.pairs for split, release in releases.items() if release.pairs}
            has_votes = any(turn.votes for those in dialogues.values() for one in those for turn in one.turns)
            write_release(scratch, config, dialogues, pairs, path_of, has_votes=has_votes)
    except OSError as error:
        raise StorageError(scratch, "written", error) from error
    return scratch


DESCRIPTION = (
    "Audio-visual dialogues for the AV-EMO-Reasoning benchmark (arXiv 2510.07355): how a person feels, told from voice "
    "and face."
)


@dataclass(frozen=True, slots=True)
class PushResult:
    """Result of a push.

    Args:
        files: how many files the release has on the Hub.
        size: of them all, in bytes.
    """

    publication: Publication
    url: str
    commit: str
    files: int
    size: int


def push_release(
    folder: Path,
    target: PushTarget,
    known_tasks: Sequence[TaskSpec],
    say: Callable[[str], None],
    sharing: UploadMode = "whole",
    acknowledged: bool = False,
    restricted: Collection[str] = (),
) -> PushResult:
    """Push a release, whole or not at all. The folder stays as it is.

    Args:
        known_tasks: those that may be asked of the release; they become its leaderboards.
        acknowledged: the user has made sure that restricted assets may be shared.
        restricted: importers of corpora whose recordings, texts and ids are not passed on.

    Raises:
        ReleaseError: the release fails the schema check.
        UsageError: something in it must not be shared, or the Hub refuses it.
        StoreError: there is no room for files that have to be written first.
    """
    contents = read_contents(folder)
    with_clips = shares_clips(contents, sharing)
    assets = find_assets(contents.releases, contents.records)
    if contents.records.imported.get("importer") in restricted:
        assets = tuple(replace(asset, redistributable=False) for asset in assets)
    refuse_restricted(assets, with_clips, acknowledged)
    repository = look_up(target)
    say(f"{folder}: rows, clips and licences are checked; uploading")
    tasks = tasks_of(contents, known_tasks)
    with tempfile.TemporaryDirectory(prefix="avemo-push-") as scratch:
        root = stage(contents, sharing, Path(scratch))
        data = {file.relative_to(root).as_posix(): file for file in parquet_files(root)}
        publication = Publication(
            repo=target.repo,
            revision=target.tag,
            needs_media=not with_clips and contents.holding != "none",
            # Groups that are named after what they ask about are the rows of the benchmark's table.
            tasks=tuple(dict.fromkeys(spec.group for spec in tasks if spec.group == spec.dataset.name)),
            configs=read_readme(root).keys.get("configs") or configs_of_files(data),
        )
        files: dict[str, Path | bytes] = {**data, **_text_files(contents, publication, tasks)}
        files["README.md"] = compose_card(contents, assets, publication).encode()
        size = sum(len(one) if isinstance(one, bytes) else one.stat().st_size for one in files.values())
        commit = upload(target, repository, files)
    return PushResult(publication, address(target), commit, len(files), size)


def _text_files(contents: ReleaseContents, publication: Publication, tasks: Sequence[TaskSpec]) -> Mapping[str, bytes]:
    """The records, and ``eval.yaml``: the folder's own where it has one."""
    files = contents.records.published()
    own = contents.folder / LEADERBOARD_FILE
    if own.is_file():
        files[LEADERBOARD_FILE] = own.read_bytes()
    elif tasks:
        files[LEADERBOARD_FILE] = leaderboard_file(title_of(contents, publication), DESCRIPTION, tasks).encode()
    return files
