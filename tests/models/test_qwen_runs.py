"""Stored answers of Qwen2.5-Omni are equal, byte for byte, in every batch size, shared or not, ahead or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.questions import A, B, C, ask
from support.synthetic_release import write_synthetic_release

from avemo_harness.benchmark.request import Item, Request, Response
from avemo_harness.media import encode_flac
from avemo_harness.run.config import RunConfig
from avemo_harness.run.prepare import prepare
from avemo_harness.run.store import RunStore, stored_response

if TYPE_CHECKING:
    from avemo_harness.models.qwen_omni import QwenOmni

pytestmark = pytest.mark.slow

Make = Callable[..., "QwenOmni"]
TASKS = ("multiturn_synthetic", "multiturn_synthetic_full_av_ranked")
DIALOGUE = [(A,), (A, "I see.", B), (A, "I see.", B, "Go on.", C)]
"""Clips and replies up to each turn of the user."""
Stored = dict[tuple[str, str], tuple[object, ...]]

WAYS = {
    "batches of three": (3, True),
    "batches of sixteen": (16, True),
    "one by one, nothing prepared ahead": (1, False),
    "batches of four, nothing prepared ahead": (4, False),
}


def stored(model: QwenOmni, release: Path, folder: Path, batch: int) -> Stored:
    """Everything that a run keeps of its answers, the bytes of its speech included, but for the keys of requests."""
    run = prepare(RunConfig(model="qwen", tasks=TASKS, dataset=str(release)), output_path=folder, model=model)
    run.ask(batch_size=batch)
    store = RunStore(folder)
    store.refresh()
    assert not store.errors
    return {
        item: (
            answer.text,
            answer.label_logprobs,
            answer.label_priors,
            answer.label_tokens,
            answer.prompt_tokens,
            answer.new_tokens,
            answer.flags,
            answer.speech_sha256,
            answer.speech_samples,
        )
        for item, answer in store.answers.items()
    }


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_release(tmp_path_factory.mktemp("release"), dialogues=2, turns=2)


@pytest.fixture(scope="module")
def one_by_one(make_qwen: Make, release: Path, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return stored(make_qwen(talker_do_sample=True), release, tmp_path_factory.mktemp("runs") / "one", 1)


@pytest.mark.parametrize("way", WAYS)
def test_a_run_stores_the_same_bytes(
    way: str, one_by_one: Stored, make_qwen: Make, release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, ahead = WAYS[way]
    model = make_qwen(talker_do_sample=True)
    if not ahead:
        monkeypatch.setattr(type(model), "prefetch", _leave)
    found = stored(model, release, tmp_path / "run", batch)
    assert {item: answer for item, answer in found.items() if answer != one_by_one[item]} == {}
    assert found.keys() == one_by_one.keys()
    assert any(answer[7] for answer in found.values()), "nobody speaks"


def _leave(model: QwenOmni, request: Request) -> None:
    """Prepare nothing."""


@pytest.mark.parametrize("batch", [1, 5])
def test_shared_context_stores_the_same_bytes(batch: int, make_qwen: Make) -> None:
    """Asked of equal requests: those of runs name the setting, and seed the draws of speech by it."""
    requests = [
        *(ask(*said, output=output) for said in DIALOGUE for output in ("label", "rank")),
        *(ask(*said, output="reply", question="Reply.", max_new_tokens=16) for said in DIALOGUE),
    ]
    shared, unshared = make_qwen(talker_do_sample=True), make_qwen(talker_do_sample=True, shared_context=False)
    for start in range(0, len(requests), batch):
        rows = requests[start : start + batch]
        assert [kept(answer) for answer in shared.generate(rows)] == [
            kept(answer) for answer in unshared.generate(rows)
        ]


def kept(response: Response) -> tuple[object, ...]:
    """Stored record of an answer, and the bytes of its speech."""
    item = Item("t", "d1/0", "d1", "d1", "d1", 0, "full_av")
    speech = response.speech and encode_flac(response.speech.samples, response.speech.rate_hz)
    return stored_response(item, None, response), speech
