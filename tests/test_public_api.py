"""The names that `import avemo_harness` offers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import avemo_harness
from avemo_harness.errors import TaskError


def test_every_public_name_is_there() -> None:
    for name in avemo_harness.__all__:
        assert getattr(avemo_harness, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        avemo_harness.evalute  # noqa: B018  (looking it up is the point)


def test_importing_the_package_imports_none_of_them() -> None:
    program = "import avemo_harness, sys; print([m for m in sys.modules if m.startswith('avemo_harness.')])"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"


def test_a_task_is_loaded_by_name_or_path(tmp_path: Path) -> None:
    assert avemo_harness.load_task("demo_full_av").spec.condition.name == "full_av"
    with pytest.raises(TaskError, match="stands for 5 tasks"):
        avemo_harness.load_task("demo")


def test_the_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    assert avemo_harness.__version__ == version("avemo-harness")
