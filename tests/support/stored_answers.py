"""Answers that are put into a run's store without asking a model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.benchmark.request import Item, Response
from avemo_harness.run.store import Segment, stored_response


def store_answers(run: Path, items: Sequence[Item], worker: str = "planted") -> None:
    """Store the name of an emotion for each item, of which a quarter is right."""
    segment = Segment(run, worker)
    digests = ((item, hashlib.sha256(item.item_id.encode())) for item in items)
    segment.append(
        stored_response(item, digest.hexdigest(), Response(text=EMOTIONS[digest.digest()[0] % 4]))
        for item, digest in digests
    )
    segment.close()
