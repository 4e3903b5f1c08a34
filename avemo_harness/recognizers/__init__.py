"""Recognisers of emotion by name, imported only when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from avemo_harness.errors import UsageError
from avemo_harness.plugins import Kind, Registry

if TYPE_CHECKING:
    from avemo_harness.recognizers.base import Recognizer

RECOGNIZERS = {"fusion": "avemo_harness.recognizers.fusion:FusionRecognizer"}

RECOGNIZER = Kind(
    "recognizer",
    UsageError,
    {"fit": callable, "log_probabilities": callable, "save": callable, "load": callable},
)
REGISTRY = Registry(RECOGNIZER, RECOGNIZERS)


def load_recognizer(name: str) -> type[Recognizer]:
    """The class of a recogniser that is built in or that an installed package adds.

    Raises:
        UsageError: no such recogniser, or a broken package.
    """
    return cast("type[Recognizer]", REGISTRY.load(name))


def identify_recognizer(name: str) -> str:
    """The name with the package that it comes from and its version, where it is not built in; nothing is imported.

    Raises:
        UsageError: no such recogniser.
    """
    REGISTRY.check(name)
    plugin = REGISTRY.plugin(name)
    return f"{name} of {plugin.package}" if plugin else name
