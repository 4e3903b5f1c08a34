"""Emotions that raters' votes or a recogniser name for the clips of a release."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from avemo_harness.benchmark.release import Release, labels_of_users
from avemo_harness.benchmark.text_tables import Row, Table, read_table
from avemo_harness.data.checks.findings import LabelRatings, Rule, Stream
from avemo_harness.data.checks.survey import LabelledClip, turns_of
from avemo_harness.errors import MediaError, ReleaseError, UsageError
from avemo_harness.recognizers import RECOGNIZERS, identify_recognizer, load_recognizer
from avemo_harness.recognizers.features.builtin import ClipFeatures
from avemo_harness.recognizers.heads.logistic import group_folds
from avemo_harness.recognizers.judging import FeatureRecognizer, trained_folder
from avemo_harness.recognizers.recordings import Modality, Recording
from avemo_harness.text import Notify

STREAM_NAMES: Mapping[str, Stream] = {
    "": "both",
    "both": "both",
    "sound": "sound",
    "audio": "sound",
    "face": "face",
    "video": "face",
}
"""Accepted names of modalities."""

LEAST_DIGITS = 12


def read_votes(path: Path, configs: Mapping[str, Mapping[str, Release]], rule: Rule) -> LabelRatings:
    """Read votes. Those of clips that are in no split of `configs` (config -> split -> release) are counted.

    Raises:
        ReleaseError: the table is missing or malformed, a row cannot be understood, a rater says two things of one
            clip, or no vote names one of the release's labels or a clip of it.
    """
    table = read_table(path.expanduser(), ",")
    for name in ("rater", "label"):
        table.find(name)
    if not table.has("clip"):
        for name in ("dialogue", "turn"):
            table.find(name)
    clips = _ClipIndex(configs)
    named: dict[tuple[str, Stream], dict[str, str]] = defaultdict(dict)
    unplaced = 0
    for row in table.rows:
        where = f"{table.path}:{row.line}"
        rater, label, stream = _parse_vote(table, row, where)
        digest = clips.find(table, row, where)
        if digest is None:
            unplaced += 1
            continue
        # Dialogues may share a clip, of which a table by turns then has several rows.
        before = named[digest, stream].setdefault(rater, label)
        if before != label:
            raise ReleaseError(
                f"{where}: {rater!r} named {before!r} before and names {label!r} now for one clip ({stream}); keep one "
                "of the rows"
            )
    said = {key: tuple(votes.values()) for key, votes in named.items()}
    known = labels_of_users(release for splits in configs.values() for release in splits.values())
    if not any(label in known for labels in said.values() for label in labels):
        raise ReleaseError(
            f"{table.path}: expected votes for {', '.join(known)} on clips of this release, found none among "
            f"{len(table.rows):,} rows ({unplaced:,} of other clips); translate the labels, or check the release"
        )
    raters = len({rater for votes in named.values() for rater in votes})
    return LabelRatings(f"{raters} raters of {path.name}", rule, said, unplaced)


def _parse_vote(table: Table, row: Row, where: str) -> tuple[str, str, Stream]:
    rater, label, modality = (table.text(row, name) for name in ("rater", "label", "modality"))
    for name, cell in (("rater", rater), ("label", label)):
        if not cell:
            raise ReleaseError(f"{where}: expected a {name}, found nothing; complete the row or delete it")
    if modality.lower() not in STREAM_NAMES:
        raise ReleaseError(f"{where}: expected a modality of sound, face or both, found {modality!r}; correct it")
    return rater, label.lower(), STREAM_NAMES[modality.lower()]


class _ClipIndex:
    """The clips of a release by digest and by turn."""

    def __init__(self, configs: Mapping[str, Mapping[str, Release]]) -> None:
        self._digests: set[str] = set()
        self._by_turn: dict[tuple[str, str], set[tuple[str, str, str]]] = defaultdict(set)
        for config, releases in configs.items():
            for located in turns_of(releases):
                if located.turn.clip is not None:
                    digest = located.turn.clip.sha256
                    self._digests.add(digest)
                    key = located.dialogue.dialogue_id, str(located.turn.turn_index)
                    self._by_turn[key].add((config, located.split, digest))
        self._begun = {digest[:LEAST_DIGITS]: digest for digest in self._digests}

    def find(self, table: Table, row: Row, where: str) -> str | None:
        """The digest of the clip that a row is about; None where there is no such clip.

        Raises:
            ReleaseError: the row names no clip, or several.
        """
        digits = table.text(row, "clip").lower()
        if digits:
            if len(digits) < LEAST_DIGITS:
                raise ReleaseError(
                    f"{where}: expected {LEAST_DIGITS} or more digits of a clip's digest, found {digits}"
                )
            found = self._begun.get(digits[:LEAST_DIGITS])
            return found if found is not None and found.startswith(digits) else None
        dialogue, turn, config, split = (table.text(row, name) for name in ("dialogue", "turn", "config", "split"))
        if not dialogue or not turn:
            raise ReleaseError(f"{where}: expected a clip, or a dialogue and a turn, found neither; complete the row")
        matching = {
            digest
            for one_config, one_split, digest in self._by_turn.get((dialogue, turn), ())
            if config in ("", one_config) and split in ("", one_split)
        }
        if len(matching) > 1:
            raise ReleaseError(
                f"{where}: {len(matching)} clips of the release are dialogue {dialogue}, turn {turn}; add a column "
                "'config' or 'split'"
            )
        return next(iter(matching), None)


NamedEmotion = tuple[tuple[str, Stream], tuple[str, ...]]
RateClips = Callable[[Sequence[LabelledClip]], LabelRatings]
"""Has clips judged; UsageError where there is too little to learn from."""

_DIGITS = 8
"""Of a digest of weights: enough to tell one recogniser from the next."""
_VIEW_OF: dict[Stream, Modality] = {"sound": "audio", "face": "video"}


def open_recognizer(name: str, cache_dir: Path, say: Notify) -> RateClips:
    """A recogniser by name, which learns from the release, or a folder of one that was trained before.

    Args:
        cache_dir: where one that was trained before keeps features.

    Raises:
        UsageError: there is no such recogniser, or its folder is damaged.
    """
    folder = trained_folder(name, RECOGNIZERS)
    if folder is not None:
        return _trained_rater(folder, cache_dir)
    recognizer, identity = load_recognizer(name), identify_recognizer(name)

    def ask(clips: Sequence[LabelledClip]) -> LabelRatings:
        say(f"the recogniser {name} judges {len(clips):,} clips, each after learning from other speakers")
        return LabelRatings(f"recogniser {identity}", "recognizer", dict(_rate_held_out(recognizer, clips)))

    return ask


def _rate_held_out(kind: type[FeatureRecognizer], clips: Sequence[LabelledClip]) -> Iterator[NamedEmotion]:
    """Judge every clip by a recogniser that learned from the clips of other speakers."""
    features = [ClipFeatures(one.facts.sound, one.facts.face) for one in clips]
    speakers = [one.speaker for one in clips]
    folds = group_folds(speakers, seed=0)
    for fold in np.unique(folds):
        seen = np.flatnonzero(folds != fold).tolist()
        learned = kind.fit(
            [features[i] for i in seen],
            [clips[i].emotion for i in seen],
            [speakers[i] for i in seen],
            seed=0,
        )
        for i in np.flatnonzero(folds == fold).tolist():
            yield from _rate_streams(learned, clips[i], features[i])


def _rate_streams(recognizer: FeatureRecognizer, clip: LabelledClip, features: ClipFeatures) -> Iterator[NamedEmotion]:
    """The emotion that it names from each stream that changes its prediction."""
    nothing = recognizer.log_probabilities(None, None)
    shown: tuple[tuple[Stream, ClipFeatures], ...] = (
        ("sound", ClipFeatures(features.sound, None)),
        ("face", ClipFeatures(None, features.face)),
    )
    for stream, part in shown:
        scores = recognizer.log_probabilities(part.sound, part.face)
        if not np.allclose(scores, nothing):
            yield (clip.clip.sha256, stream), (recognizer.labels[int(scores.argmax())],)


def _trained_rater(folder: Path, cache_dir: Path) -> RateClips:
    from avemo_harness.recognizers.checkpoint import load_label_recognizer

    recognizer = load_label_recognizer(folder, cache_dir)
    by = f"recogniser {folder.name} ({recognizer.identity()['weights'][:_DIGITS]})"

    def named(clip: LabelledClip) -> Iterator[NamedEmotion]:
        try:
            streams = Recording.of(clip.clip)
            for stream, view in _VIEW_OF.items():
                if view in streams.views:
                    scores = recognizer.log_probabilities(streams, view)
                    yield (clip.clip.sha256, stream), (recognizer.labels[int(scores.argmax())],)
        except MediaError as error:
            raise UsageError(f"{folder}: it cannot judge {clip.located.name} ({error})") from error

    def ask(clips: Sequence[LabelledClip]) -> LabelRatings:
        said = dict(one for clip in clips for one in named(clip))
        return LabelRatings(by, "recognizer", said)

    return ask
