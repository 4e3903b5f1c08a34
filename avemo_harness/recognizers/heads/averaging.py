"""Several trajectory networks as one, whose logits are the mean of theirs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avemo_harness.recognizers.heads.training import Weights

_GATES = 4


def averaged_network(members: Sequence[Weights]) -> Weights:
    """Weights of one network of `make_network` (trajectory head) that gives the sigmoid of the members' mean logit.

    Its hidden values are those of all members side by side, so it is as wide as they are together.

    Args:
        members: weights of networks for rows of one width, at least one.
    """
    found: dict[str, NDArray[np.float32]] = {}
    for direction in ("l0", "l0_reverse"):
        found[f"lstm.weight_ih_{direction}"] = _by_gates([one[f"lstm.weight_ih_{direction}"] for one in members])
        found[f"lstm.weight_hh_{direction}"] = _block_diagonal([one[f"lstm.weight_hh_{direction}"] for one in members])
        for bias in ("bias_ih", "bias_hh"):
            found[f"lstm.{bias}_{direction}"] = _by_gates([one[f"lstm.{bias}_{direction}"] for one in members])
    # A member's columns are those of the first direction, then those of the second; so must be those of the whole.
    halves = [np.split(one["linear.weight"], 2, axis=1) for one in members]
    both = [half[direction] for direction in (0, 1) for half in halves]
    found["linear.weight"] = (np.concatenate(both, axis=1) / len(members)).astype(np.float32)
    found["linear.bias"] = np.mean([one["linear.bias"] for one in members], axis=0).astype(np.float32)
    return found


def _by_gates(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Rows of a gate, (4 hidden, …), of all members beside each other, gate by gate."""
    gates = [np.split(part, _GATES) for part in parts]
    return np.concatenate([of_member[gate] for gate in range(_GATES) for of_member in gates])


def _block_diagonal(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """As `_by_gates`, of (4 hidden, hidden): a member's hidden values reach its own gates alone."""
    ends = np.cumsum([part.shape[1] for part in parts])
    widened = []
    for part, end in zip(parts, ends, strict=True):
        whole = np.zeros((len(part), int(ends[-1])), dtype=np.float32)
        whole[:, end - part.shape[1] : end] = part
        widened.append(whole)
    return _by_gates(widened)
