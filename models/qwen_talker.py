"""Talker of Qwen2.5-Omni: speech codes of a thinker's states, and 24 kHz sound of these, while others still speak."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from avemo_harness.benchmark.request import Speech
from avemo_harness.errors import GenerationError, ModelError
from avemo_harness.models.decoding import Chooser, Sampling
from avemo_harness.models.neural import SpokenReply
from avemo_harness.models.qwen_steps import Steps
from avemo_harness.models.qwen_thinker import TalkerInput, Thinker
from avemo_harness.models.weights import Checkpoint
from avemo_harness.phases import beside, phase

if TYPE_CHECKING:
    from torch import Tensor

RATE_HZ = 24_000
SAMPLED = Sampling(do_sample=True, temperature=0.9, top_k=40, top_p=0.8, repetition_penalty=1.05)
GREEDY = Sampling(do_sample=False, repetition_penalty=1.05)
"""The published settings of the talker, and the same without draws."""


@dataclass(frozen=True, slots=True)
class TalkerRequest:
    """One reply that is to be spoken.

    Args:
        prompt: states of the prompt.
        reply: states of each token of the reply, [m, hidden], m at least 1.
        next_prompt_position, next_position: as in `Context`.
        seed: of every draw.
    """

    prompt: TalkerInput
    reply: Tensor
    next_prompt_position: int
    next_position: int
    seed: int


@dataclass(frozen=True, slots=True)
class Voice:
    """A speaker of a checkpoint: the token that its speech begins with, and the vocoder's conditioning."""

    bos_token: int
    conditioning: Tensor
    reference_mel: Tensor

    @classmethod
    def of(cls, checkpoint: Checkpoint, name: str) -> Voice:
        """Read a speaker from a checkpoint's `spk_dict.pt`; ModelError where it has no such speaker."""
        import torch
        from transformers.utils.hub import cached_file

        path = cached_file(checkpoint.weights.path, "spk_dict.pt", revision=checkpoint.weights.revision)
        speakers = torch.load(str(path), weights_only=True, map_location="cpu")
        if name not in speakers:
            raise ModelError(f"the checkpoint has no speaker {name!r}; known: {', '.join(sorted(speakers))}")
        known = speakers[name]
        return cls(int(known["bos_token"]), known["cond"].float(), known["ref_mel"].float())


