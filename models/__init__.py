"""Model classes, one file a family, listed here by name and imported only when asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from avemo_harness.errors import ModelError
from avemo_harness.names import hint
from avemo_harness.plugins import Kind, Registry

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
        ModelError: no such model, an argument it does not take, a value of the wrong type, or a broken package.
    """
    model_class = REGISTRY.load(name)
    return cast("OmniModel", model_class(_typed_arguments(name, model_class, arguments), setup))


def check_model_name(name: str) -> None:
    """Refuse a name that no model has, without importing any (ModelError)."""
    REGISTRY.check(name)


def parse_arguments(text: str) -> dict[str, str]:
    """Split ``key=value,key2=value2``.

    Raises:
        ModelError: a part has no ``=``, or a key comes twice.

    >>> parse_arguments("label=sad,seed=3")
    {'label': 'sad', 'seed': '3'}
    """
    arguments: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise ModelError(f"{part!r}: model arguments are written key=value,key=value")
        if key in arguments:
            raise ModelError(f"model argument {key!r} is given twice")
        arguments[key] = value
    return arguments


def _typed_arguments(name: str, model_class: type[Any], given: Mapping[str, Any]) -> Any:
    from pydantic import TypeAdapter, ValidationError

    arguments_class = model_class.Arguments
    types = get_type_hints(arguments_class)
    known = [field.name for field in dataclasses.fields(arguments_class)]
    values = {}
    for key, value in given.items():
        if key not in known:
            raise ModelError(f"{name} takes no argument {key!r}{hint(key, known) or '; it takes none'}")
        try:
            values[key] = TypeAdapter(types[key]).validate_python(value)
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"]
            raise ModelError(f"{name}: argument {key}={value!r}: {reason}") from error
    return arguments_class(**values)
