"""Units of a build: made by the tools of each stage, in parallel, and stored by content digest."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from avemo_harness import files, media
from avemo_harness.data.pipeline.backends import (
    DialogueBackend,
    FaceBackend,
    Script,
    ScriptLine,
    ScriptRequest,
    SpeechAudio,
    SpeechBackend,
    SpokenUtterance,
    Utterance,
)
from avemo_harness.data.pipeline.builtin import BuiltinFace
from avemo_harness.data.synthesis.face import FPS
from avemo_harness.data.synthesis.voice import RATE
from avemo_harness.errors import BuildError, MediaError, StorageError, StoreError, UsageError, describe
from avemo_harness.torch_setup import worker_pool


@dataclass(frozen=True, slots=True)
class UnitKey:
    """Which unit it is.

    Args:
        digest: of the stage, its tool, and the unit's inputs.
    """

    stage: str
    digest: str

    @classmethod
    def of(cls, stage: str, decides: Mapping[str, Any]) -> UnitKey:
        """The key of a unit.

        Args:
            decides: everything that decides what it is, as JSON takes it.
        """
        content = json.dumps([stage, decides], sort_keys=True, ensure_ascii=True)
        return cls(stage, hashlib.sha256(content.encode()).hexdigest())


class UnitStore:
    """The units of a build.

    Args:
        folder: made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._whole: set[UnitKey] = set()

    def path(self, key: UnitKey) -> Path:
        """Where a unit is, or is to be."""
        return self.folder / "units" / key.stage / key.digest[:2] / key.digest

    def has(self, key: UnitKey) -> bool:
        """Whether a unit is made. Its files are compared with their digests when it is asked for first; one that is
        damaged is removed, so that it is made anew.

        Raises:
            StoreError: a damaged unit cannot be removed.
        """
        place = self.path(key)
        if key in self._whole or not place.exists():
            return key in self._whole
        if not _is_whole(place):
            try:
                shutil.rmtree(place)
            except OSError as error:
                raise StoreError(f"{place}: is damaged and cannot be removed ({error.strerror}); delete it") from error
            return False
        self._whole.add(key)
        return True

    def read(self, key: UnitKey, name: str) -> bytes:
        """A file of a unit.

        Raises:
            StoreError: it is missing or cannot be read.
        """
        path = self.path(key) / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise StoreError(
                f"{path}: cannot be read ({error.strerror}); delete {path.parent} to make it anew"
            ) from error

    def meta(self, key: UnitKey) -> dict[str, Any]:
        """What is recorded of a unit."""
        meta: dict[str, Any] = json.loads(self.read(key, "meta.json"))
        return meta

    def put(self, key: UnitKey, files: Mapping[str, bytes], meta: Mapping[str, Any]) -> None:
        """Keep a unit; one that is there stays. An earlier failure of it is forgotten.

        Raises:
            StoreError: the disk is full or the folder cannot be written.
        """
        place = self.path(key)
        hidden = place.with_name(f".{key.digest[:16]}.{secrets.token_hex(4)}")
        recorded = {**meta, "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}}
        try:
            hidden.mkdir(parents=True)
            for name, data in {**files, "meta.json": json.dumps(recorded, sort_keys=True, indent=1).encode()}.items():
                with open(hidden / name, "wb") as handle:
                    handle.write(data)
                    handle.flush()
                    os.fsync(handle.fileno())
            if self.has(key):
                shutil.rmtree(hidden)
            else:
                hidden.rename(place)
                self._whole.add(key)
        except OSError as error:
            shutil.rmtree(hidden, ignore_errors=True)
            raise StorageError(place, "written", error) from error
        self._failure(key).unlink(missing_ok=True)

    def fail(self, key: UnitKey, unit: str, error: str) -> None:
        """Record that a unit could not be made."""
        content = json.dumps({"unit": unit, "stage": key.stage, "error": error}, sort_keys=True)
        files.write_atomically(self._failure(key), content + "\n")

    def failure(self, key: UnitKey) -> str | None:
        """Why a unit could not be made; None where it was not tried or is there."""
        try:
            return str(files.read_json(self._failure(key), dict)["error"])
        except (OSError, ValueError, KeyError):
            return None

    def _failure(self, key: UnitKey) -> Path:
        return self.folder / "failed" / key.stage / f"{key.digest}.json"


def _is_whole(place: Path) -> bool:
    try:
        files = json.loads((place / "meta.json").read_bytes())["files"]
        return all(hashlib.sha256((place / name).read_bytes()).hexdigest() == told for name, told in files.items())
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return False


PROGRESS_INTERVAL_S = 10.0
"""Seconds between two lines of progress."""

Say = Callable[[str], object]
Files = dict[str, bytes]
Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """A unit to be made.

    Args:
        unit: for messages.
        make: gives its files and what is to be recorded of it; may run in another process.
        arguments: for `make`.
    """

    key: UnitKey
    unit: str
    make: Callable[..., tuple[Files, Facts]]
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How units are made.

    Args:
        executor: how many at a time, and where; None for one after the other in this thread.
        retry: also those that failed before.
        hide: takes out of an error what must not be kept of it.
    """

    executor: Executor | None
    retry: bool
    say: Say
    hide: Callable[[str], str]


@contextmanager
def processes(count: int) -> Iterator[Executor | None]:
    """Processes that compute; None for one, which needs none."""
    if count == 1:
        yield None
        return
    with worker_pool(count) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def threads(count: int) -> Iterator[Executor | None]:
    """Threads that wait for tools. At the end of the block nothing more is begun, and what runs is ended."""
    pool = ThreadPoolExecutor(count, thread_name_prefix="build")
    try:
        yield pool
    finally:
        from avemo_harness.data.pipeline.command import no_tools

        pool.shutdown(wait=False, cancel_futures=True)
        with no_tools():
            pool.shutdown()


def make_units(stage: str, jobs: Sequence[Job], store: UnitStore, work: WorkerSettings) -> None:
    """Make what is missing of a stage; units that cannot be made are recorded, whatever the error is.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
        UsageError: no unit could be made like this.
    """
    waiting = [job for job in dict.fromkeys(jobs) if not store.has(job.key)]
    failed_before = {job.key for job in waiting if store.failure(job.key) is not None}
    if not work.retry:
        waiting = [job for job in waiting if job.key not in failed_before]
    there = len(set(jobs)) - len(waiting) - (0 if work.retry else len(failed_before))
    counter = _StageProgress(stage, len(waiting), there, work.say)
    if work.executor is None:
        for job in waiting:
            counter.count(_store_result(job, store, work, partial(job.make, *job.arguments)))
    else:
        _make_in_parallel(waiting, store, work, work.executor, counter)
    counter.end()


def _make_in_parallel(
    jobs: Sequence[Job], store: UnitStore, work: WorkerSettings, executor: Executor, counter: _StageProgress
) -> None:
    # Few are handed over at a time, since each carries its inputs.
    rest, running = iter(jobs), dict[Future[tuple[Files, Facts]], Job]()
    more = True
    while more or running:
        while more and len(running) < 64:
            job = next(rest, None)
            if job is None:
                more = False
            else:
                running[executor.submit(job.make, *job.arguments)] = job
        done, _ = wait(running, return_when=FIRST_COMPLETED) if running else (set[Future[Any]](), None)
        for future in done:
            counter.count(_store_result(running.pop(future), store, work, future.result))


def _store_result(job: Job, store: UnitStore, work: WorkerSettings, result: Callable[[], tuple[Files, Facts]]) -> bool:
    """Keep a unit, or record why there is none; returns whether there is."""
    try:
        files, facts = result()
    except (StoreError, UsageError, BrokenExecutor):
        raise
    except Exception as error:  # what a tool gives may be odd in ways that nobody thought of
        store.fail(job.key, job.unit, work.hide(describe(error)))
        return False
    store.put(job.key, files, {"unit": job.unit, **facts})
    return True


class _StageProgress:
    """Tells how far a stage is."""

    def __init__(self, stage: str, total: int, there: int, say: Say) -> None:
        self._stage, self._total, self._there, self._say = stage, total, there, say
        self._done = self._failed = 0
        self._begun = self._told = time.monotonic()

    def count(self, made: bool) -> None:
        """One more is settled."""
        self._done += 1
        self._failed += not made
        if time.monotonic() - self._told >= PROGRESS_INTERVAL_S:
            self._told = time.monotonic()
            self._say(self._line())

    def end(self) -> None:
        """All are settled."""
        self._say(self._line())

    def _line(self) -> str:
        rate = self._done / max(time.monotonic() - self._begun, 1e-3)
        speed = f", {rate:.1f} a second" if self._done else ""
        failed = f", {self._failed} failed" if self._failed else ""
        kept = f" ({self._there} were there)" if self._there else ""
        return f"{self._stage}: {self._done} of {self._total} made{kept}{speed}{failed}"


STAGE_VERSIONS = {"dialogue": 1, "speech": 1, "face": 1, "sound": 1}
"""Raised whenever equal inputs begin to give another unit."""


def write_script(writer: DialogueBackend, brief: ScriptRequest) -> tuple[Files, Facts]:
    """A dialogue as JSON."""
    script = writer.write(brief)
    emotions = tuple(line.emotion for line in script.lines if line.role == "user")
    if len(script.lines) != brief.turns or emotions != brief.emotions:
        raise BuildError(f"{brief.script_id}: the dialogue that was written is not the one that was asked for")
    content = {"lines": [asdict(line) for line in script.lines], "written_by": script.written_by}
    return {"script.json": json.dumps(content, sort_keys=True).encode()}, {"written_by": script.written_by}


def read_script(data: bytes) -> Script:
    """The dialogue that `write_script` made."""
    content = json.loads(data)
    return Script(tuple(ScriptLine(**line) for line in content["lines"]), content["written_by"])


def speak_utterance(speech: SpeechBackend, utterance: Utterance) -> tuple[Files, Facts]:
    """The sound of an utterance as WAV."""
    sound = speech.speak(utterance)
    if not len(sound.samples) or not np.isfinite(sound.samples).all() or not sound.samples.any():
        raise BuildError(f"{utterance.unit_id}: the voice gave no sound")
    return {"speech.wav": media.write_wave(sound.samples, sound.rate_hz)}, {"duration_s": round(sound.duration_s, 4)}


def animate_utterance(face: FaceBackend, utterance: Utterance, speech: Path) -> tuple[Files, Facts]:
    """The clip of a user's utterance: h264 at 25 frames a second, AAC at 16 kHz, both equally long."""
    samples = _at_rate(speech)
    frames = max(2, round(len(samples) / RATE * FPS))
    samples = _fitted(samples, frames * RATE // FPS)
    clip = face.animate(SpokenUtterance(utterance, SpeechAudio(samples, RATE)))
    if not isinstance(face, BuiltinFace):
        clip = _normalised(utterance, clip, samples, frames)
    return {"clip.mp4": clip}, {"duration_s": round(frames / FPS, 4)}


def encode_utterance(speech: Path) -> tuple[Files, Facts]:
    """The clip of an assistant's utterance: sound alone."""
    samples = _at_rate(speech)
    return {"clip.mp4": media.encode_sound(samples, RATE)}, {"duration_s": round(len(samples) / RATE, 4)}


def _at_rate(speech: Path) -> media.Samples:
    samples, rate = media.read_wave(speech.read_bytes())
    return media.resample(samples, rate, RATE)


def _fitted(samples: media.Samples, count: int) -> media.Samples:
    return np.pad(samples[:count], (0, max(0, count - len(samples))))


def _normalised(utterance: Utterance, clip: bytes, samples: media.Samples, frames: int) -> bytes:
    try:
        pixels = media.decode_frames(clip, fps=FPS).pixels[:frames]
        even = pixels[:, : pixels.shape[1] // 2 * 2, : pixels.shape[2] // 2 * 2]
        held = np.concatenate([even, np.repeat(even[-1:], frames - len(even), axis=0)])
        return media.encode_clip(held, samples, fps=FPS, rate=RATE)
    except MediaError as error:
        raise BuildError(f"{utterance.unit_id}: the video of its face cannot be used ({error})") from error
