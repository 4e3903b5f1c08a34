"""Corpora made fit to learn trajectories from: labels as constant trajectories, several corpora as one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from avemo_harness.errors import UsageError
from avemo_harness.metrics.trajectory import Trajectory, count_steps
from avemo_harness.recognizers.features.base import RATE_HZ
from avemo_harness.recognizers.placement import Placement
from avemo_harness.recognizers.recordings import Corpus, LabelledRecording, Part, RatedRecording, left_out


def rate_labels(corpus: Corpus, placement: Placement) -> Corpus:
    """A corpus of labels with a constant trajectory for each recording, where its label lies.

    Where a speaker is in several parts, as in MultiDialog, train and validation part are one: whoever trains on the
    corpus then holds speakers out, and what is in the test part stays there.

    Raises:
        UsageError: it has ratings of its own, or no labels.
    """
    if corpus.rated:
        raise UsageError(f"{corpus.name}: it has ratings over time, which are learned from; leave out the anchors")
    if not corpus.labelled:
        raise UsageError(f"{corpus.name}: it has neither ratings nor labels to learn from; name another corpus")
    parts: defaultdict[str, set[Part | None]] = defaultdict(set)
    for one in corpus.labelled:
        parts[one.speaker].add(one.part)
    shared = any(len(of_speaker) > 1 for of_speaker in parts.values())
    rated = [
        _rated(one, placement, one.part if one.part == "test" or not shared else None)
        for one in corpus.labelled
        if one.streams.views and one.streams.duration_s > 0
    ]
    dropped = {"recordings without any sound, picture or length": len(corpus.labelled) - len(rated)}
    return replace(corpus, rated=tuple(rated), dropped=(*corpus.dropped, *left_out(dropped)), placement=placement)


def _rated(one: LabelledRecording, placement: Placement, part: Part | None) -> RatedRecording:
    count = count_steps(one.streams.duration_s, RATE_HZ)
    values = np.tile(np.array(placement.point(one.label, one.intensity), dtype=np.float64), (count, 1))
    trajectory = Trajectory(values, ("valence", "arousal"), "unit", RATE_HZ)
    return RatedRecording(one.recording_id, one.speaker, one.speaker, part, one.streams, trajectory)


def join_corpora(corpora: Sequence[Corpus]) -> Corpus:
    """Several corpora of ratings, or of labels that were rated by anchors, as one; a single one as it is.

    Names of recordings, speakers and groups begin with that of their corpus, so that persons of two corpora are never
    taken for one. A recording that an earlier corpus has too is left out.

    Raises:
        UsageError: two have one name, one adds nothing, or they cannot be learned from together.
    """
    if len(corpora) == 1:
        return corpora[0]
    counts = Counter(corpus.name for corpus in corpora)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise UsageError(
            f"two corpora are called {twice[0]!r}, and their speakers cannot be told apart; put their files into one "
            "folder or table, or rename one of them"
        )
    for what, values in (
        ("ratings over time and labels", [corpus.placement for corpus in corpora]),
        ("ratings that were given live and others", [corpus.rated_live for corpus in corpora]),
    ):
        if any(value != values[0] for value in values):
            raise UsageError(f"{' and '.join(counts)}: {what} cannot be learned from together; train a judge on each")
    rated: list[RatedRecording] = []
    labelled: list[LabelledRecording] = []
    known: set[tuple[str, str]] = set()
    doubled = 0
    for corpus in corpora:
        here = [one.streams.digests for one in corpus.rated] or [one.streams.digests for one in corpus.labelled]
        own = {*here, *(one.streams.digests for one in corpus.labelled)} - known
        doubled += sum(digests in known for digests in here)
        if here and not own:
            raise UsageError(f"{corpus.name}: an earlier corpus has each of its recordings; leave it out")
        known |= own
        rated += [_of_corpus(one, corpus.name) for one in corpus.rated if one.streams.digests in own]
        labelled += [_labelled_of_corpus(one, corpus.name) for one in corpus.labelled if one.streams.digests in own]
    dropped = [one for corpus in corpora for one in corpus.dropped]
    return Corpus(
        name=" + ".join(counts),
        rated=tuple(rated),
        labelled=tuple(labelled),
        dropped=(*dropped, *left_out({"recordings that an earlier corpus has too": doubled})),
        rated_live=corpora[0].rated_live,
        placement=corpora[0].placement,
        is_builtin=all(corpus.is_builtin for corpus in corpora),
    )


def _of_corpus(one: RatedRecording, corpus: str) -> RatedRecording:
    return replace(
        one,
        recording_id=f"{corpus}/{one.recording_id}",
        speaker=f"{corpus}/{one.speaker}",
        group=f"{corpus}/{one.group}",
        corpus=corpus,
    )


def _labelled_of_corpus(one: LabelledRecording, corpus: str) -> LabelledRecording:
    return replace(
        one,
        recording_id=f"{corpus}/{one.recording_id}",
        speaker=f"{corpus}/{one.speaker}",
        face=f"{corpus}/{one.face}",
        dialogue=f"{corpus}/{one.dialogue}",
    )
