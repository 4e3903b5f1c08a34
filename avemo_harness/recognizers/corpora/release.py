"""Releases as a corpus: turns whose valence and arousal are known, or whose emotion is labelled."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from avemo_harness.benchmark.release import Dialogue, Release, Turn
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.recognizers.corpora.base import RatedRecording
from avemo_harness.recognizers.extractors.base import RATE_HZ
from avemo_harness.recognizers.streams import Streams


def rated_turns(release: Release) -> list[RatedRecording]:
    """Every turn that has a clip, valence and arousal at two values a second, in release order; no part is given.

    Raises:
        MediaError: a clip cannot be read.
    """
    return list(_rated_turns(release))


def _rated_turns(release: Release) -> Iterator[RatedRecording]:
    for dialogue in release.dialogues:
        for turn in dialogue.turns:
            if turn.clip is None or not turn.valence or len(turn.valence) != len(turn.arousal):
                continue
            if turn.va_rate_hz == RATE_HZ:
                yield _recording(dialogue, turn)


def _recording(dialogue: Dialogue, turn: Turn) -> RatedRecording:
    assert turn.clip is not None
    values = np.column_stack([turn.valence, turn.arousal]).astype(np.float64)
    return RatedRecording(
        recording_id=f"{dialogue.dialogue_id}/{turn.turn_index}",
        speaker=turn.speaker_id,
        group=turn.speaker_id,
        part=None,
        streams=Streams.of(turn.clip),
        trajectory=Trajectory(values, ("valence", "arousal"), "unit", RATE_HZ),
    )
