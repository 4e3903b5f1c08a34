"""The scorer `reasoning`: ECS, EBS, ESS and ERS of spoken replies, and the details behind each metric."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.metrics.dialogues import dialogue_means
from avemo_harness.metrics.profiles import AV_EMO, PROFILES, Profile, calibrated_profile
from avemo_harness.metrics.reasoning import distance_to_thresholds, extremes
from avemo_harness.metrics.trajectory import ROUNDING
from avemo_harness.scorers.base import Answer, Judge, Judgement, ScoreLine, TaskScores
from avemo_harness.scorers.metric import BUILT_IN
from avemo_harness.scorers.reasoning_columns import (
    CROSS_METRICS,
    TURN_METRICS,
    Column,
    Exchange,
    Scores,
    anchored_columns,
    companion_columns,
    mean_metrics,
    trivial_rows,
)

Floats = NDArray[np.float64]
Means = dict[str, float | None]


def exchange_problem(exchanges: Sequence[Exchange], profile: Profile) -> str | None:
    """The first trajectory's lack that keeps exchanges from being scored under a profile; None where all can be."""
    trajectories = (
        trajectory for exchange in exchanges for trajectory in (exchange.user, exchange.user_audio, exchange.reply)
    )
    return next((why for one in trajectories if one is not None and (why := profile.problem(one))), None)


def users_by_view(judged: Sequence[Judgement | None]) -> dict[str, Any]:
    """Count the scored users that were judged by sound and face, by sound and by face alone.

    ``unknown`` are those that were judged before it was noted. A mean over several kinds is over judgements of unequal
    quality.
    """
    counts = Counter(judgement.user_view or "unknown" for judgement in judged if judgement is not None)
    return {"users_by_view": dict(sorted(counts.items())), "mixed_user_views": len(counts.keys() - {"unknown"}) > 1}


def clipped_values(judged: Sequence[Judgement | None]) -> dict[str, int]:
    """In how many judgements the recogniser left its scale a little, and how many values were clipped there."""
    counts = [judgement.n_clipped for judgement in judged if judgement is not None and judgement.n_clipped]
    return {"items": len(counts), "values": sum(counts)}


def uncut_means(scores: Scores) -> Means:
    """Means of the turns' scores before they were cut to [0, 1]."""
    uncut = {"ecs": scores.turns.ecs.uncut, "ebs": scores.turns.ebs.uncut, "ess": scores.turns.ess.uncut}
    return {name: _mean(values) for name, values in uncut.items()}


def with_missing_as_zero(scores: Scores, unspoken: Sequence[Answer], profile: Profile) -> Means:
    """The strict variant: means where every reply that was not spoken counts 0, in EBS where the user was extreme."""
    names = np.array([*scores.of_turns, *(answer.item.cluster for answer in unspoken)], dtype=np.str_)
    distinct, members = np.unique(names, return_inverse=True)
    users = [answer.judged.user if answer.judged else None for answer in unspoken]
    known = [user for user in users if user is not None]
    extreme = np.zeros(len(unspoken), dtype=bool)
    if known:
        extreme[[user is not None for user in users]] = extremes(known, profile).any(axis=1)
    zeros = {name: np.zeros(len(unspoken)) for name in TURN_METRICS}
    zeros["ebs"] = zeros["ebs_dir"] = np.where(extreme, 0.0, np.nan)
    padded = {name: np.concatenate([scores.column(name).values, zeros[name]]) for name in TURN_METRICS}
    across = {name: dialogue_means(padded[name], members, len(distinct)) for name in ("ecs", "ebs", "ebs_dir")}
    return {
        **{name: _mean(values) for name, values in padded.items()},
        **{f"ct_{name}": _mean(values) for name, values in across.items()},
    }


