"""A tiny checkpoint with the interfaces of Baichuan-Omni-1.5, and what the model class answers with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.legacy import plain, plain_all
from support.questions import A, B, C, ask, clip, conversations, mixed_streams, shuffled
from support.tiny_tokenizer import build_tokenizer

from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Request
from avemo_harness.errors import AvemoError, describe
from avemo_harness.models.base import ModelSetup

if TYPE_CHECKING:
    from avemo_harness.models.baichuan_omni import BaichuanOmni

TAGS = ("audio", "audiogen", "audiotext", "img", "video")
SPECIALS = (
    *("<|endoftext|>", "<B_SYS>", "<C_Q>", "<C_A>", "<audio_pad_baichuan>", "<img_pad_baichuan>"),
    *("<video_palce_baichuan>", *(f"<{tag}_{side}_baichuan>" for tag in TAGS for side in ("start", "end"))),
)
CODE = Path(__file__).with_name("remote_baichuan.py")
VOCODER = '''\
"""The vocoder of a tiny checkpoint."""

import torch


class Cosy24kVocoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.up = torch.nn.Linear(80, 480)

    def decode(self, mel, device="cuda"):
        return torch.tanh(self.up(mel.transpose(1, 2).to(device))).reshape(1, -1)

    @classmethod
    def from_pretrained(cls, path):
        vocoder = cls()
        vocoder.load_state_dict(torch.load(path, weights_only=True))
        return vocoder
'''
ENDING, SPEAKING, PAUSING, SILENCING = 1.5, 1.8, 1.6, 2.5
CODEBOOKS = (48, 24, 12, 12)


def build(folder: Path) -> Path:
    """Write the checkpoint and, beside it, the vocoder. Runs under transformers 4.45.0."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM

    write_code(folder)
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=True)
    model = AutoModelForCausalLM.from_config(config, trust_remote_code=True)
    ids = token_ids()
    with torch.no_grad():
        model.lm_head.weight.normal_()
        # Random weights hardly ever end, speak, pause, or fall silent.
        model.lm_head.weight[ids["<|endoftext|>"]] *= ENDING
        model.lm_head.weight[ids["<audiogen_start_baichuan>"]] *= SPEAKING
        model.lm_head.weight[build_tokenizer(SPECIALS).convert_tokens_to_ids(list(",!?"))] *= PAUSING
        model.audio_head.heads[0].weight[CODEBOOKS[0]] *= SILENCING
    save_file(model.state_dict(), folder / "model.safetensors", {"format": "pt"})
    torch.manual_seed(1)
    up = torch.nn.Linear(80, 480)
    torch.save({"up.weight": up.weight.data, "up.bias": up.bias.data}, vocoder_of(folder) / "hift.pt")
    return folder


def build_in(target: str) -> str:
    """Write it in a folder; returns where."""
    return str(build(Path(target) / "tiny"))


def vocoder_of(folder: Path) -> Path:
    """Where the vocoder of a checkpoint lies."""
    return folder.parent / "vocoder"


def token_ids() -> dict[str, int]:
    """Special tokens by name."""
    tokenizer = build_tokenizer(SPECIALS)
    return {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIALS}


