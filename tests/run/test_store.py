"""The run directory: what is appended is read back, and damage costs what it hits and nothing else."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.speaking_runs import Speaker, write_speaking_run
from support.synthetic_release import write_synthetic_release

from avemo_harness import media
from avemo_harness.benchmark.planning import Plan
from avemo_harness.benchmark.request import Item, Response, Speech, StoredResponse
from avemo_harness.errors import AvemoError, StorageError, StoreError
from avemo_harness.report.results import RunResult, score_run
from avemo_harness.report.scored_run import read_scored_run
from avemo_harness.run.store import RunStore, Segment, add_items, items_path, read_counts, read_items, stored_response


def item(number: int) -> Item:
    return Item("task", f"d{number}/0", f"unit{number}", f"d{number}", f"d{number}", 0, "full_av", gold="sad")


def write(folder: Path, worker: str, *records: StoredResponse) -> Path:
    segment = Segment(folder, worker)
    segment.append(records)
    segment.close()
    return segment.path


def test_what_was_appended_is_read_back_by_item_and_by_key(tmp_path: Path) -> None:
    record = stored_response(item(0), "key0", Response(text="sad ☔", label_logprobs={"sad": -0.123456}))
    write(tmp_path, "worker", record)
    store = RunStore(tmp_path)
    assert store.refresh() == [record]
    assert store.answers["task", "d0/0"].label_logprobs == {"sad": -0.1235}
    assert store.by_key["key0"] == record
    assert store.refresh() == []


def test_what_every_way_of_ranking_needs_and_the_flags_are_kept(tmp_path: Path) -> None:
    response = Response(
        label_logprobs={"sad": -0.123456},
        label_tokens={"sad": 2},
        label_priors={"sad": -3.999999},
        flags=("truncated", "no_speech"),
    )
    record = stored_response(item(0), "key0", response)
    write(tmp_path, "worker", record)
    assert RunStore(tmp_path).refresh() == [record]
    assert (record.label_logprobs, record.label_tokens, record.label_priors) == (
        {"sad": -0.1235},
        {"sad": 2},
        {"sad": -4.0},
    )
    assert record.flags == ("truncated", "no_speech")


def test_a_line_without_later_fields_is_read_and_nothing_odd_is_not_written(tmp_path: Path) -> None:
    written = write(tmp_path / "new", "worker", stored_response(item(0), "key0", Response(text="sad")))
    assert set(json.loads(written.read_text())) == {"task", "item", "key", "text", "sum"}
    (tmp_path / "responses").mkdir()
    (tmp_path / "responses" / "worker.jsonl").write_text('{"item":"d0/0","task":"task","text":"sad"}\n')
    assert RunStore(tmp_path).refresh() == [StoredResponse(task="task", item="d0/0", text="sad")]


def test_a_segment_cut_at_any_byte_gives_the_whole_lines_before_the_cut(tmp_path: Path) -> None:
    records = [stored_response(item(i), f"key{i}", Response(text="sad")) for i in range(3)]
    whole = write(tmp_path / "whole", "worker", *records).read_bytes()
    for cut in range(len(whole) + 1):
        folder = tmp_path / str(cut)
        (folder / "responses").mkdir(parents=True)
        segment = folder / "responses" / "worker.jsonl"
        segment.write_bytes(whole[:cut])
        store = RunStore(folder)
        assert store.refresh() == records[: whole[:cut].count(b"\n")]
        torn = cut > 0 and whole[cut - 1 : cut] != b"\n"
        assert store.cut_torn_lines(live_workers=set()) == int(torn)
        assert segment.read_bytes() == whole[: whole.rfind(b"\n", 0, cut) + 1]


def test_the_unfinished_line_of_a_live_worker_is_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path, "worker", StoredResponse(task="task", item="d0/0", text="sad"))
    with open(path, "ab") as handle:
        handle.write(b'{"task":')
    store = RunStore(tmp_path)
    store.refresh()
    assert store.cut_torn_lines(live_workers={"worker"}) == 0
    assert path.read_bytes().endswith(b'{"task":')


@pytest.mark.parametrize(
    "damage",
    [b"\x00\x00\x00\n", b"[1, 2]\n", b'{"task": "x"}\n', b"not json\n", b'{"task": "x", "item": "y", "flags": 1}\n'],
)
def test_a_damaged_line_is_named_and_is_no_answer(tmp_path: Path, damage: bytes) -> None:
    answered = StoredResponse(task="task", item="d0/0", text="sad")
    path = write(tmp_path, "worker", answered)
    with open(path, "ab") as handle:
        handle.write(damage)
    store = RunStore(tmp_path)
    assert store.refresh() == [answered]
    (told,) = store.damage
    assert told.startswith("responses/worker.jsonl, line 2: damaged (")
    assert told.endswith("the run's command asks its item again")


@given(st.data())
def test_no_single_byte_that_is_changed_gives_another_answer(data: st.DataObject) -> None:
    record = stored_response(
        item(0), "key", Response(text="sad ☔", label_logprobs={"sad": -0.5}, flags=("truncated",))
    )
    with TemporaryDirectory() as folder:
        path = write(Path(folder), "worker", record)
        line = bytearray(path.read_bytes())
        position = data.draw(st.integers(0, len(line) - 1))
        line[position] = data.draw(st.integers(0, 255).filter(lambda value: value != line[position]))
        path.write_bytes(line)
        store = RunStore(Path(folder))
        store.refresh()
        # A space or another spelling of a character changes no content.
        assert list(store.answers.values()) in ([], [record])


def spoken(folder: Path) -> tuple[Path, StoredResponse]:
    """A segment with one spoken answer."""
    segment = Segment(folder, "worker")
    speech = segment.write_speech("key", Speech(np.full(800, 0.25, np.float32), 16_000))
    record = stored_response(item(0), "key", Response(text="well"), speech)
    segment.append([record])
    segment.close()
    return folder / speech["speech_path"], record


def test_a_spoken_answer_says_what_its_file_holds(tmp_path: Path) -> None:
    path, record = spoken(tmp_path)
    assert record.speech_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record.speech_samples == 800
    assert RunStore(tmp_path).refresh() == [record]


@pytest.mark.parametrize("damage", ["missing", "cut", "another"])
def test_an_answer_whose_speech_is_not_the_one_that_was_given_is_no_answer(damage: str, tmp_path: Path) -> None:
    path, record = spoken(tmp_path)
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[:-1] if damage == "cut" else media.encode_flac(np.zeros(800, np.float32), 16_000))
    store = RunStore(tmp_path)
    assert store.refresh() == []
    assert (store.answers, store.by_key) == ({}, {})
    assert len(store.damage) == 1
    assert "the speech speech/key.flac" in store.damage[0]
    path.write_bytes(whole)
    again = Segment(tmp_path, "again")
    again.append([record])
    again.close()
    assert store.refresh() == [record]
    assert store.damage == []


def test_speech_that_the_system_will_not_read_is_an_error_and_its_answer_is_not_taken_for_lost(tmp_path: Path) -> None:
    path, record = spoken(tmp_path)
    whole = path.read_bytes()
    path.unlink()
    path.mkdir()
    with pytest.raises(StorageError, match=f"{path}: cannot be read .* a folder is where a file should be"):
        RunStore(tmp_path).refresh()
    path.rmdir()
    path.write_bytes(whole)
    assert RunStore(tmp_path).refresh() == [record]


def test_an_answer_supersedes_an_error_whatever_their_order(tmp_path: Path) -> None:
    failed = stored_response(item(0), None, Response(error="MediaError: broken"))
    answered = stored_response(item(0), "key", Response(text="sad"))
    for order, records in {"before": (failed, answered), "after": (answered, failed)}.items():
        folder = tmp_path / order
        write(folder, "worker", *records)
        store = RunStore(folder)
        store.refresh()
        assert store.answers["task", "d0/0"] == answered
        assert store.errors == {}


@pytest.mark.parametrize("response", [Response(text="sad \ud83d!"), Response(error="GenerationError: \udc80")])
def test_half_of_a_pair_is_replaced_so_that_the_answer_can_be_stored(response: Response, tmp_path: Path) -> None:
    record = stored_response(item(0), "key", response)
    write(tmp_path, "worker", record)
    assert RunStore(tmp_path).refresh() == [record]
    assert (record.text or record.error) in ("sad \ufffd!", "GenerationError: \ufffd")


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


CHANGES = 150


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage")
    release = write_synthetic_release(folder / "release")
    return write_speaking_run(folder / "run", release, Speaker())


def figures(result: RunResult) -> dict[str, object]:
    """The parts of a run that a reader takes."""
    return {name: (task.metrics, task.rows, task.status, task.n_items) for name, task in result.tasks.items()}


def changes(folder: Path) -> Iterator[tuple[Path, int, int]]:
    """Files with a position in each and the bit to turn, every file at least once; seeded."""
    rng = random.Random(17)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    for number in range(CHANGES):
        path = files[number] if number < len(files) else rng.choice(files)
        yield path.relative_to(folder), rng.randrange(path.stat().st_size), 1 << rng.randrange(8)


@pytest.mark.slow
def test_no_changed_byte_gives_another_figure_silently(finished: Path, tmp_path: Path) -> None:
    before = figures(read_scored_run(finished).result)
    silent = []
    named = harmless = 0
    for path, position, bit in changes(finished):
        run = Path(shutil.copytree(finished, tmp_path / "run"))
        data = bytearray((run / path).read_bytes())
        data[position] ^= bit
        (run / path).write_bytes(data)
        try:
            stored = figures(read_scored_run(run).result)
            result = score_run(run)
        except AvemoError:
            named += 1
        else:
            if result.damage:
                named += 1
            elif figures(result) == before == stored:
                harmless += 1
            else:
                silent.append((str(path), position, bit))
        shutil.rmtree(run)
    print(f"{CHANGES} changed bytes: {named} named, {harmless} harmless, {len(silent)} silent")
    assert silent == []
    assert named > CHANGES // 3
