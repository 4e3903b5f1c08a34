"""Versions of other packages that a model runs on, checked before anything heavy is imported."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from avemo_harness.errors import ModelError

PYTHON = "python"
Requires = Mapping[str, str]
"""Version ranges of packages and of ``python``, as pip writes them, such as ``{"transformers": ">=5.18,<5.25"}``."""


@dataclass(frozen=True, slots=True)
class Unmet:
    """A requirement that this environment does not meet; `found` is None where the package is not installed."""

    package: str
    wanted: str
    found: str | None

    def __str__(self) -> str:
        found = "which is not installed" if self.found is None else f"and {self.found} is installed"
        return f"{self.package} {self.wanted}, {found}"


def requires_of(model_class: Any) -> Requires:
    """The ``requires`` of a model class; empty where it has none."""
    found: Requires = getattr(model_class, "requires", {})
    return found


def is_requires(value: Any) -> bool:
    """True where a value maps names of packages to version ranges.

    Raises:
        ValueError: a text in it is not a version range.
    """
    from packaging.specifiers import SpecifierSet

    texts = isinstance(value, Mapping) and all(isinstance(text, str) for text in [*value, *value.values()])
    return texts and all(SpecifierSet(wanted) is not None for wanted in value.values())


def unmet(requires: Requires) -> list[Unmet]:
    """Requirements that the installed packages do not meet; a pre-release is compared like any other version."""
    if not requires:
        return []
    from packaging.specifiers import SpecifierSet

    rows = [Unmet(package, wanted, _installed(package)) for package, wanted in requires.items()]
    return [row for row in rows if row.found is None or not SpecifierSet(row.wanted).contains(row.found, True)]


def remedy(rows: list[Unmet]) -> str:
    """The remedy for unmet requirements: a command of pip, or another Python."""
    if any(row.package == PYTHON for row in rows):
        return "install avemo-harness with such a Python"
    return "pip install " + " ".join(f"'{row.package}{row.wanted}'" for row in rows)


def check_requires(name: str, requires: Requires, advice: str | None = None) -> None:
    """Refuse a model that does not run on the installed versions.

    Args:
        name: of the model.
        advice: what to do about it; by default as `remedy` says.

    Raises:
        ModelError: names every package with the range that is wanted and the version that is installed.
    """
    if rows := unmet(requires):
        needed = "; ".join(map(str, rows))
        raise ModelError(f"{name} runs on {needed}: {advice or remedy(rows)}")


def _installed(package: str) -> str | None:
    if package == PYTHON:
        return platform.python_version()
    try:
        return version(package)
    except PackageNotFoundError:
        return None
