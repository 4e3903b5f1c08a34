"""Qwen2.5-Omni through transformers: labels and rankings by the thinker, spoken replies at 24 kHz."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any, ClassVar

from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Message, Request, Response
from avemo_harness.benchmark.task import LabelOutput, SpokenOutput
from avemo_harness.errors import GenerationError, ModelError, describe
from avemo_harness.models import Requires
from avemo_harness.models.base import Capabilities, ModelSetup
from avemo_harness.models.decoding import NO_NUMBERS, Sampling, flags_of
from avemo_harness.models.inputs import ClipDecoder
from avemo_harness.models.neural import Batcher, Bucket, LabelRanker, check_room
from avemo_harness.models.qwen_prompt import ENCODED_BYTES, SYSTEM, ClipEncoder, FrameSize, Prompt, PromptBuilder
from avemo_harness.models.qwen_talker import GREEDY, SAMPLED, SILENCE, Talker, TalkerOutput, TalkerRequest, Voice
from avemo_harness.models.qwen_thinker import Continuation, PrefillState, Thinker, complete, label_logprobs
from avemo_harness.models.weights import Attention, Checkpoint, DType, Placement, load_native, resolve
from avemo_harness.torch_setup import quiet_loading, repair_torchvision

VERSION = "1"
CONTEXT_SHARE = 0.3
"""Share of the free device memory that contexts may take; what does not fit is read again."""
CONTEXT_BYTES_CPU = 2 * 2**30


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request with its prompt."""

    request: Request
    prompt: Prompt

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.prompt.streams, (self.request.output.model_dump_json(), self.request.generation))

    @property
    def length(self) -> int:
        return self.prompt.length


@dataclass(frozen=True, slots=True)
class WorkCounts:
    """What a model has done.

    Args:
        streams_encoded: videos and sounds that went through an encoder.
        tokens_read: prompt tokens that went through the language model.
        contexts: conversations that are kept.
    """

    streams_encoded: int
    tokens_read: int
    contexts: int


