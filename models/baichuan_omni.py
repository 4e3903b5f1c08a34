"""Baichuan-Omni-1.5 by its published code: labels, rankings, spoken replies; transformers 4.45.0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar

from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Message, Response
from avemo_harness.errors import GenerationError, MediaError, ModelError
from avemo_harness.models import Requires
from avemo_harness.models.baichuan_network import BaichuanNetwork, InputBuilder, Inputs, SoundEncoderSizes
from avemo_harness.models.baichuan_speech import CODES, GREEDY_CODES, Talker, VocoderFolder, find_vocoder
from avemo_harness.models.base import ModelSetup
from avemo_harness.models.decoding import Sampling
from avemo_harness.models.inputs import ClipDecoder
from avemo_harness.models.neural import NeuralModel, PreparedRequest, one_by_one, with_speech
from avemo_harness.models.weights import Checkpoint, DType, check_trust, load_remote, load_tokenizer, resolve_remote

ATTENTION = "_attn_implementation"


class BaichuanOmni(NeuralModel[Inputs]):
    """Answers with the whole audio-visual dialogue before it."""

    name = "baichuan-omni"
    room_advice = "a lower max_pixels or max_frames makes clips shorter"
    requires: ClassVar[Requires] = {"transformers": "==4.45.0"}
    _arguments: Arguments

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

    def __init__(self, arguments: Arguments, setup: ModelSetup) -> None:
        if arguments.max_pixels < 28 * 28 or arguments.max_frames < 1:
            raise ModelError("baichuan-omni: max_pixels must be at least 784 and max_frames at least 1")
        super().__init__(arguments, setup, ClipDecoder(1.0))
        if self._speaks and not arguments.vocoder:
            raise ModelError(
                "baichuan-omni: spoken replies need its vocoder, which lies apart from the checkpoint: vocoder=FOLDER "
                "(third_party/cosy24k_vocoder of the repository baichuan-inc/Baichuan-Omni-1.5), or --skip_speech"
            )

    def identity_parts(self) -> Mapping[str, str]:
        content = self._checkpoint.weights.content
        return {
            "weights": content,
            "remote_code": content,
            "dtype": self._dtype,
            "vocoder": self._vocoder.content if self._vocoder else "none",
            **self._given("device_map", "max_pixels", "max_frames", "system", "spoken_system", "codes_do_sample"),
        }

    def prefetch_clip(self, clip: Clip) -> None:
        """Decode a clip's sound; its video is read by the published code."""
        with suppress(MediaError):
            self._decoder.sound(clip)

    def inputs(self, messages: Sequence[Message], spoken: bool) -> Inputs:
        given = self._arguments
        return self._builder.inputs(given.spoken_system if spoken else given.system, messages, spoken)

    def reply(self, batch: Sequence[PreparedRequest[Inputs]]) -> list[Response]:
        return one_by_one(self._reply, batch)

    def _reply(self, prepared: PreparedRequest[Inputs]) -> Response:
        """Words and sound of one reply, under its own seed."""
        if self._talker is None:
            raise GenerationError("baichuan-omni: it was loaded without its vocoder, since no reply was to be asked")
        request, generation = prepared.request, prepared.request.generation
        words = Sampling(generation.do_sample, generation.temperature, None, generation.top_p)
        prefill = self._prefill([prepared.inputs()])
        text, spoken = self._talker.reply(prefill, words, request.seed, generation.max_new_tokens)
        return with_speech(self._response(prepared, text), spoken)

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        given = self._arguments
        checkpoint = resolve_remote(self.name, given.pretrained, given.revision, given.trust_code, self._setup.say)
        checkpoint.check_type(self.name, "omni")
        return checkpoint

    @cached_property
    def _vocoder(self) -> VocoderFolder | None:
        given = self._arguments
        if not given.vocoder:
            return None
        vocoder = find_vocoder(given.vocoder, self._setup.say)
        check_trust(self.name, vocoder.path, given.trust_code)
        return vocoder

    @cached_property
    def _network(self) -> BaichuanNetwork:
        given, checkpoint = self._arguments, self._checkpoint
        placement = self._placement(None)
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
        return {
            name: {**part, ATTENTION: "sdpa"}
            for name, part in parts.items()
            if part.get(ATTENTION) == "flash_attention_2"
        }
    return {}
