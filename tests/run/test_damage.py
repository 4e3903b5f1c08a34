"""One bit of a finished run is changed: figures stay as they are, or the damage is named. None is silently another."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.speaking_runs import Speaker, write_speaking_run
from support.synthetic_release import write_synthetic_release

from avemo_harness.errors import AvemoError
from avemo_harness.report.results import RunResult, score_run
from avemo_harness.report.scored_run import read_scored_run

CHANGES = 150


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage")
    release = write_synthetic_release(folder / "release")
    return write_speaking_run(folder / "run", release, Speaker())


def figures(result: RunResult) -> dict[str, object]:
    """The parts of a run that a reader takes."""
    return {name: (task.metrics, task.rows, task.status, task.n_items) for name, task in result.tasks.items()}


def changes(folder: Path) -> Iterator[tuple[Path, int, int]]:
    """Files with a position in each and the bit to turn, every file at least once; seeded."""
    rng = random.Random(17)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    for number in range(CHANGES):
        path = files[number] if number < len(files) else rng.choice(files)
        yield path.relative_to(folder), rng.randrange(path.stat().st_size), 1 << rng.randrange(8)


@pytest.mark.slow
def test_no_changed_byte_gives_another_figure_silently(finished: Path, tmp_path: Path) -> None:
    before = figures(read_scored_run(finished).result)
    silent = []
    named = harmless = 0
    for path, position, bit in changes(finished):
        run = Path(shutil.copytree(finished, tmp_path / "run"))
        data = bytearray((run / path).read_bytes())
        data[position] ^= bit
        (run / path).write_bytes(data)
        try:
            stored = figures(read_scored_run(run).result)
            result = score_run(run)
        except AvemoError:
            named += 1
        else:
            if result.damage:
                named += 1
            elif figures(result) == before == stored:
                harmless += 1
            else:
                silent.append((str(path), position, bit))
        shutil.rmtree(run)
    print(f"{CHANGES} changed bytes: {named} named, {harmless} harmless, {len(silent)} silent")
    assert silent == []
    assert named > CHANGES // 3
