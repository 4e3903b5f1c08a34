"""Pause the collector of reference cycles while many records are made, and give back memory that is free."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collection_paused() -> Iterator[None]:
    """Keep Python from looking for reference cycles inside the block, or the decorated function.

    It looks through all records again and again while their number grows, which takes a fifth of the time of reading
    100,000 lines. Records without cycles are freed all the same, by their counts of references.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def give_back_memory() -> None:
    """Give the system back what C libraries have freed and glibc keeps for them; does nothing with another libc.

    What pyarrow knows of a file of many row groups is tens of megabytes, which Python's own objects never use again.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
