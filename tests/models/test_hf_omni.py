"""Native models of transformers answer in batches as alone and as their library's own full readings."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.native_omni import NativeOmni, Tiny
from support.questions import (
    MIXED,
    SILENT,
    SOUND,
    A,
    B,
    C,
    ask,
    conversations,
    mixed_streams,
    outcome,
    shuffled,
    silent_clip,
)

from avemo_harness.benchmark.release import EMOTIONS, Clip
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.errors import ModelError
from avemo_harness.models.base import Prefetching

if TYPE_CHECKING:
    from avemo_harness.models.hf_inputs import Inputs
    from avemo_harness.models.hf_omni import HfOmni
    from avemo_harness.models.neural import PreparedRequest
    from avemo_harness.models.qwen_omni import QwenOmni


@pytest.fixture(scope="session")
def qwen3(_quiet: None, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    from support.tiny_qwen3_omni import build

    return Tiny(build(tmp_path_factory.mktemp("checkpoints") / "qwen3"), interleaves=True, end="<|im_end|>")


@pytest.fixture(scope="session")
def gemma4(_quiet: None, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    from support.tiny_gemma4 import build

    return Tiny(build(tmp_path_factory.mktemp("checkpoints") / "gemma4"), interleaves=False, end="<turn|>")


@pytest.fixture(scope="session")
def looking_gemma4(_quiet: None, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Every token of a frame sees the whole frame, as in the larger models."""
    from support.tiny_gemma4 import build

    folder = tmp_path_factory.mktemp("checkpoints") / "looking"
    return Tiny(build(folder, use_bidirectional_attention="vision"), interleaves=False, end="<turn|>")


@pytest.fixture(scope="session", params=["qwen3", "gemma4"])
def tiny(request: pytest.FixtureRequest) -> Tiny:
    found: Tiny = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def model(tiny: Tiny) -> HfOmni:
    """A model that tests share; its answers do not depend on what it was asked before."""
    return tiny.make()


@pytest.fixture(scope="session")
def native(tiny: Tiny) -> NativeOmni:
    return NativeOmni(tiny.folder, tiny.interleaves, tiny.end)


ALSO_LOOKING = pytest.mark.parametrize("tiny", ["qwen3", "gemma4", "looking_gemma4"], indirect=True, scope="session")
SAMPLED = {"do_sample": True, "temperature": 1.5, "top_p": 0.95, "max_new_tokens": 12}


@ALSO_LOOKING
def test_a_shuffled_batch_answers_like_single_requests(model: HfOmni, tiny: Tiny) -> None:
    plain, drawn = conversations("label", max_new_tokens=20), conversations("label", **SAMPLED)[:4]
    requests = [*plain, *drawn, *mixed_streams("label", max_new_tokens=20)]
    singles = {request.key: model.generate([request])[0] for request in requests}
    batch = shuffled(requests)
    for request, answer in zip(batch, tiny.make().generate(batch), strict=True):
        assert answer.error is None
        assert outcome(answer) == outcome(singles[request.key])
    assert len({answer.text for answer in singles.values()}) > len(singles) / 2, "the checkpoint says the same to all"
    assert len({answer.new_tokens for answer in singles.values()}) > 4, "all answers have one length"


@pytest.mark.parametrize("request_", [conversations("label", max_new_tokens=8)[i] for i in (1, 4, 6, 8)])
def test_text_is_the_likeliest_whatever_the_checkpoint_would_sample(
    request_: Request, model: HfOmni, native: NativeOmni
) -> None:
    # The checkpoint's generation_config samples, with a penalty for repetition.
    ids = native.greedy_text(request_, 8)
    answer = model.generate([request_])[0]
    assert answer.text == native.processor.tokenizer.decode(ids, skip_special_tokens=True)
    assert answer.new_tokens in (len(ids), len(ids) + 1)
    assert answer.prompt_tokens == native.inputs(request_)["input_ids"].shape[1]


@ALSO_LOOKING
@pytest.mark.parametrize("request_", [conversations("rank")[i] for i in (1, 4, 6)])
def test_ranking_equals_a_full_forward_for_each_label(request_: Request, model: HfOmni, native: NativeOmni) -> None:
    import torch

    answer = model.generate([request_])[0]
    assert answer.label_logprobs is not None
    assert answer.label_tokens is not None
    for label in EMOTIONS:
        ids = native.processor.tokenizer(label, add_special_tokens=False).input_ids
        logprobs = torch.log_softmax(native.logits(request_, label).float(), dim=-1)[-len(ids) - 1 : -1]
        expected = logprobs.gather(1, torch.tensor(ids)[:, None]).sum().item()
        assert answer.label_logprobs[label] == pytest.approx(expected, abs=1e-4)
        assert answer.label_tokens[label] == len(ids)


def test_ranking_in_a_shuffled_batch_is_that_of_single_requests(model: HfOmni) -> None:
    requests = conversations("rank")[:3]
    singles = {request.key: model.generate([request])[0].label_logprobs for request in requests}
    batch = shuffled(requests)
    for request, answer in zip(batch, model.generate(batch), strict=True):
        assert answer.label_logprobs == pytest.approx(singles[request.key], abs=1e-4)


