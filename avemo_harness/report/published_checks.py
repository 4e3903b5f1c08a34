"""Which published cells cannot be right by their own definition, and why, from the printed figures alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

ROUNDING = 0.0005
"""How far a figure printed with three decimals may lie from the true one."""

_SLACK = 1e-9
"""For the binary form of decimal figures."""

_RATES = ("AAR", "VAR", "OLR")
_PEOPLE = ("ER", "EN", "RR")


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
        mean = sum(cells[name] for name in _PEOPLE) / 3
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
