"""Importers: corpora that people have, made into releases of the benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from avemo_harness.registry import load_object

if TYPE_CHECKING:
    from avemo_harness.data.importers.base import FoundCorpus
    from avemo_harness.data.importers.source import Source

_HERE = "avemo_harness.data.importers"
IMPORTERS = {
    "crema-d": (f"{_HERE}.crema_d", "CremaDOptions", "find_crema_d"),
    "emo-db": (f"{_HERE}.emo_db", "EmoDbOptions", "find_emo_db"),
    "folder": (f"{_HERE}.folder", "FolderOptions", "find_folder"),
    "iemocap": (f"{_HERE}.iemocap", "IemocapOptions", "find_iemocap"),
    "meld": (f"{_HERE}.meld", "MeldOptions", "find_meld"),
    "msp-improv": (f"{_HERE}.msp_improv", "MspImprovOptions", "find_msp_improv"),
    "multidialog": (f"{_HERE}.multidialog", "MultiDialogOptions", "find_multidialog"),
    "ravdess": (f"{_HERE}.ravdess", "RavdessOptions", "find_ravdess"),
    "ravdess-song": (f"{_HERE}.ravdess", "RavdessOptions", "find_ravdess_song"),
}
"""Module, dataclass of options, and the function that finds dialogues in a source."""


def importer_options(name: str) -> type[Any]:
    """The dataclass of an importer's options, each declared by `option`. KeyError where there is no such importer."""
    module, options, _ = IMPORTERS[name]
    return cast("type[Any]", load_object(f"{module}:{options}"))


def find_corpus(name: str, source: Source, options: Any) -> FoundCorpus:
    """Find the dialogues of a corpus; of clips, headers are read at most. KeyError where there is no such importer.

    Raises:
        ReleaseError: files are missing or malformed.
        UsageError: an option does not fit the corpus.
    """
    module, _, function = IMPORTERS[name]
    return cast("FoundCorpus", load_object(f"{module}:{function}")(source, options))
