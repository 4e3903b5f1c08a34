"""Features of several extractors side by side, cached by content, and standardised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import RecognitionError, StoreError
from avemo_harness.files import mark_as_used, prune_files, write_atomically
from avemo_harness.recognizers.features.base import FeatureExtractor, Features, extract_checked
from avemo_harness.recognizers.recordings import Modality, Recording

_PRUNED_EVERY = 256


class FeatureCache:
    """Keeps rows as float16, one small file a recording, extractor and view; the least recently used go first.

    A miss gives what a later hit will give, so that nothing depends on what is in the cache.

    Args:
        folder: shared by every process on the machine.
        max_bytes: what the folder is cut down to, now and then.
    """

    def __init__(self, folder: Path, max_bytes: int = 4 * 2**30) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self._kept = 0

    def features(self, extractor: FeatureExtractor, streams: Recording, count: int, view: Modality) -> Features:
        """The rows of a recording, float32 (count, width), rounded to float16.

        Raises:
            MediaError: the recording cannot be read.
            RecognitionError: the extractor fails on it, or a feature is no number or beyond what float16 holds.
        """
        path = self._path(_cache_key(extractor, streams, count, view))
        known = _read_rows(path, (count, extractor.width))
        if known is None:
            known = _as_float16(extract_checked(extractor, streams, count, view), extractor, streams)
            self._keep(path, known)
        return known.astype(np.float32)

    def prune(self) -> int:
        """Delete the features used longest ago until the folder is within bounds; returns how many went."""
        return prune_files(self.folder.glob("*/*.safetensors"), self.max_bytes)

    def _keep(self, path: Path, rows: np.ndarray) -> None:
        from safetensors.numpy import save

        # A full disk costs time and no result.
        with suppress(StoreError):
            write_atomically(path, save({"rows": rows}))
        self._kept += 1
        if self._kept % _PRUNED_EVERY == 0:
            self.prune()

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"


def _cache_key(extractor: FeatureExtractor, streams: Recording, count: int, view: Modality) -> str:
    """Digest of everything that decides the rows: of one modality's extractor, neither the other one nor the view."""
    looks_at = view if extractor.modality == "both" else extractor.modality
    clips = [
        streams.sound.sha256 if streams.sound and looks_at != "video" else None,
        streams.face.sha256 if streams.face and looks_at != "audio" else None,
    ]
    content = [dict(extractor.identity()), clips, count, looks_at]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read_rows(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """The kept rows; None where there are none, or what is there is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        rows = load(path.read_bytes())["rows"]
    except (OSError, SafetensorError, KeyError):
        return None
    mark_as_used(path)
    return rows if rows.shape == shape and rows.dtype == np.float16 else None


def _as_float16(rows: Features, extractor: FeatureExtractor, streams: Recording) -> np.ndarray:
    with np.errstate(over="ignore"):
        rounded = rows.astype(np.float16)
    if not np.isfinite(rounded).all():
        name = dict(extractor.identity())["extractor"]
        raise RecognitionError(
            f"{streams.name}: extractor {name}: a feature is no number or beyond what is kept (65,504); scale its "
            "features"
        )
    return rounded


MASK_BITS = 2
"""The last columns: 1 where the sound was shown, 1 where the face was."""


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """Extractors whose rows are joined.

    Args:
        cache: keeps what was extracted; None computes it every time.
    """

    extractors: tuple[FeatureExtractor, ...]
    cache: FeatureCache | None = None

    @property
    def width(self) -> int:
        return sum(extractor.width for extractor in self.extractors) + MASK_BITS

    def column_mask(self, view: Modality) -> NDArray[np.bool_]:
        """Mask of the columns that a view fills, bool (width,); the others are 0."""
        blocks = [np.full(extractor.width, _is_used(extractor, view)) for extractor in self.extractors]
        return np.concatenate([*blocks, np.array([view != "video", view != "audio"])])

    def rows(self, streams: Recording, count: int, view: Modality) -> Features:
        """The joined rows of a recording under a view, float32 (count, width).

        The columns of an extractor that the view hides are 0, and so is its mask bit.

        Raises:
            MediaError: the recording cannot be read.
            RecognitionError: an extractor fails on it.
        """
        return self._joined({}, streams, count, view)

    def views(self, streams: Recording, count: int) -> Mapping[Modality, Features]:
        """The rows of a recording under each of its views; what does not depend on the view is extracted once."""
        blocks: dict[int, Features] = {}
        return {view: self._joined(blocks, streams, count, view) for view in streams.views}

    def _joined(self, blocks: dict[int, Features], streams: Recording, count: int, view: Modality) -> Features:
        parts = []
        for index, extractor in enumerate(self.extractors):
            if not _is_used(extractor, view):
                parts.append(np.zeros((count, extractor.width), dtype=np.float32))
            elif extractor.modality == "both":
                parts.append(self._extract(extractor, streams, count, view))
            else:
                if index not in blocks:
                    blocks[index] = self._extract(extractor, streams, count, view)
                parts.append(blocks[index])
        bits = np.tile(self.column_mask(view)[-MASK_BITS:].astype(np.float32), (count, 1))
        return np.concatenate([*parts, bits], axis=1)

    def _extract(self, extractor: FeatureExtractor, streams: Recording, count: int, view: Modality) -> Features:
        if self.cache is None:
            return extract_checked(extractor, streams, count, view)
        return self.cache.features(extractor, streams, count, view)


def _is_used(extractor: FeatureExtractor, view: Modality) -> bool:
    return extractor.modality == "both" or view in ("both", extractor.modality)


_MOST_DEVIATIONS = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Mean and deviation to standardise rows with: float32 (width,) each; mask bits stay as they are."""

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    def apply(self, rows: Features, mask: NDArray[np.bool_]) -> Features:
        """Standardise rows (T, width); columns outside the mask stay 0.

        Values are cut at 3 deviations: beyond, the network would go by what it never learned about.
        """
        scaled = np.clip((rows - self.mean) / self.deviation, -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
        found: Features = np.where(mask, scaled, np.float32(0)).astype(np.float32)
        return found

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """For a file of weights."""
        return {"scaling.mean": self.mean, "scaling.deviation": self.deviation}

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[np.float32]]) -> Scaling:
        """Take it out of what a file of weights holds; KeyError where it is not there."""
        return cls(tensors.pop("scaling.mean"), tensors.pop("scaling.deviation"))


def fit_scaling(
    recordings: Sequence[Mapping[Modality, Features]], column_mask: Callable[[Modality], NDArray[np.bool_]]
) -> Scaling:
    """Mean and deviation of every column over the rows of the views that fill it; mask bits, the last, stay.

    Args:
        recordings: the rows of each by view, at least one.
        column_mask: the columns that a view fills.
    """
    total = np.zeros((3, len(column_mask("both"))))
    for rows_of in recordings:
        # The views that fill every column that the recording can fill, each once.
        for view in ("both",) if "both" in rows_of else tuple(rows_of):
            rows, filled = rows_of[view].astype(np.float64), column_mask(view)
            total += np.stack([len(rows) * filled, rows.sum(axis=0) * filled, (rows**2).sum(axis=0) * filled])
    n = np.maximum(total[0], 1)
    mean = total[1] / n
    deviation = np.sqrt(np.maximum(total[2] / n - mean**2, 0))
    mean[-MASK_BITS:], deviation[-MASK_BITS:] = 0, 1
    # A column that hardly varies in training would blow up whatever differs from it later.
    deviation = np.where(deviation > 1e-4, deviation, 1.0)
    return Scaling(mean.astype(np.float32), deviation.astype(np.float32))
