"""Start a worker, in the interpreter of its environment: `python start.py DESCRIPTOR`, the number of its socket.

The package is imported from where this file is, which need not be on that interpreter's path: what lies beside an
installed package belongs to another environment and must not be found here.
"""

from __future__ import annotations

import importlib.util
import socket
import sys
from pathlib import Path

PACKAGE = "avemo_harness"


def find_package(folder: Path) -> None:
    """Import the package from its folder, so that its modules are found there."""
    spec = importlib.util.spec_from_file_location(
        PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} is not the package {PACKAGE}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    # This file's own folder, where foreign code would find modules of ours under short names.
    sys.path[:1] = []
    find_package(Path(__file__).parents[2])
    from avemo_harness.models.worker.child import serve

    serve(socket.socket(fileno=int(sys.argv[1])))
