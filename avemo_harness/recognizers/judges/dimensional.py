"""Judges whose network itself gives arousal, dominance and valence of a voice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import UsageError
from avemo_harness.metrics.trajectory import Dimension, Trajectory, count_steps
from avemo_harness.recognizers.features.base import RATE_HZ
from avemo_harness.recognizers.features.speech import (
    RATE,
    SPEECH_FAMILIES,
    Samples,
    normalised_sounds,
    published_processor,
    recording_sound,
    regression_class,
)
from avemo_harness.recognizers.judges.published import (
    AUDEERING,
    MSP_PODCAST_BASELINE,
    CheckpointFacts,
    PublishedJudge,
    by_half_second,
    checkpoint_facts,
    made_once,
)
from avemo_harness.recognizers.judges.wavlm_baseline import baseline_class
from avemo_harness.recognizers.judging import JudgeSetup
from avemo_harness.recognizers.recordings import Modality, Recording
from avemo_harness.torch_setup import find_weights, import_transformers, load_model

Predict = Callable[[list[Samples]], NDArray[np.float32]]
"""Gives all outputs of a network for spans of one length, (spans, outputs)."""

_NAMES: Mapping[str, Dimension] = {
    "valence": "valence",
    "pleasure": "valence",
    "arousal": "arousal",
    "activation": "arousal",
    "dominance": "dominance",
}
"""Dimensions by the names that checkpoints give them."""


@dataclass(frozen=True, slots=True)
class DimensionalArguments:
    """
    Args:
        pretrained: Hub id or folder of wav2vec 2.0, WavLM or HuBERT with a regression head of valence and arousal.
        revision: branch, tag or commit of a Hub id.
        device: where it runs; None takes the run's, else the GPU of this process, else the CPU.
    """

    pretrained: str = AUDEERING
    revision: str | None = None
    device: str | None = None


@dataclass(frozen=True, slots=True)
class BaselineArguments:
    """
    Args:
        pretrained: Hub id or folder of the baseline.
        revision: branch, tag or commit of a Hub id.
        device: where it runs; None takes the run's, else the GPU of this process, else the CPU.
    """

    pretrained: str = MSP_PODCAST_BASELINE
    revision: str | None = None
    device: str | None = None


def published_dimensions(settings: Mapping[str, Any], path: str) -> dict[Dimension, int]:
    """Positions of the dimensions among the outputs of a network, by the ``id2label`` of its config.

    Args:
        path: of the checkpoint, for the message.

    Raises:
        UsageError: it does not say which output is valence and which arousal.

    >>> published_dimensions({"id2label": {"0": "arousal", "1": "dominance", "2": "valence"}}, "")
    {'arousal': 0, 'dominance': 1, 'valence': 2}
    """
    labels = settings.get("id2label")
    labels = labels if isinstance(labels, Mapping) else {}
    named = [(_NAMES.get(str(label).strip().lower()), str(number)) for number, label in labels.items()]
    found = {name: int(number) for name, number in named if name is not None and number.isdecimal()}
    known = [name for name, _ in named if name is not None]
    numbers_fit = sorted(map(str, labels)) == sorted(map(str, range(len(labels))))
    if not {"valence", "arousal"} <= set(found) or len(known) != len(set(known)) or not numbers_fit:
        stated = ", ".join(f"{number}: {label}" for number, label in labels.items()) or "nothing"
        raise UsageError(
            f"{path}: its config.json does not say which output is valence and which is arousal (id2label: {stated}); "
            "name them there, or give another `pretrained`"
        )
    return found


class _DimensionalJudge(PublishedJudge):
    """Outputs of one network for the 3 seconds around each half second, put in order by name."""

    def __init__(self, arguments: DimensionalArguments | BaselineArguments, setup: JudgeSetup) -> None:
        self._weights = find_weights(arguments.pretrained, arguments.revision, say=setup.say)
        self._settings = self._weights.settings("config.json")
        self._dimensions = published_dimensions(self._settings, self._weights.path)
        self._device = arguments.device or setup.device
        self._predict = made_once(self._load)

    def identity(self) -> Mapping[str, str]:
        return {
            "judge": self.name,
            "version": "1",
            "weights": self._weights.content,
            "transformers": version("transformers"),
        }

    def trajectory(self, streams: Recording, view: Modality) -> Trajectory:
        del view
        columns = tuple(self._dimensions)
        count = count_steps(streams.duration_s, RATE_HZ)
        if count == 0:
            return self._followed(np.zeros((0, len(columns))), columns)
        outputs = by_half_second(recording_sound(streams, self.name), count, self._predict())
        return self._followed(outputs[:, list(self._dimensions.values())], columns)

    def _checkpoints(self) -> Sequence[CheckpointFacts]:
        return [checkpoint_facts(self._weights)]

    def _notes(self) -> Sequence[str]:
        order = sorted(self._dimensions, key=self._dimensions.__getitem__)
        return [f"outputs in the order {', '.join(order)}"]

    def _load(self) -> Predict:
        raise NotImplementedError


class DimensionalSpeech(_DimensionalJudge):
    """Published wav2vec 2.0, WavLM or HuBERT with a regression head of arousal, dominance and valence; hears voices.

    Two layouts of the head are read: a dense layer, tanh and a linear layer on the mean state, as audEERING published
    it ("Dawn of the transformer era in speech emotion recognition", arXiv 2203.07378), and the one of transformers'
    own classes for sequences. The order of the outputs is that of ``id2label``.
    """

    Arguments = DimensionalArguments
    name = "wav2vec2-dim"

    def __init__(self, arguments: DimensionalArguments, setup: JudgeSetup) -> None:
        super().__init__(arguments, setup)
        if self._settings.get("model_type") not in SPEECH_FAMILIES:
            raise UsageError(
                f"{self._weights.path}: not wav2vec 2.0, WavLM or HuBERT; give another `pretrained`, or the judge "
                "msp-podcast where it is that baseline"
            )

    def _load(self) -> Predict:
        import torch

        kind, outputs = self._settings["model_type"], len(self._settings["id2label"])
        native = any(
            str(one).endswith("ForSequenceClassification") for one in self._settings.get("architectures") or ()
        )
        model_class = (
            import_transformers().AutoModelForAudioClassification if native else regression_class(kind, outputs)
        )
        processor = published_processor(self._weights)
        model = load_model(model_class, self._weights, "float32", self._device, may_lack=(f"{kind}.masked_spec_embed",))

        def predict(spans: list[Samples]) -> NDArray[np.float32]:
            values = torch.from_numpy(np.stack(normalised_sounds(processor, spans))).to(model.device)
            with torch.inference_mode():
                found = model(values)
                rows: NDArray[np.float32] = (found.logits if native else found[:, -outputs:]).cpu().numpy()
            return rows

        return predict


class MspPodcastBaseline(_DimensionalJudge):
    """The MSP-Podcast baseline of the Odyssey 2024 challenge, a WavLM of arousal, dominance and valence; hears voices.

    Its published layers are read into `baseline_class`, and its waveform is normalised by its own mean and deviation:
    none of the code in its repository is run.
    """

    Arguments = BaselineArguments
    name = "msp-podcast"

    def __init__(self, arguments: BaselineArguments, setup: JudgeSetup) -> None:
        super().__init__(arguments, setup)
        sizes = [self._settings.get(name) for name in ("mean", "std", "hidden_size")]
        if self._settings.get("model_type") != "ser" or not all(isinstance(one, int | float) for one in sizes):
            raise UsageError(
                f"{self._weights.path}: not the MSP-Podcast baseline (its config.json lacks the model type `ser`, or "
                "numbers for mean, std and hidden_size); give another `pretrained`"
            )
        if self._settings.get("sampling_rate", RATE) != RATE:
            raise UsageError(
                f"{self._weights.path}: it hears {self._settings['sampling_rate']} Hz, not {RATE}; give another "
                "`pretrained`"
            )

    def _load(self) -> Predict:
        import torch

        mean, deviation = float(self._settings["mean"]), float(self._settings["std"])
        model = load_model(
            baseline_class(self._settings),
            self._weights,
            "float32",
            self._device,
            may_lack=("ssl_model.masked_spec_embed",),
        )

        def predict(spans: list[Samples]) -> NDArray[np.float32]:
            values = torch.from_numpy((np.stack(spans) - mean) / (deviation + _LEAST_DEVIATION)).float()
            with torch.inference_mode():
                rows: NDArray[np.float32] = model(values.to(model.device)).cpu().numpy()
            return rows

        return predict


_LEAST_DEVIATION = 1e-6
"""Added to the deviation of the waveform, as its model card does."""
