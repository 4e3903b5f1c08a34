"""What a run has ever been asked: lists that grow, in the order of the plan, with counts and digests beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo_harness.benchmark.planning import Plan
from avemo_harness.benchmark.request import Item
from avemo_harness.errors import StoreError
from avemo_harness.run.items import add_items, read_counts, read_items


def item(number: int) -> Item:
    return Item("task", f"d{number}/0", f"unit{number}", f"d{number}", f"d{number}", 0, "full_av", "sad")


PLAN = Plan(tuple(map(item, range(6))), {"no face": 3})


def add(folder: Path, *numbers: int) -> tuple[list[Item], bool]:
    items, held_more = add_items(folder, {"task": PLAN}, {"task": [item(number) for number in numbers]})
    return items["task"], held_more


def test_lists_grow_in_the_order_of_the_plan(tmp_path: Path) -> None:
    assert add(tmp_path, 4, 2) == ([item(2), item(4)], False)
    assert add(tmp_path, 1, 2, 4) == ([item(1), item(2), item(4)], False)
    assert read_items(tmp_path, "task") == [item(1), item(2), item(4)]


def test_what_was_asked_before_is_kept_and_told_of(tmp_path: Path) -> None:
    add(tmp_path, 1, 2, 3)
    assert add(tmp_path, 2) == ([item(1), item(2), item(3)], True)


def test_counts_tell_how_much_of_the_plan_is_asked_and_what_is_not_asked_at_all(tmp_path: Path) -> None:
    add(tmp_path, 1, 2)
    counts = read_counts(tmp_path, "task")
    assert (counts.asked, counts.available, counts.not_asked) == (2, 6, {"no face": 3})


def test_the_order_of_growing_leaves_no_trace(tmp_path: Path) -> None:
    for folder, steps in (("one", [(5,), (0, 3)]), ("other", [(0, 3, 5)])):
        for step in steps:
            add(tmp_path / folder, *step)
    for name in ("items.json", "items/task.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_a_list_of_another_digest_is_refused_and_made_fit_by_the_runs_command(tmp_path: Path) -> None:
    add(tmp_path, 0, 1, 2)
    path = tmp_path / "items" / "task.jsonl"
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:2]), encoding="utf-8")
    with pytest.raises(StoreError, match=r"task\.jsonl: is not the list that .*items\.json names .* command again"):
        read_items(tmp_path, "task")
    add(tmp_path, 0, 1, 2)
    assert read_items(tmp_path, "task") == [item(0), item(1), item(2)]


@pytest.mark.parametrize("asked", [(0, 1, 2), (0, 1, 2, 3, 4, 5)])
def test_a_list_with_a_damaged_line_keeps_what_can_be_read_and_all_where_all_were_asked(
    asked: tuple[int, ...], tmp_path: Path
) -> None:
    add(tmp_path, *asked)
    path = tmp_path / "items" / "task.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:-1], b"\xff" + lines[-1]]))
    kept = range(6) if len(asked) == 6 else (0, 1)
    assert add(tmp_path, 1)[0] == read_items(tmp_path, "task") == [item(number) for number in kept]


def test_a_run_without_counts_was_made_before_lists_could_grow(tmp_path: Path) -> None:
    add(tmp_path, 0, 1)
    (tmp_path / "items.json").unlink()
    assert read_items(tmp_path, "task") == [item(0), item(1)]
    assert (read_counts(tmp_path, "task").asked, read_counts(tmp_path, "task").available) == (2, None)


@pytest.mark.parametrize("damage", ["{", '{"tasks": {}}', '{"tasks": {"task": {"asked": 1, "x": 2}}}'])
def test_damaged_counts_are_one_sentence(damage: str, tmp_path: Path) -> None:
    add(tmp_path, 0)
    (tmp_path / "items.json").write_text(damage, encoding="utf-8")
    with pytest.raises(StoreError, match=r"items\.json: cannot be read as the counts of task"):
        read_counts(tmp_path, "task")


def test_a_missing_list_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        read_items(tmp_path, "task")
