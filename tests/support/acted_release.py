"""A release of clearly acted clips, small in every respect, and the same one with faults that checks must find."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from avemo_harness import media
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import EMOTIONS, Clip, ConflictPair, Dialogue, Turn
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.benchmark.task import NoiseName
from avemo_harness.data.checks.survey import SurveyedConfig, Surveyor, clips_of, configs_of, load_splits
from avemo_harness.data.synthesis.affect import Speaker
from avemo_harness.data.synthesis.clips import ClipSpec, make_clip

CONFIG = "singleturn_synthetic"
SENTENCES = ("We are leaving at seven.", "The letter came today.")
FPS, RATE = 25, 16_000

Change = Callable[[Turn], Turn]


def acted_dialogues(speakers: int) -> list[Dialogue]:
    """Each speaker says each sentence in all four emotions, to a reply without a clip."""
    rows, lengths = [], np.random.default_rng(1)
    for number in range(speakers):
        person = Speaker.draw(f"speaker{number}", number)
        for sentence, text in enumerate(SENTENCES):
            for index, emotion in enumerate(EMOTIONS):
                seed = 100 * number + 10 * sentence + index
                frames = int(lengths.integers(36, 46))
                spec = ClipSpec(text, person, emotion, frames, 1.0, 1.0, seed, side=96)
                clip = Clip.from_bytes(make_clip(spec), f"clip {seed}")
                asked = Turn(0, "user", person.speaker_id, text, emotion, None, clip, spec.duration_s)
                reply = Turn(1, "assistant", "assistant", "I see.")
                rows.append(Dialogue(f"{number}-{sentence}-{emotion}", "test", "en", "CC0-1.0", (asked, reply)))
    return rows


def acted_pairs(dialogues: Iterable[Dialogue]) -> list[ConflictPair]:
    """Happy with sad for the first sentence, with angry for the second, in both orders."""
    ids = {dialogue.dialogue_id: dialogue for dialogue in dialogues}
    pairs = []
    for name, happy in ids.items():
        number, sentence, emotion = name.split("-")
        if emotion == "happy":
            other = ids[f"{number}-{sentence}-{('sad', 'angry')[int(sentence)]}"]
            pairs += [acted_pair(happy, other), acted_pair(other, happy)]
    return pairs


def acted_pair(audio: Dialogue, video: Dialogue) -> ConflictPair:
    """The sound of the one's first turn with the face of the other's."""
    return ConflictPair(
        f"{audio.dialogue_id}+{video.dialogue_id}",
        audio.dialogue_id,
        0,
        video.dialogue_id,
        0,
        str(audio.turns[0].emotion),
        str(video.turns[0].emotion),
        audio.turns[0].speaker_id,
    )


def write_acted(
    folder: Path, dialogues: list[Dialogue], pairs: list[ConflictPair] | None = None, train: int = 0
) -> Path:
    """Write the dialogues, the first `train` of them as train split, with their conflict pairs or others."""
    test = dialogues[train:]
    splits = {"test": test} | ({"train": dialogues[:train]} if train else {})
    write_release(folder, CONFIG, splits, {"test": acted_pairs(test) if pairs is None else pairs})
    return folder


def changed(dialogues: list[Dialogue], change: Change, dialogue_id: str | None = None) -> list[Dialogue]:
    """The dialogues with the first turn of one of them, or of all, changed."""
    return [
        replace(one, turns=(change(one.turns[0]), *one.turns[1:])) if dialogue_id in (None, one.dialogue_id) else one
        for one in dialogues
    ]


def opened_in_emotion(turn: Turn) -> Turn:
    """The turn with a clip whose face has its expression from the first frame on: the second half of the clip."""
    assert turn.clip is not None
    data = turn.clip.read()
    frames = media.decode_frames(data, fps=FPS).pixels
    sound = media.decode_sound(data, rate=RATE)
    half = len(frames) // 2
    clip = Clip.from_bytes(media.encode_clip(frames[half:], sound[half * RATE // FPS :], fps=FPS, rate=RATE))
    return replace(turn, clip=clip, duration_s=(len(frames) - half) / FPS)


LEVELS = {"neutral": 0.1, "sad": 0.03, "happy": 0.35, "angry": 0.9}


def loud_by_emotion(turn: Turn) -> Turn:
    """The turn with a voice whose level alone tells the emotion."""
    assert turn.clip is not None
    assert turn.emotion is not None
    sound = media.decode_sound(turn.clip.read(), rate=RATE)
    louder = sound * (LEVELS[turn.emotion] / np.abs(sound).max())
    return replace(turn, clip=Clip.from_bytes(media.replace_sound(turn.clip.read(), louder, rate=RATE)))


def surveyed(folder: Path, conditions: Path, noise: NoiseName = "speech_shaped") -> SurveyedConfig:
    """The only config of a release with what its clips turn out to be."""
    releases = load_splits(folder, CONFIG, configs_of(folder, CONFIG)[CONFIG], None)
    surveyor = Surveyor(ConditionCache(conditions), noise, lambda sentence: None)
    return SurveyedConfig(CONFIG, releases, surveyor.survey(*clips_of(releases)))
