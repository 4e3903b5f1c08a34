"""The report's page: figures, then the turns, which a script lists from data that stands in the page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from avemo_harness.errors import StorageError
from avemo_harness.publishing import publishable
from avemo_harness.report.document import Page, escaped
from avemo_harness.report.html.overview import background, figures
from avemo_harness.report.html.recordings import Place, Recordings
from avemo_harness.report.html.turns import MOST_TURNS, Entry, ShownTask, ShownTurn, most_interesting
from avemo_harness.report.results_file import FinishedRun

_ASSETS = files("avemo_harness.report.html") / "assets"
_MEDIA = {"none": "'none'", "inside": "data:", "beside": "'self' file:"}
"""Where a page may load recordings from; of a page that is opened as a file, 'self' is nothing."""
_FACT = "recordings"
_PLACE = re.compile(rf'<meta name="{_FACT}" content="({"|".join(_MEDIA)})">')
_HEAD = 4_096
"""Characters of a page that surely hold its facts."""


@dataclass(frozen=True, slots=True)
class Browsed:
    """What the browser of turns is made from.

    Args:
        notes: what is not there, and why, in sentences.
    """

    tasks: Sequence[ShownTask]
    entries: Sequence[Entry]
    recordings: Recordings
    notes: Sequence[str] = ()


def report_page(run: FinishedRun, browsed: Browsed) -> str:
    """The page as text. What a model or a release says reaches it as escaped text or as data, never as markup."""
    entries = most_interesting(browsed.entries, MOST_TURNS)
    notes = publishable([*browsed.notes, *browsed.recordings.notes])
    if len(entries) < len(browsed.entries):
        notes.append(
            f"the {MOST_TURNS:,} most disputed of {len(browsed.entries):,} turns are listed; "
            "all are in the run directory"
        )
    data = {
        "tasks": [asdict(task) for task in browsed.tasks],
        "turns": [_turn_values(entry.shown) for entry in entries],
        "users": {key: asdict(one) for key, one in browsed.recordings.users.items()},
        "replies": {key: asdict(one) for key, one in browsed.recordings.replies.items()},
    }
    body = f"""{figures(run)}
<section class="turns">
<h2>Turns</h2>
{"".join(f"<p class='faint'>{escaped(note)}</p>" for note in notes)}
<form class="filters" id="filters"></form>
<div class="browser">
<div class="list"><p id="count" aria-live="polite"></p><ol id="list"></ol>
<button type="button" id="more" hidden>more</button></div>
<div class="detail" id="detail"></div>
</div>
<noscript><p>The list of turns needs JavaScript.</p></noscript>
</section>
{background(run)}
<script type="application/json" id="data">{_json(data)}</script>"""
    return Page(
        title=f"{run.result.model}: {run.folder.resolve().name}",
        body=body,
        style=_asset("uPlot.min.css") + _asset("report.css"),
        scripts=(f"/*{_asset('uPlot.LICENSE')}*/\n{_asset('uPlot.iife.min.js')}", _asset("report.js")),
        media=_MEDIA[browsed.recordings.place],
        facts={_FACT: browsed.recordings.place},
    ).html()


def place_of_recordings(page: Path) -> Place | None:
    """Where the recordings of a written page are; None where there is no page, or one that does not say.

    Raises:
        StorageError: the file cannot be read.
    """
    if not page.exists():
        return None
    try:
        with open(page, encoding="utf-8", errors="replace") as file:
            found = _PLACE.search(file.read(_HEAD))
    except OSError as error:
        raise StorageError(page, "read", error) from error
    return cast(Place, found[1]) if found else None


def _turn_values(turn: ShownTurn) -> dict[str, Any]:
    """The JSON of a turn, without what is empty."""
    answers = [
        {
            "task": one.task,
            "verdict": one.verdict,
            **_present(label=one.label, text=one.text, why=one.why, flags=one.flags, values=_rounded(one.values)),
        }
        for one in turn.answers
    ]
    curves = {name: asdict(curve) for name, curve in (("user", turn.user), ("reply", turn.reply)) if curve is not None}
    return {
        "key": turn.key,
        "group": turn.group,
        "dialogue": turn.dialogue,
        "turn": turn.turn,
        **_present(gold=turn.gold, heard=turn.heard, seen=turn.seen, said=turn.said),
        "answers": answers,
        **curves,
    }


def _present(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value}


def _rounded(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 3) for name, value in values.items()}


def _json(content: object) -> str:
    """JSON in ASCII that no HTML parser takes for a tag or a comment."""
    return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
