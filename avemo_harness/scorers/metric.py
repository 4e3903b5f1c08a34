"""Metrics of the built-in scorers. They are described without NumPy, so that `ls` and `validate` stay fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from avemo_harness.metrics.bootstrap import Estimate
    from avemo_harness.metrics.profiles import Profile
    from avemo_harness.scorers.base import ScoreLine
    from avemo_harness.scorers.reasoning_columns import Column, Exchange

    Floats = NDArray[np.float64]
    Counts = Callable[[Sequence[ScoreLine], Sequence[str]], Floats]

RUBRIC = "rubric"
"""The scorer of answers that a model grades."""
RUBRIC_SCALE = (1.0, 5.0)
"""The lowest and the highest grade of a rubric that names none."""

TOO_FEW_GROUPS = "too few independent groups"
"""Note of a rate without an interval: pairs that share a dialogue, directly or through others, are one group."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of a scorer: its range, its direction, and what its value on any sample of scored lines comes from.

    Without `counts`, `of_forecasts` and `of_exchanges`, it is the mean of the lines' own values
    (`avemo_harness.scorers.base.ScoreLine.values`). A value that is NaN is undefined, and shown as "—".

    Args:
        low, high: the range; infinite where it is unbounded or unknown.
        higher_is_better: None where neither end is better.
        column: its short name where conditions are compared; empty for metrics that stand in no table of these.
        counts: of scored lines and a task's labels, an array of any shape (K), which is summed over clusters.
        statistic: the value from summed counts, (B, K), and those of all items, (K), unscored ones too; shape (B,).
        of_forecasts: the value from each item's confidence, (N,), whether it is right, (N,), and weights, (B, N).
        of_exchanges: columns by metric, of judged turns and replies under a profile.
        of_value: name of the value that a line must have to be counted; empty where every scored line is.
        verdict: of the lines whose share the metric is; None where it is no share of lines.
        needs_ranking: it is undefined where labels are generated.
        needs_judge: it is made of a recogniser's judgements.
        needs_grader: it is made of the grades that a model gives by a rubric.
        uses_user_view: its value depends on which streams the user was judged by.
        uses_steps: its value depends on how the emotion moves within a reply.
        too_few: note of a value of too few clusters for an interval, where these are no dialogues; see `noted`.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool | None = True
    unit: str = "proportion"
    column: str = ""
    counts: Counts | None = None
    statistic: Callable[[Floats, Floats], Floats] | None = None
    of_forecasts: Callable[[Floats, Floats, Floats], Floats] | None = None
    of_exchanges: Callable[[Sequence[Exchange], Profile], Mapping[str, Column]] | None = None
    of_value: str = ""
    verdict: str | None = None
    needs_ranking: bool = False
    needs_judge: bool = False
    needs_grader: bool = False
    uses_user_view: bool = False
    uses_steps: bool = False
    too_few: str | None = None

    def of_sample(self, total: Floats) -> Callable[[Floats], Floats]:
        """Fix the statistic to a sample.

        Args:
            total: counts of all its items, shape (K).

        Returns:
            The statistic of flattened counts of resamples, shape (B, K).
        """
        assert self.statistic is not None
        statistic = self.statistic
        return lambda sums: statistic(sums.reshape(-1, *total.shape), total)

    def of_counts(self, counts: Floats) -> float:
        """The value of one sample, from its counts, shape (K); NaN where undefined."""
        return float(self.of_sample(counts)(counts)[0])

    def noted(self, estimate: Estimate) -> Estimate:
        """An estimate of the metric, which says of what there are too few clusters."""
        from avemo_harness.metrics.bootstrap import TOO_FEW

        return replace(estimate, note=self.too_few) if self.too_few and estimate.note == TOO_FEW else estimate


def unknown_metric(name: str, needs_judge: bool = False) -> Metric:
    """A metric of which a package tells nothing but the name."""
    return Metric(name, low=-inf, high=inf, higher_is_better=None, unit="", needs_judge=needs_judge)


def on_scale(metric: Metric, scale: Sequence[float]) -> Metric:
    """A metric of grades in the range of a rubric's scale; one with a range of its own stays as it is."""
    return metric if metric.low > -inf else replace(metric, low=scale[0], high=scale[1])


def _lazily(path: str) -> Callable[..., Any]:
    """A function ``module.name`` of `avemo_harness`, imported when it is first called."""
    module, _, name = f"avemo_harness.{path}".rpartition(".")
    return lambda *arguments: getattr(import_module(module), name)(*arguments)


