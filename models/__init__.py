"""Models under test by name, and the versions of Python and packages that each declares."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, cast

from avemo_harness.errors import ModelError
from avemo_harness.registry import Kind, Plugin, Registry, is_json_mapping, typed_arguments

if TYPE_CHECKING:
    from avemo_harness.models.base import ModelSetup, OmniModel

PYTHON = "python"
Requires = Mapping[str, str]
"""Version ranges of packages and of ``python``, as pip writes them, such as ``{"transformers": ">=5.18,<5.25"}``."""


@dataclass(frozen=True, slots=True)
class Unmet:
    """A requirement that this environment does not meet; `found` is None where the package is not installed."""

    package: str
    wanted: str
    found: str | None

    def __str__(self) -> str:
        found = "which is not installed" if self.found is None else f"and {self.found} is installed"
        return f"{self.package} {self.wanted}, {found}"


def requires_of(model_class: Any) -> Requires:
    """The ``requires`` of a model class; empty where it has none."""
    found: Requires = getattr(model_class, "requires", {})
    return found


def is_requires(value: Any) -> bool:
    """True where a value maps names of packages to version ranges.

    Raises:
        ValueError: a text in it is not a version range.
    """
    from packaging.specifiers import SpecifierSet

    texts = isinstance(value, Mapping) and all(isinstance(text, str) for text in [*value, *value.values()])
    return texts and all(SpecifierSet(wanted) is not None for wanted in value.values())


def unmet(requires: Requires) -> list[Unmet]:
    """Requirements that the installed packages do not meet; a pre-release is compared like any other version."""
    if not requires:
        return []
    from packaging.specifiers import SpecifierSet

    rows = [Unmet(package, wanted, installed_version(package)) for package, wanted in requires.items()]
    return [row for row in rows if row.found is None or not SpecifierSet(row.wanted).contains(row.found, True)]


def remedy(rows: list[Unmet]) -> str:
    """The remedy for unmet requirements: a command of pip, or another Python."""
    if any(row.package == PYTHON for row in rows):
        return "install avemo-harness with such a Python"
    return "pip install " + " ".join(f"'{row.package}{row.wanted}'" for row in rows)


def check_requires(name: str, requires: Requires, advice: str | None = None) -> None:
    """Refuse a model that does not run on the installed versions.

    Args:
        name: of the model.
        advice: what to do about it; by default as `remedy` says.

    Raises:
        ModelError: names every package with the range that is wanted and the version that is installed.
    """
    if rows := unmet(requires):
        needed = "; ".join(map(str, rows))
        raise ModelError(f"{name} runs on {needed}: {advice or remedy(rows)}")


def installed_version(package: str) -> str | None:
    """Version of a package, or of ``python``; None where it is not installed."""
    if package == PYTHON:
        return platform.python_version()
    try:
        return version(package)
    except PackageNotFoundError:
        return None


MODELS = {
    "baseline": "avemo_harness.models.baseline:Baseline",
    "random": "avemo_harness.models.controls:RandomAnswers",
    "constant": "avemo_harness.models.controls:ConstantAnswer",
    "audio-oracle": "avemo_harness.models.controls:AudioOracle",
    "video-oracle": "avemo_harness.models.controls:VideoOracle",
    "reference": "avemo_harness.models.controls:Reference",
    "replies": "avemo_harness.models.replies:Replies",
    "qwen2.5-omni": "avemo_harness.models.qwen_omni:QwenOmni",
    "minicpm-o": "avemo_harness.models.worker.hosted:HostedMiniCpmO",
    "baichuan-omni": "avemo_harness.models.worker.hosted:HostedBaichuanOmni",
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


def check_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """Refuse what `load_model` refuses before it makes a model, but for arguments of an installed package's.

    Raises:
        ModelError: no such model, one that does not run on what is installed, or an argument that it does not take.
    """
    check_model(name)
    if REGISTRY.plugin(name) is None:
        typed_arguments(name, load_class(name).Arguments, arguments, ModelError)