class QwenOmni:
    """Answers with the whole audio-visual dialogue before it."""

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

    # The processors and encoders of 5.13 take other arguments and give other shapes.
    requires: ClassVar[Requires] = {"transformers": ">=5.18,<5.25"}
    capabilities = Capabilities(
        outputs=frozenset({"label_text", "label_ranking", "spoken_response"}), largest_batch=64, usual_batch=1
    )

    def __init__(self, arguments: Arguments, setup: ModelSetup) -> None:
        if not 0 < arguments.min_pixels <= arguments.max_pixels:
            raise ModelError("qwen2.5-omni: min_pixels must be above 0 and at most max_pixels")
        if arguments.fps <= 0:
            raise ModelError("qwen2.5-omni: fps must be above 0")
        self._arguments, self._setup = arguments, setup
        self._speaks = "spoken_response" in setup.outputs
        self._decoder = ClipDecoder(arguments.fps)
        self._batcher = Batcher(free=self.forget)

    def identity(self) -> Mapping[str, str]:
        given = self._arguments
        return {
            "model": "qwen2.5-omni",
            "version": VERSION,
            "weights": self._checkpoint.weights.content,
            "dtype": self._checkpoint.dtype(given.dtype),
            "system": SYSTEM,
            **{
                name: str(getattr(given, name))
                for name in (
                    *("attn", "device_map", "fps", "min_pixels", "max_pixels", "shared_context"),
                    *("speaker", "talker_do_sample", "talker_max_new_tokens"),
                )
            },
            **{package: version(package) for package in ("transformers", "torch", "av")},
        }

    def prefetch(self, request: Request) -> None:
        """Decode a request's clips that are not encoded yet."""
        thinker = self.__dict__.get("_thinker")
        for clip in (block for message in request.messages for block in message.content if isinstance(block, Clip)):
            self._decoder.prefetch(clip, thinker.encoder.knows if thinker else lambda stream: False)

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        return self._batcher.generate(requests, self._asked, self._answer)

    def _asked(self, request: Request) -> PreparedRequest:
        prompt = self._builder.prompt(request.messages)
        room = int(self._builder.config.text_config.max_position_embeddings)
        check_room(prompt.length, request, room, "a lower max_pixels makes clips shorter")
        return PreparedRequest(request, prompt)

    @property
    def work(self) -> WorkCounts:
        """What was done so far, to be measured."""
        thinker = self._thinker
        return WorkCounts(thinker.encoder.streams_encoded, thinker.tokens_read, thinker.contexts_kept)

    def forget(self) -> None:
        """Give back the memory of what was read and encoded; it is read again where it is needed."""
        self._thinker.forget()

    def _answer(self, asked: Sequence[PreparedRequest]) -> Sequence[Response]:
        reading = self._thinker.read([one.prompt for one in asked])
        output = asked[0].request.output
        if isinstance(output, LabelOutput) and output.method == "rank":
            return self._rank(asked, reading, output.labels)
        generation = asked[0].request.generation
        sampling = Sampling(generation.do_sample, generation.temperature, None, generation.top_p)
        seeds = [one.request.seed for one in asked]
        texts = complete(self._thinker, reading, sampling, seeds, generation.max_new_tokens)
        to_speak = isinstance(output, SpokenOutput)
        spoken = self._speak(reading, texts, seeds) if to_speak else [None] * len(asked)
        return [self._response(*row) for row in zip(asked, texts, spoken, strict=True)]

    def _speak(
        self, reading: PrefillState, texts: Sequence[Continuation], seeds: Sequence[int]
    ) -> list[TalkerOutput | None]:
        """Speak each reply; one of no words gets no sound."""
        if self._talker is None or reading.told is None:
            raise GenerationError("qwen2.5-omni: it was loaded without its talker, since no reply was to be asked")
        sayings = {
            i: TalkerRequest(reading.told[i], text.spoken, reading.following[i], reading.beyond[i], seeds[i])
            for i, text in enumerate(texts)
            if text.finite and text.spoken is not None and len(text.spoken)
        }
        spoken = dict(zip(sayings, self._talker.speak(list(sayings.values())), strict=True)) if sayings else {}
        return [spoken.get(i, SILENCE) for i in range(len(texts))]

    def _response(self, asked: PreparedRequest, text: Continuation, spoken: TalkerOutput | None) -> Response:
        """A row's answer; `spoken` is None where no speech was asked for."""
        if not text.finite:
            return Response(error=describe(GenerationError(NO_NUMBERS)))
        flags = list(flags_of(text.ids, text.ended))
        if spoken is not None and spoken.speech is None:
            flags.append("no_speech")
        if spoken is not None and not spoken.ended:
            flags.append("speech_truncated")
        return Response(
            text=self._processor.tokenizer.decode(text.ids, skip_special_tokens=True),
            speech=spoken.speech if spoken else None,
            prompt_tokens=asked.prompt.length,
            new_tokens=len(text.ids) + text.ended,
            flags=tuple(flags),
        )

    def _rank(self, asked: Sequence[PreparedRequest], reading: PrefillState, labels: tuple[str, ...]) -> list[Response]:
        ranked = label_logprobs(self._thinker, reading, self._ranker.ids(labels))
        rows = zip(asked, ranked, strict=True)
        return [self._ranker.response(one.request, labels, row, one.prompt.length) for one, row in rows]

    @cached_property
    def _ranker(self) -> LabelRanker:
        def score(messages: Sequence[Message], labels: Sequence[Sequence[int]]) -> Sequence[float]:
            reading = self._thinker.read([self._builder.prompt(messages)])
            return label_logprobs(self._thinker, reading, labels)[0]

        return LabelRanker(self._processor.tokenizer, score)

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        return resolve(self._arguments.pretrained, self._arguments.revision, self._setup.say)

    @cached_property
    def _processor(self) -> Any:
        repair_torchvision()
        from transformers import Qwen2_5OmniProcessor

        weights = self._checkpoint.weights
        with quiet_loading():
            return Qwen2_5OmniProcessor.from_pretrained(weights.path, revision=weights.revision)

    @cached_property
    def _loaded(self) -> Any:
        """The whole model where replies will be asked, else its thinker alone."""
        repair_torchvision()
        from transformers import Qwen2_5OmniForConditionalGeneration, Qwen2_5OmniThinkerForConditionalGeneration

        given = self._arguments
        dtype = self._checkpoint.dtype(given.dtype)
        placement = Placement(dtype, given.attn, given.device_map, self._setup.device)
        self._setup.say(f"loading {given.pretrained} (torch.{dtype}, {given.attn})")
        model_class = (
            Qwen2_5OmniForConditionalGeneration if self._speaks else Qwen2_5OmniThinkerForConditionalGeneration
        )
        return load_native(model_class, self._checkpoint, placement)

    @cached_property
    def _thinker(self) -> Thinker:
        model = self._loaded.thinker if self._speaks else self._loaded
        shared = self._arguments.shared_context
        return Thinker(
            model,
            ClipEncoder(model, self._builder, ENCODED_BYTES if shared else 0),
            end=self._processor.tokenizer.convert_tokens_to_ids("<|im_end|>"),
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
        return Talker(model.talker, model.token2wav, self._thinker, voice, sampling, given.talker_max_new_tokens)

    @cached_property
    def _builder(self) -> PromptBuilder:
        size = FrameSize(self._arguments.min_pixels, self._arguments.max_pixels)
        config = self._loaded.config.thinker_config if self._speaks else self._loaded.config
        return PromptBuilder(self._processor, config, self._decoder, size)


def _context_bytes(device: Any) -> int:
    import torch

    return int(CONTEXT_SHARE * torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else CONTEXT_BYTES_CPU
