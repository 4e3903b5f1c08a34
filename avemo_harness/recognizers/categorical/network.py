"""The network: a recording's row with what is hidden at 0, one hidden layer, a score for each label."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

HIDDEN = 128


def make_network(width: int, labels: int, hidden: int = HIDDEN, dropout: float = 0.0) -> torch.nn.Module:
    """A network with fresh weights from torch's generator: (width + 1) * hidden + (hidden + 1) * labels of them.

    With the built-in features of sound and face that is 270,468.

    It takes standardised rows (B, width), the columns of what is not shown being 0, and gives unnormalised log
    probabilities (B, labels). As hidden columns are 0, its first layer is the sum of one layer for each stream.

    Args:
        dropout: share of inputs and of hidden values that are dropped in training.

    >>> sum(weights.numel() for weights in make_network(width=10, labels=4, hidden=8).parameters())
    124
    """
    from torch import nn

    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(width, hidden),
        nn.Tanh(),
        nn.Dropout(dropout),
        nn.Linear(hidden, labels),
    )
