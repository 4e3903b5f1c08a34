"""Reasoning metrics of a set of replies, one column a metric, and their means with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.bootstrap import ClusterBootstrap, Estimate, Statistic, bounded_at_edges
from avemo_harness.metrics.dialogues import DialogueScores, TurnScores, dialogue_means, score_dialogues, score_turns
from avemo_harness.metrics.profiles import Profile
from avemo_harness.metrics.reasoning import balance_direction, contagion, contagion_in_band, steadiness
from avemo_harness.metrics.shares import share_estimate
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.metrics.trivial_replies import anchored, constant_replies, ideal_balancers, shuffles
from avemo_harness.scorers.base import MetricValue, metric_value

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A score of every unit: turns or dialogues.

    Args:
        values: in [low, high], float64 (N,); NaN where undefined.
        clusters: what each unit is resampled with.
        shuffled: the units' scores with the replies of others; where given, the mean is anchored at their mean.
        low, high: the range, within which the interval of the mean is.
    """

    values: Floats
    clusters: Sequence[str]
    shuffled: Floats | None = None
    low: float = 0.0
    high: float = 1.0

    @property
    def defined(self) -> NDArray[np.bool_]:
        known = ~np.isnan(self.values)
        return known if self.shuffled is None else known & ~np.isnan(self.shuffled)

    @property
    def mean(self) -> float | None:
        """The plain mean of what is defined."""
        return float(self.values[self.defined].mean()) if self.defined.any() else None

    @property
    def is_share(self) -> bool:
        """All defined values are 0 or 1, and the mean is not anchored."""
        return self.shuffled is None and bool(np.isin(self.values[self.defined], (0.0, 1.0)).all())


def mean_metrics(columns: Mapping[str, Column], n_errors: int) -> dict[str, MetricValue]:
    """The mean of each column over its defined units, with an interval over the clusters that hold any of them.

    Columns that are defined in the same clusters share their resamples. A mean of nothing but zeros and ones has the
    interval of a share.
    """
    names = sorted({cluster for column in columns.values() for cluster in column.clusters})
    index = {name: i for i, name in enumerate(names)}
    sums = {name: column_sums(column, index) for name, column in columns.items()}
    alike: dict[bytes, list[str]] = {}
    for name, table in sums.items():
        alike.setdefault((table[:, 0] > 0).tobytes(), []).append(name)
    estimates: dict[str, Estimate] = {}
    for group in alike.values():
        bootstrap = ClusterBootstrap(np.concatenate([sums[name] for name in group], axis=1))
        for position, name in enumerate(group):
            estimates[name] = _estimate(columns[name], sums[name], bootstrap, position)
    metrics = {}
    for name, column in columns.items():
        n = int(column.defined.sum())
        metrics[name] = metric_value(estimates[name], n, 0, n_errors, len(column.values) - n)
    return metrics


def _estimate(column: Column, sums: Floats, bootstrap: ClusterBootstrap, position: int) -> Estimate:
    """The mean of the column whose sums are at a position of the bootstrap's."""
    if column.is_share:
        return share_estimate(sums[:, 1], sums[:, 0])
    if column.shuffled is not None:
        return bootstrap.estimate(anchored_statistic(position), low=-np.inf)
    if (column.low, column.high) != (0.0, 1.0):
        return bootstrap.estimate(mean_statistic(position), low=column.low, high=column.high)
    return bounded_at_edges(bootstrap.estimate(mean_statistic(position)))


def column_sums(column: Column, index: Mapping[str, int]) -> Floats:
    """Number, sum, and sum of the shuffled scores of the defined units of each cluster, shape (D, 3).

    Args:
        index: the row of each cluster.
    """
    defined = column.defined
    rows = np.array([index[cluster] for cluster in column.clusters], dtype=np.intp)[defined]
    shuffled = np.zeros(len(column.values)) if column.shuffled is None else column.shuffled
    parts = [None, column.values[defined], shuffled[defined]]
    return np.stack([np.bincount(rows, weights=part, minlength=len(index)) for part in parts], axis=1).astype(float)


def mean_statistic(position: int) -> Statistic:
    """The mean of one of several columns whose sums stand side by side."""
    return lambda sums: sums[:, 3 * position + 1] / _or_nan(sums[:, 3 * position])


def anchored_statistic(position: int) -> Statistic:
    """The mean of one of several such columns, anchored at that of the replies of others."""

    def statistic(sums: Floats) -> Floats:
        n = _or_nan(sums[:, 3 * position])
        return anchored(sums[:, 3 * position + 1] / n, sums[:, 3 * position + 2] / n)

    return statistic


def _or_nan(counts: Floats) -> Floats:
    return np.where(counts > 0, counts, np.nan)


