"""Where private environments are, and in which state."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from avemo_harness import paths
from avemo_harness.errors import ModelError, StoreError
from avemo_harness.locks import one_at_a_time
from avemo_harness.models.environments.recipes import Recipe

State = Literal["missing", "unfinished", "stale", "ready"]


@dataclass(frozen=True, slots=True)
class Finished:
    """What an environment turned out to be.

    Args:
        recipe: digest of the recipe that it was made of.
        packages: versions of the packages that the recipe names, as they are installed.
        python: version of its interpreter.
    """

    recipe: str
    packages: Mapping[str, str]
    python: str


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment of a recipe, made or not, in the package's cache folder."""

    recipe: Recipe

    @property
    def folder(self) -> Path:
        """Everything of it."""
        return paths.cache_dir() / "environments" / self.recipe.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "venv" / "bin" / "python"

    @property
    def marker(self) -> Path:
        """The file that says that it is finished, and of which recipe."""
        return self.folder / "finished.json"

    @property
    def lock(self) -> Path:
        """Held by the process that makes or removes it."""
        return self.folder.with_name(f"{self.recipe.name}.lock")

    def state(self) -> State:
        """Stale is one that was made of another recipe, or with another build of torch."""
        if not self.folder.is_dir():
            return "missing"
        finished = self.finished()
        if finished is None or not os.access(self.python, os.X_OK):
            return "unfinished"
        return "ready" if finished.recipe == self.recipe.digest else "stale"

    def finished(self) -> Finished | None:
        """What is known of it since it was finished; None where it is not."""
        try:
            found = json.loads(self.marker.read_text(encoding="utf-8"))
            return Finished(found["recipe"], found["packages"], found["python"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def finish(self, packages: Mapping[str, str], python: str) -> None:
        """Say that it is finished (StoreError where that cannot be written)."""
        found = Finished(self.recipe.digest, packages, python)
        paths.write_atomically(self.marker, json.dumps(asdict(found), indent=1, sort_keys=True) + "\n")

    def size_bytes(self) -> int:
        """Room that it takes on the disk."""
        return sum(
            os.lstat(os.path.join(folder, name)).st_blocks * 512
            for folder, _, names in os.walk(self.folder)
            for name in names
        )

    def check_ready(self) -> None:
        """Refuse one that a model cannot run in (ModelError); the message tells the command that helps."""
        state = self.state()
        if state != "ready":
            why = {
                "missing": "needs an environment of its own",
                "unfinished": "has an environment that is not finished",
                "stale": "has an environment that was made for other packages",
            }[state]
            name = self.recipe.name
            raise ModelError(f"{name} {why}: `avemo-eval env create {name}` makes it once")

    def remove(self, say: Callable[[str], None] = lambda sentence: None) -> bool:
        """Delete it; returns whether there was one.

        Raises:
            StoreError: it cannot be deleted.
        """
        with one_at_a_time(self.lock, lambda: say(f"another process is making {self.recipe.name}: waiting for it")):
            if not self.folder.exists():
                return False
            self.clear()
            return True

    def clear(self) -> None:
        """Delete it, the marker first, so that half of it is never taken for the whole. The lock is the caller's."""
        try:
            self.marker.unlink(missing_ok=True)
            if self.folder.exists():
                shutil.rmtree(self.folder)
        except OSError as error:
            raise StoreError(f"{self.folder}: cannot be deleted ({error.strerror}); delete it by hand") from error
