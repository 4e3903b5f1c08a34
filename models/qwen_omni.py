"""Qwen2.5-Omni through transformers: labels and rankings by the thinker, spoken replies at 24 kHz."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from avemo_harness.benchmark.request import Message, Request, Response
from avemo_harness.errors import GenerationError, ModelError, SampleError
from avemo_harness.models import Requires
from avemo_harness.models.base import ModelSetup
from avemo_harness.models.decoding import GeneratedText
from avemo_harness.models.inputs import ClipDecoder
from avemo_harness.models.neural import NeuralModel, PreparedRequest, SpokenReply, with_speech
from avemo_harness.models.qwen_encoder import ENCODED_BYTES, ClipEncoder
from avemo_harness.models.qwen_prompt import SYSTEM, Prompt, PromptBuilder
from avemo_harness.models.qwen_steps import CompiledSteps, GrowingSteps
from avemo_harness.models.qwen_talker import GREEDY, SAMPLED, Talker, TalkerRequest, Voice
from avemo_harness.models.qwen_thinker import PrefillState, Thinker
from avemo_harness.models.weights import Attention, DType, load_native
from avemo_harness.torch_setup import quiet_loading, repair_torchvision

CONTEXT_SHARE = 0.3
"""Share of the free device memory that contexts may take; what does not fit is read again."""
CONTEXT_BYTES_CPU = 2 * 2**30


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
            float32_scores: rank labels by scores computed in float32, also where the model is in bfloat16, which rounds
                them by up to 0.4 % of their size.
            compile: compile the talker's step, which takes a minute or more and changes the last bits of scores; for
                runs of many replies.
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
        float32_scores: bool = False
        compile: bool = False

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
            # Named where they are on, so that runs from before there were they go on.
            **self._given(*(name for name in ("float32_scores", "compile") if getattr(self._arguments, name))),
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

    def rank(self, rows: Sequence[Prompt], labels: Sequence[Sequence[int]]) -> list[list[float]]:
        with self._network.float32_scores() if self._arguments.float32_scores else nullcontext():
            return super().rank(rows, labels)

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
        steps = CompiledSteps(model.talker) if given.compile else GrowingSteps(model.talker)
        limit = given.talker_max_new_tokens
        return Talker(model.talker, model.token2wav, self._network, voice, sampling, steps, limit)

    @cached_property
    def _builder(self) -> PromptBuilder:
        given = self._arguments
        config = self._loaded.config.thinker_config if self._speaks else self._loaded.config
        return PromptBuilder(self._processor, config, self._decoder, given.min_pixels, given.max_pixels)


def _context_bytes(device: Any) -> int:
    import torch

    return int(CONTEXT_SHARE * torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else CONTEXT_BYTES_CPU
