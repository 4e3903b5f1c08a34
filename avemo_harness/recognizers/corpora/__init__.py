"""Corpora that recognisers learn from: recordings with ratings over time, or with a label each."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from avemo_harness.errors import UsageError
from avemo_harness.registry import hint, parse_arguments, typed_arguments

if TYPE_CHECKING:
    from avemo_harness.recognizers.recordings import Corpus

_HERE = "avemo_harness.recognizers.corpora"
CORPORA = {
    "crema-d": ("avemo_harness.data.importers.crema_d", "CremaDArguments", "read_crema_d"),
    "emo-db": ("avemo_harness.data.importers.emo_db", "EmoDbArguments", "read_emo_db"),
    "labelled-clips": ("avemo_harness.data.importers.folder", "LabelledClipsArguments", "read_labelled_clips"),
    "msp-conversation": (f"{_HERE}.msp_conversation", "MspConversationArguments", "read_msp_conversation"),
    "multidialog": ("avemo_harness.data.importers.multidialog", "MultiDialogArguments", "read_multidialog"),
    "rated-folder": (f"{_HERE}.rated_folder", "RatedFolderArguments", "read_rated_folder"),
    "ravdess": ("avemo_harness.data.importers.ravdess", "RavdessArguments", "read_ravdess"),
    "recola": (f"{_HERE}.recola", "RecolaArguments", "read_recola"),
    "release": (f"{_HERE}.release", "ReleaseArguments", "read_release"),
}
"""Module, dataclass of arguments, the first of which is the path, and the function that reads.

Corpora that are also imported as releases are read by their importers' modules.
"""


def corpus_arguments(name: str) -> type[Any]:
    """The dataclass of a corpus' arguments; KeyError where there is no such corpus."""
    module, arguments, _ = CORPORA[name]
    found: type[Any] = getattr(import_module(module), arguments)
    return found


def open_corpus(spec: str) -> Corpus:
    """Read a corpus.

    Args:
        spec: ``name:path`` or ``name:path,key=value,key=value``.

    Raises:
        UsageError: no such corpus, an argument that it does not take, or a value of the wrong type.
        ReleaseError: files are missing or malformed.
        MediaError: a recording cannot be read.
    """
    name, colon, given = spec.partition(":")
    if name not in CORPORA:
        raise UsageError(f"no corpus {name!r}{hint(name, CORPORA)}")
    path, _, rest = given.partition(",")
    if not colon or not path or "=" in path:
        raise UsageError(f"corpus {spec!r}: expected {name}:PATH, then ,key=value for its arguments")
    values = {"path": path, **parse_arguments(rest)}
    arguments = typed_arguments(f"corpus {name}", corpus_arguments(name), values)
    module, _, reader = CORPORA[name]
    return cast("Corpus", getattr(import_module(module), reader)(arguments))
