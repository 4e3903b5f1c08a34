"""A study as it was planned and rated before scales had a version, in the bytes of that time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from human.studies import write_small_study

from avemo_harness.human.study import Study, read_study

FIRST_DIGEST = "77d7881cacaac6bd"
"""Digest of the plan, which its ratings name."""
_FIRST_WORDING = (
    {
        "name": "er",
        "title": "Emotional response",
        "question": "Does the reply take up what the speaker feels?",
        "anchors": [
            "Ignores the feeling, or answers it in a hurtful way",
            "Misreads the feeling",
            "Neither right nor wrong for the feeling",
            "Takes up the feeling with small lapses",
            "Takes up the feeling just as a caring person would",
        ],
    },
    {
        "name": "en",
        "title": "Emotional naturalness",
        "question": "Does the feeling in the reply's voice sound natural?",
        "anchors": [
            "Mechanical, or plainly acted",
            "Mostly unnatural",
            "Partly natural",
            "Mostly natural",
            "As natural as a person speaking",
        ],
    },
    {
        "name": "rr",
        "title": "Relevance of the reply",
        "question": "Does the reply fit what was said before?",
        "anchors": [
            "Has nothing to do with it",
            "Hardly fits",
            "Fits in part",
            "Fits with small lapses",
            "Fits fully",
        ],
    },
)
_FIRST_TABLES = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE raters (
    number INTEGER PRIMARY KEY,
    stage TEXT NOT NULL,
    device_attempts INTEGER NOT NULL DEFAULT 0,
    training_try INTEGER NOT NULL DEFAULT 0,
    seen REAL NOT NULL,
    code TEXT
);
CREATE TABLE training (
    rater INTEGER NOT NULL REFERENCES raters, try INTEGER NOT NULL, position INTEGER NOT NULL,
    er INTEGER, en INTEGER, rr INTEGER, PRIMARY KEY (rater, try, position)
);
CREATE TABLE ratings (
    session INTEGER NOT NULL, position INTEGER NOT NULL, rater INTEGER NOT NULL REFERENCES raters,
    item TEXT NOT NULL, repeat INTEGER NOT NULL, er INTEGER, en INTEGER, rr INTEGER,
    problem TEXT, seconds REAL NOT NULL, plays INTEGER NOT NULL, PRIMARY KEY (session, position)
);
CREATE TABLE imported (
    rater TEXT NOT NULL, item TEXT NOT NULL, repeat INTEGER NOT NULL,
    er INTEGER, en INTEGER, rr INTEGER, seconds REAL, PRIMARY KEY (rater, item, repeat)
);
"""


def write_first_study(folder: Path, runs: Mapping[str, Path] | None = None) -> Study:
    """Write the study, with one rater who has done the first session, and one imported rating."""
    values = asdict(write_small_study(folder, runs=runs))
    del values["scales_version"], values["lessons"]
    values |= {"scales": _FIRST_WORDING, "schema_version": 1}
    (folder / "plan.json").write_text(json.dumps(values, indent=1, sort_keys=True))
    study = read_study(folder)
    items = study.by_id()
    with sqlite3.connect(folder / "ratings.sqlite") as tables:
        tables.executescript(_FIRST_TABLES)
        tables.execute("INSERT INTO settings VALUES ('plan', ?)", (FIRST_DIGEST,))
        tables.execute("INSERT INTO settings VALUES ('secret', '00')")
        tables.execute("INSERT INTO raters VALUES (0, 'done', 0, 0, 1.0, 'CODE')")
        tables.execute("INSERT INTO training VALUES (0, 0, 0, 3, 3, 1)")
        for position, one in enumerate(study.sessions[0].showings):
            given = {"er": 5, "en": 4, "rr": 3, **items[one.item].expected}
            row = (0, position, 0, one.item, one.repeat, given["er"], given["en"], given["rr"], None, 9.0, 1)
            tables.execute("INSERT INTO ratings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        rated = next(item.item_id for item in study.items if item.kind == "rated")
        tables.execute("INSERT INTO imported VALUES ('import0', ?, 0, 5, 4, 3, NULL)", (rated,))
    tables.close()
    return study
