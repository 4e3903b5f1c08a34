"""Every test sees an empty home of its own session: no user's cache, settings or data set."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from support.releases import write_text_release, write_text_task

# The same examples every time, and no limit on one: how long it takes depends on what else the machine does.
settings.register_profile("tests", derandomize=True, deadline=None)
settings.load_profile("tests")

# Packages of Hugging Face read it once, when the first test file imports them: before any fixture.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="avemo-tests-hf-")
    atexit.register(shutil.rmtree, os.environ["HF_HOME"], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let modules with slow tests come first, so that no process has one left when the others have nothing more to do.

    The second module that needs the private environment comes after them: it would wait while the first makes it.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    needing = dict.fromkeys(item.path for item in items if "legacy_python" in getattr(item, "fixturenames", ()))
    second = list(needing)[1:2]
    items.sort(key=lambda item: 1 if item.path in second else 2 * (item.path not in slow))


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    base = tmp_path_factory.getbasetemp()
    # Processes that share the tests share one home too: the demo, its judge and an environment are made once for all.
    home = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "home"
    settings = {
        "AVEMO_CACHE": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "OMP_NUM_THREADS": "1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AVEMO_DATASET", "AVEMO_JUDGE"):
            patch.delenv(name, raising=False)
        for name, value in settings.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def real_media() -> Path:
    """The folder of real voices and faces, where there is one."""
    folder = os.environ.get("AVEMO_TEST_MEDIA")
    if not folder:
        pytest.skip("AVEMO_TEST_MEDIA does not name a folder with real clips")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def legacy_python(_own_home: None) -> Path:
    """The interpreter of the private environment of MiniCPM-o, made from its recipe once for all tests."""
    from avemo_harness.models.environments.creation import create
    from avemo_harness.models.environments.recipes import Environment, find_recipe

    environment = Environment(find_recipe("minicpm-o"))
    create(environment)
    return environment.python


@pytest.fixture
def text_task(tmp_path: Path) -> str:
    """A task on a release of text."""
    return str(write_text_task(tmp_path / "text.yaml", write_text_release(tmp_path / "data", 4)))