def extreme_turns(exchanges: Sequence[Exchange], profile: Profile, judge: Judge | None) -> dict[str, Any]:
    """Count users' turns that are extreme, by dimension too, and those so near a threshold that the judge's own
    error may decide (None without a known error)."""
    if not exchanges:
        return {"n": 0, "rate": None, "by_dimension": {}, "near_threshold": None}
    users = [exchange.user for exchange in exchanges]
    flags = extremes(users, profile)
    near = None
    if judge is not None and judge.rmse:
        errors = np.array([judge.rmse.get(threshold.dimension, 0.0) for threshold in profile.extremes])
        near = int((errors - distance_to_thresholds(users, profile) > ROUNDING).any(axis=1).sum())
    return {
        "n": int(flags.any(axis=1).sum()),
        "rate": float(flags.any(axis=1).mean()),
        "by_dimension": {
            threshold.dimension: int(count)
            for threshold, count in zip(profile.extremes, flags.sum(axis=0), strict=True)
        },
        "near_threshold": near,
    }


def ers_apart(scores: Scores) -> dict[str, Any]:
    """ERS of extreme and of other turns, from how many parts it was made, and the mean of the columns instead."""
    ers, ebs = scores.turns.ers, scores.turns.ebs.value
    extreme, defined = ~np.isnan(ebs), ~np.isnan(ers)
    columns = [scores.column(name).mean for name in ("ecs", "ebs", "ess")]
    known = [value for value in columns if value is not None]
    return {
        "extreme_turns": _mean(ers[extreme]),
        "other_turns": _mean(ers[~extreme]),
        "n_parts": {"2": int((defined & ~extreme).sum()), "3": int((defined & extreme).sum())},
        "ers_of_columns": float(np.mean(known)) if known else None,
    }


def on_reference_turns(
    exchanges: Sequence[Exchange], has_reference: Sequence[bool], profile: Profile
) -> dict[str, Any]:
    """The means on the turns that the release itself answers: what to hold against the row of `reference`."""
    shared = list(compress(exchanges, has_reference))
    return {"n": len(shared), **_means(shared, profile)}


def other_profiles(exchanges: Sequence[Exchange], chosen: Profile, judge: Judge | None) -> dict[str, Any]:
    """The same exchanges under the other profiles; where one does not apply, why."""
    profiles: dict[str, Profile | None] = {AV_EMO.name: AV_EMO, "calibrated": None, **PROFILES}
    no_calibration = judge.no_calibration if judge else "the recogniser has no calibration"
    if judge is not None and judge.calibration is not None and no_calibration is None:
        profiles["calibrated"] = calibrated_profile(judge.calibration)
    results: dict[str, Any] = {}
    for name, profile in profiles.items():
        if name == chosen.name:
            continue
        if profile is None:
            results[name] = {"refused": no_calibration}
        elif problem := exchange_problem(exchanges, profile):
            results[name] = {"refused": problem}
        else:
            results[name] = _means(exchanges, profile)
    return results


def _means(exchanges: Sequence[Exchange], profile: Profile) -> Means:
    return {name: column.mean for name, column in Scores.of(exchanges, profile).columns().items()}


