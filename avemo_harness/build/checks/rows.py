"""Checks of what a release says: digests, labels, speakers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.build.checks.base import Finding, Problems, told
from avemo_harness.build.checks.material import Material, PlacedTurn
from avemo_harness.build.checks.survey import ClipFacts, ClipProblem

_LEAST_OF_EVEN = 0.5
_LEAST_LABELLED = 5 * len(EMOTIONS)
"""Turns whose shares say something: five expected of each emotion (Cochran 1954)."""


@dataclass(frozen=True, slots=True)
class SchemaDetails:
    """Counts of a config whose rows are as they should be.

    Args:
        absent: clips that are named and not here, so that nothing is known of them.
    """

    dialogues: int
    turns: int
    clips: int
    pairs: int
    absent: int
    problems: tuple[str, ...]


def check_schema(material: Material) -> Finding:
    """Check that clips are those of their digests and have the streams that their rows state.

    That rows keep to the schema is known from their having been read.
    """
    clips = material.clips.values()
    altered = (one.text for one in clips if isinstance(one, ClipProblem) and one.kind == "altered")
    problems = (*altered, *_misstated_streams(material))
    absent = [one for one in clips if isinstance(one, ClipProblem) and one.kind == "missing"]
    releases = material.releases.values()
    details = SchemaDetails(
        dialogues=sum(len(release.dialogues) for release in releases),
        turns=sum(1 for _ in material.turns()),
        clips=len(clips),
        pairs=sum(len(release.pairs) for release in releases),
        absent=len(absent),
        problems=problems,
    )
    if problems:
        return Finding("schema", material.config, "fail", told(problems), details)
    counts = f"{details.dialogues:,} dialogues, {details.turns:,} turns, {details.clips:,} clips, {details.pairs} pairs"
    if absent:
        why = f"{counts}; {len(absent):,} clips are not here: {absent[0].text}"
        return Finding("schema", material.config, "cannot tell", why, details)
    return Finding("schema", material.config, "pass", counts, details)


def _misstated_streams(material: Material) -> Iterator[str]:
    """Clips that lack a stream which their row states, or have one which it denies: plans go by the columns."""
    for place in material.turns():
        clip = place.turn.clip
        facts = None if clip is None else material.clips[clip.sha256]
        if clip is None or clip.streams is None or not isinstance(facts, ClipFacts):
            continue
        if facts.sound_s is None and facts.video_s is None:
            continue  # whose digest alone was looked at, as before a push
        for stream, seconds in (("sound", facts.sound_s), ("picture", facts.video_s)):
            if (stream in clip.streams) != (seconds is not None):
                stated = f"has_{stream} is {str(stream in clip.streams).lower()}"
                yield f"{place.name}: {stated}, and the clip has {'no ' if seconds is None else ''}{stream}"


def unreadable(config: str, error: Exception) -> Finding:
    """The finding about a config whose rows break the schema."""
    return Finding("schema", config, "fail", str(error), Problems((str(error),)))


@dataclass(frozen=True, slots=True)
class SplitLabels:
    """How often a split's user turns have each label."""

    split: str
    counts: dict[str, int]
    unlabelled: int


@dataclass(frozen=True, slots=True)
class BalanceDetails:
    """The labels of each split, and the clips that have several labels."""

    splits: tuple[SplitLabels, ...]
    contradictions: tuple[str, ...]


def check_balance(material: Material) -> Finding:
    """Whether a clip has one label, and emotions are about equally frequent, so that saying one always is no use."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for place in material.turns():
        if place.turn.role == "user":
            counts[place.split][place.turn.emotion or ""] += 1
    splits = tuple(
        SplitLabels(split, {label: found[label] for label in EMOTIONS}, found[""]) for split, found in counts.items()
    )
    details = BalanceDetails(splits, tuple(_contradictions(material)))
    if details.contradictions:
        return Finding("label balance", material.config, "fail", told(details.contradictions), details)
    asked = next((one for one in splits if one.split == "test"), splits[0])
    total = sum(asked.counts.values())
    if total < _LEAST_LABELLED:
        found = f"{total} of {total + asked.unlabelled:,} user turns have a label"
        why = f"{asked.split}: {found}; shares take {_LEAST_LABELLED} or more"
        return Finding("label balance", material.config, "cannot tell", why, details)
    shares = {label: count / total for label, count in asked.counts.items()}
    most, least = max(shares, key=lambda label: shares[label]), min(shares, key=lambda label: shares[label])
    summary = f"{asked.split}: " + ", ".join(f"{label} {share:.0%}" for label, share in shares.items())
    if asked.unlabelled:
        summary += f"; {asked.unlabelled:,} user turns have no label"
    if shares[least] < _LEAST_OF_EVEN / len(EMOTIONS) or shares[most] > 2 / len(EMOTIONS):
        summary += f"; saying {most} always is right {shares[most]:.0%} of the time"
        return Finding("label balance", material.config, "warn", summary, details)
    return Finding("label balance", material.config, "pass", summary, details)


def _contradictions(material: Material) -> Iterator[str]:
    first: dict[str, PlacedTurn] = {}
    for place in material.turns():
        clip, emotion = place.turn.clip, place.turn.emotion
        if clip is not None and emotion is not None:
            other = first.setdefault(clip.sha256, place)
            if other.turn.emotion != emotion:
                yield f"{place.name}: its clip is labelled {emotion}, and {other.turn.emotion} in {other.name}"


@dataclass(frozen=True, slots=True)
class SpeakerDetails:
    """Who and what is in several splits.

    Args:
        speakers: users of each split.
        shared: users in more than one split.
        shared_clips: how many clips are in more than one split.
    """

    speakers: dict[str, int]
    shared: tuple[str, ...]
    shared_clips: int


def check_speakers(material: Material) -> Finding:
    """Whether the people of one split are in another, so that a recogniser would be tested on whom it learned from."""
    splits_of: dict[str, set[str]] = defaultdict(set)
    splits_of_clip: dict[str, set[str]] = defaultdict(set)
    for place in material.turns():
        if place.turn.role == "user":
            splits_of[place.turn.speaker_id].add(place.split)
            if place.turn.clip is not None:
                splits_of_clip[place.turn.clip.sha256].add(place.split)
    shared = tuple(sorted(speaker for speaker, splits in splits_of.items() if len(splits) > 1))
    shared_clips = sum(len(splits) > 1 for splits in splits_of_clip.values())
    counts = {split: sum(split in splits for splits in splits_of.values()) for split in material.releases}
    details = SpeakerDetails(counts, shared, shared_clips)
    summary = ", ".join(f"{split} {count}" for split, count in counts.items()) + " speakers"
    if shared_clips:
        summary += f"; {shared_clips:,} clips are in several splits"
        return Finding("speaker overlap", material.config, "fail", summary, details)
    empty = [split for split, count in counts.items() if not count]
    if empty:
        summary += f"; {', '.join(empty)} has no user turn"
        return Finding("speaker overlap", material.config, "cannot tell", summary, details)
    if shared:
        summary += f"; {len(shared)} are in several splits, such as {shared[0]!r}"
        return Finding("speaker overlap", material.config, "warn", summary, details)
    return Finding("speaker overlap", material.config, "pass", summary, details)
