"""Output and processes of commands: printing, rank, signals, advice on storage errors."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from avemo_harness.errors import StorageError
from avemo_harness.files import cache_dir
from avemo_harness.text import printable_lines


def show(text: str) -> None:
    print(printable_lines(text))


def say(sentence: str) -> None:
    """Report progress on the standard error, so that the standard output holds results alone.

    Of several processes that a launcher started, the first one speaks for all.
    """
    if rank() == 0:
        print(printable_lines(sentence), file=sys.stderr, flush=True)


def rank() -> int:
    """Rank of this process under a launcher (``RANK``); 0 for one that was started alone."""
    number = os.environ.get("RANK", "")
    return int(number) if number.isdecimal() else 0


def end_on_signals() -> None:
    """Handle SIGTERM and SIGHUP like Ctrl-C; one that is ignored, as under ``nohup``, stays ignored."""
    import signal

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


_OUTPUT_OPTIONS = ("output_path", "out", "bundle", "figures", "figure", "json", "html", "write_kept", "report", "save")
"""Options that say where something is written, as `argparse` names them."""
_MAIN_OUTPUT_OPTIONS = ("output_path", "out")
"""Those that also move what a command otherwise writes beside what it reads."""
_INPUT_OPTIONS = ("run", "runs", "study", "release", "source", "recognizer", "files", "clips")
"""Options that name what a command reads."""


def explain_os_error(error: OSError, args: argparse.Namespace) -> str:
    """The message of a system error, with advice that fits the command's options."""
    if isinstance(error, ConnectionError) or (error.errno is None and error.filename is None):
        return str(error) or type(error).__name__  # of a server, or a library's own words
    return explain_storage_error(StorageError(_path_in_question(error, args), "read or written", error), args)


def explain_storage_error(error: StorageError, args: argparse.Namespace) -> str:
    """The message of an error, with the option or variable that chooses another folder."""
    return error.advise(_elsewhere(Path(error.path), args))


def _path_in_question(error: OSError, args: argparse.Namespace) -> str:
    """The file of a system error; its folder where the error names no file, as when reading fails."""
    path = error.filename2 or error.filename
    if path is not None:
        return str(path)
    folder = next(_sources(args), None) or getattr(args, "output_path", None)
    return "a file" if folder is None else f"a file of {folder}"


def _elsewhere(path: Path, args: argparse.Namespace) -> str:
    import tempfile

    given = {name: value for name, value in vars(args).items() if isinstance(value, (str, Path))}
    for name in _OUTPUT_OPTIONS:
        if name in given and _is_inside(Path(given[name]), path):
            return f"choose another place with --{name}"
    for folder, variable in ((cache_dir(), "AVEMO_CACHE"), (Path(tempfile.gettempdir()), "TMPDIR")):
        if _is_inside(folder, path) and not any(_is_inside(source, path) for source in _sources(args)):
            return f"set {variable} to another folder"
    for name in _MAIN_OUTPUT_OPTIONS:
        if hasattr(args, name):
            return f"choose another place with --{name}"
    for source in _sources(args):
        if _is_inside(source, path):
            return f"copy {shlex.quote(str(source))} to where you may write, and give the copy"
    return "choose another folder"


def _sources(args: argparse.Namespace) -> Iterator[Path]:
    """The runs, study or release that the command was given."""
    for name in _INPUT_OPTIONS:
        value = getattr(args, name, None)
        yield from map(Path, value if isinstance(value, list) else [value] if value else ())


def _is_inside(folder: Path, path: Path) -> bool:
    return path == folder or folder in path.parents
