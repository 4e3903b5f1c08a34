"""A run's report: its releases are found, its recordings gathered, its page written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from avemo_harness import paths
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Release
from avemo_harness.build.importers.writing import RECORD as IMPORT
from avemo_harness.build.pipeline.package import PROVENANCE
from avemo_harness.build.sharing.assets import find_assets, is_free
from avemo_harness.build.sharing.records import Records, read_records
from avemo_harness.errors import AvemoError
from avemo_harness.paths import write_atomically
from avemo_harness.releases import RunReleases
from avemo_harness.report.html.page import Browsed, place_of_recordings, report_page
from avemo_harness.report.html.recordings import Recordings, Sources, Speaker, bundle, embed
from avemo_harness.report.html.turns import Dataset, Entry, dataset_of, list_entries, shown_tasks
from avemo_harness.report.results_file import read_finished_run
from avemo_harness.report.scored_run import read_scored_run
from avemo_harness.run.config import RunRecord

REPORT = "report.html"
"""Name of the page, in the run directory unless told otherwise."""

Gather = Callable[[Sequence[Entry], Sources], Recordings]
"""Where recordings go: `embed`, `leave_out`, or `bundle` with its folder."""

_LEVELS = 4
"""Folders above a release's file or folder in which its records may lie."""


def leave_out(entries: Sequence[Entry], sources: Sources) -> Recordings:
    """No recordings."""
    return Recordings()


def write_report(
    folder: Path,
    path: Path | None = None,
    *,
    gather: Gather | None = None,
    releases: RunReleases | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Path:
    """Write a run's page and return its path.

    Args:
        folder: the run directory, scored.
        path: the page's; `report.html` in the run directory where none is given.
        gather: where recordings go; None for where those of the page that is there are, or else `embed`.
        releases: those of the run's config, where they are loaded already or their clips have moved.
        say: takes a sentence for the user before something slow.

    Raises:
        UsageError: the folder is no run, was not scored by this version, or was judged again since.
        StoreError: the run directory is damaged, or the page cannot be written.
    """
    path = path or folder / REPORT
    gather = gather or _as_before(path)
    run = read_finished_run(folder)
    scored = read_scored_run(folder)
    releases = releases or RunReleases(run.record.config, say)
    found, notes = _at_hand(releases, run.record)
    entries = list_entries(scored, found)
    sources = Sources(
        run=folder,
        releases=found,
        conditions=ConditionCache(paths.cache_dir() / "conditions"),
        cache=paths.cache_dir() / "shown",
        withheld=_withheld(run.record, releases, found),
    )
    page = report_page(run, Browsed(shown_tasks(scored), entries, gather(entries, sources), notes))
    write_atomically(path, page)
    return path


def _as_before(page: Path) -> Gather:
    """Where the recordings of a written page went."""
    place = place_of_recordings(page)
    if place == "beside":
        return partial(bundle, folder=page.parent)
    return leave_out if place == "none" else embed


def _at_hand(releases: RunReleases, record: RunRecord) -> tuple[dict[Dataset, Release], list[str]]:
    """The run's releases that can be read here, and a sentence for each that cannot."""
    found: dict[Dataset, Release] = {}
    notes = []
    for one in record.releases:
        task = next(task for task in record.tasks if task.task in one["tasks"])
        try:
            release = releases.load(task)
        except AvemoError as error:
            notes.append(f"without the users' words and recordings, since the release is not at hand: {error}")
            continue
        if release.fingerprint == one["fingerprint"]:
            found[dataset_of(one)] = release
        else:
            notes.append(
                f"without the users' words and recordings: {release.source} has changed since the run, its content is "
                f"{release.fingerprint[:12]} and was {str(one['fingerprint'])[:12]}"
            )
    return found, notes


def _withheld(record: RunRecord, releases: RunReleases, found: Mapping[Dataset, Release]) -> dict[Speaker, str]:
    """By speaker, why recordings must not be passed on."""
    private = releases.config.media_root is not None or any(map(_private, found.values()))
    withheld: dict[Speaker, str] = {}
    if private:
        withheld["user"] = "the users' recordings must not be passed on and are left out"
    if record.answers_from_release and private:
        withheld["reply"] = "the replies are the release's own recordings, and are left out too"
    elif record.answers_from_release and any(dataset_of(one) not in found for one in record.releases):
        withheld["reply"] = (
            "the replies are recordings of a release that is not at hand, and are left out, since nothing says here "
            "whether they may be passed on"
        )
    return withheld


def _private(release: Release) -> bool:
    """Whether recordings of a release, or smaller copies of them, must not be passed on."""
    return not all(map(is_free, find_assets([release], _records_of(release.source))))


def _records_of(source: str) -> Records:
    """What is known of how a local release was made: the records nearest to its file or folder, there or above it."""
    path = Path(source).expanduser()
    if path.exists():
        path = path.resolve()
        for folder in (path, *path.parents[:_LEVELS]):
            if any((folder / name).is_file() for name in (IMPORT, PROVENANCE)):
                return read_records(folder)
    return Records({}, (), {}, {})
