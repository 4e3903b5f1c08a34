"""What a corpus gives a recogniser to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.recognizers.streams import Streams

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class RatedRecording:
    """A recording whose valence and arousal were rated over time.

    Args:
        recording_id: unique in its corpus.
        speaker: who is recorded.
        group: who must not be split between parts: the speaker, or both partners of a conversation.
        part: of the corpus' official split; None where it has none, or the recording is outside it.
        trajectory: the gold standard on the unit scale, 2 values a second, from the beginning of the recording.
    """

    recording_id: str
    speaker: str
    group: str
    part: Part | None
    streams: Streams
    trajectory: Trajectory


@dataclass(frozen=True, slots=True)
class LabelledRecording:
    """A recording of one emotion.

    Args:
        recording_id: unique in its corpus.
        speaker: who is recorded.
        face: whose face is seen; the speaker's own unless the recording is dubbed.
        label: one of the benchmark's emotions.
        part: of the corpus' official split; None where it has none.
        dialogue: the conversation that it belongs to; its own id where it stands alone.
    """

    recording_id: str
    speaker: str
    face: str
    label: str
    part: Part | None
    dialogue: str
    streams: Streams


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many recordings an importer left out, and why."""

    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """The recordings of a corpus that recognisers learn from.

    Args:
        name: what it is called on cards and in tables.
        rated: recordings with valence and arousal over time.
        labelled: recordings of one emotion each.
        dropped: what was left out.
        rated_live: raters followed while they watched, so that ratings lag behind what they are of.
    """

    name: str
    rated: tuple[RatedRecording, ...] = ()
    labelled: tuple[LabelledRecording, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    rated_live: bool = False
