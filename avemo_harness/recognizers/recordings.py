"""Recordings as recognisers see them: streams, ratings or labels, parts of a corpus, and splits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from avemo_harness import media
from avemo_harness.benchmark.release import Clip
from avemo_harness.errors import MediaError, ReleaseError, UsageError
from avemo_harness.lru_cache import LruCache
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.recognizers.placement import Intensity, Placement

Modality = Literal["both", "audio", "video"]
"""Streams of a recording that a recogniser is given."""

SingleModality = Literal["audio", "video"]
SINGLE_MODALITIES: tuple[SingleModality, ...] = ("audio", "video")

MODALITIES: tuple[Modality, ...] = ("both", "audio", "video")
MODALITY_NAMES: Mapping[Modality, str] = {"both": "sound and face", "audio": "sound alone", "video": "face alone"}


_probed: LruCache[str, media.MediaInfo] = LruCache(2**16, lambda info: 1)
"""Headers of clips, which several tasks and recognisers ask for."""


def clip_info(clip: Clip) -> media.MediaInfo:
    """Facts of a clip's header, read once (MediaError: it cannot be read)."""
    return _probed.get(clip.sha256, lambda: media.probe(clip.read()))


@dataclass(frozen=True, slots=True)
class Recording:
    """The two streams of a recording; one file may hold both.

    Args:
        sound, face: the clip with the sound, with the face; None for a stream that the recording does not have.
        duration_s: of the recording, in seconds.
    """

    sound: Clip | None
    face: Clip | None
    duration_s: float

    @classmethod
    def of(cls, clip: Clip) -> Recording:
        """The streams of one file.

        Raises:
            MediaError: the clip cannot be read.
        """
        info = clip_info(clip)
        return cls(clip if info.sound else None, clip if info.video else None, info.duration_s)

    @property
    def digests(self) -> tuple[str, str]:
        """Digests of sound and face; a dash for one that the recording does not have."""
        return self.sound.sha256 if self.sound else "-", self.face.sha256 if self.face else "-"

    @property
    def name(self) -> str:
        """Name of the recording in errors."""
        clip = self.sound or self.face
        return clip.name if clip else "a recording of nothing"

    def require_sound(self, extractor: str) -> Clip:
        """The clip with the sound; MediaError where the recording has none."""
        if self.sound is None:
            raise MediaError(f"{extractor}: the recording has no sound")
        return self.sound

    def require_face(self, extractor: str) -> Clip:
        """The clip with the face; MediaError where the recording has none."""
        if self.face is None:
            raise MediaError(f"{extractor}: the recording has no video")
        return self.face

    @property
    def views(self) -> tuple[Modality, ...]:
        """Modalities that the recording has, the most complete first."""
        if self.sound is not None and self.face is not None:
            return MODALITIES
        return ("audio",) if self.sound is not None else ("video",) if self.face is not None else ()


Part = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class RatedRecording:
    """A recording whose valence and arousal were rated over time.

    Args:
        recording_id: unique in its corpus.
        speaker: who is recorded.
        group: who must not be split between parts: the speaker, or both partners of a conversation.
        part: of the corpus' official split; None where it has none, or the recording is outside it.
        trajectory: the gold standard on the unit scale, 2 values a second, from the beginning of the recording.
        corpus: that it is of, where several are learned from together.
    """

    recording_id: str
    speaker: str
    group: str
    part: Part | None
    streams: Recording
    trajectory: Trajectory
    corpus: str = ""


