"""Checks of rows against their clips: schema, media, label balance, speaker overlap, conflict pairs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from avemo_harness.benchmark.release import EMOTIONS, ConflictPair, Release, Turn
from avemo_harness.data.checks.findings import Finding, ProblemDetails, summarise
from avemo_harness.data.checks.survey import ClipFacts, ClipProblem, LocatedTurn, SurveyedConfig
from avemo_harness.data.conflict_pairs import MAX_GAP_S

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


def check_schema(material: SurveyedConfig) -> Finding:
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
        return Finding("schema", material.config, "fail", summarise(problems), details)
    counts = f"{details.dialogues:,} dialogues, {details.turns:,} turns, {details.clips:,} clips, {details.pairs} pairs"
    if absent:
        why = f"{counts}; {len(absent):,} clips are not here: {absent[0].text}"
        return Finding("schema", material.config, "cannot tell", why, details)
    return Finding("schema", material.config, "pass", counts, details)


def _misstated_streams(material: SurveyedConfig) -> Iterator[str]:
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
    return Finding("schema", config, "fail", str(error), ProblemDetails((str(error),)))


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


def check_balance(material: SurveyedConfig) -> Finding:
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
        return Finding("label balance", material.config, "fail", summarise(details.contradictions), details)
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


def _contradictions(material: SurveyedConfig) -> Iterator[str]:
    first: dict[str, LocatedTurn] = {}
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


def check_speakers(material: SurveyedConfig) -> Finding:
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


DURATION_SLACK_S = 0.12
"""How far a clip may be from the duration that its row gives: three frames of 25 a second."""


@dataclass(frozen=True, slots=True)
class MediaDetails:
    """What is wrong with clips.

    Args:
        problems: clips that are damaged, or not of the length that their row gives.
        uneven: clips whose sound and video are not equally long, so that one of them ends early.
    """

    problems: tuple[str, ...]
    uneven: tuple[str, ...]


def check_media(material: SurveyedConfig) -> Finding:
    """Whether sound and video decode to the end, last as long as `duration_s` says, and equally long."""
    problems = [one.text for one in material.clips.values() if isinstance(one, ClipProblem) and one.kind == "damaged"]
    uneven = []
    whole = unread = 0
    for place in material.turns():
        facts = material.clips[place.turn.clip.sha256] if place.turn.clip else None
        if isinstance(facts, ClipFacts):
            whole += 1
            lengths = [length for length in (facts.sound_s, facts.video_s) if length is not None]
            stated_s = place.turn.duration_s
            if stated_s is not None and all(abs(length - stated_s) > DURATION_SLACK_S for length in lengths):
                problems.append(f"{place.name}: its clip lasts {max(lengths):.2f} s, duration_s says {stated_s:.2f}")
            if max(lengths) - min(lengths) > DURATION_SLACK_S:
                uneven.append(f"{place.name}: its sound lasts {facts.sound_s:.2f} s, its video {facts.video_s:.2f} s")
        elif facts is not None:
            unread += 1
    details = MediaDetails(tuple(problems), tuple(uneven))
    if problems:
        return Finding("media", material.config, "fail", summarise(details.problems), details)
    if not whole:
        return Finding("media", material.config, "cannot tell", "there is no clip here", details)
    if uneven:
        return Finding("media", material.config, "warn", summarise(details.uneven), details)
    if unread:
        why = f"the clips of {unread:,} of {whole + unread:,} turns could not be read; the others decode to the end"
        return Finding("media", material.config, "cannot tell", why, details)
    return Finding("media", material.config, "pass", f"the clips of {whole:,} turns decode to the end", details)


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


def check_conflicts(material: SurveyedConfig) -> Finding:
    """Same speaker, opposite valence, durations within a second, each clip once in each role, both orders."""
    problems: list[str] = []
    by_emotions: Counter[str] = Counter()
    for split, release in material.releases.items():
        by_emotions.update(f"{pair.audio_emotion} heard, {pair.video_emotion} seen" for pair in release.pairs)
        for pair in release.pairs:
            problems += [
                f"{split}, pair {pair.pair_id}: {reason}" for reason in _pair_problems(material, release, pair)
            ]
        problems += [f"{split}, {reason}" for reason in _pairing_problems(release)]
    total = sum(by_emotions.values())
    unread = sum(
        _is_undecoded(material, release, pair) for release in material.releases.values() for pair in release.pairs
    )
    details = PairDetails(total, dict(sorted(by_emotions.items())), unread, tuple(problems))
    if problems:
        return Finding("conflict pairs", material.config, "fail", summarise(details.problems), details)
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


def _pair_problems(material: SurveyedConfig, release: Release, pair: ConflictPair) -> Iterator[str]:
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


def _is_undecoded(material: SurveyedConfig, release: Release, pair: ConflictPair) -> bool:
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


def _pairing_problems(release: Release) -> Iterator[str]:
    for role, side_of in (("sound", audio_side), ("face", video_side)):
        uses = Counter(_clip_key(release, side_of(pair)) for pair in release.pairs)
        for pair in release.pairs:
            count = uses.pop(_clip_key(release, side_of(pair)), 1)
            if count > 1:
                yield f"pair {pair.pair_id}: its {role} is in {count} pairs, allowed is one"
    orders = {(audio_side(pair), video_side(pair)) for pair in release.pairs}
    for pair in release.pairs:
        if (video_side(pair), audio_side(pair)) not in orders:
            yield f"pair {pair.pair_id}: the pair with sound and face exchanged is missing"


def _clip_key(release: Release, side: Side) -> str | Side:
    """What tells clips apart: the digest, or where it should be if there is none."""
    turn = turn_of(release, side)
    return side if turn is None or turn.clip is None else turn.clip.sha256
