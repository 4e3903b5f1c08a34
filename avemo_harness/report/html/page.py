"""Write a run's page: find its releases, gather the recordings, render figures and turns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast

from markupsafe import Markup

from avemo_harness import files
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Release
from avemo_harness.data.sharing.assets import find_assets, is_free
from avemo_harness.data.sharing.records import IMPORT_RECORD, PROVENANCE, Records, read_records
from avemo_harness.errors import AvemoError, StorageError
from avemo_harness.files import write_atomically
from avemo_harness.report.html.document import asset, html_page, render
from avemo_harness.report.html.overview import overview
from avemo_harness.report.html.recordings import MediaLocation, Recordings, Sources, Speaker, bundle, embed
from avemo_harness.report.html.turns import (
    MOST_TURNS,
    Dataset,
    Entry,
    dataset_of,
    list_entries,
    most_interesting,
    shown_tasks,
)
from avemo_harness.report.scored_run import ScoredRun, read_scored_run
from avemo_harness.run.config import RunRecord
from avemo_harness.run.releases import RunReleases
from avemo_harness.text import publishable

_MEDIA = {"none": "'none'", "inside": "data:", "beside": "'self' file:"}
"""Where a page may load recordings from; of a page that is opened as a file, 'self' is nothing."""
_FACT = "recordings"
_LOCATION = re.compile(rf'<meta name="{_FACT}" content="({"|".join(_MEDIA)})">')
_HEAD = 4_096
"""Characters of a page that surely hold its facts."""


def report_page(
    run: ScoredRun,
    entries: Sequence[Entry],
    recordings: Recordings,
    notes: Sequence[str] = (),
) -> str:
    """The page as text. What a model or a release says reaches it as escaped text or as data, never as markup.

    Args:
        notes: sentences about what is not there, and why.
    """
    listed = most_interesting(entries, MOST_TURNS)
    sentences = publishable([*notes, *recordings.notes])
    if len(listed) < len(entries):
        sentences.append(
            f"the {MOST_TURNS:,} most disputed of {len(entries):,} turns are listed; all are in the run directory"
        )
    data = {
        "tasks": shown_tasks(run),
        "turns": [entry.shown for entry in listed],
        "users": dict(recordings.users),
        "replies": dict(recordings.replies),
    }
    return html_page(
        title=f"{run.result.model}: {run.folder.resolve().name}",
        body=render("report.html.j2", **overview(run), turns_notes=sentences, data=_json(data)),
        style=asset("uPlot.min.css") + asset("report.css"),
        scripts=(f"/*{asset('uPlot.LICENSE')}*/\n{asset('uPlot.iife.min.js')}", asset("report.js")),
        media=_MEDIA[recordings.location],
        facts={_FACT: recordings.location},
    )


def media_location(page: Path) -> MediaLocation | None:
    """Read where the recordings of a written page are; None where there is no page, or one that does not say.

    Raises:
        StorageError: the file cannot be read.
    """
    if not page.exists():
        return None
    try:
        with open(page, encoding="utf-8", errors="replace") as file:
            found = _LOCATION.search(file.read(_HEAD))
    except OSError as error:
        raise StorageError(page, "read", error) from error
    return cast(MediaLocation, found[1]) if found else None


def _json(content: object) -> Markup:
    """JSON in ASCII that no HTML parser takes for a tag or a comment."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


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
    run = read_scored_run(folder)
    run.refuse_other_judge()
    releases = releases or RunReleases(run.record.config, say)
    found, notes = _at_hand(releases, run.record)
    entries = list_entries(run, found)
    sources = Sources(
        run=folder,
        releases=found,
        conditions=ConditionCache(files.cache_dir() / "conditions"),
        cache=files.cache_dir() / "shown",
        withheld=_withheld(run.record, releases, found),
    )
    page = report_page(run, entries, gather(entries, sources), notes)
    write_atomically(path, page)
    return path


def _as_before(page: Path) -> Gather:
    """Where the recordings of a written page went."""
    location = media_location(page)
    if location == "beside":
        return partial(bundle, folder=page.parent)
    return leave_out if location == "none" else embed


def _at_hand(releases: RunReleases, record: RunRecord) -> tuple[dict[Dataset, Release], list[str]]:
    """The run's releases that can be read here, and a sentence for each that cannot."""
    found: dict[Dataset, Release] = {}
    notes = []
    for recorded in record.releases:
        task = next(task for task in record.tasks if task.task in recorded.tasks)
        try:
            release = releases.load(task)
        except AvemoError as error:
            notes.append(f"without the users' words and recordings, since the release is not at hand: {error}")
            continue
        if release.fingerprint == recorded.fingerprint:
            found[dataset_of(recorded)] = release
        else:
            notes.append(
                f"without the users' words and recordings: {release.source} has changed since the run, its content is "
                f"{release.fingerprint[:12]} and was {recorded.fingerprint[:12]}"
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
    elif record.answers_from_release and any(dataset_of(recorded) not in found for recorded in record.releases):
        withheld["reply"] = (
            "the replies are recordings of a release that is not at hand, and are left out, since nothing says here "
            "whether they may be passed on"
        )
    return withheld


def _private(release: Release) -> bool:
    """Tell releases whose recordings, and smaller copies of them, must not be passed on."""
    return not all(map(is_free, find_assets([release], _records_of(release.source))))


def _records_of(source: str) -> Records:
    """Records of how a local release was made: those nearest to its file or folder, there or above it."""
    path = Path(source).expanduser()
    if path.exists():
        path = path.resolve()
        for folder in (path, *path.parents[:_LEVELS]):
            if any((folder / name).is_file() for name in (IMPORT_RECORD, PROVENANCE)):
                return read_records(folder)
    return Records({}, (), {}, {})
