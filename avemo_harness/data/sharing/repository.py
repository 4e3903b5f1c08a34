"""A data set repository of the Hub: look it up, upload a release in one commit, tag it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from avemo_harness.data.sharing.contents import LEADERBOARD_FILE
from avemo_harness.data.sharing.records import RECORD_NAMES
from avemo_harness.errors import UsageError, first_line

if TYPE_CHECKING:
    from huggingface_hub.hf_api import DatasetInfo

CARD_TAG = "avemo-harness"
"""The tag of every card: a repository with it holds a release, and may be replaced by another."""

_OURS = ("*.parquet", LEADERBOARD_FILE, *RECORD_NAMES)
"""Files that an earlier push may have left and this one does not bring."""
_OF_NEW = {".gitattributes", "README.md"}
"""Files of an empty repository that was made by hand."""


@dataclass(frozen=True, slots=True)
class PushTarget:
    """Destination of a release.

    Args:
        repo: ``owner/name``.
        tag: a name for the commit; None for none.
        private: whether nobody else may see it.

    Raises:
        UsageError: a name is none of a repository or tag.
    """

    repo: str
    tag: str | None = None
    private: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", self.repo):
            raise UsageError(f"{self.repo}: expected the id of a data set on the Hub, OWNER/NAME")
        if self.tag is not None and not re.fullmatch(r"\w[\w.-]*", self.tag):
            raise UsageError(f"--revision_tag {self.tag}: expected letters, digits, '.', '_' and '-', such as v1")


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """The repository before the push; `commit` is None where there is none."""

    commit: str | None
    files: frozenset[str]


def look_up(target: PushTarget) -> RepositoryState:
    """Look whether a release can go there. Nothing is changed.

    Raises:
        UsageError: the repository holds something else, is public where a private one is asked for, or has the tag, or
            the Hub cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    with _hub_refusals(target.repo):
        try:
            info = HfApi().dataset_info(target.repo)
        except GatedRepoError:
            raise
        except RepositoryNotFoundError:
            return RepositoryState(None, frozenset())
        refs = HfApi().list_repo_refs(target.repo, repo_type="dataset")
    if target.tag in {tag.name for tag in refs.tags}:
        raise UsageError(f"{target.repo}: the tag {target.tag} is there already and is not moved; choose another")
    return _check_repository(target, info)


def _check_repository(target: PushTarget, info: DatasetInfo) -> RepositoryState:
    files = frozenset(one.rfilename for one in info.siblings or ())
    if not files <= _OF_NEW and CARD_TAG not in (info.tags or ()):
        raise UsageError(
            f"{target.repo}: is there and holds something else than a release of {CARD_TAG}; choose another name, or "
            "empty that repository first"
        )
    if target.private and not info.private:
        raise UsageError(f"{target.repo}: is there and public; make it private in its settings, or choose another name")
    return RepositoryState(info.sha, files)


def upload(target: PushTarget, found: RepositoryState, files: Mapping[str, Path | bytes]) -> str:
    """Make the repository where there is none, replace its release in one commit, and tag that.

    Args:
        files: a path or content for each name in the repository.

    Returns:
        The commit; the last one where nothing has changed.

    Raises:
        UsageError: the Hub refused something, or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api, kind = HfApi(), "dataset"
    stale = {name for name in found.files - set(files) if any(fnmatchcase(name, ours) for ours in _OURS)}
    with _hub_refusals(target.repo):
        if found.commit is None:
            api.create_repo(target.repo, repo_type=kind, private=target.private or None)
        commit = api.create_commit(
            target.repo,
            [
                *(CommitOperationAdd(name, content) for name, content in sorted(files.items())),
                *(CommitOperationDelete(name) for name in sorted(stale)),
            ],
            commit_message="Release, pushed by avemo-harness",
            repo_type=kind,
            parent_commit=found.commit,
        ).oid
    if target.tag is not None:
        with _hub_refusals(f"{target.repo}: pushed as {commit}, but not tagged"):
            api.create_tag(target.repo, tag=target.tag, revision=commit, repo_type=kind)
    return commit


def address(target: PushTarget) -> str:
    """The repository's page."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/datasets/{target.repo}"


@contextmanager
def _hub_refusals(what: str) -> Iterator[None]:
    """Turn what the Hub's client raises, whose errors have no base of their own, into one sentence."""
    try:
        yield
    except Exception as error:
        raise UsageError(f"{what}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    answer = getattr(error, "response", None)
    if answer is None and isinstance(error, ValueError):
        return f"refused ({' '.join(str(error).split())})"
    if answer is None and isinstance(error.__cause__, Exception):
        return _reason(error.__cause__)
    if answer is None:
        return f"the Hub cannot be reached ({first_line(error)}); check the network or HF_ENDPOINT, and push again"
    status: int = answer.status_code
    if status in (401, 403):
        return f"the Hub does not let you write there ({status}); log in with `hf auth login`, with a token that may"
    if status == 409:
        return "it is there already, and closed to you; log in with `hf auth login`, or choose another name"
    if status == 412:
        return "somebody else changed it meanwhile; push again"
    return f"the Hub refused it ({getattr(error, 'server_message', None) or first_line(error)}, {status})"
