"""Servers of others, on loopback: each from a virtual environment of its own that borrows this one's packages."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from support.waiting import PATIENCE_S, wait_until

ROOT = Path(__file__).parents[2]
TRANSFORMERS = """
from avemo_harness.torch_setup import repair_torchvision
repair_torchvision()
from transformers.cli.transformers import main
main()
"""
"""The command `transformers`, also beside a torchvision whose compiled part does not load."""
SERVING = (f"transformers[serving]=={version('transformers')}", "soundfile", "soxr")
"""Requirements of `transformers serve`; without torchaudio it reads sound with the last two."""
UNREACHED = ("connection broken", "Could not fetch URL", "Network is unreachable", "from versions: none")
"""Words of pip where no index is reached."""


class NoIndexError(Exception):
    """pip reaches no index."""


@dataclass(frozen=True, slots=True)
class ForeignServer:
    """A server that runs.

    Args:
        url: up to and with ``/v1``.
        log: the file that it writes to.
    """

    url: str
    log: Path

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-6000:]


def make_environment(folder: Path, wanted: Sequence[str]) -> Path:
    """An interpreter with some requirements besides the packages of this one.

    Raises:
        NoIndexError: pip reaches no index.
    """
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=PATIENCE_S)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    # Found after the environment's own; through `site`, so that editable installations count too.
    borrowed = sysconfig.get_path("purelib")
    (site / "borrowed.pth").write_text(f"import site; site.addsitedir({borrowed!r})\n", encoding="utf-8")
    pip = (str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--retries", "2", "-q")
    done = subprocess.run(
        [*pip, *wanted], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=PATIENCE_S
    )
    if done.returncode and any(words in done.stdout for words in UNREACHED):
        raise NoIndexError(f"pip reaches no index with {' and '.join(wanted)}")
    assert done.returncode == 0, done.stdout
    return python


@contextmanager
def serving_transformers(python: Path, checkpoint: Path, scratch: Path) -> Iterator[ForeignServer]:
    """`transformers serve` on the CPU until the block ends.

    Args:
        python: an interpreter with `SERVING`.
        checkpoint: the model's folder, by whose path the server calls it.
        scratch: an empty folder, for its log and what it caches.
    """
    port = free_port()
    address = ("--host", "127.0.0.1", "--port", str(port))
    command = [str(python), "-c", TRANSFORMERS, "serve", str(checkpoint), "--device", "cpu", *address]
    settings = {"HF_HOME": str(scratch / "hf"), "HF_HUB_OFFLINE": "1"}
    with running(command, settings, f"http://127.0.0.1:{port}", "/health", scratch / "server.log") as server:
        yield server


@contextmanager
def running(
    command: Sequence[str], settings: Mapping[str, str], url: str, health: str, log: Path
) -> Iterator[ForeignServer]:
    """A server that is up, until the block ends; then it is killed.

    Args:
        settings: variables of its environment.
        url: without ``/v1``.
        health: a path that it answers with 200 once it is up.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTEST_"))}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **settings}
    server = ForeignServer(f"{url}/v1", log)
    with open(log, "wb") as file:
        process = subprocess.Popen(command, env=environment, cwd=log.parent, stdout=file, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: process.poll() is not None or _is_up(url + health), f"{command[0]} serves")
        assert process.poll() is None, f"it ended:\n{server.last_words()}"
        yield server
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
