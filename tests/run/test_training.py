"""Training data of a model: the train parts of what is asked about, else the demo's, on which it may come trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.acted_release import acted_dialogues

from avemo_harness import evaluate
from avemo_harness.benchmark.columns import DatasetSpec
from avemo_harness.benchmark.release import DEMO, Release
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.data.synthesis.demo import training_digest
from avemo_harness.recognizers.trained import trained_on
from avemo_harness.run.config import RunConfig, read_run
from avemo_harness.run.releases import RunReleases

CONFIG = "singleturn_synthetic"


@pytest.fixture(scope="module")
def tested_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("releases") / "tested"
    write_release(folder, CONFIG, {"test": acted_dialogues(1)[:4]})
    return folder


@pytest.fixture(scope="module")
def with_train_part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, dialogues = tmp_path_factory.mktemp("releases") / "both", acted_dialogues(2)
    write_release(folder, CONFIG, {"test": dialogues[:8], "train": dialogues[8:]})
    return folder


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def releases(monkeypatch: pytest.MonkeyPatch, said: list[str], tmp_path: Path) -> RunReleases:
    """Those of a run with an empty cache, in which nothing of the demo can be made."""
    monkeypatch.setenv("AVEMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "avemo_harness.data.synthesis.demo.build_demo", lambda *given, **how: pytest.fail("the demo is not needed")
    )
    return RunReleases(RunConfig(model="baseline", tasks=("demo",)), said.append)


def read(folder: Path) -> Release:
    return load_release(str(folder), CONFIG, "test")


def test_the_demo_is_learned_from_where_a_release_has_no_train_part_and_is_not_made_for_that(
    releases: RunReleases, said: list[str], tested_alone: Path
) -> None:
    asked = (read(tested_alone),)
    assert releases.demo_digest("auto", asked) == releases.demo_digest("demo", asked) == training_digest()
    assert said == ["the release has no train part: the built-in demo's is learned from"]


def test_a_train_part_of_its_own_is_no_demo(releases: RunReleases, with_train_part: Path) -> None:
    asked = (read(with_train_part),)
    assert releases.demo_digest("auto", asked) is None
    assert releases.demo_digest(str(with_train_part), asked) is None
    assert [release.split for release in releases.training("auto", asked)] == ["train"]
    assert releases.demo_digest("demo", asked) == training_digest()


def test_a_demo_beside_another_train_part_is_not_the_demo_alone(
    releases: RunReleases, with_train_part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunReleases, "_read", lambda self, dataset: dataset)
    own = read(with_train_part)
    demo = replace(own, source=DEMO, name="demo", fingerprint="demo")
    assert releases.demo_digest("auto", (demo, own)) is None
    assert [part.path for part in releases.training("auto", (demo, own))] == [DEMO, str(with_train_part)]
    assert isinstance(releases.training("auto", (demo,))[0], DatasetSpec)
    assert releases.demo_digest("auto", (demo,)) == training_digest()


@pytest.mark.slow
def test_a_run_on_clips_without_a_train_part_neither_makes_nor_trains_anything(
    releases: RunReleases, tested_alone: Path, tmp_path: Path
) -> None:
    result = evaluate("baseline", [CONFIG], dataset=str(tested_alone), output_path=tmp_path / "run")
    assert not result.n_errors
    record = read_run(tmp_path / "run")
    assert record.identity["trained_on"] == trained_on()
    assert not [path for path in (tmp_path / "cache").iterdir() if path.name.startswith(("demo", "judge", "baseline"))]
