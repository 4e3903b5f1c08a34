"""How well judges that are trained on labels tell the emotions of real voices apart, of actors that they never met.

Run by hand: ``AVEMO_TEST_MEDIA=FOLDER python tests/performance/label_judge.py [SEEDS]``, where the folder holds RAVDESS
voices of 12 actors in ``ravdess_speech``. Takes about a minute a split, a set of features and a seed on one core.

Three times 8 actors train, by the command that users have, and the other 4 are tested: CCC with the anchors, AUC of ECS
(pairs of different actors: of the same emotion against of another), share of extreme turns, and the processor's seconds
of the whole command without kept features. The embedded judge is tested on the same actors.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.data.importers.ravdess import RavdessArguments, read_ravdess
from avemo_harness.data.synthesis.demo import demo_release
from avemo_harness.files import cache_dir
from avemo_harness.metrics.discrimination import ecs_auc
from avemo_harness.metrics.profiles import AV_EMO
from avemo_harness.metrics.reasoning import extremes
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.recognizers.checkpoint import load_trajectory_recognizer, open_embedded
from avemo_harness.recognizers.corpora.combining import rate_labels
from avemo_harness.recognizers.heads.trajectory import ContinuousRecognizer
from avemo_harness.recognizers.heads.trajectory_evaluation import evaluate_trained
from avemo_harness.recognizers.judging import JudgeSetup
from avemo_harness.recognizers.placement import PLACEMENT
from avemo_harness.recognizers.recordings import Corpus
from avemo_harness.text import aligned

FEATURES: dict[str, tuple[str, ...]] = {
    "default": (),
    "clip-sound": ("clip-sound",),
    "builtin-sound + clip-sound": ("builtin-sound", "clip-sound"),
}
"""Extractors that the command is given."""

GAIN, AIM = 0.10, 0.75
"""Of AUC: at least so much above the embedded judge; what is wished for. Means over the splits."""


@dataclass(frozen=True)
class Figures:
    """Of a judge on actors that it never met."""

    valence: float
    arousal: float
    auc: float
    extreme: float
    seconds: float

    def cells(self) -> list[str]:
        return [
            *(f"{value:.3f}" for value in (self.valence, self.arousal, self.auc, self.extreme)),
            f"{self.seconds:.0f}",
        ]


def linked_actors(voices: Path, actors: Sequence[str], folder: Path) -> Path:
    """A RAVDESS folder with the recordings of some actors alone."""
    for actor in actors:
        (folder / actor).mkdir(parents=True)
        for path in sorted((voices / actor).iterdir()):
            (folder / actor / path.name).symlink_to(path.resolve())
    return folder


def train(corpus: Path, extractors: Sequence[str], seed: int, out: Path) -> float:
    """Train by the command, without features that were kept before; seconds of the processor."""
    given = [part for name in extractors for part in ("--extractor", name)]
    command = [sys.executable, "-m", "avemo_harness", "recognizer", "train", "--kind", "continuous"]
    command += ["--corpus", f"ravdess:{corpus}", "--seed", str(seed), "--out", str(out), *given]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as cache:
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "AVEMO_CACHE": cache})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(judge: ContinuousRecognizer, test: Corpus, seconds: float) -> Figures:
    result = evaluate_trained(judge, test)
    ccc = {one.dimension: one.ccc or 0.0 for one in result.agreements if one.view == "audio"}
    trajectories = [Trajectory(one.values["audio"], ("valence", "arousal"), "unit", 2.0) for one in result.predicted]
    labels = [one.label for one in test.labelled]
    speakers = [one.speaker for one in test.labelled]
    extreme = extreme_share(trajectories)
    return Figures(ccc["valence"], ccc["arousal"], ecs_auc(trajectories, labels, speakers, AV_EMO), extreme, seconds)


def extreme_share(trajectories: Sequence[Trajectory]) -> float:
    return float(extremes(trajectories, AV_EMO).any(axis=1).mean())


def mean_of(figures: Sequence[Figures]) -> Figures:
    names = ("valence", "arousal", "auc", "extreme", "seconds")
    return Figures(*(statistics.mean(getattr(one, name) for one in figures) for name in names))


def main() -> None:
    """Print a table of every split, seed and set of features, then the means beside what is asked of them."""
    voices = Path(os.environ["AVEMO_TEST_MEDIA"]) / "ravdess_speech"
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    actors = sorted(path.name for path in voices.iterdir() if path.is_dir())
    demo = demo_release(cache_dir(), print)
    embedded = open_embedded(JudgeSetup(lambda: load_release(str(demo), "demo", "train"), cache_dir(), print))
    by_anchors: list[float] = []
    found: dict[str, list[Figures]] = {"embedded": [], **{name: [] for name in FEATURES}}
    rows = [["judge", "split", "CCC valence", "CCC arousal", "AUC of ECS", "extreme", "seconds"]]
    with tempfile.TemporaryDirectory() as kept:
        for split in range(3):
            tested = actors[4 * split : 4 * split + 4]
            folder = Path(kept, str(split))
            learned = linked_actors(voices, [one for one in actors if one not in tested], folder / "train")
            test = rate_labels(
                read_ravdess(RavdessArguments(linked_actors(voices, tested, folder / "test"))), PLACEMENT
            )
            by_anchors.append(extreme_share([one.trajectory for one in test.rated]))
            found["embedded"].append(measure(embedded, test, 0.0))
            rows.append(["embedded", str(split + 1), *found["embedded"][-1].cells()])
            for name, extractors in FEATURES.items():
                for seed in seeds:
                    out = folder / f"{name}-{seed}"
                    seconds = train(learned, extractors, seed, out)
                    found[name].append(measure(load_trajectory_recognizer(out, cache_dir()), test, seconds))
                    rows.append([f"{name}, seed {seed}", str(split + 1), *found[name][-1].cells()])
                    print("  ".join(rows[-1]), flush=True)
    means = {name: mean_of(figures) for name, figures in found.items()}
    rows += [[name, "mean", *mean.cells()] for name, mean in means.items()]
    print("\n".join(aligned(rows)))
    print(f"share of the tested turns that are extreme by their anchors: {statistics.mean(by_anchors):.3f}")
    for name in FEATURES:
        gained = means[name].auc - means["embedded"].auc
        print(
            f"{name}: AUC {gained:+.3f} above the embedded judge (asked: {GAIN:+.2f}), {means[name].auc:.3f} of {AIM}"
        )


if __name__ == "__main__":
    main()
