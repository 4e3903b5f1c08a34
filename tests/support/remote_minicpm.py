"""The code of a tiny checkpoint with the interfaces of MiniCPM-o 2.6; copied into it and run by transformers 4.45.0.

It has the parts that the published code has, under their names, and its habits that matter: sounds of one message are
heard as one, three beams unless told otherwise, an answer that begins with the marks of speech as soon as there is
sound, every token 0 dropped from what `chat` returns.
"""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoProcessor, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from transformers.models.qwen2.modeling_qwen2 import Qwen2PreTrainedModel

MELS = 8
SPEECH_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n'}}"
    "{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n<|spk_bos|><|spk|><|spk_eos|><|tts_bos|>' }}{% endif %}"
)


class MiniCPMOConfig(Qwen2Config):
    model_type = "minicpmo"

    def __init__(
        self, audio_chunk_length=1.0, chunk_input=True, init_vision=True, init_audio=True, init_tts=True, **how
    ):
        self.audio_chunk_length, self.chunk_input = audio_chunk_length, chunk_input
        self.init_vision, self.init_audio, self.init_tts = init_vision, init_audio, init_tts
        super().__init__(**how)


class MiniCPMOTokenizerFast(PreTrainedTokenizerFast):
    audio_start, audio_end, tts_end = "<|audio_start|>", "<|audio_end|>", "<|tts_eos|>"

    def bounds(self, ids, start, end):
        """Places between two marks, [k, 2]."""
        starts = torch.where(ids == self.convert_tokens_to_ids(start))[0] + 1
        ends = torch.where(ids == self.convert_tokens_to_ids(end))[0]
        return torch.stack([starts, ends], dim=1)


class Tts(torch.nn.Module):
    streaming_text_reserved_len = 12

    def __init__(self, hidden):
        super().__init__()
        self.projector = torch.nn.Linear(hidden, 10)
        self.words = torch.nn.Embedding(512, 10)


