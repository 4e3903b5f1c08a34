"""The paper's Tables 1, 3 and 4 for a user's own data (AV-EMO-Reasoning, arXiv 2510.07355)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from avemo_harness.benchmark.published import TABLE_1, TABLE_3, PublishedTable
from avemo_harness.benchmark.release import EMOTIONS, order_labels
from avemo_harness.metrics.bootstrap import Estimate
from avemo_harness.metrics.trajectory import Dimension
from avemo_harness.recognizers.card import Agreement, Discrimination, LabelEvaluation, score_text, with_interval
from avemo_harness.recognizers.heads.trajectory_evaluation import SplitResult
from avemo_harness.recognizers.recordings import MODALITY_NAMES, Modality
from avemo_harness.text import aligned

_COLUMNS: tuple[Dimension, ...] = ("arousal", "valence")
_TABLE_VIEWS: tuple[Modality, ...] = ("audio", "video", "both")


def systems_table(subject_wise: SplitResult) -> list[str]:
    """Table 3: CCC over all values together from all that there is to see and hear, beside published figures."""
    views = [one.view for one in subject_wise.agreements]
    view: Modality = "both" if "both" in views else next(iter(views), "both")
    ours = [score_text(value) for value in _with_mean(subject_wise.agreements, view)]
    head = ["CCC, subject-wise", *_COLUMNS, "mean"]
    return aligned([head, *_published_rows(TABLE_3, "RECOLA"), [f"this one, {MODALITY_NAMES[view]}", *ours]])


def modalities_table(results: Sequence[SplitResult]) -> list[str]:
    """Table 4: CCC over all values together, by split and modality, with 95 % intervals over recordings.

    Beside it the mean of the recordings' own CCCs; below it how much was evaluated.
    """
    rows = [["CCC", *_COLUMNS, "mean", *(f"{name}, mean of recordings" for name in _COLUMNS)]]
    for result in results:
        views = {one.view for one in result.agreements}
        for view in (view for view in _TABLE_VIEWS if view in views):
            of_recordings = [score_text(_of_recordings(result.agreements, view, name)) for name in _COLUMNS]
            rows.append([f"{result.split}: {MODALITY_NAMES[view]}", *_ccc_cells(result, view), *of_recordings])
    return [*aligned(rows), *(f"{result.split}: {_ccc_extent(result)}" for result in results)]


def discrimination_table(results: Sequence[SplitResult]) -> list[str]:
    """Discrimination by each split's trajectories, by modality, with 95 % intervals over speakers and the counts.

    Nothing where nothing was measured.
    """
    measured = [
        one for result in results for one in sorted(result.discrimination, key=lambda one: _TABLE_VIEWS.index(one.view))
    ]
    if not measured:
        return []
    rows = [["tells apart", "AUC of ECS", "extreme turns", *(f"{name}, SD" for name in _COLUMNS)]]
    for one in measured:
        movement = [with_interval(one.movement[name]) if name in one.movement else "—" for name in _COLUMNS]
        name = f"{one.part}: {MODALITY_NAMES[one.view]}"
        rows.append([name, with_interval(one.auc), with_interval(one.extreme_share), *movement])
    profiles = ", ".join(dict.fromkeys(one.profile for one in measured))
    return [
        *aligned(rows),
        f"AUC: ECS of two speakers is higher if both have one emotion than if not (0.5: chance); extreme: as EBS takes "
        f"it (profile {profiles}); SD: within a recording",
        *dict.fromkeys(_discrimination_extent(one) for one in measured),
    ]


def _discrimination_extent(one: Discrimination) -> str:
    labelled = f"{one.n_labelled} of {one.n_recordings} recordings have a label" if one.n_labelled else "no labels"
    text = f"{one.part}: {one.n_recordings} recordings of {one.n_speakers} speakers; {labelled}"
    if one.n_labelled and one.auc.value is None:
        return f"{text}, and no two speakers of one emotion beside two of different ones, which AUC needs"
    return f"{text}, {one.n_pairs:,} pairs{one.caution}" if one.n_labelled else text


def _ccc_cells(result: SplitResult, view: Modality) -> list[str]:
    found = [_find(result.agreements, view, name) for name in _COLUMNS]
    return [
        *("—" if one is None else with_interval(Estimate(one.ccc, one.ccc_low, one.ccc_high)) for one in found),
        score_text(_with_mean(result.agreements, view)[-1]),
    ]


def _with_mean(agreements: Sequence[Agreement], view: Modality) -> tuple[float | None, ...]:
    """CCC by dimension, and their mean where all are known."""
    found = [one.ccc if (one := _find(agreements, view, name)) else None for name in _COLUMNS]
    known = [value for value in found if value is not None]
    return (*found, float(np.mean(known)) if len(known) == len(found) else None)


def _find(agreements: Sequence[Agreement], view: Modality, dimension: Dimension) -> Agreement | None:
    return next((one for one in agreements if (one.view, one.dimension) == (view, dimension)), None)


def _of_recordings(agreements: Sequence[Agreement], view: Modality, dimension: Dimension) -> float | None:
    found = _find(agreements, view, dimension)
    return found.ccc_of_recordings if found else None


def _ccc_extent(result: SplitResult) -> str:
    values = sum(len(one.recording.trajectory) for one in result.predicted)
    speakers = len({one.recording.speaker for one in result.predicted})
    text = f"{len(result.predicted)} recordings of {speakers} speakers, {values} values"
    if len(result.delays_s) > 1:
        text += f", {len(result.delays_s)} folds"
    constant = {one.dimension: one.n_constant for one in result.agreements if one.n_constant}
    text += "".join(
        f"; ratings of {name} stand still in {count}, left out of the mean of recordings"
        for name, count in sorted(constant.items())
    )
    if any(result.delays_s):
        text += f"; ratings moved earlier by {', '.join(f'{delay:g}' for delay in result.delays_s)} s"
    return text


def _published_rows(table: PublishedTable, corpus: str) -> Iterator[list[str]]:
    for system, values in table.rows.items():
        name = "AV-EMO-Reasoning" if system == "the paper's" else system.partition(" (")[0]
        yield [f"{name} (published, {corpus})", *map(score_text, values)]


def recognition_table(recognitions: Sequence[LabelEvaluation]) -> list[str]:
    """Table 1: F1 by label beside the published figures of other data.

    Rows are what is shown to one recogniser trained on sound and face with modality dropout, then to one
    that learned from that stream alone. Intervals (95 %) are of the weighted F1 and of the accuracy.
    """
    labels = order_labels(score.label for one in recognitions for score in one.labels)
    rows = [["F1", *labels, "weighted", "accuracy"]]
    if labels == EMOTIONS:
        rows += [[*row, "—", "—"] for row in _published_rows(TABLE_1, "MultiDialog")]
    rows += [[f"{one.part}: {_f1_row_name(one)}", *_f1_cells(one, labels)] for one in recognitions]
    return [*aligned(rows), *dict.fromkeys(_f1_extent(one) for one in recognitions)]


def _f1_row_name(one: LabelEvaluation) -> str:
    return MODALITY_NAMES[one.view] if len(one.trained_on) > 1 else f"{MODALITY_NAMES[one.view]}, trained on it alone"


def _f1_cells(one: LabelEvaluation, labels: Sequence[str]) -> list[str]:
    found = {score.label: score.f1.value for score in one.labels}
    f1 = [score_text(found.get(label)) for label in labels]
    return [*f1, with_interval(one.weighted_f1), with_interval(one.accuracy)]


def _f1_extent(one: LabelEvaluation) -> str:
    supports = ", ".join(f"{score.support} {score.label}" for score in one.labels)
    return f"{one.part}: {one.n_recordings} recordings ({supports}); intervals over {one.n_clusters} {one.clusters}"
