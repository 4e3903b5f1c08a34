"""A tiny checkpoint with the interfaces of MiniCPM-o 2.6, and what the model class answers with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.legacy import plain, plain_all
from support.questions import A, C, ask, clip, conversations, mixed_streams, shuffled
from support.tiny_tokenizer import build_tokenizer

from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Request
from avemo_harness.errors import AvemoError, describe
from avemo_harness.models.base import ModelSetup

if TYPE_CHECKING:
    from avemo_harness.models.minicpm_network import PromptMessage
    from avemo_harness.models.minicpm_o import MiniCpmO

SPECIALS = (
    *("<unk>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<unit>", "<image>", "</image>", "<slice>", "</slice>"),
    *("<image_id>", "</image_id>", "<|audio_start|>", "<|audio_end|>", "<|spk_bos|>", "<|spk|>", "<|spk_eos|>"),
    *("<|tts_bos|>", "<|tts_eos|>"),
)
TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CODE = {"modeling_minicpmo.py": "remote_minicpm.py", "processing_minicpmo.py": "remote_minicpm_processing.py"}
IMAGES = """\
import numpy as np
import torch


def pixels_of(image):
    return torch.tensor(np.asarray(image, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)
"""
"""A piece of the code that only another piece imports."""
VOICE = "assets/input_examples/assistant_female_voice.wav"
ENDING = 1.5


def build(folder: Path) -> Path:
    """Write the checkpoint: code, settings, tokenizers, voice and seeded weights. Runs under transformers 4.45.0."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModel

    from avemo_harness.models.weights import cache_code, resolve_remote

    write_code(folder)
    cache_code(resolve_remote("minicpm-o", str(folder), None, trust_code=True))
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=True)
    config._name_or_path = str(folder)
    model = AutoModel.from_config(config, trust_remote_code=True)
    tokenizer = build_tokenizer(SPECIALS)
    with torch.no_grad():
        # Random weights hardly ever end, and never shout.
        model.llm.lm_head.weight[tokenizer.convert_tokens_to_ids("<|im_end|>")] *= ENDING
        model.llm.lm_head.weight[0] *= ENDING
    save_file(model.state_dict(), folder / "model.safetensors", {"format": "pt"})
    torch.save({"up": torch.randn(64, 10)}, folder / "assets" / "Vocos.pt")
    return folder


def build_in(target: str) -> str:
    """Write it in a folder; returns where."""
    return str(build(Path(target) / "tiny"))


