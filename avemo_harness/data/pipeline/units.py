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
from itertools import islice
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
    Utterance,
)
from avemo_harness.data.pipeline.builtin import BuiltinFace
from avemo_harness.data.synthesis.face import FPS
from avemo_harness.data.synthesis.voice import RATE
from avemo_harness.errors import BuildError, MediaError, StorageError, StoreError, UsageError, describe
from avemo_harness.text import Notify
from avemo_harness.torch_setup import worker_pool


@dataclass(frozen=True, slots=True)
class UnitKey:
    """Stage of a unit, and digest of everything that decides it: stage, tool and inputs."""

    stage: str
    digest: str

    @classmethod
    def of(cls, stage: str, inputs: Mapping[str, Any]) -> UnitKey:
        """The key of a unit that is made of `inputs`, which are JSON."""
        content = json.dumps([stage, inputs], sort_keys=True, ensure_ascii=True)
        return cls(stage, hashlib.sha256(content.encode()).hexdigest())


class UnitStore:
    """Content-addressed store of the units of a build, in a folder that is made where it is missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._whole: set[UnitKey] = set()

    def path(self, key: UnitKey) -> Path:
        """The folder of a unit, made or not."""
        return self.folder / "units" / key.stage / key.digest[:2] / key.digest

    def has(self, key: UnitKey) -> bool:
        """Look whether a unit is made. Its files are compared with their digests when it is asked for first; one that
        is damaged is removed, so that it is made anew.

        Raises:
            StoreError: a damaged unit cannot be removed.
        """
        folder = self.path(key)
        if key in self._whole or not folder.exists():
            return key in self._whole
        if not _is_whole(folder):
            try:
                shutil.rmtree(folder)
            except OSError as error:
                raise StoreError(f"{folder}: is damaged and cannot be removed ({error.strerror}); delete it") from error
            return False
        self._whole.add(key)
        return True

    def read(self, key: UnitKey, name: str) -> bytes:
        """The bytes of a unit's file; raises a StoreError where it cannot be read."""
        path = self.path(key) / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise StoreError(
                f"{path}: cannot be read ({error.strerror}); delete {path.parent} to make it anew"
            ) from error

    def meta(self, key: UnitKey) -> dict[str, Any]:
        """The record of a unit, with the digests of its files; raises a StoreError as `read` does."""
        return dict(json.loads(self.read(key, "meta.json")))

    def put(self, key: UnitKey, contents: Mapping[str, bytes], meta: Mapping[str, Any]) -> None:
        """Keep the files of a unit; one that is there stays. An earlier failure of it is forgotten.

        Raises:
            StoreError: the disk is full or the folder cannot be written.
        """
        folder = self.path(key)
        hidden = folder.with_name(f".{key.digest[:16]}.{secrets.token_hex(4)}")
        recorded = {**meta, "files": {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}}
        try:
            hidden.mkdir(parents=True)
            record = json.dumps(recorded, sort_keys=True, indent=1).encode()
            for name, data in {**contents, "meta.json": record}.items():
                with open(hidden / name, "wb") as handle:
                    handle.write(data)
                    handle.flush()
                    os.fsync(handle.fileno())
            if self.has(key):
                shutil.rmtree(hidden)
            else:
                hidden.rename(folder)
                self._whole.add(key)
        except OSError as error:
            shutil.rmtree(hidden, ignore_errors=True)
            raise StorageError(folder, "written", error) from error
        self._failure(key).unlink(missing_ok=True)

    def fail(self, key: UnitKey, unit: str, error: str) -> None:
        """Record that a unit could not be made."""
        content = json.dumps({"unit": unit, "stage": key.stage, "error": error}, sort_keys=True)
        files.write_atomically(self._failure(key), content + "\n")

    def failure(self, key: UnitKey) -> str | None:
        """The error of a unit that could not be made; None where it was not tried or is there."""
        try:
            return str(files.read_json(self._failure(key), dict)["error"])
        except (OSError, ValueError, KeyError):
            return None

    def _failure(self, key: UnitKey) -> Path:
        return self.folder / "failed" / key.stage / f"{key.digest}.json"


def _is_whole(folder: Path) -> bool:
    try:
        digests = json.loads((folder / "meta.json").read_bytes())["files"]
        return all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == one for name, one in digests.items())
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return False


PROGRESS_INTERVAL_S = 10.0
_MAX_SUBMITTED = 64