class Talker:
    """Makes speech codes of a thinker's states, and 24 kHz sound of these.

    Args:
        talker: a `Qwen2_5OmniTalkerForConditionalGeneration`.
        vocoder: a `Qwen2_5OmniToken2WavModel`; it works in float32.
        steps: of the talker's language model.
        limit: most speech codes of one reply.
    """

    def __init__(
        self, talker: Any, vocoder: Any, thinker: Thinker, voice: Voice, sampling: Sampling, steps: Steps, limit: int
    ) -> None:
        self.talker, self.vocoder, self.thinker, self.voice = talker, vocoder.float(), thinker, voice
        self.sampling, self.steps, self.limit = sampling, steps, limit

    def speak(self, requests: Sequence[TalkerRequest]) -> list[SpokenReply]:
        """Speak each row; a row's speech does not depend on the others.

        The codes of a row become sound in another thread, while the rows that have not ended go on. One at a time:
        padded to the longest of several, codes would give other samples.
        """
        pool = ThreadPoolExecutor(1, thread_name_prefix="vocode", initializer=beside())
        try:
            with phase("talk"):
                spoken = {
                    row: pool.submit(self._spoken, codes, requests[row].seed) for row, codes in self._codes(requests)
                }
            with phase("vocode"):
                return [spoken[row].result() for row in range(len(requests))]
        finally:
            # After an error nobody waits for the sound of the other rows.
            pool.shutdown(cancel_futures=True)

    def _codes(self, requests: Sequence[TalkerRequest]) -> Iterator[tuple[int, list[int]]]:
        """The speech codes of each row, up to its end code or the limit, as soon as it ends; it then leaves the batch.

        Yields:
            the number of the row, and its codes.
        """
        import torch

        talker = self.talker
        rows = torch.arange(len(requests), device=talker.device)
        ends = torch.tensor([talker.codec_eos_token, talker.codec_pad_token], device=talker.device)
        embedded, positions, mask = self._prompt(requests)
        streams = self._streams(requests)
        ids = torch.full(embedded.shape[:2], talker.codec_mask_token, device=talker.device)
        ids[:, -2], ids[:, -1] = talker.codec_pad_token, talker.codec_bos_token
        start = ids.shape[1]
        begins = torch.tensor(
            [max(one.next_position, one.next_prompt_position + 2) for one in requests], device=talker.device
        )
        chooser = Chooser(self.sampling, [request.seed for request in requests], suppressed=[talker.codec_bos_token])
        hidden = self.steps.first(embedded, positions, mask, self.limit)
        while True:
            scores = talker.codec_head(hidden).float()
            if not bool(torch.isfinite(scores).all()):
                raise GenerationError("the talker's scores are not finite; another dtype may help")
            chosen = chooser.choose(ids, scores)
            ids = torch.cat([ids, chosen[:, None]], dim=1)
            count = ids.shape[1] - start
            ended = torch.isin(chosen, ends)
            over = ended.tolist()
            if count == self.limit:
                yield from _rows(rows, ids[:, start:], over)
                return
            if any(over):
                yield from _rows(rows[ended], ids[ended, start:], [True] * sum(over))
                if all(over):
                    return
                left = (~ended).nonzero().squeeze(1)
                rows, ids, chosen, begins, streams = (one[left] for one in (rows, ids, chosen, begins, streams))
                self.steps.keep(left)
                chooser.keep(left.tolist())
            said = streams[:, min(count, streams.shape[1]) - 1]
            embedded = (talker.get_input_embeddings()(chosen) + said)[:, None]
            positions = (begins + count - 1).expand(3, 1, len(rows)).transpose(1, 2)
            hidden = self.steps.next(embedded, positions)

    def _prompt(self, requests: Sequence[TalkerRequest]) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings, positions and mask of what the talker gets before its first code, padded on the left."""
        import torch

        talker, device = self.talker, self.talker.device
        begin = self.thinker.embed(torch.tensor([self.voice.bos_token])).to(device)
        marks = talker.get_input_embeddings()(
            torch.tensor([talker.codec_pad_token, talker.codec_bos_token], device=device)
        )
        longest = max(len(request.prompt.states) for request in requests) + 2
        embedded = begin.new_zeros(len(requests), longest, begin.shape[-1])
        positions = torch.zeros(3, len(requests), longest, dtype=torch.long, device=device)
        mask = torch.zeros(len(requests), longest, dtype=torch.long, device=device)
        for i, request in enumerate(requests):
            length = len(request.prompt.states) + 2
            tail = torch.cat([begin, request.reply[:1].to(device)]) + marks
            embedded[i, -length:] = torch.cat([request.prompt.states.to(device), tail])
            positions[:, i, -length:-2] = request.prompt.positions.to(device)
            positions[:, i, -2:] = request.next_prompt_position + torch.arange(2, device=device)
            mask[i, -length:] = 1
        return embedded, positions, mask

    def _streams(self, requests: Sequence[TalkerRequest]) -> Tensor:
        """States added to each code in turn, [B, n, hidden]: the reply after its first token, its end, padding."""
        import torch

        device = self.talker.device
        end, pad = self.thinker.embed(torch.tensor([self.talker.text_eos_token, self.talker.text_pad_token])).to(device)
        longest = max(len(request.reply) for request in requests) + 1
        streams = pad.expand(len(requests), longest, -1).clone()
        for i, request in enumerate(requests):
            rest = request.reply[1:].to(device)
            streams[i, : len(rest)] = rest
            streams[i, len(rest)] = end
        return streams

    @phase("vocode")
    def _spoken(self, codes: Sequence[int], seed: int) -> SpokenReply:
        import numpy as np
        import torch

        if not codes:
            return SpokenReply(None)
        if max(codes) > (last := self.vocoder.config.dit_config.num_embeds):
            # On a GPU, looking it up would end every later question of the process too.
            raise GenerationError(f"the talker wrote the code {max(codes)}; the vocoder knows those up to {last}")
        device = self.vocoder.device
        # The vocoder starts from noise of the global generator.
        with _own_stream(device), torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            wave = self.vocoder(
                torch.tensor([codes], device=device),
                conditioning=self.voice.conditioning.to(device),
                reference_mel=self.voice.reference_mel.to(device),
            )
            samples = wave.reshape(-1).float().clamp(-1, 1).cpu().numpy()
        if not len(samples) or not np.isfinite(samples).all():
            raise GenerationError("the vocoder gave no usable sound")
        return SpokenReply(Speech(samples, RATE_HZ), complete=len(codes) < self.limit)


def _rows(rows: Tensor, codes: Tensor, ended: Sequence[bool]) -> Iterator[tuple[int, list[int]]]:
    """Numbers of rows with their codes, without the end code of those that ended."""
    for row, said, over in zip(rows.tolist(), codes.tolist(), ended, strict=True):
        yield row, said[:-1] if over else said


def _own_stream(device: Any) -> AbstractContextManager[Any]:
    """On a GPU, a queue of its own for what runs beside the talker. What is put there is used by nothing else."""
    import torch

    stream_class: Any = torch.cuda.Stream
    return torch.cuda.stream(stream_class(device)) if device.type == "cuda" else nullcontext()