def test_a_batch_with_and_without_sound_is_split(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.make()
    seen: list[list[tuple[bool, bool]]] = []
    answer = model._answer

    def watch(batch: Sequence[PreparedRequest[Inputs]]) -> Sequence[Response]:
        seen.append([one.streams for one in batch])
        return answer(batch)

    monkeypatch.setattr(model, "_answer", watch)
    model.generate([ask(A), ask(SILENT), ask(A, question="And?"), ask(SOUND), ask(silent_clip(2.5, 8)), MIXED])
    assert all(len(set(batch)) == 1 for batch in seen)
    assert sorted(map(len, seen)) == [1, 1, 2, 2] if tiny.interleaves else [1, 2, 3]
    assert [(True, False)] * 2 in seen


def test_history_and_sound_change_the_scores(model: HfOmni) -> None:
    both, later = model.generate([ask(B, output="rank"), ask(A, "I see.", B, output="rank")])
    assert both.label_logprobs != pytest.approx(later.label_logprobs, abs=1e-3)
    quiet = model.generate([ask(with_other_sound(B), output="rank")])[0]
    assert quiet.prompt_tokens == both.prompt_tokens
    assert quiet.label_logprobs != pytest.approx(both.label_logprobs, abs=1e-3)


def with_other_sound(whole: Clip) -> Clip:
    """The same video with noise for sound."""
    from avemo_harness import media

    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000 * 3 + 3_200).astype(np.float32)
    return Clip.from_bytes(media.replace_sound(whole.read(), noise), "noise.mp4")


def test_draws_belong_to_the_request_whatever_was_drawn_before(model: HfOmni) -> None:
    import torch

    requests = [ask(one, **SAMPLED) for one in (A, C)]
    texts = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        texts.append([answer.text for answer in model.generate(requests)])
    assert texts[0] == texts[1]
    assert model.generate([ask(A, **{**SAMPLED, "temperature": 1.4})])[0].text != texts[0][0]


def test_an_answer_ends_as_turns_do_in_the_template(gemma4: Tiny, tmp_path: Path) -> None:
    unlisted = Path(shutil.copytree(gemma4.folder, tmp_path / "unlisted"))
    (unlisted / "generation_config.json").unlink()
    requests = conversations("label", max_new_tokens=20)[:3]
    expected = gemma4.make().generate(requests)
    assert any("truncated" not in answer.flags for answer in expected)
    answers = gemma4.make(pretrained=str(unlisted)).generate(requests)
    assert [outcome(answer) for answer in answers] == [outcome(answer) for answer in expected]


def test_eager_attention_gives_the_same_text(model: HfOmni, tiny: Tiny) -> None:
    requests = conversations("label")[:2]
    eager = tiny.make(attn="eager").generate(requests)
    assert [outcome(answer) for answer in eager] == [outcome(answer) for answer in model.generate(requests)]


def test_bfloat16_answers(tiny: Tiny) -> None:
    requests = [*conversations("label"), *conversations("rank")[:2], MIXED]
    assert [answer.error for answer in tiny.make(dtype="bfloat16").generate(requests)] == [None] * len(requests)


@pytest.mark.parametrize("how", [{"output": one} for one in ("label", "rank", "reply")] + [SAMPLED])
def test_scores_that_are_no_numbers_are_an_error(how: dict[str, Any], tiny: Tiny) -> None:
    import torch

    model = tiny.make()
    with torch.no_grad():
        model._network.writer.get_output_embeddings().weight[5] = float("nan")
    answer = model.generate([ask(C, **how)])[0]
    assert "GenerationError: the model's scores are not numbers" in (answer.error or "")
    assert answer.text is None
    assert answer.speech is None


