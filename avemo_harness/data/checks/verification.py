"""Agreement of raters or a recogniser with the labels, clip by clip, and what a rule would keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from avemo_harness.benchmark.release import Release, TurnRef
from avemo_harness.data.checks.findings import LEAST_SHARE, Finding, LabelRatings, Stream, Verdict
from avemo_harness.data.checks.rows import turn_of
from avemo_harness.data.checks.shortcuts import Guess, assess
from avemo_harness.data.checks.survey import LabelledClip, SurveyedConfig

STREAMS: tuple[Stream, ...] = ("sound", "face", "both")

_WORST_FIRST: tuple[Verdict, ...] = ("fail", "cannot tell", "warn", "pass")

_KEPT_BELOW: tuple[tuple[float, Verdict], ...] = ((0.2, "fail"), (0.5, "warn"))
"""Shares of dialogues and of conflict pairs: where a rule keeps less, what is left is no longer that release."""
_WARN_BELOW: tuple[tuple[float, Verdict], ...] = tuple((bound, "warn") for bound, _ in _KEPT_BELOW)


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
class Verification:
    """Agreement of others with the labels of a config.

    Args:
        by: who they are.
        dropped: data set split and id of each dialogue with a clip that the rule drops.
    """

    finding: Finding
    by: str
    dropped: frozenset[tuple[str, str]]


def verify_labels(material: SurveyedConfig, opinions: LabelRatings) -> Verification:
    """Compare the labels of a config with what others say.

    The rule keeps a clip whose every judged stream is confirmed, or of which none is judged; and a dialogue of whose
    clips it drops none.
    """
    clips = list(material.labelled())
    votes = [vote for clip in clips for vote in _votes_on(clip, opinions)]
    refused = {vote["clip"] for vote in votes if not vote["kept"]}
    dropped = frozenset(
        (located.split, located.dialogue.dialogue_id)
        for located in material.turns()
        if located.turn.role == "user" and located.turn.clip is not None and located.turn.clip.sha256 in refused
    )
    dialogues = sum(len(release.dialogues) for release in material.releases.values())
    streams = [
        _agreement(stream, clips, shown, material.labels)
        for stream in STREAMS
        if (shown := [vote for vote in votes if vote["stream"] == stream])
    ]
    details = _details(
        opinions,
        clips=len(clips),
        judged=len({vote["clip"] for vote in votes}),
        kept=len(clips) - len(refused),
        dialogues=dialogues,
        dialogues_kept=dialogues - len(dropped),
        streams=[asdict(stream) for stream in streams],
        pairs=_pair_counts(material, opinions),
        opinions=votes,
    )
    verdict, summary = _verdict(details, streams)
    return Verification(_finding(material.config, details, verdict, summary), opinions.by, dropped)


def nothing_to_say(config: str, by: str, why: str) -> Finding:
    """The finding where nobody could judge the labels."""
    return _finding(config, _details(LabelRatings(by, "recognizer", {})), "cannot tell", why)


def _finding(config: str, details: dict[str, Any], verdict: Verdict, summary: str) -> Finding:
    return Finding(f"labels by {details['by']}", config, verdict, summary, details)


def _details(ratings: LabelRatings, **found: Any) -> dict[str, Any]:
    """Details of a finding; what is not given was not found."""
    return {
        "by": ratings.by,
        "rule": ratings.rule,
        **dict.fromkeys(("clips", "judged", "kept", "dialogues", "dialogues_kept"), 0),
        "unplaced": ratings.unplaced,
        "streams": [],
        "pairs": dict.fromkeys(("pairs", "judged", "sound", "face", "both"), 0),
        "opinions": [],
        **found,
    }


def _verdict(details: Mapping[str, Any], streams: Sequence[StreamAgreement]) -> tuple[Verdict, str]:
    if not details["judged"]:
        return "cannot tell", f"none of {details['clips']:,} labelled clips is judged"
    clauses = sorted(_clauses(details, streams), key=lambda clause: _WORST_FIRST.index(clause[0]))
    summary = "; ".join(text for _, text in clauses)
    if not any(stream.against_chance.decides for stream in streams):
        return "cannot tell", f"{details['judged']:,} judged clips are too few to tell agreement from chance; {summary}"
    return clauses[0][0], summary


def _clauses(details: Mapping[str, Any], streams: Sequence[StreamAgreement]) -> Iterator[tuple[Verdict, str]]:
    """Parts of the summary, each with the verdict that it alone would give."""
    if details["judged"] < LEAST_SHARE * details["clips"]:
        judged = f"{details['judged']:,} of {details['clips']:,} labelled clips"
        yield "cannot tell", f"{judged} are judged, fewer than {LEAST_SHARE:.0%}"
    blind = [stream for stream in streams if stream.against_chance.decides and not stream.against_chance.tells]
    for stream in blind:
        yield "warn", f"no better than chance, {stream.stream}: {stream.against_chance}"
    shares = ", ".join(f"{one.stream} {one.kept / one.clips:.0%} of {one.clips:,} clips" for one in streams)
    yield "pass", f"confirmed: {shares}"
    total, kept = details["dialogues"], details["dialogues_kept"]
    # A recogniser that learned nothing refuses at random; raters who confirm no more than by chance did hear and see.
    below = _WARN_BELOW if blind and details["rule"] == "recognizer" else _KEPT_BELOW
    yield _kept_clause(f"{details['rule']} keeps {kept:,} of {total:,} dialogues", kept, total, below)
    if details["unplaced"]:
        yield "pass", f"{details['unplaced']:,} opinions are of other clips"
    both, pairs = details["pairs"]["both"], details["pairs"]["judged"]
    if pairs:
        yield _kept_clause(f"both streams of {both:,} of {pairs:,} conflict pairs are confirmed", both, pairs, below)


def _kept_clause(text: str, kept: int, total: int, below: tuple[tuple[float, Verdict], ...]) -> tuple[Verdict, str]:
    for bound, verdict in below:
        if kept < bound * total:
            return verdict, f"{text} ({kept / total:.1%}, fewer than {bound:.0%})"
    return "pass", text


def _votes_on(clip: LabelledClip, opinions: LabelRatings) -> Iterator[dict[str, Any]]:
    """Counts of the emotions that are named for each stream of a clip, and whether the rule keeps that stream."""
    for stream in STREAMS:
        kept = opinions.confirm(clip.clip.sha256, stream, clip.emotion)
        if kept is not None:
            yield {
                "split": clip.located.split,
                "dialogue": clip.located.dialogue.dialogue_id,
                "turn": clip.located.turn.turn_index,
                "clip": clip.clip.sha256,
                "stream": stream,
                "label": clip.emotion,
                "said": dict(Counter(opinions.said[clip.clip.sha256, stream])),
                "kept": kept,
            }


def _agreement(
    stream: Stream, clips: Sequence[LabelledClip], votes: Sequence[Mapping[str, Any]], known: Sequence[str]
) -> StreamAgreement:
    speaker_of = {clip.clip.sha256: clip.speaker for clip in clips}
    labels = [label for label in known if any(vote["label"] == label for vote in votes)]
    truth = np.array([labels.index(vote["label"]) for vote in votes], dtype=np.intp)
    right = np.array([vote["kept"] for vote in votes], dtype=np.bool_)
    counts, agreed = np.bincount(truth), np.bincount(truth, weights=right)
    return StreamAgreement(
        stream=stream,
        clips=len(votes),
        kept=int(right.sum()),
        by_emotion={label: float(agreed[i] / counts[i]) for i, label in enumerate(labels)},
        against_chance=assess(right, truth, [speaker_of[vote["clip"]] for vote in votes], 1 / len(known)),
    )


def _pair_counts(material: SurveyedConfig, opinions: LabelRatings) -> dict[str, int]:
    """Counts of conflict pairs that the rule keeps, each stream by its own label: its sound in one clip, its face in
    the other.

    Pairs whose streams are not both judged are counted among `pairs` alone.
    """
    verdicts = [
        (
            _confirmed(release, pair.audio, "sound", pair.audio_emotion, opinions),
            _confirmed(release, pair.video, "face", pair.video_emotion, opinions),
        )
        for release in material.releases.values()
        for pair in release.pairs
    ]
    judged = [(sound, face) for sound, face in verdicts if sound is not None and face is not None]
    return {
        "pairs": len(verdicts),
        "judged": len(judged),
        "sound": sum(sound for sound, _ in judged),
        "face": sum(face for _, face in judged),
        "both": sum(sound and face for sound, face in judged),
    }


def _confirmed(release: Release, ref: TurnRef, stream: Stream, label: str, opinions: LabelRatings) -> bool | None:
    turn = turn_of(release, ref)
    return None if turn is None or turn.clip is None else opinions.confirm(turn.clip.sha256, stream, label)