def write_code(folder: Path) -> Path:
    """Write all of the checkpoint and the vocoder but their weights, as any version of transformers can."""
    folder.mkdir(parents=True)
    (folder / "modeling_omni.py").write_text(CODE.read_text(encoding="utf-8"), encoding="utf-8")
    tokenizer = build_tokenizer(SPECIALS, eos_token="<|endoftext|>", pad_token="<|endoftext|>")
    tokenizer.save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    _write(folder / "tokenizer_config.json", settings)
    ids = token_ids()
    audio: dict[str, Any] = {
        f"{tag}_{side}_token_id": ids[f"<{tag}_{side}_baichuan>"]
        for tag in ("audio", "audiogen", "audiotext")
        for side in ("start", "end")
    }
    audio |= {"audio_pad_token_id": ids["<audio_pad_baichuan>"], "sampling_rate": 16_000, "n_fft": 400}
    audio |= {"hop_length": 160, "kernel_size": 3, "stride_size": 2, "avg_pooler": 4}
    audio["vq_config"] = {"codebook_sizes": list(CODEBOOKS)}
    video = {
        "image_start_token_id": ids["<img_start_baichuan>"],
        "image_end_token_id": ids["<img_end_baichuan>"],
        "image_pad_token_id": ids["<img_pad_baichuan>"],
        "video_start_token_id": ids["<video_start_baichuan>"],
        "video_end_token_id": ids["<video_end_baichuan>"],
        "video_place_token_id": ids["<video_palce_baichuan>"],
        "max_pixels": 602_112,
        "max_frame_num": 32,
        "_attn_implementation": "flash_attention_2",
    }
    code = "modeling_omni.Omni"
    _write(
        folder / "config.json",
        {
            "architectures": ["OmniForCausalLM"],
            "auto_map": {"AutoConfig": f"{code}Config", "AutoModelForCausalLM": f"{code}ForCausalLM"},
            "model_type": "omni",
            "torch_dtype": "float32",
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "max_position_embeddings": 1500,
            "use_cache": False,
            "tie_word_embeddings": False,
            "audio_config": audio,
            "video_config": video,
        },
    )
    _write(folder / "generation_config.json", {"eos_token_id": ids["<|endoftext|>"]})
    vocoder = vocoder_of(folder)
    vocoder.mkdir(exist_ok=True)
    (vocoder / "cosy24k_vocoder.py").write_text(VOCODER, encoding="utf-8")
    return folder


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def make(folder: Path, setup: ModelSetup | None = None, **arguments: Any) -> BaichuanOmni:
    """The model class on a checkpoint, with small frames."""
    from avemo_harness.models.baichuan_omni import BaichuanOmni

    own = {"pretrained": str(folder), "vocoder": str(vocoder_of(folder)), "trust_code": True}
    given = {**own, "max_pixels": 16 * 28 * 28, **arguments}
    return BaichuanOmni(BaichuanOmni.Arguments(**given), setup or ModelSetup(device="cpu"))


def observe(target: str) -> dict[str, Any]:
    """Everything that the tests look at, in one process. Runs under transformers 4.45.0."""
    import torch

    folder = Path(build_in(target))
    model = make(folder)
    seen: dict[str, Any] = {"identity": dict(model.identity())}
    for output in ("label", "rank", "reply"):
        requests = [*conversations(output, max_new_tokens=24), *mixed_streams(output, max_new_tokens=24)]
        seen[f"{output} alone"] = {one.key: plain(model.generate([one])[0]) for one in requests}
        mixed = shuffled(requests)
        seen[f"{output} together"] = dict(
            zip([one.key for one in mixed], plain_all(make(folder).generate(mixed)), strict=True)
        )
    requests = [*conversations("label", max_new_tokens=24), *mixed_streams("label", max_new_tokens=24)]
    seen["texts"] = [plain(model.generate([one])[0]) for one in requests]
    seen["published"] = [published(model, one, 24) for one in requests]
    drawn = [ask(one, do_sample=True, temperature=0.9, top_p=0.95) for one in (A, C)]
    torch.manual_seed(5)
    seen["drawn"] = [plain(model.generate([one])[0]) for one in drawn]
    seen["drawn together"] = plain_all(model.generate(drawn))
    ranked = ask(A, "I see.", C, output="rank")
    seen["naive ranking"], seen["ranking"] = naive_ranking(model, ranked), plain(model.generate([ranked])[0])
    damaged = Clip.from_bytes(b"no clip at all", "broken.mp4")
    seen["damaged"] = plain_all(model.generate([ask(A), ask(damaged)]))
    seen["bfloat16"] = plain(make(folder, dtype="bfloat16").generate([ask(A, output="reply")])[0])
    seen["no numbers"] = no_numbers(make(folder))
    seen["unreadable"] = unreadable(make(folder))
    seen["too long"] = plain(model.generate([ask(A, max_new_tokens=1400)])[0])
    seen["fewer frames"] = plain(make(folder, max_frames=1).generate([ask(B)])[0])
    seen["smaller frames"] = plain(make(folder, max_pixels=4 * 28 * 28).generate([ask(B)])[0])
    seen["larger frames"] = plain(model.generate([ask(B)])[0])
    spoken = conversations("reply", max_new_tokens=24)[0]
    seen["greedy codes"] = plain(make(folder, codes_do_sample=False).generate([spoken])[0])
    seen["identity afterwards"] = dict(make(folder).identity())
    seen["reference reply"] = reference_replies(model, requests=conversations("reply", max_new_tokens=24)[:4])
    seen["refused"] = refusals(folder)
    return seen


