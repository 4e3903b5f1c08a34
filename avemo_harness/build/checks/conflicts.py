"""Whether conflict pairs keep to their rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from avemo_harness.benchmark.release import ConflictPair, Release, Turn
from avemo_harness.build.checks.base import Finding, told
from avemo_harness.build.checks.material import Material
from avemo_harness.build.checks.survey import ClipFacts
from avemo_harness.build.conflicts import MAX_GAP_S

_OPPOSITE = ({"happy", "sad"}, {"happy", "angry"})
_SLACK_S = 1e-6

Side = tuple[str, int]
"""Id of a dialogue and a turn of it."""


@dataclass(frozen=True, slots=True)
class PairDetails:
    """Counts of conflict pairs by emotions (sound, face), and their problems.

    Args:
        unread: pairs of which a clip could not be read, so that their durations are not compared.
    """

    pairs: int
    by_emotions: dict[str, int]
    unread: int
    problems: tuple[str, ...]


def check_conflicts(material: Material) -> Finding:
    """Same speaker, opposite valence, durations within a second, each clip once in each role, both orders."""
    problems: list[str] = []
    by_emotions: Counter[str] = Counter()
    for split, release in material.releases.items():
        by_emotions.update(f"{pair.audio_emotion} heard, {pair.video_emotion} seen" for pair in release.pairs)
        for pair in release.pairs:
            problems += [f"{split}, pair {pair.pair_id}: {reason}" for reason in _wrong(material, release, pair)]
        problems += [f"{split}, {reason}" for reason in _wrong_together(release)]
    total = sum(by_emotions.values())
    unread = sum(_unread(material, release, pair) for release in material.releases.values() for pair in release.pairs)
    details = PairDetails(total, dict(sorted(by_emotions.items())), unread, tuple(problems))
    if problems:
        return Finding("conflict pairs", material.config, "fail", told(details.problems), details)
    if not total:
        return Finding("conflict pairs", material.config, "cannot tell", "there are none", details)
    if unread:
        why = f"the durations of {unread:,} of {total:,} pairs are unknown, as their clips could not be read"
        return Finding("conflict pairs", material.config, "cannot tell", why, details)
    return Finding("conflict pairs", material.config, "pass", f"{total:,} pairs", details)


def audio_side(pair: ConflictPair) -> Side:
    """Whose sound it has."""
    return pair.audio_dialogue_id, pair.audio_turn


def video_side(pair: ConflictPair) -> Side:
    """Whose face it has."""
    return pair.video_dialogue_id, pair.video_turn


def _wrong(material: Material, release: Release, pair: ConflictPair) -> Iterator[str]:
    if {pair.audio_emotion, pair.video_emotion} not in _OPPOSITE:
        yield f"{pair.audio_emotion} and {pair.video_emotion} are not of opposite valence"
    sides = (turn_of(release, audio_side(pair)), turn_of(release, video_side(pair)))
    lengths = []
    for turn, role, emotion in zip(sides, ("sound", "face"), (pair.audio_emotion, pair.video_emotion), strict=True):
        if turn is None or turn.clip is None or turn.role != "user":
            yield f"its {role} should be that of a user turn with a clip, and is not"
            continue
        if turn.emotion != emotion:
            yield f"its {role} is said to be {emotion}, the turn's label is {turn.emotion}"
        if turn.speaker_id != pair.speaker_id:
            yield f"its {role} is of {turn.speaker_id!r}, not of {pair.speaker_id!r}"
        facts = material.clips[turn.clip.sha256]
        if isinstance(facts, ClipFacts):
            length = facts.sound_s if role == "sound" else facts.video_s
            if length is None:
                yield f"the clip of its {role} has no {role}"
            else:
                lengths.append(turn.duration_s if turn.duration_s is not None else length)
    if len(lengths) == 2 and abs(lengths[0] - lengths[1]) > MAX_GAP_S + _SLACK_S:
        yield f"durations of {lengths[0]:.2f} s and {lengths[1]:.2f} s differ by more than {MAX_GAP_S:g} s"


def _unread(material: Material, release: Release, pair: ConflictPair) -> bool:
    turns = (turn_of(release, audio_side(pair)), turn_of(release, video_side(pair)))
    clips = [turn.clip.sha256 for turn in turns if turn is not None and turn.clip is not None]
    return any(not isinstance(material.clips[digest], ClipFacts) for digest in clips)


def turn_of(release: Release, side: Side) -> Turn | None:
    """The turn whose clip is meant; None where there is none."""
    try:
        turns = release.dialogue(side[0]).turns
    except KeyError:
        return None
    return turns[side[1]] if 0 <= side[1] < len(turns) else None


def _wrong_together(release: Release) -> Iterator[str]:
    for role, side_of in (("sound", audio_side), ("face", video_side)):
        uses = Counter(_clip(release, side_of(pair)) for pair in release.pairs)
        for pair in release.pairs:
            count = uses.pop(_clip(release, side_of(pair)), 1)
            if count > 1:
                yield f"pair {pair.pair_id}: its {role} is in {count} pairs, allowed is one"
    orders = {(audio_side(pair), video_side(pair)) for pair in release.pairs}
    for pair in release.pairs:
        if (video_side(pair), audio_side(pair)) not in orders:
            yield f"pair {pair.pair_id}: the pair with sound and face exchanged is missing"


def _clip(release: Release, side: Side) -> str | Side:
    """What tells clips apart: the digest, or where it should be if there is none."""
    turn = turn_of(release, side)
    return side if turn is None or turn.clip is None else turn.clip.sha256
