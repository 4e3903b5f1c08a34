"""Signals that end a command as Ctrl-C does, so that it clears away what it has begun and can be given again."""

from __future__ import annotations

import signal
from types import FrameType


def end_on_signals() -> None:
    """Take SIGTERM and SIGHUP for Ctrl-C; one that is ignored, as under ``nohup``, stays ignored."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
