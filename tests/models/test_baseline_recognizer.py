"""`baseline` answers by a recogniser of labels that was trained before, given as its folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.acted_release import CONFIG, acted_dialogues, write_acted
from support.planted_labels import QUICK
from support.questions import ask, shuffled

from avemo_harness import evaluate, media
from avemo_harness.benchmark.release import EMOTIONS, Clip, Dialogue, Release
from avemo_harness.benchmark.request import Response
from avemo_harness.errors import GenerationError, UsageError
from avemo_harness.models.base import ModelSetup
from avemo_harness.models.baseline import Baseline
from avemo_harness.recognizers.checkpoint import load_label_recognizer, save_recognizer
from avemo_harness.recognizers.corpora.release import ReleaseArguments, read_release
from avemo_harness.recognizers.features import make_extractor
from avemo_harness.recognizers.features.feature_set import FeatureSet
from avemo_harness.recognizers.heads.label_evaluation import train_categorical
from avemo_harness.recognizers.heads.training import Method
from avemo_harness.recognizers.recordings import Recording

SPECS = ("clip-sound", "clip-face")


@pytest.fixture(scope="module")
def acted() -> list[Dialogue]:
    return acted_dialogues(2)


@pytest.fixture(scope="module")
def release(acted: list[Dialogue], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_acted(tmp_path_factory.mktemp("acted") / "release", acted)


def train(release: Path, folder: Path, labels: Sequence[str] = EMOTIONS) -> Path:
    """Train a recogniser of some labels on a release and keep it in a folder."""
    corpus = read_release(ReleaseArguments(str(release), CONFIG))
    chosen = type(corpus)(corpus.name, (), tuple(one for one in corpus.labelled if one.label in labels))
    features = FeatureSet(tuple(make_extractor(spec) for spec in SPECS))
    save_recognizer(train_categorical(chosen, Method(features, QUICK)), SPECS, folder)
    return folder


@pytest.fixture(scope="module")
def folder(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(release, tmp_path_factory.mktemp("recognizers") / "mine")


def no_training(which: str) -> tuple[Release, ...]:
    raise AssertionError(f"asked for {which} to train on")


def baseline(folder: Path, **arguments: str) -> Baseline:
    return Baseline(Baseline.Arguments(recognizer=str(folder), **arguments), ModelSetup(training=no_training))


def clips_of(acted: Sequence[Dialogue]) -> list[Clip]:
    return [turn.clip for dialogue in acted for turn in dialogue.turns if turn.clip is not None]


def test_answers_are_those_of_the_recogniser(acted: list[Dialogue], folder: Path, tmp_path: Path) -> None:
    recognizer = load_label_recognizer(folder, tmp_path, "cpu")
    whole = clips_of(acted)[0]
    heard = Clip.from_bytes(media.encode_sound(media.decode_sound(whole.read())), "heard")
    seen = Clip.from_bytes(media.remove_sound(whole.read()), "seen")
    for clip, view in ((whole, "both"), (heard, "audio"), (seen, "video")):
        expected = recognizer.log_probabilities(Recording.of(clip), view)
        (ranked,) = baseline(folder).generate([ask(clip, output="rank")])
        assert ranked.label_logprobs == dict(zip(recognizer.labels, expected.tolist(), strict=True))
        (named,) = baseline(folder).generate([ask(clip)])
        assert named.text == recognizer.labels[int(expected.argmax())]


def test_answers_do_not_depend_on_the_batch(acted: list[Dialogue], folder: Path) -> None:
    requests = shuffled([ask(clip, output="rank") for clip in clips_of(acted)[:6]], seed=1)
    model = baseline(folder)
    alone: list[Response] = [model.generate([request])[0] for request in requests]
    assert list(model.generate(requests)) == alone


def test_a_run_is_answered_by_a_folder_and_knows_its_weights(release: Path, folder: Path, tmp_path: Path) -> None:
    task = f"{CONFIG}_full_av"
    result = evaluate(
        "baseline", task, dataset=str(release), output_path=tmp_path / "run", model_args={"recognizer": str(folder)}
    )
    assert result.tasks[task].n_errors == 0
    assert (result.tasks[task].metrics["accuracy"].value or 0) > 0.5  # it learned from these very clips


def test_its_identity_is_by_content_wherever_the_folder_lies(release: Path, folder: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    assert baseline(folder).identity() == baseline(moved).identity()
    other = train(release, tmp_path / "other", labels=EMOTIONS[:3])
    assert baseline(other).identity() != baseline(folder).identity()


def test_a_label_that_it_did_not_learn_is_told(acted: list[Dialogue], release: Path, tmp_path: Path) -> None:
    model = baseline(train(release, tmp_path / "few", labels=EMOTIONS[:2]))
    for output in ("label", "rank"):
        with pytest.raises(GenerationError, match=r"was not taught the label .*train=DIR"):
            model.generate([ask(clips_of(acted)[0], output=output)])


def test_a_folder_that_is_no_recogniser_of_labels_is_told(folder: Path, tmp_path: Path) -> None:
    for wrong, problem in ((tmp_path, "not a trained recogniser"), (tmp_path / "no" / "such", "not a trained")):
        with pytest.raises(UsageError, match=problem):
            baseline(wrong)
    with pytest.raises(UsageError, match="is trained already; leave train out"):
        baseline(folder, train="demo")
