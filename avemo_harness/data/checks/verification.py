"""Agreement of raters or a recogniser with the labels, clip by clip, and what a rule would keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from avemo_harness.benchmark.release import EMOTIONS, ConflictPair, Release
from avemo_harness.data.checks.findings import LEAST_SHARE, Finding, LabelRatings, Rule, Stream, Verdict
from avemo_harness.data.checks.rows import audio_side, turn_of, video_side
from avemo_harness.data.checks.shortcuts import Guess, assess
from avemo_harness.data.checks.survey import LabelledClip, SurveyedConfig

STREAMS: tuple[Stream, ...] = ("sound", "face", "both")

_WORST_FIRST: tuple[Verdict, ...] = ("fail", "cannot tell", "warn", "pass")

_KEPT_BELOW: tuple[tuple[float, Verdict], ...] = ((0.2, "fail"), (0.5, "warn"))
"""Shares of dialogues and of conflict pairs: where a rule keeps less, what is left is no longer that release."""
_WARN_BELOW: tuple[tuple[float, Verdict], ...] = tuple((bound, "warn") for bound, _ in _KEPT_BELOW)


@dataclass(frozen=True, slots=True)
class ClipOpinion:
    """Votes on one stream of one clip.

    Args:
        said: how often each emotion is named.
        kept: whether the rule keeps it.
    """

    split: str
    dialogue: str
    turn: int
    clip: str
    stream: Stream
    label: str
    said: dict[str, int]
    kept: bool


@dataclass(frozen=True, slots=True)
class StreamAgreement:
    """Share of labels that is confirmed where one stream is shown.

    Args:
        clips: how many are judged.
        kept: how many of them the rule keeps.
        by_emotion: share that is kept of each label.
        against_chance: the kept share, each emotion counting alike, against naming emotions blindly.
    """

    stream: Stream
    clips: int
    kept: int
    by_emotion: dict[str, float]
    against_chance: Guess


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Conflict pairs, each stream verified by its own label: its sound in the one clip, its face in the other.

    Args:
        judged: pairs of which both streams are judged.
        sound, face, both: how many of these the rule keeps in that respect.
    """

    pairs: int
    judged: int
    sound: int
    face: int
    both: int


