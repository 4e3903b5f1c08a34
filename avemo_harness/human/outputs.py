"""What an analysis leaves behind: `human.json` in the study and in every run, and tables for other tools."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from avemo_harness.human.analysis import HumanResult
from avemo_harness.human.collected import Collection
from avemo_harness.human.scales import SCALE_NAMES
from avemo_harness.human.study import RatedSystem, StudyKey
from avemo_harness.paths import write_atomically
from avemo_harness.text import safe_cell

HUMAN = "human.json"


def write_result(folder: Path, key: StudyKey, result: HumanResult, say: Callable[[str], None]) -> None:
    """Write `human.json` of the study, and of every run that is still where it was planned from.

    A run's holds its own system alone: ``columns`` has the values of ER, EN, RR and ERS that join its table.

    Raises:
        StoreError: a folder cannot be written.
    """
    write_atomically(folder / HUMAN, _json(asdict(result)))
    for system in key.systems:
        run = Path(system.run)
        if (run / "run.json").exists():
            write_atomically(run / HUMAN, _json(_of_run(folder, system, result)))
        else:
            say(f"{run}: is no longer there, so that its table does not get the scores of {system.label}")


def _of_run(folder: Path, system: RatedSystem, result: HumanResult) -> dict[str, object]:
    return {
        "schema_version": result.schema_version,
        "study": str(folder.resolve()),
        "plan": result.plan,
        "task": result.task,
        "group": system.group,
        "label": system.label,
        "raters": result.scores.raters,
        "excluded": len(result.excluded),
        "complete": result.short_items == 0,
        "columns": {name: asdict(metric) for name, metric in result.scores.systems[system.label].items()},
        "columns_of_everyone": {
            name: asdict(metric) for name, metric in result.of_everyone.systems[system.label].items()
        },
        "agreement": {name: asdict(one) for name, one in result.scores.agreement.items()},
    }


def write_tables(folder: Path, key: StudyKey, collection: Collection, result: HumanResult) -> None:
    """Write `ratings.csv`, every rating with its system, and `raters.csv`, with codes and exclusions.

    Raises:
        StoreError: the folder cannot be written.
    """
    ratings = [["rater", "item", "kind", "dialogue", "system", "repeat", *SCALE_NAMES, "seconds", "problem"]]
    for one in collection.ratings:
        of = key.items[one.item.item_id]
        what = (one.rater, one.item.item_id, one.item.kind, of.dialogue, of.system, str(int(one.repeat)))
        given = [str(one.ratings.get(name, "")) for name in SCALE_NAMES]
        ratings.append([*what, *given, "" if one.seconds is None else f"{one.seconds:.1f}", one.problem or ""])
    stages = {one.rater: (one.stage, one.code or "") for one in collection.raters}
    names = sorted({*stages, *(one.rater for one in collection.ratings)})
    raters = [["rater", "stage", "code", "ratings", "left_out"]]
    for name in names:
        count = sum(one.rater == name and bool(one.ratings) for one in collection.ratings)
        stage, code = stages.get(name, ("imported", ""))
        raters.append([name, stage, code, str(count), "; ".join(result.excluded.get(name, ()))])
    for path, rows in ((folder / "ratings.csv", ratings), (folder / "raters.csv", raters)):
        write_atomically(path, _csv(rows))
        path.chmod(0o600)


def _csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([safe_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def _json(content: object) -> str:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
