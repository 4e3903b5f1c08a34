"""The network of the MSP-Podcast baseline: WavLM, attentive statistics pooling, layers of ReLU, linear outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avemo_harness.torch_setup import import_transformers

_WAVLM_LARGE: Mapping[str, Any] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": False,
    "conv_dim": [512] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
    "num_buckets": 320,
    "max_bucket_distance": 800,
}
"""The encoder that its config names by id alone (microsoft/wavlm-large)."""
_LEAST_VARIANCE = 1e-5


def baseline_class(settings: Mapping[str, Any]) -> Any:
    """The class of the network, whose layers are named as published.

    An instance takes waveforms, (B, samples), and gives its outputs, (B, outputs). Pooling is that of Okabe, Koshinaka
    and Shinoda 2018, "Attentive statistics pooling for deep speaker embedding".

    `published_config` of the class is that of its encoder.

    Args:
        settings: its ``config.json``; whatever that leaves open of the encoder is as in WavLM-large.
    """
    import torch

    transformers = import_transformers()
    shape = {name: settings.get(name, usual) for name, usual in _WAVLM_LARGE.items()}
    width = shape["hidden_size"]
    config = transformers.WavLMConfig(**shape, intermediate_size=settings.get("intermediate_size", 4 * width))
    base: Any = transformers.WavLMPreTrainedModel

    class Pooling(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sap_linear = torch.nn.Linear(width, width)
            self.attention = torch.nn.Parameter(torch.zeros(width, 1))

        def forward(self, states: torch.Tensor) -> torch.Tensor:
            shares = torch.softmax(torch.tanh(self.sap_linear(states)) @ self.attention, dim=1)
            mean = (shares * states).sum(dim=1)
            variance = (shares * states**2).sum(dim=1) - mean**2
            return torch.cat([mean, variance.clamp_min(_LEAST_VARIANCE).sqrt()], dim=1)

    class Head(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            inputs = [2 * width, *[width] * (settings.get("classifier_hidden_layers", 1) - 1)]
            # Dropout stood behind each ReLU in training; it has no weights.
            self.fc = torch.nn.ModuleList(
                torch.nn.Sequential(torch.nn.Linear(size, width), torch.nn.LayerNorm(width), torch.nn.ReLU())
                for size in inputs
            )
            self.out = torch.nn.Sequential(torch.nn.Linear(width, len(settings["id2label"])))

        def forward(self, pooled: torch.Tensor) -> Any:
            for layer in self.fc:
                pooled = layer(pooled)
            return self.out(pooled)

    class SpeechBaseline(base):  # type: ignore[misc]  # (the base is only known when transformers is imported)
        base_model_prefix = "ssl_model"
        published_config = config

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.ssl_model = transformers.WavLMModel(config)
            self.pool_model = Pooling()
            self.ser_model = Head()
            self.post_init()

        @classmethod
        def from_pretrained(cls, *names: Any, **options: Any) -> Any:
            # Its own config is of a model type that transformers does not know.
            return super().from_pretrained(*names, config=cls.published_config, **options)

        def forward(self, values: torch.Tensor) -> Any:
            return self.ser_model(self.pool_model(self.ssl_model(values).last_hidden_state))

    return SpeechBaseline