@dataclass(frozen=True, slots=True)
class VerificationDetails:
    """Agreement with the labels of a config.

    Args:
        by: who says so.
        rule: what keeps a clip: every stream of it that is judged has to be confirmed.
        clips: labelled clips.
        judged: those of which a stream is judged; others are kept.
        kept: labelled clips that the rule keeps.
        dialogues, dialogues_kept: all, and those without a clip that the rule drops.
        unplaced: opinions of clips that are not in the release.
    """

    by: str
    rule: Rule
    clips: int
    judged: int
    kept: int
    dialogues: int
    dialogues_kept: int
    unplaced: int
    streams: tuple[StreamAgreement, ...]
    pairs: PairAgreement
    opinions: tuple[ClipOpinion, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """A finding with its details, and the dialogues that the rule drops (data set split and id)."""

    finding: Finding
    details: VerificationDetails
    dropped: frozenset[tuple[str, str]]


def verify_labels(material: SurveyedConfig, opinions: LabelRatings) -> Verification:
    """Compare the labels of a config with what others say."""
    clips = list(material.labelled())
    told = [one for clip in clips for one in _opinions_of(clip, opinions)]
    refused = {one.clip for one in told if not one.kept}
    dropped = frozenset(_refused_dialogues(material, refused))
    dialogues = sum(len(release.dialogues) for release in material.releases.values())
    details = VerificationDetails(
        by=opinions.by,
        rule=opinions.rule,
        clips=len(clips),
        judged=len({one.clip for one in told}),
        kept=len(clips) - len(refused),
        dialogues=dialogues,
        dialogues_kept=dialogues - len(dropped),
        unplaced=opinions.unplaced,
        streams=tuple(_agreement(stream, clips, told) for stream in STREAMS if _count(stream, told)),
        pairs=_of_pairs(material, opinions),
        opinions=tuple(told),
    )
    return Verification(_finding(material.config, details), details, dropped)


def nothing_to_say(config: str, by: str, why: str) -> Finding:
    """The finding where nobody could judge the labels."""
    details = VerificationDetails(by, "recognizer", 0, 0, 0, 0, 0, 0, (), PairAgreement(0, 0, 0, 0, 0), ())
    return Finding(f"labels by {by}", config, "cannot tell", why, asdict(details))


def _finding(config: str, details: VerificationDetails) -> Finding:
    finding = partial(Finding, f"labels by {details.by}", config, details=asdict(details))
    if not details.judged:
        return finding(verdict="cannot tell", summary=f"none of {details.clips:,} labelled clips is judged")
    clauses = sorted(_clauses(details), key=lambda clause: _WORST_FIRST.index(clause[0]))
    verdict, summary = clauses[0][0], "; ".join(text for _, text in clauses)
    if not any(one.against_chance.decides for one in details.streams):
        why = f"{details.judged:,} judged clips are too few to tell agreement from chance; {summary}"
        return finding(verdict="cannot tell", summary=why)
    return finding(verdict=verdict, summary=summary)


def _clauses(details: VerificationDetails) -> Iterator[tuple[Verdict, str]]:
    """Parts of the summary, each with the verdict that it alone would give."""
    if details.judged < LEAST_SHARE * details.clips:
        judged = f"{details.judged:,} of {details.clips:,} labelled clips"
        yield "cannot tell", f"{judged} are judged, fewer than {LEAST_SHARE:.0%}"
    blind = [one for one in details.streams if one.against_chance.decides and not one.against_chance.tells]
    for one in blind:
        yield "warn", f"no better than chance, {one.stream}: {one.against_chance}"
    shares = ", ".join(f"{one.stream} {one.kept / one.clips:.0%} of {one.clips:,} clips" for one in details.streams)
    yield "pass", f"confirmed: {shares}"
    kept = f"{details.rule} keeps {details.dialogues_kept:,} of {details.dialogues:,} dialogues"
    # A recogniser that learned nothing refuses at random; raters who confirm no more than by chance did hear and see.
    below = _WARN_BELOW if blind and details.rule == "recognizer" else _KEPT_BELOW
    yield _kept_clause(kept, details.dialogues_kept, details.dialogues, below)
    if details.unplaced:
        yield "pass", f"{details.unplaced:,} opinions are of other clips"
    pairs = details.pairs
    if pairs.judged:
        both = f"both streams of {pairs.both:,} of {pairs.judged:,} conflict pairs are confirmed"
        yield _kept_clause(both, pairs.both, pairs.judged, below)


def _kept_clause(text: str, kept: int, total: int, below: tuple[tuple[float, Verdict], ...]) -> tuple[Verdict, str]:
    for bound, verdict in below:
        if kept < bound * total:
            return verdict, f"{text} ({kept / total:.1%}, fewer than {bound:.0%})"
    return "pass", text


def _opinions_of(clip: LabelledClip, opinions: LabelRatings) -> Iterator[ClipOpinion]:
    for stream in STREAMS:
        kept = opinions.confirm(clip.clip.sha256, stream, clip.emotion)
        if kept is not None:
            yield ClipOpinion(
                split=clip.located.split,
                dialogue=clip.located.dialogue.dialogue_id,
                turn=clip.located.turn.turn_index,
                clip=clip.clip.sha256,
                stream=stream,
                label=clip.emotion,
                said=dict(Counter(opinions.said[clip.clip.sha256, stream])),
                kept=kept,
            )


def _refused_dialogues(material: SurveyedConfig, refused: set[str]) -> Iterator[tuple[str, str]]:
    for located in material.turns():
        turn = located.turn
        if turn.role == "user" and turn.clip is not None and turn.clip.sha256 in refused:
            yield located.split, located.dialogue.dialogue_id


def _count(stream: Stream, told: Sequence[ClipOpinion]) -> int:
    return sum(one.stream == stream for one in told)


def _agreement(stream: Stream, clips: Sequence[LabelledClip], told: Sequence[ClipOpinion]) -> StreamAgreement:
    speaker_of = {clip.clip.sha256: clip.speaker for clip in clips}
    shown = [one for one in told if one.stream == stream]
    labels = [label for label in EMOTIONS if any(one.label == label for one in shown)]
    truth = np.array([labels.index(one.label) for one in shown], dtype=np.intp)
    right = np.array([one.kept for one in shown], dtype=np.bool_)
    counts, agreed = np.bincount(truth), np.bincount(truth, weights=right)
    return StreamAgreement(
        stream=stream,
        clips=len(shown),
        kept=int(right.sum()),
        by_emotion={label: float(agreed[i] / counts[i]) for i, label in enumerate(labels)},
        against_chance=assess(right, truth, [speaker_of[one.clip] for one in shown], 1 / len(EMOTIONS)),
    )


def _of_pairs(material: SurveyedConfig, opinions: LabelRatings) -> PairAgreement:
    pairs = [(release, pair) for release in material.releases.values() for pair in release.pairs]
    verdicts = [
        (
            _confirmed(release, pair, opinions, "sound"),
            _confirmed(release, pair, opinions, "face"),
        )
        for release, pair in pairs
    ]
    judged = [(sound, face) for sound, face in verdicts if sound is not None and face is not None]
    return PairAgreement(
        pairs=len(pairs),
        judged=len(judged),
        sound=sum(sound for sound, _ in judged),
        face=sum(face for _, face in judged),
        both=sum(sound and face for sound, face in judged),
    )


def _confirmed(release: Release, pair: ConflictPair, opinions: LabelRatings, stream: Stream) -> bool | None:
    side, label = (
        (audio_side(pair), pair.audio_emotion) if stream == "sound" else (video_side(pair), pair.video_emotion)
    )
    turn = turn_of(release, side)
    return None if turn is None or turn.clip is None else opinions.confirm(turn.clip.sha256, stream, label)
