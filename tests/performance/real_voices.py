"""How well the built-in recogniser of labels does on real voices, alone and dubbed on real faces.

Run by hand: ``AVEMO_TEST_MEDIA=FOLDER python tests/performance/real_voices.py [SEEDS]``, where the folder holds RAVDESS
voices in ``ravdess_speech`` and MEAD faces in ``mead_faces``. Takes about a minute a seed on one core.

Voices: each actor is left out once, as they are and standardised within speakers, which needs all recordings of an
actor at once. Dubbed: half of the actors on one face train, the other half on the other face are tested, then the
reverse. A face has one clip an emotion: figures of faces tell of four pictures, however many voices are dubbed on them.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from avemo_harness.benchmark.release import Clip
from avemo_harness.data.importers.ravdess import RavdessArguments, read_ravdess
from avemo_harness.recognizers.features import make_extractor
from avemo_harness.recognizers.features.feature_set import FeatureCache, FeatureSet
from avemo_harness.recognizers.heads.label_evaluation import evaluate_official, leave_one_speaker_out
from avemo_harness.recognizers.heads.labels import LabelSettings, Normalisation, as_they_are, within_speakers
from avemo_harness.recognizers.heads.training import Method
from avemo_harness.recognizers.recordings import Corpus, LabelledRecording, Recording
from avemo_harness.recognizers.tables import recognition_table

FLOORS: dict[str, tuple[Normalisation, float]] = {
    "as they are": (as_they_are, 0.65),
    "standardised within speakers": (within_speakers, 0.78),
}
FACES = ("M030", "W009")


def dubbed(voices: Corpus, faces: Path, train_face: str, test_face: str) -> Iterator[LabelledRecording]:
    """Every second actor on the first face as the train part, the others on the other face as the test part."""
    actors = sorted({one.speaker for one in voices.labelled})
    for one in voices.labelled:
        trains = (actors.index(one.speaker) % 4 < 2) == (train_face == FACES[0])
        face = train_face if trains else test_face
        path = next(faces.glob(f"{face}_front_{one.label}_*.mp4"))
        streams = Recording(one.streams.sound, Clip.from_bytes(path.read_bytes()), one.streams.duration_s)
        yield replace(one, face=face, part="train" if trains else "test", streams=streams)


def main() -> None:
    """Print accuracies beside their floors, then a table for each direction of the split of dubbed clips."""
    folder = Path(os.environ["AVEMO_TEST_MEDIA"])
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
    voices = read_ravdess(RavdessArguments(folder / "ravdess_speech"))
    with tempfile.TemporaryDirectory() as cache:
        sound, face = (make_extractor(name) for name in ("clip-sound", "clip-face"))
        heard = FeatureSet((sound,), FeatureCache(Path(cache)))
        seen_too = FeatureSet((sound, face), heard.cache)
        for name, (normalise, floor) in FLOORS.items():
            accuracies = []
            for seed in seeds:
                started = time.perf_counter()
                (found,) = leave_one_speaker_out(voices, Method(heard, LabelSettings(seed=seed)), normalise)
                accuracies.append(found.accuracy.value or 0.0)
                took = time.perf_counter() - started
                print(f"voices {name}, seed {seed}: accuracy {accuracies[-1]:.3f}, floor {floor} ({took:.0f} s)")
                if seed == 0:
                    print("\n".join(recognition_table([found])[-2:]))
            print(f"voices {name}: mean accuracy {statistics.mean(accuracies):.3f} over {len(seeds)} seeds")
        for train_face, test_face in (FACES, FACES[::-1]):
            corpus = Corpus("dubbed", (), tuple(dubbed(voices, folder / "mead_faces", train_face, test_face)))
            for name, (normalise, _) in FLOORS.items():
                print(f"trained on the face {train_face}, tested on {test_face}, {name}")
                print(
                    "\n".join(
                        recognition_table(evaluate_official(corpus, Method(seen_too, LabelSettings()), normalise))
                    )
                )


if __name__ == "__main__":
    main()
