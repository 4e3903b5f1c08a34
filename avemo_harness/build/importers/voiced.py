"""Videos whose sound lies in a file of its own, which stands in where the video itself turns out to be silent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from avemo_harness import media
from avemo_harness.build.importers.base import Recording
from avemo_harness.build.importers.recordings import FPS, RATE, even_sized, recording_of
from avemo_harness.build.importers.source import Source
from avemo_harness.errors import MediaError

LONGEST_LEAD_S = 0.25
"""By how much the sound may be longer: what is cut off at its end is no more than a pause."""
LONGEST_TAIL_S = 0.5
"""By how much the video may be longer. The sound is a copy of the track that the video was recorded with, so that both
begin together, and goes on to the end of the sentence at least."""


@dataclass(frozen=True)
class VoicedVideo:
    """A video as it is; where it has no sound, its face with that of another file, cut to the shorter.

    Where the two are not of about one length, they may be no one take, and a face would be out of step: the sound
    stands alone.

    Args:
        name: of the video.
        voice: name of the sound file.
    """

    source: Source
    name: str
    voice: str

    @property
    def ending(self) -> str:
        return ".mp4" if self.is_silent else self._video.ending

    @property
    def readable_in_place(self) -> bool:
        return self._video.readable_in_place and not self.is_silent

    def make(self) -> bytes:
        if not self.is_silent:
            return self._video.make()
        samples = media.decode_sound(self.source.read(self.voice), rate=RATE)
        face = self.source.read(self.name)
        shown_s, heard_s = media.probe(face).duration_s, len(samples) / RATE
        if not -LONGEST_LEAD_S <= shown_s - heard_s <= LONGEST_TAIL_S:
            return media.encode_sound(samples, RATE)
        count = max(1, int(min(shown_s, heard_s) * FPS))
        frames = map(even_sized, islice(media.stretch_frames(face, fps=FPS), count))
        return media.encode_clip(frames, samples[: count * RATE // FPS], fps=FPS, rate=RATE)

    @cached_property
    def _video(self) -> Recording:
        return recording_of(self.source, self.name)

    @cached_property
    def is_silent(self) -> bool:
        """Whether the header tells of no sound; False where it cannot be read, which is told when the clip is made."""
        try:
            local = self.source.is_local(self.name)
            return (
                media.probe(self.source.files.local(self.name) if local else self.source.read(self.name)).sound is None
            )
        except MediaError:
            return False
