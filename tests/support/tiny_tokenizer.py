"""A byte-level tokenizer for tiny checkpoints: every text is tokenised, a few words are one token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

WORDS = ("user", "assistant", "happy", "angry")
"""One token each, so that labels of one and of several tokens occur ("neutral" and "sad" are spelt in bytes)."""


def build_tokenizer(specials: Sequence[str], **named: Any) -> Any:
    """A `PreTrainedTokenizerFast` over bytes, `WORDS` and special tokens.

    Args:
        specials: special tokens, in the order of their ids.
        named: further arguments of the tokenizer: ``eos_token``, ``pad_token``, ``extra_special_tokens``, …
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = []
    for word in WORDS:
        for end in range(1, len(word)):
            if word[: end + 1] not in vocabulary:
                vocabulary[word[: end + 1]] = len(vocabulary)
                merges.append((word[:end], word[end]))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(special, special=True, normalized=False) for special in specials])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, padding_side="left", **named)
