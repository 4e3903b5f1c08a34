"""Tables 1 to 4 of AV-EMO-Reasoning (arXiv 2510.07355) as printed, and reasons why cells are impossible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

ROUNDING = 0.0005
"""Largest error of a figure that is printed with three decimals."""

_SLACK = 1e-9  # for the binary form of decimal figures

_RATES = ("AAR", "VAR", "OLR")
PEOPLE = ("ER", "EN", "RR", "ERS")
"""The columns that people rate, in the order of Table 2; the last is the mean of the others."""


def marks_of_reasoning(cells: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Cells of a row's measured columns that contradict others, each with a plain sentence.

    ERS and CT-ERS are checked against every value that units with the printed means of the parts could give, since
    EBS is a mean over fewer units than the others; AAR, VAR and OLR against their sum.
    """
    for prefix, units in (("", "turns"), ("CT-", "dialogues")):
        names = [f"{prefix}{name}" for name in ("ECS", "EBS", "ESS", "ERS")]
        if all(name in cells for name in names):
            ecs, ebs, ess, ers = (cells[name] for name in names)
            low, high = range_of_mean_of_parts(ecs, ebs, ess)
            if not low - 2 * ROUNDING - _SLACK <= ers <= high + 2 * ROUNDING + _SLACK:
                mean = (ecs + ebs + ess) / 3
                yield (
                    names[3],
                    f"printed as {ers:.3f}, but the mean of its three parts is {mean:.3f}, and between {low:.3f} "
                    f"and {high:.3f} whatever share of the {units} has an EBS",
                )
    if all(name in cells for name in _RATES):
        total = sum(cells[name] for name in _RATES)
        if abs(total - 1) > 3 * ROUNDING + _SLACK:
            for name in _RATES:
                yield (
                    name,
                    f"AAR, VAR and OLR are shares of the same items and sum to 1; printed, they sum to {total:.3f}",
                )


def marks_of_people(cells: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """The same for the columns that people rated, of which ERS is the mean."""
    if "ERS" in cells:
        mean = sum(cells[name] for name in PEOPLE[:-1]) / 3
        if abs(mean - cells["ERS"]) > 2 * ROUNDING + _SLACK:
            yield "ERS", f"printed as {cells['ERS']:.3f}, but the mean of ER, EN and RR is {mean:.3f}"


def range_of_mean_of_parts(ecs: float, ebs: float, ess: float) -> tuple[float, float]:
    """The least and the highest mean of per-unit ERS that the parts' means allow.

    ERS of a unit is the mean of ECS, EBS and ESS where it has an EBS, else of ECS and ESS; which share of the units
    has one is not known.

    Args:
        ecs, ess: means over all units, in [0, 1].
        ebs: mean over the units that have one, in [0, 1].

    >>> [round(end, 3) for end in range_of_mean_of_parts(1.0, 0.0, 1.0)]
    [0.667, 1.0]
    """
    ends = (*(x for part in (ecs, ess) for x in (part, 1 - part)), 0.0, 1.0)
    values = []
    for share in ends:  # linear between these shares of units with an EBS
        most = min(share, ecs) + min(share, ess)
        least = max(0.0, ecs + share - 1) + max(0.0, ess + share - 1)
        values += [(ecs + ess) / 2 - held / 6 + share * ebs / 3 for held in (most, least)]
    return min(values), max(values)


PAPER = "AV-EMO-Reasoning, arXiv 2510.07355"
SPLITS = ("singleturn_synthetic", "multiturn_synthetic", "multiturn_real")
"""The groups of Table 2, in its order."""

_BLOCKS = (("ECS", "EBS", "ESS", "ERS"), ("Acc_AV", "F1_AV", "Acc_A", "Acc_V", "AAR", "VAR", "OLR"))


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """A system's row on one split of Table 2.

    Args:
        split: the group of tasks, such as ``multiturn_real``.
        columns: by the names of the group's table (``CT-ECS``, ``Acc_AV``, …), only those that are printed.
        people: ER, EN, RR and their mean ERS, as rated by people.
    """

    split: str
    system: str
    columns: Mapping[str, float]
    people: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """One of the paper's other tables.

    Args:
        note: what its heading gets wrong or leaves open; None where there is nothing to say.
        rows: by name, one value a column.
        decimals: how many are printed.
    """

    number: int
    title: str
    note: str | None
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[float, ...]]
    decimals: int = 3


