"""Segments are read back whole, or say what is wrong with them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness import media
from avemo_harness.benchmark.request import Item, Response, Speech, StoredResponse
from avemo_harness.errors import StorageError
from avemo_harness.run.store import RunStore, Segment, stored_response


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
