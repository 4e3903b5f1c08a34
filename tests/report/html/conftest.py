"""A run with labels, conflicts, spoken replies and a failure, and everything that its page is made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from support.speaking_runs import GROUP, Speaker, write_speaking_run
from support.synthetic_release import write_synthetic_release

from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.report.html.recordings import Sources
from avemo_harness.report.html.turns import Entry, list_entries
from avemo_harness.report.scored_run import read_scored_run


@dataclass(frozen=True)
class Finished:
    """The run, and what its page shows of it."""

    folder: Path
    release: Path
    entries: tuple[Entry, ...]
    sources: Sources

    def entry(self, key: str) -> Entry:
        return next(one for one in self.entries if one.key == key)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("report")
    release = write_synthetic_release(folder / "release")
    run = write_speaking_run(folder / "run", release, Speaker(failing=frozenset({"d0a"})))
    loaded = load_release(str(release), GROUP, "test")
    releases = {(GROUP, "test", loaded.fingerprint): loaded}
    sources = Sources(run, releases, ConditionCache(folder / "conditions"), folder / "shown")
    return Finished(run, release, tuple(list_entries(read_scored_run(run), releases)), sources)
