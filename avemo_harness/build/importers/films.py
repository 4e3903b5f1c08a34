"""Utterances cut out of the video of a whole dialogue.

The sound files of a dialogue, one after the other, must last as long as its video. Where an utterance begins follows
from the lengths of those before it, and is found exactly by its sound in the video's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from avemo_harness import media
from avemo_harness.build.importers.recordings import FPS, RATE, even_sized
from avemo_harness.build.importers.source import Source
from avemo_harness.errors import MediaError

MAX_SLACK_S = 1.0
"""By how much the sound files together may be longer or shorter than the video."""

MAX_SHIFT_S = 0.3
"""How far an utterance is searched from where the lengths say it begins."""

MIN_CORRELATION = 0.5
"""Between the sound of an utterance and the video's, at the best place."""

_LONG = media.MediaLimits(max_bytes=2**31, max_seconds=3600.0)


@dataclass
class Film:
    """A video that is being cut: what is shown, its sound, and where each sound file should begin in it, in seconds."""

    name: str
    shown: media.Source
    sound: media.Samples
    starts: Mapping[str, float]

    def find(self, part: str, sound: media.Samples) -> float:
        """Where an utterance begins, in seconds.

        Raises:
            MediaError: its sound is not heard about there.
        """
        first = max(0, round((self.starts[part] - MAX_SHIFT_S) * RATE))
        around = self.sound[first : first + len(sound) + round(2 * MAX_SHIFT_S * RATE)]
        place, correlation = best_match(sound, around)
        if correlation < MIN_CORRELATION:
            raise MediaError(
                f"{self.name}: the sound of {part} is not heard at {self.starts[part]:.2f} s (correlation "
                f"{correlation:.2f}, at least {MIN_CORRELATION} is expected); cut the video into utterances"
            )
        return (first + place) / RATE


@dataclass
class Films:
    """The videos of dialogues, by the dialogues' names. The one that was cut last stays open."""

    faces: Source
    videos: Mapping[str, str]
    _open: dict[str, Film] = field(default_factory=dict)

    def open(self, dialogue: str, sounds: Source, parts: tuple[str, ...]) -> Film:
        """Open the video of a dialogue.

        Args:
            parts: names of all its sound files, in order.

        Raises:
            MediaError: a file is damaged, or the sound files do not last as long as the video.
        """
        if dialogue not in self._open:
            self._open.clear()
            self._open[dialogue] = self._opened(self.videos[dialogue], sounds, parts)
        return self._open[dialogue]

    def _opened(self, name: str, sounds: Source, parts: tuple[str, ...]) -> Film:
        lengths = [media.probe(sounds.read(part)).duration_s for part in parts]
        shown = self.faces.files.local(name) if self.faces.is_local(name) else self.faces.read(name)
        sound = media.stretch_sound(shown, rate=RATE, limits=_LONG)
        if abs(sum(lengths) - len(sound) / RATE) > MAX_SLACK_S:
            raise MediaError(
                f"{name}: the video lasts {len(sound) / RATE:.2f} s, its {len(parts)} sound files together "
                f"{sum(lengths):.2f} s; cut the video into utterances"
            )
        starts = np.cumsum([0.0, *lengths[:-1]])
        return Film(name, shown, sound, dict(zip(parts, starts.tolist(), strict=True)))


@dataclass(frozen=True)
class Scene:
    """The sound of an utterance with its stretch of a dialogue's video.

    Args:
        parts: names of all sound files of the dialogue, in order.
    """

    films: Films
    dialogue: str
    source: Source
    name: str
    parts: tuple[str, ...]
    ending: str = ".mp4"
    readable_in_place: bool = False

    def make(self) -> bytes:
        film = self.films.open(self.dialogue, self.source, self.parts)
        sound = media.decode_sound(self.source.read(self.name), rate=RATE)
        start_s = film.find(self.name, sound)
        shown = media.stretch_frames(film.shown, start_s, start_s + len(sound) / RATE, fps=FPS, limits=_LONG)
        return media.encode_clip(map(even_sized, shown), sound, fps=FPS, rate=RATE)


def best_match(sound: media.Samples, around: media.Samples) -> tuple[int, float]:
    """Where a sound is most like a stretch of a longer one: the sample that it begins at, and the correlation there.

    >>> best_match(np.array([1, -1], np.float32), np.array([0, 0, 3, -3, 0], np.float32))
    (2, 1.0)
    """
    places = len(around) - len(sound) + 1
    if places < 1 or not len(sound):
        return 0, 0.0
    size = 1 << (len(around) + len(sound)).bit_length()
    spectrum = np.fft.rfft(around, size) * np.conj(np.fft.rfft(sound, size))
    products = np.fft.irfft(spectrum, size)[:places]
    energy = np.concatenate([[0.0], np.cumsum(around.astype(np.float64) ** 2)])
    norms = np.sqrt(
        np.maximum(energy[len(sound) :] - energy[:places], 0.0) * float((sound.astype(np.float64) ** 2).sum())
    )
    correlations = np.divide(products, norms, out=np.zeros(places), where=norms > 1e-9)
    place = int(correlations.argmax())
    return place, round(float(correlations[place]), 6)