def confusion_counts(lines: Sequence[ScoreLine], labels: Sequence[str]) -> Floats:
    """Lines by gold label and answered one, shape (L, L + 1); a label that is none of `labels` is an invalid answer."""
    from avemo_harness.metrics import classification

    index = {label: i for i, label in enumerate(labels)}
    gold = [index[line.gold or ""] for line in lines]
    return classification.confusion_counts(gold, [index.get(line.label or "") for line in lines], len(labels))


def preference_counts(lines: Sequence[ScoreLine], labels: Sequence[str] = ()) -> Floats:
    """Lines that name the sound's label, the face's or neither, shape (3,)."""
    from avemo_harness.metrics import preference

    del labels
    return preference.preference_counts(
        [line.label for line in lines],
        [line.audio_label or "" for line in lines],
        [line.video_label or "" for line in lines],
    )


def spoken_counts(lines: Sequence[ScoreLine], labels: Sequence[str] = ()) -> Floats:
    """Lines that were answered without speech, and in speech, shape (2,)."""
    import numpy as np

    del labels
    spoken = sum(line.verdict == "spoken" for line in lines)
    return np.array([len(lines) - spoken, spoken], dtype=np.float64)


OPTION, OPTIONS = "option", "options"
"""Values of the line of a choice: the place in the data set of the option that was named, and how many there are."""
NUMBER = "number"
"""The value of a line whose answer holds a number."""
QUESTION, OF_DIALOGUE = "question", "of_dialogue"
"""Values of a line: the place of its question among those of its dialogue, from 0, and how many these are."""
WHEELS = 5
"""Emotion wheels that words are held against."""


def wheel_value(measure: str, wheel: int) -> str:
    """Name of a line's value on a wheel, counted from 1."""
    return f"{measure}_wheel{wheel}"


def _right_and_all(lines: Sequence[ScoreLine], labels: Sequence[str] = ()) -> Floats:
    """Right answers and all answers, shape (2,)."""
    import numpy as np

    del labels
    return np.array([sum(line.verdict == "right" for line in lines), len(lines)], dtype=np.float64)


def letter_counts(lines: Sequence[ScoreLine], labels: Sequence[str] = ()) -> Floats:
    """True and answered letters of the lines that name an option, shape (2, 26)."""
    from avemo_harness.benchmark.task import LETTERS
    from avemo_harness.metrics.choices import letter_counts

    del labels
    named = [(LETTERS.index(line.gold or ""), LETTERS.index(line.label)) for line in lines if line.label is not None]
    return letter_counts([truth for truth, _ in named], [answer for _, answer in named])


def rotation_counts(lines: Sequence[ScoreLine], labels: Sequence[str] = ()) -> Floats:
    """Turns of which all rotations are scored: those whose answers name one option, and all, shape (2,)."""
    import numpy as np

    from avemo_harness.benchmark.planning import rotated_turn

    del labels
    turns: dict[str, list[ScoreLine]] = {}
    for line in lines:
        if (turn := rotated_turn(line.item)) is not None:
            turns.setdefault(turn, []).append(line)
    whole = [of_turn for of_turn in turns.values() if len(of_turn) == of_turn[0].values.get(OPTIONS)]
    named = [{line.values.get(OPTION) for line in of_turn} for of_turn in whole]
    return np.array([sum(len(options) == 1 and None not in options for options in named), len(whole)], dtype=np.float64)


def dialogue_counts(lines: Sequence[ScoreLine], labels: Sequence[str] = ()) -> Floats:
    """Dialogues of which all questions are scored: those with nothing but right answers, and all, shape (2,)."""
    import numpy as np

    del labels
    dialogues: dict[str, list[ScoreLine]] = {}
    for line in lines:
        dialogues.setdefault(line.cluster, []).append(line)
    whole = [found for found in dialogues.values() if len(found) == found[0].values.get(OF_DIALOGUE)]
    right = sum(all(line.verdict == "right" for line in found) for found in whole)
    return np.array([right, len(whole)], dtype=np.float64)


def _first_counts(lines: Sequence[ScoreLine], labels: Sequence[str] = ()) -> Floats:
    return _right_and_all([line for line in lines if line.values.get(QUESTION) == 0], labels)


def _last_counts(lines: Sequence[ScoreLine], labels: Sequence[str] = ()) -> Floats:
    numbered = [(line, line.values.get(QUESTION), line.values.get(OF_DIALOGUE)) for line in lines]
    return _right_and_all(
        [line for line, number, asked in numbered if number is not None and number + 1 == asked], labels
    )


