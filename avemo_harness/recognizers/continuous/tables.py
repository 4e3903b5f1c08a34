"""The paper's Tables 3 and 4 for a user's own data (AV-EMO-Reasoning, arXiv 2510.07355)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avemo_harness.metrics.trajectory import Dimension
from avemo_harness.recognizers.continuous.card import Agreement
from avemo_harness.recognizers.continuous.experiment import SplitResult
from avemo_harness.recognizers.streams import VIEW_NAMES, View
from avemo_harness.text import fixed
from avemo_harness.text_table import aligned

_COLUMNS: tuple[Dimension, ...] = ("arousal", "valence")
_TABLE_VIEWS: tuple[View, ...] = ("audio", "video", "both")
PUBLISHED = {
    "EMO-Reasoning (published, RECOLA)": (0.403, 0.164, 0.284),
    "AV-EMO-Reasoning (published, RECOLA)": (0.687, 0.690, 0.689),
}
"""Table 3 as printed: CCC of arousal, valence, their mean, by subject-wise splits of RECOLA."""


def systems_table(subject_wise: SplitResult) -> list[str]:
    """Table 3: CCC over all values together from all that there is to see and hear, beside published figures."""
    shown = [one.view for one in subject_wise.agreements]
    view: View = "both" if "both" in shown else next(iter(shown), "both")
    ours = [_text(value) for value in _with_mean(subject_wise.agreements, view)]
    rows = [[name, *map(_text, values)] for name, values in PUBLISHED.items()]
    return aligned([["CCC, subject-wise", *_COLUMNS, "mean"], *rows, [f"this one, {VIEW_NAMES[view]}", *ours]])


def modalities_table(results: Sequence[SplitResult]) -> list[str]:
    """Table 4: CCC over all values together, by split and by what is shown, with 95 % intervals over recordings.

    Beside it the mean of the recordings' own CCCs; below it how much was evaluated.
    """
    rows = [["CCC", *_COLUMNS, "mean", *(f"{name}, mean of recordings" for name in _COLUMNS)]]
    for result in results:
        shown = {one.view for one in result.agreements}
        for view in (view for view in _TABLE_VIEWS if view in shown):
            of_recordings = [_text(_of_recordings(result.agreements, view, name)) for name in _COLUMNS]
            rows.append([f"{result.split}: {VIEW_NAMES[view]}", *_cells(result, view), *of_recordings])
    return [*aligned(rows), *(f"{result.split}: {_extent(result)}" for result in results)]


def _cells(result: SplitResult, view: View) -> list[str]:
    return [
        *(_with_interval(_find(result.agreements, view, name)) for name in _COLUMNS),
        _text(_with_mean(result.agreements, view)[-1]),
    ]


def _with_mean(agreements: Sequence[Agreement], view: View) -> tuple[float | None, ...]:
    """CCC by dimension, and their mean where all are known."""
    found = [one.ccc if (one := _find(agreements, view, name)) else None for name in _COLUMNS]
    known = [value for value in found if value is not None]
    return (*found, float(np.mean(known)) if len(known) == len(found) else None)


def _find(agreements: Sequence[Agreement], view: View, dimension: Dimension) -> Agreement | None:
    return next((one for one in agreements if (one.view, one.dimension) == (view, dimension)), None)


def _of_recordings(agreements: Sequence[Agreement], view: View, dimension: Dimension) -> float | None:
    found = _find(agreements, view, dimension)
    return found.ccc_of_recordings if found else None


def _extent(result: SplitResult) -> str:
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


def _with_interval(one: Agreement | None) -> str:
    if one is None or one.ccc is None:
        return "—"
    if one.ccc_low is None or one.ccc_high is None:
        return _text(one.ccc)
    return f"{fixed(one.ccc)} ({fixed(one.ccc_low, 2)}-{fixed(one.ccc_high, 2)})"


def _text(value: float | None) -> str:
    return "—" if value is None else fixed(value)
