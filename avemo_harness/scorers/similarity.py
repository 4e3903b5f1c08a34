"""The scorer `text_similarity`: a metric of Hugging Face's `evaluate`, such as ROUGE or BERTScore, item by item."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.errors import UsageError, first_line
from avemo_harness.scorers.base import Answer, ScoreLine, TaskScores
from avemo_harness.scorers.metric import BUILT_IN
from avemo_harness.scorers.reasoning_columns import Column, mean_metrics
from avemo_harness.scorers.text import text_of, unscored_text

_NAME = "similarity"
_USUAL_KEYS = {"rouge": "rougeL", "bertscore": "f1", "bleu": "bleu", "sacrebleu": "score", "chrf": "score"}
"""The number that stands for a metric that gives several."""
Compute = Callable[[str, str], float]
"""The similarity of an answer and the true text."""


@dataclass(frozen=True)
class Similarity:
    """A metric of `evaluate`.

    Args:
        metric: its name or the folder of its module, as `evaluate.load` takes it.
        key: which of its numbers counts; by default the usual one of the metric, or its only one.
        settings: what it is computed with, such as ``{lang: en}`` for BERTScore.
    """

    metric: str = "rouge"
    key: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


class TextSimilarityScorer:
    """Mean similarity of answers and true texts by a metric of `evaluate`; an answer without words is like nothing: 0.

    Items without a true text are not scored.
    """

    Arguments = Similarity
    metrics = BUILT_IN["text_similarity"]

    def __init__(self, arguments: Similarity) -> None:
        self.arguments = arguments

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        """Score the answers of a task.

        Raises:
            UsageError: `evaluate`, the metric or what it needs is not installed, or it gives no number.
        """
        del task
        lines = [unscored_text(answer) for answer in answers]
        compute = load_similarity(self.arguments) if any(line is None for line in lines) else None
        done = [line or _line(answer, compute) for line, answer in zip(lines, answers, strict=True)]
        scored = [line for line in done if line.scored]
        values = np.array([line.values[_NAME] for line in scored], dtype=np.float64)
        column = Column(values, [line.cluster for line in scored], low=-np.inf, high=np.inf)
        errors = sum(line.verdict == "error" for line in done)
        given = {"metric": self.arguments.metric, "key": self.arguments.key, "settings": dict(self.arguments.settings)}
        return TaskScores(mean_metrics({_NAME: column}, errors), tuple(done), {_NAME: given})


def _line(answer: Answer, compute: Compute | None) -> ScoreLine:
    told = text_of(answer)
    if told is None or compute is None:
        return ScoreLine.of(answer, None, "compared", "no words", {_NAME: 0.0})
    return ScoreLine.of(answer, told, "compared", "", {_NAME: compute(told, answer.item.gold or "")})


def load_similarity(arguments: Similarity) -> Compute:
    """Load a metric of `evaluate`.

    Raises:
        UsageError: in a sentence: it is not installed, cannot be loaded, or lacks a package.
    """
    from avemo_harness.torch_setup import repair_torchvision

    name = arguments.metric
    # `evaluate` imports transformers, and that torchvision.
    repair_torchvision()
    try:
        import evaluate  # type: ignore[import-untyped]  # (it has no types)

        module = evaluate.load(name)
    except ImportError as error:
        package = f"pip install {error.name}" if error.name else "install what it needs"
        raise UsageError(
            f"text_similarity: {name} needs a package that is not installed ({first_line(error)}); {package}"
        ) from error
    except Exception as error:  # whatever the module's own code, or the way to the Hub, raises
        raise UsageError(
            f"text_similarity: evaluate.load({name!r}) failed ({first_line(error)}); give the name of a metric of "
            "evaluate, or the folder of its module"
        ) from error

    def compute(answer: str, truth: str) -> float:
        try:
            found = module.compute(predictions=[answer], references=[truth], **arguments.settings)
        except Exception as error:  # the metric is its author's code
            raise UsageError(f"text_similarity: {name} failed ({first_line(error)})") from error
        return _number_of(found or {}, arguments)

    return compute


def _number_of(found: Mapping[str, Any], arguments: Similarity) -> float:
    numbers = {key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in found.items()}
    numbers = {key: value for key, value in numbers.items() if isinstance(value, Real) and not isinstance(value, bool)}
    only = next(iter(numbers)) if len(numbers) == 1 else ""
    key = arguments.key or _USUAL_KEYS.get(arguments.metric, only)
    if key not in numbers:
        raise UsageError(
            f"text_similarity: {arguments.metric} gives {', '.join(numbers) or 'no number'}"
            + (f", and no {key!r}" if key else "")
            + "; name one by the parameter key"
        )
    return float(numbers[key])
