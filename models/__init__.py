"""Model classes, one file a family, listed here by name and imported only when asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from avemo_harness.errors import ModelError

if TYPE_CHECKING:
    from avemo_harness.models.base import ModelSetup, OmniModel

MODELS = {
    "baseline": "avemo_harness.models.baseline:Baseline",
    "random": "avemo_harness.models.trivial:RandomAnswers",
    "constant": "avemo_harness.models.trivial:ConstantAnswer",
    "audio-oracle": "avemo_harness.models.oracle:AudioOracle",
    "video-oracle": "avemo_harness.models.oracle:VideoOracle",
    "reference": "avemo_harness.models.reference:Reference",
}


def load_model(name: str, arguments: Mapping[str, Any], setup: ModelSetup) -> OmniModel:
    """Make a registered model.

    Args:
        arguments: the model's own arguments by name; strings are converted to the declared types.
        setup: what the run offers every model.

    Raises:
        ModelError: no such model, an argument it does not take, or a value of the wrong type.
    """
    check_model_name(name)
    module, attribute = MODELS[name].split(":")
    model_class = getattr(import_module(module), attribute)
    return cast("OmniModel", model_class(_typed_arguments(name, model_class, arguments), setup))


def check_model_name(name: str) -> None:
    """Refuse a name that is not registered, without importing any model (ModelError)."""
    if name not in MODELS:
        raise ModelError(f"unknown model {name!r}{_nearest(name, MODELS)}")


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
            raise ModelError(f"{name} takes no argument {key!r}{_nearest(key, known)}")
        try:
            values[key] = TypeAdapter(types[key]).validate_python(value)
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"]
            raise ModelError(f"{name}: argument {key}={value!r}: {reason}") from error
    return arguments_class(**values)


def _nearest(word: str, known: Any) -> str:
    names = sorted(known)
    close = get_close_matches(word, names, n=1)
    if close:
        return f"; nearest: {close[0]!r}"
    return f"; known: {', '.join(names)}" if names else "; it takes none"
