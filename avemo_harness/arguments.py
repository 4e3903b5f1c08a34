"""Arguments that are written ``key=value,key=value``, and the dataclass that says which there are and of what type."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from avemo_harness.errors import UsageError
from avemo_harness.names import hint

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
Arguments = TypeVar("Arguments", bound="DataclassInstance")


def parse_arguments(text: str) -> dict[str, str]:
    """Split ``key=value,key2=value2``.

    Raises:
        UsageError: a part has no ``=``, or a key comes twice.

    >>> parse_arguments("label=sad,seed=3")
    {'label': 'sad', 'seed': '3'}
    """
    arguments: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise UsageError(f"{part!r}: arguments are written key=value,key=value")
        if key in arguments:
            raise UsageError(f"argument {key!r} is given twice")
        arguments[key] = value
    return arguments


def describe_arguments(arguments: type[Any]) -> str:
    """The arguments of a dataclass with their defaults, as they are written; those without a default in capitals.

    >>> @dataclasses.dataclass
    ... class Example:
    ...     path: str
    ...     seed: int = 3
    >>> describe_arguments(Example)
    'path=PATH,seed=3'
    """
    fields = dataclasses.fields(arguments)
    missing = dataclasses.MISSING
    return ",".join(f"{one.name}={one.name.upper() if one.default is missing else one.default}" for one in fields)


def typed_arguments(
    name: str, arguments: type[Arguments], given: Mapping[str, Any], error: type[UsageError] = UsageError
) -> Arguments:
    """Make a dataclass of arguments; strings are converted to the declared types.

    Args:
        name: whose arguments they are, for the message.
        error: what to raise.

    Raises:
        UsageError: of the given type: an argument that there is not, one that is missing, or a value of the wrong type.
    """
    from pydantic import TypeAdapter, ValidationError

    types = get_type_hints(arguments)
    fields = dataclasses.fields(arguments)
    known = [field.name for field in fields]
    values = {}
    for key, value in given.items():
        if key not in known:
            raise error(f"{name} takes no argument {key!r}{hint(key, known) or '; it takes none'}")
        try:
            values[key] = TypeAdapter(types[key]).validate_python(value)
        except ValidationError as wrong:
            reason = wrong.errors(include_url=False)[0]["msg"]
            raise error(f"{name}: argument {key}={value!r}: {reason}") from wrong
    for field in fields:
        if field.name not in values and field.default is field.default_factory is dataclasses.MISSING:
            raise error(f"{name} needs {field.name}=…")
    return arguments(**values)
