"""`transformers serve` on loopback, from a virtual environment of its own that borrows this one's packages."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest
from support.waiting import PATIENCE_S, wait_until

ROOT = Path(__file__).parents[2]
START = """
from avemo_harness.inference import repair_torchvision
repair_torchvision()
from transformers.cli.transformers import main
main()
"""
"""The command `transformers`, also beside a torchvision whose compiled part does not load."""
UNREACHED = ("connection broken", "Could not fetch URL", "Network is unreachable", "from versions: none")
"""Words of pip where no index is reached."""


@dataclass(frozen=True, slots=True)
class ModelServer:
    """A server that runs.

    Args:
        url: up to and with ``/v1``.
        model: what it calls its model.
        log: the file that it writes to.
    """

    url: str
    model: str
    log: Path

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-6000:]


def make_serving_environment(folder: Path) -> Path:
    """An interpreter with what `transformers serve` needs besides the packages of this one.

    The test that asks is skipped where pip reaches no index.
    """
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=PATIENCE_S)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    # Found after the environment's own; through `site`, so that editable installations count too.
    borrowed = sysconfig.get_path("purelib")
    (site / "borrowed.pth").write_text(f"import site; site.addsitedir({borrowed!r})\n", encoding="utf-8")
    # (No torchaudio: transformers reads sound with soundfile and soxr where it is missing.)
    wanted = (f"transformers[serving]=={version('transformers')}", "soundfile", "soxr")
    pip = (str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--retries", "2", "-q")
    done = subprocess.run(
        [*pip, *wanted], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=PATIENCE_S
    )
    if done.returncode and any(words in done.stdout for words in UNREACHED):
        pytest.skip(f"pip reaches no index with {' and '.join(wanted)}")
    assert done.returncode == 0, done.stdout
    return python


@contextmanager
def serving(python: Path, checkpoint: Path, scratch: Path) -> Iterator[ModelServer]:
    """A server on the CPU that is up; it is killed in the end.

    Args:
        python: an interpreter of `make_serving_environment`.
        scratch: an empty folder, for its log and what it caches.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTEST_"))},
        "PYTHONPATH": str(ROOT),
        "HF_HOME": str(scratch / "hf"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    place = ("--host", "127.0.0.1", "--port", str(port))
    command = [str(python), "-c", START, "serve", str(checkpoint), "--device", "cpu", *place]
    server = ModelServer(f"http://127.0.0.1:{port}/v1", str(checkpoint), scratch / "server.log")
    with open(server.log, "wb") as log:
        process = subprocess.Popen(command, env=settings, cwd=scratch, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: process.poll() is not None or _is_up(port), "transformers serve is up")
        assert process.poll() is None, f"it ended:\n{server.last_words()}"
        yield server
    finally:
        process.kill()
        process.wait()


def _is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
