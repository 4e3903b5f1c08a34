"""Baichuan-Omni-1.5 by its published code: labels, rankings, spoken replies; transformers 4.45.0."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar

from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Message, Request, Response
from avemo_harness.benchmark.task import LabelOutput, SpokenOutput
from avemo_harness.errors import GenerationError, MediaError, ModelError, describe
from avemo_harness.models import Requires
from avemo_harness.models.baichuan_network import BaichuanNetwork, InputBuilder, Inputs, SoundEncoderSizes
from avemo_harness.models.baichuan_speech import CODES, GREEDY_CODES, Talker, VocoderFolder, find_vocoder
from avemo_harness.models.base import Capabilities, ModelSetup
from avemo_harness.models.decoding import NO_NUMBERS, GeneratedText, Sampling, complete, flags_of, label_logprobs
from avemo_harness.models.inputs import ClipDecoder, LruCache
from avemo_harness.models.neural import Batcher, Bucket, LabelRanker, check_room
from avemo_harness.models.weights import (
    Checkpoint,
    DType,
    Placement,
    check_trust,
    load_remote,
    load_tokenizer,
    resolve_remote,
)

VERSION = "1"
ATTENTION = "_attn_implementation"
PREPARED_BYTES = 2**31
"""Room for inputs between being measured and being answered; what does not fit is made again."""


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request that is ready to be answered; its inputs are made again where they were given up."""

    request: Request
    streams: tuple[bool, bool]
    length: int
    inputs: Callable[[], Inputs]

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.streams, (self.request.output.model_dump_json(), self.request.generation))


