"""The scorer registry: lazy names, and which metrics each scorer can report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from avemo_harness.errors import UsageError
from avemo_harness.registry import Kind, Registry

if TYPE_CHECKING:
    from avemo_harness.benchmark.task import TaskSpec
    from avemo_harness.scorers.base import Scorer

SCORERS = {
    "understanding": "avemo_harness.scorers.understanding:UnderstandingScorer",
    "modality_preference": "avemo_harness.scorers.modality_preference:ModalityPreferenceScorer",
    "reasoning": "avemo_harness.scorers.reasoning:ReasoningScorer",
}

_BUILT_IN_METRICS = {
    "understanding": frozenset({"accuracy", "macro_f1", "f1_all4", "balanced_accuracy", "ece", "brier"}),
    "modality_preference": frozenset({"aar", "var", "olr"}),
    "reasoning": frozenset(
        {"ecs", "ebs", "ebs_dir", "ess", "ers", "ct_ecs", "ct_ebs", "ct_ebs_dir", "ct_ess", "ct_ers"}
        | {"ecs_audio", "ecs_band", "ess_rate", "coverage"}
        | {"ecs_anchored", "ebs_anchored", "ct_ecs_anchored", "ct_ebs_anchored"}
    ),
}
"""Known before any scorer is imported, so that task YAMLs are checked cheaply; a test holds it against the classes."""


def _are_names(value: Any) -> bool:
    return isinstance(value, frozenset | set | tuple | list) and all(isinstance(name, str) for name in value)


SCORER = Kind("scorer", UsageError, {"metrics": _are_names, "score": callable})
REGISTRY = Registry(SCORER, SCORERS)


class _Metrics(Mapping[str, frozenset[str]]):
    """By scorer: the built-in ones, then those of installed packages, which are imported when a value is looked at."""

    def __getitem__(self, name: str) -> frozenset[str]:
        if name in _BUILT_IN_METRICS:
            return _BUILT_IN_METRICS[name]
        if REGISTRY.plugin(name) is None:
            raise KeyError(name)
        return frozenset(REGISTRY.load(name).metrics)

    def __iter__(self) -> Iterator[str]:
        yield from _BUILT_IN_METRICS
        yield from REGISTRY.names()[len(SCORERS) :]

    def __bool__(self) -> bool:
        # There are always some; counting them would look at what is installed.
        return True

    def __len__(self) -> int:
        return len(REGISTRY.names())


METRICS = _Metrics()
"""The metrics that each scorer can report, to check the names in task YAMLs."""


def is_judged(task: TaskSpec) -> bool:
    """Whether a recogniser has to judge a task's replies before they can be scored."""
    return any(scorer.name == "reasoning" for scorer in task.scorers)


def load_scorer(name: str) -> Scorer:
    """Make a scorer that is built in or that an installed package adds.

    Raises:
        UsageError: no such scorer, or a broken package.
    """
    scorer_class = REGISTRY.load(name)
    plugin = REGISTRY.plugin(name)
    if plugin is None:
        return cast("Scorer", scorer_class())
    from avemo_harness.scorers.base import PluginScorer

    with plugin.running("its construction"):
        return PluginScorer(scorer_class(), plugin)
