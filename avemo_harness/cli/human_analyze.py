"""Compute ER, EN, RR and their mean with intervals, and how far the raters agree.

A run that cannot be written goes without its scores; the others get theirs, and the exit code is 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from avemo_harness.cli.output import say, show
from avemo_harness.text import fixed

if TYPE_CHECKING:
    from avemo_harness.human.analysis import HumanResult, Scores
    from avemo_harness.metrics.bootstrap import Estimate
    from avemo_harness.scorers.base import Metric

_UNKNOWN = "—"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `human analyze`."""
    parser.add_argument("study", type=Path, metavar="STUDY", help="the folder of a study")


def execute(args: argparse.Namespace) -> int:
    """Analyze, write the results and print them; returns the exit code."""
    from avemo_harness.human.analysis import analyze
    from avemo_harness.human.collected import read_collection
    from avemo_harness.human.outputs import HUMAN, write_result, write_tables
    from avemo_harness.human.study import read_key, read_study

    study, key = read_study(args.study), read_key(args.study)
    collection = read_collection(args.study, study)
    result = analyze(study, key, collection.ratings)
    refused = write_result(args.study, key, result, say)
    write_tables(args.study, key, collection, result)
    show("\n\n".join(part for one in (result, *result.apart) for part in _parts(one)))
    print(f"\nwritten: {args.study / HUMAN}, ratings.csv, raters.csv; avemo-eval score RUN shows the scores of a run")
    for error in refused:
        say(error.advise("leave that run without its scores"))
    return 1 if refused else 0


def _parts(result: HumanResult) -> list[str]:
    from avemo_harness.report.results_file import BENCHMARK_SCALES, PEOPLE

    scores, everyone = result.scores, result.of_everyone
    lines = [f"{scores.ratings} of {result.planned} ratings by {scores.raters} raters, on the scales {result.scales}"]
    if result.scales != BENCHMARK_SCALES:
        lines.append(
            f"another wording than {BENCHMARK_SCALES}: these are no {', '.join(PEOPLE)}, and join none of theirs"
        )
    if result.short_items:
        lines.append(
            f"provisional: {result.short_items} items have fewer raters than planned (avemo-eval human extend)"
        )
    parts = ["\n".join(lines), _systems(scores)]
    if scores.differences:
        parts.append(_differences(scores))
    parts.append(_agreement(result))
    if result.excluded:
        left_out = [f"  {rater}: {'; '.join(reasons)}" for rater, reasons in result.excluded.items()]
        parts.append("\n".join([f"left out by the plan's rules: {len(left_out)} raters", *left_out]))
        parts.append(f"with them, {everyone.raters} raters:\n{_systems(everyone)}")
    return parts


def _systems(scores: Scores) -> str:
    from avemo_harness.text_table import aligned

    names = list(next(iter(scores.systems.values())))
    rows = [["system", *names]]
    for label, columns in scores.systems.items():
        rows.append([label, *(_value(columns[name]) for name in names)])
        rows.append(["95 % interval", *(_interval(columns[name]) for name in names)])
    return "\n".join(aligned(rows))


def _differences(scores: Scores) -> str:
    from avemo_harness.text_table import aligned

    names = list(scores.differences[0].columns)
    rows = [["difference", *names]]
    for one in scores.differences:
        rows.append([f"{one.of} - {one.to}", *(_value(one.columns[name], "+") for name in names)])
        rows.append(["95 % interval", *(_interval(one.columns[name], "+") for name in names)])
    return "\n".join(aligned(rows))


def _agreement(result: HumanResult) -> str:
    from avemo_harness.text_table import aligned

    agreement = result.scores.agreement
    rows = [["agreement", *agreement]]

    def add(name: str, estimates: Sequence[Estimate]) -> None:
        rows.append([name, *(_value(one) for one in estimates)])
        rows.append(["95 % interval", *(_interval(one) for one in estimates)])

    add("Krippendorff's alpha", [one.alpha for one in agreement.values()])
    add("ICC(2,1)", [one.icc_single for one in agreement.values()])
    add("ICC(2,k)", [one.icc_mean for one in agreement.values()])
    if result.repeats.n:
        of = result.repeats
        rows.append([f"same again, {of.n} repeats", *(_share(of.alike.get(name)) for name in agreement)])
        rows.append(["within one point", *(_share(of.within_one.get(name)) for name in agreement)])
    return "\n".join(aligned(rows))


def _value(one: Metric | Estimate, sign: Literal["-", "+"] = "-") -> str:
    return _UNKNOWN if one.value is None else fixed(one.value, sign=sign)


def _interval(one: Metric | Estimate, sign: Literal["-", "+"] = "-") -> str:
    if one.ci_low is None or one.ci_high is None:
        return _UNKNOWN
    between = " to " if sign == "+" or one.ci_low < 0 else "-"
    return f"{fixed(one.ci_low, sign=sign)}{between}{fixed(one.ci_high, sign=sign)}"


def _share(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{100 * value:.0f} %"
