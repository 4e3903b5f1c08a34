"""What recognisers said of a run's replies: a file a judge, and the name of the one whose judgements are scored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avemo_harness.errors import StorageError, StoreError
from avemo_harness.metrics.profiles import Calibration
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.paths import write_atomically
from avemo_harness.run.lines import LineWriter, complete_lines, cut_after, parse_line
from avemo_harness.run.sealed import read_sealed_json, sealed_json
from avemo_harness.scorers.judged import Judge, Judged

DECIMALS = 4
"""Trajectories are stored rounded, so that results do not depend on the order of floating-point sums."""

Place = tuple[str, str]
"""Task and item."""


@dataclass(frozen=True, slots=True)
class Judgements:
    """The judgements of one judge in a run directory.

    Args:
        folder: the run directory.
        judge: whose they are.
    """

    folder: Path
    judge: Judge

    def write_judge(self) -> None:
        """Keep who judges, beside the judgements."""
        write_atomically(self._path("json"), sealed_json(asdict(self.judge)))

    def choose(self) -> None:
        """Let the run be scored by this judge from now on."""
        write_atomically(self.folder / "judge.json", sealed_json({"digest": self.judge.digest}))

    def read(self) -> dict[Place, Judged]:
        """Every judgement that is whole, the last one of each item."""
        return self._read()[0]

    @property
    def damage(self) -> list[str]:
        """Damaged lines, a sentence each; their items count as not judged."""
        return self._read()[1]

    def _read(self) -> tuple[dict[Place, Judged], list[str]]:
        path = self._path("jsonl")
        found: dict[Place, Judged] = {}
        damage: list[str] = []
        for number, line in enumerate(complete_lines(path)[0] if path.exists() else [], 1):
            try:
                row = parse_line(line)
                found[row["task"], row["item"]] = self._judged(row)
            except (ValueError, TypeError, KeyError) as error:
                where = f"{path.relative_to(self.folder)}, line {number}"
                damage.append(f"{where}: damaged ({error}); avemo-eval judge RUN judges its item again")
        return found, damage

    def writer(self) -> LineWriter:
        """Appends judgements (`judgement_row`); what a killed judge left half written is cut off first."""
        path = self._path("jsonl")
        if path.exists():
            cut_after(path, complete_lines(path)[1])
        return LineWriter(path)

    def _judged(self, row: Mapping[str, Any]) -> Judged:
        return Judged(
            judge=self.judge,
            user=_trajectory(row.get("user")),
            user_audio=_trajectory(row.get("user_audio")),
            reply=_trajectory(row.get("reply")),
            why=row.get("why"),
            place=row["place"],
            has_reference=row["has_reference"],
            error=row.get("error"),
            user_view=row.get("user_view"),
            n_clipped=row.get("n_clipped", 0),
        )

    def _path(self, suffix: str) -> Path:
        return self.folder / "judgements" / f"{self.judge.digest[:16]}.{suffix}"


def chosen_judgements(folder: Path) -> Judgements | None:
    """The judgements that a run is scored by; None where no judge was asked yet.

    Raises:
        StoreError: what names the judge is damaged.
    """
    chosen = folder / "judge.json"
    if not chosen.exists():
        return None
    try:
        digest = read_sealed_json(chosen)["digest"]
        values = read_sealed_json(folder / "judgements" / f"{digest[:16]}.json")
        calibration = values["calibration"]
        judge = Judge(**{**values, "calibration": Calibration(**calibration) if calibration else None})
    except StorageError as error:
        if not error.missing:
            raise
        raise StoreError(f"{chosen}: {error.path} is missing; judge the run again") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{chosen}: the judge cannot be read ({error}); judge the run again") from error
    return Judgements(folder, judge)


def judgement_row(place: Place, judged: Judged) -> dict[str, Any]:
    """The line of a judgement."""
    row = {
        "task": place[0],
        "item": place[1],
        "place": judged.place,
        "has_reference": judged.has_reference,
        "user": _stored(judged.user),
        "user_audio": _stored(judged.user_audio),
        "reply": _stored(judged.reply),
        "why": judged.why,
        "error": judged.error,
        "user_view": judged.user_view,
        "n_clipped": judged.n_clipped or None,
    }
    return {name: value for name, value in row.items() if value is not None}


def _stored(trajectory: Trajectory | None) -> dict[str, Any] | None:
    if trajectory is None:
        return None
    columns: Iterable[str] = trajectory.columns
    values = {name: trajectory.values[:, i].round(DECIMALS).tolist() for i, name in enumerate(columns)}
    return {"scale": trajectory.scale, "rate_hz": float(trajectory.rate_hz), "values": values}


def _trajectory(stored: Mapping[str, Any] | None) -> Trajectory | None:
    if stored is None:
        return None
    columns = tuple(stored["values"])
    values = np.array([stored["values"][name] for name in columns], dtype=np.float64).T.reshape(-1, len(columns))
    return Trajectory(values, columns, stored["scale"], stored["rate_hz"])