def published(model: BaichuanOmni, request: Request, tokens: int) -> str:
    """The published way to a text: the processor's output for one prompt, and `generate`."""
    import torch

    row, tokenizer = model.inputs(request.messages, spoken=False), model._network.tokenizer
    sounds = row.sounds
    with torch.inference_mode():
        ids = model._network.model.generate(
            row.ids[None],
            attention_mask=torch.ones_like(row.ids[None]),
            audios=None if sounds is None else sounds.features,
            encoder_length=None if sounds is None else sounds.states,
            bridge_length=None if sounds is None else sounds.tokens,
            videos=list(row.frames) or None,
            videos_patch_nums=list(row.frame_tokens) or None,
            videos_grid=list(row.frame_grids) or None,
            max_new_tokens=tokens,
            do_sample=False,
            suppress_tokens=list(model._network.suppressed),
        )[0]
    text: str = tokenizer.decode(ids[len(row.ids) :], skip_special_tokens=True)
    return text


def naive_ranking(model: BaichuanOmni, request: Request) -> list[float]:
    """Log-probability of each label by one full pass for prompt and label."""
    import torch

    network, row = model._network, model.inputs(request.messages, spoken=False)
    assert row.sounds is not None
    scores = []
    for label in request.output.labels:  # type: ignore[union-attr]  # (labels are asked for)
        ids = torch.tensor(network.tokenizer(label, add_special_tokens=False).input_ids)
        whole = torch.cat([row.ids, ids])[None]
        with torch.inference_mode():
            logits = network.model(
                input_ids=whole,
                attention_mask=torch.ones_like(whole),
                position_ids=torch.arange(1, whole.shape[1] + 1)[None],
                audios=row.sounds.features,
                encoder_length=row.sounds.states,
                bridge_length=row.sounds.tokens,
                videos=list(row.frames),
                videos_patch_nums=list(row.frame_tokens),
                videos_grid=list(row.frame_grids),
            ).logits
        logprobs = logits[0].log_softmax(dim=-1)
        scores.append(float(logprobs[len(row.ids) - 1 : -1].gather(1, ids[:, None]).sum()))
    return scores


def reference_replies(model: BaichuanOmni, requests: list[Request]) -> list[dict[str, Any]]:
    """What the words and codes of replies are, and what they would be if everything were read anew for each stretch."""
    import torch

    from avemo_harness.models.baichuan_speech import GREEDY_CODES, Talker
    from avemo_harness.models.decoding import Sampling

    network = model._network
    talker = Talker(network, None, GREEDY_CODES)
    seen = []
    for request in requests:
        row = model.inputs(request.messages, spoken=True)
        text, codes, complete = talker.codes(network.prefill([row]), Sampling(False), request.seed, 24)
        stretches = [stretch.tolist() for stretch in codes]
        with torch.inference_mode():
            anew = _anew(model, row, 24)
        words = [*text.ids, *([network.ends[0]] if text.ended else [])]
        seen.append({"stretches": stretches, "words": words, "anew": anew, "complete": complete})
    return seen


