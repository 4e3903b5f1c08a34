"""A run's report: its releases are found, its recordings gathered, its page written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from avemo_harness import paths
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Release
from avemo_harness.build.sharing.assets import find_assets
from avemo_harness.build.sharing.records import read_records
from avemo_harness.errors import AvemoError
from avemo_harness.paths import write_atomically
from avemo_harness.releases import RunReleases
from avemo_harness.report.html.page import Browsed, report_page
from avemo_harness.report.html.recordings import Recordings, Sources, embed
from avemo_harness.report.html.turns import Dataset, Entry, list_entries, shown_tasks
from avemo_harness.report.results_file import read_finished_run
from avemo_harness.report.scored_run import read_scored_run
from avemo_harness.run.config import RunRecord

REPORT = "report.html"
"""Name of the page, in the run directory unless told otherwise."""

Gather = Callable[[Sequence[Entry], Sources], Recordings]
"""Where recordings go: `embed`, `leave_out`, or `bundle` with its folder."""


def leave_out(entries: Sequence[Entry], sources: Sources) -> Recordings:
    """No recordings."""
    return Recordings()


def write_report(
    folder: Path,
    path: Path | None = None,
    *,
    gather: Gather = embed,
    releases: RunReleases | None = None,
    say: Callable[[str], None],
) -> Path:
    """Write a run's page and return its path.

    Args:
        folder: the run directory, scored.
        path: the page's; `report.html` in the run directory where none is given.
        releases: those of the run's config, where they are loaded already.
        say: takes a sentence for the user before something slow.

    Raises:
        UsageError: the folder is no run, or was not scored by this version.
        StoreError: the run directory is damaged, or the page cannot be written.
    """
    run = read_finished_run(folder)
    scored = read_scored_run(folder)
    found, notes = _at_hand(releases or RunReleases(run.record.config, say), run.record)
    entries = list_entries(scored, found)
    sources = Sources(
        run=folder,
        releases=found,
        conditions=ConditionCache(paths.cache_dir() / "conditions"),
        cache=paths.cache_dir() / "shown",
        private=run.record.config.media_root is not None or any(map(_private, found.values())),
    )
    page = report_page(run, Browsed(shown_tasks(scored), entries, gather(entries, sources), notes))
    path = path or folder / REPORT
    write_atomically(path, page)
    return path


def _at_hand(releases: RunReleases, record: RunRecord) -> tuple[dict[Dataset, Release], list[str]]:
    """The run's releases that can be read here, and a sentence for each that cannot."""
    found: dict[Dataset, Release] = {}
    notes = []
    for one in record.releases:
        dataset = (str(one["name"]), str(one["split"]))
        task = next(task for task in record.tasks if (task.dataset.name, task.dataset.split) == dataset)
        try:
            release = releases.load(task)
        except AvemoError as error:
            notes.append(f"without the users' words and recordings, since the release is not at hand: {error}")
            continue
        if release.fingerprint == one["fingerprint"]:
            found[dataset] = release
        else:
            notes.append(
                f"without the users' words and recordings: {release.source} has changed since the run, its content is "
                f"{release.fingerprint[:12]} and was {str(one['fingerprint'])[:12]}"
            )
    return found, notes


def _private(release: Release) -> bool:
    """Whether recordings of a release, or smaller copies of them, must not be passed on."""
    path = Path(release.source).expanduser()
    folders = [*path.parents][:2] if path.is_file() else [path]
    assets = [one for folder in folders for one in find_assets([release], read_records(folder))]
    return any(not one.redistributable or one.no_derivatives for one in assets)
