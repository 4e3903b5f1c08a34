"""Baichuan-Omni-1.5 driven part by part: sounds of one conversation at a time, the language model for many.

Sounds become discrete codes, which the padding of a batch could change, so every conversation's are made alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from avemo_harness.models.baichuan_inputs import Inputs
from avemo_harness.models.decoding import Prefix, left_padded

if TYPE_CHECKING:
    from torch import Tensor


class BaichuanNetwork:
    """The model.

    Args:
        model: as its published code loads it.
        tokenizer: the checkpoint's.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        config = model.config
        self.ends: tuple[int, ...] = (int(model.generation_config.eos_token_id),)
        # Places for media without media: the published code breaks where one is written.
        self.places = (
            int(config.audio_config.audio_pad_token_id),
            int(config.video_config.image_pad_token_id),
            int(config.video_config.video_place_token_id),
        )
        self.speaking = int(config.audio_config.audiogen_start_token_id)
        self.spoken = int(config.audio_config.audiogen_end_token_id)

    @property
    def room(self) -> int:
        """Tokens that the model reads and writes at most."""
        return int(self.model.config.max_position_embeddings)

    @property
    def suppressed(self) -> tuple[int, ...]:
        """As in `Network`; in an answer that is text alone nothing is spoken either."""
        return (*self.places, self.speaking)

    def read(self, rows: Sequence[Inputs]) -> Prefix:
        """Read conversations as one batch."""
        import torch

        device = self.model.get_input_embeddings().weight.device
        with torch.inference_mode():
            ids, mask = left_padded([row.ids.to(device) for row in rows], self._padding)
            heard = [self._sound_codes(row, device) for row in rows if row.sounds is not None]
            videos = [frame.to(device) for row in rows for frame in row.frames]
            with self._only_last_scores():
                out = self.model(
                    input_ids=ids,
                    attention_mask=mask,
                    # The published code counts positions from one.
                    position_ids=mask.cumsum(dim=1),
                    audios_tokens=torch.cat(heard) if heard else None,
                    videos=videos or None,
                    videos_patch_nums=[count for row in rows for count in row.frame_tokens] or None,
                    videos_grid=[grid for row in rows for grid in row.frame_grids] or None,
                    use_cache=True,
                    return_dict=True,
                )
        return Prefix(out.logits[:, -1].float(), mask, mask.sum(dim=1) + 1, out.past_key_values)

    def step(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> tuple[Tensor, Any]:
        """As in `Network`."""
        out = self.forward(ids, mask, positions, cache, None)
        return out.logits.float(), out.past_key_values

    def forward(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any, codes: Tensor | None) -> Any:
        """The published output after further tokens.

        Args:
            ids, mask, positions, cache: as in `step`.
            codes: of the speech that the tokens stand for, [tokens, codebooks].
        """
        import torch

        with torch.inference_mode():
            return self.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                audios_tokens=codes,
                use_cache=True,
                return_dict=True,
            )

    def repeated(self, cache: Any, count: int) -> Any:
        """As in `Network`."""
        return tuple(tuple(part.repeat_interleave(count, dim=0) for part in layer) for layer in cache)

    @property
    def _padding(self) -> int:
        pad = self.tokenizer.pad_token_id
        return self.ends[0] if pad is None or pad in self.places else int(pad)

    def _sound_codes(self, row: Inputs, device: Any) -> Tensor:
        """Codes of a conversation's sounds, [tokens, codebooks]."""
        assert row.sounds is not None
        sounds = row.sounds
        codes: Tensor = self.model.audio_tokenizer(
            sounds.features.to(device), sounds.states.to(device), sounds.tokens.to(device)
        )
        return codes

    @contextmanager
    def _only_last_scores(self) -> Iterator[None]:
        """Let the model make scores for the last position alone; a long prompt's would fill the memory."""
        hook = self.model.get_output_embeddings().register_forward_pre_hook(lambda module, given: (given[0][:, -1:],))
        try:
            yield
        finally:
            hook.remove()
