"""Sentences of actors, a file each: as dialogues of one turn, and as recordings that recognisers learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from avemo_harness.data.importers.base import FoundDialogue, parts_of_speakers, single_turn
from avemo_harness.data.importers.recordings import clip_source
from avemo_harness.data.importers.source import Source
from avemo_harness.recognizers.corpora.local_clips import LocalClips
from avemo_harness.recognizers.placement import Intensity
from avemo_harness.recognizers.recordings import LabelledRecording


@dataclass(frozen=True, slots=True)
class ActedClip:
    """A spoken or sung sentence.

    Args:
        path: of its file, below the corpus' folder.
        emotion: that the actor was asked for, among the labels that are wanted.
        intensity: that the actor was asked for; None where the corpus does not tell.
    """

    path: PurePosixPath
    speaker: str
    emotion: str
    text: str
    intensity: Intensity | None = None


def dialogues_of_clips(
    source: Source, clips: Sequence[ActedClip], prefix: str, test_speakers: str
) -> tuple[FoundDialogue, ...]:
    """A dialogue for each clip, named after its file.

    Raises:
        UsageError: a test speaker is not in the corpus.
    """
    parts = parts_of_speakers((clip.speaker for clip in clips), test_speakers)
    return tuple(
        single_turn(
            f"{prefix}-{clip.path.stem}",
            parts[clip.speaker],
            clip.speaker,
            clip.text,
            clip.emotion,
            clip_source(source, str(clip.path)),
        )
        for clip in clips
    )


def recordings_of_clips(folder: Path, clips: Sequence[ActedClip]) -> tuple[LabelledRecording, ...]:
    """A recording for each clip, of no official part (MediaError: a file cannot be read)."""
    with LocalClips(folder) as local:
        return tuple(
            LabelledRecording(
                recording_id=clip.path.stem,
                speaker=clip.speaker,
                face=clip.speaker,
                label=clip.emotion,
                part=None,
                dialogue=clip.path.stem,
                streams=local.streams(folder / clip.path),
                intensity=clip.intensity,
            )
            for clip in clips
        )
