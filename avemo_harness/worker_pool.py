"""Processes that compute for this one and end with it, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager


@contextmanager
def worker_pool(count: int) -> Iterator[ProcessPoolExecutor]:
    """That many processes, until the block ends."""
    # A forked process could inherit a held lock of a threaded library, so processes start afresh.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_end_with_parent) as pool:
        yield pool


def _end_with_parent() -> None:
    """Watch the process that started this one: nobody would ever stop a worker whose parent was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # it runs in a worker alone

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()
