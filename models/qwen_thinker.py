"""Thinker of Qwen2.5-Omni: prefill with dialogue contexts kept, decode, rank labels."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from avemo_harness.models.decoding import Chooser, Sampling
from avemo_harness.models.qwen_prompt import ClipEncoder, Piece, Prompt

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class TalkerInput:
    """What a talker gets of the tokens that a thinker read.

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
    """A conversation as far as it was read.

    Args:
        keys, values: of each layer, [heads, n, width].
        told: None for a model that does not speak.
        following: the position of the next token of the prompt.
        beyond: one more than every position so far; where the answer begins.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    told: TalkerInput | None
    following: int
    beyond: int

    @property
    def length(self) -> int:
        return int(self.keys[0].shape[1])

    @property
    def nbytes(self) -> int:
        held = [*self.keys, *self.values, *([] if self.told is None else [self.told.states])]
        return sum(tensor.nbytes for tensor in held)


@dataclass
class PrefillState:
    """A batch of prompts that was read to the end, ready to be continued.

    Args:
        hidden: of the last token of each row, [B, hidden].
        mask: which columns of the cache hold a row's tokens, [B, columns].
        following, beyond, told: of each row as in `Context`, from its first token on.
    """

    hidden: Tensor
    cache: Any
    mask: Tensor
    following: list[int]
    beyond: list[int]
    told: list[TalkerInput] | None


class Thinker:
    """Reads and continues prompts.

    Args:
        model: a `Qwen2_5OmniThinkerForConditionalGeneration`.
        encoder: encodes the clips of prompts.
        end: the token that ends an answer.
        speaking: keep what a talker needs.
        context_bytes: room for contexts; 0 reads every prompt from its beginning.

    Attributes:
        tokens_read: tokens of prompts that went through the language model.
    """

    def __init__(self, model: Any, encoder: ClipEncoder, end: int, *, speaking: bool, context_bytes: int) -> None:
        self.model, self.encoder, self.end = model, encoder, end
        self.speaking, self.context_bytes = speaking, context_bytes
        self.tokens_read = 0
        self._contexts: OrderedDict[str, Context] = OrderedDict()
        self._side_by_side = 0
        self._embed = model.get_input_embeddings()

    @property
    def device(self) -> Any:
        return self._embed.weight.device

    @property
    def contexts_kept(self) -> int:
        return len(self._contexts)

    def forget(self) -> None:
        """Give back the memory of contexts and encoded clips."""
        self._contexts.clear()
        self.encoder.forget()

    def read(self, prompts: Sequence[Prompt]) -> PrefillState:
        """Read prompts to their ends; what was read of them before is not read again."""
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
        embedded: Tensor = self._embed(ids.to(self.device))
        return embedded

    def scores(self, hidden: Tensor) -> Tensor:
        """Scores of the next token, float32 [..., vocabulary]."""
        scores: Tensor = self.model.lm_head(hidden)
        return scores.float().to(self.device)

    def _read_shared(self, prompts: Sequence[Prompt]) -> None:
        """Keep a context for the shared beginning of each prompt, going on from the longest one known.

        It is read clip by clip, also where several are new, so that a dialogue that another worker began, or that was
        forgotten, gives the same context to the last bit.
        """
        wanted = {_key(prompt): prompt for prompt in prompts if prompt.shared}
        while behind := [(p, start) for p in wanted.values() if (start := self._known(p)) < p.shared]:
            ends = [prompt.next_clip(start) for prompt, start in behind]
            reading = self._feed(
                [self._contexts.get(prompt.prefixes[start - 1]) if start else None for prompt, start in behind],
                [prompt.pieces[start:end] for (prompt, start), end in zip(behind, ends, strict=True)],
            )
            for row, ((prompt, _), end) in enumerate(zip(behind, ends, strict=True)):
                self._contexts[prompt.prefixes[end - 1]] = _context(reading, row)
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

    def _known(self, prompt: Prompt) -> int:
        """Number of pieces at the prompt's beginning that a context holds."""
        return next((n for n in range(prompt.shared, 0, -1) if prompt.prefixes[n - 1] in self._contexts), 0)

    def _feed(self, contexts: Sequence[Context | None], pieces: Sequence[Sequence[Piece]]) -> PrefillState:
        """Read pieces after contexts, as one batch: contexts and pieces are each padded on the left."""
        import torch

        rows = [self._row(context, row) for context, row in zip(contexts, pieces, strict=True)]
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
        hidden = self.step(embedded, positions, mask, cache)
        self.tokens_read += sum(len(row.ids) for row in rows)
        told = None
        if self.speaking:
            begins = [longest - len(row.ids) for row in rows]
            new = [TalkerInput(hidden[i, n:] + rows[i].audible, positions[:, i, n:]) for i, n in enumerate(begins)]
            told = [c.told.then(one) if c and c.told else one for c, one in zip(contexts, new, strict=True)]
        return PrefillState(
            hidden=hidden[:, -1],
            cache=cache,
            mask=mask,
            following=[int(row.positions[0, -1]) + 1 for row in rows],
            beyond=[
                max(int(row.positions.max()) + 1, c.beyond if c else 0) for row, c in zip(rows, contexts, strict=True)
            ],
            told=told,
        )

    def step(self, embedded: Tensor, positions: Tensor, mask: Tensor, cache: Any) -> Tensor:
        """One pass of the language model; the cache grows. Returns the last hidden states, [B, n, hidden]."""
        network = self.model.get_decoder()
        hidden: Tensor = network(
            inputs_embeds=embedded, position_ids=positions, attention_mask=mask, **with_cache(network, cache)
        ).last_hidden_state
        return hidden.to(self.device)

    def _assembled(self, contexts: Sequence[Context | None]) -> tuple[Any, Tensor]:
        """A cache that holds every row's context, padded on the left, and the mask of its columns."""
        import torch
        from torch.nn.functional import pad
        from transformers import DynamicCache

        longest = max((context.length for context in contexts if context), default=0)
        mask = torch.zeros(len(contexts), longest, dtype=torch.long, device=self.device)
        cache = DynamicCache()
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

    def _row(self, context: Context | None, pieces: Sequence[Piece]) -> _Row:
        import torch

        following = context.following if context else 0
        positions = []
        for piece in pieces:
            positions.append(piece.positions + following)
            following = int(positions[-1][0, -1]) + 1
        ids = np.concatenate([piece.ids for piece in pieces])
        embedded = self.embed(torch.from_numpy(ids))
        audible = embedded.clone() if self.speaking else embedded
        start = 0
        for piece in pieces:
            if piece.clip is not None:
                part = torch.from_numpy(piece.ids).to(self.device)
                for token, features in self.encoder.features(piece):
                    at = start + (part == token).nonzero().squeeze(1)
                    embedded[at] = features.to(embedded)
                    if self.speaking:
                        audible[at] = 0
            start += len(piece.ids)
        return _Row(ids, np.concatenate(positions, axis=1), embedded, audible)


