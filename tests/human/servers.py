"""The rating server as its own process, which a test may kill."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.waiting import PATIENCE_S

pytest.importorskip("starlette", reason="the rating pages need starlette: pip install 'avemo-harness[human]'")
pytest.importorskip("uvicorn", reason="the rating pages need uvicorn: pip install 'avemo-harness[human]'")
httpx = pytest.importorskip("httpx", reason="requests are made with httpx: pip install 'avemo-harness[test]'")


class Server:
    """Serves a study on loopback.

    Args:
        folder: the study's.
        limits: Python that sets other limits on connections, by names of `avemo_harness.human.connections`.

    Attributes:
        log: what the process writes to its standard error.
    """

    def __init__(self, folder: Path, limits: str = "") -> None:
        self.folder = folder
        self.log = folder.parent / "server.log"
        self._limits = f"from avemo_harness.human import connections\n{limits}" if limits else ""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start, and return when it answers."""
        arguments = ["human", "serve", str(self.folder), "--port", str(self.port)]
        program = f"{self._limits}\nfrom avemo_harness.cli import main\nmain({arguments})"
        with open(self.log, "ab") as log:
            command = [sys.executable, "-c", program]
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                assert httpx.get(f"{self.url}/api/screen").status_code == 401
                return
            except httpx.TransportError:
                assert time.monotonic() < end, "the server does not start"
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.05)

    def kill(self) -> None:
        """End it as a power cut would."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def serving(folder: Path, limits: str = "") -> Iterator[Server]:
    """Serve until the block ends."""
    server = Server(folder, limits)
    try:
        yield server
    finally:
        server.kill()
