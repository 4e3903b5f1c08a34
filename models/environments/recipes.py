"""Recipes of private environments: pinned requirements with hashes, and where each is made."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from avemo_harness import files
from avemo_harness.errors import ModelError, StoreError, UsageError
from avemo_harness.files import exclusive_lock
from avemo_harness.registry import hint
from avemo_harness.text import Notify

FOLDER = Path(__file__).parent / "locks"
"""A file for each recipe, and ``builds.txt`` for builds of torch; `tests/support/write_locks.py` writes them anew."""


def read_lock(name: str) -> tuple[str, ...]:
    """Requirements and options of a file in `FOLDER`, one a string; without comments."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    return tuple(line for line in joined.splitlines() if line and not line.startswith("#"))


def pin_of(requirement: str) -> str:
    """Name and version, without marker and hashes.

    >>> pin_of("Jinja2==3.1.6 ; python_version < '3.13' --hash=sha256:00")
    'jinja2==3.1.6'
    """
    name, _, pinned = requirement.partition("==")
    return f"{canonicalize_name(name)}=={re.split(r'[ ;]', pinned, maxsplit=1)[0]}"


def names_of(requirements: Iterable[str]) -> set[str]:
    """Of pinned requirements, the packages; options are passed over."""
    return {pin_of(line).partition("==")[0] for line in requirements if not line.startswith("-")}


def is_hashed(requirement: str) -> bool:
    return "--hash=sha256:" in requirement


def with_hashes(pins: Sequence[str]) -> tuple[str, ...]:
    """The pins, each with the hashes of its files where ``builds.txt`` has that very version."""
    known: Mapping[str, str] = {pin_of(line): line for line in read_lock("builds") if not line.startswith("-")}
    hashes = {pin: re.findall(r"--hash=sha256:\w+", known.get(pin_of(pin), "")) for pin in pins}
    return tuple(" ".join([pin, *hashes[pin]]) for pin in pins)


def libraries(packages: Iterable[str], without: Collection[str]) -> tuple[str, ...]:
    """Pins for all that installed packages need, at the versions that this environment has.

    Args:
        packages: names; they are not among the result.
        without: canonical names that are left out, with what only they need.
    """
    found: dict[str, str] = {}
    todo = [(canonicalize_name(package), frozenset[str]()) for package in packages]
    seen = set(todo)
    roots = {name for name, _ in todo}
    while todo:
        name, extras = todo.pop()
        for text in requires(name) or ():
            need = Requirement(text)
            wanted = need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras))
            key = (canonicalize_name(need.name), frozenset(need.extras))
            if not wanted or key in seen or key[0] in without:
                continue
            seen.add(key)
            try:
                found[key[0]] = f"{key[0]}=={version(key[0])}"
            except PackageNotFoundError:
                continue  # (this environment does without it)
            todo.append(key)
    return tuple(found[name] for name in sorted(found) if name not in roots)


FORMAT = 2
"""Raised when environments are made in another way, so that old ones count as stale."""

COMPILED = ("torch", "torchvision")
"""Packages whose build must fit the machine's drivers: those of the main environment are known to."""

