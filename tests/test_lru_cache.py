"""A cache that forgets what was used longest ago."""

from __future__ import annotations

import threading
import time

import pytest

from avemo_harness.lru_cache import LruCache


def test_values_used_longest_ago_go_first() -> None:
    recent: LruCache[str, str] = LruCache(2, len)
    for key in ("a", "b", "a", "c"):
        recent.get(key, lambda key=key: key)
    assert ["a" in recent, "b" in recent, "c" in recent] == [True, False, True]


def test_what_failed_is_made_again() -> None:
    recent: LruCache[str, int] = LruCache(10, lambda value: 1)
    with pytest.raises(ValueError, match="first"):
        recent.get("a", lambda: _fail("first"))
    assert recent.get("a", lambda: 7) == 7


def test_a_value_is_made_once_for_all_that_wait() -> None:
    recent: LruCache[str, int] = LruCache(10, lambda value: 1)
    made: list[int] = []

    def make() -> int:
        time.sleep(0.05)
        made.append(1)
        return 5

    threads = [threading.Thread(target=recent.get, args=("a", make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_clearing_forgets() -> None:
    recent: LruCache[str, int] = LruCache(10, lambda value: 1)
    recent.get("a", lambda: 1)
    recent.clear()
    assert "a" not in recent


def test_a_value_that_is_discarded_gives_its_room_back() -> None:
    recent: LruCache[str, str] = LruCache(2, len)
    for key in ("a", "b"):
        recent.get(key, lambda key=key: key)
    recent.discard("a")
    recent.discard("never there")
    recent.get("c", lambda: "c")
    assert ["a" in recent, "b" in recent, "c" in recent] == [False, True, True]


def _fail(words: str) -> int:
    raise ValueError(words)
