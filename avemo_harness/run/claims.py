"""Who is asking what: claims on units that any number of workers share through the run's folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from avemo_harness.errors import storage_errors
from avemo_harness.files import link_new

LEASE_S = 120.0


class Claims:
    """One worker's claims in a run.

    Every method raises a `StorageError` where the system refuses to read or write the folder.

    Args:
        folder: shared by all workers of the run.
        worker: this worker's unique name.
        lease_s: how long an untouched claim stays valid where its lock cannot tell.
    """

    def __init__(self, folder: Path, worker: str, lease_s: float = LEASE_S) -> None:
        self.folder, self.lease_s = folder, lease_s
        self._own = folder / f"worker-{worker}"
        with storage_errors(self._own, "written"), ExitStack() as opened:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._own, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            opened.callback(os.close, handle)
            _lock(handle, fcntl.LOCK_EX)
            self._inode = os.fstat(handle).st_ino
            self._gate = os.open(folder / "gate", os.O_RDWR | os.O_CREAT, 0o644)
            opened.callback(os.close, self._gate)
            self._opened = opened.pop_all()
        self._held: set[Path] = set()
        self._closing = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="claims-heartbeat", daemon=True)
        self._heart.start()

    def take(self, unit: str) -> bool:
        """Claim a unit; False while another live worker holds it.

        Raises:
            StoreError: the folder's file system has no hard links.
        """
        claim = self._path(unit)
        if not link_new(self._own, claim):
            if not self._abandoned(claim):
                return False
            with self._locked_gate(fcntl.LOCK_EX):
                if not self._abandoned(claim):
                    return False
                _remove(claim)
                if not link_new(self._own, claim):
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
                _remove(claim)
        self._held.discard(claim)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other worker of the run from storing or taking anything inside the block."""
        with self._locked_gate(fcntl.LOCK_EX):
            yield

    def live_workers(self) -> set[str]:
        """Names of the workers that may be writing: this one and those that hold their lock or lease."""
        with storage_errors(self.folder, "read"):
            workers = {path: path.name.removeprefix("worker-") for path in self.folder.glob("worker-*")}
        return {name for path, name in workers.items() if path == self._own or not self._abandoned(path)}

    def close(self) -> None:
        """Give everything back. What cannot be removed is free for others all the same: this worker's lock is gone."""
        self._closing.set()
        self._heart.join()
        with self._opened, self._locked_gate(fcntl.LOCK_SH):
            for claim in self._held:
                if self._is_own(claim):
                    _remove(claim)
            _remove(self._own)

    def _path(self, unit: str) -> Path:
        return self.folder / hashlib.sha256(unit.encode()).hexdigest()[:32]

    def _is_own(self, claim: Path) -> bool:
        with storage_errors(claim, "read"), suppress(FileNotFoundError):
            return os.stat(claim).st_ino == self._inode
        return False

    def _abandoned(self, claim: Path) -> bool:
        """Check that no live worker stands behind a claim; a claim that is gone by now counts as abandoned."""
        with storage_errors(claim, "read"):
            return self._is_abandoned(claim)

    def _is_abandoned(self, claim: Path) -> bool:
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
            # Shared: workers that look at a dead one's claims at once must not take each other for its owner.
            return _lock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
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
            # The folder may be deleted under a running worker; and where one beat fails, the next is within the lease.
            with suppress(OSError):
                os.utime(self._own)


def _remove(claim: Path) -> None:
    with storage_errors(claim, "removed"):
        claim.unlink(missing_ok=True)


def _lock(handle: int, mode: int) -> bool:
    """Lock a file; False where another holds it, or where the file system has no locks."""
    try:
        fcntl.flock(handle, mode)
    except OSError:
        return False
    return True