def _mean(values: Floats) -> float | None:
    """The mean of what is defined."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


class ReasoningScorer:
    """ECS, EBS, ESS and ERS of spoken replies, turn by turn and across turns, from a judge's trajectories.

    Means are over the turns that were answered in speech (`coverage` says how many); the cross-turn metrics are means
    over dialogues. Nothing is scored before a judge was asked.
    """

    metrics = BUILT_IN["reasoning"]

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        replies = [read_reply(answer) for answer in answers]
        lines = [line for line, _ in replies]
        exchanges = [exchange for _, exchange in replies if exchange is not None]
        spoken = [answer for answer, (_, exchange) in zip(answers, replies, strict=True) if exchange is not None]
        unspoken = [answer for answer, line in zip(answers, lines, strict=True) if line.verdict == "unspoken"]
        judge = next((answer.judged.judge for answer in answers if answer.judged), None)
        profile, refusal = profile_of(task, judge)
        refusal = refusal or exchange_problem(exchanges, profile)
        scored = [] if refusal else exchanges
        scores = Scores.of(scored, profile)
        rows = trivial_rows(scored, profile)
        companions = companion_columns(scored, profile)
        columns = {
            **scores.columns(),
            **companions,
            **anchored_columns(scores, rows["shuffled"]),
            "coverage": _coverage(lines),
        }
        n_errors = sum(line.verdict == "error" for line in lines)
        details = {
            "profile": asdict(profile),
            "profile_refused": refusal,
            "replies": _reasons(answers, lines),
            "uncut_means": uncut_means(scores),
            "missing_as_zero": with_missing_as_zero(scores, unspoken, profile),
            "extreme": extreme_turns(scored, profile, judge),
            "ers": ers_apart(scores),
            "on_reference_turns": on_reference_turns(
                scored, [answer.judged is not None and answer.judged.has_reference for answer in spoken], profile
            ),
            "profiles": other_profiles(exchanges, profile, judge),
            **users_by_view([answer.judged for answer in spoken]),
            "clipped": clipped_values([answer.judged for answer in answers]),
        }
        return TaskScores(
            mean_metrics(columns, n_errors),
            tuple(lines if refusal else _with_values(lines, {**scores.columns(), **companions})),
            {"reasoning": details},
            {name: mean_metrics(of_row, n_errors) for name, of_row in rows.items()},
        )


def read_reply(answer: Answer) -> tuple[ScoreLine, Exchange | None]:
    """The line of a reply, without values, and the exchange that it makes with the user's turn if it was spoken.

    The verdict is ``spoken``, ``unspoken``, ``unjudged``, ``error`` or ``missing``; `why` says what keeps the reply
    from being scored.
    """
    response, judged = answer.scorable, answer.judged
    if response is None:
        return ScoreLine.unscored(answer), None
    if response.speech_path is None:
        return ScoreLine.of(answer, None, "unspoken", "no speech"), None
    if judged is None:
        return ScoreLine.of(answer, None, "unjudged", "not judged"), None
    if judged.error is not None or judged.user is None:
        problem = judged.error or "the user's turn has no recording"
        return ScoreLine.of(answer, None, "error", f"not judged: {problem}"), None
    if judged.reply is None:
        return ScoreLine.of(answer, None, "unspoken", judged.why or "empty"), None
    exchange = Exchange(answer.item.cluster, judged.turn_number, judged.user, judged.user_audio, judged.reply)
    return ScoreLine.of(answer, None, "spoken", ""), exchange


def profile_of(task: TaskSpec, judge: Judge | None) -> tuple[Profile, str | None]:
    """The profile that the task's scorer names, and why nothing can be scored under it."""
    # Only the scorer of replies has one.
    if judge is None or all(scorer.profile != "calibrated" for scorer in task.scorers):
        return AV_EMO, None
    if judge.calibration is None or judge.no_calibration:
        return AV_EMO, f"profile calibrated: {judge.no_calibration}"
    return calibrated_profile(judge.calibration), None


def _coverage(lines: Sequence[ScoreLine]) -> Column:
    """1 for each turn that was answered in speech, 0 for one that was answered without."""
    asked = [line for line in lines if line.verdict in ("spoken", "unspoken")]
    spoken = np.array([line.verdict == "spoken" for line in asked], dtype=np.float64)
    return Column(spoken, [line.cluster for line in asked])


def _reasons(answers: Sequence[Answer], lines: Sequence[ScoreLine]) -> dict[str, int]:
    """Count why replies are not scored; spoken ones, and answers that failed or are missing, by their verdict."""
    pairs = zip(answers, lines, strict=True)
    reasons = Counter((answer.scorable and line.why) or line.verdict for answer, line in pairs)
    return dict(sorted(reasons.items()))


def _with_values(lines: Sequence[ScoreLine], columns: Mapping[str, Column]) -> Iterator[ScoreLine]:
    """The lines; those of spoken replies, in order, with the scores of their turn."""
    of_turns = {name: column.values for name, column in columns.items() if name not in CROSS_METRICS}
    position = 0
    for line in lines:
        if line.verdict == "spoken":
            scores = {name: float(row[position]) for name, row in of_turns.items()}
            line = replace(line, values={name: None if np.isnan(score) else score for name, score in scores.items()})
            position += 1
        yield line
