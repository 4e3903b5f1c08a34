"""The benchmark's metrics as metrics of Hugging Face's `evaluate`, without network.

    from avemo_harness import hf_evaluate

    metric = hf_evaluate.load("understanding")
    metric.compute(predictions=["happy", "I hear anger."], references=["happy", "sad"])

Each is a module folder as `evaluate.load` takes it (`path` says where), thin over `avemo_harness.metrics`. What is
undefined is None. Errors of a run are never scored: leave them out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

from avemo_harness.errors import UsageError
from avemo_harness.registry import hint

Name = Literal["understanding", "modality_preference", "reasoning"]


def load(name: Name, config_name: str | None = None, **settings: Any) -> Any:
    """An `evaluate.Metric`, ready to compute and to be combined with others.

    Args:
        config_name: of ``reasoning``, the profile; see `avemo_harness.metrics.profiles.PROFILES`.
        settings: as for `evaluate.load`.

    Raises:
        UsageError: there is no such metric.
    """
    folder = path(name)
    from avemo_harness.torch_setup import repair_torchvision

    # `evaluate` imports transformers, and that torchvision.
    repair_torchvision()
    import evaluate  # type: ignore[import-untyped]  # (it has no types)

    return evaluate.load(str(folder), config_name, **settings)


def path(name: Name) -> Path:
    """The folder of a metric's module, for `evaluate.load` and for publishing it as a Space.

    Raises:
        UsageError: there is no such metric.

    >>> path("reasoning").name
    'avemo_reasoning'
    """
    if name not in get_args(Name):
        raise UsageError(f"no metric {name!r}{hint(name, get_args(Name))}")
    return Path(__file__).parent / f"avemo_{name}"
