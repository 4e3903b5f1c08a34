"""The scorer registry: lazy names, and which metrics each scorer can report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from avemo_harness.errors import UsageError
from avemo_harness.registry import Kind, Registry, argument_problems, typed_arguments
from avemo_harness.scorers.metric import (
    ANSWERS_OF,
    BUILT_IN,
    RUBRIC,
    RUBRIC_SCALE,
    Metric,
    on_scale,
    unknown_metric,
)

if TYPE_CHECKING:
    from avemo_harness.benchmark.task import ScorerSpec, TaskSpec
    from avemo_harness.scorers.base import Scorer

SCORERS = {
    "understanding": "avemo_harness.scorers.understanding:UnderstandingScorer",
    "modality_preference": "avemo_harness.scorers.modality_preference:ModalityPreferenceScorer",
    "reasoning": "avemo_harness.scorers.reasoning:ReasoningScorer",
    "choice": "avemo_harness.scorers.choice:ChoiceScorer",
    "spoken_eq": "avemo_harness.scorers.spoken_eq:SpokenEqScorer",
    "numbers": "avemo_harness.scorers.numbers:NumberScorer",
    "raters": "avemo_harness.scorers.raters:RaterScorer",
    "text_match": "avemo_harness.scorers.text:TextMatchScorer",
    "text_similarity": "avemo_harness.scorers.similarity:TextSimilarityScorer",
    "open_vocabulary": "avemo_harness.scorers.open_vocabulary:OpenVocabularyScorer",
    RUBRIC: "avemo_harness.scorers.rubric:RubricScorer",
}

WITHOUT_PARAMETERS = frozenset(
    {"understanding", "modality_preference", "reasoning", "choice", "spoken_eq", "numbers", "raters"}
)
"""Scorers that are not imported to check that they get no parameters."""


WITH_FILES = frozenset({"open_vocabulary"})
"""Scorers that need files which are not shipped."""


def _are_metrics(value: Any) -> bool:
    return isinstance(value, frozenset | set | tuple | list) and all(isinstance(one, str | Metric) for one in value)


def _is_flag(value: Any) -> bool:
    return value is None or isinstance(value, bool)


SCORER = Kind("scorer", UsageError, {"metrics": _are_metrics, "score": callable, "needs_judge": _is_flag})
REGISTRY = Registry(SCORER, SCORERS)


def metrics_of(name: str) -> tuple[Metric, ...]:
    """All metrics of a scorer; none of one that was used once and is no longer installed.

    Raises:
        UsageError: a broken package.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    if REGISTRY.plugin(name) is None:
        return ()
    scorer = REGISTRY.load(name)
    needs_judge = bool(getattr(scorer, "needs_judge", False))
    return tuple(one if isinstance(one, Metric) else unknown_metric(one, needs_judge) for one in scorer.metrics)


def reported_metrics(scorer: ScorerSpec) -> tuple[Metric, ...]:
    """The metrics that a task reports of a scorer, in the task's order."""
    known = {metric.name: metric for metric in metrics_of(scorer.name)}
    # A run may report a metric that its scorer no longer has.
    needs_judge = any(metric.needs_judge for metric in known.values())
    metrics = (known.get(name) or unknown_metric(name, needs_judge) for name in scorer.metrics)
    if scorer.name != RUBRIC:
        return tuple(metrics)
    return tuple(on_scale(metric, scorer.parameters.get("scale", RUBRIC_SCALE)) for metric in metrics)


class _Metrics(Mapping[str, frozenset[str]]):
    """By scorer: the built-in ones, then those of installed packages, which are imported when a value is looked at."""

    def __getitem__(self, name: str) -> frozenset[str]:
        if name not in BUILT_IN and REGISTRY.plugin(name) is None:
            raise KeyError(name)
        return frozenset(metric.name for metric in metrics_of(name))

    def __iter__(self) -> Iterator[str]:
        yield from BUILT_IN
        yield from REGISTRY.names()[len(SCORERS) :]

    def problems(self, scorer: ScorerSpec, output_type: str) -> Iterator[tuple[tuple[str, ...], str]]:
        """Why a scorer cannot score answers of a type with its parameters: paths inside its spec, and sentences."""
        wanted = ANSWERS_OF.get(scorer.name, (output_type,))
        if output_type not in wanted:
            yield (
                ("name",),
                f"the scorer {scorer.name} is for output.type: {' or '.join(wanted)}, found {output_type}",
            )
        if scorer.parameters or scorer.name not in WITHOUT_PARAMETERS:
            arguments = getattr(REGISTRY.load(scorer.name), "Arguments", None)
            problems = list(argument_problems(scorer.name, arguments, scorer.parameters))
            yield from ((("parameters", *([key] if key else [])), sentence) for key, sentence in problems)
            if arguments is not None and not problems:
                try:
                    typed_arguments(scorer.name, arguments, scorer.parameters)
                except UsageError as error:  # values that do not fit each other
                    yield ("parameters",), str(error)

    def __bool__(self) -> bool:
        # There are always some; counting them would look at what is installed.
        return True

    def __len__(self) -> int:
        return len(REGISTRY.names())


METRICS = _Metrics()
"""Names of the metrics that each scorer can report, to check the names in task YAMLs."""


def is_judged(task: TaskSpec) -> bool:
    """Tell whether a recogniser has to judge a task's replies before they can be scored."""
    return any(metric.needs_judge for scorer in task.scorers for metric in metrics_of(scorer.name))


def is_graded(task: TaskSpec) -> bool:
    """Tell whether a model has to grade a task's answers before they can be scored."""
    return any(scorer.name == RUBRIC for scorer in task.scorers)


def require_files(scorer: ScorerSpec) -> None:
    """See that files of others which a scorer needs are here (MissingDataError: they are not)."""
    if scorer.name in WITH_FILES:
        scorer_class = REGISTRY.load(scorer.name)
        scorer_class.require(typed_arguments(scorer.name, scorer_class.Arguments, scorer.parameters))


def grades_labels(scorer: ScorerSpec) -> bool:
    """Tell whether a scorer grades answers right or wrong, so that conditions can be compared turn by turn."""
    return any(metric.verdict == "right" for metric in metrics_of(scorer.name))


def load_scorer(name: str, parameters: Mapping[str, Any] = MappingProxyType({})) -> Scorer:
    """Make a scorer that is built in or that an installed package adds.

    Args:
        parameters: of a scorer with `Arguments`, by name.

    Raises:
        UsageError: no such scorer, a parameter that it does not take, or a broken package.
    """
    scorer_class = REGISTRY.load(name)
    plugin = REGISTRY.plugin(name)
    arguments = getattr(scorer_class, "Arguments", None)
    if arguments is None:
        for _, problem in argument_problems(name, None, parameters):
            raise UsageError(problem)
    given = () if arguments is None else (typed_arguments(name, arguments, parameters),)
    if plugin is None:
        return cast("Scorer", scorer_class(*given))
    from avemo_harness.scorers.base import PluginScorer

    with plugin.running("its construction"):
        return PluginScorer(scorer_class(*given), plugin)
