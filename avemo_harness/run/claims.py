"""Who is asking what: claims on units that any number of workers share through the run's folder.

A worker is a file that it keeps locked (`flock`) and touches now and then. A claim on a unit is a hard link to that
file, so making one is atomic, and its age and lock are the worker's own. A claim is free for others once its worker's
lock is gone (it died) or its file has not been touched for a lease (its machine hangs or is unreachable).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from avemo_harness.errors import StoreError

LEASE_S = 120.0


class Claims:
    """One worker's claims in a run.

    Args:
        folder: shared by all workers of the run.
        worker: this worker's unique name.
        lease_s: how long an untouched claim stays valid where its lock cannot tell.

    Raises:
        StoreError: the folder's file system has no hard links.
    """

    def __init__(self, folder: Path, worker: str, lease_s: float = LEASE_S) -> None:
        self.folder, self.lease_s = folder, lease_s
        folder.mkdir(parents=True, exist_ok=True)
        self._own = folder / f"worker-{worker}"
        self._handle = os.open(self._own, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        _lock(self._handle, fcntl.LOCK_EX)
        self._inode = os.fstat(self._handle).st_ino
        self._gate = os.open(folder / "gate", os.O_RDWR | os.O_CREAT, 0o644)
        self._held: set[Path] = set()
        self._closing = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="claims-heartbeat", daemon=True)
        self._heart.start()

    def take(self, unit: str) -> bool:
        """Claim a unit; False while another live worker holds it."""
        claim = self._path(unit)
        if not self._link(claim):
            if not self._abandoned(claim):
                return False
            with self._locked_gate(fcntl.LOCK_EX):
                if not self._abandoned(claim):
                    return False
                claim.unlink(missing_ok=True)
                if not self._link(claim):
                    return False
        self._held.add(claim)
        return True

    @contextmanager
    def kept(self, units: Iterable[str]) -> Iterator[set[str]]:
        """Give the units that are still this worker's, and keep them so inside the block.

        A worker that hung past its lease finds its units taken over.
        """
        with self._locked_gate(fcntl.LOCK_SH):
            yield {unit for unit in units if self._is_own(self._path(unit))}

    def release(self, unit: str) -> None:
        """Give a unit back; others see that its answers are stored, or may ask it."""
        claim = self._path(unit)
        with self._locked_gate(fcntl.LOCK_SH):
            if self._is_own(claim):
                claim.unlink()
        self._held.discard(claim)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other worker of the run from storing or taking anything inside the block."""
        with self._locked_gate(fcntl.LOCK_EX):
            yield

    def live_workers(self) -> set[str]:
        """Names of the workers that may be writing: this one and those that hold their lock or lease."""
        workers = {path: path.name.removeprefix("worker-") for path in self.folder.glob("worker-*")}
        return {name for path, name in workers.items() if path == self._own or not self._abandoned(path)}

    def close(self) -> None:
        """Give everything back."""
        self._closing.set()
        self._heart.join()
        with self._locked_gate(fcntl.LOCK_SH):
            for claim in self._held:
                if self._is_own(claim):
                    claim.unlink()
            self._own.unlink(missing_ok=True)
        os.close(self._handle)
        os.close(self._gate)

    def _path(self, unit: str) -> Path:
        return self.folder / hashlib.sha256(unit.encode()).hexdigest()[:32]

    def _link(self, claim: Path) -> bool:
        try:
            os.link(self._own, claim)
        except FileExistsError:
            return False
        except OSError as error:
            raise StoreError(
                f"{self.folder}: cannot make a hard link ({error.strerror}); put the run on a file system that has "
                "them with --output_path"
            ) from error
        return True

    def _is_own(self, claim: Path) -> bool:
        try:
            return os.stat(claim).st_ino == self._inode
        except FileNotFoundError:
            return False

    def _abandoned(self, claim: Path) -> bool:
        """Whether no live worker stands behind a claim; a claim that is gone by now counts as abandoned."""
        try:
            handle = os.open(claim, os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            if os.fstat(handle).st_ino == self._inode:
                return False
            # Both times are the file system's, so clocks of different machines do not matter.
            os.utime(self._own)
            if os.stat(self._own).st_mtime - os.fstat(handle).st_mtime > self.lease_s:
                return True
            return _lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(handle)

    @contextmanager
    def _locked_gate(self, mode: int) -> Iterator[None]:
        _lock(self._gate, mode)
        try:
            yield
        finally:
            with suppress(OSError):  # no lock was taken on a file system without locks
                fcntl.flock(self._gate, fcntl.LOCK_UN)

    def _beat(self) -> None:
        while not self._closing.wait(self.lease_s / 8):
            with suppress(FileNotFoundError):  # the folder may be deleted under a running worker
                os.utime(self._own)


def _lock(handle: int, mode: int) -> bool:
    """Lock a file; False where another holds it, or where the file system has no locks."""
    try:
        fcntl.flock(handle, mode)
    except OSError:
        return False
    return True