SHARED = (
    "transformers==4.45.0",
    "tokenizers==0.20.3",
    "accelerate==1.2.1",
    "numpy==1.26.4",
    "scipy==1.14.1",
    "safetensors==0.8.0",
    "av==18.1.0",
    "jinja2==3.1.6",
    "pydantic==2.14.3",
    "pyyaml==6.0.3",
    # It builds what has no wheel; the last that has what librosa 0.9 and diffusers 0.24 import.
    "setuptools==80.9.0",
    # None is built for this torch; `avemo_harness.models.weights` makes do with its part that is plain Python.
    "torchaudio==2.11.0",
)
"""Packages that both models' code runs on, and that this package needs of its own."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """An environment.

    Args:
        name: of it, and of the model that runs in it.
        builds: of torch and its like, pinned, with hashes where they are known.
        libraries: pins of what the builds need beyond the lock, such as those of CUDA; likewise.
        packages: further requirements, pinned.
        lock: the packages and all that they and the builds need, pinned, each with the hashes of its files.
        modules: to import when it is made, to see that it works.
        stand_ins: modules that published code imports for features that are not used here; where they are not
            installed, those of `avemo_harness.models.environments.stand_ins` take their place.
    """

    name: str
    builds: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    lock: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        content = json.dumps([FORMAT, asdict(self)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def distributions(self) -> tuple[str, ...]:
        return tuple(requirement.partition("==")[0] for requirement in (*self.builds, *self.packages))


def minicpm_o() -> Recipe:
    """MiniCPM-o 2.6, whose authors pin transformers 4.44.2; 4.45.0 runs it as well."""
    own = (
        "huggingface-hub==0.36.2",
        "librosa==0.9.0",
        "moviepy==1.0.3",
        "pillow==10.1.0",
        "soundfile==0.12.1",
        "timm==1.0.12",
        "vector-quantize-pytorch==1.18.5",
        "vocos==0.1.0",
    )
    modules = ("librosa", "numpy", "soundfile", "torch", "transformers", "vector_quantize_pytorch")
    return _locked("minicpm-o", (*SHARED, *own), modules)


def baichuan_omni() -> Recipe:
    """Baichuan-Omni-1.5, after its authors' list."""
    own = (
        "cairosvg==2.7.1",
        "decord==0.6.0",
        "diffusers==0.24.0",
        "easydict==1.13",
        "einops==0.8.0",
        "fire==0.7.0",
        # The last that has what diffusers 0.24 imports.
        "huggingface-hub==0.25.1",
        "imagesize==1.4.1",
        "librosa==0.10.2.post1",
        "omegaconf==2.3.0",
        "opencv-python-headless==4.10.0.84",
        "pillow==10.2.0",
        "soundfile==0.12.1",
        "ujson==5.10.0",
    )
    modules = ("cairosvg", "cv2", "decord", "diffusers", "numpy", "soundfile", "torch", "transformers")
    return _locked("baichuan-omni", (*SHARED, *own), modules, ("flash_attn", "deepspeed"))


def _locked(name: str, packages: tuple[str, ...], modules: tuple[str, ...], stand_ins: tuple[str, ...] = ()) -> Recipe:
    lock = read_lock(name)
    builds = main_builds()
    return Recipe(
        name,
        builds=with_hashes(builds),
        libraries=with_hashes(libraries(COMPILED, names_of(lock))),
        packages=packages,
        lock=lock,
        modules=modules,
        stand_ins=stand_ins,
    )


RECIPES: Mapping[str, Callable[[], Recipe]] = {"minicpm-o": minicpm_o, "baichuan-omni": baichuan_omni}


def find_recipe(name: str) -> Recipe:
    """The recipe of a name (UsageError: there is none, or the main environment lacks what goes into it)."""
    if name not in RECIPES:
        raise UsageError(f"unknown environment {name!r}{hint(name, RECIPES)}")
    return RECIPES[name]()


def main_builds() -> tuple[str, ...]:
    """Requirements for the very builds that this environment has, such as ``torch==2.13.0+cpu``.

    Raises:
        UsageError: one is not installed.
    """
    try:
        return tuple(f"{package}=={version(package)}" for package in COMPILED)
    except PackageNotFoundError as error:
        raise UsageError(f"{error.name} is not installed here; install avemo-harness again with pip") from error


State = Literal["missing", "unfinished", "stale", "ready"]


@dataclass(frozen=True, slots=True)
class Finished:
    """Record of a finished environment.

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
        return files.cache_dir() / "environments" / self.recipe.name

    @property
    def python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    @property
    def marker(self) -> Path:
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
        """The record that `finish` wrote; None where there is none."""
        try:
            found = json.loads(self.marker.read_text(encoding="utf-8"))
            return Finished(found["recipe"], found["packages"], found["python"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def finish(self, packages: Mapping[str, str], python: str) -> None:
        """Say that it is finished (StoreError where that cannot be written)."""
        found = Finished(self.recipe.digest, packages, python)
        files.write_atomically(self.marker, json.dumps(asdict(found), indent=1, sort_keys=True) + "\n")

    def size_bytes(self) -> int:
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

    def remove(self, say: Notify = lambda sentence: None) -> bool:
        """Delete it; returns whether there was one (StoreError: it cannot be deleted)."""
        with exclusive_lock(self.lock, lambda: say(f"another process is making {self.recipe.name}: waiting for it")):
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
