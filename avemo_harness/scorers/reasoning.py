"""Does the emotion of a spoken reply follow the user's, balance it, and stay steady: the scorer `reasoning`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.metrics.profiles import AV_EMO, Profile, calibrated_profile
from avemo_harness.scorers.answers import unscored_line
from avemo_harness.scorers.base import Answer, ScoreLine, TaskScores
from avemo_harness.scorers.judged import Judge
from avemo_harness.scorers.means import Column, mean_metrics
from avemo_harness.scorers.reasoning_details import (
    Unspoken,
    clipped_values,
    ers_apart,
    exchange_problem,
    extreme_turns,
    on_reference_turns,
    other_profiles,
    uncut_means,
    users_by_view,
    with_missing_as_zero,
)
from avemo_harness.scorers.reasoning_rows import (
    CROSS_METRICS,
    TURN_METRICS,
    Exchange,
    Scores,
    anchored_columns,
    companion_columns,
    trivial_rows,
)

Verdict = Literal["spoken", "unspoken", "unjudged", "error", "missing"]


class ReasoningScorer:
    """ECS, EBS, ESS and ERS of spoken replies, turn by turn and across turns, from a judge's trajectories.

    Means are over the turns that were answered in speech (`coverage` says how many); the cross-turn metrics are means
    over dialogues. Nothing is scored before a judge was asked.
    """

    metrics = frozenset(
        {*TURN_METRICS, *CROSS_METRICS, "ecs_audio", "ecs_band", "ess_rate", "coverage"}
        | {"ecs_anchored", "ebs_anchored", "ct_ecs_anchored", "ct_ebs_anchored"}
    )

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        readings = [_read(answer) for answer in answers]
        exchanges = [reading.exchange for reading in readings if reading.exchange is not None]
        judge = next((answer.judged.judge for answer in answers if answer.judged), None)
        profile, refusal = _profile(task, judge)
        refusal = refusal or exchange_problem(exchanges, profile)
        scored = [] if refusal else exchanges
        scores = Scores.of(scored, [one.reply for one in scored], profile)
        rows = trivial_rows(scored, profile)
        companions = companion_columns(scored, profile)
        columns = {
            **scores.columns(),
            **companions,
            **anchored_columns(scores, rows["shuffled"]),
            "coverage": _coverage(readings),
        }
        n_errors = sum(reading.verdict == "error" for reading in readings)
        details = {
            "profile": asdict(profile),
            "profile_refused": refusal,
            "replies": dict(sorted(Counter(reading.why or reading.verdict for reading in readings).items())),
            "uncut_means": uncut_means(scores),
            "missing_as_zero": with_missing_as_zero(scores, [r.unspoken for r in readings if r.unspoken], profile),
            "extreme": extreme_turns(scored, profile, judge),
            "ers": ers_apart(scores),
            "on_reference_turns": on_reference_turns(
                scored, [r.has_reference for r in readings if r.exchange], profile
            ),
            "profiles": other_profiles(exchanges, profile, judge),
            **users_by_view([reading.answer.judged for reading in readings if reading.exchange]),
            "clipped": clipped_values([answer.judged for answer in answers]),
        }
        lines = _lines(readings, {**scores.columns(), **companions}, bool(refusal))
        return TaskScores(
            mean_metrics(columns, n_errors),
            lines,
            {"reasoning": details},
            {name: mean_metrics(of_row, n_errors) for name, of_row in rows.items()},
        )


@dataclass(frozen=True, slots=True)
class _Reading:
    """An answer, whether it was spoken, and if so the exchange that it makes with the user's turn."""

    answer: Answer
    verdict: Verdict
    why: str = ""
    exchange: Exchange | None = None

    @property
    def unspoken(self) -> Unspoken | None:
        judged = self.answer.judged
        if self.verdict != "unspoken":
            return None
        return Unspoken(self.answer.item.cluster, judged.user if judged else None)

    @property
    def has_reference(self) -> bool:
        return self.answer.judged is not None and self.answer.judged.has_reference


def _read(answer: Answer) -> _Reading:
    judged = answer.judged
    if not answer.scorable:
        return _Reading(answer, "missing" if answer.missing else "error", "missing" if answer.missing else "error")
    if answer.speech is None:
        return _Reading(answer, "unspoken", "no speech")
    if judged is None:
        return _Reading(answer, "unjudged", "not judged")
    if judged.error is not None or judged.user is None:
        return _Reading(answer, "error", "not judged: " + (judged.error or "the user's turn has no recording"))
    if judged.reply is None:
        return _Reading(answer, "unspoken", judged.why or "empty")
    exchange = Exchange(answer.item.cluster, judged.place, judged.user, judged.user_audio, judged.reply)
    return _Reading(answer, "spoken", exchange=exchange)


def _profile(task: TaskSpec, judge: Judge | None) -> tuple[Profile, str | None]:
    """The profile that the task's scorer names, and why nothing can be scored under it."""
    named = next((scorer.profile for scorer in task.scorers if scorer.name == "reasoning"), None)
    if named != "calibrated" or judge is None:
        return AV_EMO, None
    if judge.calibration is None or judge.no_calibration:
        return AV_EMO, f"profile calibrated: {judge.no_calibration}"
    return calibrated_profile(judge.calibration), None


def _coverage(readings: Sequence[_Reading]) -> Column:
    """1 for each turn that was answered in speech, 0 for one that was answered without."""
    asked = [reading for reading in readings if reading.verdict in ("spoken", "unspoken")]
    spoken = np.array([reading.verdict == "spoken" for reading in asked], dtype=np.float64)
    return Column(spoken, [reading.answer.item.cluster for reading in asked])


def _lines(readings: Sequence[_Reading], columns: dict[str, Column], refused: bool) -> tuple[ScoreLine, ...]:
    """A line an item; those of spoken replies, in order, carry the scores of their turn."""
    of_turns = {name: column.values for name, column in columns.items() if name not in CROSS_METRICS}
    lines = []
    position = 0
    for reading in readings:
        answer = reading.answer
        values: dict[str, float | None] = {}
        if reading.exchange is not None and not refused:
            scores = {name: float(row[position]) for name, row in of_turns.items()}
            values = {name: None if np.isnan(score) else score for name, score in scores.items()}
            position += 1
        if answer.scorable:
            lines.append(ScoreLine(answer.item, answer.text, None, reading.verdict, reading.why, values))
        else:
            lines.append(unscored_line(answer))
    return tuple(lines)
