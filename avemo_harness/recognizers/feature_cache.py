"""Extracted features, kept by the content of the recording and the identity of the extractor."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

import numpy as np

from avemo_harness.errors import RecognitionError, StoreError
from avemo_harness.file_cache import note_use, prune_files
from avemo_harness.paths import write_atomically
from avemo_harness.recognizers.extractors.base import FeatureExtractor, Features, extracted
from avemo_harness.recognizers.streams import Streams, View

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

    def features(self, extractor: FeatureExtractor, streams: Streams, count: int, view: View) -> Features:
        """The rows of a recording, float32 (count, width), rounded to float16.

        Raises:
            MediaError: the recording cannot be read.
            RecognitionError: the extractor fails on it, or a feature is no number or beyond what float16 holds.
        """
        path = self._path(_key(extractor, streams, count, view))
        known = _read(path, (count, extractor.width))
        if known is None:
            known = _rounded(extracted(extractor, streams, count, view), extractor, streams)
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


def _key(extractor: FeatureExtractor, streams: Streams, count: int, view: View) -> str:
    """Digest of everything that decides the rows: of one modality's extractor, neither the other one nor the view."""
    looks_at = view if extractor.modality == "both" else extractor.modality
    clips = [
        streams.sound.sha256 if streams.sound and looks_at != "video" else None,
        streams.face.sha256 if streams.face and looks_at != "audio" else None,
    ]
    content = [dict(extractor.identity()), clips, count, looks_at]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """The kept rows; None where there are none, or what is there is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        rows = load(path.read_bytes())["rows"]
    except (OSError, SafetensorError, KeyError):
        return None
    note_use(path)
    return rows if rows.shape == shape and rows.dtype == np.float16 else None


def _rounded(rows: Features, extractor: FeatureExtractor, streams: Streams) -> np.ndarray:
    with np.errstate(over="ignore"):
        rounded = rows.astype(np.float16)
    if not np.isfinite(rounded).all():
        name = dict(extractor.identity())["extractor"]
        raise RecognitionError(
            f"{streams.name}: extractor {name}: a feature is no number or beyond what is kept (65,504); scale its "
            "features"
        )
    return rounded
