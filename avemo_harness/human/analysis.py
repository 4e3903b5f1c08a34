"""From ratings to scores: exclusions, ER, EN, RR and ERS with intervals, agreement, and the files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import StorageError, storage_errors
from avemo_harness.files import read_whole, write_atomically
from avemo_harness.human.ratings import CollectedRating, Collection
from avemo_harness.human.study import SCALE_NAMES, ExclusionRules, Kind, RatedSystem, Study, StudyKey, write_privately
from avemo_harness.metrics.bootstrap import Estimate
from avemo_harness.metrics.raters import (
    Floats,
    difference_of_item_means,
    intraclass_correlation,
    mean_of_item_means,
    ordinal_alpha,
    unit_score,
)
from avemo_harness.report.scored_run import BENCHMARK_SCALES, FIRST_SCALES, RATED, people_columns
from avemo_harness.scorers.base import MetricValue, metric_value
from avemo_harness.text import safe_cell


def exclusions(ratings: Sequence[CollectedRating], rules: ExclusionRules) -> Mapping[str, tuple[str, ...]]:
    """Every rater who is left out, with the reasons."""
    of_raters: dict[str, list[CollectedRating]] = {}
    for one in ratings:
        of_raters.setdefault(one.rater, []).append(one)
    reasons = {rater: tuple(_reasons(given, rules)) for rater, given in sorted(of_raters.items())}
    return {rater: why for rater, why in reasons.items() if why}


def _reasons(given: Sequence[CollectedRating], rules: ExclusionRules) -> list[str]:
    reasons = []
    traps, golds = _missed(given, "trap", 1), _missed(given, "gold", rules.gold_distance)
    if traps > rules.failed_traps:
        reasons.append(f"{traps} traps failed")
    if golds > rules.missed_golds:
        reasons.append(f"{golds} gold items off by {rules.gold_distance} points or more")
    unrated = sum(not one.ratings for one in given)
    if unrated > rules.unrated:
        reasons.append(f"{unrated} items left out as not working")
    if _straight(given, rules.straight_line):
        reasons.append("one and the same rating throughout")
    shares = [
        one.seconds / one.item.seconds
        for one in given
        if one.ratings and one.seconds is not None and one.item.seconds > 0
    ]
    if shares and median(shares) < rules.least_time:
        reasons.append(f"half of the items rated within {median(shares):.2f} of their length")
    return reasons


def _missed(given: Sequence[CollectedRating], kind: Kind, distance: int) -> int:
    """Items of a kind that were rated at least so far from what was expected, on any scale."""
    return sum(
        any(
            abs(one.ratings[name] - expected) >= distance
            for name, expected in one.item.expected.items()
            if name in one.ratings
        )
        for one in given
        if one.item.kind == kind
    )


def _straight(given: Sequence[CollectedRating], from_items: int) -> bool:
    """True where every scale has one value only over at least that many rated items."""
    rated = [one.ratings for one in given if one.item.kind == "rated" and len(one.ratings) == len(SCALE_NAMES)]
    return len(rated) >= from_items and all(len({ratings[name] for ratings in rated}) == 1 for name in SCALE_NAMES)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of raters on one scale, over the items of all systems.

    Args:
        alpha: Krippendorff's, ordinal.
        icc_single, icc_mean: ICC(2,1) and ICC(2,k).
        raters_an_item: k, the harmonic mean.
    """

    alpha: Estimate
    icc_single: Estimate
    icc_mean: Estimate
    raters_an_item: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference between the ratings of two systems, by column."""

    of: str
    to: str
    columns: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a study by some of its raters.

    Args:
        ratings: first ratings of rated items.
        systems: by system the three scales and their mean in [0, 1], named by `people_columns`; of each the items with
            a rating (`n`), those without (`n_undefined`), and ratings left out since something did not work
            (`n_errors`).
        agreement: by column; of the mean there is none.
    """

    raters: int
    ratings: int
    systems: Mapping[str, Mapping[str, MetricValue]]
    differences: tuple[Difference, ...]
    agreement: Mapping[str, Agreement]


