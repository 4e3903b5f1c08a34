"""Qwen2.5-Omni through transformers: labels and rankings by the thinker, spoken replies at 24 kHz."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from avemo_harness.benchmark.request import Message, Request, Response, Speech
from avemo_harness.errors import GenerationError, ModelError, SampleError
from avemo_harness.models import Requires
from avemo_harness.models.base import ModelSetup
from avemo_harness.models.decoding import Chooser, GeneratedText, Sampling
from avemo_harness.models.inputs import ClipDecoder
from avemo_harness.models.neural import NeuralModel, PreparedRequest, SpokenReply, with_speech
from avemo_harness.models.qwen_encoder import ENCODED_BYTES, ClipEncoder
from avemo_harness.models.qwen_prompt import SYSTEM, Prompt, PromptBuilder
from avemo_harness.models.qwen_thinker import PrefillState, TalkerInput, Thinker, with_cache
from avemo_harness.models.weights import Attention, Checkpoint, DType, load_native
from avemo_harness.phases import phase
from avemo_harness.torch_setup import quiet_loading, repair_torchvision

if TYPE_CHECKING:
    from torch import Tensor

CONTEXT_SHARE = 0.3
"""Share of the free device memory that contexts may take; what does not fit is read again."""
CONTEXT_BYTES_CPU = 2 * 2**30

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
        limit: most speech codes of one reply.
    """

    def __init__(
        self, talker: Any, vocoder: Any, thinker: Thinker, voice: Voice, sampling: Sampling, limit: int
    ) -> None:
        self.talker, self.vocoder, self.thinker, self.voice = talker, vocoder.float(), thinker, voice
        self.sampling, self.limit = sampling, limit

    def speak(self, requests: Sequence[TalkerRequest]) -> list[SpokenReply]:
        """Speak each row; a row's speech does not depend on the others."""
        codes = self._generate(requests)
        return [self._spoken(row, request.seed) for request, row in zip(requests, codes, strict=True)]

    @phase("talk")
    def _generate(self, requests: Sequence[TalkerRequest]) -> list[list[int]]:
        """Speech codes of each row, up to its end code or the limit."""
        import torch
        from transformers import DynamicCache

        talker, rows = self.talker, len(requests)
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
        import torch

        if not codes:
            return SpokenReply(None)
        if max(codes) > (last := self.vocoder.config.dit_config.num_embeds):
            # On a GPU, looking it up would end every later question of the process too.
            raise GenerationError(f"the talker wrote the code {max(codes)}; the vocoder knows those up to {last}")
        device = self.vocoder.device
        # The vocoder starts from noise of the global generator.
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
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


def _until(codes: Sequence[int], ends: Sequence[int]) -> list[int]:
    """Codes before the first end code."""
    return list(takewhile(lambda code: code not in ends, codes))


