"""Nodes of a Ray cluster on this machine, each with a home and folders of its own, and their workers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from support.processes import children_of
from support.waiting import PATIENCE_S, wait_until

STORE_BYTES = 100_000_000


class RayNodes:
    """A cluster that grows by nodes.

    Args:
        address: to give as `--ray_address`.
        env: of those who connect to it.
    """

    SETTINGS: ClassVar = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}

    def __init__(self) -> None:
        # Ray's sockets lie below it, and their paths may have 107 characters.
        self._folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
        self._nodes: list[subprocess.Popen[bytes]] = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.env = {**os.environ, **self.SETTINGS}

    def add(self, workers: int) -> None:
        """Start a node with room for some workers; the first one is the head."""
        number = len(self._nodes)
        home = self._folder / f"home{number}"
        home.mkdir()
        port = self.address.rpartition(":")[2]
        role = [f"--address={self.address}"]
        if not number:
            role = ["--head", f"--port={port}", f"--temp-dir={self._folder}/head", "--include-dashboard=false"]
        room = [f"--num-cpus={workers}", f"--object-store-memory={STORE_BYTES}", "--node-ip-address=127.0.0.1"]
        words = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--block", *role, *room]
        own = {"HOME": str(home), "TMPDIR": str(home), "AVEMO_CACHE": str(home / "cache")}
        with open(self._folder / f"node{number}.log", "wb") as log:
            self._nodes.append(
                subprocess.Popen(
                    words, cwd=home, env={**self.env, **own}, stdout=log, stderr=log, start_new_session=True
                )
            )
        if not number:
            wait_until(self._answers, "the head of the cluster")

    def workers(self) -> list[int]:
        """Processes of the workers that host a model, oldest first."""
        return sorted(
            process
            for node in self._nodes
            for process in children_of(node.pid)
            if _title(process).startswith("ray::ModelActor")
        )

    def close(self) -> None:
        for node in reversed(self._nodes):
            for process in [*children_of(node.pid), node.pid]:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            node.wait(PATIENCE_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        host, _, port = self.address.rpartition(":")
        with suppress(OSError):
            socket.create_connection((host, int(port)), 1.0).close()
            return True
        return False


def _title(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
