"""A cache that forgets what was used longest ago."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class LruCache(Generic[Key, Value]):
    """Single-flight LRU cache, safe to use from several threads: a value that many ask for is made once.

    Args:
        room: sum of the sizes of all values.
        size_of: size of one value, in the unit of `room`.
    """

    def __init__(self, room: int, size_of: Callable[[Value], int]) -> None:
        self.room, self._size_of = room, size_of
        self._values: OrderedDict[Key, Future[Value]] = OrderedDict()
        self._used = 0
        self._lock = threading.Lock()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of a key, made now if it is not there. What `make` raises is raised, and nothing is kept."""
        with self._lock:
            future = self._values.get(key)
            ours = future is None
            if future is None:
                future = self._values[key] = Future()
            else:
                self._values.move_to_end(key)
        if ours:
            try:
                value = make()
            except BaseException as error:
                with self._lock:
                    self._values.pop(key, None)
                future.set_exception(error)
                raise
            future.set_result(value)
            self._make_room(self._size_of(value))
        return future.result()

    def __contains__(self, key: Key) -> bool:
        return key in self._values

    def discard(self, key: Key) -> None:
        """Forget a value that is made; one that is being made stays."""
        with self._lock:
            made = self._values.get(key)
            if made is not None and made.done():
                del self._values[key]
                self._used -= self._size_of(made.result())

    def clear(self) -> None:
        """Forget every value."""
        with self._lock:
            self._values = OrderedDict((key, made) for key, made in self._values.items() if not made.done())
            self._used = 0

    def _make_room(self, size: int) -> None:
        with self._lock:
            self._used += size
            for key in list(self._values)[:-1]:
                if self._used <= self.room:
                    break
                if self._values[key].done():
                    self._used -= self._size_of(self._values.pop(key).result())