def _seq(sums: Floats, total: Floats) -> Floats:
    return _lazily("metrics.spoken_eq.spoken_eq")(_ratio(sums, total))


def number_moments(lines: Sequence[ScoreLine], labels: Sequence[str] = ()) -> Floats:
    """Sums of answered numbers and true ones, as `avemo_harness.metrics.agreement.series_moments` has them: (6,)."""
    import numpy as np

    from avemo_harness.metrics.agreement import series_moments

    del labels
    pairs = [(line.values[NUMBER], float(line.gold or "")) for line in lines if NUMBER in line.values]
    answered, truth = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return series_moments(answered, truth)


def number_errors(lines: Sequence[ScoreLine], labels: Sequence[str] = ()) -> Floats:
    """Sum of absolute errors, and how many answers hold a number, shape (2,)."""
    import numpy as np

    del labels
    errors = [line.values["mae"] or 0.0 for line in lines if NUMBER in line.values]
    return np.array([sum(errors), len(errors)], dtype=np.float64)


def wheel_sums(lines: Sequence[ScoreLine], labels: Sequence[str] = ()) -> Floats:
    """Sums of precision and of recall on each wheel, and how many lines have them, shape (WHEELS, 3)."""
    import numpy as np

    del labels
    sums = np.zeros((WHEELS, 3))
    for line in lines:
        for wheel in range(WHEELS):
            precision, recall = (line.values.get(wheel_value(name, wheel + 1)) for name in ("precision", "recall"))
            if precision is not None and recall is not None:
                sums[wheel] += precision, recall, 1.0
    return sums


def number_rate(lines: Sequence[ScoreLine], labels: Sequence[str] = ()) -> Floats:
    """Answers that hold a number, and all answers, shape (2,)."""
    import numpy as np

    del labels
    return np.array([sum(NUMBER in line.values for line in lines), len(lines)], dtype=np.float64)


def _ratio(sums: Floats, total: Floats) -> Floats:
    """The first count over the second; NaN without any."""
    import numpy as np

    del total
    return np.where(sums[:, 1] > 0, sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], 1.0), np.nan)


def _of_ratio(name: str, counts: Counts, **others: Any) -> Metric:
    return Metric(name, counts=counts, statistic=_ratio, **others)


def _of_numbers(name: str, function: str) -> Metric:
    statistic = _lazily(f"metrics.agreement.{function}")
    return Metric(
        name, low=-1.0, counts=number_moments, statistic=lambda sums, _: statistic(sums), of_value=NUMBER, unit=""
    )


def _of_wheels(name: str, which: str, **others: Any) -> Metric:
    statistic = _lazily(f"metrics.sets.{which}")
    return Metric(name, counts=wheel_sums, statistic=lambda sums, _: statistic(sums), **others)


def _macro_f1(sums: Floats, total: Floats) -> Floats:
    from avemo_harness.metrics.classification import macro_f1

    # A label that occurs in the whole sample counts in every resample.
    return macro_f1(sums, total.sum(axis=-1) > 0)


def _of_confusion(name: str, function: str, **others: Any) -> Metric:
    statistic = _lazily(f"metrics.classification.{function}")
    return Metric(name, counts=confusion_counts, statistic=lambda sums, _: statistic(sums), **others)


def _share(name: str, counts: Counts, which: int, **others: Any) -> Metric:
    """The share of one kind of line."""
    rate = _lazily("metrics.preference.preference_rate")
    return Metric(name, higher_is_better=None, counts=counts, statistic=lambda sums, _: rate(sums, which), **others)


_USE_STEPS = ("ess", "ess_rate", "ers")
"""ERS holds ESS; CT-ESS and CT-ERS hold one reply against the next."""

_REPLY_COLUMNS = _lazily("scorers.reasoning_columns.all_columns")
"""One function for all metrics of replies, so that whoever asks for several computes the columns once."""


def _of_replies(name: str, uses_user_view: bool = True, low: float = 0.0) -> Metric:
    return Metric(
        name,
        low=low,
        of_exchanges=_REPLY_COLUMNS,
        needs_judge=True,
        uses_user_view=uses_user_view,
        uses_steps=name in _USE_STEPS,
    )


