"""Clips are prepared ahead and encoded together, and their features and answers stay the same to the last bit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.questions import SILENT, A, B, C, D, ask, clip, conversations, silent_clip, sound_clip

from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Request, Response

if TYPE_CHECKING:
    from avemo_harness.models.qwen_encoder import ClipEncoder
    from avemo_harness.models.qwen_omni import QwenOmni
    from avemo_harness.models.qwen_prompt import Piece

Make = Callable[..., "QwenOmni"]

CLIPS = [A, clip(4.4, 3), SILENT, clip(0.4, 9), sound_clip(0.7, 5), clip(2.0, 7), sound_clip(5.0, 11, "flac"), B, C]
"""Of all lengths and streams; sounds of more than one chunk of the encoder, of just one, and of less."""


@pytest.fixture
def encoder(make_qwen: Make) -> ClipEncoder:
    found: ClipEncoder = make_qwen()._network.encoder
    return found


def pieces_of(encoder: ClipEncoder, clips: Sequence[Clip]) -> list[Piece]:
    return [encoder.builder.clip_piece(one) for one in clips]


def content(response: Response) -> tuple[object, ...]:
    """Everything of an answer, its floats and samples to the last bit."""
    speech = None if response.speech is None else response.speech.samples.tobytes()
    return (response.text, response.label_logprobs, response.label_priors, response.flags, response.error, speech)


def prefetch(model: QwenOmni, requests: Sequence[Request]) -> None:
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(model.prefetch, requests))


class Preparing:
    """Notes which threads scale frames and compute mel spectra."""

    def __init__(self, patch: pytest.MonkeyPatch, processor: Any) -> None:
        self.ahead = self.between = 0
        for part in (processor.video_processor, processor.feature_extractor):
            self._watch(patch, type(part))

    def _watch(self, patch: pytest.MonkeyPatch, of: Any) -> None:
        call = of.__call__

        def noted(part: Any, *given: Any, **named: Any) -> Any:
            if threading.current_thread() is threading.main_thread():
                self.between += 1
            else:
                self.ahead += 1
            return call(part, *given, **named)

        patch.setattr(of, "__call__", noted)


def test_features_of_clips_encoded_together_are_those_of_each_alone(encoder: ClipEncoder, make_qwen: Make) -> None:
    together = encoder.encode(pieces_of(encoder, CLIPS))
    alone: ClipEncoder = make_qwen()._network.encoder
    for piece in pieces_of(alone, CLIPS):
        for stream, features in alone.encode([piece]).items():
            assert features.equal(together[stream])
    assert encoder.streams_encoded == alone.streams_encoded == len(together)
    # Videos in one pass, longer sounds in another one, and each of those of one chunk, and less, by itself.
    short = sum(one in CLIPS for one in (A, clip(2.0, 7), clip(0.4, 9), sound_clip(0.7, 5), C))
    assert encoder.passes == 2 + short


def test_a_pass_takes_no_more_than_its_room(encoder: ClipEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encoder.encode(pieces_of(encoder, [A, B, D]))
    passes = encoder.passes
    encoder.forget()
    monkeypatch.setattr("avemo_harness.models.qwen_encoder.PATCHES_AT_ONCE", 1)
    monkeypatch.setattr("avemo_harness.models.qwen_encoder.MELS_AT_ONCE", 1)
    split = encoder.encode(pieces_of(encoder, [A, B, D]))
    assert encoder.passes - passes == 6
    assert all(features.equal(whole[stream]) for stream, features in split.items())


@pytest.mark.parametrize("output", ["label", "rank", "reply"])
def test_prepared_ahead_answers_are_the_same_to_the_last_bit_and_nothing_is_prepared_between(
    output: str, make_qwen: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = conversations(output, max_new_tokens=12)
    plain, ahead = make_qwen(), make_qwen()
    expected = [content(answer) for answer in plain.generate(requests)]
    ahead.generate([ask(clip(1.0, 50))])
    preparing = Preparing(monkeypatch, ahead._processor)
    prefetch(ahead, requests)
    assert (preparing.ahead > 8, preparing.between) == (True, 0)
    assert [content(answer) for answer in ahead.generate(requests)] == expected
    assert preparing.between == 0


def test_without_room_what_was_prepared_is_made_again(make_qwen: Make) -> None:
    requests = conversations("rank")
    expected = [content(answer) for answer in make_qwen().generate(requests)]
    cramped = make_qwen()
    cramped.generate([ask(clip(1.0, 50))])
    cramped._network.encoder._inputs.room = cramped._prepared.room = 1
    prefetch(cramped, requests)
    assert sum(made.values.nbytes for made in _held(cramped)) < 2**20
    assert [content(answer) for answer in cramped.generate(requests)] == expected


def test_what_is_encoded_is_let_go_of(make_qwen: Make) -> None:
    model = make_qwen()
    model.generate([ask(clip(1.0, 50))])
    prefetch(model, [ask(A), ask(B)])
    assert len(_held(model)) == 4
    model.generate([ask(A)])
    assert len(_held(model)) == 2
    assert len(model._prepared._values) == 1, "the prompt of the next batch stays"


def _held(model: QwenOmni) -> list[Any]:
    return [made.result() for made in model._network.encoder._inputs._values.values()]


def test_turns_that_are_read_already_are_not_prepared_again(make_qwen: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_qwen()
    model.generate([ask(A, "I see.", B)])
    # As where so much was encoded since that the features of the history are gone, while its context is kept.
    model._network.encoder.forget()
    preparing = Preparing(monkeypatch, model._processor)
    prefetch(model, [ask(A, "I see.", B, "Go on.", C)])
    assert preparing.ahead == 2, "the frames and the sound of the new turn"


def test_a_clip_that_cannot_be_prepared_fails_where_it_is_asked_about(make_qwen: Make) -> None:
    model = make_qwen()
    model.generate([ask(clip(1.0, 50))])
    requests = [ask(A), ask(Clip.from_bytes(b"no clip at all", "broken.mp4")), ask(silent_clip(1.0, 51))]
    prefetch(model, requests)
    answers = model.generate(requests)
    assert [answer.error is None for answer in answers] == [True, False, True]
    assert "broken.mp4" in (answers[1].error or "")


def test_bfloat16_is_prepared_in_bfloat16(make_qwen: Make) -> None:
    import torch

    model = make_qwen(dtype="bfloat16")
    model.generate([ask(A)])
    prefetch(model, [ask(B)])
    assert {made.values.dtype for made in _held(model)} == {torch.bfloat16}
    assert np.isfinite(list((model.generate([ask(B, output="rank")])[0].label_logprobs or {}).values())).all()
