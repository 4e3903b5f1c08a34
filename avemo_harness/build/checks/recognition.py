"""What a recogniser says of labels: one that learned from other speakers of the release, or that was trained before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from avemo_harness.build.checks.material import LabelledClip
from avemo_harness.build.checks.opinions import Opinions, Stream
from avemo_harness.errors import MediaError, UsageError
from avemo_harness.recognizers import RECOGNIZERS, identify_recognizer, load_recognizer
from avemo_harness.recognizers.base import Recognizer
from avemo_harness.recognizers.clip_features import ClipFeatures
from avemo_harness.recognizers.cross_validation import group_folds
from avemo_harness.recognizers.streams import Streams, View

Say = Callable[[str], None]
Named = tuple[tuple[str, Stream], tuple[str, ...]]
Ask = Callable[[Sequence[LabelledClip]], Opinions]
"""Has clips judged; UsageError where there is too little to learn from."""

_DIGITS = 8
"""Of a digest of weights: enough to tell one recogniser from the next."""
_VIEW_OF: dict[Stream, View] = {"sound": "audio", "face": "video"}


def open_recognizer(name: str, cache_dir: Path, say: Say) -> Ask:
    """A recogniser by name, which learns from the release, or a folder of one that was trained before.

    Args:
        cache_dir: where one that was trained before keeps features.

    Raises:
        UsageError: there is no such recogniser, or its folder is damaged.
    """
    folder = Path(name).expanduser()
    if name not in RECOGNIZERS and (folder.is_dir() or folder.parent != Path()):
        return _trained(folder, cache_dir)
    recognizer, identity = load_recognizer(name), identify_recognizer(name)

    def ask(clips: Sequence[LabelledClip]) -> Opinions:
        say(f"the recogniser {name} judges {len(clips):,} clips, each after learning from other speakers")
        return Opinions(f"recogniser {identity}", "recognizer", dict(_left_out(recognizer, clips)))

    return ask


def _left_out(kind: type[Recognizer], clips: Sequence[LabelledClip]) -> Iterator[Named]:
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
            yield from _judged(learned, clips[i], features[i])


def _judged(recognizer: Recognizer, clip: LabelledClip, features: ClipFeatures) -> Iterator[Named]:
    """What it names from each stream that tells it anything."""
    nothing = recognizer.log_probabilities(None, None)
    shown: tuple[tuple[Stream, ClipFeatures], ...] = (
        ("sound", ClipFeatures(features.sound, None)),
        ("face", ClipFeatures(None, features.face)),
    )
    for stream, part in shown:
        scores = recognizer.log_probabilities(part.sound, part.face)
        if not np.allclose(scores, nothing):
            yield (clip.clip.sha256, stream), (recognizer.labels[int(scores.argmax())],)


def _trained(folder: Path, cache_dir: Path) -> Ask:
    from avemo_harness.recognizers.categorical.checkpoint import load_categorical

    recognizer = load_categorical(folder, cache_dir)
    by = f"recogniser {folder.name} ({recognizer.identity()['weights'][:_DIGITS]})"

    def named(clip: LabelledClip) -> Iterator[Named]:
        try:
            streams = Streams.of(clip.clip)
            for stream, view in _VIEW_OF.items():
                if view in streams.views:
                    scores = recognizer.log_probabilities(streams, view)
                    yield (clip.clip.sha256, stream), (recognizer.labels[int(scores.argmax())],)
        except MediaError as error:
            raise UsageError(f"{folder}: it cannot judge {clip.place.name} ({error})") from error

    def ask(clips: Sequence[LabelledClip]) -> Opinions:
        said = dict(one for clip in clips for one in named(clip))
        return Opinions(by, "recognizer", said)

    return ask
