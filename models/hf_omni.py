"""Any native audio-video model of transformers: labels, rankings, and speech where it has a talker."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from typing import Any, ClassVar

from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Message, Request, Response, Speech
from avemo_harness.benchmark.task import LabelOutput, SpokenOutput
from avemo_harness.errors import GenerationError, ModelError, describe, first_line
from avemo_harness.models import Requires
from avemo_harness.models.base import Capabilities, ModelSetup, Output
from avemo_harness.models.decoding import NO_NUMBERS, GeneratedText, flags_of
from avemo_harness.models.hf_generation import Driver, EndTokens, Voice
from avemo_harness.models.hf_inputs import InputBuilder, Inputs
from avemo_harness.models.inputs import ClipDecoder, LruCache
from avemo_harness.models.neural import Batcher, Bucket, LabelRanker, check_room
from avemo_harness.models.weights import Attention, DType, Placement, load_native, resolve
from avemo_harness.torch_setup import quiet_loading, repair_torchvision

VERSION = "1"
PREPARED_BYTES = 2**31
"""Room for inputs between being measured and being answered; what does not fit is made again."""

TALKERS: Mapping[str, int] = {"qwen3_omni_moe": 24_000}
"""Sampling rates, in Hz, of the model types that speak; no config names its own."""


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request that is ready to be answered; its inputs are made again where they were given up."""

    request: Request
    streams: tuple[bool, bool]
    layout: Hashable
    length: int
    inputs: Callable[[], Inputs]

    @property
    def bucket(self) -> Bucket:
        settings = (self.layout, self.request.output.model_dump_json(), self.request.generation)
        return Bucket(self.streams, settings)


