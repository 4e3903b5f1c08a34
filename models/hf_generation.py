"""Generate with a native model of transformers, every setting given and none inherited."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from avemo_harness.benchmark.request import Speech
from avemo_harness.benchmark.task import GenerationSpec
from avemo_harness.errors import GenerationError
from avemo_harness.models.decoding import NO_NUMBERS, GeneratedText, last_scores, only_numbers, seeded, until_end
from avemo_harness.models.hf_inputs import Inputs, collated

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class EndTokens:
    """Tokens that end an answer, and the one that fills up what comes after."""

    ends: tuple[int, ...]
    pad: int


@dataclass(frozen=True, slots=True)
class GeneratedReply:
    """A generated reply; `speech` is None where the talker said nothing, and `complete` False where it was cut off."""

    told: GeneratedText
    speech: Speech | None
    complete: bool


@dataclass(frozen=True, slots=True)
class Voice:
    """How a talker speaks; None for the speaker is the class's own."""

    speaker: str | None
    rate_hz: int
    do_sample: bool
    max_new_tokens: int


class Driver:
    """Drives a model.

    Args:
        model: as `AutoModelForMultimodalLM` makes it; of a model in several parts, the thinker writes the text.
    """

    def __init__(self, model: Any, ends: EndTokens) -> None:
        from transformers import GenerationConfig

        self.model, self.ends = model, ends
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
        return [until_end(row, self.ends.ends, ok) for row, ok in generated]

    def speak(self, row: Inputs, generation: GenerationSpec, seed: int, voice: Voice) -> GeneratedReply:
        """Continue one conversation with text and speech.

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
                    **self._talker_settings(voice),
                    talker_logits_processor=[only_numbers],
                    talker_streamer=codes,
                )
        except RuntimeError:
            # The published code breaks where there is nothing to say, or no code was said.
            if not (text.ended and len(text.ids) < 2) and not (codes.ended and len(codes.ids) < 2):
                raise
        told = until_end(text.ids, self.ends.ends)
        if wave is None:
            return GeneratedReply(told, None, complete=True)
        samples = wave.reshape(-1).float().cpu().numpy()
        if not np.isfinite(samples).all():
            raise GenerationError(NO_NUMBERS)
        speech = Speech(samples, voice.rate_hz) if len(samples) else None
        return GeneratedReply(
            told, speech, complete=codes.ids[-1] == self.model.config.talker_config.codec_eos_token_id
        )

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
        for name, tensor in collated(rows, self.ends.pad).items():
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
            "eos_token_id": list(self.ends.ends),
            "pad_token_id": self.ends.pad,
            "use_cache": True,
        }

    def _talker_settings(self, voice: Voice) -> dict[str, Any]:
        settings = {
            **({} if voice.speaker is None else {"speaker": voice.speaker}),
            "talker_do_sample": voice.do_sample,
            "talker_max_new_tokens": voice.max_new_tokens,
            "talker_repetition_penalty": 1.05,
        }
        drawn = {"talker_temperature": 0.9, "talker_top_k": 50, "talker_top_p": 1.0}
        return settings | (drawn if voice.do_sample else dict.fromkeys(drawn))


class FiniteRows:
    """Notices rows of scores that are not numbers, and lets the generation go on without them."""

    def __init__(self) -> None:
        self._finite: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        finite = scores.isfinite().all(dim=-1)
        self._finite = finite if self._finite is None else self._finite & finite
        return scores.masked_fill(~finite[:, None], 0.0)

    def rows(self, count: int) -> list[bool]:
        """For each row of the batch, whether all its scores were numbers."""
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
