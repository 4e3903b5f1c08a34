"""The paper's Table 1 for a user's own data (AV-EMO-Reasoning, arXiv 2510.07355)."""

from __future__ import annotations

from collections.abc import Sequence

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.recognizers.categorical.card import Recognition, with_interval
from avemo_harness.recognizers.streams import VIEW_NAMES
from avemo_harness.text_table import aligned

PUBLISHED = {
    "SenseVoice-Small (published, MultiDialog)": (0.4745, 0.4599, 0.3717, 0.3128),
    "EmotiEffLib (published, MultiDialog)": (0.5642, 0.3033, 0.0639, 0.0727),
    "AV-EMO-Reasoning (published, MultiDialog)": (0.6074, 0.6350, 0.6074, 0.5111),
}
"""Table 1 as printed: F1 of neutral, happy, angry and sad; it is headed weighted F1."""


def recognition_table(recognitions: Sequence[Recognition]) -> list[str]:
    """Table 1: F1 by label beside the published figures of other data.

    Rows are what is shown to one recogniser that learned from sound and face with streams hidden by draw, then to one
    that learned from that stream alone. Intervals (95 %) are of the weighted F1 and of the accuracy.
    """
    rows = [["F1", *EMOTIONS, "weighted", "accuracy"]]
    rows += [[name, *(f"{value:.3f}" for value in values), "—", "—"] for name, values in PUBLISHED.items()]
    rows += [[f"{one.part}: {_name(one)}", *_cells(one)] for one in recognitions]
    return [*aligned(rows), *dict.fromkeys(_extent(one) for one in recognitions)]


def _name(one: Recognition) -> str:
    return VIEW_NAMES[one.view] if len(one.trained_on) > 1 else f"{VIEW_NAMES[one.view]}, trained on it alone"


def _cells(one: Recognition) -> list[str]:
    found = {score.label: score.f1.value for score in one.labels}
    f1 = ["—" if found[label] is None else f"{found[label]:.3f}" for label in EMOTIONS]
    return [*f1, with_interval(one.weighted_f1), with_interval(one.accuracy)]


def _extent(one: Recognition) -> str:
    supports = ", ".join(f"{score.support} {score.label}" for score in one.labels)
    return f"{one.part}: {one.n_recordings} recordings ({supports}); intervals over {one.n_clusters} {one.clusters}"