def write_code(folder: Path) -> Path:
    """Write all of the checkpoint but its weights, as any version of transformers can."""
    import soundfile
    from support.clips import melody

    (folder / "assets" / "input_examples").mkdir(parents=True)
    for name, source in CODE.items():
        (folder / name).write_text(Path(__file__).with_name(source).read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "image_processing_minicpmv.py").write_text(IMAGES, encoding="utf-8")
    tokenizer = build_tokenizer(SPECIALS, unk_token="<unk>", eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    build_tokenizer(()).save_pretrained(folder / "assets" / "chattts_tokenizer")
    code = "modeling_minicpmo.MiniCPMO"
    config = {
        "architectures": ["MiniCPMO"],
        "auto_map": {"AutoConfig": f"{code}Config", "AutoModel": code},
        "model_type": "minicpmo",
        "torch_dtype": "float32",
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "initializer_range": 0.4,
        "tie_word_embeddings": False,
    }
    _write(folder / "config.json", config)
    processor = "MiniCPMOProcessor"
    references = {"AutoProcessor": f"processing_minicpmo.{processor}"}
    _write(folder / "preprocessor_config.json", {"processor_class": processor, "auto_map": references})
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["tokenizer_class"] = "MiniCPMOTokenizer"
    settings["auto_map"] = {"AutoTokenizer": [None, f"{code}TokenizerFast"]}
    # Newer releases of the library keep the template in a file of its own, which older ones do not read.
    settings["chat_template"] = TEMPLATE
    settings["clean_up_tokenization_spaces"] = False
    _write(folder / "tokenizer_config.json", settings)
    soundfile.write(folder / VOICE, melody(1.5, seed=3), 16_000)
    return folder


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def make(folder: Path, setup: ModelSetup | None = None, **arguments: Any) -> MiniCpmO:
    """The model class on a checkpoint."""
    from avemo_harness.models.minicpm_o import MiniCpmO

    given = {"pretrained": str(folder), "trust_code": True, **arguments}
    return MiniCpmO(MiniCpmO.Arguments(**given), setup or ModelSetup(device="cpu"))


def observe(target: str) -> dict[str, Any]:
    """Everything that the tests look at, in one process. Runs under transformers 4.45.0."""
    import torch

    folder = Path(build_in(target))
    model = make(folder)
    seen: dict[str, Any] = {"identity": dict(model.identity()), "bfloat16": _bfloat16(folder)}
    for output in ("label", "rank", "reply"):
        requests = [*conversations(output), *mixed_streams(output)]
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
    seen["naive ranking"] = naive_ranking(model, ask(A, "I see.", C, output="rank"))
    seen["ranking"] = plain(model.generate([ask(A, "I see.", C, output="rank")])[0])
    damaged = Clip.from_bytes(b"no clip at all", "broken.mp4")
    seen["damaged"] = plain_all(model.generate([ask(A), ask(damaged)]))
    seen["too long"] = plain(model.generate([ask(A, max_new_tokens=4000)])[0])
    seen["no numbers"] = no_numbers(make(folder))
    seen["labels only"] = labels_only(folder)
    seen["refused"] = refusals(folder)
    return seen


def _bfloat16(folder: Path) -> dict[str, Any]:
    return plain(make(folder, dtype="bfloat16").generate([ask(A, output="reply")])[0])


def published(model: MiniCpmO, request: Request, tokens: int) -> str:
    """The published `chat` with the documented arguments, greedily."""
    from PIL import Image

    def content(said: PromptMessage) -> list[Any]:
        return [part if isinstance(part, str) or part.ndim == 1 else Image.fromarray(part) for part in said.parts]

    from avemo_harness.models.minicpm_network import conversation

    said = conversation(model._system, request.messages, model._decoder.look_timed)
    text: str = model._network.model.chat(
        msgs=[{"role": one.role, "content": content(one)} for one in said],
        tokenizer=model._network.tokenizer,
        max_new_tokens=tokens,
        sampling=False,
        num_beams=1,
        repetition_penalty=1.0,
        omni_input=True,
        max_slice_nums=1,
        use_image_id=False,
    )
    return text


def naive_ranking(model: MiniCpmO, request: Request) -> list[float]:
    """Log-probability of each label by one full pass for prompt and label, through the language model's own forward."""
    import torch

    network = model._network
    row = network._embedded(model.inputs(request.messages, spoken=False))
    scores = []
    for label in request.output.labels:  # type: ignore[union-attr]  # (labels are asked for)
        ids = torch.tensor(network.tokenizer(label, add_special_tokens=False).input_ids)
        with torch.inference_mode():
            embedded = torch.cat([row, network.llm.get_input_embeddings()(ids)])[None]
            logprobs = network.llm(inputs_embeds=embedded).logits[0].log_softmax(dim=-1)
        scores.append(float(logprobs[len(row) - 1 : -1].gather(1, ids[:, None]).sum()))
    return scores


def no_numbers(model: MiniCpmO) -> list[dict[str, Any]]:
    """Answers where the scores are not numbers."""
    import torch

    with torch.no_grad():
        model._network.llm.lm_head.weight[5] = float("nan")
    return [plain(model.generate([ask(A, output=output)])[0]) for output in ("label", "rank", "reply")]


def labels_only(folder: Path) -> dict[str, Any]:
    """A model that is asked for labels alone."""
    model = make(folder, ModelSetup(device="cpu", outputs=frozenset({"label_text"})))
    answer = plain(model.generate([ask(A)])[0])
    return {"answer": answer, "has tts": hasattr(model._network.model, "tts")}


def refusals(folder: Path) -> dict[str, str]:
    """What is said of checkpoints that are unfit, by what was done to them."""
    import shutil

    def without_weight(spoiled: Path) -> None:
        from safetensors.torch import load_file, save_file

        weights = load_file(spoiled / "model.safetensors")
        del weights["llm.lm_head.weight"]
        save_file(weights, spoiled / "model.safetensors", {"format": "pt"})

    def without_vocoder(spoiled: Path) -> None:
        (spoiled / "assets" / "Vocos.pt").unlink()

    def with_gpu_vocoder(spoiled: Path) -> None:
        (spoiled / "assets" / "Vocos.pt").write_bytes(b"")

    def without_voice(spoiled: Path) -> None:
        (spoiled / VOICE).unlink()

    def with_broken_code(spoiled: Path) -> None:
        code = spoiled / "modeling_minicpmo.py"
        code.write_text(code.read_text(encoding="utf-8") + "\nfrom transformers import NoSuchThing\n", encoding="utf-8")

    spoilers: Sequence[Callable[[Path], None]] = (
        without_weight,
        without_vocoder,
        with_gpu_vocoder,
        without_voice,
        with_broken_code,
    )
    said = {}
    for spoil in spoilers:
        spoiled = Path(shutil.copytree(folder, folder.parent / spoil.__name__))
        spoil(spoiled)
        try:
            answer = make(spoiled).generate([ask(clip(1.0), output="reply")])[0]
            said[spoil.__name__] = f"answered: {answer}"
        except AvemoError as error:
            said[spoil.__name__] = describe(error)
    return said
