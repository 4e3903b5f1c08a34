"""A small release of real voices on real faces: each voice is dubbed onto a talking face of the same emotion.

Actors of the voices and speakers of the faces are split: the test part holds none of the train part's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from avemo_harness import media
from avemo_harness.benchmark.release import Clip, ConflictPair, Dialogue, Turn
from avemo_harness.benchmark.release_writer import write_release

EMOTION_CODES = {"01": "neutral", "03": "happy", "04": "sad", "05": "angry"}
TRAIN_ACTORS, TEST_ACTORS = range(1, 9), range(9, 13)
FACES = {"train": "M030", "test": "W009"}
OPPOSITE = [("happy", "sad"), ("happy", "angry")]
CONFIG = "multiturn_real"


@dataclass(frozen=True)
class Utterance:
    """One dubbed clip."""

    actor: int
    emotion: str
    sentence: str
    clip: bytes
    duration_s: float


def write_real_release(folder: Path, sources: Path) -> Path:
    """Write train and test dialogues of three user turns each, and the conflict pairs of the test part."""
    train = list(real_dialogues(sources, "train", TRAIN_ACTORS))
    test = list(real_dialogues(sources, "test", TEST_ACTORS))
    write_release(folder, CONFIG, {"train": train, "test": test}, {"test": list(conflict_pairs(test))})
    return folder


def _utterances(sources: Path, actor: int, face: str) -> Iterator[Utterance]:
    for path in sorted((sources / "ravdess_speech" / f"Actor_{actor:02}").glob("*.flac")):
        parts = path.stem.split("-")
        emotion = EMOTION_CODES[parts[2]]
        samples, rate = media.read_sound_file(path)
        voice = media.encode_sound(media.resample(samples, rate, 16_000))
        clip = media.join_streams(video_from=_face(sources, face, emotion), sound_from=voice)
        sentence = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}[parts[4]]
        yield Utterance(actor, emotion, sentence, clip, media.probe(clip).duration_s)


def _face(sources: Path, speaker: str, emotion: str) -> Path:
    return next((sources / "mead_faces").glob(f"{speaker}_front_{emotion}_*.mp4"))


def real_dialogues(sources: Path, split: str, actors: range) -> Iterator[Dialogue]:
    """Nine dialogues of each actor's voice on the face of the split."""
    for actor in actors:
        utterances = list(_utterances(sources, actor, FACES[split]))
        # Every ninth utterance of the list: the turns of a dialogue differ in emotion.
        for number in range(9):
            chosen = utterances[number::9][:3]
            yield Dialogue(f"a{actor:02}-{number}", "dubbed", "en", "research only", tuple(_turns(chosen)))


def _turns(utterances: list[Utterance]) -> Iterator[Turn]:
    for position, said in enumerate(utterances):
        index = 2 * position
        if position:
            yield Turn(index - 1, "assistant", "assistant", "Tell me more about it.")
        yield Turn(
            index,
            "user",
            f"actor{said.actor:02}",
            said.sentence,
            said.emotion,
            clip=Clip.from_bytes(said.clip),
            duration_s=said.duration_s,
        )


def conflict_pairs(dialogues: list[Dialogue]) -> Iterator[ConflictPair]:
    """Both orders of up to four pairs of opposite valence for each speaker, durations within a second."""
    by_speaker: dict[str, list[tuple[str, Turn]]] = {}
    for dialogue in dialogues:
        for turn in dialogue.turns:
            if turn.role == "user":
                by_speaker.setdefault(turn.speaker_id, []).append((dialogue.dialogue_id, turn))
    for speaker, turns in sorted(by_speaker.items()):
        for one, other in OPPOSITE:
            firsts = [x for x in turns if x[1].emotion == one]
            seconds = [x for x in turns if x[1].emotion == other]
            close = [p for p in zip(firsts, seconds, strict=False) if abs(p[0][1].duration_s - p[1][1].duration_s) <= 1]
            for number, (a, b) in enumerate(close[:2]):
                for order, (audio, video) in enumerate([(a, b), (b, a)]):
                    yield ConflictPair(
                        pair_id=f"{speaker}-{one}-{other}-{number}-{order}",
                        audio_dialogue_id=audio[0],
                        audio_turn=audio[1].turn_index,
                        video_dialogue_id=video[0],
                        video_turn=video[1].turn_index,
                        audio_emotion=audio[1].emotion,
                        video_emotion=video[1].emotion,
                        speaker_id=speaker,
                    )