def _anew(model: BaichuanOmni, row: Any, limit: int) -> dict[str, Any]:
    """The same reply, each token and each code from one pass over everything before it, greedily."""
    import torch

    network = model._network
    published, sizes = network.model, CODEBOOKS
    text: list[int] = []
    after: list[int] = []
    said: list[list[int]] = []
    stretches: list[list[list[int]]] = []

    def whole() -> Any:
        ids = torch.cat([row.ids, torch.tensor(after, dtype=torch.long)])[None]
        codes = [] if row.sounds is None else [network._sound_codes(row, "cpu")]
        codes += [torch.tensor(said)] if said else []
        return published(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            position_ids=torch.arange(1, ids.shape[1] + 1)[None],
            audios_tokens=torch.cat(codes) if codes else None,
            videos=list(row.frames) or None,
            videos_patch_nums=list(row.frame_tokens) or None,
            videos_grid=list(row.frame_grids) or None,
            use_cache=False,
        )

    def write() -> bool:
        for _ in range(50):
            scores = whole().logits[0, -1].clone()
            scores[list(network.placeholder_ids)] = float("-inf")
            token = int(scores.argmax())
            if token == network.speaking:
                return True
            text.append(token)
            if token in network.ends or len(text) == limit:
                return False
            if set(",!?") & set(network.tokenizer.decode([token])):
                return True
            after.append(token)
        return True

    def say() -> list[list[int]]:
        stretch: list[list[int]] = []
        after.append(network.speaking)
        while len(stretch) < 500:
            embedded = whole().audios_emb_for_infer
            frame = torch.zeros(1, len(sizes), dtype=torch.long)
            for book in range(len(sizes)):
                scores = published.audio_head(embedded, frame, published.model.audio_embed_layers)[book][0].clone()
                for code in {one[book] for one in stretch}:
                    scores[code] = scores[code] * 1.3 if scores[code] < 0 else scores[code] / 1.3
                frame[0, book] = int((scores if book == 0 else scores[:-1]).argmax())
            if int(frame[0, 0]) == sizes[0]:
                break
            stretch.append(frame[0].tolist())
            said.append(frame[0].tolist())
            after.append(network.placeholder_ids[0])
        return stretch

    more = True
    while more and len(stretches) < 100:
        before = len(text)
        more = write()
        if not more and set(text[before:]) <= set(network.ends):
            break
        stretches.append(say())
        after.append(network.spoken)
    return {"words": text, "stretches": [stretch for stretch in stretches if stretch]}


def no_numbers(model: BaichuanOmni) -> list[dict[str, Any]]:
    """Answers where the scores are not numbers: those of codes, then those of words."""
    import torch

    network = model._network.model
    with torch.no_grad():
        network.audio_head.heads[0].weight[5] = float("nan")
        codes = plain(model.generate([ask(A, output="reply", max_new_tokens=24)])[0])
        network.lm_head.weight[5] = float("nan")
    return [codes, *(plain(model.generate([ask(A, output=output)])[0]) for output in ("label", "rank", "reply"))]


def unreadable(model: BaichuanOmni) -> dict[str, Any]:
    """An answer where the processor cannot read a file that was written for it."""
    from avemo_harness.models.baichuan_network import InputBuilder

    class Losing(InputBuilder):
        def _write(self, clip: Clip, path: Path) -> Any:
            files = super()._write(clip, path)
            if files.video is not None:
                files.video.unlink()
            return files

    model.__dict__["_builder"] = Losing(model._builder._processor, model._decoder, model._builder._sound_sizes)
    return plain(model.generate([ask(A)])[0])


def refusals(folder: Path) -> dict[str, str]:
    """What is said of checkpoints that are unfit, by what was done to them."""
    import shutil

    def without_weight(spoiled: Path) -> None:
        from safetensors.torch import load_file, save_file

        weights = load_file(spoiled / "model.safetensors")
        del weights["lm_head.weight"]
        save_file(weights, spoiled / "model.safetensors", {"format": "pt"})

    def with_broken_code(spoiled: Path) -> None:
        code = spoiled / "modeling_omni.py"
        code.write_text(code.read_text(encoding="utf-8") + "\nimport no_such_package\n", encoding="utf-8")

    said = {}
    for spoil in (without_weight, with_broken_code):
        spoiled = Path(shutil.copytree(folder, folder.parent / spoil.__name__))
        spoil(spoiled)
        try:
            said[spoil.__name__] = f"answered: {make(spoiled).generate([ask(clip(1.0))])[0]}"
        except AvemoError as error:
            said[spoil.__name__] = describe(error)
    return said
