"""Any native audio-video model of transformers: labels, rankings, and speech where it has a talker."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from avemo_harness.benchmark.request import Message, Request, Response, Speech
from avemo_harness.benchmark.task import GenerationSpec
from avemo_harness.errors import GenerationError, ModelError, SampleError, first_line
from avemo_harness.models import Requires
from avemo_harness.models.base import Capabilities, ModelSetup, Output
from avemo_harness.models.decoding import NO_NUMBERS, GeneratedText, last_scores, only_numbers, seeded, until_end
from avemo_harness.models.hf_inputs import InputBuilder, Inputs, collated
from avemo_harness.models.inputs import ClipDecoder
from avemo_harness.models.neural import NeuralModel, PreparedRequest, SpokenReply, one_by_one, with_speech
from avemo_harness.models.weights import Attention, DType, load_native
from avemo_harness.torch_setup import quiet_loading, repair_torchvision

if TYPE_CHECKING:
    from torch import Tensor

TALKERS: Mapping[str, int] = {"qwen3_omni_moe": 24_000}
"""Sampling rates, in Hz, of the model types that speak; no config names its own."""


class NativeNetwork:
    """A native model that generates with every setting given and none inherited from its checkpoint.

    Args:
        model: as `AutoModelForMultimodalLM` makes it; of a model in several parts, the thinker writes the text.
        ends: tokens that end an answer.
        pad: the token that fills up what comes after.
    """

    def __init__(self, model: Any, tokenizer: Any, ends: tuple[int, ...], pad: int) -> None:
        from transformers import GenerationConfig

        self.model, self.tokenizer, self.ends, self.pad = model, tokenizer, ends, pad
        self.writer = getattr(model, "thinker", model)
        self._takes = inspect.signature(self.writer.forward).parameters
        for part in model.modules():
            if hasattr(part, "generation_config"):
                part.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]

    @property
    def room(self) -> int:
        """Tokens that the model reads and writes at most."""
        return int(self.writer.config.get_text_config().max_position_embeddings)

    def write(self, rows: Sequence[Inputs], generation: GenerationSpec, seed: int | None = None) -> list[GeneratedText]:
        """Continue conversations of one layout.

        Args:
            seed: of the draws; needed where `generation` samples, which is for one conversation at a time.
        """
        finite = FiniteRows()
        with last_scores(self.writer.get_output_embeddings(), 1), seeded(seed):
            ids = self.writer.generate(**self._tensors(rows), **self._settings(generation), logits_processor=[finite])
        start = max(row.length for row in rows)
        generated = zip(ids[:, start:].tolist(), finite.rows(len(rows)), strict=True)
        return [until_end(row, self.ends, ok) for row, ok in generated]

    def speak(
        self, row: Inputs, generation: GenerationSpec, seed: int, talker: Mapping[str, Any], rate_hz: int
    ) -> tuple[GeneratedText, SpokenReply]:
        """Continue one conversation with text and speech.

        Args:
            talker: keyword arguments of ``generate`` for the talker.
            rate_hz: sampling rate of the speech.

        Raises:
            GenerationError: scores or samples are not numbers.
        """
        text, codes = Stream(), Stream()
        settings = self._settings(generation)
        settings |= {"logits_processor": [only_numbers], "streamer": text}
        tensors = self._tensors([row])
        wave = None
        try:
            with last_scores(self.writer.get_output_embeddings(), 1), seeded(seed), warnings.catch_warnings():
                # The talker is read as embeddings, which no penalty for repetition can see.
                warnings.filterwarnings("ignore", message="Passing `repetition_penalty`")
                _, wave = self.model.generate(
                    **tensors,
                    generation_mode="audio",
                    **{f"thinker_{name}": value for name, value in settings.items()},
                    **talker,
                    talker_logits_processor=[only_numbers],
                    talker_streamer=codes,
                )
        except RuntimeError:
            # The published code breaks where there is nothing to say, or no code was said.
            if not (text.ended and len(text.ids) < 2) and not (codes.ended and len(codes.ids) < 2):
                raise
        words = until_end(text.ids, self.ends)
        if wave is None:
            return words, SpokenReply(None)
        samples = wave.reshape(-1).float().cpu().numpy()
        if not np.isfinite(samples).all():
            raise GenerationError(NO_NUMBERS)
        speech = Speech(samples, rate_hz) if len(samples) else None
        return words, SpokenReply(speech, codes.ids[-1] == self.model.config.talker_config.codec_eos_token_id)

    def label_logprobs(self, row: Inputs, labels: Sequence[Sequence[int]]) -> list[float]:
        """Log-probability of each label after a conversation, summed over the label's tokens; nan where undefined.

        Args:
            labels: token ids of each label.
        """
        import torch

        longest = max(len(label) for label in labels)
        with torch.inference_mode(), last_scores(self.writer.get_output_embeddings(), longest + 1):
            scores = self.writer(**self._tensors([row.followed_by(label) for label in labels]), use_cache=False).logits
        sums = []
        for of_label, label in zip(scores[:, -longest - 1 :].float().cpu(), labels, strict=True):
            before = of_label[-len(label) - 1 : -1]
            chosen = torch.log_softmax(before, dim=-1).gather(1, torch.tensor(label)[:, None])
            sums.append(float(chosen.sum()) if torch.isfinite(before).all() else float("nan"))
        return sums

    def _tensors(self, rows: Sequence[Inputs]) -> dict[str, Any]:
        tensors: dict[str, Any] = {}
        for name, tensor in collated(rows, self.pad).items():
            # Features are computed with, times of clips are not.
            features = tensor.is_floating_point() and tensor.ndim > 1
            tensors[name] = tensor.to(self.writer.device, self.writer.dtype if features else tensor.dtype)
        if "use_audio_in_video" in self._takes:
            tensors["use_audio_in_video"] = rows[0].interleaved
        return tensors

    def _settings(self, generation: GenerationSpec) -> dict[str, Any]:
        drawn = {
            "temperature": 1.0 if generation.temperature is None else generation.temperature,
            "top_p": 1.0 if generation.top_p is None else generation.top_p,
            "top_k": 0,
        }
        return {
            "do_sample": generation.do_sample,
            **(drawn if generation.do_sample else {}),
            "num_beams": 1,
            "max_new_tokens": generation.max_new_tokens,
            "repetition_penalty": 1.0,
            "eos_token_id": list(self.ends),
            "pad_token_id": self.pad,
            "use_cache": True,
        }


class FiniteRows:
    """Notices rows of scores that are not numbers, and lets the generation go on without them."""

    def __init__(self) -> None:
        self._finite: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        finite = scores.isfinite().all(dim=-1)
        self._finite = finite if self._finite is None else self._finite & finite
        return scores.masked_fill(~finite[:, None], 0.0)

    def rows(self, count: int) -> list[bool]:
        """True for each row of the batch whose scores were all numbers."""
        return [True] * count if self._finite is None else [bool(row) for row in self._finite.tolist()]


class Stream:
    """Keeps the tokens of one generation as they come; what comes first is the prompt."""

    def __init__(self) -> None:
        self._parts: list[list[int]] = []
        self.ended = False

    @property
    def ids(self) -> list[int]:
        """Generated tokens, the end token included."""
        return [token for part in self._parts[1:] for token in part]

    def put(self, ids: Tensor) -> None:
        self._parts.append(ids.flatten().tolist())

    def end(self) -> None:
        self.ended = True


class HfOmni(NeuralModel[Inputs]):
    """Any native audio and video model of transformers, with the whole dialogue before it."""

    name = "hf-omni"
    room_advice = "a lower fps makes clips shorter"
    # Below 5.23 processors lay sound out otherwise, without a word, and several models fail; it needs that Python.
    requires: ClassVar[Requires] = {"python": ">=3.11", "transformers": ">=5.23,<5.25"}
    _arguments: Arguments

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

    def __init__(self, arguments: Arguments, setup: ModelSetup) -> None:
        if arguments.fps <= 0:
            raise ModelError("hf-omni: fps must be above 0")
        super().__init__(arguments, setup, ClipDecoder(arguments.fps))
        config = self._checkpoint.config
        outputs: set[Output] = {"label_text", "label_ranking", "text"}
        if config.get("model_type") in TALKERS and config.get("enable_audio_output", True):
            outputs.add("spoken_response")
        # What the class offers at most is narrowed to what this checkpoint does.
        self.capabilities = Capabilities(outputs=frozenset(outputs), largest_batch=64, usual_batch=1)
        self._speaks = "spoken_response" in outputs & setup.outputs

    def identity_parts(self) -> Mapping[str, str]:
        config = self._checkpoint.config
        return {
            "class": " ".join(config.get("architectures") or [str(config.get("model_type"))]),
            "weights": self._checkpoint.weights.content,
            "dtype": self._dtype,
            **self._given("attn", "device_map", "fps", "system"),
            **self._given("speaker", "talker_do_sample", "talker_max_new_tokens"),
        }

    def inputs(self, messages: Sequence[Message], spoken: bool) -> Inputs:
        return self._builder.inputs(messages)

    def prefetch(self, request: Request) -> None:
        """Let the processor make a request's inputs; before it is loaded, decode the clips."""
        if "_builder" not in self.__dict__:
            super().prefetch(request)
            return
        with suppress(SampleError):
            self._made(request)

    def rank(self, rows: Sequence[Inputs], labels: Sequence[Sequence[int]]) -> list[list[float]]:
        return [self._network.label_logprobs(row, labels) for row in rows]

    def write(self, batch: Sequence[PreparedRequest[Inputs]]) -> list[GeneratedText]:
        generation = batch[0].request.generation
        if generation.do_sample:
            # One at a time, so that the draws are those of the request alone.
            return [self._network.write([one.inputs()], generation, one.request.seed)[0] for one in batch]
        return self._network.write([one.inputs() for one in batch], generation)

    def reply(self, batch: Sequence[PreparedRequest[Inputs]]) -> list[Response]:
        return one_by_one(self._reply, batch)

    def _reply(self, prepared: PreparedRequest[Inputs]) -> Response:
        """Text and, of a model that speaks, sound, under the request's own seed."""
        request, row = prepared.request, prepared.inputs()
        if not self._speaks:
            (text,) = self._network.write([row], request.generation, request.seed)
            return with_speech(self._response(prepared, text), SpokenReply(None))
        rate_hz = TALKERS[self._checkpoint.config["model_type"]]
        text, spoken = self._network.speak(row, request.generation, request.seed, self._talker_settings, rate_hz)
        return with_speech(self._response(prepared, text), spoken)

    @property
    def _talker_settings(self) -> dict[str, Any]:
        given = self._arguments
        settings = {
            **({} if given.speaker is None else {"speaker": given.speaker}),
            "talker_do_sample": given.talker_do_sample,
            "talker_max_new_tokens": given.talker_max_new_tokens,
            "talker_repetition_penalty": 1.05,
        }
        drawn = {"talker_temperature": 0.9, "talker_top_k": 50, "talker_top_p": 1.0}
        return settings | (drawn if given.talker_do_sample else dict.fromkeys(drawn))

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
    def _network(self) -> NativeNetwork:
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
        # The library's own choice, part by part; named, "sdpa" is refused for models with a part that lacks it.
        attn = None if given.attn == "sdpa" else given.attn
        placement = self._placement(attn)
        self._setup.say(f"loading {given.pretrained} (torch.{placement.dtype}, {given.attn})")
        model = load_native(model_class, checkpoint, placement, config=config)
        tokenizer = builder.processor.tokenizer
        ends = _ends(builder, model.generation_config.eos_token_id)
        pad = ends[0] if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        return NativeNetwork(model, tokenizer, ends, pad)

    def _unfit(self, why: str) -> ModelError:
        return ModelError(
            f"{self._arguments.pretrained}: {why}; hf-omni is for models of transformers that see and hear"
        )


def _ends(builder: InputBuilder, listed: int | list[int] | None) -> tuple[int, ...]:
    """Tokens that end an answer: those that the checkpoint lists, and the one that closes a turn in its template."""
    many = listed if isinstance(listed, list) else [listed]
    known = {*many, builder.processor.tokenizer.eos_token_id, builder.turn_end()} - {None}
    if not known:
        raise ModelError(f"{builder.name}: nothing says which token ends an answer; set eos_token in its tokenizer")
    return tuple(sorted(token for token in known if token is not None))


def _check_speaker(name: str, speaker: str | None, talker: Any) -> None:
    speakers = sorted(talker.speaker_id or ())
    if speaker is not None and speaker.lower() not in speakers:
        raise ModelError(f"{name}: no speaker {speaker!r}; it has {', '.join(speakers)}")
