"""Features of the voice from the encoder of SenseVoice, run by the package funasr."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import UsageError, first_line
from avemo_harness.recognizers.features.base import Features
from avemo_harness.recognizers.features.speech import Samples, recording_sound, windowed_rows
from avemo_harness.recognizers.recordings import Modality, Recording
from avemo_harness.torch_setup import find_weights, import_transformers, own_device, required_version

_HOP = 960
"""Samples from one frame to the next, 60 ms: every sixth frame of the filter bank, with three on each side."""
_MIDDLE = 200
_QUERIES = 4
"""The first outputs answer for language, event, emotion and style of the text; the sound's frames follow."""
_EVENT, _EMOTION = 1, 2


@dataclass(frozen=True, slots=True)
class SenseVoiceArguments:
    """
    Args:
        pretrained: Hub id or folder of SenseVoice (config.yaml, model.pt and what belongs to them).
        revision: branch, tag or commit of a Hub id.
        device: where it runs; None takes the GPU of this process, else the CPU.
    """

    pretrained: str = "FunAudioLLM/SenseVoiceSmall"
    revision: str | None = None
    device: str | None = None


class SenseVoice:
    """Hidden states of SenseVoice's encoder, the mean over each half second.

    The encoder is called itself, since funasr's own interface gives text. Its noise for numerical safety (dither) is
    left out, so that the same sound always gives the same features.
    """

    Arguments = SenseVoiceArguments
    modality: Modality = "audio"

    def __init__(self, arguments: SenseVoiceArguments) -> None:
        self._arguments = arguments
        self._weights = find_weights(arguments.pretrained, arguments.revision, config="config.yaml")
        encoder = self._weights.settings("config.yaml").get("encoder_conf", {})
        if not isinstance(encoder.get("output_size"), int):
            raise UsageError(
                f"{arguments.pretrained}: not SenseVoice (its config.yaml has no encoder_conf.output_size)"
            )
        self._width = int(encoder["output_size"])

    @property
    def width(self) -> int:
        return self._width

    def identity(self) -> Mapping[str, str]:
        return {
            "extractor": "sensevoice",
            "version": "1",
            "weights": self._weights.content,
            "funasr": _funasr_version(),
        }

    def extract(self, streams: Recording, count: int, view: Modality) -> Features:
        del view
        return windowed_rows(recording_sound(streams, "sensevoice"), count, self._states, _frame_middles)

    def _states(self, sound: Samples) -> NDArray[np.float32]:
        """The encoder's frames of a stretch of sound, (frames, width)."""
        import torch

        model, frontend, device = self._parts
        with torch.inference_mode():
            speech, _ = frontend(torch.from_numpy(np.array(sound))[None], torch.tensor([len(sound)]))
            asked = [model.lid_dict["auto"], _EVENT, _EMOTION, model.textnorm_dict["woitn"]]
            queries = model.embed(torch.tensor([asked], device=device))
            speech = torch.cat([queries, speech.to(device)], dim=1)
            states = model.encoder(speech, torch.tensor([speech.shape[1]], device=device))[0]
            found: NDArray[np.float32] = states[0, _QUERIES:].float().cpu().numpy()
            return found

    @cached_property
    def _parts(self) -> tuple[Any, Any, str]:
        """Model, frontend and device."""
        import torch

        device = self._arguments.device or own_device()
        folder = self._weights.folder()
        _funasr_version()
        import_transformers()
        # Loading seeds the generators and prints; neither should be noticed outside.
        with torch.random.fork_rng(devices=[]), redirect_stdout(sys.stderr):
            try:
                loaded = import_module("funasr").AutoModel(
                    model=str(folder),
                    device=device,
                    ncpu=torch.get_num_threads(),
                    disable_update=True,
                    disable_pbar=True,
                    log_level="ERROR",
                )
            except (ImportError, OSError, RuntimeError, AssertionError, KeyError) as error:
                raise UsageError(f"sensevoice: {folder} cannot be loaded by funasr ({first_line(error)})") from error
        model, frontend = loaded.model, loaded.kwargs["frontend"]
        _check_complete(model, folder / "model.pt")
        frontend.dither = 0.0
        return model.eval().requires_grad_(False), frontend, device


def _check_complete(model: Any, path: Path) -> None:
    """UsageError where the file lacks weights of the encoder: funasr only prints of them and goes on."""
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, UnpicklingError) as error:
        raise UsageError(f"{path}: cannot be read ({first_line(error)}); download it again") from error
    for wrapper in ("state_dict", "model_state_dict", "model"):
        found = found.get(wrapper, found)
    shapes = {name: getattr(value, "shape", None) for name, value in found.items()}
    needed = {
        name: value.shape for name, value in model.state_dict().items() if name.startswith(("encoder.", "embed."))
    }
    if lacking := [name for name, shape in needed.items() if shapes.get(name) != shape]:
        raise UsageError(
            f"{path}: {len(lacking)} weights are missing or of another shape, such as {lacking[0]}; download it again"
        )


def _funasr_version() -> str:
    return required_version("funasr", "sensevoice needs the package funasr; install it: pip install 'funasr[knf]'")


def _frame_middles(count: int) -> NDArray[np.int64]:
    return np.arange(count, dtype=np.int64) * _HOP + _MIDDLE
