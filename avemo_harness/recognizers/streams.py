"""Where the sound and the face of one recording are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from avemo_harness import media
from avemo_harness.benchmark.release import Clip

View = Literal["both", "audio", "video"]
"""What a recogniser is shown of a recording."""

Modality = Literal["audio", "video"]
MODALITIES: tuple[Modality, ...] = ("audio", "video")

VIEW_NAMES: Mapping[View, str] = {"both": "sound and face", "audio": "sound alone", "video": "face alone"}


@dataclass(frozen=True, slots=True)
class Streams:
    """The two streams of a recording; one file may hold both.

    Args:
        sound, face: the clip with the sound, with the face; None for a stream that the recording does not have.
        duration_s: of the recording, in seconds.
    """

    sound: Clip | None
    face: Clip | None
    duration_s: float

    @classmethod
    def of(cls, clip: Clip) -> Streams:
        """The streams of one file.

        Raises:
            MediaError: the clip cannot be read.
        """
        info = media.probe(clip.read())
        return cls(clip if info.sound else None, clip if info.video else None, info.duration_s)

    @property
    def name(self) -> str:
        """How errors call the recording."""
        clip = self.sound or self.face
        return clip.name if clip else "a recording of nothing"

    @property
    def views(self) -> tuple[View, ...]:
        """What can be shown of it, the most first."""
        if self.sound is not None and self.face is not None:
            return ("both", "audio", "video")
        return ("audio",) if self.sound is not None else ("video",) if self.face is not None else ()
