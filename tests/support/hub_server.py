"""A repository served over HTTP on loopback the way the Hugging Face Hub serves one: enough for `datasets` and models.

Served are the repository's description, its file tree, single paths, and the files themselves with ranges. Everything
else is answered with 404, so that a client falls back to plain downloads.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

Fault = Literal["none", "cut every answer", "cut files"]


@dataclass(frozen=True)
class Repository:
    """A repository of a data set or a model, with one commit.

    Args:
        revisions: the names (branches, tags) that stand for the commit; the commit itself always does.
        refusal: the status that every request gets instead of an answer: 401 or 403 for a gated repository.
    """

    name: str
    files: Mapping[str, bytes]
    revisions: tuple[str, ...] = ("main",)
    refusal: int | None = None

    @classmethod
    def of_folder(cls, name: str, folder: Path, revisions: tuple[str, ...] = ("main",)) -> Repository:
        """Serve a folder's files under their relative paths."""
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        return cls(name, {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}, revisions)

    @property
    def commit(self) -> str:
        """40 hex digits, equal for equal content."""
        digest = hashlib.sha1()
        for path, data in sorted(self.files.items()):
            digest.update(f"{path}\n{_oid(data)}\n".encode())
        return digest.hexdigest()

    def info(self) -> dict[str, object]:
        """Facts that the Hub gives of a repository."""
        return {
            "_id": self.commit[:24],
            "id": self.name,
            "author": self.name.split("/")[0],
            "sha": self.commit,
            "lastModified": "2025-01-01T00:00:00.000Z",
            "createdAt": "2025-01-01T00:00:00.000Z",
            "private": False,
            "gated": False,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": [{"rfilename": path} for path in sorted(self.files)],
        }

    def tree(self, folder: str, recursive: bool) -> list[dict[str, object]] | None:
        """The entries of a folder; None where there is no such folder."""
        prefix = f"{folder}/" if folder else ""
        below = [path for path in sorted(self.files) if path.startswith(prefix)]
        if not below:
            return None
        folders: dict[str, None] = {}
        for path in below:
            parents = path.removeprefix(prefix).split("/")[:-1]
            for depth in range(1, len(parents) + 1):
                folders[prefix + "/".join(parents[:depth])] = None
        entries = [self.entry(path) for path in [*folders, *below]]
        found = [entry for entry in entries if entry is not None]
        return found if recursive else [e for e in found if "/" not in str(e["path"]).removeprefix(prefix)]

    def entry(self, path: str) -> dict[str, object] | None:
        """A file or folder of the tree; None where there is none."""
        if path in self.files:
            data = self.files[path]
            return {"type": "file", "oid": _oid(data), "size": len(data), "path": path}
        if any(one.startswith(f"{path}/") for one in self.files):
            return {"type": "directory", "oid": _oid(path.encode()), "size": 0, "path": path}
        return None


def _oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass
class HubServer:
    """A running server.

    Args:
        url: what ``HF_ENDPOINT`` should be.
        log: ``METHOD path`` of every request so far, and of a file's request its range.
        fault: what goes wrong on purpose; may be changed while the server runs.
    """

    url: str
    repositories: Mapping[str, Repository]
    fault: Fault = "none"
    log: list[str] = field(default_factory=list)


def hub_environment(home: Path, endpoint: str, **more: str) -> dict[str, str]:
    """The environment of a process that finds the Hub at an address, and keeps what it fetches in a home."""
    return {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home / "huggingface"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "AVEMO_CACHE": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "NO_PROXY": "127.0.0.1",
        **more,
    }


AnyHub = TypeVar("AnyHub", bound=HubServer)


@contextmanager
def serve(*repositories: Repository) -> Iterator[HubServer]:
    """Serve repositories until the block ends."""
    by_name = {repository.name: repository for repository in repositories}
    with listening(_Handler, lambda url: HubServer(url, by_name)) as hub:
        yield hub


