"""Thinker of Qwen2.5-Omni: prefill with dialogue contexts kept, decode, rank labels."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from avemo_harness.models.decoding import Prefill, Step
from avemo_harness.models.kv_cache import growing_cache
from avemo_harness.models.qwen_encoder import ClipEncoder
from avemo_harness.models.qwen_prompt import Piece, Prompt

if TYPE_CHECKING:
    from torch import Tensor


VOCABULARY_AT_ONCE = 2**14
"""Tokens whose scores are computed at once in float32."""


@dataclass(frozen=True, slots=True)
class TalkerInput:
    """States of tokens that a thinker read, for a talker.

    Args:
        states: the sum of last hidden state and embedding, media left out of the latter, [n, hidden].
        positions: [3, n].
    """

    states: Tensor
    positions: Tensor

    def then(self, more: TalkerInput) -> TalkerInput:
        """This and what follows it."""
        import torch

        return TalkerInput(torch.cat([self.states, more.states]), torch.cat([self.positions, more.positions], dim=1))


@dataclass(frozen=True, slots=True)
class Context:
    """KV cache of a dialogue up to its last clip.

    Args:
        keys, values: of each layer, [heads, n, width].
        talker_input: None for a model that does not speak.
        next_prompt_position: mRoPE position of the next token, if the prompt goes on.
        next_position: mRoPE position of the next token, if the answer begins: one more than every position so far.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    talker_input: TalkerInput | None
    next_prompt_position: int
    next_position: int

    @property
    def length(self) -> int:
        return int(self.keys[0].shape[1])

    @property
    def nbytes(self) -> int:
        held = [*self.keys, *self.values, *([] if self.talker_input is None else [self.talker_input.states])]
        return sum(tensor.nbytes for tensor in held)


@dataclass(frozen=True, slots=True)
class PrefillState(Prefill):
    """Prompts after their prefill as one batch.

    Args:
        next_prompt_positions, talker_inputs: of each row as in `Context`, from its first token on.
    """

    next_prompt_positions: list[int]
    talker_inputs: list[TalkerInput] | None


