"""The files of a data set of the Hub, fetched one at a time into the Hub's own cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from avemo_harness.benchmark.release_hub import resolve_commit
from avemo_harness.errors import ReleaseError, first_line


@dataclass(frozen=True, slots=True)
class HubFiles:
    """The files of a data set at one commit."""

    repo: str
    commit: str

    @classmethod
    def at(cls, repo: str, revision: str | None) -> HubFiles:
        """The files at the commit that a revision stands for now.

        Raises:
            ReleaseError: the Hub cannot be reached, or has no such repository or revision.
        """
        return cls(repo, resolve_commit(repo, revision))

    @property
    def place(self) -> str:
        return f"{self.repo}@{self.commit[:8]}"

    def names(self) -> list[str]:
        """Every file of the commit, by path.

        Raises:
            ReleaseError: the Hub cannot be reached.
        """
        from huggingface_hub import HfApi

        with _hub_errors(self.place):
            return sorted(HfApi().list_repo_files(self.repo, repo_type="dataset", revision=self.commit))

    def local(self, name: str) -> Path:
        """Fetch a file, unless it is in the Hub's cache.

        Raises:
            ReleaseError: the Hub cannot be reached, or access is not granted.
        """
        from huggingface_hub import HfApi

        with _hub_errors(f"{self.place}: {name}"):
            return Path(HfApi().hf_hub_download(self.repo, name, repo_type="dataset", revision=self.commit))


@contextmanager
def _hub_errors(what: str) -> Iterator[None]:
    """One sentence for whatever the Hub's client raises: its errors have no base of their own."""
    try:
        yield
    except Exception as error:
        raise ReleaseError(
            f"{what} cannot be had from the Hub ({first_line(error)}); check the network, HF_ENDPOINT and whether "
            "access was granted, or download the files and name their folder"
        ) from error
