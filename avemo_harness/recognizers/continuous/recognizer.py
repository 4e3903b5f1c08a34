"""A trained recogniser: from a recording to its trajectory of valence and arousal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.profiles import Calibration
from avemo_harness.metrics.trajectory import Dimension, Trajectory, count_steps
from avemo_harness.recognizers.continuous.card import JudgeCard
from avemo_harness.recognizers.continuous.network import DIMENSIONS, make_network
from avemo_harness.recognizers.extractors.base import RATE_HZ, Features
from avemo_harness.recognizers.feature_set import FeatureSet
from avemo_harness.recognizers.scaling import Scaling
from avemo_harness.recognizers.streams import MODALITIES, Modality, Streams, View

if TYPE_CHECKING:
    import torch

FORMAT = "avemo-continuous-recognizer-1"
"""Names the layout of the files and the meaning of the network's input: raise the number when either changes."""

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class ContinuousRecognizer:
    """Follows valence and arousal on the unit scale, two values a second.

    Args:
        features: of which rows the network is fed.
        scaling: of those rows.
        weights: of the network, by name.
        calibration: its thresholds; None where the card says why it has none.
        card: what it was trained on and how far it can be trusted.
        device: where the network runs.
    """

    features: FeatureSet
    scaling: Scaling
    weights: Weights
    calibration: Calibration | None
    card: JudgeCard
    device: str = field(default="cpu")

    def identity(self) -> Mapping[str, str]:
        """Its format, and digests of its weights and of what its features are made of."""
        digest = hashlib.sha256()
        for name in sorted(self.weights):
            digest.update(name.encode() + np.ascontiguousarray(self.weights[name]).tobytes())
        digest.update(self.scaling.mean.tobytes() + self.scaling.deviation.tobytes())
        extractors = [dict(extractor.identity()) for extractor in self.features.extractors]
        return {
            "format": FORMAT,
            "weights": digest.hexdigest(),
            "extractors": json.dumps(extractors, sort_keys=True),
            "calibration": repr(self.calibration),
        }

    @property
    def modalities(self) -> frozenset[Modality]:
        """The streams that its features are made of."""
        used = {extractor.modality for extractor in self.features.extractors}
        return frozenset(one for one in MODALITIES if used & {one, "both"})

    @property
    def errors(self) -> Mapping[Dimension, float]:
        """Root mean squared error for sound and face together, by dimension, on the unit scale; empty if unknown."""
        known = {name: self.card.find("both", name) for name in DIMENSIONS}
        return {name: one.rmse for name, one in known.items() if one is not None and one.rmse is not None}

    @property
    def card_values(self) -> Mapping[str, Any]:
        """The card, JSON-ready, with its short text under ``lines``."""
        return {**self.card.to_json(), "lines": self.card.lines()}

    def trajectory(self, streams: Streams, view: View) -> Trajectory:
        """Follow a recording.

        Args:
            view: what of it is shown.

        Raises:
            MediaError: the recording cannot be read.
        """
        count = count_steps(streams.duration_s, RATE_HZ)
        if count == 0:
            return Trajectory(np.zeros((0, len(DIMENSIONS))), DIMENSIONS, "unit", RATE_HZ)
        return self.follow(self.features.rows(streams, count, view), view)

    def follow(self, rows: Features, view: View) -> Trajectory:
        """The trajectory of rows that were extracted under a view, one value a row."""
        import torch

        scaled = self.scaling.apply(rows, self.features.shown(view))
        with torch.inference_mode():
            values = self._network(torch.from_numpy(scaled)[None].to(self.device), [len(rows)])
        return Trajectory(values[0].cpu().numpy().astype(np.float64), DIMENSIONS, "unit", RATE_HZ)

    @cached_property
    def _network(self) -> torch.nn.Module:
        import torch

        network = make_network(self.features.width, self.weights["linear.weight"].shape[1] // 2)
        network.load_state_dict({name: torch.from_numpy(np.array(values)) for name, values in self.weights.items()})
        return network.to(self.device).eval()
