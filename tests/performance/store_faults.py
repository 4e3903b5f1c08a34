"""Full disks, changed bytes and kills, and a run after them. Counts beside WRONG are faults of the run's store.

    OMP_NUM_THREADS=1 python tests/performance/store_faults.py [disk] [bytes] [kills]

`disk` fills a small ext4 file system of its own, which needs root on Linux, and asks at every amount of free space in
steps of a block. `bytes` changes one byte at a time, over all files of a finished run. `kills` ends workers, one or
several on a run, at random moments. Each then gives the run's command again and compares with an undisturbed run.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from support.speaking_runs import Speaker, write_speaking_run
from support.synthetic_release import write_synthetic_release

from avemo_harness.benchmark.request import Request, Response, Speech
from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.errors import AvemoError
from avemo_harness.report.results import RunResult, score_run
from avemo_harness.report.scored_run import read_scored_run
from avemo_harness.run.store import RunStore

sys.path.insert(0, str(Path(__file__).parents[1]))


BLOCK = 4096
DISK_BYTES = 24 * 2**20
CHANGES, KILLS = 1_000, 200
SEED = 17
REFUSED, RAISED = 3, 4
"""Exit codes of workers: an error of the package, and any other."""


@dataclass(frozen=True)
class Talker(Speaker):
    """Replies with noise, which takes room, and notes what it is asked before it answers."""

    log: Path | None = None
    seconds: float = 0.0

    def identity(self) -> dict[str, str]:
        return {"model": "talker"}

    def answer(self, request: Request) -> Response:
        if self.log is not None:
            with open(self.log, "ab", buffering=0) as log:
                log.write(f"{request.key}\n".encode())
        time.sleep(self.seconds)
        if isinstance(request.output, LabelOutput):
            return Response(text=request.output.labels[request.seed % 4])
        noise = np.random.default_rng(request.seed).normal(0, 0.1, 16_000)
        return Response(text=f"well {request.seed % 97}", speech=Speech(noise.astype(np.float32), 16_000))


def start(work: Callable[[], object], said: Path) -> int:
    """Begin work in a process of its own; what it ends with is written to `said`."""
    process = os.fork()
    if process:
        return process
    code = 0
    try:
        work()
    except AvemoError as error:
        code = REFUSED
        said.write_text(str(error))
    except BaseException as error:
        code = RAISED
        said.write_text(repr(error))
    os._exit(code)


def finish(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@dataclass(frozen=True)
class Bench:
    """A release, and the run that nothing disturbed."""

    folder: Path
    release: Path

    @classmethod
    def of(cls, folder: Path, dialogues: int) -> Bench:
        bench = cls(folder, write_synthetic_release(folder / "release", dialogues=dialogues, turns=1))
        assert bench.run(bench.whole) == 0, bench.said.read_text()
        return bench

    @property
    def whole(self) -> Path:
        return self.folder / "whole"

    @property
    def said(self) -> Path:
        return self.folder / "said"

    def work(self, run: Path, **options: object) -> Callable[[], object]:
        return lambda: write_speaking_run(run, self.release, Talker(**options))  # type: ignore[arg-type]  # its fields

    def run(self, run: Path) -> int:
        """Ask, judge and score; returns the exit code."""
        return finish(start(self.work(run), self.said))

    def is_whole(self, run: Path) -> bool:
        return (run / "results.json").read_bytes() == (self.whole / "results.json").read_bytes()


# Full file systems


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    image, disk = folder / "image", folder / "disk"
    with open(image, "wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-b", str(BLOCK), "-m", "0", str(image)], check=True)
    disk.mkdir()
    subprocess.run(["mount", "-o", "loop", str(image), str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def free_bytes(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def fill(disk: Path, free: int) -> Path:
    """Take all room but `free` bytes."""
    ballast = disk / "ballast"
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, free_bytes(disk) - free)
    return ballast


def cut_replies(run: Path, whole: Path) -> int:
    """Answers whose speech is not that of the undisturbed run, byte by byte."""
    store = RunStore(run)
    store.refresh()
    spoken = [record.speech_path for record in store.answers.values() if record.speech_path is not None]
    return sum((run / path).read_bytes() != (whole / path).read_bytes() for path in spoken)


def fill_disks(bench: Bench) -> Counter[str]:
    counts: Counter[str] = Counter()
    reply = max(path.stat().st_size for path in bench.whole.glob("speech/*"))
    with small_disk(bench.folder) as disk:
        before = free_bytes(disk)
        assert bench.run(disk / "run") == 0
        needed = before - free_bytes(disk)
        shutil.rmtree(disk / "run")
        print(f"a run takes {needed:,} bytes, its largest reply {reply:,}")
        for free in range(0, needed + 4 * BLOCK, BLOCK):
            ballast = fill(disk, free)
            code = bench.run(disk / "run")
            if code == 0:
                first = "completed" if bench.is_whole(disk / "run") else "WRONG: another result"
            else:
                sentence = bench.said.read_text()
                first = "refused" if code == REFUSED and "make room" in sentence else f"WRONG: {sentence}"
            counts["WRONG: cut reply is an answer"] += cut_replies(disk / "run", bench.whole)
            ballast.unlink()
            again = bench.run(disk / "run") == 0 and bench.is_whole(disk / "run")
            counts[f"{first}, then {'whole' if again else 'WRONG: not whole'}"] += 1
            shutil.rmtree(disk / "run")
    return counts


# Changed bytes


def figures(result: RunResult) -> dict[str, object]:
    """The parts of a run that a reader takes."""
    return {name: (task.metrics, task.rows, task.status, task.n_items) for name, task in result.tasks.items()}


def look_at(run: Path, whole: Path) -> str:
    """The results that a reader of the run gets."""
    before = figures(read_scored_run(whole).result)
    try:
        stored = figures(read_scored_run(run).result)
        result = score_run(run)
    except AvemoError:
        return "named"
    if result.damage:
        return "named"
    return "harmless" if figures(result) == before == stored else "WRONG: another figure"


def change_bytes(bench: Bench) -> Counter[str]:
    rng = random.Random(SEED)
    files = sorted(path for path in bench.whole.rglob("*") if path.is_file() and path.stat().st_size)
    counts: Counter[str] = Counter()
    run, looked = bench.folder / "changed", bench.folder / "looked"
    for number in range(CHANGES):
        path = (files[number] if number < len(files) else rng.choice(files)).relative_to(bench.whole)
        shutil.copytree(bench.whole, run)
        data = bytearray((run / path).read_bytes())
        position = rng.randrange(len(data))
        data[position] = rng.choice([value for value in range(256) if value != data[position]])
        (run / path).write_bytes(data)
        code = finish(start(lambda: looked.write_text(look_at(run, bench.whole)), bench.said))
        first = looked.read_text() if code == 0 else f"WRONG: {bench.said.read_text()}"
        code = bench.run(run)
        if code == 0:
            second = "whole" if bench.is_whole(run) else "WRONG: not whole"
        else:
            second = "refused in a sentence" if code == REFUSED else f"WRONG: {bench.said.read_text()}"
        outcome = f"{first}, then {second}"
        if "WRONG" in outcome:
            print(path, position, outcome)
        counts[outcome] += 1
        shutil.rmtree(run)
    return counts


# Kills


def stored_keys(run: Path) -> set[str]:
    store = RunStore(run)
    store.refresh()
    return set(store.by_key)


def kill_workers(bench: Bench) -> Counter[str]:
    rng = random.Random(SEED)
    counts: Counter[str] = Counter()
    run, log = bench.folder / "killed", bench.folder / "log"
    work = bench.work(run, log=log, seconds=0.01)
    acknowledged: list[tuple[int, set[str]]] = []
    while counts["kills"] < KILLS or run.exists():
        workers = [start(work, bench.said) for _ in range(rng.choice((1, 1, 2, 3)))]
        counts[f"{len(workers)} at once"] += 1
        codes = set()
        for worker in workers:
            time.sleep(rng.uniform(0.0, 3.0 / len(workers)))
            if counts["kills"] < KILLS and (worker is not workers[-1] or rng.random() < 0.9):
                os.kill(worker, signal.SIGKILL)
            code = finish(worker)
            codes.add(code)
            if code == -signal.SIGKILL:
                counts["kills"] += 1
                acknowledged.append((log.stat().st_size if log.exists() else 0, stored_keys(run)))
        if codes & {REFUSED, RAISED}:
            print("WRONG", bench.said.read_text())
            counts["WRONG: a worker failed"] += 1
        if 0 in codes:
            counts["runs"] += 1
            counts["WRONG: not whole"] += not bench.is_whole(run)
            asked = log.read_bytes()
            for position, keys in acknowledged:
                counts["WRONG: asked again"] += len(keys & set(asked[position:].decode().split()))
            acknowledged.clear()
            shutil.rmtree(run)
            log.unlink()
    return counts


TRIALS = {"disk": (fill_disks, 2), "bytes": (change_bytes, 2), "kills": (kill_workers, 10)}


def main(names: list[str]) -> None:
    """Make the trials of these names, or all."""
    for name in names or TRIALS:
        trial, dialogues = TRIALS[name]
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            counts = trial(Bench.of(Path(folder), dialogues))
            print(f"{name}, {time.perf_counter() - started:.0f} s:")
            for what, count in sorted(counts.items()):
                print(f"  {count:5} {what}")


if __name__ == "__main__":
    main(sys.argv[1:])
