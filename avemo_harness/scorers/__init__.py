"""The scorer registry: lazy names, and which metrics each scorer can report."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from avemo_harness.scorers.base import Scorer

SCORERS = {
    "understanding": "avemo_harness.scorers.understanding:UnderstandingScorer",
    "modality_preference": "avemo_harness.scorers.modality_preference:ModalityPreferenceScorer",
}

METRICS = {
    "understanding": frozenset({"accuracy", "macro_f1", "f1_all4", "balanced_accuracy"}),
    "modality_preference": frozenset({"aar", "var", "olr"}),
}
"""Known before any scorer is imported, so that task YAMLs are checked cheaply; a test holds it against the classes."""


def load_scorer(name: str) -> Scorer:
    """Return a registered scorer; KeyError for an unknown name (task YAMLs are checked when they are read)."""
    module, attribute = SCORERS[name].split(":")
    return cast("Scorer", getattr(import_module(module), attribute)())
