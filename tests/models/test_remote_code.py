"""Code that comes with a checkpoint is run from a commit that was named, and from nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo_harness.errors import ModelError
from avemo_harness.models import remote_code
from avemo_harness.models.remote_code import resolve_remote
from avemo_harness.weights import Weights

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def _hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Hub on which every revision stands for one commit."""
    settings = {"config.json": {"auto_map": {"AutoModel": "modeling.Model"}}}
    monkeypatch.setattr(Weights, "settings", lambda weights, name: settings.get(name, {}))
    monkeypatch.setattr(
        remote_code, "find_weights", lambda name, revision, say: Weights(name, COMMIT, f"{name}@{COMMIT}")
    )


@pytest.mark.usefixtures("_hub")
@pytest.mark.parametrize("revision", [None, "main", "v1.0", COMMIT[:12]])
def test_a_revision_that_can_move_is_refused_with_the_commit_it_stands_for(revision: str | None) -> None:
    with pytest.raises(ModelError, match=f"name the commit that you trust: revision={COMMIT}"):
        resolve_remote("minicpm-o", "owner/name", revision)


@pytest.mark.usefixtures("_hub")
def test_a_commit_is_taken_and_recorded() -> None:
    assert resolve_remote("minicpm-o", "owner/name", COMMIT).weights.content == f"owner/name@{COMMIT}"


@pytest.mark.parametrize(("pretrained", "said"), [("", "name a checkpoint"), ("./nowhere", "no such folder")])
def test_a_checkpoint_that_is_not_there_is_refused(pretrained: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        resolve_remote("minicpm-o", pretrained, None)


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"it has no config\.json"):
        resolve_remote("minicpm-o", str(tmp_path), None)
