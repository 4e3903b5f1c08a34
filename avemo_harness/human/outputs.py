"""What an analysis leaves behind: a file in the study and in every run, and tables for other tools."""

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
from avemo_harness.report.results_file import RATED
from avemo_harness.text import safe_cell

HUMAN = "human.json"


def write_result(folder: Path, key: StudyKey, result: HumanResult, say: Callable[[str], None]) -> None:
    """Write `human.json` of the study, and `human/<task>.json` of every run that is still where it was planned from.

    A run's holds its own system alone: ``columns`` has the values of ER, EN, RR and ERS that join its table. It takes
    the place of those of an earlier study of that task.

    Raises:
        StoreError: a folder cannot be written.
    """
    write_atomically(folder / HUMAN, _json(asdict(result)))
    for system in key.systems:
        run = Path(system.run)
        if (run / "run.json").exists():
            path = run / RATED / f"{result.task}.json"
            if (earlier := _study_of(path)) not in (None, str(folder.resolve())):
                say(f"{run}: the scores of {earlier} are replaced by those of {folder}")
            write_atomically(path, _json(_of_run(folder, system, result)))
        else:
            say(f"{run}: is no longer there, so that its table does not get the scores of {system.label}")


def _study_of(path: Path) -> str | None:
    """The study that a run's file is of."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["study"])
    except (OSError, ValueError, KeyError, TypeError):  # there is none, or nothing is lost by writing it anew
        return None


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