class MiniCPMO(Qwen2PreTrainedModel):
    config_class = MiniCPMOConfig

    def __init__(self, config):
        super().__init__(config)
        self.llm = Qwen2ForCausalLM(config)
        if config.init_vision:
            self.vpm = torch.nn.Linear(3, config.hidden_size)
        if config.init_audio:
            self.apm = torch.nn.Conv1d(MELS, config.hidden_size, 3, stride=2, padding=1)
        if config.init_tts:
            self.tts = Tts(config.hidden_size)
        self.processor = AutoProcessor.from_pretrained(config._name_or_path, trust_remote_code=True)
        self.default_tts_chat_template = SPEECH_TEMPLATE
        self.terminators = ["<|im_end|>", "<|endoftext|>"]

    def get_sys_prompt(self, ref_audio=None, mode="default", language="zh"):
        words = f"You see and hear, {mode}, {language}."
        content = [words] if ref_audio is None else [words + " Speak like this:", ref_audio, "Do."]
        return {"role": "user", "content": content}

    def get_vllm_embedding(self, data):
        embedded = self.llm.model.embed_tokens(data["input_ids"]).clone()
        states = []
        for i, row in enumerate(data["pixel_values"]):
            states.append([self._look(pixels.type(embedded.dtype)) for pixels in row])
            for state, (start, end) in zip(states[-1], data["image_bound"][i].tolist(), strict=True):
                embedded[i, start:end] = state
        return embedded, states

    def _look(self, pixels):
        pooled = torch.nn.functional.adaptive_avg_pool2d(pixels, (2, 2)).flatten(1).T
        return self.vpm(pooled)

    def get_omni_embedding(self, data, input_embeddings, chunk_length=-1):
        if len(data["audio_features"]) == 0:
            return input_embeddings
        assert chunk_length == 1.0
        states = torch.tanh(self.apm(data["audio_features"].to(self.apm.weight.dtype)))
        states = torch.nn.functional.avg_pool1d(states, 2).transpose(1, 2)
        number = 0
        for i, lengths in enumerate(data["audio_feature_lens"]):
            counts = [(((int(length) - 1) // 2 + 1) - 2) // 2 + 1 for length in lengths]
            heard = torch.cat([states[number + k, :count] for k, count in enumerate(counts)]) if counts else None
            number += len(counts)
            begun = 0
            for start, end in data["audio_bounds"][i].tolist():
                input_embeddings[i, start:end] = heard[begun : begun + end - start]
                begun += end - start
        return input_embeddings

    def chat(
        self,
        msgs,
        tokenizer,
        max_new_tokens=2048,
        sampling=True,
        omni_input=False,
        max_slice_nums=None,
        use_image_id=None,
        use_tts_template=False,
        **kwargs,
    ):
        messages, images, audios, parts = copy.deepcopy(msgs), [], [], []
        for i, message in enumerate(messages):
            words = []
            for part in message["content"]:
                if isinstance(part, Image.Image):
                    images.append(part)
                    words.append("(<image>./</image>)")
                elif isinstance(part, np.ndarray):
                    audios.append(part)
                    parts.append(i)
                    words.append("(<audio>./</audio>)")
                    use_tts_template = True
                else:
                    words.append(part)
            message["content"] = ("" if omni_input else "\n").join(words)
        template = self.default_tts_chat_template if use_tts_template else None
        prompt = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, chat_template=template
        )
        how: dict[str, Any] = {"max_slice_nums": max_slice_nums, "use_image_id": use_image_id, "chunk_input": True}
        data = self.processor([prompt], [images], [audios], [parts], **how)
        settings = {"do_sample": True, "top_k": 100} if sampling else {"num_beams": 3, "repetition_penalty": 1.2}
        settings.update((name, kwargs[name]) for name in settings.keys() & kwargs.keys())
        with torch.inference_mode():
            embedded, _ = self.get_vllm_embedding(data)
            ids = self.llm.generate(
                inputs_embeds=self.get_omni_embedding(data, embedded, chunk_length=self.config.audio_chunk_length),
                attention_mask=data["attention_mask"],
                max_new_tokens=max_new_tokens,
                pad_token_id=0,
                eos_token_id=[tokenizer.convert_tokens_to_ids(end) for end in self.terminators],
                **settings,
            )[0]
        ids = ids[ids != 0]
        if len(ids) and int(ids[-1]) in [tokenizer.convert_tokens_to_ids(end) for end in self.terminators]:
            ids = ids[:-1]
        return tokenizer.decode(ids).replace(tokenizer.tts_end, "")

    def init_tts(self, tts_text_tokenizer_path=None, vocos_ckpt_path=None):
        from .processing_minicpmo import HOP

        assert HOP == 160
        if not Path(vocos_ckpt_path).read_bytes():
            raise AssertionError("Torch not compiled with CUDA enabled")
        words = PreTrainedTokenizerFast.from_pretrained(tts_text_tokenizer_path)
        self.tts_processor = SimpleNamespace(text_tokenizer=words)
        self.vocos = torch.load(vocos_ckpt_path, weights_only=True)

    def _generate_mel_spec(self, inputs, outputs, text):
        states = torch.vstack([step[-1][0] for step in outputs.hidden_states])
        start, end = inputs["spk_bounds"][0][-1]
        voice = self.tts.projector(states[start:end].to(self.tts.projector.weight.dtype))
        ids = self.tts_processor.text_tokenizer.encode(text, add_special_tokens=False)
        spoken = self.tts.words(torch.tensor(ids[: self.tts.streaming_text_reserved_len]))
        mel = torch.tanh(spoken + voice.mean(dim=0)).repeat_interleave(8, dim=0)
        return (mel + 0.01 * torch.randn_like(mel)).T[None]

    def decode_mel_to_audio(self, mel_spec, output_path=""):
        return torch.tanh((self.vocos["up"] @ mel_spec[0].float()).T.reshape(-1)), 24000