@dataclass(frozen=True, slots=True)
class Repeats:
    """Test-retest agreement: items rated twice, and the shares rated alike or within one point."""

    n: int
    alike: Mapping[str, float]
    within_one: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class HumanResult:
    """The content of a study's `human.json`.

    Args:
        plan: the plan's digest.
        planned: first ratings of rated items that the plan asks for.
        short_items: rated items with fewer raters than planned, those left out not counted.
        excluded: raters left out, with the reasons.
        scores: without the raters left out: the result.
        of_everyone: with them.
        scales: the wording of the scales that the ratings were given on.
        apart: of the ratings on other wordings than the study's, by wording.
    """

    schema_version: int
    plan: str
    task: str
    planned: int
    short_items: int
    excluded: Mapping[str, tuple[str, ...]]
    repeats: Repeats
    scores: Scores
    of_everyone: Scores
    scales: str
    apart: tuple[HumanResult, ...] = ()


def analyze(study: Study, key: StudyKey, ratings: Sequence[CollectedRating]) -> HumanResult:
    """Score a study's ratings, complete or not. Pure: the same ratings give the same result."""
    by_scales: dict[str, list[CollectedRating]] = {study.scales_version: []}
    for one in ratings:
        by_scales.setdefault(one.scales, []).append(one)
    own = _result(study, key, by_scales.pop(study.scales_version), study.scales_version)
    # Gold items are told by the study's own wording: on another one, nobody knows what is expected.
    apart = {scales: [one for one in given if one.item.kind != "gold"] for scales, given in sorted(by_scales.items())}
    return replace(own, apart=tuple(_result(study, key, given, scales) for scales, given in apart.items()))


def _result(study: Study, key: StudyKey, ratings: Sequence[CollectedRating], scales: str) -> HumanResult:
    """Score ratings that were all given on one wording of the scales."""
    excluded = exclusions(ratings, study.rules)
    kept = [one for one in ratings if one.rater not in excluded]
    rated = [item.item_id for item in study.items if item.kind == "rated"]
    raters_of = raters_of_items(study, kept)
    names = people_columns(scales)
    return HumanResult(
        schema_version=2,
        plan=study.digest(),
        task=key.task,
        planned=len(rated) * study.raters_an_item,
        short_items=sum(number < study.raters_an_item for number in raters_of.values()),
        excluded=excluded,
        repeats=_repeats(kept, names),
        scores=_scores(key, rated, kept, names),
        of_everyone=_scores(key, rated, ratings, names),
        scales=scales,
    )


def raters_of_items(study: Study, ratings: Iterable[CollectedRating]) -> dict[str, int]:
    """Count raters by rated item.

    Args:
        ratings: those that count.
    """
    raters: dict[str, set[str]] = {item.item_id: set() for item in study.items if item.kind == "rated"}
    for one in ratings:
        if one.item.kind == "rated" and one.ratings and not one.repeat:
            raters[one.item.item_id].add(one.rater)
    return {item: len(of_item) for item, of_item in raters.items()}


