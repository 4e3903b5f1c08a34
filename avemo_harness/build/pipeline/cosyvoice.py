"""Speech of the FastAPI server that CosyVoice brings along (``runtime/python/fastapi/server.py``).

It takes multipart forms and streams bare 16-bit samples. It draws a seed of its own for each request, so that equal
utterances sound different each time they are asked for.
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from avemo_harness.build.pipeline.backends import Sound, Utterance
from avemo_harness.build.pipeline.placeholders import UTTERANCE_PLACEHOLDERS, Template, utterance_values
from avemo_harness.build.pipeline.speech_answer import read_pcm_answer
from avemo_harness.build.pipeline.tool_server import BOUNDS, FormRequest, Server
from avemo_harness.errors import BuildError, UsageError

_NOT_IDENTITY = ("base_url", "attempts", "timeout_s")


class CosyVoice:
    """Speaks utterances by CosyVoice.

    The style reaches the voice by words in the mode ``instruct2``, and in ``zero_shot`` only by the reference
    recording, which may differ between emotions; in ``sft`` the voices are fixed and there is no style.
    """

    @dataclass(frozen=True)
    class Arguments:
        """Where the server is and how it is asked.

        Args:
            base_url: such as ``http://127.0.0.1:50000``.
            mode: of its entry points ``/inference_…``.
            sample_rate: of the model it serves: 22050 for CosyVoice 1, 24000 for 2 and 3.
            prompt_wav: path of the reference recording; for ``instruct2`` and ``zero_shot``. In the latter, a text file
                of the same name with ``.txt`` holds its words.
            instruct_text: for ``instruct2``.
            speaker: name of a voice of the model's, for ``sft``. All three may hold {speaker}, {voice}, {gender},
                {style} and {emotion} of the utterance.
            version: of the model; only recorded.
            attempts, timeout_s: for each utterance, and between two pieces of an answer.
        """

        base_url: str
        mode: Literal["instruct2", "zero_shot", "sft"] = "instruct2"
        sample_rate: int = 24_000
        prompt_wav: str = ""
        instruct_text: str = "{style}"
        speaker: str = "{voice}"
        version: str = ""
        attempts: int = 5
        timeout_s: float = 120.0

    def __init__(self, arguments: Arguments) -> None:
        if arguments.mode != "sft" and not arguments.prompt_wav:
            raise UsageError(f"prompt_wav: the mode {arguments.mode} needs a reference recording; give its path")
        self._arguments = arguments
        self._prompt_wav = Template.parse("prompt_wav", arguments.prompt_wav, UTTERANCE_PLACEHOLDERS)
        self._instruct_text = Template.parse("instruct_text", arguments.instruct_text, UTTERANCE_PLACEHOLDERS)
        self._speaker = Template.parse("speaker", arguments.speaker, UTTERANCE_PLACEHOLDERS)
        if arguments.mode != "sft" and not self._prompts():
            raise UsageError(f"prompt_wav: there is no file {arguments.prompt_wav}; correct the path")
        bounds = replace(BOUNDS, attempts=arguments.attempts, silence_s=arguments.timeout_s)
        self._server = Server(arguments.base_url, bounds=bounds)

    def identity(self) -> Mapping[str, str]:
        """How the server is asked, and a digest of all reference recordings and their words; not where it is."""
        settings = {name: str(value) for name, value in asdict(self._arguments).items() if name not in _NOT_IDENTITY}
        return {"tool": "cosyvoice", **settings, "prompts_sha256": self._prompts_digest()}

    def speak(self, utterance: Utterance) -> Sound:
        """The sound of an utterance; raises a BuildError where the server gives none."""
        request = self._request(utterance)
        rate, text = self._arguments.sample_rate, utterance.line.text
        return self._server.ask(utterance.unit_id, request, lambda answer: read_pcm_answer(answer, rate, text))

    def _request(self, utterance: Utterance) -> FormRequest:
        mode, values = self._arguments.mode, utterance_values(utterance)
        path, fields = f"/inference_{mode}", {"tts_text": utterance.line.text}
        if mode == "sft":
            return FormRequest(path, {**fields, "spk_id": self._speaker.fill(values)})
        prompt = Path(self._prompt_wav.fill(values))
        if mode == "instruct2":
            fields["instruct_text"] = self._instruct_text.fill(values)
        else:
            fields["prompt_text"] = (
                _read(utterance.unit_id, prompt.with_suffix(".txt")).decode(errors="replace").strip()
            )
        return FormRequest(path, fields, {"prompt_wav": _read(utterance.unit_id, prompt)})

    def _prompts(self) -> list[Path]:
        """The files that the path can stand for, whatever is put into it."""
        any_utterance = dict.fromkeys(UTTERANCE_PLACEHOLDERS, "*")
        pattern = Template.parse("prompt_wav", glob.escape(self._arguments.prompt_wav), UTTERANCE_PLACEHOLDERS)
        return [path for path in map(Path, sorted(glob.glob(pattern.fill(any_utterance)))) if path.is_file()]

    def _prompts_digest(self) -> str:
        """Of all recordings, and of their words where they are sent too."""
        if self._arguments.mode == "sft":
            return ""
        digest = hashlib.sha256()
        for path in self._prompts():
            words = path.with_suffix(".txt")
            sent = [path, words] if self._arguments.mode == "zero_shot" and words.is_file() else [path]
            for file in sent:
                digest.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
        return digest.hexdigest()


def _read(unit: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BuildError(f"{unit}: {path}: the reference recording cannot be read ({error.strerror})") from error
