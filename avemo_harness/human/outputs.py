"""What an analysis leaves behind: a file in the study and in every run, and tables for other tools."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from avemo_harness.errors import StorageError, storage_errors
from avemo_harness.human.analysis import HumanResult
from avemo_harness.human.collected import Collection
from avemo_harness.human.privacy import write_privately
from avemo_harness.human.scales import SCALE_NAMES
from avemo_harness.human.study import RatedSystem, StudyKey
from avemo_harness.paths import read_whole, write_atomically
from avemo_harness.report.results_file import BENCHMARK_SCALES, FIRST_SCALES, RATED
from avemo_harness.text import safe_cell

HUMAN = "human.json"


def write_result(folder: Path, key: StudyKey, result: HumanResult, say: Callable[[str], None]) -> list[StorageError]:
    """Write `human.json` of the study, and the scores of every run that is still where it was planned from.

    A run's `human/<task>.json` holds its own system alone: ``columns`` has the values of ER, EN, RR and ERS that join
    its table. Ratings on another wording of the scales are in `human/<task>.<scales>.json`, under names of their own.
    Each takes the place of that of an earlier study of the task on the same wording.

    Returns:
        Why runs do not have their scores: an error of each that the system refuses to read or write.

    Raises:
        StorageError: the study's folder cannot be written.
    """
    write_privately(folder / HUMAN, _json(asdict(result)))
    refused = []
    for system in key.systems:
        run = Path(system.run)
        try:
            with storage_errors(run / "run.json", "read"):
                there = (run / "run.json").exists()
            if there:
                _write_scores(folder, system, result, say)
            else:
                say(f"{run}: is no longer there, so that its table does not get the scores of {system.label}")
        except StorageError as error:
            refused.append(error)
    return refused


def _write_scores(folder: Path, system: RatedSystem, result: HumanResult, say: Callable[[str], None]) -> None:
    run = Path(system.run)
    _name_first_scales(run / RATED, result.task)
    for one in (result, *result.apart):
        path = _scores_file(run / RATED, result.task, one.scales)
        if (earlier := _study_of(path)) not in (None, str(folder.resolve())):
            say(f"{run}: the scores of {earlier} are replaced by those of {folder}")
        write_atomically(path, _json(_of_run(folder, system, one)))


def _scores_file(folder: Path, task: str, scales: str) -> Path:
    return folder / (f"{task}.json" if scales == BENCHMARK_SCALES else f"{task}.{scales}.json")


def _name_first_scales(folder: Path, task: str) -> None:
    """Move scores from before scales had a version, which are on the first wording, to where that wording's are."""
    path = _scores_file(folder, task, BENCHMARK_SCALES)
    if "columns" in (found := _read_scores(path)) and "scales" not in found:
        with storage_errors(path, "renamed"):
            path.replace(_scores_file(folder, task, FIRST_SCALES))


def _study_of(path: Path) -> str | None:
    """The study that a run's file is of."""
    study = _read_scores(path).get("study")
    return None if study is None else str(study)


def _read_scores(path: Path) -> Mapping[str, Any]:
    """A run's file; empty where there is none, or one of which nothing is lost by writing it anew."""
    try:
        values = json.loads(read_whole(path))
    except StorageError as error:
        if not error.missing:
            raise
        return {}
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _of_run(folder: Path, system: RatedSystem, result: HumanResult) -> dict[str, object]:
    return {
        "schema_version": result.schema_version,
        "study": str(folder.resolve()),
        "plan": result.plan,
        "task": result.task,
        "scales": result.scales,
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
    ratings = [["rater", "item", "kind", "dialogue", "system", "repeat", "scales", *SCALE_NAMES, "seconds", "problem"]]
    for one in collection.ratings:
        of = key.items[one.item.item_id]
        what = (one.rater, one.item.item_id, one.item.kind, of.dialogue, of.system, str(int(one.repeat)), one.scales)
        given = [str(one.ratings.get(name, "")) for name in SCALE_NAMES]
        ratings.append([*what, *given, "" if one.seconds is None else f"{one.seconds:.1f}", one.problem or ""])
    stages = {one.rater: (one.stage, one.code or "") for one in collection.raters}
    names = sorted({*stages, *(one.rater for one in collection.ratings)})
    left_out = _left_out(result)
    raters = [["rater", "stage", "code", "ratings", "left_out"]]
    for name in names:
        count = sum(one.rater == name and bool(one.ratings) for one in collection.ratings)
        stage, code = stages.get(name, ("imported", ""))
        raters.append([name, stage, code, str(count), "; ".join(left_out.get(name, ()))])
    for path, rows in ((folder / "ratings.csv", ratings), (folder / "raters.csv", raters)):
        write_privately(path, _csv(rows))


def _left_out(result: HumanResult) -> dict[str, list[str]]:
    """Why raters are left out, on any wording of the scales."""
    reasons: dict[str, list[str]] = {}
    for one in (result, *result.apart):
        for rater, why in one.excluded.items():
            reasons.setdefault(rater, []).extend(why)
    return reasons


def _csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([safe_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def _json(content: object) -> str:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
