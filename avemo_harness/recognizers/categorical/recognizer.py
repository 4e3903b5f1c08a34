"""A trained recogniser: from a recording, or what is shown of it, to how probable each emotion is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from avemo_harness.recognizers.categorical.card import LabelCard
from avemo_harness.recognizers.categorical.examples import describe, shown_columns
from avemo_harness.recognizers.categorical.network import make_network
from avemo_harness.recognizers.categorical.training import Weights
from avemo_harness.recognizers.extractors.base import Features
from avemo_harness.recognizers.feature_set import FeatureSet
from avemo_harness.recognizers.logistic import Floats
from avemo_harness.recognizers.scaling import Scaling
from avemo_harness.recognizers.streams import Streams, View

if TYPE_CHECKING:
    import torch

FORMAT = "avemo-categorical-recognizer-1"
"""Names the layout of the files and the meaning of the network's input: raise the number when either changes."""


@dataclass(frozen=True, eq=False)
class CategoricalRecognizer:
    """Tells the emotion of a recording from its sound and face, or from either alone.

    Args:
        labels: the emotions, in the order of every array of labels.
        features: of which rows the networks are fed.
        scaling: of those rows.
        members: weights of networks whose probabilities are averaged.
        card: what it was trained on and how far it can be trusted.
        device: where the networks run.
    """

    labels: tuple[str, ...]
    features: FeatureSet
    scaling: Scaling
    members: tuple[Weights, ...]
    card: LabelCard
    device: str = field(default="cpu")

    def identity(self) -> Mapping[str, str]:
        """Its format, and digests of its weights and of what its features are made of."""
        digest = hashlib.sha256()
        for weights in (*self.members, self.scaling.tensors()):
            for name in sorted(weights):
                digest.update(name.encode() + np.ascontiguousarray(weights[name]).tobytes())
        extractors = [dict(extractor.identity()) for extractor in self.features.extractors]
        return {
            "format": FORMAT,
            "labels": " ".join(self.labels),
            "weights": digest.hexdigest(),
            "extractors": json.dumps(extractors, sort_keys=True),
        }

    @property
    def card_values(self) -> Mapping[str, Any]:
        """The card, JSON-ready, with its short text under ``lines``."""
        return {**self.card.to_json(), "lines": self.card.lines()}

    def log_probabilities(self, streams: Streams, view: View) -> Floats:
        """Natural logarithms of the probabilities of `labels`, float64 (n_labels,).

        Args:
            view: what of the recording is shown; one of `streams.views`.

        Raises:
            MediaError: the recording cannot be read.
        """
        found: Floats = self.judge([describe(streams, self.features)[view]], view)[0]
        return found

    def judge(self, rows: Sequence[Features], view: View) -> Floats:
        """Log probabilities, (n, n_labels), of recordings that were described under a view, each a row (1, width)."""
        import torch

        scaled = self.scaling.apply(np.concatenate(rows), shown_columns(self.features, view))
        with torch.inference_mode():
            given = torch.from_numpy(scaled).to(self.device)
            found = [network(given).log_softmax(1).cpu().numpy().astype(np.float64) for network in self._networks]
        mean: Floats = np.logaddexp.reduce(found, axis=0) - np.log(len(found))
        return mean

    @cached_property
    def _networks(self) -> list[torch.nn.Module]:
        import torch

        networks = []
        for weights in self.members:
            (hidden, width), labels = weights["1.weight"].shape, len(self.labels)
            network = make_network(width, labels, hidden)
            network.load_state_dict({name: torch.from_numpy(np.array(values)) for name, values in weights.items()})
            networks.append(network.to(self.device).eval())
        return networks
