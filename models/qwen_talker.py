"""Talker of Qwen2.5-Omni: the thinker's states become speech codes, and these 24 kHz sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from avemo_harness.benchmark.request import Speech
from avemo_harness.errors import GenerationError, ModelError
from avemo_harness.models.decoding import Chooser, Sampling
from avemo_harness.models.qwen_thinker import TalkerInput, Thinker, with_cache
from avemo_harness.models.weights import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor

RATE_HZ = 24_000
SAMPLED = Sampling(do_sample=True, temperature=0.9, top_k=40, top_p=0.8, repetition_penalty=1.05)
GREEDY = Sampling(do_sample=False, repetition_penalty=1.05)
"""The published settings of the talker, and the same without draws."""


@dataclass(frozen=True, slots=True)
class TalkerRequest:
    """What one row is to say.

    Args:
        prompt: what the thinker tells of the prompt.
        reply: of each token of the reply, [m, hidden], m at least 1.
        following, beyond: positions of the next token as in `Context`.
        seed: of every draw.
    """

    prompt: TalkerInput
    reply: Tensor
    following: int
    beyond: int
    seed: int


@dataclass(frozen=True, slots=True)
class TalkerOutput:
    """Speech of one row; None where the talker gave no sound.

    Args:
        codes: speech codes without the end code.
        ended: the end code came before the limit.
    """

    speech: Speech | None
    codes: tuple[int, ...]
    ended: bool


SILENCE = TalkerOutput(None, (), ended=True)


@dataclass(frozen=True, slots=True)
class Voice:
    """A speaker of a checkpoint: the token that its speech begins with, and what its vocoder is conditioned on."""

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
    """Speaks what a thinker said.

    Args:
        talker: a `Qwen2_5OmniTalkerForConditionalGeneration`.
        vocoder: a `Qwen2_5OmniToken2WavModel`; it works in float32.
        limit: most speech codes of one reply.
    """

    def __init__(
        self, talker: Any, vocoder: Any, thinker: Thinker, voice: Voice, sampling: Sampling, limit: int
    ) -> None:
        self.talker, self.vocoder, self.thinker, self.voice = talker, vocoder.float(), thinker, voice
        self.sampling, self.limit = sampling, limit

    def speak(self, sayings: Sequence[TalkerRequest]) -> list[TalkerOutput]:
        """Speak each row; a row's speech does not depend on the others."""
        codes = self._generate(sayings)
        return [self._spoken(saying, row) for saying, row in zip(sayings, codes, strict=True)]

    def _generate(self, sayings: Sequence[TalkerRequest]) -> list[list[int]]:
        """Speech codes of each row, up to its end code or the limit."""
        import torch
        from transformers import DynamicCache

        talker, rows = self.talker, len(sayings)
        ends = torch.tensor([talker.codec_eos_token, talker.codec_pad_token], device=talker.device)
        embedded, positions, mask = self._prompt(sayings)
        streams = self._streams(sayings)
        ids = torch.full(embedded.shape[:2], talker.codec_mask_token, device=talker.device)
        ids[:, -2], ids[:, -1] = talker.codec_pad_token, talker.codec_bos_token
        start = ids.shape[1]
        begins = torch.tensor([max(saying.beyond, saying.following + 2) for saying in sayings], device=talker.device)
        chooser = Chooser(self.sampling, [saying.seed for saying in sayings], suppressed=[talker.codec_bos_token])
        done = torch.zeros(rows, dtype=torch.bool, device=talker.device)
        cache = DynamicCache()
        while True:
            hidden = talker.model(
                inputs_embeds=talker.thinker_to_talker_proj(embedded),
                position_ids=positions,
                attention_mask=mask,
                **with_cache(talker.model, cache),
            ).last_hidden_state[:, -1]
            scores = talker.codec_head(hidden).float()
            if not bool(torch.isfinite(scores).all()):
                raise GenerationError("the talker's scores are not finite; another dtype may help")
            chosen = torch.where(done, talker.codec_pad_token, chooser.choose(ids, scores))
            ids = torch.cat([ids, chosen[:, None]], dim=1)
            done |= torch.isin(chosen, ends)
            count = ids.shape[1] - start
            if bool(done.all()) or count == self.limit:
                break
            said = streams[:, min(count, streams.shape[1]) - 1]
            embedded = (talker.get_input_embeddings()(chosen) + said)[:, None]
            positions = (begins + count - 1).expand(3, 1, rows).transpose(1, 2)
            mask = torch.cat([mask, mask.new_ones(rows, 1)], dim=1)
        return [_until(row, ends.tolist()) for row in ids[:, start:].tolist()]

    def _prompt(self, sayings: Sequence[TalkerRequest]) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings, positions and mask of what the talker gets before its first code, padded on the left."""
        import torch

        talker, device = self.talker, self.talker.device
        begin = self.thinker.embed(torch.tensor([self.voice.bos_token])).to(device)
        marks = talker.get_input_embeddings()(
            torch.tensor([talker.codec_pad_token, talker.codec_bos_token], device=device)
        )
        longest = max(len(saying.prompt.states) for saying in sayings) + 2
        embedded = begin.new_zeros(len(sayings), longest, begin.shape[-1])
        positions = torch.zeros(3, len(sayings), longest, dtype=torch.long, device=device)
        mask = torch.zeros(len(sayings), longest, dtype=torch.long, device=device)
        for i, saying in enumerate(sayings):
            length = len(saying.prompt.states) + 2
            tail = torch.cat([begin, saying.reply[:1].to(device)]) + marks
            embedded[i, -length:] = torch.cat([saying.prompt.states.to(device), tail])
            positions[:, i, -length:-2] = saying.prompt.positions.to(device)
            positions[:, i, -2:] = saying.following + torch.arange(2, device=device)
            mask[i, -length:] = 1
        return embedded, positions, mask

    def _streams(self, sayings: Sequence[TalkerRequest]) -> Tensor:
        """What is added to each code in turn, [B, n, hidden]: the reply after its first token, its end, padding."""
        import torch

        device = self.talker.device
        end, pad = self.thinker.embed(torch.tensor([self.talker.text_eos_token, self.talker.text_pad_token])).to(device)
        longest = max(len(saying.reply) for saying in sayings) + 1
        streams: Tensor = pad.expand(len(sayings), longest, -1).clone()
        for i, saying in enumerate(sayings):
            rest = saying.reply[1:].to(device)
            streams[i, : len(rest)] = rest
            streams[i, len(rest)] = end
        return streams

    def _spoken(self, saying: TalkerRequest, codes: Sequence[int]) -> TalkerOutput:
        import torch

        if not codes:
            return SILENCE
        if max(codes) > (last := self.vocoder.config.dit_config.num_embeds):
            # On a GPU, looking it up would end every later question of the process too.
            raise GenerationError(f"the talker wrote the code {max(codes)}; the vocoder knows those up to {last}")
        device = self.vocoder.device
        # The vocoder starts from noise of the global generator.
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(saying.seed)
            wave = self.vocoder(
                torch.tensor([codes], device=device),
                conditioning=self.voice.conditioning.to(device),
                reference_mel=self.voice.reference_mel.to(device),
            )
        samples = wave.reshape(-1).float().clamp(-1, 1).cpu().numpy()
        if not len(samples) or not np.isfinite(samples).all():
            raise GenerationError("the vocoder gave no usable sound")
        return TalkerOutput(Speech(samples, RATE_HZ), tuple(codes), ended=len(codes) < self.limit)


def _until(codes: Sequence[int], ends: Sequence[int]) -> list[int]:
    """Codes before the first end code."""
    return list(takewhile(lambda code: code not in ends, codes))