@dataclass(frozen=True, slots=True)
class _Row:
    """One row before it is read; `audible` are its embeddings without those of media, which the talker does not get."""

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


def _context(reading: PrefillState, row: int) -> Context:
    """What one row of a reading holds, without padding."""
    columns = reading.mask[row].nonzero().squeeze(1)
    layers = reading.cache.layers
    return Context(
        keys=tuple(layer.keys[row][:, columns.to(layer.keys.device)] for layer in layers),
        values=tuple(layer.values[row][:, columns.to(layer.values.device)] for layer in layers),
        told=None if reading.told is None else reading.told[row],
        following=reading.following[row],
        beyond=reading.beyond[row],
    )


@dataclass(frozen=True, slots=True)
class Continuation:
    """Generated text of one row.

    Args:
        ids: tokens without the end token.
        ended: the end token came.
        spoken: as in `Told`, of each token but one that reached the limit, [n, hidden]; None without a talker.
        finite: False where the scores were not numbers, so that nothing was chosen from them.
    """

    ids: tuple[int, ...]
    ended: bool
    spoken: Tensor | None
    finite: bool


def complete(
    thinker: Thinker, reading: PrefillState, sampling: Sampling, seeds: Sequence[int], limit: int
) -> list[Continuation]:
    """Continue each row until its end token, at most `limit` tokens.

    Args:
        seeds: of each row's draws.
    """
    import torch

    rows = len(seeds)
    chooser = Chooser(sampling, seeds)
    ids = torch.empty(rows, 0, dtype=torch.long, device=thinker.device)
    begins = torch.tensor(reading.beyond, device=thinker.device)
    done = torch.zeros(rows, dtype=torch.bool, device=thinker.device)
    finite = torch.ones(rows, dtype=torch.bool, device=thinker.device)
    hidden, mask, spoken = reading.hidden, reading.mask, []
    while True:
        scores = thinker.scores(hidden)
        usable = torch.isfinite(scores).all(dim=1)
        finite &= usable | done
        chosen = chooser.choose(ids, scores.masked_fill(~usable[:, None], 0.0))
        chosen = torch.where(done | ~finite, thinker.end, chosen)
        ids = torch.cat([ids, chosen[:, None]], dim=1)
        done |= (chosen == thinker.end) | ~finite
        if bool(done.all()) or ids.shape[1] == limit:
            break
        embedded = thinker.embed(chosen[:, None])
        positions = (begins + ids.shape[1] - 1).expand(3, 1, rows).transpose(1, 2)
        mask = torch.cat([mask, mask.new_ones(rows, 1)], dim=1)
        states = thinker.step(embedded, positions, mask, reading.cache)
        if thinker.speaking:
            spoken.append(states[:, 0] + embedded[:, 0])
        hidden = states[:, 0]
    steps = torch.stack(spoken, dim=1) if spoken else None
    return [
        _continuation(thinker.end, ids[i].tolist(), bool(finite[i]), None if steps is None else steps[i])
        for i in range(rows)
    ]


