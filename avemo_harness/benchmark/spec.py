"""Base of the typed parts of a task YAML, and the errors of its names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer
from pydantic_core import PydanticCustomError


class Spec(BaseModel):
    """A part of a task. What a file does not say has the same content, and so the same digest, in every version.

    Attributes:
        later: fields that were added after tasks had been released; left out of the content at their defaults.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
    later: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _dump(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = dump(self)
        fields = type(self).model_fields
        for name in self.later:
            if getattr(self, name) == fields[name].default:
                values.pop(name, None)
        return values


def as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def unknown_name(kind: str, found: str, known: Iterable[str]) -> PydanticCustomError:
    """The error of a name that is not among the known ones; it carries them for the reader of the file."""
    facts = {"kind": kind, "found": found, "known": list(known)}
    return PydanticCustomError("unknown_name", "unknown {kind} {found}", facts)


def problems_below(problems: Iterable[tuple[tuple[str | int, ...], str]]) -> PydanticCustomError:
    """The error of a part whose keys do not fit each other: a sentence each, behind the path of its key in the part."""
    return PydanticCustomError("problems_below", "several keys do not fit", {"problems": list(problems)})


Word = Annotated[str, Field(min_length=1)]
Words = Annotated[tuple[Word, ...], BeforeValidator(as_tuple)]
