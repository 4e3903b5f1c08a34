"""The judge that turns the posteriors of published label models into valence and arousal by anchors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.errors import RecognitionError, UsageError
from avemo_harness.metrics.classification import Floats
from avemo_harness.metrics.trajectory import Dimension, Trajectory, count_steps
from avemo_harness.recognizers.anchors import Anchors, parse_anchors
from avemo_harness.recognizers.features.base import RATE_HZ
from avemo_harness.recognizers.features.face_encoders import (
    IMAGE_FPS,
    Crop,
    ImageNormalization,
    Pixels,
    face_frames,
    image_normalization,
    row_means,
)
from avemo_harness.recognizers.features.speech import RATE, Samples, published_processor, recording_sound
from avemo_harness.recognizers.judges.published import (
    SUPERB,
    CheckpointFacts,
    PublishedJudge,
    by_half_second,
    checkpoint_facts,
    made_once,
)
from avemo_harness.recognizers.judging import JudgeSetup
from avemo_harness.recognizers.recordings import Modality, Recording
from avemo_harness.text import printable
from avemo_harness.torch_setup import find_weights, import_transformers, load_model

_COLUMNS: tuple[Dimension, ...] = ("valence", "arousal")
_IMAGE_BATCH = 32

_NAMES = {
    "neutral": ("neutral", "neu"),
    "happy": ("happy", "hap", "happiness", "joy", "joyful", "excited", "exc"),
    "angry": ("angry", "ang", "anger"),
    "sad": ("sad", "sadness"),
    "calm": ("calm",),
    "fear": ("fear", "fea", "fearful", "afraid", "scared"),
    "disgust": ("disgust", "dis", "disgusted"),
    "surprise": ("surprise", "sur", "surprised"),
    "contempt": ("contempt",),
}
"""Emotions with an anchor, and the names that checkpoints give them. Excitement counts as happy, as in the four-class
use of IEMOCAP."""
_EMOTION_OF = {name: emotion for emotion, names in _NAMES.items() for name in names}


@dataclass(frozen=True, slots=True)
class LabelJudgeArguments:
    """
    Args:
        sound: Hub id or folder of an audio classifier of emotions.
        face: Hub id or folder of an image classifier of facial expressions; None judges by sound alone.
        sound_revision, face_revision: branch, tag or commit of a Hub id.
        crop: part of the picture taken for the face, ``centre`` or ``whole``.
        anchors: replaces some anchors, ``happy=0.9/0.7+sad=0.2/0.3``.
        device: where they run; None takes the run's, else the GPU of this process, else the CPU.
    """

    sound: str = SUPERB
    face: str | None = None
    sound_revision: str | None = None
    face_revision: str | None = None
    crop: Crop = "centre"
    anchors: str = ""
    device: str | None = None


def published_emotions(settings: Mapping[str, Any], path: str) -> list[tuple[str, str]]:
    """The labels of a classifier in the order of its outputs, each with its emotion.

    Args:
        path: of the checkpoint, for messages.

    Raises:
        UsageError: it is no classifier of single labels, a label is none of a known emotion, or one of the benchmark's
            four has no label.

    >>> published_emotions({"id2label": {"0": "neu", "1": "hap", "2": "ang", "3": "sad"}}, "")
    [('neu', 'neutral'), ('hap', 'happy'), ('ang', 'angry'), ('sad', 'sad')]
    """
    stated = settings.get("id2label")
    try:
        labels = [str(stated[str(number)]) for number in range(len(stated))]  # type: ignore[index, arg-type]
    except (TypeError, KeyError):
        labels = []
    kind = settings.get("problem_type") or "single_label_classification"
    if not labels or kind != "single_label_classification":
        raise UsageError(
            f"{path}: not a classifier of single labels (config.json: problem_type {kind}, id2label {stated}); give "
            "another checkpoint, or the judge wav2vec2-dim where it gives valence and arousal"
        )
    pairs = [(label, _EMOTION_OF.get(re.sub(r"[^a-z]", "", label.lower()), "")) for label in labels]
    if unknown := [label for label, emotion in pairs if not emotion]:
        raise UsageError(
            f"{path}: no emotion is known by the label {unknown[0]!r} (its labels: {', '.join(labels)}); name it "
            f"{', '.join(_NAMES)} in its config.json, or give another checkpoint"
        )
    if lacking := [emotion for emotion in EMOTIONS if emotion not in dict(pairs).values()]:
        raise UsageError(
            f"{path}: none of its labels ({', '.join(labels)}) is {lacking[0]}; a judge tells "
            f"{', '.join(EMOTIONS)} apart: give another checkpoint"
        )
    return pairs


_CLASSIFIERS = {"sound": "audio classifier of emotions", "face": "image classifier of facial expressions"}
"""By the argument that takes it."""


class _Classifier:
    """A published classifier and the place of each of its labels.

    Raises:
        UsageError: as `published_emotions` and `find_weights`, or it is of the other stream.
    """

    def __init__(self, key: str, pretrained: str, revision: str | None, anchors: Anchors, setup: JudgeSetup) -> None:
        self.weights = find_weights(pretrained, revision, say=setup.say)
        self.settings = self.weights.settings("config.json")
        of_images = [str(one).endswith("ForImageClassification") for one in self.settings.get("architectures") or ()]
        if of_images and all(of_images) != (key == "face"):
            raise UsageError(
                f"{self.weights.path}: {self.settings['architectures'][0]} cannot be given as `{key}`, which takes an "
                f"{_CLASSIFIERS[key]}"
            )
        self.emotions = published_emotions(self.settings, self.weights.path)
        self._places = np.array([anchors[emotion] for _, emotion in self.emotions])

    def expected(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Valence and arousal expected under the posteriors, (rows, 2), of logits (rows, labels)."""
        shares = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
        shares /= shares.sum(axis=1, keepdims=True)
        return (shares @ self._places).astype(np.float32)


