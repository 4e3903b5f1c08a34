"""Stands in for flash_attn by torch's scaled dot product attention: the same function, as exact and less fast.

The functions have the names, shapes and conventions of flash-attention 2 (github.com/Dao-AILab/flash-attention); what
is not needed for inference is refused, not ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

_DEFAULTS = {"window_size": (-1, -1), "softcap": 0.0, "return_attn_probs": False}


def flash_attn_func(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    dropout_p: float = 0.0,
    softmax_scale: float | None = None,
    causal: bool = False,
    **more: Any,
) -> Tensor:
    """Attention of queries (batch, n_q, heads, size) to keys and values (batch, n_k, heads or a divisor, size).

    With `causal`, the last query sees all keys, each earlier one a key less.

    Raises:
        NotImplementedError: dropout or another feature is asked for.
    """
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    _refuse(dropout_p, more)
    groups = q.shape[2] // k.shape[2]
    if groups > 1:
        k, v = k.repeat_interleave(groups, dim=2), v.repeat_interleave(groups, dim=2)
    n_q, n_k = q.shape[1], k.shape[1]
    seen = None
    if causal:
        seen = torch.ones(n_q, n_k, dtype=torch.bool, device=q.device).tril(n_k - n_q)
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    attended = scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=softmax_scale).transpose(1, 2)
    if causal and n_q > n_k:
        # A query before the first key sees none, and gets zeros.
        attended = torch.cat((torch.zeros_like(attended[:, : n_q - n_k]), attended[:, n_q - n_k :]), dim=1)
    return attended


def flash_attn_varlen_func(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    dropout_p: float = 0.0,
    softmax_scale: float | None = None,
    causal: bool = False,
    **more: Any,
) -> Tensor:
    """Attention within each of several sequences that stand one after the other: (total, heads, size).

    Args:
        cu_seqlens_q, cu_seqlens_k: where each sequence begins and the last one ends, (sequences + 1,).
        max_seqlen_q, max_seqlen_k: not needed here.

    Raises:
        NotImplementedError: dropout or another feature is asked for.
    """
    import torch

    del max_seqlen_q, max_seqlen_k
    _refuse(dropout_p, more)
    out = torch.zeros(*q.shape[:-1], v.shape[-1], dtype=q.dtype, device=q.device)
    of_q, of_k = cu_seqlens_q.tolist(), cu_seqlens_k.tolist()
    for i in range(len(of_q) - 1):
        rows, keys = slice(of_q[i], of_q[i + 1]), slice(of_k[i], of_k[i + 1])
        if rows.stop > rows.start and keys.stop > keys.start:
            one = (q[None, rows], k[None, keys], v[None, keys])
            out[rows] = flash_attn_func(*one, softmax_scale=softmax_scale, causal=causal)[0]
    return out


def _refuse(dropout_p: float, more: dict[str, Any]) -> None:
    """Refuse what would change the outcome; arguments at their published defaults change nothing."""
    odd = [name for name, value in more.items() if not _is_default(name, value)]
    if dropout_p or odd:
        raise NotImplementedError(
            f"the stand-in for flash_attn has no {', '.join(odd) or 'dropout'}; install flash-attn in the environment"
        )


def _is_default(name: str, value: object) -> bool:
    if name == "deterministic":
        return True
    default = _DEFAULTS.get(name)
    return value is None or (type(value) is type(default) and value == default)
