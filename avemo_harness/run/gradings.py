"""Grades as a run directory keeps them: an append-only file a grader and rubric, and those that a task is scored by.

A line is the grade of one sample of one answer, known by the answer's own content: another answer to the same item has
no grade until it is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from avemo_harness.benchmark.request import ItemKey, StoredResponse
from avemo_harness.errors import StorageError, StoreError
from avemo_harness.files import write_atomically
from avemo_harness.run.json_files import (
    LineWriter,
    appending_writer,
    read_sealed_json,
    sealed_json,
    take_rows,
)
from avemo_harness.scorers.base import Grader, Grading

CHOSEN = "grader.json"
"""The file that names, by task, the grader that a run is scored by."""
SampleKey = tuple[str, str, str, int]
"""Task, item, digest of the answer, and number of the sample."""


def answer_digest(text: str) -> str:
    """The content of an answer, by which its grades and ratings are known."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Grade:
    """Grade of one sample of an answer.

    Args:
        key: of the request; equal requests share a grade.
        grade: None where there is an error.
    """

    key: str
    grade: float | None
    reason: str = ""
    error: str | None = None


def grade_row(sample: SampleKey, grade: Grade) -> dict[str, Any]:
    """The line of a grade: its fields that hold something."""
    task, item, answer, number = sample
    row = {"task": task, "item": item, "answer": answer, "sample": number, **asdict(grade)}
    return {name: value for name, value in row.items() if value not in (None, "") and (name, value) != ("sample", 0)}


@dataclass(frozen=True, slots=True)
class Gradings:
    """The grades of one grader by one rubric.

    Args:
        folder: the run directory.
        grader: whose they are.
    """

    folder: Path
    grader: Grader

    def write_grader(self) -> None:
        """Keep who grades, beside the grades."""
        write_atomically(self._path("json"), sealed_json(asdict(self.grader)))

    def read(self) -> dict[SampleKey, Grade]:
        """Every grade and failure that is whole; of a sample a grade, or else the last failure."""
        return self._read()[0]

    @property
    def damage(self) -> list[str]:
        """Damaged lines, a sentence each; their answers count as not graded."""
        return self._read()[1]

    def _read(self) -> tuple[dict[SampleKey, Grade], list[str]]:
        found: dict[SampleKey, Grade] = {}

        def take(row: Mapping[str, Any]) -> None:
            sample = (row["task"], row["item"], row["answer"], int(row.get("sample", 0)))
            value = row.get("grade")
            grade = Grade(row["key"], None if value is None else float(value), row.get("reason", ""), row.get("error"))
            if grade.grade is not None or sample not in found or found[sample].grade is None:
                found[sample] = grade

        advice = "avemo-eval grade RUN grades its answer again"
        return found, take_rows(self._path("jsonl"), self.folder, take, advice)

    def writer(self) -> LineWriter:
        """Appends grades (`grade_row`); what a killed grader left half written is cut off first."""
        return appending_writer(self._path("jsonl"))

    def of_answers(self, task: str, answers: Mapping[ItemKey, StoredResponse], samples: int) -> dict[ItemKey, Grading]:
        """The gradings of a task's answers; those that were never asked for have none.

        Args:
            samples: whose mean is a grade; with one of them missing there is none.
        """
        grades = self.read()
        found = {}
        for key, response in answers.items():
            if key[0] != task or response.text is None:
                continue
            digest = answer_digest(response.text)
            of_answer = [one for i in range(samples) if (one := grades.get((*key, digest, i))) is not None]
            if of_answer:
                found[key] = self._grading(of_answer, samples)
        return found

    def _grading(self, grades: Sequence[Grade], samples: int) -> Grading:
        known = [one.grade for one in grades if one.grade is not None]
        if len(known) == samples:
            return Grading(self.grader, sum(known) / samples, grades[0].reason)
        error = next((one.error for one in grades if one.error), f"{len(known)} of {samples} samples are graded")
        return Grading(self.grader, None, error=error)

    def _path(self, suffix: str) -> Path:
        return self.folder / "gradings" / f"{self.grader.digest[:16]}.{suffix}"


def chosen_gradings(folder: Path) -> dict[str, Gradings]:
    """The gradings that a run is scored by, by task; tasks whose answers nobody graded yet have none.

    Raises:
        StorageError: a file cannot be read.
        StoreError: what names a grader is damaged.
    """
    return {task: Gradings(folder, _read_grader(folder, digest)) for task, digest in _chosen(folder).items()}


def choose_grader(folder: Path, task: str, grader: Grader) -> None:
    """Let a task be scored by this grader from now on."""
    tasks = {**_chosen(folder), task: grader.digest}
    write_atomically(folder / CHOSEN, sealed_json({"tasks": dict(sorted(tasks.items()))}))


def _chosen(folder: Path) -> dict[str, str]:
    path = folder / CHOSEN
    if not path.exists():
        return {}
    try:
        return {str(task): str(digest) for task, digest in read_sealed_json(path)["tasks"].items()}
    except (ValueError, KeyError, AttributeError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); remove it, then {_again(folder)}") from error


def _read_grader(folder: Path, digest: str) -> Grader:
    path = folder / "gradings" / f"{digest[:16]}.json"
    try:
        return Grader(**read_sealed_json(path))
    except StorageError as error:
        if not error.missing:
            raise
        raise StoreError(f"{path}: is missing; remove {folder / CHOSEN}, then {_again(folder)}") from error
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"{path}: the grader cannot be read ({error}); remove it and {folder / CHOSEN}, then {_again(folder)}"
        ) from error


def _again(folder: Path) -> str:
    return f"name the grader again, which keeps what it graded: avemo-eval grade {folder}"