def _scores(
    key: StudyKey, rated: Sequence[str], ratings: Sequence[CollectedRating], columns_of: Sequence[str]
) -> Scores:
    """Score every system.

    Args:
        columns_of: what the three scales and their mean are called.
    """
    *of_scales, of_mean = columns_of
    first = [one for one in ratings if not one.repeat and one.item.kind == "rated"]
    raters = sorted({one.rater for one in first})
    names = sorted({key.items[item].dialogue for item in rated})
    dialogues = np.array([names.index(key.items[item].dialogue) for item in rated])
    points = {
        column: _matrix(first, rated, raters, scale) for column, scale in zip(of_scales, SCALE_NAMES, strict=True)
    }
    columns = {name: unit_score(matrix)[None] for name, matrix in points.items()}
    columns[of_mean] = np.concatenate(list(columns.values()))
    rows = {
        system.label: np.array([key.items[item].system == system.label for item in rated]) for system in key.systems
    }
    problems = dict.fromkeys(rows, 0)
    for one in first:
        problems[key.items[one.item.item_id].system] += not one.ratings
    return Scores(
        raters=len(raters),
        ratings=sum(bool(one.ratings) for one in first),
        systems={
            label: {name: _metric(scores[:, of], dialogues[of], problems[label]) for name, scores in columns.items()}
            for label, of in rows.items()
        },
        differences=tuple(
            Difference(
                one,
                other,
                {
                    name: difference_of_item_means(
                        scores[:, rows[one]], dialogues[rows[one]], scores[:, rows[other]], dialogues[rows[other]]
                    )
                    for name, scores in columns.items()
                },
            )
            for one, other in combinations(rows, 2)
        ),
        agreement={name: _agreement(matrix, dialogues) for name, matrix in points.items()},
    )


def _matrix(
    first: Sequence[CollectedRating], rated: Sequence[str], raters: Sequence[str], scale: str
) -> NDArray[np.float64]:
    """Items × raters, NaN where there is no rating."""
    row = {item: number for number, item in enumerate(rated)}
    column = {rater: number for number, rater in enumerate(raters)}
    matrix = np.full((len(rated), len(raters)), np.nan)
    for one in first:
        if scale in one.ratings:
            matrix[row[one.item.item_id], column[one.rater]] = one.ratings[scale]
    return matrix


def _metric(scores: Floats, dialogues: NDArray[np.int64], problems: int) -> MetricValue:
    n = int((~np.isnan(scores)).any(axis=2).all(axis=0).sum())
    estimate = mean_of_item_means(scores, dialogues)
    return metric_value(estimate, n, n_invalid=0, n_errors=problems, n_undefined=scores.shape[1] - n)


def _agreement(ratings: Floats, dialogues: NDArray[np.int64]) -> Agreement:
    icc = intraclass_correlation(ratings, dialogues)
    return Agreement(ordinal_alpha(ratings, dialogues), icc.single, icc.mean, icc.raters_an_item)


def _repeats(ratings: Sequence[CollectedRating], columns: Sequence[str]) -> Repeats:
    first = {(one.rater, one.item.item_id): one.ratings for one in ratings if not one.repeat and one.ratings}
    pairs = [
        (first[one.rater, one.item.item_id], one.ratings)
        for one in ratings
        if one.repeat and one.ratings and (one.rater, one.item.item_id) in first
    ]
    apart = {
        column: [abs(a[scale] - b[scale]) for a, b in pairs if scale in a and scale in b]
        for column, scale in zip(columns, SCALE_NAMES, strict=False)  # The mean has no repeats of its own.
    }
    return Repeats(
        n=len(pairs),
        alike={name: float(np.mean(np.array(values) == 0)) for name, values in apart.items() if values},
        within_one={name: float(np.mean(np.array(values) <= 1)) for name, values in apart.items() if values},
    )


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
    names = sorted({*collection.raters, *(one.rater for one in collection.ratings)})
    left_out = _left_out(result)
    raters = [["rater", "stage", "code", "ratings", "left_out"]]
    for name in names:
        count = sum(one.rater == name and bool(one.ratings) for one in collection.ratings)
        stage, code = collection.raters.get(name, ("imported", None))
        raters.append([name, stage, code or "", str(count), "; ".join(left_out.get(name, ()))])
    for path, rows in ((folder / "ratings.csv", ratings), (folder / "raters.csv", raters)):
        write_privately(path, _csv(rows))


def _left_out(result: HumanResult) -> dict[str, list[str]]:
    """Reasons to leave raters out, on any wording of the scales."""
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
