"""The paper's tables as data: complete, as printed, and marked where the print contradicts itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.benchmark.published import (
    OTHER_TABLES,
    SPLITS,
    TABLE_2,
    marks_of_people,
    marks_of_reasoning,
    published_rows,
    range_of_mean_of_parts,
)

UNIT = st.floats(0, 1)


def test_each_split_has_a_reference_and_the_three_models() -> None:
    assert len(TABLE_2) == 12
    for split in SPLITS:
        rows = published_rows(split)
        assert ["Acc_AV" in row.columns for row in rows] == [False, True, True, True]
        assert [row.system for row in rows[1:]] == ["Baichuan-Omni-1.5", "MiniCPM-o 2.6", "Qwen2.5-Omni"]
    assert published_rows("demo") == ()


def test_columns_are_named_as_in_the_table_of_their_group() -> None:
    single, multi = published_rows(SPLITS[0])[1], published_rows(SPLITS[1])[1]
    labels = ["Acc_AV", "F1_AV", "Acc_A", "Acc_V", "AAR", "VAR", "OLR"]
    assert list(single.columns) == ["ECS", "EBS", "ESS", "ERS", *labels]
    assert list(multi.columns) == ["CT-ECS", "CT-EBS", "CT-ESS", "CT-ERS", *labels]
    assert list(published_rows(SPLITS[2])[0].columns) == ["CT-ECS", "CT-EBS", "CT-ESS", "CT-ERS"]
    assert all(list(row.people) == ["ER", "EN", "RR", "ERS"] for row in TABLE_2)


def test_every_value_is_a_score_between_0_and_1() -> None:
    for row in TABLE_2:
        assert all(0 <= value <= 1 for value in (*row.columns.values(), *row.people.values()))
    for table in OTHER_TABLES:
        assert all(len(values) == len(table.columns) for values in table.rows.values())
        assert all(0 <= value <= 1 for values in table.rows.values() for value in values)


def test_no_printed_ers_can_be_the_mean_of_its_parts() -> None:
    """The printed values lie 0.034 to 0.163 below the mean on synthetic splits, 0.239 to 0.354 on the real one."""
    for row in TABLE_2:
        *parts, ers = list(row.columns)[:4]
        assert ers in dict(marks_of_reasoning(row.columns))
        below = sum(row.columns[part] for part in parts) / 3 - row.columns[ers]
        low, high = (0.239, 0.354) if row.split == "multiturn_real" else (0.034, 0.163)
        assert low - 1e-3 < below < high + 1e-3


def test_shares_of_conflict_items_sum_to_one_in_the_real_rows_alone() -> None:
    marks = [dict(marks_of_reasoning(row.columns)) for row in TABLE_2]
    marked = [row.split for row, reasons in zip(TABLE_2, marks, strict=True) if "AAR" in reasons]
    assert marked == [SPLITS[0]] * 3 + [SPLITS[1]] * 3
    assert "sum to 0.955" in marks[1]["OLR"]
    assert not any("Acc_AV" in reasons for reasons in marks)


def test_one_mean_of_ratings_is_wrong() -> None:
    marked = {(row.split, row.system): dict(marks_of_people(row.people)) for row in TABLE_2}
    assert {row: reasons for row, reasons in marked.items() if reasons} == {
        ("multiturn_real", "Qwen2.5-Omni"): {"ERS": "printed as 0.601, but the mean of ER, EN and RR is 0.606"}
    }


def test_consistent_figures_get_no_mark_though_they_are_rounded() -> None:
    assert dict(marks_of_reasoning({"AAR": 0.333, "VAR": 0.333, "OLR": 0.333})) == {}
    assert dict(marks_of_people({"ER": 0.5904, "EN": 0.535, "RR": 0.573, "ERS": 0.567})) == {}
    assert dict(marks_of_people({"ER": 0.5, "EN": 0.5, "RR": 0.5})) == {}


@given(st.lists(st.tuples(UNIT, UNIT, UNIT, st.booleans()), min_size=1, max_size=12))
def test_no_set_of_units_leaves_the_range_of_its_ers(units: list[tuple[float, float, float, bool]]) -> None:
    extreme = [unit for unit in units if unit[3]] or [(*units[0][:3], True)]
    units = units if any(unit[3] for unit in units) else [*extreme, *units]
    ers = [sum(unit[:3]) / 3 if unit[3] else (unit[0] + unit[2]) / 2 for unit in units]
    ecs, ess = (sum(unit[i] for unit in units) / len(units) for i in (0, 2))
    ebs = sum(unit[1] for unit in extreme) / len(extreme)
    low, high = range_of_mean_of_parts(ecs, ebs, ess)
    assert low - 1e-9 <= sum(ers) / len(ers) <= high + 1e-9


def test_an_ers_just_outside_its_range_is_marked_and_one_inside_is_not() -> None:
    parts = {"ECS": 0.7, "EBS": 0.3, "ESS": 0.9}
    low, _ = range_of_mean_of_parts(*parts.values())
    assert "ERS" in dict(marks_of_reasoning({**parts, "ERS": low - 0.002}))
    assert dict(marks_of_reasoning({**parts, "ERS": low})) == {}