@contextmanager
def listening(handler: type[_Handler], hub_at: Callable[[str], AnyHub]) -> Iterator[AnyHub]:
    """Answer requests with a handler until the block ends.

    Args:
        hub_at: makes what the handler finds as `hub`, from the server's address.
    """
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        hub = hub_at(f"http://127.0.0.1:{http.server_address[1]}")
        http.RequestHandlerClass = type("_BoundHandler", (handler,), {"hub": hub})
        http.daemon_threads = True
        # Left-over connections of a client that was stopped are not waited for.
        http.block_on_close = False
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            http.shutdown()
            thread.join()


_API = re.compile(
    r"/api/(?:datasets|models)/(?P<name>[^/]+/[^/]+)(?:/(?P<what>revision|tree|paths-info)/(?P<rest>.+))?"
)
_FILE = re.compile(r"(?:/datasets)?/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_GET  # noqa: N815  (names that http.server looks for)

    def log_message(self, format: str, *arguments: object) -> None:
        """Requests are kept in the server's own log."""

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        url = urlsplit(self.path)
        self.hub.log.append(f"{self.command} {unquote(url.path)} {self.headers.get('Range', '')}".strip())
        if self.hub.fault == "cut every answer":
            self.close_connection = True
            return
        if found := _FILE.fullmatch(url.path):
            self._file(found["name"], unquote(found["revision"]), unquote(found["path"]))
        elif found := _API.fullmatch(url.path):
            query = {key: values[-1] for key, values in parse_qs(url.query).items()}
            self._describe(found["name"], found["what"], found["rest"] or "", query, body)
        else:
            self._refuse(404, "EntryNotFound")

    def _describe(self, name: str, what: str | None, rest: str, query: Mapping[str, str], body: str) -> None:
        revision, _, folder = (unquote(part) for part in rest.partition("/"))
        repository = self._repository(name, revision if what else "main")
        if repository is None:
            return
        if what == "tree":
            tree = repository.tree(folder.rstrip("/"), query.get("recursive", "").lower() in ("true", "1"))
            if tree is None:
                self._refuse(404, "EntryNotFound")
            else:
                self._json(tree)
        elif what == "paths-info":
            entries = [repository.entry(path.rstrip("/")) for path in _paths(body)]
            self._json([entry for entry in entries if entry is not None])
        else:
            self._json(repository.info())

    def _file(self, name: str, revision: str, path: str) -> None:
        repository = self._repository(name, revision)
        if repository is None:
            return
        if path not in repository.files:
            self._refuse(404, "EntryNotFound", repository.commit)
            return
        data = repository.files[path]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted else 0
        stop = min(int(wanted[2]) + 1 if wanted and wanted[2] else len(data), len(data))
        self.send_response(206 if wanted else 200)
        self.send_header("ETag", f'"{_oid(data)}"')
        self.send_header("X-Repo-Commit", repository.commit)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(stop - start))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.fault == "cut files" and path.endswith(".parquet"):
            self.wfile.write(data[start : max(start, min(stop, len(data) // 2))])
            self.close_connection = True
        else:
            self.wfile.write(data[start:stop])

    def _repository(self, name: str, revision: str) -> Repository | None:
        """The repository, or None after a refusal in the Hub's words."""
        repository = self.hub.repositories.get(name)
        if repository is None:
            # The Hub does not say to strangers whether a repository is private or not there.
            self._refuse(401, "RepoNotFound")
        elif repository.refusal is not None:
            self._refuse(repository.refusal, "GatedRepo")
        elif revision not in (*repository.revisions, repository.commit):
            self._refuse(404, "RevisionNotFound")
        else:
            return repository
        return None

    def _refuse(self, status: int, code: str, commit: str | None = None) -> None:
        self._json({"error": code}, status, {"X-Error-Code": code, **({"X-Repo-Commit": commit} if commit else {})})

    def _json(self, content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _paths(body: str) -> list[str]:
    """The paths of a ``paths-info`` request, sent as a form or as JSON."""
    if body.startswith("{"):
        given = json.loads(body)["paths"]
        return [given] if isinstance(given, str) else list(given)
    return parse_qs(body).get("paths", [])