@dataclass(frozen=True, slots=True)
class LabelledRecording:
    """A recording of one emotion.

    Args:
        recording_id: unique in its corpus.
        speaker: who is recorded.
        face: whose face is seen; the speaker's own unless the recording is dubbed.
        label: one of the benchmark's emotions.
        part: of the corpus' official split; None where it has none.
        dialogue: the conversation that it belongs to; its own id where it stands alone.
        intensity: of the emotion, where the corpus tells it.
    """

    recording_id: str
    speaker: str
    face: str
    label: str
    part: Part | None
    dialogue: str
    streams: Recording
    intensity: Intensity | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """Counts of recordings that an importer left out, by reason."""

    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """The recordings of a corpus that recognisers learn from.

    Args:
        name: what it is called on cards and in tables.
        rated: recordings with valence and arousal over time.
        labelled: recordings of one emotion each.
        dropped: what was left out.
        rated_live: raters followed while they watched, so that ratings lag behind what they are of.
        placement: where labels lie, if the trajectories of `rated` are no ratings but made of labels.
        is_builtin: all of it is of the built-in voice and face, so that what learns from it knows no people.
    """

    name: str
    rated: tuple[RatedRecording, ...] = ()
    labelled: tuple[LabelledRecording, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    rated_live: bool = False
    placement: Placement | None = None
    is_builtin: bool = False


_PART_NAMES: tuple[tuple[str, Part], ...] = (
    (r"train(ing)?", "train"),
    (r"dev(elopment)?|val(id(ation)?)?", "validation"),
    (r"test ?\d?", "test"),
)


def parse_part(text: str, where: str) -> Part:
    """The part of that name.

    Args:
        where: file and line, for the message.

    Raises:
        ReleaseError: no part is called so.

    >>> parse_part("Development", "partitions.txt:3"), parse_part("Test1", "partitions.txt:4")
    ('validation', 'test')
    """
    for pattern, part in _PART_NAMES:
        if re.fullmatch(pattern, text.strip(), re.IGNORECASE):
            return part
    raise ReleaseError(f"{where}: expected one of the parts train, validation, test, found {text!r}; correct the line")


def left_out(reasons: Mapping[str, int]) -> tuple[Dropped, ...]:
    """The reasons that occurred, in the order given.

    >>> left_out({"label fear": 2, "no sound": 0})
    (Dropped(reason='label fear', count=2),)
    """
    return tuple(Dropped(reason, count) for reason, count in reasons.items() if count)


SplitName = Literal["official", "subject-wise"]

_HELD_OUT_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Fold:
    """Recordings of disjoint groups, but for `test`, which an official split may choose otherwise."""

    training: tuple[RatedRecording, ...]
    validation: tuple[RatedRecording, ...]
    test: tuple[RatedRecording, ...]


def by_corpus(recordings: Sequence[RatedRecording]) -> dict[str, list[RatedRecording]]:
    """The recordings of each corpus, in the order of names; mostly there is one."""
    found: dict[str, list[RatedRecording]] = {name: [] for name in sorted({one.corpus for one in recordings})}
    for one in recordings:
        found[one.corpus].append(one)
    return found


def held_out_groups(recordings: Sequence[RatedRecording], seed: int) -> set[str]:
    """A quarter of the groups of each corpus, drawn, at least one, to decide when training is enough.

    Of several corpora, one that has a single group is learned from and not held out.
    """
    corpora = by_corpus(recordings)
    found: set[str] = set()
    for of_corpus in corpora.values():
        groups = sorted({one.group for one in of_corpus})
        if len(groups) > 1 or len(corpora) == 1:
            count = max(1, round(_HELD_OUT_SHARE * len(groups)))
            found |= {groups[index] for index in np.random.default_rng(seed).permutation(len(groups))[:count]}
    return found


def excluding_groups(recordings: Sequence[RatedRecording], groups: set[str]) -> tuple[RatedRecording, ...]:
    """The recordings of other groups."""
    return tuple(one for one in recordings if one.group not in groups)


def official_fold(recordings: Sequence[RatedRecording], seed: int) -> Fold:
    """The corpus' own parts; its validation part is evaluated where test ratings are not to be had.

    What is evaluated never decides when training is enough: where that part is needed for evaluation, a quarter of the
    training groups is held out instead.

    Raises:
        UsageError: the corpus has no such parts.
    """
    parts: dict[Part | None, tuple[RatedRecording, ...]] = {
        part: tuple(one for one in recordings if one.part == part) for part in ("train", "validation", "test")
    }
    if not parts["train"] or not (parts["validation"] or parts["test"]):
        raise UsageError("the corpus has no official train part and validation or test part; use --split subject-wise")
    if parts["test"] and parts["validation"]:
        return Fold(parts["train"], parts["validation"], parts["test"])
    held_out = held_out_groups(parts["train"], seed)
    validation = tuple(one for one in parts["train"] if one.group in held_out)
    return Fold(excluding_groups(parts["train"], held_out), validation, parts["test"] or parts["validation"])


def training_fold(recordings: Sequence[RatedRecording], seed: int) -> Fold:
    """The fold to train one recogniser on: as `official_fold` where a corpus has a train part, else a quarter of its
    groups decides when it is enough, and of others than its test part, if there are any.

    A test part is tested where nobody in it was learned from.
    """
    corpora = by_corpus(recordings).values()
    folds = [_fold_of_corpus(of_corpus, seed, alone=len(corpora) == 1) for of_corpus in corpora]
    return Fold(*(tuple(one for fold in folds for one in getattr(fold, part)) for part in _FOLD_PARTS))


_FOLD_PARTS = ("training", "validation", "test")


def _fold_of_corpus(recordings: Sequence[RatedRecording], seed: int, alone: bool) -> Fold:
    if any(one.part == "train" for one in recordings):
        return official_fold(recordings, seed)
    learned = [one for one in recordings if one.part != "test"] or recordings
    met = {one.group for one in learned}
    held_out = held_out_groups(learned, seed) if alone or len(met) > 1 else set()
    test = tuple(one for one in recordings if one.part == "test" and one.group not in met)
    validation = tuple(one for one in learned if one.group in held_out)
    return Fold(excluding_groups(learned, held_out), validation, test)


def subject_wise_folds(recordings: Sequence[RatedRecording], count: int, seed: int) -> tuple[Fold, ...]:
    """Groups dealt out to about `count` folds, each evaluated once by a recogniser that saw none of its groups.

    Raises:
        UsageError: fewer than three groups.
    """
    groups = _shuffled_groups(recordings, seed)
    if len(groups) < 3:
        raise UsageError(f"expected at least three speakers or groups of speakers to keep apart, found {len(groups)}")
    # Whatever is evaluated leaves two groups, one to train on and one to stop by.
    count = min(max(count, -(-len(groups) // (len(groups) - 2))), len(groups))
    folds = []
    for number in range(count):
        test = set(groups[number::count])
        rest = excluding_groups(recordings, test)
        validation = held_out_groups(rest, seed + number)
        folds.append(
            Fold(
                excluding_groups(rest, validation),
                tuple(one for one in rest if one.group in validation),
                tuple(one for one in recordings if one.group in test),
            )
        )
    return tuple(folds)


def validation_folds(recordings: Sequence[RatedRecording], count: int, seed: int) -> tuple[Fold, ...]:
    """Groups dealt out to at most so many folds, each of which is validated on its groups and trained on all others.

    Raises:
        UsageError: there is a single group.
    """
    groups = _shuffled_groups(recordings, seed)
    if len(groups) < 2:
        raise UsageError(f"expected at least two speakers to train and to validate on, found {len(groups)}; add some")
    count = min(count, len(groups))
    folds = []
    for number in range(count):
        held_out = set(groups[number::count])
        validation = tuple(one for one in recordings if one.group in held_out)
        folds.append(Fold(excluding_groups(recordings, held_out), validation, ()))
    return tuple(folds)


def _shuffled_groups(recordings: Sequence[RatedRecording], seed: int) -> list[str]:
    """All groups, those of a corpus beside each other, so that dealing them out spreads each corpus evenly."""
    found: list[str] = []
    for of_corpus in by_corpus(recordings).values():
        groups = sorted({one.group for one in of_corpus})
        found += [groups[index] for index in np.random.default_rng(seed).permutation(len(groups))]
    return found


SEGMENT_STEPS = 12
"""Long recordings are cut into pieces of so many values (6 s), as if they were turns."""


def cut_into_turns(trajectory: Trajectory) -> Iterator[Trajectory]:
    """The trajectory as it is; one of more than 24 s in pieces of 6 s."""
    values = trajectory.values
    length = SEGMENT_STEPS if len(values) > 4 * SEGMENT_STEPS else max(1, len(values))
    for start in range(0, len(values), length):
        yield replace(trajectory, values=values[start : start + length])
