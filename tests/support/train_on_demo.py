"""Train anew what comes trained with the package: ``python tests/support/train_on_demo.py``.

That is the recogniser of `baseline` and the embedded judge, with the recipes by which a run knows that they are what it
would train itself. Run it after a change of the demo's train part, of features without weights or of how a head learns;
until then runs train their own. `tests/recognizers/test_trained.py` trains both and compares.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from avemo_harness.benchmark.release import Release
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.data.synthesis.demo import demo_release, training_digest
from avemo_harness.files import cache_dir
from avemo_harness.models.baseline import Baseline, labelled_clips, train_recognizer, trained_recipe
from avemo_harness.recognizers.checkpoint import embedded_recipe, train_embedded
from avemo_harness.recognizers.judging import JudgeSetup
from avemo_harness.recognizers.trained import FOLDER, TrainedName, write_recipes


def todays_recipes() -> dict[TrainedName, dict[str, object]]:
    """The recipes by which runs look for what comes trained."""
    digest, usual = training_digest(), Baseline.Arguments()
    return {
        "baseline.safetensors": trained_recipe(digest, usual.recognizer, usual.seed),
        "judge": embedded_recipe(digest),
    }


def demo_training() -> Release:
    """The train part of the demo, made where it is not in the cache."""
    return load_release(str(demo_release(cache_dir(), print, ["train"])), "demo", "train")


def train_on_demo(folder: Path, cache: Path) -> None:
    """Train both, and write them into a new folder.

    Args:
        cache: where features are kept meanwhile.
    """
    demo, usual = demo_training(), Baseline.Arguments()
    folder.mkdir(parents=True)
    train_recognizer(usual.recognizer, list(labelled_clips([demo])), usual.seed).save(folder / "baseline.safetensors")
    train_embedded(demo, folder / "judge", JudgeSetup(lambda: demo, cache, print, "cpu"))
    write_recipes(todays_recipes(), demo.fingerprint, folder)


def main() -> int:
    """Put what is trained in the place of what the package has."""
    made = FOLDER.with_name(f".{FOLDER.name}")
    shutil.rmtree(made, ignore_errors=True)
    train_on_demo(made, cache_dir())
    shutil.rmtree(FOLDER, ignore_errors=True)
    made.rename(FOLDER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
