"""What a build has made so far: units by the digest of everything that decides them, and records of those that failed.

A unit appears whole or not at all, so a build that is killed at any moment goes on from what is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avemo_harness import paths
from avemo_harness.errors import StorageError, StoreError


@dataclass(frozen=True, slots=True)
class UnitKey:
    """Which unit it is.

    Args:
        digest: of the stage, its tool, and the unit's inputs.
    """

    stage: str
    digest: str

    @classmethod
    def of(cls, stage: str, decides: Mapping[str, Any]) -> UnitKey:
        """The key of a unit.

        Args:
            decides: everything that decides what it is, as JSON takes it.
        """
        content = json.dumps([stage, decides], sort_keys=True, ensure_ascii=True)
        return cls(stage, hashlib.sha256(content.encode()).hexdigest())


class UnitStore:
    """The units of a build.

    Args:
        folder: made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._whole: set[UnitKey] = set()

    def path(self, key: UnitKey) -> Path:
        """Where a unit is, or is to be."""
        return self.folder / "units" / key.stage / key.digest[:2] / key.digest

    def has(self, key: UnitKey) -> bool:
        """Whether a unit is made. Its files are compared with their digests when it is asked for first; one that is
        damaged is removed, so that it is made anew.

        Raises:
            StoreError: a damaged unit cannot be removed.
        """
        place = self.path(key)
        if key in self._whole or not place.exists():
            return key in self._whole
        if not _is_whole(place):
            try:
                shutil.rmtree(place)
            except OSError as error:
                raise StoreError(f"{place}: is damaged and cannot be removed ({error.strerror}); delete it") from error
            return False
        self._whole.add(key)
        return True

    def read(self, key: UnitKey, name: str) -> bytes:
        """A file of a unit.

        Raises:
            StoreError: it is missing or cannot be read.
        """
        path = self.path(key) / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise StoreError(
                f"{path}: cannot be read ({error.strerror}); delete {path.parent} to make it anew"
            ) from error

    def meta(self, key: UnitKey) -> dict[str, Any]:
        """What is recorded of a unit."""
        meta: dict[str, Any] = json.loads(self.read(key, "meta.json"))
        return meta

    def put(self, key: UnitKey, files: Mapping[str, bytes], meta: Mapping[str, Any]) -> None:
        """Keep a unit; one that is there stays. An earlier failure of it is forgotten.

        Raises:
            StoreError: the disk is full or the folder cannot be written.
        """
        place = self.path(key)
        hidden = place.with_name(f".{key.digest[:16]}.{secrets.token_hex(4)}")
        recorded = {**meta, "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}}
        try:
            hidden.mkdir(parents=True)
            for name, data in {**files, "meta.json": json.dumps(recorded, sort_keys=True, indent=1).encode()}.items():
                with open(hidden / name, "wb") as handle:
                    handle.write(data)
                    handle.flush()
                    os.fsync(handle.fileno())
            if self.has(key):
                shutil.rmtree(hidden)
            else:
                hidden.rename(place)
                self._whole.add(key)
        except OSError as error:
            shutil.rmtree(hidden, ignore_errors=True)
            raise StorageError(place, "written", error) from error
        self._failure(key).unlink(missing_ok=True)

    def fail(self, key: UnitKey, unit: str, error: str) -> None:
        """Record that a unit could not be made."""
        content = json.dumps({"unit": unit, "stage": key.stage, "error": error}, sort_keys=True)
        paths.write_atomically(self._failure(key), content + "\n")

    def failure(self, key: UnitKey) -> str | None:
        """Why a unit could not be made; None where it was not tried or is there."""
        try:
            return str(json.loads(self._failure(key).read_text(encoding="utf-8"))["error"])
        except (OSError, ValueError, KeyError):
            return None

    def _failure(self, key: UnitKey) -> Path:
        return self.folder / "failed" / key.stage / f"{key.digest}.json"


def _is_whole(place: Path) -> bool:
    try:
        files = json.loads((place / "meta.json").read_bytes())["files"]
        return all(hashlib.sha256((place / name).read_bytes()).hexdigest() == told for name, told in files.items())
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return False
