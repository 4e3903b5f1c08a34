"""Installed packages that were never installed: a distribution's record and its modules, written where Python looks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def write_package(
    site: Path,
    name: str,
    entries: Mapping[str, Mapping[str, str]],
    files: Mapping[str, str] | None = None,
    version: str = "1.0",
) -> None:
    """Make a distribution.

    Args:
        site: a folder that is on `sys.path`.
        entries: entry points by group and name, such as ``{"avemo_harness.models": {"mine": "module:Class"}}``.
        files: texts by path below `site`.
    """
    record = site / f"{name.replace('-', '_')}-{version}.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = (f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in named.items()) for group, named in entries.items())
    (record / "entry_points.txt").write_text("\n".join(groups))
    for path, text in (files or {}).items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
