"""Pinned requirements with the hashes of their files, as they ship with this package in pip's format."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
    """True if pip can check the file that it is installed from."""
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
