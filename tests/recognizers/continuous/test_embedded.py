"""The judge of the demo, trained here: how far it can be trusted."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from support.sound_files import SOUND_FORMATS, sound_file

from avemo_harness import files, media
from avemo_harness.benchmark.release import Clip, Release
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.data.synthesis.demo import demo_release
from avemo_harness.recognizers.checkpoint import open_embedded
from avemo_harness.recognizers.corpora.release import rated_turns
from avemo_harness.recognizers.heads.trajectory import ContinuousRecognizer
from avemo_harness.recognizers.heads.trajectory_evaluation import agreements, predict
from avemo_harness.recognizers.judging import JudgeSetup
from avemo_harness.recognizers.recordings import Recording

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo() -> Path:
    return demo_release(files.cache_dir(), print)


@pytest.fixture(scope="module")
def training(demo: Path) -> Release:
    return load_release(str(demo), "demo", "train")


@pytest.fixture(scope="module")
def judge(training: Release) -> ContinuousRecognizer:
    return open_embedded(JudgeSetup(lambda: training, files.cache_dir(), print))


def test_speakers_that_it_has_not_met_are_followed(demo: Path, judge: ContinuousRecognizer) -> None:
    unseen = [one for one in rated_turns(load_release(str(demo), "demo", "test")) if one.streams.face is not None]
    found = agreements(unseen, predict(judge, unseen), "test")
    ccc = {(one.view, one.dimension): one.ccc or 0.0 for one in found}
    print({key: round(value, 3) for key, value in ccc.items()})
    assert ccc["audio", "arousal"] >= 0.5
    assert ccc["audio", "valence"] >= 0.3
    for dimension in ("valence", "arousal"):
        assert ccc["both", dimension] >= max(ccc["audio", dimension], ccc["video", dimension]) - 0.02


def test_it_is_trained_once_and_found_again(judge: ContinuousRecognizer, training: Release) -> None:
    said: list[str] = []
    again = open_embedded(JudgeSetup(lambda: training, files.cache_dir(), said.append))
    assert again.identity() == judge.identity()
    assert not said


@pytest.mark.parametrize("kind", SOUND_FORMATS)
def test_a_recording_of_one_stream_is_followed_by_what_it_has(
    demo: Path, judge: ContinuousRecognizer, kind: str
) -> None:
    whole = next(one.streams for one in rated_turns(load_release(str(demo), "demo", "test")) if one.streams.face)
    assert whole.sound is not None
    data = whole.sound.read()
    heard = Recording.of(Clip.from_bytes(sound_file(kind, media.decode_sound(data))))
    seen = Recording.of(Clip.from_bytes(media.remove_sound(data)))
    assert (heard.views, seen.views) == (("audio",), ("video",))
    for streams, exact in ((heard, kind in ("wav", "flac")), (seen, True)):
        (view,) = streams.views
        found, expected = judge.trajectory(streams, view), judge.trajectory(whole, view)
        assert np.isfinite(found.values).all()
        # Encoding the sound anew changes it a little.
        np.testing.assert_allclose(found.values, expected.values[: len(found)], atol=0.02 if exact else 0.1)


def test_its_card_warns_of_it(judge: ContinuousRecognizer) -> None:
    assert judge.card.embedded
    assert judge.card.lines()[-1].startswith("a smoke test: ")
    for measured in (judge.card.agreements, judge.card.discrimination):
        assert {one.part for one in measured} == {"validation"}


@pytest.mark.parametrize("level", [None, 0.05], ids=["as recorded", "at one level"])
def test_real_voices_sound_more_aroused_when_angry_than_when_sad(
    judge: ContinuousRecognizer, real_media: Path, level: float | None
) -> None:
    arousal: dict[tuple[str, str], list[float]] = defaultdict(list)
    for path in sorted(real_media.glob("ravdess_speech/*/*.flac")):
        _, _, emotion, _, _, _, actor = path.stem.split("-")
        if emotion in ("04", "05"):
            samples, rate = media.read_sound_file(path)
            if level is not None:
                samples = samples * np.float32(level / np.sqrt(np.mean(samples**2)))
            streams = Recording.of(Clip.from_bytes(media.encode_sound(samples, rate)))
            arousal[actor, emotion].append(float(judge.trajectory(streams, "audio").column("arousal").mean()))
    actors = sorted({actor for actor, _ in arousal})
    higher = [np.mean(arousal[actor, "05"]) - np.mean(arousal[actor, "04"]) for actor in actors]
    print({actor: round(float(one), 3) for actor, one in zip(actors, higher, strict=True)})
    assert len(actors) == 12
    assert sum(one > 0 for one in higher) >= 10