def _continuation(end: int, ids: list[int], finite: bool, spoken: Tensor | None) -> Continuation:
    ended = end in ids
    kept = ids[: ids.index(end)] if ended else ids
    return Continuation(tuple(kept), ended, None if spoken is None else spoken[: len(kept)], finite)


def label_logprobs(thinker: Thinker, reading: PrefillState, labels: Sequence[Sequence[int]]) -> list[list[float]]:
    """Log-probability of each label after each row, summed over the label's tokens.

    The prompts are read once; their cache is repeated over the labels. Equal to reading prompt and label anew for
    each label.

    Args:
        labels: token ids of each label.

    Returns:
        [rows][labels], natural logarithm; nan where the scores are not numbers.
    """
    import torch

    rows, count, longest = len(reading.beyond), len(labels), max(len(label) for label in labels)
    padded = torch.full((count, longest), thinker.end, dtype=torch.long)
    real = torch.zeros(count, longest, dtype=torch.long)
    for i, label in enumerate(labels):
        padded[i, : len(label)] = torch.tensor(label)
        real[i, : len(label)] = 1
    padded, real = padded.repeat(rows, 1).to(thinker.device), real.repeat(rows, 1).to(thinker.device)
    hidden = reading.hidden.repeat_interleave(count, dim=0)[:, None]
    if longest > 1:
        cache = reading.cache
        cache.batch_repeat_interleave(count)
        begins = torch.tensor(reading.beyond, device=thinker.device).repeat_interleave(count)
        positions = (begins[:, None] + torch.arange(longest - 1, device=thinker.device)).expand(3, -1, -1)
        mask = torch.cat([reading.mask.repeat_interleave(count, dim=0), real[:, :-1]], dim=1)
        hidden = torch.cat([hidden, thinker.step(thinker.embed(padded[:, :-1]), positions, mask, cache)], dim=1)
    logprobs = torch.log_softmax(thinker.scores(hidden), dim=-1)
    taken = logprobs.gather(2, padded[:, :, None]).squeeze(2)
    sums = torch.where(real == 1, taken, 0.0).sum(dim=1)
    return [[float(value) for value in row] for row in sums.view(rows, count)]
