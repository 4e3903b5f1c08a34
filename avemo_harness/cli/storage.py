"""Advice about files that the system refuses to read or write, in terms of the options that a command has."""

from __future__ import annotations

import argparse
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

from avemo_harness.errors import StorageError
from avemo_harness.paths import cache_dir

_PLACES = ("output_path", "out", "bundle", "figures", "figure", "json", "html", "write_kept", "report")
"""Options that say where something is written, as `argparse` names them."""
_USUAL_PLACES = ("output_path", "out")
"""Those that also move what a command otherwise writes beside what it reads."""
_SOURCES = ("run", "runs", "study", "release", "source", "recognizer", "files", "clips")
"""What commands read."""


def explain(error: OSError, args: argparse.Namespace) -> str:
    """A sentence on an error of the system, with advice that the command can follow."""
    if isinstance(error, ConnectionError) or (error.errno is None and error.filename is None):
        return str(error) or type(error).__name__  # of a server, or a library's own words
    return advise(StorageError(_name(error, args), "read or written", error), args)


def advise(error: StorageError, args: argparse.Namespace) -> str:
    """The message of an error, with the option or variable that leads to another place."""
    return error.advise(_elsewhere(Path(error.path), args))


def _name(error: OSError, args: argparse.Namespace) -> str:
    """The file that an error of the system is about; where it names none, as when reading fails, its folder."""
    path = error.filename2 or error.filename
    if path is not None:
        return str(path)
    folder = next(_sources(args), None) or getattr(args, "output_path", None)
    return "a file" if folder is None else f"a file of {folder}"


def _elsewhere(path: Path, args: argparse.Namespace) -> str:
    given = {name: value for name, value in vars(args).items() if isinstance(value, (str, Path))}
    for name in _PLACES:
        if name in given and _holds(Path(given[name]), path):
            return f"choose another place with --{name}"
    for folder, variable in ((cache_dir(), "AVEMO_CACHE"), (Path(tempfile.gettempdir()), "TMPDIR")):
        if _holds(folder, path) and not any(_holds(source, path) for source in _sources(args)):
            return f"set {variable} to another folder"
    for name in _USUAL_PLACES:
        if hasattr(args, name):
            return f"choose another place with --{name}"
    for source in _sources(args):
        if _holds(source, path):
            return f"copy {shlex.quote(str(source))} to where you may write, and give the copy"
    return "choose another folder"


def _sources(args: argparse.Namespace) -> Iterator[Path]:
    """The runs, study or release that the command was given."""
    for name in _SOURCES:
        value = getattr(args, name, None)
        yield from map(Path, value if isinstance(value, list) else [value] if value else ())


def _holds(folder: Path, path: Path) -> bool:
    return path == folder or folder in path.parents
