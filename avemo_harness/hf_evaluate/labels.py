"""Labels from generated text, for metrics that are called outside a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.benchmark.task_file import resolve_parents
from avemo_harness.benchmark.task_library import SHIPPED
from avemo_harness.scorers.answers import read_label

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


def parse_answers(answers: Sequence[str | None], output: LabelOutput) -> list[str | None]:
    """The label of each answer, read as a run reads it; None for an invalid one.

    >>> parse_answers(["**Sad**", "happy or sad", None], label_output())
    ['sad', None, None]
    """
    return [None if answer is None else read_label(answer, output).label for answer in answers]


def require_labels(values: Sequence[str], output: LabelOutput, column: str) -> None:
    """Refuse truth that is none of the labels.

    Raises:
        ValueError: with the first one and its place.
    """
    for place, value in enumerate(values):
        if value not in output.labels:
            raise ValueError(f"{column}[{place}]: expected one of {', '.join(output.labels)}, found {value!r}")
