"""Voices without a face and faces without a voice: every condition asks what it can, and nothing is an error.

Twelve real voices, twelve faces and twelve dubbed clips, mixed within dialogues; and MultiDialog as the Hub has it,
whose clips are sound alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from support.corpus_trees import write_multidialog
from support.imports import import_corpus
from support.mixed_release import CONFIG, write_mixed_release
from support.whole_runs import CONDITIONS

from avemo_harness import evaluate
from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.models.base import Capabilities
from avemo_harness.recognizers.features.builtin import clip_features
from avemo_harness.report.results import RunResult

pytestmark = pytest.mark.slow

ASKED = {
    "full_av": (12, {"no face": 12, "no sound": 12}),
    "audio_only": (24, {"no sound": 12}),
    "video_only": (24, {"no face": 12}),
    "conflict": (17, {"no sound": 1}),
    "reply": (24, {"no sound": 12}),
}
"""Of each task, the items that are asked and what the others lack."""


@pytest.fixture(scope="module")
def release(real_media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mixed_release(tmp_path_factory.mktemp("mixed") / "release", real_media)


@pytest.fixture(scope="module")
def sound_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MultiDialog of two dialogues, imported without videos."""
    folder = tmp_path_factory.mktemp("multidialog")
    labels = ("Happy", "Neutral", "Sad", "Neutral", "Angry")
    rows = tuple((talk, n, "ab"[n % 2], label) for talk in (1, 2) for n, label in enumerate(labels))
    corpus = write_multidialog(folder / "corpus", {"test_freq": rows})
    import_corpus("multidialog", corpus, folder / "release", clips="inside")
    return folder / "release"


def check_asked(result: RunResult, asked: Mapping[str, tuple[int, Mapping[str, int]]]) -> None:
    """Every task has answered just what it can ask, and counts what it cannot."""
    found = {name: result.tasks[f"{CONFIG}_{name}"] for name in asked}
    print({name: (task.n_answered, dict(task.not_asked), task.n_errors) for name, task in found.items()})
    assert {name: (task.n_answered, dict(task.not_asked)) for name, task in found.items()} == asked
    assert {task.n_errors for task in found.values()} == {0}
    assert not result.provisional


def test_a_constant_answer_is_scored_over_what_can_be_asked(release: Path, tmp_path: Path) -> None:
    result = evaluate("constant", CONFIG, dataset=str(release), output_path=tmp_path / "run", skip_speech=True)
    check_asked(result, {name: ASKED[name] for name in CONDITIONS})


def test_the_baseline_learns_answers_and_replies_with_what_there_is(release: Path, tmp_path: Path) -> None:
    result = evaluate("baseline", CONFIG, dataset=str(release), output_path=tmp_path / "run", recognizer="embedded")
    check_asked(result, ASKED)
    reply = result.tasks[f"{CONFIG}_reply"]
    assert reply.n_unjudged == 0


@pytest.mark.parametrize("oracle", ["audio-oracle", "video-oracle"])
def test_an_oracle_is_right_wherever_its_stream_is(release: Path, tmp_path: Path, oracle: str) -> None:
    result = evaluate(oracle, CONFIG, dataset=str(release), output_path=tmp_path / "run", skip_speech=True)
    check_asked(result, {name: ASKED[name] for name in CONDITIONS})
    own = {"audio-oracle": "audio_only", "video-oracle": "video_only"}[oracle]
    for name in ("full_av", own):
        accuracy = result.tasks[f"{CONFIG}_{name}"].metrics["accuracy"]
        assert accuracy.value == 1.0


class Witness:
    """Answers anything and remembers the clips that it was shown."""

    capabilities = Capabilities(outputs=frozenset({"label_text"}))

    def __init__(self) -> None:
        self.clips: dict[str, Clip] = {}

    def identity(self) -> Mapping[str, str]:
        return {"model": "witness"}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        blocks = [block for request in requests for message in request.messages for block in message.content]
        self.clips |= {block.sha256: block for block in blocks if isinstance(block, Clip)}
        return [Response(text="sad") for _ in requests]


@pytest.mark.parametrize("condition", ["audio_only", "video_only"])
def test_no_clip_of_a_dialogue_shows_what_the_condition_takes_away(
    release: Path, tmp_path: Path, condition: str
) -> None:
    witness = Witness()
    evaluate(witness, f"{CONFIG}_{condition}", dataset=str(release), output_path=tmp_path / "run")
    features = [clip_features(clip.read()) for clip in witness.clips.values()]
    # The four that end a dialogue and lack the stream are shown nowhere.
    assert len(features) == 32
    speaking = sum(one.sound is not None and one.sound.has_speech for one in features)
    moving = sum(one.face is not None and one.face.is_live for one in features)
    assert (speaking, moving) == {"audio_only": (24, 0), "video_only": (0, 24)}[condition]
    lacking = sum(one.sound is None or one.face is None for one in features)
    # Under video_only a face without a voice has noise beside it.
    assert lacking == {"audio_only": 20, "video_only": 8}[condition]


SOUND_ALONE = {"audio_only": (6, {}), "reply": (6, {})}


def test_multidialog_without_videos_is_heard_by_the_baseline(sound_alone: Path, tmp_path: Path) -> None:
    result = evaluate(
        "baseline",
        CONFIG,
        dataset=str(sound_alone),
        output_path=tmp_path / "run",
        model_args={"train": "demo"},
        recognizer="embedded",
    )
    check_asked(result, SOUND_ALONE)
    for name in ("full_av", "video_only"):
        task = result.tasks[f"{CONFIG}_{name}"]
        assert (task.status, task.reason) == ("skipped", "6 turns have no face")


def test_multidialog_without_videos_is_heard_by_a_tiny_qwen(sound_alone: Path, tmp_path: Path) -> None:
    from support.tiny_qwen_omni import build

    from avemo_harness.torch_setup import repair_torchvision

    repair_torchvision()
    checkpoint = build(tmp_path / "qwen")
    small = {"pretrained": str(checkpoint), "talker_max_new_tokens": "60", "min_pixels": "3136", "max_pixels": "12544"}
    result = evaluate(
        "qwen2.5-omni",
        CONFIG,
        dataset=str(sound_alone),
        output_path=tmp_path / "run",
        model_args=small,
        device="cpu",
        recognizer="embedded",
    )
    check_asked(result, SOUND_ALONE)
