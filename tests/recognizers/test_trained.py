"""Shipped recognisers: equal to those that a run trains itself, and used only as long as they are."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.clips import make_clip
from support.train_on_demo import demo_training, todays_recipes, train_on_demo

from avemo_harness.benchmark.release import Clip, Release, make_release
from avemo_harness.data.synthesis.demo import training_digest
from avemo_harness.errors import UsageError
from avemo_harness.models.base import ModelSetup
from avemo_harness.models.baseline import Baseline, labelled_clips
from avemo_harness.recognizers.checkpoint import load_trajectory_recognizer
from avemo_harness.recognizers.features.builtin import recording_features
from avemo_harness.recognizers.heads.late_fusion import FusionRecognizer
from avemo_harness.recognizers.judging import JudgeSetup, open_judge
from avemo_harness.recognizers.recordings import MODALITIES, Recording
from avemo_harness.recognizers.trained import FOLDER, TrainedName, find_trained, trained_on, write_recipes

REPOSITORY = Path(__file__).parents[2]
LEARNED = make_release("here", "demo", "train", None, [], [])


def nothing_to_learn_from(which: str = "") -> tuple[Release, ...]:
    pytest.fail("nothing is to be trained")


def test_what_the_package_has_was_trained_by_the_recipes_of_today() -> None:
    for name, recipe in todays_recipes().items():
        assert find_trained(name, recipe) == FOLDER / name, "run python tests/support/train_on_demo.py"


def test_the_embedded_judge_is_at_hand_without_the_demo(tmp_path: Path) -> None:
    said: list[str] = []
    setup = JudgeSetup(nothing_to_learn_from, tmp_path, said.append, "cpu", training_digest)
    clip = Recording.of(Clip.from_bytes(make_clip(1.0)))
    assert len(open_judge("embedded", setup).trajectory(clip, "both")) == 2
    assert not said


def test_the_baseline_knows_the_emotions_without_the_demo() -> None:
    setup = ModelSetup(training=nothing_to_learn_from, demo_digest=lambda which: training_digest())
    identity = Baseline(Baseline.Arguments(), setup).identity()
    assert identity["trained_on"] == trained_on()
    assert identity["recognizer"] == "fusion"


@pytest.mark.parametrize(
    ("arguments", "digest"),
    [
        (Baseline.Arguments(seed=1), training_digest()),
        (Baseline.Arguments(), "of another plan"),
        (Baseline.Arguments(), None),
    ],
    ids=["another seed", "another demo", "other data"],
)
def test_a_baseline_of_another_recipe_learns_by_itself(arguments: Baseline.Arguments, digest: str | None) -> None:
    asked: list[str] = []

    def training(which: str) -> tuple[Release, ...]:
        asked.append(which)
        return (LEARNED,)

    model = Baseline(arguments, ModelSetup(training=training, demo_digest=lambda which: digest))
    assert asked == ["auto"]
    assert model.identity()["trained_on"] == LEARNED.fingerprint


@pytest.mark.parametrize("changed", ["demo", "format", "extractors"])
def test_a_judge_of_another_recipe_is_not_used(changed: str, tmp_path: Path) -> None:
    recipe = todays_recipes()["judge"]
    write_recipes({"judge": recipe}, "fingerprint", tmp_path)
    (tmp_path / "judge").mkdir()
    assert find_trained("judge", recipe, tmp_path) == tmp_path / "judge"
    assert find_trained("judge", {**recipe, changed: "another"}, tmp_path) is None


def test_where_nothing_that_is_trained_is_installed_runs_train_their_own(tmp_path: Path) -> None:
    assert find_trained("judge", todays_recipes()["judge"], tmp_path) is None


@pytest.mark.slow
def test_a_wheel_holds_what_is_trained(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    shutil.copytree(REPOSITORY / "avemo_harness", source / "avemo_harness")  # with what its links point to
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(REPOSITORY / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path)]
    subprocess.run([*pip, str(source)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for path in FOLDER.rglob("*"):
            if path.is_file():
                assert archive.read(path.relative_to(REPOSITORY).as_posix()) == path.read_bytes()


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train_on_demo(folder / "again", folder / "cache")
    return folder / "again"


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    return [Recording.of(clip) for clip, _, _ in list(labelled_clips([demo_training()]))[:24]]


@pytest.mark.slow
def test_a_judge_that_is_trained_here_follows_recordings_as_the_packages_does(
    again: Path, recordings: list[Recording], tmp_path: Path
) -> None:
    here, packages = (load_trajectory_recognizer(folder / "judge", tmp_path, "cpu") for folder in (again, FOLDER))
    differences = [
        np.abs(here.trajectory(recording, view).values - packages.trajectory(recording, view).values).max()
        for recording in recordings
        for view in MODALITIES
    ]
    # Equal on the machine that trained it; another processor rounds otherwise, which many steps of training enlarge.
    assert np.mean(differences) <= 0.03
    assert here.card.lines()[0] == packages.card.lines()[0]


@pytest.mark.slow
def test_a_baseline_that_is_trained_here_names_emotions_as_the_packages_does(
    again: Path, recordings: list[Recording]
) -> None:
    here, packages = (FusionRecognizer.load(folder / "baseline.safetensors") for folder in (again, FOLDER))
    assert here.labels == packages.labels
    for recording in recordings:
        features = recording_features(recording, "both")
        scores = [recognizer.log_probabilities(features.sound, features.face) for recognizer in (here, packages)]
        np.testing.assert_allclose(*scores, atol=0.01)


@pytest.mark.parametrize("name", ["baseline.safetensors", "judge"])
def test_a_trained_file_that_is_missing_beside_its_recipe_is_trained_anew(tmp_path: Path, name: TrainedName) -> None:
    write_recipes({name: {"seed": 0}}, "f", tmp_path)
    assert find_trained(name, {"seed": 0}, tmp_path) is None
    (tmp_path / name).mkdir()
    assert find_trained(name, {"seed": 0}, tmp_path) == tmp_path / name


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"recipes": [], "fingerprint": "f"}'])
def test_damaged_recipes_are_named_with_what_to_do(tmp_path: Path, damage: str) -> None:
    (tmp_path / "judge").mkdir()
    (tmp_path / "recipes.json").write_text(damage)
    for read in (lambda: find_trained("judge", {}, tmp_path), lambda: trained_on(tmp_path)):
        with pytest.raises(UsageError, match=r"recipes\.json: damaged .*; install avemo-harness anew"):
            read()