def _row(split: str, system: str, measured: str, labels: str, people: str) -> PublishedRow:
    """Parse a row as it stands in print: a string for each of its three blocks, empty where it has none."""
    prefix = "" if split.startswith("single") else "CT-"
    names = [[f"{prefix}{name}" for name in _BLOCKS[0]], _BLOCKS[1]]
    columns: dict[str, float] = {}
    for of_block, printed in zip(names, (measured, labels), strict=True):
        if printed:
            columns.update(zip(of_block, map(float, printed.split()), strict=True))
    return PublishedRow(split, system, columns, dict(zip(PEOPLE, map(float, people.split()), strict=True)))


_BAICHUAN, _MINICPM, _QWEN = "Baichuan-Omni-1.5", "MiniCPM-o 2.6", "Qwen2.5-Omni"
_SINGLE, _MULTI, _REAL = SPLITS

TABLE_2 = (
    _row(_SINGLE, "Synthetic", ".767 .672 1.000 .737", "", ".590 .535 .573 .567"),
    _row(_SINGLE, _BAICHUAN, ".577 .483 1.000 .524", ".841 .311 .547 .760 .490 .195 .270", ".628 .575 .618 .607"),
    _row(_SINGLE, _MINICPM, ".660 .492 1.000 .589", ".804 .343 .865 .824 .686 .104 .264", ".888 .873 .950 .903"),
    _row(_SINGLE, _QWEN, ".731 .587 1.000 .672", ".713 .243 .627 .850 .632 .137 .317", ".665 .720 .710 .698"),
    _row(_MULTI, "Synthetic", ".747 .385 .838 .623", "", ".860 .830 .785 .825"),
    _row(_MULTI, _BAICHUAN, ".619 .039 .806 .426", ".763 .307 .598 .806 .694 .028 .321", ".768 .695 .748 .737"),
    _row(_MULTI, _MINICPM, ".667 .161 .657 .445", ".728 .347 .673 .797 .796 .021 .213", ".850 .793 .868 .837"),
    _row(_MULTI, _QWEN, ".730 .162 .814 .526", ".815 .384 .520 .821 .600 .114 .266", ".768 .740 .790 .766"),
    _row(_REAL, "Real", ".749 .623 .788 .394", "", ".540 .538 .480 .519"),
    _row(_REAL, _BAICHUAN, ".632 .407 .765 .362", ".720 .287 .580 .770 .670 .030 .300", ".378 .508 .355 .413"),
    _row(_REAL, _MINICPM, ".648 .501 .688 .258", ".760 .363 .720 .760 .760 .020 .220", ".580 .568 .558 .568"),
    _row(_REAL, _QWEN, ".741 .406 .747 .341", ".770 .363 .550 .790 .640 .110 .250", ".578 .555 .685 .601"),
)
"""The benchmark's table: three splits, four systems each. The real split's dialogues are MultiDialog's."""

TABLE_1 = PublishedTable(
    number=1,
    title="Emotion recognisers on MultiDialog",
    note="headed weighted F1, which is one figure a recogniser; four are printed, which are F1 of each class",
    columns=("neutral", "happy", "angry", "sad"),
    rows={
        "SenseVoice-Small": (0.4745, 0.4599, 0.3717, 0.3128),
        "EmotiEffLib": (0.5642, 0.3033, 0.0639, 0.0727),
        "the paper's": (0.6074, 0.6350, 0.6074, 0.5111),
    },
    decimals=4,
)

TABLE_3 = PublishedTable(
    number=3,
    title="Concordance (CCC) of continuous recognisers on RECOLA, subject-wise",
    note=None,
    columns=("arousal", "valence", "mean"),
    rows={"EMO-Reasoning (sound alone)": (0.403, 0.164, 0.284), "the paper's": (0.687, 0.690, 0.689)},
)

TABLE_4 = PublishedTable(
    number=4,
    title="Concordance (CCC) by modality on RECOLA, subject-wise and on the official split",
    note="the mean of sound and face, subject-wise, is printed as .688 here and as .689 in Table 3",
    columns=("arousal", "valence", "mean", "official arousal", "official valence", "official mean"),
    rows={
        "sound": (0.282, 0.139, 0.211, 0.191, 0.039, 0.115),
        "face": (0.397, 0.468, 0.432, 0.228, 0.323, 0.276),
        "sound and face": (0.687, 0.690, 0.688, 0.644, 0.463, 0.553),
    },
)

OTHER_TABLES = (TABLE_1, TABLE_3, TABLE_4)


def published_rows(split: str) -> tuple[PublishedRow, ...]:
    """The rows of one split in the paper's order; none for a group that the paper does not have.

    >>> [row.system for row in published_rows("multiturn_real")]
    ['Real', 'Baichuan-Omni-1.5', 'MiniCPM-o 2.6', 'Qwen2.5-Omni']
    >>> published_rows("multiturn_real")[1].columns["Acc_AV"]
    0.72
    """
    return tuple(row for row in TABLE_2 if row.split == split)
