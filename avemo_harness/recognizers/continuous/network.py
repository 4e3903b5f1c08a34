"""The network: one bidirectional LSTM layer over the rows of a recording, a linear layer, a sigmoid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avemo_harness.metrics.trajectory import Dimension

if TYPE_CHECKING:
    import torch

HIDDEN = 256
DIMENSIONS: tuple[Dimension, ...] = ("valence", "arousal")


def make_network(width: int, hidden: int = HIDDEN, dropout: float = 0.0) -> torch.nn.Module:
    """A network for rows of `width` numbers, with fresh weights from torch's generator.

    It takes padded recordings, float32 (B, T, width), and their lengths, each at least 1, and gives valence and
    arousal, float32 (B, T, 2) in [0, 1]; what lies beyond a recording's length is not looked at.

    Args:
        hidden: width of each direction of the LSTM.
        dropout: share of inputs and of hidden values that are dropped in training.
    """
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    class TrajectoryNetwork(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dropout = torch.nn.Dropout(dropout)
            self.lstm = torch.nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
            self.linear = torch.nn.Linear(2 * hidden, len(DIMENSIONS))

        def forward(self, rows: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
            packed = pack_padded_sequence(
                self.dropout(rows), torch.tensor(lengths), batch_first=True, enforce_sorted=False
            )
            found, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=rows.shape[1])
            return torch.sigmoid(self.linear(self.dropout(found)))

    return TrajectoryNetwork()


def padded(rows: Sequence[NDArray[np.float32]]) -> torch.Tensor:
    """Rows of several recordings side by side, filled up with zeros: (B, longest, width)."""
    import torch

    return torch.nn.utils.rnn.pad_sequence(
        [torch.from_numpy(np.ascontiguousarray(one)) for one in rows], batch_first=True
    )


def concordance_loss(predicted: torch.Tensor, rated: torch.Tensor) -> torch.Tensor:
    """``1 - CCC``, mean over the columns, of all rows of a batch at once.

    Args:
        predicted, rated: (N, 2), rows of recordings without padding.
    """
    centred, target = predicted - predicted.mean(0), rated - rated.mean(0)
    covariance = (centred * target).mean(0)
    spread = (centred**2).mean(0) + (target**2).mean(0) + (predicted.mean(0) - rated.mean(0)) ** 2
    loss: torch.Tensor = (1 - 2 * covariance / spread.clamp_min(1e-8)).mean()
    return loss