Files = dict[str, bytes]
Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """A unit to be made.

    Args:
        unit: for messages.
        make: gives its files and facts to be recorded; may run in another process, with `arguments`.
    """

    key: UnitKey
    unit: str
    make: Callable[..., tuple[Files, Facts]]
    arguments: tuple[Any, ...]


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


def make_units(
    stage: str,
    jobs: Sequence[Job],
    store: UnitStore,
    executor: Executor | None,
    *,
    retry: bool,
    say: Notify,
    hide: Callable[[str], str],
) -> None:
    """Make what is missing of a stage; units that cannot be made are recorded, whatever the error is.

    Args:
        executor: of `processes` or `threads`; None to make one after the other in this thread.
        retry: also those that failed before.
        hide: takes secrets out of an error that is kept.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
        UsageError: no unit could be made like this.
    """
    waiting = [job for job in dict.fromkeys(jobs) if not store.has(job.key)]
    failed_before = {job.key for job in waiting if store.failure(job.key) is not None}
    if not retry:
        waiting = [job for job in waiting if job.key not in failed_before]
    there = len(set(jobs)) - len(waiting) - (0 if retry else len(failed_before))
    begun = last_said = time.monotonic()
    failed = 0
    for done, (job, result) in enumerate(_results(waiting, executor), 1):
        failed += not _store_result(job, store, hide, result)
        if time.monotonic() - last_said >= PROGRESS_INTERVAL_S:
            last_said = time.monotonic()
            say(_progress(stage, done, len(waiting), there, failed, last_said - begun))
    say(_progress(stage, len(waiting), len(waiting), there, failed, time.monotonic() - begun))


Result = Callable[[], tuple[Files, Facts]]


def _results(jobs: Sequence[Job], executor: Executor | None) -> Iterator[tuple[Job, Result]]:
    """Each job with a function that gives its result, or raises its error, in the order in which they are done."""
    if executor is None:
        for job in jobs:
            yield job, partial(job.make, *job.arguments)
        return
    rest, running = iter(jobs), dict[Future[tuple[Files, Facts]], Job]()
    while True:
        # Few are handed over at a time, since each carries its inputs.
        for job in islice(rest, _MAX_SUBMITTED - len(running)):
            running[executor.submit(job.make, *job.arguments)] = job
        if not running:
            return
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield running.pop(future), future.result


def _store_result(job: Job, store: UnitStore, hide: Callable[[str], str], result: Result) -> bool:
    """Keep a unit, or record its error; returns whether there is a unit."""
    try:
        contents, facts = result()
    except (StoreError, UsageError, BrokenExecutor):
        raise
    except Exception as error:  # what a tool gives may be odd in ways that nobody thought of
        store.fail(job.key, job.unit, hide(describe(error)))
        return False
    store.put(job.key, contents, {"unit": job.unit, **facts})
    return True


def _progress(stage: str, done: int, total: int, there: int, failed: int, elapsed_s: float) -> str:
    kept = f" ({there} were there)" if there else ""
    speed = f", {done / max(elapsed_s, 1e-3):.1f} a second" if done else ""
    return f"{stage}: {done} of {total} made{kept}{speed}{f', {failed} failed' if failed else ''}"


STAGE_VERSIONS = {"dialogue": 1, "speech": 1, "face": 1, "sound": 1}
"""Raised whenever equal inputs begin to give another unit."""


def write_script(writer: DialogueBackend, request: ScriptRequest) -> tuple[Files, Facts]:
    """A dialogue as JSON."""
    script = writer.write(request)
    emotions = tuple(line.emotion for line in script.lines if line.role == "user")
    if len(script.lines) != request.turns or emotions != request.emotions:
        raise BuildError(f"{request.script_id}: the dialogue that was written is not the one that was asked for")
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
    count = frames * RATE // FPS
    samples = np.pad(samples[:count], (0, max(0, count - len(samples))))
    clip = face.animate(utterance, SpeechAudio(samples, RATE))
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


def _normalised(utterance: Utterance, clip: bytes, samples: media.Samples, frames: int) -> bytes:
    try:
        pixels = media.decode_frames(clip, fps=FPS).pixels[:frames]
        even = pixels[:, : pixels.shape[1] // 2 * 2, : pixels.shape[2] // 2 * 2]
        held = np.concatenate([even, np.repeat(even[-1:], frames - len(even), axis=0)])
        return media.encode_clip(held, samples, fps=FPS, rate=RATE)
    except MediaError as error:
        raise BuildError(f"{utterance.unit_id}: the video of its face cannot be used ({error})") from error
