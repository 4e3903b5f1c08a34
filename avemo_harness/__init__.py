"""avemo-harness: how well an omni-modal model understands a person's emotion and answers it.

The names below are imported when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avemo_harness.benchmark.release_loader import load_release
    from avemo_harness.evaluation import evaluate, load_task
    from avemo_harness.report.results import RunResult, score_run

__version__ = "0.1.0"
__all__ = ["RunResult", "__version__", "evaluate", "load_release", "load_task", "score_run"]

_HOMES = {
    "RunResult": "avemo_harness.report.results",
    "evaluate": "avemo_harness.evaluation",
    "load_task": "avemo_harness.evaluation",
    "load_release": "avemo_harness.benchmark.release_loader",
    "score_run": "avemo_harness.report.results",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
