"""Understanding of emotion as classification, for `evaluate.load`."""

from __future__ import annotations

from collections.abc import Sequence

import datasets
import evaluate  # type: ignore[import-untyped]  # (it has no types)

from avemo_harness.hf_evaluate.inputs import Synonyms, label_output, metric_info, rates_of_lines, read_lines
from avemo_harness.metrics.classification import f1_per_label
from avemo_harness.scorers.metric import confusion_counts

DESCRIPTION = """\
Whether a model names the user's emotion: accuracy, F1 and balanced accuracy of answers in words, as AV-EMO-Reasoning
(arXiv 2510.07355) reports them (Acc_AV, F1_AV, Acc_A, Acc_V: a condition a call). All are in [0, 1], higher is better.
"""
INPUTS = """
Args:
    predictions: generated answers, read as a run reads them (version 2 of the rule): what follows "answer:" or the like
        decides if it claims one label, else the one label that the answer claims, not negated; any other, and None, is
        invalid and counts as wrong.
    references: the true label of each.
    labels: all labels, default neutral, happy, angry, sad.
    synonyms: further words that count as a label, by label or by language and label; default, with the default labels,
        those of the benchmark in seven languages.
Returns:
    accuracy: right answers / answers.
    macro_f1: plain mean of F1 over the labels that occur in the references.
    f1_all4: the same over all labels, one with neither references nor predictions counting 0.
    balanced_accuracy: mean recall over the labels that occur in the references.
    f1_<label>: of each label; None where it is neither a reference nor predicted.
    invalid_rate: invalid answers / answers.
    n: answers.
    Every value but n is None where there are no answers.
Examples:
    >>> scores = metric.compute(predictions=["happy", "It is anger.", None], references=["happy", "angry", "sad"])
    >>> round(scores["accuracy"], 3), round(scores["macro_f1"], 3), scores["f1_neutral"], scores["n"]
    (0.667, 0.667, None, 3)
"""
CITATION = "AV-EMO-Reasoning, arXiv 2510.07355"


class AvemoUnderstanding(evaluate.Metric):  # type: ignore[misc]  # (evaluate has no types)
    """Accuracy, F1 and balanced accuracy of answers in words."""

    def _info(self) -> evaluate.MetricInfo:
        columns = {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
        return metric_info(DESCRIPTION, INPUTS, columns, CITATION)

    def _compute(
        self,
        predictions: Sequence[str | None],
        references: Sequence[str],
        labels: Sequence[str] | None = None,
        synonyms: Synonyms | None = None,
    ) -> dict[str, float | None]:
        output = label_output(labels, synonyms)
        lines = read_lines(predictions, output, references=references)
        f1 = zip(output.labels, f1_per_label(confusion_counts(lines, output.labels)), strict=True)
        return rates_of_lines("understanding", lines, output, **{f"f1_{label}": value for label, value in f1})