TURN_METRICS = ("ecs", "ebs", "ebs_dir", "ess", "ers")
CROSS_METRICS = ("ct_ecs", "ct_ebs", "ct_ebs_dir", "ct_ess", "ct_ers")
ANCHORED = ("ecs", "ebs", "ct_ecs", "ct_ebs")
"""ESS does not depend on the user, and ERS holds it."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A user's turn and the reply to it, as judged.

    Args:
        dialogue: what the turn is resampled with.
        turn_number: of the dialogue's user turns, from 0 on.
        user_audio: the user's turn by its sound alone, where it has sound.
    """

    dialogue: str
    turn_number: int
    user: Trajectory
    user_audio: Trajectory | None
    reply: Trajectory


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of N exchanges, and of the D dialogues that they belong to.

    Args:
        direction: EBS_dir of each exchange, float64 (N,); NaN where EBS is undefined.
        of_turns: the dialogue of each exchange.
    """

    turns: TurnScores
    direction: Floats
    dialogues: DialogueScores
    of_turns: tuple[str, ...]

    @classmethod
    def of(cls, exchanges: Sequence[Exchange], profile: Profile, replies: Sequence[Trajectory] | None = None) -> Scores:
        """Score replies to the users' turns of some exchanges: their own, or others in place of these."""
        users = [exchange.user for exchange in exchanges]
        replies = [exchange.reply for exchange in exchanges] if replies is None else replies
        turns = score_turns(users, replies, profile)
        names = [exchange.dialogue for exchange in exchanges]
        numbers = [exchange.turn_number for exchange in exchanges]
        dialogues = score_dialogues(turns, replies, names, numbers, profile)
        return cls(turns, balance_direction(users, replies, profile), dialogues, tuple(names))

    def column(self, metric: str) -> Column:
        """A metric of every turn, or of every dialogue for ``ct_…``."""
        if metric == "ct_ebs_dir":
            return Column(self._direction_of_dialogues(), self.dialogues.dialogues)
        if metric in CROSS_METRICS:
            return Column(getattr(self.dialogues, metric), self.dialogues.dialogues)
        if metric == "ebs_dir":
            return Column(self.direction, self.of_turns)
        values = self.turns.ers if metric == "ers" else getattr(self.turns, metric).value
        return Column(values, self.of_turns)

    def columns(self) -> dict[str, Column]:
        """Every metric."""
        return {metric: self.column(metric) for metric in (*TURN_METRICS, *CROSS_METRICS)}

    def _direction_of_dialogues(self) -> Floats:
        """Mean EBS_dir of each dialogue over its turns that have one, float64 (D,)."""
        members = np.searchsorted(self.dialogues.dialogues, self.of_turns)
        return dialogue_means(self.direction, members, len(self.dialogues.dialogues))


def companion_columns(exchanges: Sequence[Exchange], profile: Profile) -> dict[str, Column]:
    """Companions of the published metrics, turn by turn, since each of those is blind to something."""
    names = [exchange.dialogue for exchange in exchanges]
    users, replies = [exchange.user for exchange in exchanges], [exchange.reply for exchange in exchanges]
    voices = {i: voice for i, exchange in enumerate(exchanges) if (voice := exchange.user_audio) is not None}
    by_sound = np.full(len(exchanges), np.nan)
    by_sound[list(voices)] = contagion(list(voices.values()), [replies[i] for i in voices], profile).value
    values = {
        "ecs_audio": by_sound,
        "ecs_band": contagion_in_band(users, replies, profile).value,
        "ess_rate": steadiness(replies, profile),
    }
    return {name: Column(of_turns, names) for name, of_turns in values.items()}


def all_columns(exchanges: Sequence[Exchange], profile: Profile) -> dict[str, Column]:
    """Every metric of judged replies: the published ones, their companions and those anchored at others' replies."""
    scores = Scores.of(exchanges, profile)
    anchors = anchored_columns(scores, shuffled_columns(exchanges, profile))
    return {**scores.columns(), **companion_columns(exchanges, profile), **anchors}


def trivial_rows(exchanges: Sequence[Exchange], profile: Profile) -> dict[str, dict[str, Column]]:
    """The scores of replies that take no understanding, on the same turns, by row and metric."""
    users = [exchange.user for exchange in exchanges]
    return {
        "copy": Scores.of(exchanges, profile, users).columns(),
        "ideal balancer": Scores.of(exchanges, profile, ideal_balancers(users, profile)).columns(),
        "constant": Scores.of(exchanges, profile, constant_replies(users)).columns(),
        "shuffled": shuffled_columns(exchanges, profile),
    }


def shuffled_columns(exchanges: Sequence[Exchange], profile: Profile) -> dict[str, Column]:
    """Each unit's mean scores with the replies to other dialogues; all undefined where there are too few of those."""
    names = [exchange.dialogue for exchange in exchanges]
    replies = [exchange.reply for exchange in exchanges]
    draws = [Scores.of(exchanges, profile, [replies[i] for i in order]).columns() for order in shuffles(names)]
    return {
        metric: replace(column, values=_mean_of([draw[metric].values for draw in draws], len(column.values)))
        for metric, column in Scores.of(exchanges, profile).columns().items()
    }


def anchored_columns(scores: Scores, shuffled: Mapping[str, Column]) -> dict[str, Column]:
    """The metrics that are anchored at what replies to others get."""
    return {
        f"{metric}_anchored": replace(scores.column(metric), shuffled=shuffled[metric].values) for metric in ANCHORED
    }


def _mean_of(drawn: Sequence[Floats], count: int) -> Floats:
    """Mean of the defined values of each unit over the draws."""
    if not drawn:
        return np.full(count, np.nan)
    values = np.stack(drawn)
    defined = ~np.isnan(values)
    n = defined.sum(axis=0)
    return np.where(n > 0, np.where(defined, values, 0.0).sum(axis=0) / np.maximum(n, 1), np.nan)
