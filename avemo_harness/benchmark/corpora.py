"""Folders of corpora that users have: given with the command, remembered, or in the home of corpora."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from avemo_harness import files
from avemo_harness.errors import MissingDataError, ReleaseError, UsageError

CORPUS_NAME = "^[a-z0-9][a-z0-9_]*$"
"""Names of corpora, as of tasks."""
REMEMBERED = "corpora"
"""The folder in the configuration folder with a file for each corpus that `avemo-eval data use NAME=DIR` remembered."""

Sources = str | Mapping[str, str] | None
"""The release or table to ask about, or folders by the names of corpora; under "" what is of no corpus."""


def named_source(text: str) -> tuple[str, str]:
    """Split ``NAME=DIR``; what names no corpus, or is a path with such a name, has the name "".

    >>> named_source("ravdess=/data/ravdess"), named_source("lab/emotions")
    (('ravdess', '/data/ravdess'), ('', 'lab/emotions'))
    """
    name, equals, source = text.partition("=")
    if not equals or not re.fullmatch(CORPUS_NAME, name) or os.path.exists(os.path.expanduser(text)):
        return "", text
    return name, source


def named_sources(texts: Iterable[str]) -> Sources:
    """The sources that several ``--dataset`` name; of one corpus, or of none, the last one counts."""
    by_name = dict(map(named_source, texts))
    if empty := [name for name, source in by_name.items() if name and not source]:
        raise UsageError(f"--dataset {empty[0]}=: name the folder of the corpus, as in {empty[0]}=DIR")
    return by_name.get("") if set(by_name) <= {""} else by_name


def corpora_home() -> Path:
    """The folder in which `avemo-eval data import` puts corpora that it is told no other for."""
    return files.cache_dir() / "corpora"


def remember_corpus(name: str, source: str) -> Path:
    """Remember where a corpus is; returns the file that holds it."""
    local = Path(source).expanduser()
    return files.remember_choice(f"{REMEMBERED}/{name}", str(local.resolve() if local.exists() else source))


def remembered_corpora() -> dict[str, str]:
    """The corpora that `avemo-eval data use` remembered, by name."""
    folder = files.config_dir() / REMEMBERED
    names = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    return {name: source for name in names if (source := files.read_choice(f"{REMEMBERED}/{name}"))}


def find_corpus(name: str, given: Mapping[str, str], obtain: Callable[[], str | None] = lambda: None) -> str:
    """The folder of a corpus, or the Hub id of a release of it.

    Args:
        given: folders by the names of corpora, which go before those that are remembered.
        obtain: tells the command by which the corpus comes, if there is one.

    Raises:
        MissingDataError: it is nowhere; the message says how to get it.
        ReleaseError: what is given does not exist.
    """
    from avemo_harness.benchmark.columns import is_hub_id  # with pydantic, which options of a run do without

    if name in given:
        source = os.path.expanduser(given[name])
        if not os.path.exists(source) and not is_hub_id(source):
            raise ReleaseError(f"--dataset {name}={given[name]}: no such folder, and not a Hub id (owner/name)")
        return source
    remembered = files.read_choice(f"{REMEMBERED}/{name}")
    if remembered and (os.path.exists(remembered) or is_hub_id(remembered)):
        return remembered
    home = corpora_home() / name
    if home.is_dir():
        return str(home)
    gone = f"; {remembered}, which `avemo-eval data use` remembered, is gone" if remembered else ""
    ways = f"where you have its folder: --dataset {name}=DIR, or `avemo-eval data use {name}=DIR`"
    command = obtain()
    raise MissingDataError(f"the corpus {name} is not here{gone}: {f'{command}; ' if command else ''}{ways}", command)
