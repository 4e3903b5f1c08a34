"""Pins are read from files in pip's format, and what a build needs is pinned as this environment has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo_harness.models.environments import recipes

BUILDS = """# A comment.
tinytorch==2.0 ; sys_platform == 'linux' \\
    --hash=sha256:00 \\
    --hash=sha256:01
"""


@pytest.fixture(autouse=True)
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    (tmp_path / "builds.txt").write_text(BUILDS)


def test_a_requirement_is_a_line_with_its_marker_and_hashes() -> None:
    assert recipes.read_lock("builds") == (
        "tinytorch==2.0 ; sys_platform == 'linux' --hash=sha256:00 --hash=sha256:01",
    )


def test_only_the_very_version_has_hashes() -> None:
    assert recipes.with_hashes(["tinytorch==2.0", "tinytorch==2.0+cpu", "tinytorch==2.1"]) == (
        "tinytorch==2.0 --hash=sha256:00 --hash=sha256:01",
        "tinytorch==2.0+cpu",
        "tinytorch==2.1",
    )


def test_libraries_are_all_that_is_needed_by_way_of_extras_and_markers_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = {
        "tinybuild": ["tinykit[blas]", "tinyold; python_version < '3'", "tinylocked", "tinyabsent", "tinybuild"],
        "tinykit": ["tiny-blas==1.0; extra == 'blas'", "tiny-fft==1.0; extra == 'fft'"],
        "tinylocked": ["tinyfft"],
        "tiny_blas": ["tinykit"],
        "tiny_fft": [],
        "tinyold": [],
    }
    for name, wanted in needs.items():
        about = tmp_path / f"{name}-1.0.dist-info"
        about.mkdir()
        lines = [f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {one}" for one in wanted)]
        (about / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert recipes.libraries(["tinybuild"], without=["tinylocked"]) == ("tiny-blas==1.0", "tinykit==1.0")
