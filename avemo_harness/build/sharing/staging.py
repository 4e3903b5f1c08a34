"""The Parquet files to upload: those of the folder, or others written for it with clips inside or without clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.build.sharing.contents import Contents
from avemo_harness.errors import StorageError, UsageError

Sharing = Literal["whole", "ids"]
"""Rows with the clips that are here, or rows alone: ids, texts, labels and the clips' digests."""


def shares_clips(contents: Contents, sharing: Sharing) -> bool:
    """Whether clips are among what is uploaded."""
    return sharing == "whole" and contents.holding in ("embedded", "beside")


def stage(contents: Contents, sharing: Sharing, scratch: Path) -> Path:
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
        return _written(contents, scratch, None)
    if sharing == "ids" and contents.holding == "embedded":
        return _written(contents, scratch, named_path)
    return contents.folder


def named_path(clip: Clip) -> str:
    """Where readers of rows without clips have to put a clip, below their ``--media_root``."""
    return f"media/{clip.sha256[:2]}/{clip.sha256}"


def _written(contents: Contents, scratch: Path, path_of: Callable[[Clip], str] | None) -> Path:
    try:
        for config, releases in contents.configs.items():
            dialogues = {split: release.dialogues for split, release in releases.items()}
            pairs = {split: release.pairs for split, release in releases.items() if release.pairs}
            write_release(scratch, config, dialogues, pairs, path_of)
    except OSError as error:
        raise StorageError(scratch, "written", error) from error
    return scratch
