"""A unit is whole or it is made anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from avemo_harness.data.pipeline.units import UnitKey, UnitStore

KEY = UnitKey.of("speech", {"text": "Hello."})


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The folder of a unit that an earlier run made."""
    store = UnitStore(tmp_path)
    store.put(KEY, {"speech.wav": b"sound", "words.txt": b"Hello."}, {"unit": "single-0, turn 0"})
    assert store.has(KEY)
    return store.path(KEY)


def test_a_whole_unit_is_there(made: Path, tmp_path: Path) -> None:
    store = UnitStore(tmp_path)
    assert store.has(KEY)
    assert store.read(KEY, "speech.wav") == b"sound"


@pytest.mark.parametrize(
    "damage",
    [
        lambda unit: (unit / "speech.wav").write_bytes(b"soun"),
        lambda unit: (unit / "speech.wav").unlink(),
        lambda unit: (unit / "meta.json").unlink(),
        lambda unit: (unit / "meta.json").write_bytes(b""),
        lambda unit: (unit / "meta.json").write_bytes(b"[]"),
    ],
    ids=["altered", "lost", "no record", "empty record", "another record"],
)
def test_a_damaged_unit_is_removed_and_made_anew(made: Path, tmp_path: Path, damage: Callable[[Path], object]) -> None:
    damage(made)
    store = UnitStore(tmp_path)
    assert not store.has(KEY)
    assert not made.exists()
    store.put(KEY, {"speech.wav": b"sound"}, {})
    assert UnitStore(tmp_path).has(KEY)


def test_files_are_compared_once_a_run(made: Path, tmp_path: Path) -> None:
    store = UnitStore(tmp_path)
    assert store.has(KEY)
    (made / "speech.wav").write_bytes(b"later")
    assert store.has(KEY)