def test_a_dialogue_longer_than_the_model_reads_is_an_error(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.make()
    short = model.generate([ask(A)])[0]
    assert short.prompt_tokens is not None
    text_config = model._network.writer.config.get_text_config()
    monkeypatch.setattr(text_config, "max_position_embeddings", short.prompt_tokens + 12)
    answers = model.generate([ask(A), ask(A, "I see.", B)])
    assert outcome(answers[0]) == outcome(short)
    assert "a lower fps makes clips shorter" in (answers[1].error or "")


def test_a_batch_that_does_not_fit_is_halved(model: HfOmni, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [ask(A, question=f"Question {number}?") for number in range(5)]
    expected = [outcome(answer) for answer in model.generate(requests)]
    write, sizes = model._network.write, list[int]()

    def small(rows: Sequence[Any], *how: Any) -> Any:
        sizes.append(len(rows))
        if len(rows) > 2:
            raise RuntimeError("CUDA out of memory.")
        return write(rows, *how)

    monkeypatch.setattr(model._network, "write", small)
    assert [outcome(answer) for answer in model.generate(requests)] == expected
    assert sizes == [5, 2, 2, 1]


def test_only_the_scores_that_are_needed_are_made(model: HfOmni, monkeypatch: pytest.MonkeyPatch) -> None:
    head, rows = model._network.writer.get_output_embeddings(), list[int]()
    forward = head.forward
    monkeypatch.setattr(head, "forward", lambda hidden: rows.append(hidden.shape[1]) or forward(hidden))
    model.generate([ask(A), ask(A, question="And?")])
    assert max(rows) == 1
    model.generate([ask(A, output="rank")])
    assert max(rows) == len("neutral") + 1


def test_clips_are_decoded_ahead(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.make()
    assert isinstance(model, Prefetching)
    model.prefetch(ask(A, "I see.", Clip.from_bytes(b"broken")))
    monkeypatch.setattr("avemo_harness.media.decode_frames", None)
    monkeypatch.setattr("avemo_harness.media.decode_sound", None)
    assert model.generate([ask(A)])[0].error is None


def test_the_system_prompt_comes_first(model: HfOmni, tiny: Tiny) -> None:
    kind = tiny.make(system="You are kind.").generate([ask(A)])[0]
    plain = model.generate([ask(A)])[0]
    assert kind.prompt_tokens is not None
    assert plain.prompt_tokens is not None
    assert kind.prompt_tokens > plain.prompt_tokens + len("You are kind.")
    assert kind.text != plain.text


def test_a_checkpoint_that_has_a_class_of_its_own_answers_as_there(
    make_qwen: Callable[..., QwenOmni], qwen_folder: Path
) -> None:
    from avemo_harness.models.qwen_prompt import SYSTEM

    requests = conversations("label", max_new_tokens=8)
    own = make_qwen(min_pixels=128 * 28 * 28, max_pixels=768 * 28 * 28)
    native = Tiny(qwen_folder, interleaves=True, end="<|im_end|>").make(system=SYSTEM)
    for answer, other in zip(native.generate(requests), own.generate(requests), strict=True):
        assert (answer.text, answer.prompt_tokens) == (other.text, other.prompt_tokens)
    assert "spoken_response" not in native.capabilities.outputs


Spoil = Callable[[Path], None]


def without_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


def with_text_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{% for message in messages %}{{ message.role }}{% endfor %}")


def of_another_kind(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": ["BertModel"]}))


def without_processor(folder: Path) -> None:
    (folder / "processor_config.json").unlink()


def without_weights(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights[next(name for name in weights if name.endswith("lm_head.weight"))]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without_template, "the checkpoint has no chat template"),
        (with_text_template, "gives 0 places for 1 video parts"),
        (of_another_kind, "transformers .* has no native class for multimodal text of 'bert' models"),
        (without_processor, "hf-omni is for models of transformers that see and hear"),
        (without_weights, "not a whole checkpoint"),
    ],
)
def test_an_unfit_checkpoint_is_refused(spoil: Spoil, said: str, gemma4: Tiny, tmp_path: Path) -> None:
    spoiled = Path(shutil.copytree(gemma4.folder, tmp_path / "spoiled"))
    spoil(spoiled)
    with pytest.raises(ModelError, match=said):
        Tiny(spoiled, False, "").make().generate([ask(A)])


@pytest.mark.parametrize("name", ["config.json", "processor_config.json"])
def test_code_of_a_folder_is_neither_run_nor_asked_about(
    name: str, gemma4: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(gemma4.folder, tmp_path / "with code"))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n", encoding="utf-8")
    named = {"AutoConfig": "own.Own"} if name == "config.json" else {"AutoProcessor": "own.Own"}
    settings = json.loads((folder / name).read_text(encoding="utf-8"))
    settings |= {"model_type": "own", "processor_class": "Own", "auto_map": named}
    (folder / name).write_text(json.dumps(settings), encoding="utf-8")
    questions: list[str] = []
    monkeypatch.setattr("builtins.input", lambda question="": questions.append(question) or "y")
    with pytest.raises(ModelError, match="hf-omni is for models of transformers that see and hear"):
        Tiny(folder, False, "").make().generate([ask(A)])
    assert questions == []
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("pretrained", "said"),
    [("", "pretrained=HUB_ID_OR_FOLDER"), ("./nowhere", "no such folder"), ("{empty}", "not a checkpoint")],
)
def test_a_wrong_folder_is_refused_at_once(pretrained: str, said: str, gemma4: Tiny, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=said):
        gemma4.make(pretrained=pretrained.format(empty=tmp_path))


def test_a_model_that_sees_no_frame_a_second_is_refused(gemma4: Tiny) -> None:
    with pytest.raises(ModelError, match="fps must be above 0"):
        gemma4.make(fps=0)


def test_inputs_made_ahead_by_other_threads_give_the_same_answers(
    tiny: Tiny, model: HfOmni, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = conversations("rank")
    expected = [answer.label_logprobs for answer in model.generate(requests[:3])]
    ahead = tiny.make()
    ahead.generate([ask(B, output="rank")])
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(ahead.prefetch, requests))
    monkeypatch.setattr(type(ahead._processor), "__call__", None)
    assert [answer.label_logprobs for answer in ahead.generate(requests[:3])] == expected
    assert len(ahead._prepared._values) == len(requests) - 3, "those of the next batch stay"
