"""The reasoning metrics of two sides' spoken replies to the same turns, from one judge's trajectories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.metrics.profiles import AV_EMO, Profile, calibrated_profile
from avemo_harness.report.compare.paired_counts import ItemPair, PairedCounts, anchored_counts, mean_counts
from avemo_harness.report.scored_run import ScoredRun
from avemo_harness.run.judgements import Place
from avemo_harness.scorers.judged import Judge, Judged
from avemo_harness.scorers.means import Column
from avemo_harness.scorers.reasoning_details import exchange_problem
from avemo_harness.scorers.reasoning_rows import Exchange, Scores, anchored_columns, companion_columns, shuffled_columns


def reply_counts(
    pairs: Sequence[ItemPair], first: ScoredRun, second: ScoredRun, task: TaskSpec
) -> tuple[dict[str, PairedCounts], str]:
    """Every reasoning metric on the turns that both sides answered in speech, and coverage on all shared ones.

    The user's trajectory is the first side's on both, so that the same turns are extreme on both.

    Returns:
        The counts by metric, and why there are no others.
    """
    clusters = [pair[0].cluster for pair in pairs]
    spoken = [np.array([pair[side].verdict == "spoken" for pair in pairs], dtype=np.float64) for side in (0, 1)]
    coverage = {"coverage": mean_counts(spoken[0], spoken[1], clusters)}
    profile = _profile(task, first.judge)
    if profile is None:
        why = first.judge.no_calibration if first.judge else None
        return coverage, f"replies are not scored: profile calibrated: {why}"
    both = [pair for pair in pairs if pair[0].verdict == pair[1].verdict == "spoken"]
    exchanges = _exchanges([(task.task, pair[0].item) for pair in both], both, first.judged, second.judged)
    refusal = exchange_problem([*exchanges[0], *exchanges[1]], profile)
    if refusal:
        return coverage, f"replies are not scored: {refusal}"
    columns = [_columns(of_side, profile) for of_side in exchanges]
    counts = {
        name: mean_counts(column.values, columns[1][name].values, column.clusters)
        if column.shuffled is None
        else anchored_counts(column, columns[1][name])
        for name, column in columns[0].items()
    }
    return {**counts, **coverage}, "they are no means over turns or dialogues"


def _profile(task: TaskSpec, judge: Judge | None) -> Profile | None:
    named = next((scorer.profile for scorer in task.scorers if scorer.name == "reasoning"), None)
    if named != "calibrated" or judge is None:
        return AV_EMO
    return calibrated_profile(judge.calibration) if judge.calibration and not judge.no_calibration else None


def _exchanges(
    places: Sequence[Place], pairs: Sequence[ItemPair], first: Mapping[Place, Judged], second: Mapping[Place, Judged]
) -> tuple[list[Exchange], list[Exchange]]:
    sides: tuple[list[Exchange], list[Exchange]] = ([], [])
    for place, pair in zip(places, pairs, strict=True):
        one, other = first.get(place), second.get(place)
        # A turn whose verdict is `spoken` has all three; one whose judgement was lost since is not compared.
        if one and other and one.user is not None and one.reply is not None and other.reply is not None:
            for side, reply in zip(sides, (one.reply, other.reply), strict=True):
                side.append(Exchange(pair[0].cluster, one.place, one.user, one.user_audio, reply))
    return sides


def _columns(exchanges: Sequence[Exchange], profile: Profile) -> dict[str, Column]:
    scores = Scores.of(exchanges, [one.reply for one in exchanges], profile)
    of_others = anchored_columns(scores, shuffled_columns(exchanges, profile))
    return {**scores.columns(), **companion_columns(exchanges, profile), **of_others}
