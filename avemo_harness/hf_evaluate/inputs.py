"""Labels from generated text and trajectories from plain lists, for metrics called outside a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.benchmark.task_file import resolve_parents
from avemo_harness.benchmark.task_library import SHIPPED
from avemo_harness.metrics.profiles import Profile
from avemo_harness.metrics.trajectory import Dimension, Scale, Trajectory
from avemo_harness.scorers.answers import read_label
from avemo_harness.scorers.base import ScoreLine
from avemo_harness.scorers.metric import BUILT_IN
from avemo_harness.scorers.reasoning_columns import Exchange

if TYPE_CHECKING:
    import evaluate  # type: ignore[import-untyped]  # (it has no types)

Synonyms = Mapping[str, Sequence[str]] | Mapping[str, Mapping[str, Sequence[str]]]
"""Further words by label, or by language and label, as in a task's `output.synonyms`."""


def label_output(labels: Sequence[str] | None = None, synonyms: Synonyms | None = None) -> LabelOutput:
    """Labels with the further words that count as them; without labels, those of the benchmark's own tasks.

    Args:
        synonyms: None stands for those of the benchmark's tasks where the labels are theirs, else for no further word.

    Raises:
        ValueError: fewer than two labels, one occurs twice, or a word stands for several.

    >>> label_output().labels
    ('neutral', 'happy', 'angry', 'sad')
    """
    if labels is None:
        values = resolve_parents(SHIPPED / "_understanding.yaml").values["output"]
        return LabelOutput.model_validate({**values, **({} if synonyms is None else {"synonyms": synonyms})})
    return LabelOutput.model_validate({"type": "label", "labels": list(labels), "synonyms": dict(synonyms or {})})


def read_lines(predictions: Sequence[str | None], output: LabelOutput, **columns: Sequence[str]) -> list[ScoreLine]:
    """Answers, read as a run reads them, with their truth by column.

    Raises:
        ValueError: truth that is none of the labels; with its column and index.

    >>> [line.label for line in read_lines(["**Sad**", "happy or sad", None], label_output())]
    ['sad', None, None]
    """
    for column, truth in columns.items():
        for index, name in enumerate(truth):
            if name not in output.labels:
                raise ValueError(f"{column}[{index}]: expected one of {', '.join(output.labels)}, found {name!r}")
    lines = []
    for index, text in enumerate(predictions):
        gold, heard, seen = (
            columns[name][index] if name in columns else None for name in ("references", "audio_labels", "video_labels")
        )
        label = None if text is None else read_label(text, output).label
        lines.append(ScoreLine("", "", gold, heard, seen, answer=text, label=label, verdict="", why=""))
    return lines


def rates_of_lines(scorer: str, lines: Sequence[ScoreLine], output: LabelOutput, **others: float) -> dict[str, Any]:
    """The values of a scorer's metrics that are made of counts, then others and the share of invalid answers.

    What is undefined is None.
    """
    values = {
        **{
            metric.name: metric.of_counts(metric.counts(lines, output.labels))
            for metric in BUILT_IN[scorer]
            if metric.counts
        },
        **others,
        "invalid_rate": sum(line.label is None for line in lines) / len(lines) if lines else np.nan,
    }
    return {**{name: None if np.isnan(value) else float(value) for name, value in values.items()}, "n": len(lines)}


def metric_info(description: str, inputs: str, features: Mapping[str, Any], *papers: str) -> evaluate.MetricInfo:
    """Describe a metric to `evaluate`.

    Args:
        features: of one sample, by column.
        papers: on arXiv; ``Title, arXiv 2510.07355``.
    """
    import datasets
    import evaluate

    return evaluate.MetricInfo(
        description=description,
        citation="; ".join(papers),
        inputs_description=inputs,
        features=datasets.Features(features),
        reference_urls=[f"https://arxiv.org/abs/{paper.rpartition(' ')[2]}" for paper in papers],
    )


Turn = Mapping[Dimension, Sequence[float]]
"""The values of a turn by dimension."""


def require_dimensions(turns: Sequence[Turn], profile: Profile, column: str) -> None:
    """Refuse turns with other dimensions than those that a profile looks at.

    Raises:
        ValueError: with the first one and its index.
    """
    for index, turn in enumerate(turns):
        if set(turn or ()) != set(profile.dimensions):
            needed, found = ", ".join(profile.dimensions), ", ".join(turn or ()) or "nothing"
            raise ValueError(f"{column}[{index}]: profile {profile.name} takes {needed}, and no other; found {found}")


def as_trajectories(
    turns: Sequence[Turn], profile: Profile, scale: Scale, rate_hz: float, column: str
) -> list[Trajectory]:
    """The dimensions that a profile looks at, turn by turn.

    Raises:
        ValueError: a turn's dimensions differ in length, a value is off the scale, or the profile needs another rate;
            with the turn's index.
    """
    found = []
    for index, turn in enumerate(turns):
        lengths = {len(turn[name]) for name in profile.dimensions}
        if len(lengths) != 1:
            raise ValueError(f"{column}[{index}]: expected as many values of each dimension, found {sorted(lengths)}")
        try:
            values = np.array([turn[name] for name in profile.dimensions], dtype=np.float64)
            trajectory = Trajectory(values.T, profile.dimensions, scale, rate_hz)
            # Of a judge's own values a run counts those that were clipped; here nothing would tell of them.
            if trajectory.n_clipped:
                raise ValueError(f"{trajectory.n_clipped} values are off the {scale} scale; clip them first")
            found.append(trajectory)
        except ValueError as error:
            raise ValueError(f"{column}[{index}]: {error}") from error
        if problem := profile.problem(found[-1]):
            raise ValueError(f"{column}[{index}]: profile {profile.name}: {problem}")
    return found


def spoken_exchanges(
    users: Sequence[Trajectory], replies: Sequence[Trajectory], dialogues: Sequence[str] | None
) -> list[Exchange]:
    """Each user's turn with the reply to it, where there is one.

    Args:
        replies: an empty one stands for a reply without speech.
        dialogues: the dialogue of each turn, its turns in order; None where every turn stands alone.

    Raises:
        ValueError: the number of dialogues differs.
    """
    names = [str(index) for index in range(len(users))] if dialogues is None else [str(name) for name in dialogues]
    if len(names) != len(users):
        raise ValueError(f"expected the dialogue of each of {len(users)} turns, found {len(names)}")
    seen: Counter[str] = Counter()
    exchanges = []
    for name, user, reply in zip(names, users, replies, strict=True):
        if len(reply):
            exchanges.append(Exchange(name, seen[name], user, None, reply))
        seen[name] += 1
    return exchanges