class LabelJudge(PublishedJudge):
    """Published classifiers of voices and faces, their posteriors turned into valence and arousal by anchors.

    A row is what the label posteriors of the 3 seconds of sound around it, and of two frames of its half second, expect
    of valence and arousal; where both are shown, the mean of the two.
    """

    Arguments = LabelJudgeArguments
    name = "labels"

    def __init__(self, arguments: LabelJudgeArguments, setup: JudgeSetup) -> None:
        if arguments.face is None and arguments.face_revision is not None:
            raise UsageError("judge labels: `face_revision` is of a face model, and no `face=` was given; add it")
        self._arguments = arguments
        self._anchors = parse_anchors(arguments.anchors)
        self._device = arguments.device or setup.device
        self._sound = _Classifier("sound", arguments.sound, arguments.sound_revision, self._anchors, setup)
        self._face: _Classifier | None = None
        if arguments.face is not None:
            self._face = _Classifier("face", arguments.face, arguments.face_revision, self._anchors, setup)
            self.modalities = frozenset({"audio", "video"})
        self._hear, self._see = made_once(self._load_sound), made_once(self._load_face)

    def identity(self) -> Mapping[str, str]:
        seen = {"face": self._face.weights.content, "crop": self._arguments.crop} if self._face else {}
        return {
            "judge": self.name,
            "version": "1",
            "sound": self._sound.weights.content,
            **seen,
            "anchors": json.dumps({emotion: self._anchors[emotion] for emotion in sorted(self._used())}),
            "transformers": version("transformers"),
        }

    def trajectory(self, streams: Recording, view: Modality) -> Trajectory:
        count = count_steps(streams.duration_s, RATE_HZ)
        if count == 0:
            return self._followed(np.zeros((0, len(_COLUMNS))), _COLUMNS)
        rows: list[Floats] = []
        if view != "video":
            rows.append(by_half_second(recording_sound(streams, self.name), count, self._hear()))
        if view != "audio" and self._face is not None:
            see, normalization = self._see()
            frames = face_frames(streams, self.name, IMAGE_FPS, normalization.side, self._arguments.crop)
            batches = (frames[at : at + _IMAGE_BATCH] for at in range(0, len(frames), _IMAGE_BATCH))
            rows.append(row_means(np.concatenate([see(batch) for batch in batches]), IMAGE_FPS, count).astype(float))
        if not rows:
            raise RecognitionError(f"judge {self.name}: a face is shown to it alone, and no `face=` was given")
        return self._followed(np.mean(rows, axis=0), _COLUMNS)

    def _used(self) -> set[str]:
        pairs = [*self._sound.emotions, *(self._face.emotions if self._face else ())]
        return {emotion for _, emotion in pairs}

    def _checkpoints(self) -> Sequence[CheckpointFacts]:
        weights = [self._sound.weights, *([self._face.weights] if self._face else [])]
        return [checkpoint_facts(one) for one in weights]

    def _notes(self) -> Sequence[str]:
        used = self._used()
        places = [
            f"{name} {valence:g}/{arousal:g}" for name, (valence, arousal) in self._anchors.items() if name in used
        ]
        read = [f"labels of the voice: {_mapping_text(self._sound.emotions)}"]
        read += [f"labels of the face: {_mapping_text(self._face.emotions)}"] if self._face else []
        return [*read, f"anchors, not ratings (valence/arousal): {', '.join(places)}"]

    def _load_sound(self) -> Callable[[list[Samples]], NDArray[np.float32]]:
        import torch

        classifier = self._sound
        processor = published_processor(classifier.weights)
        model = load_model(
            import_transformers().AutoModelForAudioClassification,
            classifier.weights,
            "float32",
            self._device,
            may_lack=(f"{classifier.settings.get('model_type')}.masked_spec_embed",),
        )

        def hear(spans: list[Samples]) -> NDArray[np.float32]:
            inputs = processor(spans, sampling_rate=RATE, return_tensors="pt").to(model.device)
            with torch.inference_mode():
                return classifier.expected(model(**inputs).logits.cpu().numpy())

        return hear

    def _load_face(self) -> tuple[Callable[[Pixels], NDArray[np.float32]], ImageNormalization]:
        import torch

        classifier = self._face
        assert classifier is not None  # it is only asked for where there is one
        normalization = image_normalization(classifier.weights)
        model = load_model(
            import_transformers().AutoModelForImageClassification, classifier.weights, "float32", self._device
        )

        def see(frames: Pixels) -> NDArray[np.float32]:
            pixels = torch.from_numpy(normalization.normalised(frames)).to(model.device)
            with torch.inference_mode():
                return classifier.expected(model(pixel_values=pixels).logits.cpu().numpy())

        return see, normalization


def _mapping_text(pairs: Sequence[tuple[str, str]]) -> str:
    """Labels as published, with the emotion that each is read as.

    >>> _mapping_text([("hap", "happy"), ("sad", "sad")])
    'hap = happy, sad'
    """
    return ", ".join(label if label == emotion else f"{printable(label)} = {emotion}" for label, emotion in pairs)
