"""Speech of MiniCPM-o 2.6: its published text-to-speech model and vocoder, one reply at a time, at 24 kHz."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from avemo_harness.benchmark.request import Speech
from avemo_harness.errors import GenerationError, ModelError, first_line
from avemo_harness.models.hf_generation import seeded
from avemo_harness.models.remote_code import RemoteCheckpoint
from avemo_harness.models.sampling import NO_NUMBERS

if TYPE_CHECKING:
    from torch import Tensor

TOKENIZER, VOCODER = Path("assets/chattts_tokenizer"), Path("assets/Vocos.pt")
LONGEST_SAMPLES = 2048 * 512
"""Samples at 24 kHz that the published loop makes before it stops by itself: 2048 codes of 512 samples."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A spoken text; `complete` is False where the speech was cut off."""

    speech: Speech | None
    complete: bool


class Speaker:
    """Speaks texts.

    Args:
        model: loaded with its text-to-speech part.

    Raises:
        ModelError: the vocoder is not in the checkpoint, or cannot run here.
    """

    def __init__(self, model: Any, checkpoint: RemoteCheckpoint) -> None:
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

    def speak(self, text: str, voice: Tensor, seed: int) -> Spoken:
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
            wave, rate = model.decode_mel_to_audio(model._generate_mel_spec(bounds, states, text))
        samples = np.asarray(wave, dtype=np.float32).reshape(-1)
        if not np.isfinite(samples).all():
            raise GenerationError(NO_NUMBERS)
        words = len(model.tts_processor.text_tokenizer.encode(text, add_special_tokens=False))
        complete = words <= model.tts.streaming_text_reserved_len and len(samples) < LONGEST_SAMPLES
        return Spoken(Speech(samples, int(rate)) if len(samples) else None, complete)

    def _on_device(self) -> AbstractContextManager[Any]:
        """The published code speaks on the current GPU, whichever the model is on."""
        import torch

        device = self._model.device
        return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
