"""Spoken replies of Baichuan-Omni-1.5: words and speech codes in turn, and the vocoder's folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.request import Speech
from avemo_harness.errors import GenerationError, ModelError, UsageError, first_line
from avemo_harness.models.baichuan_network import BaichuanNetwork
from avemo_harness.models.decoding import (
    NO_NUMBERS,
    Chooser,
    GeneratedText,
    Prefill,
    Sampling,
    only_numbers,
    seeded,
    until_end,
)
from avemo_harness.models.neural import SpokenReply
from avemo_harness.phases import phase
from avemo_harness.text import Notify
from avemo_harness.torch_setup import find_weights

if TYPE_CHECKING:
    from torch import Tensor

CODE, WEIGHTS = "cosy24k_vocoder", "hift.pt"


@dataclass(frozen=True, slots=True)
class VocoderFolder:
    """A folder whose code may be run, since it is known by its content.

    Args:
        content: digest of all that is in it.
    """

    path: Path
    content: str

    def load(self, device: Any) -> Any:
        """The published vocoder on a device.

        Raises:
            ModelError: its code does not run here, or its weights cannot be read.
        """
        from pickle import UnpicklingError

        # Its code imports a package that lies beside it; compiled files would change the folder that it is known by.
        if str(self.path) not in sys.path:
            sys.path.insert(0, str(self.path))
        compiles, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            vocoder_class = import_module(CODE).Cosy24kVocoder
            return vocoder_class.from_pretrained(str(self.path / WEIGHTS)).to(device).eval()
        except (ImportError, AttributeError, OSError, RuntimeError, UnpicklingError) as error:
            raise ModelError(f"{self.path}: the vocoder cannot be loaded ({first_line(error)})") from error
        finally:
            sys.dont_write_bytecode = compiles


def find_vocoder(path: str, say: Notify) -> VocoderFolder:
    """Pin a vocoder down.

    Raises:
        ModelError: there is no such folder, or it is another.
    """
    folder = Path(path).expanduser().resolve()
    for needed in (f"{CODE}.py", WEIGHTS):
        if not (folder / needed).is_file():
            raise ModelError(
                f"{path}: no vocoder of Baichuan-Omni-1.5: it has no {needed}; give the folder "
                "third_party/cosy24k_vocoder of the repository baichuan-inc/Baichuan-Omni-1.5"
            )
    try:
        return VocoderFolder(folder, find_weights(str(folder), None, say=say).content)
    except UsageError as error:
        raise ModelError(str(error)) from error


RATE_HZ = 24_000
CODES = Sampling(do_sample=True, temperature=0.5, top_k=5, top_p=0.85, repetition_penalty=1.3)
"""Sampling of speech codes as in the published demonstration."""
GREEDY_CODES = Sampling(do_sample=False, repetition_penalty=1.3)
LONGEST_STRETCH, LONGEST_WORDS, MOST_STRETCHES = 500, 50, 100
"""Codes, and tokens of words, of one stretch; stretches of a reply. All as published."""
PAUSES = frozenset(",!?，。！？")
"""Marks after which the words so far are spoken."""
FADE_S = 0.010


@dataclass
class _State:
    """One conversation while it is decoded: scores of the next token, KV cache, and the words so far."""

    scores: Tensor
    embedded: Tensor | None
    mask: Tensor
    next_position: Tensor
    cache: Any
    ids: list[int] = field(default_factory=list)


class Talker:
    """Speaks replies.

    Args:
        vocoder: makes sound of a spectrum by ``decode(mel, device)``, as the published one.
        codes: sampling of speech codes.
    """

    def __init__(self, network: BaichuanNetwork, vocoder: Any, codes: Sampling) -> None:
        self._network, self._vocoder, self._codes = network, vocoder, codes

    def reply(self, prefill: Prefill, words: Sampling, seed: int, limit: int) -> tuple[GeneratedText, SpokenReply]:
        """Continue one conversation with words and speech.

        Args:
            words: sampling of the words' tokens.
            limit: of the words' tokens.

        Raises:
            GenerationError: scores or samples are not numbers.
        """
        text, stretches, complete = self.codes(prefill, words, seed, limit)
        return text, SpokenReply(self._sound(stretches, seed), complete)

    def codes(
        self, prefill: Prefill, words: Sampling, seed: int, limit: int
    ) -> tuple[GeneratedText, list[Tensor], bool]:
        """Continue one conversation with words and stretches of speech codes, each [n, codebooks].

        Returns:
            the words, the stretches, and False where a stretch or the whole reached its limit.
        """
        import torch

        state = _State(prefill.scores, None, prefill.mask, prefill.next_position, prefill.cache)
        of_words = Chooser(words, [seed], self._network.placeholder_ids)
        of_codes = Chooser(self._codes, [seed])
        stretches: list[Tensor] = []
        complete, ended = True, False
        with torch.inference_mode():
            while not ended and len(stretches) < MOST_STRETCHES:
                before = len(state.ids)
                ended = not self._write(state, of_words, limit)
                if ended and set(state.ids[before:]) <= set(self._network.ends):
                    break
                codes, whole = self._say(state, of_codes)
                stretches.append(codes)
                complete &= whole
                self._feed(state, self._network.spoken)
        complete &= len(stretches) < MOST_STRETCHES
        return until_end(state.ids, self._network.ends), [codes for codes in stretches if len(codes)], complete

    def _write(self, state: _State, chooser: Chooser, limit: int) -> bool:
        """Write words up to where they are to be spoken; False where the answer ends."""
        import torch

        network = self._network
        for _ in range(LONGEST_WORDS):
            if int(state.next_position[0]) >= network.room:
                return False
            written = torch.tensor([state.ids], dtype=torch.long, device=state.scores.device)
            token = int(chooser.choose(written, only_numbers(written, state.scores))[0])
            if token == network.speaking:
                return True
            state.ids.append(token)
            if token in network.ends or len(state.ids) == limit:
                return False
            if PAUSES & set(network.tokenizer.decode([token])):
                # In the model's context the mark of speech takes the place of the pause, as published.
                return True
            self._feed(state, token)
        return True

    @phase("talk")
    def _say(self, state: _State, chooser: Chooser) -> tuple[Tensor, bool]:
        """Speak the last words; False where the speech was cut off."""
        import torch

        network = self._network
        self._feed(state, network.speaking)
        sizes = network.model.config.audio_config.vq_config.codebook_sizes
        said = torch.empty(1, 0, len(sizes), dtype=torch.long, device=state.scores.device)
        while said.shape[1] < LONGEST_STRETCH and int(state.next_position[0]) < network.room:
            frame = self._frame(state, chooser, said)
            if int(frame[0, 0]) == sizes[0]:
                return said[0], True
            said = torch.cat([said, frame[:, None]], dim=1)
            self._feed(state, network.placeholder_ids[0], frame)
        return said[0], False

    def _frame(self, state: _State, chooser: Chooser, said: Tensor) -> Tensor:
        """The next code of every codebook, [1, codebooks]; the first one's highest code is the end of the speech."""
        import torch

        model = self._network.model
        sizes = model.config.audio_config.vq_config.codebook_sizes
        frame = torch.zeros(1, len(sizes), dtype=torch.long, device=said.device)
        for book in range(len(sizes)):
            scores = model.audio_head(state.embedded, frame, model.model.audio_embed_layers)[book].float()
            scores = only_numbers(frame, scores)
            frame[:, book] = chooser.choose(said[:, :, book], scores if book == 0 else scores[:, :-1])
        return frame

    def _feed(self, state: _State, token: int, codes: Tensor | None = None) -> None:
        """Read one more token, or codes in the place of one."""
        import torch

        ids = torch.tensor([[token]], device=state.mask.device)
        state.mask = torch.cat([state.mask, state.mask.new_ones(1, 1)], dim=1)
        out = self._network.forward(ids, state.mask, state.next_position[:, None], state.cache, codes)
        state.scores, state.embedded = out.logits[:, -1].float(), out.audios_emb_for_infer
        state.cache, state.next_position = out.past_key_values, state.next_position + 1

    @phase("vocode")
    def _sound(self, stretches: Sequence[Tensor], seed: int) -> Speech | None:
        """The sound of speech codes; None where there are none.

        Args:
            seed: of the noise that flow matching and the vocoder begin with.

        Raises:
            GenerationError: the samples are not numbers.
        """
        import torch

        model, waves = self._network.model, []
        with torch.inference_mode(), seeded(seed):
            for codes in stretches:
                lengths = torch.tensor([len(codes)], device=codes.device)
                made = model.audio_tokenizer.decode(codes, bridge_length=lengths)
                mel = made.flow_matching_mel[0][: int(made.flow_matching_mel_lengths[0])]
                wave = self._vocoder.decode(mel.T.float()[None], device=str(codes.device))
                waves.append(wave.reshape(-1).float().cpu().numpy())
        samples = joined(waves, round(FADE_S * RATE_HZ))
        if not np.isfinite(samples).all():
            raise GenerationError(NO_NUMBERS)
        return Speech(samples, RATE_HZ) if len(samples) else None


def joined(waves: Sequence[NDArray[np.float32]], fade: int) -> NDArray[np.float32]:
    """Sounds one after the other, each faded into the next.

    Args:
        fade: samples that two sounds share; fewer where one is shorter.

    >>> [f"{sample:.2f}" for sample in joined([np.ones(4, np.float32), np.zeros(3, np.float32)], fade=2)]
    ['1.00', '1.00', '0.67', '0.33', '0.00']
    """
    whole = np.zeros(0, np.float32)
    for wave in waves:
        shared = min(fade, len(whole), len(wave))
        rising = (np.arange(1, shared + 1) / (shared + 1)).astype(np.float32)
        between = whole[len(whole) - shared :] * (1 - rising) + wave[:shared] * rising
        whole = np.concatenate([whole[: len(whole) - shared], between, wave[shared:]])
    return whole
