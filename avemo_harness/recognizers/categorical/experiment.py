"""Training and evaluation under a split: what the paper's Table 1 shows, and leaving one speaker out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version

from avemo_harness.errors import UsageError
from avemo_harness.recognizers.categorical.card import LabelCard, Recognition
from avemo_harness.recognizers.categorical.evaluation import Told, recognitions, tell
from avemo_harness.recognizers.categorical.examples import (
    VIEWS,
    Example,
    Normalisation,
    Say,
    as_they_are,
    make_examples,
)
from avemo_harness.recognizers.categorical.recognizer import CategoricalRecognizer
from avemo_harness.recognizers.categorical.training import Fitted, Settings, fit
from avemo_harness.recognizers.corpora.base import Corpus, LabelledRecording
from avemo_harness.recognizers.feature_set import FeatureSet
from avemo_harness.recognizers.streams import View
from avemo_harness.recognizers.training_record import Training


@dataclass(frozen=True, slots=True)
class Method:
    """How recognisers are trained in an evaluation.

    Args:
        features: their input.
        normalise: what is done to the examples of a corpus first; `within_speakers` is for evaluation only, as a
            trained recogniser is asked about one recording at a time.
    """

    features: FeatureSet
    settings: Settings = field(default_factory=Settings)
    normalise: Normalisation = as_they_are
    say: Say = lambda sentence: None


def train_categorical(corpus: Corpus, method: Method) -> CategoricalRecognizer:
    """Train one recogniser on a corpus, on its train part where it has one.

    Its card tells how it does in validation, each member on what stopped it, and on the test part if there is one.

    Raises:
        UsageError: there are too few labels or speakers, or the features are normalised within speakers.
        MediaError: a recording cannot be read.
    """
    if method.normalise is not as_they_are:
        raise UsageError("a recogniser of single recordings cannot be trained on features normalised within speakers")
    method.say(f"extracting features of {len(corpus.labelled)} recordings")
    examples = make_examples(corpus.labelled, method.features, method.say)
    recognizer, fitted = _train(examples, corpus.name, method)
    _warn_of_one_face(fitted.examples, method.say)
    told: list[Told] = []
    for member, held_out in zip(fitted.members, fitted.validation, strict=True):
        told += tell(replace(recognizer, members=(member,)), held_out, VIEWS)
    known = recognitions(told, "validation")
    used = {one.recording.recording_id for one in fitted.examples}
    if test := [one for one in examples if one.recording.part == "test" and one.recording.recording_id not in used]:
        known += recognitions(tell(recognizer, test, VIEWS), "test")
    return replace(recognizer, card=replace(recognizer.card, recognitions=known))


def evaluate_official(corpus: Corpus, method: Method) -> tuple[Recognition, ...]:
    """Train on a corpus' train part, evaluate on its test part: one recogniser of all views, one of each stream alone.

    An official split may have the same speakers in both parts, as that of MultiDialog has; for one that has not, see
    `avemo_harness.recognizers.corpora.actor_split`.

    Raises:
        UsageError: the corpus lacks such a part, or there are too few labels or speakers.
        MediaError: a recording cannot be read.
    """
    parts = {one.part for one in corpus.labelled}
    if not {"train", "test"} <= parts:
        raise UsageError(f"{corpus.name}: it has no labelled train and test part; leave one speaker out instead")
    examples = method.normalise(make_examples(corpus.labelled, method.features, method.say))
    test = [one for one in examples if one.recording.part == "test"]
    told: list[Told] = []
    for views, settings in _systems(examples, method.settings):
        recognizer, fitted = _train(examples, corpus.name, replace(method, settings=settings))
        if views == VIEWS:
            _warn_of_one_face(fitted.examples, method.say)
        told += tell(recognizer, test, views)
    return recognitions(told, "test")


def leave_one_speaker_out(corpus: Corpus, method: Method) -> tuple[Recognition, ...]:
    """Evaluate each speaker's recordings by recognisers that neither heard nor saw anybody who is heard or seen there.

    The corpus' parts do not count. All speakers' recordings are evaluated together.

    Raises:
        UsageError: fewer than three speakers, or nothing is left to train on, or too few labels.
        MediaError: a recording cannot be read.
    """
    without_parts = [replace(one, part=None) for one in corpus.labelled]
    examples = method.normalise(make_examples(without_parts, method.features, method.say))
    speakers = sorted({one.recording.speaker for one in examples})
    if len(speakers) < 3:
        raise UsageError(f"{corpus.name}: expected at least three speakers to leave one out, found {len(speakers)}")
    told: list[Told] = []
    for number, speaker in enumerate(speakers, 1):
        test = [one for one in examples if one.recording.speaker == speaker]
        rest = _without_people(examples, test)
        if not rest:
            raise UsageError(f"{corpus.name}: everybody shares a face with {speaker!r}; nothing is left to train on")
        for views, settings in _systems(examples, method.settings):
            recognizer, _ = _train(rest, corpus.name, replace(method, settings=settings))
            told += tell(recognizer, test, views)
        method.say(f"speaker {number} of {len(speakers)}")
    return recognitions(told, "speakers left out")


def _without_people(examples: Sequence[Example], test: Sequence[Example]) -> list[Example]:
    """The examples in which nobody is heard or seen who is heard or seen in some others."""
    people = {name for one in test for name in (one.recording.speaker, one.recording.face)}
    return [one for one in examples if not people & {one.recording.speaker, one.recording.face}]


def _systems(examples: Sequence[Example], settings: Settings) -> list[tuple[tuple[View, ...], Settings]]:
    """The recogniser of all views; beside it those of one stream each, where some recordings have both."""
    found = [view for view in VIEWS if any(view in one.rows for one in examples)]
    if "both" not in found:
        return [(tuple(found), settings)]
    return [
        (VIEWS, settings),
        (("audio",), replace(settings, shares=(0.0, 1.0, 0.0))),
        (("video",), replace(settings, shares=(0.0, 0.0, 1.0))),
    ]


def _train(examples: Sequence[Example], corpus: str, method: Method) -> tuple[CategoricalRecognizer, Fitted]:
    fitted = fit(examples, method.features, method.settings)
    recordings = [one.recording for one in fitted.examples]
    described = Training(
        corpus=corpus,
        fingerprint=_fingerprint(recordings),
        n_recordings=len(recordings),
        n_speakers=len({one.speaker for one in recordings}),
        seconds=float(sum(one.streams.duration_s for one in recordings)),
        split=fitted.split,
        seed=method.settings.seed,
    )
    names = tuple(dict(extractor.identity())["extractor"] for extractor in method.features.extractors)
    versions = {package: version(package) for package in ("avemo-harness", "numpy", "torch")}
    card = LabelCard(described, (), names, versions)
    return CategoricalRecognizer(fitted.labels, method.features, fitted.scaling, fitted.members, card), fitted


def _warn_of_one_face(examples: Sequence[Example], say: Say) -> None:
    faces = {one.recording.face for one in examples if "video" in one.rows}
    if len(faces) == 1:
        say(f"every face that was learned from is {min(faces)}'s: expect nothing of other faces, nor of both streams")


def _fingerprint(recordings: Sequence[LabelledRecording]) -> str:
    """Digest (hex) of recordings and labels, in order."""
    digest = hashlib.sha256()
    for one in recordings:
        clips = [clip.sha256 if clip else "-" for clip in (one.streams.sound, one.streams.face)]
        digest.update(" ".join([one.recording_id, one.label, *clips]).encode())
    return digest.hexdigest()
