"""Seconds of a run by phase: of the thread that asks, and of threads that work beside it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

PHASES: Mapping[str, str] = {
    "load": "loading weights",
    "media": "making and decoding clips",
    "prepare": "resizing frames, mel spectra, layout of prompts",
    "encode": "encoders of video and sound",
    "prefill": "reading prompts",
    "generate": "tokens and scores of answers; of models that name no other phase, all of answering",
    "talk": "speech codes",
    "vocode": "speech codes to sound",
    "judge": "judging replies",
    "store": "writing and reading the run directory",
    "waiting": "for clips that are being prepared, for a server, or for other workers",
    "other": "between the phases",
}
"""Phases in the order of a table, and what each is."""

ON_DEVICE = frozenset({"encode", "prefill", "generate", "talk", "vocode"})
"""Phases in which a GPU computes."""


@dataclass(frozen=True, slots=True)
class PhaseSeconds:
    """Seconds of one phase.

    Args:
        asking: of the thread that asks; those of all phases add up to its time.
        beside: of other threads meanwhile, all together.
    """

    asking: float = 0.0
    beside: float = 0.0

    def __add__(self, other: PhaseSeconds) -> PhaseSeconds:
        return PhaseSeconds(self.asking + other.asking, self.beside + other.beside)


@dataclass(eq=False)
class PhaseClock:
    """Adds up the time that threads spend in phases. A phase inside another one takes its time from that.

    Args:
        wait_for_device: a GPU finishes its work before a phase ends, so that its time counts where it was called for.
            Without it a GPU's time counts where a result is first needed.
    """

    wait_for_device: bool = False
    _asking: dict[str, float] = field(default_factory=dict)
    _beside: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Let the calling thread be the one that asks, inside the block."""
        before, timer = _here.timer, _Timer(self, self._asking)
        _here.timer = timer
        timer.enter("other")
        try:
            yield
        finally:
            timer.leave()
            _here.timer = before

    def attach(self) -> None:
        """Count what the calling thread does from now on as done beside."""
        _here.timer = _Timer(self, self._beside)

    def take(self) -> dict[str, PhaseSeconds]:
        """The seconds since the last call, by phase in the order of `PHASES`.

        The calling thread's phases under way count up to now, those of other threads once they end.
        """
        if _here.timer is not None and _here.timer.clock is self:
            _here.timer.look()
        with self._lock:
            asking, beside = dict(self._asking), dict(self._beside)
            self._asking.clear()
            self._beside.clear()
        named = {name: PhaseSeconds(asking.get(name, 0.0), beside.get(name, 0.0)) for name in PHASES}
        return {name: seconds for name, seconds in named.items() if seconds != PhaseSeconds()}

    def add(self, spent: dict[str, float], name: str, seconds: float) -> None:
        with self._lock:
            spent[name] = spent.get(name, 0.0) + seconds


class _Here(threading.local):
    timer: _Timer | None = None


_here = _Here()


class _Timer:
    """One thread's phases under way, the innermost last."""

    def __init__(self, clock: PhaseClock, spent: dict[str, float]) -> None:
        self.clock, self._spent = clock, spent
        self._names: list[str] = []
        self._since = 0.0

    def enter(self, name: str) -> None:
        self.look(on_device=name in ON_DEVICE)
        self._names.append(name)

    def leave(self) -> None:
        self.look(on_device=self._names[-1] in ON_DEVICE)
        self._names.pop()

    def credit(self, seconds: Mapping[str, PhaseSeconds]) -> None:
        for name, spent in seconds.items():
            if self._names and name in PHASES and name != "other":
                self.clock.add(self._spent, name, spent.asking)
                self.clock.add(self._spent, self._names[-1], -spent.asking)
            self.clock.add(self.clock._beside, name, spent.beside)

    def look(self, *, on_device: bool = False) -> None:
        """Give the time since the last look to the innermost phase."""
        if on_device and self.clock.wait_for_device:
            _wait_for_device()
        now = perf_counter()
        if self._names:
            self.clock.add(self._spent, self._names[-1], now - self._since)
        self._since = now


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Count the block as a phase of the calling thread's clock; nothing is counted where it has none."""
    timer = _here.timer
    if timer is None:
        yield
        return
    timer.enter(name)
    try:
        yield
    finally:
        timer.leave()


def beside() -> Callable[[], None]:
    """A function by which a new thread counts as one beside the calling thread."""
    timer = _here.timer
    return (lambda: None) if timer is None else timer.clock.attach


def credit(seconds: Mapping[str, PhaseSeconds]) -> None:
    """Take time that another process counted out of the phase under way, which waited for it."""
    if _here.timer is not None:
        _here.timer.credit(seconds)


def device_is_used() -> bool:
    """True where this process computes on a GPU. Nothing is imported for it."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_initialized())


def _wait_for_device() -> None:
    """Wait for what the calling thread gave to GPUs, and for nothing that another thread's stream does."""
    if device_is_used():
        torch = sys.modules["torch"]
        for device in range(torch.cuda.device_count()):
            torch.cuda.current_stream(device).synchronize()
