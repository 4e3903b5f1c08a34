"""Tables that NumPy keeps: an archive of arrays, of which one holds a record by the name of each recording."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from avemo_harness.benchmark.table_files import TableRow
from avemo_harness.errors import ReleaseError, first_line
from avemo_harness.files import check_file

_CORE = {"numpy.core.multiarray", "numpy._core.multiarray"}
"""Where NumPy's versions keep what arrays and their scalars are made by."""


class _Records(pickle.Unpickler):
    """Reads arrays of plain values; anything else could run code, and is refused."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        import numpy as np

        if module_name == "numpy" and global_name in ("ndarray", "dtype"):
            return getattr(np, global_name)
        if module_name in _CORE and global_name == "_reconstruct":
            return np.empty(0).__reduce__()[0]
        if module_name in _CORE and global_name == "scalar":
            return np.float64(0).__reduce__()[0]
        raise pickle.UnpicklingError(f"it holds {module_name}.{global_name}, expected plain values")


def npz_rows(name: str, path: Path, part: str) -> Iterator[TableRow]:
    """Yield the rows of an array of records by name: the column `name` and those of the record.

    Args:
        name: how errors call the file.
        part: the array.

    Raises:
        ReleaseError: it is no such archive, has no such array, or the array is none of records.
    """
    try:
        check_file(path)
        with zipfile.ZipFile(path) as archive:
            arrays = [member.removesuffix(".npy") for member in archive.namelist() if member.endswith(".npy")]
            if part not in arrays:
                raise ReleaseError(
                    f"{name}: there is no array {part!r} (arrays: {', '.join(arrays)}); give one as `split`"
                )
            records = _records(archive.read(f"{part}.npy"))
    except OSError as error:
        raise ReleaseError(f"{name}: cannot be read ({error.strerror}); put the file there") from error
    except ReleaseError:
        raise
    except Exception as error:  # whatever a damaged archive, header or pickle raises
        raise ReleaseError(f"{name}: {part} cannot be read as records by name ({first_line(error)})") from error
    for key, record in records.items():
        where = f"{name}: {part}, {key}"
        if isinstance(record, Mapping):
            yield TableRow(
                where, {"name": str(key), **{str(column): _plain(value) for column, value in record.items()}}
            )
        else:
            yield TableRow(where, {"name": str(key), "value": _plain(record)})


def _records(data: bytes) -> Mapping[Any, Any]:
    """The dictionary that an array of one object holds (ValueError: it is another array)."""
    from numpy.lib import format as layout

    file = io.BytesIO(data)
    version = layout.read_magic(file)
    read_header = layout.read_array_header_1_0 if version == (1, 0) else layout.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if shape != () or not dtype.hasobject:
        raise ValueError(f"expected one dictionary, found an array of {dtype} with shape {shape}")
    loaded = _Records(file).load()
    records = loaded.item() if hasattr(loaded, "item") else loaded
    if not isinstance(records, Mapping):
        raise ValueError(f"expected one dictionary, found {type(records).__name__}")
    return records


def _plain(value: Any) -> Any:
    """A value without NumPy's type around it."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
