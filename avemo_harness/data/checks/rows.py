"""Checks of rows against their clips: schema, media, label balance, speaker overlap, conflict pairs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import partial

from avemo_harness.benchmark.release import EMOTIONS, ConflictPair, Release, Turn, TurnRef
from avemo_harness.data.checks.findings import Finding, summarise
from avemo_harness.data.checks.survey import ClipFacts, ClipProblem, LocatedTurn, SurveyedConfig
from avemo_harness.data.conflict_pairs import MAX_GAP_S, OPPOSITES

_LEAST_OF_EVEN = 0.5
_LEAST_OF_EACH = 5
"""Turns of each emotion that are expected where shares say something (Cochran 1954)."""


def check_schema(material: SurveyedConfig) -> Finding:
    """Check that clips are those of their digests and have the streams that their rows state.

    That rows keep to the schema is known from their having been read.
    """
    finding = partial(Finding, "schema", material.config)
    clips = material.clips.values()
    altered = (one.text for one in clips if isinstance(one, ClipProblem) and one.kind == "altered")
    problems = [*altered, *_misstated_streams(material)]
    absent = [one for one in clips if isinstance(one, ClipProblem) and one.kind == "missing"]
    releases = material.releases.values()
    dialogues = sum(len(release.dialogues) for release in releases)
    turns, pairs = sum(1 for _ in material.turns()), sum(len(release.pairs) for release in releases)
    details = {
        "dialogues": dialogues,
        "turns": turns,
        "clips": len(clips),
        "pairs": pairs,
        "absent": len(absent),
        "problems": problems,
    }
    if problems:
        return finding("fail", summarise(problems), details)
    counts = f"{dialogues:,} dialogues, {turns:,} turns, {len(clips):,} clips, {pairs} pairs"
    if absent:
        why = f"{counts}; {len(absent):,} clips are not here: {absent[0].text}"
        return finding("cannot tell", why, details)
    return finding("pass", counts, details)


def _misstated_streams(material: SurveyedConfig) -> Iterator[str]:
    """Clips that lack a stream which their row states, or have one which it denies: plans go by the columns."""
    for located in material.turns():
        clip = located.turn.clip
        facts = None if clip is None else material.clips[clip.sha256]
        if clip is None or clip.streams is None or not isinstance(facts, ClipFacts):
            continue
        if facts.sound_s is None and facts.video_s is None:
            continue  # whose digest alone was looked at, as before a push
        for stream, seconds in (("sound", facts.sound_s), ("picture", facts.video_s)):
            if (stream in clip.streams) != (seconds is not None):
                stated = f"has_{stream} is {str(stream in clip.streams).lower()}"
                yield f"{located.name}: {stated}, and the clip has {'no ' if seconds is None else ''}{stream}"


def unreadable(config: str, error: Exception) -> Finding:
    """The finding about a config whose rows break the schema."""
    return Finding("schema", config, "fail", str(error), {"problems": [str(error)]})


def check_balance(material: SurveyedConfig) -> Finding:
    """One label a clip, and emotions about equally frequent, so that saying one always is no use."""
    finding = partial(Finding, "label balance", material.config)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for located in material.turns():
        if located.turn.role == "user":
            counts[located.split][located.turn.emotion or ""] += 1
    contradictions, labels = list(_contradictions(material)), material.labels
    details = {
        "splits": [
            {"split": split, "counts": {label: of_split[label] for label in labels}, "unlabelled": of_split[""]}
            for split, of_split in counts.items()
        ],
        "contradictions": contradictions,
    }
    if contradictions:
        return finding("fail", summarise(contradictions), details)
    split = "test" if "test" in counts else next(iter(counts))
    labelled, unlabelled = {label: counts[split][label] for label in labels}, counts[split][""]
    total, least_total = sum(labelled.values()), _LEAST_OF_EACH * len(labels)
    if total < least_total:
        found = f"{total} of {total + unlabelled:,} user turns have a label"
        why = f"{split}: {found}; shares take {least_total} or more"
        return finding("cannot tell", why, details)
    shares = {label: count / total for label, count in labelled.items()}
    most, least = max(shares, key=lambda label: shares[label]), min(shares, key=lambda label: shares[label])
    summary = f"{split}: " + ", ".join(f"{label} {share:.0%}" for label, share in shares.items())
    if unlabelled:
        summary += f"; {unlabelled:,} user turns have no label"
    if shares[least] < _LEAST_OF_EVEN / len(labels) or shares[most] > 2 / len(labels):
        summary += f"; saying {most} always is right {shares[most]:.0%} of the time"
        return finding("warn", summary, details)
    return finding("pass", summary, details)


def _contradictions(material: SurveyedConfig) -> Iterator[str]:
    first: dict[str, LocatedTurn] = {}
    for located in material.turns():
        clip, emotion = located.turn.clip, located.turn.emotion
        if clip is not None and emotion is not None:
            other = first.setdefault(clip.sha256, located)
            if other.turn.emotion != emotion:
                yield f"{located.name}: its clip is labelled {emotion}, and {other.turn.emotion} in {other.name}"


def check_speakers(material: SurveyedConfig) -> Finding:
    """No speaker and no clip in several splits: a recogniser would be tested on whom it learned from."""
    finding = partial(Finding, "speaker overlap", material.config)
    splits_of: dict[str, set[str]] = defaultdict(set)
    splits_of_clip: dict[str, set[str]] = defaultdict(set)
    for located in material.turns():
        if located.turn.role == "user":
            splits_of[located.turn.speaker_id].add(located.split)
            if located.turn.clip is not None:
                splits_of_clip[located.turn.clip.sha256].add(located.split)
    shared = sorted(speaker for speaker, splits in splits_of.items() if len(splits) > 1)
    shared_clips = sum(len(splits) > 1 for splits in splits_of_clip.values())
    counts = {split: sum(split in splits for splits in splits_of.values()) for split in material.releases}
    details = {"speakers": counts, "shared": shared, "shared_clips": shared_clips}
    summary = ", ".join(f"{split} {count}" for split, count in counts.items()) + " speakers"
    if shared_clips:
        summary += f"; {shared_clips:,} clips are in several splits"
        return finding("fail", summary, details)
    empty = [split for split, count in counts.items() if not count]
    if empty:
        summary += f"; {', '.join(empty)} has no user turn"
        return finding("cannot tell", summary, details)
    if shared:
        summary += f"; {len(shared)} are in several splits, such as {shared[0]!r}"
        return finding("warn", summary, details)
    return finding("pass", summary, details)


DURATION_SLACK_S = 0.12
"""Largest distance of a clip from the duration that its row gives: three frames of 25 a second."""


def check_media(material: SurveyedConfig) -> Finding:
    """Sound and video decode to the end, last as long as `duration_s` says, and equally long."""
    finding = partial(Finding, "media", material.config)
    problems = [one.text for one in material.clips.values() if isinstance(one, ClipProblem) and one.kind == "damaged"]
    uneven = []
    whole = unread = 0
    for located in material.turns():
        facts = material.clips[located.turn.clip.sha256] if located.turn.clip else None
        if isinstance(facts, ClipFacts):
            whole += 1
            lengths = [length for length in (facts.sound_s, facts.video_s) if length is not None]
            stated_s = located.turn.duration_s
            if stated_s is not None and all(abs(length - stated_s) > DURATION_SLACK_S for length in lengths):
                problems.append(f"{located.name}: its clip lasts {max(lengths):.2f} s, duration_s says {stated_s:.2f}")
            if max(lengths) - min(lengths) > DURATION_SLACK_S:
                uneven.append(f"{located.name}: its sound lasts {facts.sound_s:.2f} s, its video {facts.video_s:.2f} s")
        elif facts is not None:
            unread += 1
    details = {"problems": problems, "uneven": uneven}
    if problems:
        return finding("fail", summarise(problems), details)
    if not whole:
        return finding("cannot tell", "there is no clip here", details)
    if uneven:
        return finding("warn", summarise(uneven), details)
    if unread:
        why = f"the clips of {unread:,} of {whole + unread:,} turns could not be read; the others decode to the end"
        return finding("cannot tell", why, details)
    return finding("pass", f"the clips of {whole:,} turns decode to the end", details)


_SLACK_S = 1e-6


def check_conflicts(material: SurveyedConfig) -> Finding:
    """Same speaker, opposite valence, durations within a second, each clip once in each role, both orders."""
    finding = partial(Finding, "conflict pairs", material.config)
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
    details = {"pairs": total, "by_emotions": dict(sorted(by_emotions.items())), "unread": unread, "problems": problems}
    if problems:
        return finding("fail", summarise(problems), details)
    if not total:
        return finding("cannot tell", "there are none", details)
    if unread:
        why = f"the durations of {unread:,} of {total:,} pairs are unknown, as their clips could not be read"
        return finding("cannot tell", why, details)
    return finding("pass", f"{total:,} pairs", details)


def _pair_problems(material: SurveyedConfig, release: Release, pair: ConflictPair) -> Iterator[str]:
    emotions = {pair.audio_emotion, pair.video_emotion}
    # Of other labels a task says which are opposites.
    if emotions <= set(EMOTIONS) and emotions not in [{"happy", other} for other in OPPOSITES["valence"]]:
        yield f"{pair.audio_emotion} and {pair.video_emotion} are not of opposite valence"
    sides = (turn_of(release, pair.audio), turn_of(release, pair.video))
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
    turns = (turn_of(release, pair.audio), turn_of(release, pair.video))
    clips = [turn.clip.sha256 for turn in turns if turn is not None and turn.clip is not None]
    return any(not isinstance(material.clips[digest], ClipFacts) for digest in clips)


def turn_of(release: Release, ref: TurnRef) -> Turn | None:
    """The turn whose clip is meant; None where there is none."""
    try:
        return release.turn(ref)
    except KeyError:
        return None


def _pairing_problems(release: Release) -> Iterator[str]:
    refs_of = {"sound": [pair.audio for pair in release.pairs], "face": [pair.video for pair in release.pairs]}
    for role, refs in refs_of.items():
        keys = [_clip_key(release, ref) for ref in refs]
        uses = Counter(keys)
        for pair, key in zip(release.pairs, keys, strict=True):
            count = uses.pop(key, 1)
            if count > 1:
                yield f"pair {pair.pair_id}: its {role} is in {count} pairs, allowed is one"
    orders = {(pair.audio, pair.video) for pair in release.pairs}
    for pair in release.pairs:
        if (pair.video, pair.audio) not in orders:
            yield f"pair {pair.pair_id}: the pair with sound and face exchanged is missing"


def _clip_key(release: Release, ref: TurnRef) -> str | TurnRef:
    """Identity of a clip: its digest, or its turn where there is none."""
    turn = turn_of(release, ref)
    return ref if turn is None or turn.clip is None else turn.clip.sha256