class HfOmni:
    """Answers with the whole audio-visual dialogue before it."""

    @dataclass(frozen=True, slots=True)
    class Arguments:
        """
        Args:
            pretrained: Hub id or folder of the checkpoint; needed.
            revision: branch, tag or commit of a Hub id.
            dtype: ``auto`` takes the one that the checkpoint was saved in.
            attn: implementation of attention; parts of a model that lack ``sdpa`` take ``eager`` instead.
            device_map: as accelerate knows it; ``auto`` spreads one model over several devices.
            fps: frames a second, the same for every clip.
            system: text of the system message; empty for none.
            speaker: the voice of replies; None for the class's own.
            talker_do_sample: draw speech codes with the published settings, seeded by the request; else greedily.
            talker_max_new_tokens: most speech codes of a reply.
        """

        pretrained: str = ""
        revision: str | None = None
        dtype: DType = "auto"
        attn: Attention = "sdpa"
        device_map: str | None = None
        fps: float = 2.0
        system: str = ""
        speaker: str | None = None
        talker_do_sample: bool = True
        talker_max_new_tokens: int = 4096

    # Below 5.23 processors lay sound out otherwise, without a word, and several models fail; it needs that Python.
    requires: ClassVar[Requires] = {"python": ">=3.11", "transformers": ">=5.23,<5.25"}
    capabilities = Capabilities(
        outputs=frozenset({"label_text", "label_ranking", "spoken_response"}), largest_batch=64, usual_batch=1
    )

    def __init__(self, arguments: Arguments, setup: ModelSetup) -> None:
        if arguments.fps <= 0:
            raise ModelError("hf-omni: fps must be above 0")
        self._arguments, self._setup = arguments, setup
        self._checkpoint = resolve(arguments.pretrained, arguments.revision, setup.say)
        config = self._checkpoint.config
        outputs: set[Output] = {"label_text", "label_ranking"}
        if config.get("model_type") in TALKERS and config.get("enable_audio_output", True):
            outputs.add("spoken_response")
        # What the class offers at most is narrowed to what this checkpoint does.
        self.capabilities = Capabilities(outputs=frozenset(outputs), largest_batch=64, usual_batch=1)
        self._speaks = "spoken_response" in outputs & setup.outputs
        self._decoder = ClipDecoder(arguments.fps)
        self._batcher = Batcher()
        self._prepared: LruCache[str, Inputs] = LruCache(PREPARED_BYTES, lambda inputs: inputs.nbytes)

    def identity(self) -> Mapping[str, str]:
        given, checkpoint = self._arguments, self._checkpoint
        return {
            "model": "hf-omni",
            "version": VERSION,
            "class": " ".join(checkpoint.config.get("architectures") or [str(checkpoint.config.get("model_type"))]),
            "weights": checkpoint.weights.content,
            "dtype": checkpoint.dtype(given.dtype),
            **{
                name: str(getattr(given, name))
                for name in (
                    *("attn", "device_map", "fps", "system"),
                    *("speaker", "talker_do_sample", "talker_max_new_tokens"),
                )
            },
            **{package: version(package) for package in ("transformers", "torch", "av")},
        }

    def prefetch(self, request: Request) -> None:
        """Decode a request's clips."""
        for clip in (block for message in request.messages for block in message.content if isinstance(block, Clip)):
            self._decoder.prefetch(clip)

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        answers = self._batcher.generate(requests, self._asked, self._answer)
        self._prepared.clear()
        return answers

    def _asked(self, request: Request) -> PreparedRequest:
        def inputs() -> Inputs:
            return self._prepared.get(request.key, lambda: self._builder.inputs(request.messages))

        made = inputs()
        check_room(made.length, request, self._driver.room, "a lower fps makes clips shorter")
        return PreparedRequest(request, made.streams, made.layout, made.length, inputs)

    def _answer(self, asked: Sequence[PreparedRequest]) -> Sequence[Response]:
        request = asked[0].request
        if isinstance(request.output, LabelOutput) and request.output.method == "rank":
            return [self._rank(one, request.output.labels) for one in asked]
        if isinstance(request.output, SpokenOutput):
            return [self._reply(one) for one in asked]
        if request.generation.do_sample:
            # One at a time, so that the draws are those of the request alone.
            told = [self._driver.write([one.inputs()], request.generation, one.request.seed)[0] for one in asked]
        else:
            told = self._driver.write([one.inputs() for one in asked], request.generation)
        return [self._response(one, text) for one, text in zip(asked, told, strict=True)]

    def _response(self, asked: PreparedRequest, told: GeneratedText) -> Response:
        if not told.finite:
            return Response(error=describe(GenerationError(NO_NUMBERS)))
        return Response(
            text=self._processor.tokenizer.decode(told.ids, skip_special_tokens=True),
            prompt_tokens=asked.length,
            new_tokens=len(told.ids) + told.ended,
            flags=flags_of(told.ids, told.ended),
        )

    def _reply(self, asked: PreparedRequest) -> Response:
        """Text and, of a model that speaks, sound; one request at a time, under its own seed."""
        request, given, row = asked.request, self._arguments, asked.inputs()
        if not self._speaks:
            (told,) = self._driver.write([row], request.generation, request.seed)
            return _with_speech(self._response(asked, told), None, "no_speech")
        rate = TALKERS[self._checkpoint.config["model_type"]]
        voice = Voice(given.speaker, rate, given.talker_do_sample, given.talker_max_new_tokens)
        try:
            spoken = self._driver.speak(row, request.generation, request.seed, voice)
        except GenerationError as error:
            return Response(error=describe(error))
        odd = (*([] if spoken.speech else ["no_speech"]), *([] if spoken.complete else ["speech_truncated"]))
        return _with_speech(self._response(asked, spoken.told), spoken.speech, *odd)

    def _rank(self, asked: PreparedRequest, labels: tuple[str, ...]) -> Response:
        logprobs = self._driver.label_logprobs(asked.inputs(), self._ranker.ids(labels))
        return self._ranker.response(asked.request, labels, logprobs, asked.length)

    @cached_property
    def _ranker(self) -> LabelRanker:
        def score(messages: Sequence[Message], labels: Sequence[Sequence[int]]) -> Sequence[float]:
            return self._driver.label_logprobs(self._builder.inputs(messages), labels)

        return LabelRanker(self._processor.tokenizer, score)

    @cached_property
    def _processor(self) -> Any:
        repair_torchvision()
        from transformers import AutoProcessor

        weights = self._checkpoint.weights
        try:
            with quiet_loading():
                return AutoProcessor.from_pretrained(  # type: ignore[no-untyped-call]
                    weights.path, revision=weights.revision, trust_remote_code=False
                )
        except (OSError, ValueError) as error:
            raise self._unfit(f"its processor cannot be loaded ({first_line(error)})") from error

    @cached_property
    def _builder(self) -> InputBuilder:
        return InputBuilder(self._processor, self._arguments.pretrained, self._decoder, self._arguments.system)

    @cached_property
    def _driver(self) -> Driver:
        repair_torchvision()
        from transformers import MODEL_FOR_MULTIMODAL_LM_MAPPING, AutoConfig

        given, checkpoint = self._arguments, self._checkpoint
        builder = self._builder
        try:
            config = AutoConfig.from_pretrained(
                checkpoint.weights.path, revision=checkpoint.weights.revision, trust_remote_code=False
            )
            model_class: Any = MODEL_FOR_MULTIMODAL_LM_MAPPING[type(config)]
        except (KeyError, ValueError) as error:
            raise self._unfit(
                f"transformers {version('transformers')} has no native class for multimodal text of "
                f"{checkpoint.config.get('model_type')!r} models"
            ) from error
        if hasattr(config, "enable_audio_output"):
            config.enable_audio_output = self._speaks
        if self._speaks:
            _check_speaker(given.pretrained, given.speaker, config.talker_config)
            # The talker's positions depend on it as soon as there is sound, and only the thinker's config holds it.
            config.talker_config.audio_config = config.thinker_config.audio_config
        dtype = checkpoint.dtype(given.dtype)
        # The library's own choice, part by part; named, "sdpa" is refused for models with a part that lacks it.
        attn = None if given.attn == "sdpa" else given.attn
        placement = Placement(dtype, attn, given.device_map, self._setup.device)
        self._setup.say(f"loading {given.pretrained} (torch.{dtype}, {given.attn})")
        model = load_native(model_class, checkpoint, placement, config=config)
        return Driver(model, _ends(builder, model.generation_config.eos_token_id))

    def _unfit(self, why: str) -> ModelError:
        return ModelError(
            f"{self._arguments.pretrained}: {why}; hf-omni is for models of transformers that see and hear"
        )


def _ends(builder: InputBuilder, listed: int | list[int] | None) -> EndTokens:
    """What ends an answer: the tokens that the checkpoint lists, and the one that closes a turn in its template."""
    tokenizer = builder.processor.tokenizer
    many = listed if isinstance(listed, list) else [listed]
    ends = tuple(sorted({token for token in (*many, tokenizer.eos_token_id, builder.turn_end()) if token is not None}))
    if not ends:
        raise ModelError(f"{builder.name}: nothing says which token ends an answer; set eos_token in its tokenizer")
    return EndTokens(ends, ends[0] if tokenizer.pad_token_id is None else tokenizer.pad_token_id)


def _check_speaker(name: str, speaker: str | None, talker: Any) -> None:
    speakers = sorted(talker.speaker_id or ())
    if speaker is not None and speaker.lower() not in speakers:
        raise ModelError(f"{name}: no speaker {speaker!r}; it has {', '.join(speakers)}")


def _with_speech(response: Response, speech: Speech | None, *odd: str) -> Response:
    """A reply; an error stays what it is."""
    return response if response.error else replace(response, speech=speech, flags=(*response.flags, *odd))