class Thinker:
    """Prefills prompts and decodes answers.

    Args:
        model: a `Qwen2_5OmniThinkerForConditionalGeneration`.
        encoder: encodes the clips of prompts.
        speaking: keep what a talker needs.
        context_bytes: room for contexts; 0 reads every prompt from its beginning.

    Attributes:
        tokens_read: tokens of prompts that went through the language model.
    """

    suppressed = ()

    def __init__(self, model: Any, tokenizer: Any, encoder: ClipEncoder, *, speaking: bool, context_bytes: int) -> None:
        self.model, self.tokenizer, self.encoder = model, tokenizer, encoder
        self.ends: tuple[int, ...] = (tokenizer.convert_tokens_to_ids("<|im_end|>"),)
        self.speaking, self.context_bytes = speaking, context_bytes
        self.tokens_read = 0
        self._contexts: OrderedDict[str, Context] = OrderedDict()
        self._side_by_side = 0
        self._in_float32 = False
        self._embed = model.get_input_embeddings()

    @property
    def device(self) -> Any:
        return self._embed.weight.device

    @property
    def room(self) -> int:
        """Tokens that the model reads and writes at most."""
        return int(self.model.config.text_config.max_position_embeddings)

    @property
    def contexts_kept(self) -> int:
        return len(self._contexts)

    def forget(self) -> None:
        """Give back the memory of contexts and encoded clips."""
        self._contexts.clear()
        self.encoder.forget()

    def prefill(self, prompts: Sequence[Prompt]) -> PrefillState:
        """Read prompts to their ends; their shared contexts are not read again."""
        if not self.context_bytes:
            return self._feed([None] * len(prompts), [prompt.pieces for prompt in prompts])
        self._read_shared(prompts)
        contexts = [self._contexts.get(_key(prompt)) for prompt in prompts]
        return self._feed(
            contexts,
            [
                prompt.pieces[prompt.shared if context else 0 :]
                for prompt, context in zip(prompts, contexts, strict=True)
            ],
        )

    def embed(self, ids: Tensor) -> Tensor:
        """Embeddings of tokens, [..., hidden]."""
        return self._embed(ids.to(self.device))

    def step(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> Step:
        """As in `Network`. All three axes of an answer's mRoPE positions are equal."""
        embedded = self.embed(ids)
        hidden = self._forward(embedded, positions.expand(3, -1, -1), mask, cache)
        return Step(self._scores(hidden), cache, hidden + embedded if self.speaking else None)

    def repeat_cache(self, cache: Any, count: int) -> Any:
        """As in `Network`."""
        cache.batch_repeat_interleave(count)
        return cache

    @contextmanager
    def float32_scores(self) -> Iterator[None]:
        """Compute the scores of the block in float32, whatever the model's dtype: bfloat16 leaves them 8 bits."""
        before, self._in_float32 = self._in_float32, True
        try:
            yield
        finally:
            self._in_float32 = before

    def _scores(self, hidden: Tensor) -> Tensor:
        """Scores of the next token, float32 [..., vocabulary]."""
        import torch
        from torch.nn.functional import linear

        head = self.model.lm_head
        if not self._in_float32 or head.weight.dtype == torch.float32:
            return head(hidden).float().to(self.device)
        # A part of the vocabulary at a time: the whole head in float32 would take 2 GiB of the 7B model's memory.
        state = hidden.to(head.weight.device).float()
        parts = [linear(state, part.float()) for part in head.weight.split(VOCABULARY_AT_ONCE)]
        return torch.cat(parts, dim=-1).to(self.device)

    def _read_shared(self, prompts: Sequence[Prompt]) -> None:
        """Keep a context for the shared beginning of each prompt, going on from the longest one known.

        It is read clip by clip, also where several are new, so that a dialogue that another worker began, or that was
        forgotten, gives the same context to the last bit.
        """
        wanted = {_key(prompt): prompt for prompt in prompts if prompt.shared}
        while behind := [(p, start) for p in wanted.values() if (start := self._known(p)) < p.shared]:
            ends = [prompt.next_clip(start) for prompt, start in behind]
            prefill = self._feed(
                [self._contexts.get(prompt.prefixes[start - 1]) if start else None for prompt, start in behind],
                [prompt.pieces[start:end] for (prompt, start), end in zip(behind, ends, strict=True)],
            )
            for row, ((prompt, _), end) in enumerate(zip(behind, ends, strict=True)):
                self._contexts[prompt.prefixes[end - 1]] = _context(prefill, row)
            # The dialogue has gone on: nothing will be asked of the earlier turn any more.
            for prompt, start in behind:
                if start and prompt.prefixes[start - 1] not in wanted:
                    self._contexts.pop(prompt.prefixes[start - 1], None)
        for key in wanted:
            self._contexts.move_to_end(key)
        # Dialogues are asked side by side; what is older than two such rounds is over.
        self._side_by_side = max(self._side_by_side, len(wanted))
        while len(self._contexts) > 2 * self._side_by_side or self._held() > self.context_bytes:
            self._contexts.popitem(last=False)

    def _held(self) -> int:
        return sum(context.nbytes for context in self._contexts.values())

    def prepare(self, prompt: Prompt) -> None:
        """Make ready what the encoders will need of a prompt, from another thread; what fails is left to `prefill`."""
        for piece in prompt.pieces[self._known(prompt) if self.context_bytes else 0 :]:
            self.encoder.prepare(piece)

    def _known(self, prompt: Prompt) -> int:
        """Number of pieces at the prompt's beginning that a context holds."""
        return next((n for n in range(prompt.shared, 0, -1) if prompt.prefixes[n - 1] in self._contexts), 0)

    def _feed(self, contexts: Sequence[Context | None], pieces: Sequence[Sequence[Piece]]) -> PrefillState:
        """Read pieces after contexts, as one batch: contexts and pieces are each padded on the left."""
        import torch

        # Where features are kept, all rows' clips are encoded together; else a row at a time, for the memory.
        together = self.encoder.encode([piece for row in pieces for piece in row]) if self.encoder.remembers else None
        rows = [self._row(context, row, together) for context, row in zip(contexts, pieces, strict=True)]
        del together
        cache, before = self._assembled(contexts)
        longest = max(len(row.ids) for row in rows)
        width = rows[0].embedded.shape[-1]
        embedded = torch.zeros(len(rows), longest, width, dtype=rows[0].embedded.dtype, device=self.device)
        positions = torch.zeros(3, len(rows), longest, dtype=torch.long, device=self.device)
        mask = torch.zeros(len(rows), longest, dtype=torch.long, device=self.device)
        for i, row in enumerate(rows):
            embedded[i, longest - len(row.ids) :] = row.embedded
            positions[:, i, longest - len(row.ids) :] = torch.from_numpy(row.positions).to(self.device)
            mask[i, longest - len(row.ids) :] = 1
        mask = torch.cat([before, mask], dim=1)
        hidden = self._forward(embedded, positions, mask, cache)
        self.tokens_read += sum(len(row.ids) for row in rows)
        talker_inputs = None
        if self.speaking:
            begins = [longest - len(row.ids) for row in rows]
            new = [TalkerInput(hidden[i, n:] + rows[i].audible, positions[:, i, n:]) for i, n in enumerate(begins)]
            talker_inputs = [
                context.talker_input.then(one) if context and context.talker_input else one
                for context, one in zip(contexts, new, strict=True)
            ]
        next_positions = [
            max(int(row.positions.max()) + 1, context.next_position if context else 0)
            for row, context in zip(rows, contexts, strict=True)
        ]
        return PrefillState(
            scores=self._scores(hidden[:, -1]),
            mask=mask,
            next_position=torch.tensor(next_positions, device=self.device),
            cache=cache,
            next_prompt_positions=[int(row.positions[0, -1]) + 1 for row in rows],
            talker_inputs=talker_inputs,
        )

    def _forward(self, embedded: Tensor, positions: Tensor, mask: Tensor, cache: Any) -> Tensor:
        """One pass of the language model; the cache grows. Returns the last hidden states, [B, n, hidden]."""
        network = self.model.get_decoder()
        hidden = network(
            inputs_embeds=embedded, position_ids=positions, attention_mask=mask, **with_cache(network, cache)
        ).last_hidden_state
        return hidden.to(self.device)

    def _assembled(self, contexts: Sequence[Context | None]) -> tuple[Any, Tensor]:
        """A cache that holds every row's context, padded on the left, and the mask of its columns."""
        import torch
        from torch.nn.functional import pad

        longest = max((context.length for context in contexts if context), default=0)
        mask = torch.zeros(len(contexts), longest, dtype=torch.long, device=self.device)
        cache = growing_cache()
        if longest:
            model = next(context for context in contexts if context)
            for i, context in enumerate(contexts):
                mask[i, longest - (context.length if context else 0) :] = 1
            for layer in range(len(model.keys)):
                like = model.keys[layer]
                empty = like.new_zeros(like.shape[0], 0, like.shape[2])
                keys, values = (
                    torch.stack([pad(row, (0, 0, longest - row.shape[1], 0)) for row in rows])
                    for rows in (
                        [context.keys[layer] if context else empty for context in contexts],
                        [context.values[layer] if context else empty for context in contexts],
                    )
                )
                cache.update(keys, values, layer)
        return cache, mask

    def _row(self, context: Context | None, pieces: Sequence[Piece], found: Mapping[str, Tensor] | None) -> _Row:
        """A row's embeddings and positions.

        Args:
            found: features of its clips; None to encode them now.
        """
        import torch

        found = self.encoder.encode(pieces) if found is None else found

        next_position = context.next_prompt_position if context else 0
        positions = []
        for piece in pieces:
            positions.append(piece.positions + next_position)
            next_position = int(positions[-1][0, -1]) + 1
        ids = np.concatenate([piece.ids for piece in pieces])
        embedded = self.embed(torch.from_numpy(ids))
        audible = embedded.clone() if self.speaking else embedded
        start = 0
        for piece in pieces:
            if piece.clip is not None:
                part = torch.from_numpy(piece.ids).to(self.device)
                for token, features in self.encoder.features(piece, found):
                    at = start + (part == token).nonzero().squeeze(1)
                    embedded[at] = features.to(embedded)
                    if self.speaking:
                        audible[at] = 0
            start += len(piece.ids)
        return _Row(ids, np.concatenate(positions, axis=1), embedded, audible)


@dataclass(frozen=True, slots=True)
class _Row:
    """One row before its prefill; `audible` are its embeddings without media, which the talker does not get."""

    ids: np.ndarray
    positions: np.ndarray
    embedded: Tensor
    audible: Tensor


def with_cache(network: Any, cache: Any) -> dict[str, Any]:
    """Keyword arguments by which a language model of transformers reads and extends a cache."""
    # The name since 5.24; the one before it is gone in 5.40.
    name = "cache" if "cache" in signature(type(network).forward).parameters else "past_key_values"
    return {name: cache, "use_cache": True}


def _key(prompt: Prompt) -> str:
    return prompt.prefixes[prompt.shared - 1] if prompt.shared else ""


def _context(prefill: PrefillState, row: int) -> Context:
    """The cache of one row, without padding."""
    columns = prefill.mask[row].nonzero().squeeze(1)
    layers = prefill.cache.layers
    return Context(
        keys=tuple(layer.keys[row][:, columns.to(layer.keys.device)] for layer in layers),
        values=tuple(layer.values[row][:, columns.to(layer.values.device)] for layer in layers),
        talker_input=None if prefill.talker_inputs is None else prefill.talker_inputs[row],
        next_prompt_position=prefill.next_prompt_positions[row],
        next_position=int(prefill.next_position[row]),
    )
