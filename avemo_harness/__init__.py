"""avemo-harness: how well an omni-modal model understands a person's emotion and answers it.

The names below are imported when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avemo_harness.benchmark.release_loader import load_release
    from avemo_harness.models.base import BatchSize, OmniModel
    from avemo_harness.report.results import RunResult, score_run
    from avemo_harness.run.prepare import load_task

__version__ = "0.1.0"
__all__ = ["RunResult", "__version__", "evaluate", "load_release", "load_task", "score_run"]

_HOMES = {
    "RunResult": "avemo_harness.report.results",
    "load_task": "avemo_harness.run.prepare",
    "load_release": "avemo_harness.benchmark.release_loader",
    "score_run": "avemo_harness.report.results",
}


def evaluate(
    model: str | OmniModel,
    tasks: str | Sequence[str],
    *,
    output_path: str | Path | None = None,
    batch_size: BatchSize = None,
    device: str | None = None,
    recognizer: str | None = None,
    grader: str | None = None,
    grader_args: Mapping[str, Any] | None = None,
    max_errors: int = 0,
    **options: Any,
) -> RunResult:
    """Evaluate a model on tasks, as the command does: start or continue the run, judge it, score it.

    Args:
        model: a registered name, or an object with the interface of `avemo_harness.models.base.OmniModel`.
        tasks: names, globs, groups or YAML paths; a string may hold several, separated by commas.
        output_path: the run directory; by default one under ``runs/`` that is named after what is asked.
        batch_size: requests given to the model at once; ``auto``: as many as fit; by default what the model declares.
        device: where a neural model should run.
        recognizer: judges spoken replies; see `avemo_harness.run.prepare.find_judge`. Where nobody names a judge of
            people, a warning lists the ways to one before the model is asked, and the replies stay unjudged.
        grader, grader_args: the model that grades answers by a rubric, and its arguments; by default the task's. Where
            it cannot work, a warning says how to grade later.
        max_errors: items that may fail alike one after the other before the run is ended; 20 may in any case.
        options: the other fields of `avemo_harness.run.config.RunConfig`: ``model_args``, ``dataset``, ``limit``, …

    Raises:
        UsageError: something the caller can fix.
        StoreError: the run directory is damaged or cannot be written.
    """
    import warnings

    from avemo_harness.report.results import score_run
    from avemo_harness.run.config import RunConfig
    from avemo_harness.run.grading import NamedGrader, check_rubrics, grade_if_possible
    from avemo_harness.run.prepare import find_judge, judge_replies, prepare

    names = tasks.split(",") if isinstance(tasks, str) else list(tasks)
    label = model if isinstance(model, str) else dict(model.identity()).get("model", type(model).__name__)
    asked = {"model": label, "tasks": [name.strip() for name in names], **options}
    config = RunConfig.from_mapping(asked, "evaluate()")
    given = None if isinstance(model, str) else model
    prepared = prepare(config, output_path=output_path, device=device, model=given)
    if advice := find_judge(prepared.folder, recognizer, prepared.releases).advice:
        warnings.warn(advice, stacklevel=2)
    named = NamedGrader(grader, grader_args or {})
    check_rubrics(prepared.folder, named, prepared.releases)
    prepared.ask(batch_size=batch_size, max_errors=max_errors)
    judge_replies(prepared.folder, recognizer, prepared.releases, device=device)
    if problem := grade_if_possible(
        prepared.folder, named, prepared.releases, prepared.say, device=device, max_errors=max_errors
    ):
        warnings.warn(problem, stacklevel=2)
    return score_run(prepared.folder)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
