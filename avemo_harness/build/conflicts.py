"""Conflict pairs: the sound of one recording with the face of another by the same speaker, of opposite emotion.

Which recordings are paired is a maximum matching: as many pairs as the rules allow, and among those the ones whose
durations differ least in sum. Each pair is given in both orders, so a recording lends its sound to at most one pair
and its face to at most one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from avemo_harness import media
from avemo_harness.benchmark.release import ConflictPair, Dialogue, Turn
from avemo_harness.build.matching import FORBIDDEN, match_all, match_sides
from avemo_harness.errors import UsageError

Polarity = Literal["valence", "strict", "any"]
"""valence: happy with sad or angry, whose valence has the other sign; strict: happy with sad, where arousal has it
too; any: all unequal labels."""

Sharing = Literal["speaker", "transcript"]
"""What both recordings have in common: the speaker alone, or also what is said and everything said before."""

MAX_GAP_S = 1.0
"""By how much the durations of a pair may differ, in seconds."""

_MAX_EDGES = 50_000
_OPPOSITES = {"valence": ("sad", "angry"), "strict": ("sad",)}
_TICKS = 1_000_000


@dataclass(frozen=True, slots=True)
class Recording:
    """A labelled turn of the user with sound and face.

    Args:
        duration_s: of its clip, in seconds.
        shared: what else than the speaker must be equal for two recordings to be paired.
        clip: digest of its clip; turns of one clip are one recording. None where it is not known.
    """

    dialogue_id: str
    turn: int
    speaker_id: str
    emotion: str
    duration_s: float
    shared: str = ""
    clip: str | None = None


def pair_opposites(recordings: Iterable[Recording], polarity: Polarity = "valence") -> list[ConflictPair]:
    """Pair recordings; the same recordings in any order give the same pairs. Of turns of one clip, as dialogues with a
    common beginning have them, the first by id stands for all.

    Raises:
        UsageError: `any` was asked for and a speaker has too many recordings for it.

    >>> one, other = Recording("d1", 0, "Ann", "happy", 2.0), Recording("d2", 2, "Ann", "angry", 2.5)
    >>> [pair.pair_id for pair in pair_opposites([other, one])]
    ['d1.0+d2.2', 'd2.2+d1.0']
    """
    groups: dict[tuple[str, str], list[Recording]] = defaultdict(list)
    for one in sorted(recordings, key=lambda one: (one.speaker_id, one.shared, one.dialogue_id, one.turn)):
        groups[one.speaker_id, one.shared].append(one)
    pairs = []
    for group in map(_one_a_clip, groups.values()):
        matched = _match_any(group) if polarity == "any" else _match_opposites(group, _OPPOSITES[polarity])
        for one, other in matched:
            pairs += [_pair(audio=one, video=other), _pair(audio=other, video=one)]
    return pairs


def find_recordings(
    dialogues: Iterable[Dialogue], sharing: Sharing, measure: Callable[[Turn], float | None]
) -> Iterator[Recording]:
    """The turns that can be paired: labelled ones of the user whose clip has sound and video.

    Args:
        measure: the duration of a turn's clip in seconds; None where it lacks sound or video.
    """
    for dialogue in dialogues:
        for turn in dialogue.turns:
            if turn.role != "user" or turn.emotion is None or turn.clip is None:
                continue
            duration_s = measure(turn)
            if duration_s is not None:
                shared = _transcript(dialogue, turn) if sharing == "transcript" else ""
                yield Recording(
                    dialogue_id=dialogue.dialogue_id,
                    turn=turn.turn_index,
                    speaker_id=turn.speaker_id,
                    emotion=turn.emotion,
                    duration_s=duration_s,
                    shared=shared,
                    clip=turn.clip.sha256,
                )


def measure_clip(turn: Turn) -> float | None:
    """The duration that the release gives of a turn, else that of its clip; None where that lacks sound or video.

    Raises:
        MediaError: the clip is missing or cannot be read.
    """
    assert turn.clip is not None
    info = media.probe(turn.clip.read())
    if info.sound is None or info.video is None:
        return None
    return info.duration_s if turn.duration_s is None else turn.duration_s


def _transcript(dialogue: Dialogue, asked: Turn) -> str:
    """What is said in a turn, and who said what before with which clip."""
    history = [
        (turn.role, turn.text, turn.clip.sha256 if turn.clip else None) for turn in dialogue.turns[: asked.turn_index]
    ]
    return repr((asked.text, history))


def _one_a_clip(group: Sequence[Recording]) -> list[Recording]:
    first: dict[str | tuple[str, int], Recording] = {}
    for one in group:
        first.setdefault(one.clip or (one.dialogue_id, one.turn), one)
    return list(first.values())


def _match_opposites(group: Sequence[Recording], opposites: Sequence[str]) -> list[tuple[Recording, Recording]]:
    happy = [one for one in group if one.emotion == "happy"]
    opposed = [one for one in group if one.emotion in opposites]
    gaps = np.abs(
        np.array([one.duration_s for one in happy])[:, None] - np.array([one.duration_s for one in opposed])[None]
    )
    costs = np.where(gaps <= MAX_GAP_S, np.round(gaps * _TICKS), FORBIDDEN).astype(np.int64)
    return [(happy[i], opposed[j]) for i, j in match_sides(costs)]


def _match_any(group: Sequence[Recording]) -> list[tuple[Recording, Recording]]:
    edges, costs = [], []
    for i, one in enumerate(group):
        for j, other in enumerate(group[:i]):
            gap_s = abs(one.duration_s - other.duration_s)
            if one.emotion != other.emotion and gap_s <= MAX_GAP_S:
                edges.append((j, i))
                costs.append(round(gap_s * _TICKS))
    if len(edges) > _MAX_EDGES:
        raise UsageError(
            f"speaker {group[0].speaker_id!r} has {len(group)} recordings, too many to pair any two labels of; "
            "choose the polarity valence or strict"
        )
    return [(group[j], group[i]) for j, i in match_all(len(group), edges, costs)]


def _pair(audio: Recording, video: Recording) -> ConflictPair:
    return ConflictPair(
        pair_id=f"{audio.dialogue_id}.{audio.turn}+{video.dialogue_id}.{video.turn}",
        audio_dialogue_id=audio.dialogue_id,
        audio_turn=audio.turn,
        video_dialogue_id=video.dialogue_id,
        video_turn=video.turn,
        audio_emotion=audio.emotion,
        video_emotion=video.emotion,
        speaker_id=audio.speaker_id,
    )
