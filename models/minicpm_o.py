"""MiniCPM-o 2.6 by its published code: labels, rankings, spoken replies; transformers 4.45.0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.benchmark.request import Message, Response, Speech
from avemo_harness.errors import GenerationError, MediaError, ModelError, UsageError, first_line
from avemo_harness.models import Requires
from avemo_harness.models.base import ModelSetup
from avemo_harness.models.decoding import NO_NUMBERS, seeded
from avemo_harness.models.inputs import GRID_FPS, SOUND_RATE, ClipDecoder
from avemo_harness.models.minicpm_network import Inputs, MiniCpmNetwork, PromptMessage, conversation
from avemo_harness.models.neural import NeuralModel, PreparedRequest, SpokenReply, one_by_one, with_speech
from avemo_harness.models.weights import Attention, Checkpoint, DType, load_remote, load_tokenizer, resolve_remote
from avemo_harness.phases import phase
from avemo_harness.torch_setup import file_digest

if TYPE_CHECKING:
    from torch import Tensor

TOKENIZER, VOCODER = Path("assets/chattts_tokenizer"), Path("assets/Vocos.pt")
LONGEST_SAMPLES = 2048 * 512
"""Samples at 24 kHz that the published loop makes before it stops by itself: 2048 codes of 512 samples."""


class Speaker:
    """Speaks texts.

    Args:
        model: loaded with its text-to-speech part.

    Raises:
        ModelError: the vocoder is not in the checkpoint, or cannot run here.
    """

    def __init__(self, model: Any, checkpoint: Checkpoint) -> None:
        self._model = model
        tokenizer, vocoder = checkpoint.folder / TOKENIZER, checkpoint.folder / VOCODER
        for needed in (tokenizer, vocoder):
            # Without them the published code would take those of another repository, whose revision nothing pins down.
            if not needed.exists():
                raise ModelError(f"{checkpoint.weights.path}: it cannot speak without {needed.name}, which it lacks")
        try:
            with self._on_device():
                model.init_tts(str(tokenizer), str(vocoder))
        except (AssertionError, ImportError, RuntimeError) as error:
            raise ModelError(
                f"minicpm-o cannot speak here: {first_line(error)} (its published vocoder runs on a GPU only); "
                "leave reply tasks out, or run them with --skip_speech"
            ) from error
        model.tts.float()

    def speak(self, text: str, voice: Tensor, seed: int) -> SpokenReply:
        """Speak a text.

        Args:
            text: not empty.
            voice: states that describe the voice, [tokens, hidden].
            seed: of the draws.

        Raises:
            GenerationError: the samples are not numbers.
        """
        import torch

        model = self._model
        # The published method looks for the voice at these places of these states.
        states = SimpleNamespace(hidden_states=[(voice[None],)])
        bounds = {"spk_bounds": [torch.tensor([[0, len(voice)]])]}
        with torch.inference_mode(), self._on_device(), seeded(seed):
            with phase("talk"):
                spectrum = model._generate_mel_spec(bounds, states, text)
            with phase("vocode"):
                wave, rate = model.decode_mel_to_audio(spectrum)
        samples = np.asarray(wave, dtype=np.float32).reshape(-1)
        if not np.isfinite(samples).all():
            raise GenerationError(NO_NUMBERS)
        words = len(model.tts_processor.text_tokenizer.encode(text, add_special_tokens=False))
        complete = words <= model.tts.streaming_text_reserved_len and len(samples) < LONGEST_SAMPLES
        return SpokenReply(Speech(samples, int(rate)) if len(samples) else None, complete)

    def _on_device(self) -> AbstractContextManager[Any]:
        """The published code speaks on the current GPU, whichever the model is on."""
        import torch

        device = self._model.device
        return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


class MiniCpmO(NeuralModel[Inputs]):
    """Answers with the whole audio-visual dialogue before it."""

    name = "minicpm-o"
    room_advice = "ask it of shorter dialogues"
    packages = ("transformers", "torch", "av", "vocos", "vector-quantize-pytorch")
    requires: ClassVar[Requires] = {"transformers": "==4.45.0"}
    _arguments: Arguments

    @dataclass(frozen=True, slots=True)
    class Arguments:
        """
        Args:
            pretrained: Hub id or folder of the checkpoint.
            revision: commit of a Hub id, whole; its code is run, so a branch or tag is refused.
            trust_code: the code in a local folder may run; without it, a folder is refused.
            dtype: ``auto`` takes the one that the checkpoint was saved in.
            attn: implementation of attention.
            device_map: as accelerate knows it; ``auto`` spreads one model over several devices.
            language: of the system prompt, ``en`` or ``zh``.
            voice: sound file whose voice replies are spoken in: absolute, or a file of the checkpoint.
        """

        pretrained: str = "openbmb/MiniCPM-o-2_6"
        revision: str | None = None
        trust_code: bool = False
        dtype: DType = "auto"
        attn: Attention = "sdpa"
        device_map: str | None = None
        language: str = "en"
        voice: str = "assets/input_examples/assistant_female_voice.wav"

    def __init__(self, arguments: Arguments, setup: ModelSetup) -> None:
        if arguments.language not in ("en", "zh"):
            raise ModelError(f"minicpm-o: language is en or zh, not {arguments.language!r}")
        if not arguments.voice:
            raise ModelError("minicpm-o: replies need one voice to be comparable: voice=SOUND_FILE")
        super().__init__(arguments, setup, ClipDecoder(GRID_FPS))

    def identity_parts(self) -> Mapping[str, str]:
        content = self._checkpoint.weights.content
        return {
            "weights": content,
            "remote_code": content,
            "dtype": self._dtype,
            "voice": self._voice_content,
            **self._given("attn", "device_map", "language"),
        }

    def inputs(self, messages: Sequence[Message], spoken: bool) -> Inputs:
        system = self._spoken_system if spoken else self._system
        return self._network.inputs(conversation(system, messages, self._decoder.look_timed), spoken)

    def reply(self, batch: Sequence[PreparedRequest[Inputs]]) -> list[Response]:
        prefill = self._prefill([one.inputs() for one in batch])
        answers = self._responses(batch, self._complete(batch, prefill))
        return one_by_one(lambda row: self._spoken(*row), zip(batch, answers, prefill.voices, strict=True))

    def _spoken(self, prepared: PreparedRequest[Inputs], answer: Response, voice: Any) -> Response:
        """The answer with its speech; one of no words gets no sound."""
        if answer.error or self._speaker is None or voice is None or not (answer.text or "").strip():
            return with_speech(answer, SpokenReply(None))
        return with_speech(answer, self._speaker.speak(answer.text or "", voice, prepared.request.seed))

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        given = self._arguments
        checkpoint = resolve_remote(self.name, given.pretrained, given.revision, given.trust_code, self._setup.say)
        checkpoint.check_type(self.name, "minicpmo")
        return checkpoint

    @cached_property
    def _network(self) -> MiniCpmNetwork:
        given, checkpoint = self._arguments, self._checkpoint
        placement = self._placement(given.attn)
        self._setup.say(f"loading {given.pretrained} ({placement.dtype}, {given.attn})")
        parts = {"init_vision": True, "init_audio": True, "init_tts": self._speaks}
        return MiniCpmNetwork(load_remote("AutoModel", checkpoint, placement, **parts), load_tokenizer(checkpoint))

    @cached_property
    def _speaker(self) -> Speaker | None:
        return Speaker(self._network.model, self._checkpoint) if self._speaks else None

    @cached_property
    def _system(self) -> PromptMessage:
        return self._published_system(None)

    @cached_property
    def _spoken_system(self) -> PromptMessage:
        return self._published_system(self._voice)

    def _published_system(self, voice: NDArray[np.float32] | None) -> PromptMessage:
        """The system prompt of audio-visual dialogues; with a voice, replies take it on."""
        said = self._network.model.get_sys_prompt(ref_audio=voice, mode="omni", language=self._arguments.language)
        return PromptMessage(said["role"], tuple(said["content"]))

    @property
    def _voice(self) -> NDArray[np.float32]:
        """The reference voice at 16 kHz."""
        path = Path(self._arguments.voice).expanduser()
        try:
            samples, rate = media.read_sound_file(path if path.is_absolute() else self._checkpoint.folder / path)
        except MediaError as error:
            raise ModelError(f"minicpm-o: the voice of replies cannot be read: {error}") from error
        return media.resample(samples, rate, SOUND_RATE)

    @property
    def _voice_content(self) -> str:
        """Identity of the voice, wherever its file lies; a file of the checkpoint is pinned down with that."""
        path = Path(self._arguments.voice).expanduser()
        if not path.is_absolute():
            return self._arguments.voice
        try:
            return f"sha256:{file_digest(path, self._setup.say)}"
        except UsageError as error:
            raise ModelError(
                f"minicpm-o: the voice of replies cannot be read: {path}; give voice=SOUND_FILE"
            ) from error
