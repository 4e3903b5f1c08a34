"""The Hub's side of an upload, on loopback: repositories are made, take commits and are tagged.

Large files come by the protocol of Git LFS. What is stored is then served like any other repository.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from support.hub_server import HubServer, Repository, _Handler, listening

LARGE = 10_000
"""Bytes from which on a file goes by LFS; the Hub's own bound is higher, and always holds for Parquet."""


@dataclass(frozen=True)
class Pushed(Repository):
    """A repository with its visibility and tags; earlier commits are not kept."""

    private: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)

    def info(self) -> dict[str, object]:
        front = re.match(r"---\n(.*?)\n---", self.files.get("README.md", b"").decode(), re.DOTALL)
        keys = (yaml.safe_load(front[1]) if front else None) or {}
        return {**super().info(), "private": self.private, "tags": list(keys.get("tags") or ())}


@dataclass
class UploadServer(HubServer):
    """A server that takes uploads.

    Args:
        repositories: as they are now.
        blobs: large files by digest, uploaded but not necessarily committed.
        refusals: statuses for requests whose path has the key in it.
        commits: the operations of each commit, by path: ``file``, ``lfsFile`` or ``deletedFile``.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    commits: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def serve_uploads(*repositories: Repository) -> Iterator[UploadServer]:
    """Serve repositories, and those that clients make, until the block ends."""
    by_name = {repository.name: repository for repository in repositories}
    with listening(_UploadHandler, lambda url: UploadServer(url, by_name)) as hub:
        yield hub


_DATASET = re.compile(r"/api/datasets/(?P<name>[^/]+/[^/]+)/(?P<what>refs|preupload|commit|tag)(?:/(?P<revision>.+))?")
_BATCH = re.compile(r"/datasets/(?P<name>[^/]+/[^/]+)\.git/info/lfs/objects/batch")


class _UploadHandler(_Handler):
    hub: UploadServer
    disable_nagle_algorithm = True

    def do_PUT(self) -> None:  # noqa: N802  (the name that http.server looks for)
        self._answer()

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        dataset, batch = _DATASET.fullmatch(path), _BATCH.fullmatch(path)
        if not (dataset or batch or path.startswith("/lfs/") or path in ("/api/repos/create", "/api/validate-yaml")):
            super()._answer()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.log.append(f"{self.command} {unquote(path)}")
        refused = [status for part, status in self.hub.refusals.items() if part in path]
        if refused:
            self._refuse(refused[0], "Refused")
        elif batch:
            self._batch(json.loads(body))
        elif path.startswith("/lfs/"):
            self._store(path.removeprefix("/lfs/"), body)
        elif dataset:
            self._change(dataset["name"], dataset["what"], body)
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        else:
            self._json({"errors": [], "warnings": []})

    def _create(self, asked: Mapping[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.repositories:
            self._refuse(409, "RepoExists")
            return
        # Which of both a client sends is up to its version.
        private = asked.get("visibility") == "private" or asked.get("private") is True
        self.hub.repositories[name] = Pushed(name, {".gitattributes": b"*.parquet filter=lfs\n"}, private=private)
        self._json({"url": f"{self.hub.url}/datasets/{name}", "name": name})

    def _change(self, name: str, what: str, body: bytes) -> None:
        repository = self._repository(name, "main")
        if not isinstance(repository, Pushed):
            assert repository is None, f"{name} takes no uploads"
            return
        if what == "refs":
            main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repository.commit}
            tags = [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": c} for n, c in repository.tags.items()]
            self._json({"branches": [main], "converts": [], "tags": tags})
        elif what == "preupload":
            self._json({"files": [_upload_mode(repository, one) for one in json.loads(body)["files"]]})
        elif what == "tag":
            tag = json.loads(body)["tag"]
            named = {**repository.tags, tag: repository.commit}
            self.hub.repositories[name] = replace(repository, tags=named, revisions=("main", *named))
            self._json({})
        else:
            self._commit(repository, [json.loads(line) for line in body.splitlines()])

    def _commit(self, repository: Pushed, operations: list[dict[str, Any]]) -> None:
        parent = operations[0]["value"].get("parentCommit")
        if parent not in (None, repository.commit):
            self._refuse(412, "StaleParent")
            return
        files = dict(repository.files)
        for operation in operations[1:]:
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
            else:
                del files[value["path"]]
        self.hub.commits.append({one["value"]["path"]: one["key"] for one in operations[1:]})
        changed = replace(repository, files=files)
        self.hub.repositories[repository.name] = changed
        url = f"{self.hub.url}/datasets/{repository.name}/commit/{changed.commit}"
        self._json({"success": True, "commitOid": changed.commit, "commitUrl": url})

    def _batch(self, asked: Mapping[str, Any]) -> None:
        objects = []
        for one in asked["objects"]:
            known = one["oid"] in self.hub.blobs
            upload = {"href": f"{self.hub.url}/lfs/{one['oid']}", "header": {}}
            objects.append({**one} if known else {**one, "actions": {"upload": upload}})
        self._json({"transfer": "basic", "objects": objects})

    def _store(self, oid: str, data: bytes) -> None:
        if hashlib.sha256(data).hexdigest() != oid:
            self._refuse(422, "WrongDigest")
            return
        self.hub.blobs[oid] = data
        self._json({})


def _upload_mode(repository: Repository, asked: Mapping[str, Any]) -> dict[str, object]:
    large = asked["size"] >= LARGE or asked["path"].endswith(".parquet")
    there = repository.files.get(asked["path"])
    if there is None:
        oid = None
    elif large:
        oid = hashlib.sha256(there).hexdigest()
    else:
        oid = hashlib.sha1(b"blob %d\0" % len(there) + there).hexdigest()
    return {"path": asked["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, "oid": oid}


@contextmanager
def client_of(hub: HubServer) -> Iterator[None]:
    """Let the Hub's client of this process, which has read its settings already, talk to a server."""
    from huggingface_hub import constants

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "ENDPOINT", hub.url)
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        patch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
        yield