class QwenOmni(NeuralModel[Prompt]):
    """Qwen2.5-Omni: sees and hears the whole dialogue, names and ranks emotions, and speaks."""

    name = "qwen2.5-omni"
    room_advice = "a lower max_pixels makes clips shorter"
    # The processors and encoders of 5.13 take other arguments and give other shapes.
    requires: ClassVar[Requires] = {"transformers": ">=5.18,<5.25"}
    _arguments: Arguments

    @dataclass(frozen=True, slots=True)
    class Arguments:
        """
        Args:
            pretrained: Hub id or folder of the checkpoint.
            revision: branch, tag or commit of a Hub id.
            dtype: ``auto`` takes the one that the checkpoint was saved in.
            attn: implementation of attention.
            device_map: as accelerate knows it; ``auto`` spreads one model over several devices.
            fps: frames a second, the same for every clip; the model was trained at 2.
            min_pixels, max_pixels: bounds of a frame after scaling; 28 x 28 pixels of two frames make a token.
            speaker: the voice of replies.
            talker_do_sample: draw speech codes with the published settings, seeded by the request; else greedily.
            talker_max_new_tokens: most speech codes of a reply, about 50 a second.
            shared_context: read a dialogue's history once for all questions about it.
        """

        pretrained: str = "Qwen/Qwen2.5-Omni-7B"
        revision: str | None = None
        dtype: DType = "auto"
        attn: Attention = "sdpa"
        device_map: str | None = None
        fps: float = 2.0
        min_pixels: int = 128 * 28 * 28
        max_pixels: int = 768 * 28 * 28
        speaker: str = "Chelsie"
        talker_do_sample: bool = True
        talker_max_new_tokens: int = 4096
        shared_context: bool = True

    def __init__(self, arguments: Arguments, setup: ModelSetup) -> None:
        if not 0 < arguments.min_pixels <= arguments.max_pixels:
            raise ModelError("qwen2.5-omni: min_pixels must be above 0 and at most max_pixels")
        if arguments.fps <= 0:
            raise ModelError("qwen2.5-omni: fps must be above 0")
        super().__init__(arguments, setup, ClipDecoder(arguments.fps))

    def identity_parts(self) -> Mapping[str, str]:
        return {
            "weights": self._checkpoint.weights.content,
            "dtype": self._dtype,
            "system": SYSTEM,
            **self._given("attn", "device_map", "fps", "min_pixels", "max_pixels", "shared_context"),
            **self._given("speaker", "talker_do_sample", "talker_max_new_tokens"),
        }

    def prefetch(self, request: Request) -> None:
        """Lay out a request's prompt, and scale frames and compute mel spectra of what is not read yet.

        Before the network is loaded, clips are decoded.
        """
        thinker: Thinker | None = self.__dict__.get("_network")
        if thinker is None:
            super().prefetch(request)
            return
        with suppress(SampleError):
            thinker.prepare(self._made(request))

    def inputs(self, messages: Sequence[Message], spoken: bool) -> Prompt:
        return self._builder.prompt(messages)

    def forget(self) -> None:
        """Give back the memory of contexts and encoded clips; they are made again where they are needed."""
        self._network.forget()

    def reply(self, batch: Sequence[PreparedRequest[Prompt]]) -> list[Response]:
        prefill = self._prefill([one.inputs() for one in batch])
        texts = self._complete(batch, prefill)
        spoken = self._speak(prefill, texts, [one.request.seed for one in batch])
        return [with_speech(*row) for row in zip(self._responses(batch, texts), spoken, strict=True)]

    def _speak(self, prefill: PrefillState, texts: Sequence[GeneratedText], seeds: Sequence[int]) -> list[SpokenReply]:
        """Speak each reply; one of no words gets no sound."""
        if self._talker is None or prefill.talker_inputs is None:
            raise GenerationError("qwen2.5-omni: it was loaded without its talker, since no reply was to be asked")
        requests = {
            i: TalkerRequest(
                prefill.talker_inputs[i],
                text.states,
                prefill.next_prompt_positions[i],
                int(prefill.next_position[i]),
                seeds[i],
            )
            for i, text in enumerate(texts)
            if text.finite and text.states is not None and len(text.states)
        }
        spoken = dict(zip(requests, self._talker.speak(list(requests.values())), strict=True)) if requests else {}
        return [spoken.get(i, SpokenReply(None)) for i in range(len(texts))]

    @cached_property
    def _processor(self) -> Any:
        repair_torchvision()
        from transformers import Qwen2_5OmniProcessor

        weights = self._checkpoint.weights
        with quiet_loading():
            return Qwen2_5OmniProcessor.from_pretrained(
                weights.path,
                revision=weights.revision,  # type: ignore[arg-type]  # (None, of a folder, is not annotated)
            )

    @cached_property
    def _loaded(self) -> Any:
        """The whole model where replies will be asked, else its thinker alone."""
        repair_torchvision()
        from transformers import Qwen2_5OmniForConditionalGeneration, Qwen2_5OmniThinkerForConditionalGeneration

        given = self._arguments
        placement = self._placement(given.attn)
        self._setup.say(f"loading {given.pretrained} (torch.{placement.dtype}, {given.attn})")
        model_class = (
            Qwen2_5OmniForConditionalGeneration if self._speaks else Qwen2_5OmniThinkerForConditionalGeneration
        )
        return load_native(model_class, self._checkpoint, placement)

    @cached_property
    def _network(self) -> Thinker:
        model = self._loaded.thinker if self._speaks else self._loaded
        shared = self._arguments.shared_context
        return Thinker(
            model,
            self._processor.tokenizer,
            ClipEncoder(model, self._builder, ENCODED_BYTES if shared else 0),
            speaking=self._speaks,
            context_bytes=_context_bytes(model.device) if shared else 0,
        )

    @cached_property
    def _talker(self) -> Talker | None:
        if not self._speaks:
            return None
        model, given = self._loaded, self._arguments
        sampling = SAMPLED if given.talker_do_sample else GREEDY
        voice = Voice.of(self._checkpoint, given.speaker)
        return Talker(model.talker, model.token2wav, self._network, voice, sampling, given.talker_max_new_tokens)

    @cached_property
    def _builder(self) -> PromptBuilder:
        given = self._arguments
        config = self._loaded.config.thinker_config if self._speaks else self._loaded.config
        return PromptBuilder(self._processor, config, self._decoder, given.min_pixels, given.max_pixels)


def _context_bytes(device: Any) -> int:
    import torch

    return int(CONTEXT_SHARE * torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else CONTEXT_BYTES_CPU
