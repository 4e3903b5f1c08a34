"""The vocoder of Baichuan-Omni-1.5: it lies apart from the checkpoint, in a folder with its own code and weights."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from avemo_harness.errors import ModelError, UsageError, first_line
from avemo_harness.weights import find_weights

CODE, WEIGHTS = "cosy24k_vocoder", "hift.pt"


@dataclass(frozen=True, slots=True)
class VocoderFolder:
    """A folder whose code may be run, since it is known by its content.

    Args:
        content: digest of all that is in it.
    """

    path: Path
    content: str

    def load(self, device: Any) -> Any:
        """The published vocoder on a device.

        Raises:
            ModelError: its code does not run here, or its weights cannot be read.
        """
        from pickle import UnpicklingError

        # Its code imports a package that lies beside it; compiled files would change the folder that it is known by.
        if str(self.path) not in sys.path:
            sys.path.insert(0, str(self.path))
        compiles, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            vocoder_class = import_module(CODE).Cosy24kVocoder
            return vocoder_class.from_pretrained(str(self.path / WEIGHTS)).to(device).eval()
        except (ImportError, AttributeError, OSError, RuntimeError, UnpicklingError) as error:
            raise ModelError(f"{self.path}: the vocoder cannot be loaded ({first_line(error)})") from error
        finally:
            sys.dont_write_bytecode = compiles


def find_vocoder(path: str, say: Callable[[str], None]) -> VocoderFolder:
    """Pin a vocoder down.

    Raises:
        ModelError: there is no such folder, or it is another.
    """
    folder = Path(path).expanduser().resolve()
    for needed in (f"{CODE}.py", WEIGHTS):
        if not (folder / needed).is_file():
            raise ModelError(
                f"{path}: no vocoder of Baichuan-Omni-1.5: it has no {needed}; give the folder "
                "third_party/cosy24k_vocoder of the repository baichuan-inc/Baichuan-Omni-1.5"
            )
    try:
        return VocoderFolder(folder, find_weights(str(folder), None, say=say).content)
    except UsageError as error:
        raise ModelError(str(error)) from error
