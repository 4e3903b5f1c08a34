"""The tools of each stage by name; imported only when one is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from avemo_harness.arguments import typed_arguments
from avemo_harness.build.pipeline.backends import DialogueBackend, FaceBackend, SpeechBackend
from avemo_harness.build.pipeline.config import BackendConfig
from avemo_harness.errors import UsageError
from avemo_harness.plugins import Kind, Registry, is_json_mapping

_HERE = "avemo_harness.build.pipeline"
REGISTRIES: Mapping[str, Registry] = {
    "dialogue": Registry(
        Kind("dialogue_backend", UsageError),
        {"builtin": f"{_HERE}.builtin_writer:BuiltinWriter", "openai": f"{_HERE}.openai_writer:OpenAIWriter"},
    ),
    "speech": Registry(
        Kind("speech_backend", UsageError),
        {
            "builtin": f"{_HERE}.builtin_clips:BuiltinSpeech",
            "openai_speech": f"{_HERE}.openai_speech:OpenAISpeech",
            "cosyvoice": f"{_HERE}.cosyvoice:CosyVoice",
            "command": f"{_HERE}.command_speech:CommandSpeech",
        },
    ),
    "face": Registry(
        Kind("face_backend", UsageError),
        {"builtin": f"{_HERE}.builtin_clips:BuiltinFace", "command": f"{_HERE}.command_face:CommandFace"},
    ),
}


def make_backend(stage: str, config: BackendConfig) -> Any:
    """Make the tool of a stage.

    Raises:
        UsageError: there is none of that name, it does not take its arguments, or its package is broken.
    """
    backend, plugin = REGISTRIES[stage].load(config.backend), REGISTRIES[stage].plugin(config.backend)
    if plugin is None:
        return _make(stage, backend, config)
    with plugin.running("its construction"):
        made = _make(stage, backend, config)
    plugin.read("its identity()", lambda: made.identity(), is_json_mapping, "a mapping of names to texts")
    return made


def _make(stage: str, backend: Any, config: BackendConfig) -> Any:
    return backend(typed_arguments(f"{stage}: {config.backend}", backend.Arguments, config.arguments, UsageError))


def make_writer(config: BackendConfig) -> DialogueBackend:
    """The tool that writes."""
    return cast("DialogueBackend", make_backend("dialogue", config))


def make_speech(config: BackendConfig) -> SpeechBackend:
    """The tool that speaks."""
    return cast("SpeechBackend", make_backend("speech", config))


def make_face(config: BackendConfig) -> FaceBackend:
    """The tool that animates."""
    return cast("FaceBackend", make_backend("face", config))