class BaichuanOmni:
    """Answers with the whole audio-visual dialogue before it."""

    @dataclass(frozen=True, slots=True)
    class Arguments:
        """
        Args:
            pretrained: Hub id or folder of the checkpoint.
            revision: commit of a Hub id, whole; its code is run, so a branch or tag is refused.
            trust_code: the code in a local folder may run, the vocoder's too; without it, a folder is refused.
            dtype: ``auto`` takes the one that the checkpoint was saved in.
            device_map: as accelerate knows it; ``auto`` spreads one model over several devices.
            max_pixels: of a frame after scaling; 28 x 28 make a token. The published 602112 fill the model's 8192
                tokens with ten frames.
            max_frames: frames of a clip, one a second; of more, as many are taken evenly.
            system: system prompt of answers in text; empty for none.
            spoken_system: system prompt of spoken replies, which names their voice.
            vocoder: folder of the published vocoder; only spoken replies need it.
            codes_do_sample: draw speech codes with the published settings, seeded by the request; else greedily.
        """

        pretrained: str = "baichuan-inc/Baichuan-Omni-1d5"
        revision: str | None = None
        trust_code: bool = False
        dtype: DType = "auto"
        device_map: str | None = None
        max_pixels: int = 128 * 28 * 28
        max_frames: int = 32
        system: str = "You are a helpful assistant."
        spoken_system: str = "请用【邻家女声】这个声音回答问题。"
        vocoder: str = ""
        codes_do_sample: bool = True

    requires: ClassVar[Requires] = {"transformers": "==4.45.0"}
    capabilities = Capabilities(
        outputs=frozenset({"label_text", "label_ranking", "spoken_response"}), largest_batch=64, usual_batch=1
    )

    def __init__(self, arguments: Arguments, setup: ModelSetup) -> None:
        if arguments.max_pixels < 28 * 28 or arguments.max_frames < 1:
            raise ModelError("baichuan-omni: max_pixels must be at least 784 and max_frames at least 1")
        self._arguments, self._setup = arguments, setup
        self._speaks = "spoken_response" in setup.outputs
        if self._speaks and not arguments.vocoder:
            raise ModelError(
                "baichuan-omni: spoken replies need its vocoder, which lies apart from the checkpoint: vocoder=FOLDER "
                "(third_party/cosy24k_vocoder of the repository baichuan-inc/Baichuan-Omni-1.5), or --skip_speech"
            )
        self._decoder = ClipDecoder(1.0)
        self._batcher = Batcher()
        self._prepared: LruCache[str, Inputs] = LruCache(PREPARED_BYTES, lambda inputs: inputs.nbytes)

    def identity(self) -> Mapping[str, str]:
        given, content = self._arguments, self._checkpoint.weights.content
        names = ("device_map", "max_pixels", "max_frames", "system", "spoken_system", "codes_do_sample")
        return {
            "model": "baichuan-omni",
            "version": VERSION,
            "weights": content,
            "remote_code": content,
            "dtype": self._checkpoint.dtype(given.dtype),
            "vocoder": self._vocoder.content if self._vocoder else "none",
            **{name: str(getattr(given, name)) for name in names},
            **{package: version(package) for package in ("transformers", "torch", "av")},
        }

    def prefetch(self, request: Request) -> None:
        """Decode the sound of a request's clips; its video is read by the published code."""
        for clip in (block for message in request.messages for block in message.content if isinstance(block, Clip)):
            with suppress(MediaError):
                self._decoder.sound(clip)

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        answers = self._batcher.generate(requests, self._asked, self._answer)
        self._prepared.clear()
        return answers

    def _asked(self, request: Request) -> PreparedRequest:
        spoken = isinstance(request.output, SpokenOutput)

        def inputs() -> Inputs:
            return self._prepared.get(request.key, lambda: self._inputs(request.messages, spoken))

        made = inputs()
        check_room(made.length, request, self._network.room, "a lower max_pixels or max_frames makes clips shorter")
        return PreparedRequest(request, made.streams, made.length, inputs)

    def _inputs(self, messages: Sequence[Message], spoken: bool) -> Inputs:
        given = self._arguments
        return self._builder.inputs(given.spoken_system if spoken else given.system, messages, spoken)

    def _answer(self, asked: Sequence[PreparedRequest]) -> Sequence[Response]:
        output, generation = asked[0].request.output, asked[0].request.generation
        if isinstance(output, SpokenOutput):
            return [self._reply(one) for one in asked]
        prefix = self._network.prefill([one.inputs() for one in asked])
        if isinstance(output, LabelOutput) and output.method == "rank":
            ranked = label_logprobs(self._network, prefix, self._ranker.ids(output.labels))
            rows = zip(asked, ranked, strict=True)
            return [self._ranker.response(one.request, output.labels, row, one.length) for one, row in rows]
        seeds = [one.request.seed for one in asked]
        texts = complete(self._network, prefix, _sampling(asked[0].request), seeds, generation.max_new_tokens)
        return [self._response(one, text) for one, text in zip(asked, texts, strict=True)]

    def _response(self, asked: PreparedRequest, told: GeneratedText) -> Response:
        if not told.finite:
            return Response(error=describe(GenerationError(NO_NUMBERS)))
        return Response(
            text=self._network.tokenizer.decode(told.ids, skip_special_tokens=True),
            prompt_tokens=asked.length,
            new_tokens=len(told.ids) + told.ended,
            flags=flags_of(told.ids, told.ended),
        )

    def _reply(self, asked: PreparedRequest) -> Response:
        """Words and sound of one reply, under its own seed."""
        request = asked.request
        if self._talker is None:
            missing = GenerationError(
                "baichuan-omni: it was loaded without its vocoder, since no reply was to be asked"
            )
            return Response(error=describe(missing))
        prefix = self._network.prefill([asked.inputs()])
        try:
            limit = request.generation.max_new_tokens
            reply = self._talker.reply(prefix, _sampling(request), request.seed, limit)
            speech = self._talker.sound(reply.stretches, request.seed)
        except GenerationError as error:
            return Response(error=describe(error))
        answer = self._response(asked, reply.told)
        odd = (*([] if speech else ["no_speech"]), *([] if reply.complete else ["speech_truncated"]))
        return replace(answer, speech=speech, flags=(*answer.flags, *odd))

    @cached_property
    def _ranker(self) -> LabelRanker:
        def score(messages: Sequence[Message], labels: Sequence[Sequence[int]]) -> Sequence[float]:
            prefix = self._network.prefill([self._inputs(messages, spoken=False)])
            return label_logprobs(self._network, prefix, labels)[0]

        return LabelRanker(self._network.tokenizer, score)

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        given = self._arguments
        checkpoint = resolve_remote(
            "baichuan-omni", given.pretrained, given.revision, given.trust_code, self._setup.say
        )
        checkpoint.check_type("baichuan-omni", "omni")
        return checkpoint

    @cached_property
    def _vocoder(self) -> VocoderFolder | None:
        given = self._arguments
        if not given.vocoder:
            return None
        vocoder = find_vocoder(given.vocoder, self._setup.say)
        check_trust("baichuan-omni", vocoder.path, given.trust_code)
        return vocoder

    @cached_property
    def _network(self) -> BaichuanNetwork:
        given, checkpoint = self._arguments, self._checkpoint
        placement = Placement(checkpoint.dtype(given.dtype), None, given.device_map, self._setup.device)
        self._setup.say(f"loading {given.pretrained} ({placement.dtype})")
        model: Any = load_remote("AutoModelForCausalLM", checkpoint, placement, **vision_settings(checkpoint.config))
        model.config.video_config.max_pixels = given.max_pixels
        model.config.video_config.max_frame_num = given.max_frames
        return BaichuanNetwork(model, load_tokenizer(checkpoint))

    @cached_property
    def _builder(self) -> InputBuilder:
        network = self._network
        processor = network.model.bind_processor(network.tokenizer, training=False)
        audio = network.model.config.audio_config
        sizes = SoundEncoderSizes(audio.n_fft, audio.hop_length, audio.kernel_size, audio.stride_size, audio.avg_pooler)
        return InputBuilder(processor, self._decoder, sizes)

    @cached_property
    def _talker(self) -> Talker | None:
        if self._vocoder is None:
            return None
        network, codes = self._network, CODES if self._arguments.codes_do_sample else GREEDY_CODES
        return Talker(network, self._vocoder.load(network.model.get_output_embeddings().weight.device), codes)


def vision_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Parts of the checkpoint's `config.json` to replace, so that its encoder of frames is loaded here.

    The published ones ask for flash-attention. Where that is lacking, torch's own attention computes the same; the
    stand-in will not do, since transformers looks for the installed package.
    """
    try:
        version("flash_attn")
    except PackageNotFoundError:
        parts = {name: config.get(name, {}) for name in ("video_config", "visual_config")}
        asked = {name: part for name, part in parts.items() if part.get(ATTENTION) == "flash_attention_2"}
        return {name: {**part, ATTENTION: "sdpa"} for name, part in asked.items()}
    return {}


def _sampling(request: Request) -> Sampling:
    generation = request.generation
    return Sampling(generation.do_sample, generation.temperature, None, generation.top_p)