_OF_CHOICES = (
    _of_ratio("accuracy", _right_and_all, column="Acc", verdict="right"),
    Metric(
        "position_bias",
        higher_is_better=False,
        counts=letter_counts,
        statistic=lambda sums, _: _lazily("metrics.choices.position_bias")(sums),
        of_value=OPTION,
    ),
    _of_ratio("consistency", rotation_counts),
)

BUILT_IN: dict[str, tuple[Metric, ...]] = {
    "understanding": (
        _of_confusion("accuracy", "accuracy", column="Acc", verdict="right"),
        Metric("macro_f1", column="F1", counts=confusion_counts, statistic=_macro_f1),
        _of_confusion("f1_all4", "macro_f1_all"),
        _of_confusion("balanced_accuracy", "balanced_accuracy"),
        _of_confusion("weighted_f1", "weighted_f1"),
        _of_confusion("uar", "balanced_accuracy"),
        Metric(
            "ece",
            higher_is_better=False,
            of_forecasts=_lazily("metrics.calibration.expected_calibration_error"),
            needs_ranking=True,
        ),
        Metric("brier", high=2.0, higher_is_better=False, needs_ranking=True),
    ),
    "modality_preference": (
        _share("aar", preference_counts, 0, verdict="audio", too_few=TOO_FEW_GROUPS),
        _share("var", preference_counts, 1, verdict="video", too_few=TOO_FEW_GROUPS),
        _share("olr", preference_counts, 2, verdict="other", too_few=TOO_FEW_GROUPS),
    ),
    "reasoning": (
        *map(_of_replies, ("ecs", "ebs", "ebs_dir", "ers", "ct_ecs", "ct_ebs", "ct_ebs_dir", "ct_ers", "ecs_band")),
        *(_of_replies(name, uses_user_view=False) for name in ("ess", "ct_ess", "ess_rate", "ecs_audio")),
        *(_of_replies(f"{name}_anchored", low=-inf) for name in ("ecs", "ebs", "ct_ecs", "ct_ebs")),
        _share("coverage", spoken_counts, 1),
    ),
    RUBRIC: (
        Metric("rubric_mean", low=-inf, high=inf, unit="points", needs_grader=True),
        Metric("rubric_pass", needs_grader=True),
    ),
    "choice": _OF_CHOICES,
    "spoken_eq": (
        *_OF_CHOICES[:2],
        _of_ratio("trajectory_accuracy", dialogue_counts),
        _of_ratio("first_accuracy", _first_counts),
        _of_ratio("last_accuracy", _last_counts),
        Metric("seq", low=40.0, high=160.0, unit="points", column="SEQ", counts=dialogue_counts, statistic=_seq),
    ),
    "numbers": (
        _of_numbers("ccc", "concordance_with_labels"),
        _of_ratio("mae", number_errors, high=inf, higher_is_better=False, of_value=NUMBER, unit="points"),
        _of_numbers("pearson", "correlation"),
        _of_ratio("answered", number_rate, verdict="number"),
    ),
    "raters": (
        Metric("vote_accuracy", column="Acc_vote"),
        Metric("vote_share", column="Share"),
        Metric("rater_accuracy"),
        Metric("rater_share"),
        Metric("vote_cross_entropy", high=inf, higher_is_better=False, unit="nats", needs_ranking=True),
        Metric("vote_kl", high=inf, higher_is_better=False, unit="nats", needs_ranking=True),
    ),
    "text_match": (
        Metric("normalised_match", column="Match", counts=_right_and_all, statistic=_ratio, verdict="right"),
        Metric("exact_match"),
    ),
    "text_similarity": (Metric("similarity", low=-inf, high=inf, unit=""),),
    "open_vocabulary": (
        _of_wheels("wheel_f1", "mean_f1", column="F1"),
        _of_wheels("wheel_precision", "mean_precision"),
        _of_wheels("wheel_recall", "mean_recall"),
        _of_wheels("hit_rate", "mean_recall", column="Hit"),
    ),
}
"""By scorer. Two values of a metric are at most ``high - low`` apart."""

ANSWERS_OF: dict[str, tuple[str, ...]] = {
    "understanding": ("label",),
    "modality_preference": ("label",),
    "reasoning": ("spoken_response",),
    "choice": ("choice",),
    "spoken_eq": ("choice",),
    "numbers": ("number",),
    "raters": ("label",),
    "text_match": ("text",),
    "text_similarity": ("text", "spoken_response"),
    "open_vocabulary": ("text",),
    RUBRIC: ("text", "spoken_response"),
}
"""By scorer, the types of output that it scores; one that is missing here scores any."""
