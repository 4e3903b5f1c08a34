"""The scorer `open_vocabulary`: sets of words for emotions, held against true sets on emotion wheels."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from avemo_harness.benchmark.corpora import CORPUS_NAME, find_corpus
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.errors import MissingDataError, UsageError
from avemo_harness.metrics.bootstrap import ClusterBootstrap, Estimate, Statistic
from avemo_harness.scorers.base import Answer, Floats, ScoreLine, Tally, TaskScores, by_cluster
from avemo_harness.scorers.metric import BUILT_IN, Metric, wheel_value
from avemo_harness.scorers.text import text_of, unscored_text
from avemo_harness.scorers.wheels import (
    SOURCE,
    TERMS_RULE,
    Wheels,
    load_wheels,
    read_terms,
    require_wheels,
    split_terms,
)


@dataclass(frozen=True)
class WheelArguments:
    """Emotion wheels.

    Args:
        wheels: the folder `emotion_wheel` of AffectGPT, or the name of a corpus that is this folder.
        level: how fine their sectors are: 1 the innermost ring, 2 the next.
    """

    wheels: str = "emotion_wheel"
    level: int = 1

    def __post_init__(self) -> None:
        if self.level not in (1, 2):
            raise UsageError(f"open_vocabulary: level must be 1 or 2, found {self.level}")


class OpenVocabularyScorer:
    """Precision, recall and F1 of the sectors that an answer's words lie in, the mean over five emotion wheels.

    On each wheel, precision and recall are means over items, and F1 is of these means. Words that do not lie on it are
    left out of answers and truths; an item without true words on it does not count there, and an answer without any has
    precision and recall 0. Where the truth is one label, recall is the hit rate.
    """

    Arguments = WheelArguments
    metrics = BUILT_IN["open_vocabulary"]

    def __init__(self, arguments: WheelArguments) -> None:
        self.arguments = arguments

    @staticmethod
    def require(arguments: WheelArguments) -> None:
        """See that the wheels are here (MissingDataError: they are not)."""
        require_wheels(_folder(arguments.wheels))

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        """Score the answers of a task.

        Raises:
            UsageError: the wheels cannot be read.
        """
        del task
        wheels = load_wheels(_folder(self.arguments.wheels), self.arguments.level)
        lines = tuple(_line(answer, wheels) for answer in answers)
        tally = Tally.of(lines)
        metrics = {}
        for metric in self.metrics:
            assert metric.counts is not None
            counts = by_cluster(lines, _counts_of(metric))
            metrics[metric.name] = tally.metric(wheel_estimate(counts, metric.of_sample(metric.counts(lines, ()))))
        read = {"rule": f"terms {TERMS_RULE}", "level": self.arguments.level}
        return TaskScores(metrics, lines, {"wheels": {**read, "words": wheels.words, "digest": wheels.digest}})


def wheel_estimate(sums: Floats, statistic: Statistic) -> Estimate:
    """A metric with an interval over resampled clusters.

    Args:
        sums: of each cluster on every wheel, as `wheel_sums` has them, flat.
    """
    return ClusterBootstrap(sums).estimate(statistic)


def _folder(wheels: str) -> Path:
    """The folder of wheels (MissingDataError: it is none, and no corpus of that name is here)."""
    folder = Path(wheels).expanduser()
    if folder.is_dir() or not re.fullmatch(CORPUS_NAME, wheels):
        return folder
    try:
        return Path(find_corpus(wheels, {}))
    except MissingDataError as error:
        command = f"git clone {SOURCE} DIR; avemo-eval data use {wheels}=DIR/AffectGPT/emotion_wheel"
        raise MissingDataError(f"the emotion wheels {wheels} are not here: {command}", command) from error


def _counts_of(metric: Metric) -> Callable[[Sequence[ScoreLine]], Floats]:
    assert metric.counts is not None
    count = metric.counts
    return lambda group: count(group, ())


def _line(answer: Answer, wheels: Wheels) -> ScoreLine:
    if (line := unscored_text(answer)) is not None:
        return line
    truths = wheels.places(split_terms(answer.item.gold or ""))
    if not any(truths):
        return ScoreLine.of(answer, None, "no truth", "no true word lies on a wheel")
    terms = read_terms(text_of(answer) or "")
    found = wheels.places(terms)
    known = [term for term in dict.fromkeys(terms) if any(wheels.places([term]))]
    values: dict[str, float | None] = {}
    for number, (truth, given) in enumerate(zip(truths, found, strict=True), start=1):
        if truth:
            hits = len(truth & given)
            values[wheel_value("precision", number)] = hits / len(given) if given else 0.0
            values[wheel_value("recall", number)] = hits / len(truth)
    why = f"{len(known)} of {len(terms)} words on the wheels"
    return ScoreLine.of(answer, ", ".join(known) or None, "compared", why, values)
