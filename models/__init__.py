"""Model classes, one file a family, listed here by name and imported only when asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from avemo_harness.arguments import typed_arguments
from avemo_harness.errors import ModelError
from avemo_harness.models.requirements import check_requires, is_requires, requires_of
from avemo_harness.plugins import Kind, Plugin, Registry, is_json_mapping

if TYPE_CHECKING:
    from avemo_harness.models.base import ModelSetup, OmniModel

MODELS = {
    "baseline": "avemo_harness.models.baseline:Baseline",
    "random": "avemo_harness.models.trivial:RandomAnswers",
    "constant": "avemo_harness.models.trivial:ConstantAnswer",
    "audio-oracle": "avemo_harness.models.oracle:AudioOracle",
    "video-oracle": "avemo_harness.models.oracle:VideoOracle",
    "reference": "avemo_harness.models.reference:Reference",
    "qwen2.5-omni": "avemo_harness.models.qwen_omni:QwenOmni",
    "minicpm-o": "avemo_harness.models.worker.minicpm_o:HostedMiniCpmO",
    "baichuan-omni": "avemo_harness.models.worker.baichuan_omni:HostedBaichuanOmni",
    "openai": "avemo_harness.models.served.openai:OpenAi",
    "hf-omni": "avemo_harness.models.hf_omni:HfOmni",
}


def _is_capabilities(value: Any) -> bool:
    from avemo_harness.models.base import Capabilities

    return isinstance(value, Capabilities)


MODEL = Kind(
    "model",
    ModelError,
    {
        "Arguments": dataclasses.is_dataclass,
        "capabilities": _is_capabilities,
        "identity": callable,
        "generate": callable,
    },
)
REGISTRY = Registry(MODEL, MODELS)


def load_model(name: str, arguments: Mapping[str, Any], setup: ModelSetup) -> OmniModel:
    """Make a model that is built in or that an installed package adds.

    Args:
        arguments: the model's own arguments by name; strings are converted to the declared types.
        setup: what the run offers every model.

    Raises:
        ModelError: no such model, one whose `requires` is not met, an argument it does not take, a value of the wrong
            type, or a broken package.
    """
    model_class = load_class(name)
    check_requires(name, requires_of(model_class))
    plugin = REGISTRY.plugin(name)
    if plugin is None:
        return _make(name, model_class, arguments, setup)
    with plugin.running("its construction"):
        model = _make(name, model_class, arguments, setup)
    _check_model(model, plugin)
    return model


def _make(name: str, model_class: Any, arguments: Mapping[str, Any], setup: ModelSetup) -> OmniModel:
    return cast("OmniModel", model_class(typed_arguments(name, model_class.Arguments, arguments, ModelError), setup))


def _check_model(model: OmniModel, plugin: Plugin) -> None:
    """Refuse a model that cannot say what a run keeps of it (ModelError)."""
    plugin.read("its capabilities", lambda: model.capabilities, _is_capabilities, "Capabilities")
    plugin.read("its identity()", lambda: model.identity(), is_json_mapping, "a mapping of names to texts")


def load_class(name: str) -> Any:
    """Import a model class; what a built-in one needs of heavy packages is not imported with it.

    Raises:
        ModelError: no such model, or a broken package.
    """
    model_class = REGISTRY.load(name)
    if plugin := REGISTRY.plugin(name):
        expected = "a mapping of package names to version ranges"
        plugin.read("its requires", lambda: requires_of(model_class), is_requires, expected)
    return model_class


def check_model(name: str) -> None:
    """Refuse a name that no model has, and a model that does not run on what is installed (ModelError)."""
    check_requires(name, requires_of(load_class(name)))
