"""What a run has ever been asked: lists that grow, in the order of the plan, with counts and digests beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from avemo_harness.benchmark.planning import Plan
from avemo_harness.benchmark.request import Item, StoredResponse
from avemo_harness.errors import StoreError
from avemo_harness.run.store import Segment, add_items, items_path, read_counts, read_items


def item(number: int) -> Item:
    return Item("task", f"d{number}/0", f"unit{number}", f"d{number}", f"d{number}", 0, "full_av", "sad")


PLAN = Plan(tuple(map(item, range(6))), {"no face": 3})


def items(*numbers: int) -> list[Item]:
    return [item(number) for number in numbers]


def add(folder: Path, *numbers: int) -> tuple[list[Item], bool]:
    said: list[str] = []
    held, more = add_items(folder, {"task": PLAN}, {"task": items(*numbers)}, said.append)
    assert not said
    return held["task"], more


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


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def garble(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:-1], b"\xff" + lines[-1]]))


def name_another(path: Path) -> None:
    """The last line is whole, and of an item that there is not."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([*lines[:-1], lines[-1].replace('"d', '"e')]), encoding="utf-8")


DAMAGE = pytest.mark.parametrize("damage", [cut, garble, name_another, Path.unlink])


@DAMAGE
def test_a_damaged_list_is_whole_again_when_the_same_is_asked(damage: Callable[[Path], None], tmp_path: Path) -> None:
    add(tmp_path, 0, 2, 3)
    before = {path: path.read_bytes() for path in (tmp_path / "items.json", items_path(tmp_path, "task"))}
    damage(items_path(tmp_path, "task"))
    with pytest.raises(StoreError, match="give the run's command again"):
        read_items(tmp_path, "task")
    assert add(tmp_path, 0, 2, 3) == (items(0, 2, 3), False)
    assert {path: path.read_bytes() for path in before} == before


@DAMAGE
def test_a_damaged_list_of_all_items_holds_all_again_whatever_is_asked(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    add(tmp_path, *range(6))
    damage(items_path(tmp_path, "task"))
    assert add(tmp_path, 1) == (items(*range(6)), True)


@DAMAGE
def test_what_was_answered_comes_back_to_a_damaged_list(damage: Callable[[Path], None], tmp_path: Path) -> None:
    add(tmp_path, 0, 2, 3)
    segment = Segment(tmp_path, "worker")
    segment.append(StoredResponse(task="task", item=item(number).item_id, text="sad") for number in (0, 2, 3))
    segment.append([StoredResponse(task="another", item=item(1).item_id, text="sad")])
    segment.close()
    damage(items_path(tmp_path, "task"))
    assert add(tmp_path, 2) == (items(0, 2, 3), True)


def test_items_that_nothing_tells_of_any_more_are_counted_once(tmp_path: Path) -> None:
    add(tmp_path, 0, 2, 3)
    garble(items_path(tmp_path, "task"))
    said: list[str] = []
    assert add_items(tmp_path, {"task": PLAN}, {"task": items(1)}, said.append)[0] == {"task": items(0, 1, 2)}
    add(tmp_path, 0, 2, 3)
    items_path(tmp_path, "task").unlink()
    assert add_items(tmp_path, {"task": PLAN}, {"task": items(1)}, said.append)[0] == {"task": items(1)}
    assert "3 of its items, which were not asked yet, are forgotten" in said[-1]
    add(tmp_path, 1)


def test_damaged_counts_beside_a_whole_list_are_made_anew(tmp_path: Path) -> None:
    add(tmp_path, 0, 2, 3)
    before = (tmp_path / "items.json").read_bytes()
    (tmp_path / "items.json").write_bytes(before.replace(b'"asked": 3', b'"asked": 4'))
    assert json.loads((tmp_path / "items.json").read_bytes())["tasks"]["task"]["asked"] == 4
    assert add(tmp_path, 2) == (items(0, 2, 3), True)
    assert (tmp_path / "items.json").read_bytes() == before


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
    with pytest.raises(StoreError, match=r"task\.jsonl: is missing; give the run's command again"):
        read_items(tmp_path, "task")
