"""Errors of anybody's classes can be told: those that fail to say anything, and those that say too much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from support.releases import write_text_release, write_text_task

from avemo_harness import evaluate
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.errors import MAX_MESSAGE_LENGTH, describe, first_line, message_of
from avemo_harness.models.base import Capabilities
from avemo_harness.run.answers import read_errors


class MuteError(RuntimeError):
    """Fails where its text is asked for, as classes do that were unpickled without their fields."""

    def __str__(self) -> str:
        raise AttributeError("no field 'response'")


class Failing:
    """Fails with the same error on everything."""

    capabilities = Capabilities(frozenset({"label_text"}), largest_batch=4)

    def __init__(self, error: Exception) -> None:
        self.error = error

    def identity(self) -> Mapping[str, str]:
        return {"model": "failing"}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        raise self.error


def test_an_error_without_a_text_is_told_by_its_class() -> None:
    assert (message_of(MuteError()), first_line(MuteError()), describe(MuteError())) == (
        "",
        "MuteError",
        "MuteError: no message",
    )


def test_a_very_long_error_is_kept_by_its_beginning() -> None:
    told = describe(ValueError("x" * 1_000_000))
    assert told.startswith("ValueError: xxx")
    assert told.endswith("x…")
    assert len(told) < MAX_MESSAGE_LENGTH + 100
    assert describe(ValueError("x" * MAX_MESSAGE_LENGTH)).endswith("x")


@pytest.mark.parametrize(
    ("error", "kept"), [(MuteError(), "MuteError: no message"), (ValueError("x" * 1_000_000), "ValueError: xxx")]
)
def test_neither_ends_a_run(error: Exception, kept: str, tmp_path: Path) -> None:
    task = str(write_text_task(tmp_path / "text.yaml", write_text_release(tmp_path / "data", dialogues=3)))
    assert evaluate(Failing(error), task, output_path=tmp_path / "run").n_errors == 3
    assert all(told.startswith(kept) and len(told) < 11_000 for told in read_errors(tmp_path / "run"))
