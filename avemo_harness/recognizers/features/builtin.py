"""Extractors without weights, by half second or by clip: signal processing of sound and face in NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.errors import MediaError
from avemo_harness.media.types import Source
from avemo_harness.metrics.classification import Floats
from avemo_harness.metrics.trajectory import step_times
from avemo_harness.recognizers.features.base import RATE_HZ, Features
from avemo_harness.recognizers.features.face import FaceFeatures, describe_spans, face_features, normalised
from avemo_harness.recognizers.features.sound import (
    FRAMES_PER_SECOND,
    RATE,
    SoundFeatures,
    bin_frequencies,
    cosine_basis,
    decibels,
    frame_window,
    mel_bank,
    power_spectra,
    sound_features,
    track_pitch,
)
from avemo_harness.recognizers.features.streams import (
    FACE_FRAMES_PER_SECOND,
    decode_face,
    described_face,
    described_sound,
    face_squares,
    sound_samples,
)
from avemo_harness.recognizers.recordings import Modality, Recording


@dataclass(frozen=True, slots=True)
class ClipFeatures:
    """Acoustic functionals and face features of a clip; None for a stream that it does not have."""

    sound: SoundFeatures | None
    face: FaceFeatures | None


def clip_features(source: Source) -> ClipFeatures:
    """Decode a clip and describe its sound and its face.

    Raises:
        MediaError: the clip cannot be read.
    """
    sound, info = None, media.probe(source)
    if info.sound is not None:
        sound = sound_features(media.decode_sound(source, rate=RATE))
    return ClipFeatures(sound, None if info.video is None else face_features(decode_face(source, info.video)))


def recording_features(recording: Recording, modality: Modality) -> ClipFeatures:
    """Describe those streams of a recording that a modality shows.

    Raises:
        MediaError: the recording cannot be read.
    """
    sound = face = None
    if recording.sound is not None and modality != "video":
        sound = described_sound(recording.sound)
    if recording.face is not None and modality != "audio":
        face = described_face(recording.face)
    return ClipFeatures(sound, face)


_SPANS_S = (0.7, 2.0)
"""Lengths of sound around a row that are described: the moment, and what the voice is like there."""
_LEAST_SPEECH = 0.5
"""Share of a span that is described at least: where less is spoken, the nearest speech is looked at instead."""
_ACTIVE_BELS = -3.5
_CEPSTRA = 12
_TRACKS = _CEPSTRA + 5
_PITCH_STATISTICS = 4

_FACE_SPAN_S = 1.5
_FACE_WIDTH = 760


@dataclass(frozen=True, slots=True)
class NoArguments:
    """For extractors that take no arguments."""


class WeightFreeExtractor:
    """Base of the extractors that take no arguments; ``version`` rises when the features change."""

    Arguments = NoArguments
    name: ClassVar[str]
    version: ClassVar[str]

    def __init__(self, arguments: NoArguments | None = None) -> None:
        del arguments

    def identity(self) -> Mapping[str, str]:
        return {"extractor": self.name, "version": self.version}


class BuiltinSound(WeightFreeExtractor):
    """Mean and spread of timbre, loudness and pitch around each row; a row in silence describes the nearest speech.

    Independent of the recording's level: loudness is relative to the loudest frame of the recording. Timbre is told by
    cepstra alone: bands of the spectrum tell more of the room and its noise, and mislead about other recordings.
    """

    name = "builtin-sound"
    version = "2"
    modality: Modality = "audio"
    width = len(_SPANS_S) * (2 * _TRACKS + _PITCH_STATISTICS)

    def extract(self, streams: Recording, count: int, view: Modality) -> Features:
        del view
        tracks, octaves = _sound_tracks(sound_samples(streams.require_sound(self.name)))
        speech = _speech_frames(tracks[:, _CEPSTRA])
        rows = np.empty((count, self.width), dtype=np.float32)
        for row, time_s in enumerate(step_times(count, RATE_HZ)):
            spans = (_speech_about(speech, time_s, span_s) for span_s in _SPANS_S)
            rows[row] = np.concatenate([_describe_sound(tracks[at], octaves[at]) for at in spans])
        return rows


class BuiltinFace(WeightFreeExtractor):
    """Shape of the face around each row, its change since the first frame, and its movement.

    The face is expected about the middle of the picture, as in `avemo_harness.recognizers.features.face`.
    """

    name = "builtin-face"
    version = "1"
    modality: Modality = "video"
    width = _FACE_WIDTH

    def extract(self, streams: Recording, count: int, view: Modality) -> Features:
        del view
        clip = streams.require_face(self.name)
        squares = face_squares(clip)
        if squares is None:
            raise MediaError(f"{clip.name}: it has no video")
        spans = (
            _span(time_s, _FACE_SPAN_S, len(squares), FACE_FRAMES_PER_SECOND) for time_s in step_times(count, RATE_HZ)
        )
        return np.stack(describe_spans(normalised(squares), spans)).astype(np.float32)


def _span(time_s: float, span_s: float, frames: int, frames_per_second: float) -> slice:
    """The frames around a time; at least one, the last ones after the end."""
    centre, half = time_s * frames_per_second, span_s * frames_per_second / 2
    start = min(max(0, int(centre - half)), frames - 1)
    return slice(start, max(start + 1, int(centre + half)))


def _speech_frames(bels: Floats) -> NDArray[np.intp]:
    """The frames where somebody is heard; all where nobody is."""
    found = np.flatnonzero(bels > _ACTIVE_BELS)
    return found if len(found) else np.arange(len(bels))


def _speech_about(speech: NDArray[np.intp], time_s: float, span_s: float) -> NDArray[np.intp]:
    """Frames of speech within a span about a time; the nearest ones where that is silent for more than half."""
    distance = np.abs(speech - time_s * FRAMES_PER_SECOND)
    within = speech[distance <= span_s * FRAMES_PER_SECOND / 2]
    least = round(_LEAST_SPEECH * span_s * FRAMES_PER_SECOND)
    return within if len(within) >= least else np.sort(speech[np.argsort(distance, kind="stable")[:least]])


def _sound_tracks(samples: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Frame-level descriptors, (frames, _TRACKS), and pitch in octaves above 55 Hz, NaN where unvoiced."""
    power = power_spectra(samples)
    pitch = track_pitch(power, frame_window(), RATE)
    bands = decibels(power @ mel_bank().T) / 10
    energy = decibels(power.sum(axis=1)) / 10
    centroid = np.log2(power @ bin_frequencies() / (power.sum(axis=1) + 1e-12) + 100)
    flux = np.abs(np.diff(energy, prepend=energy[:1]))
    columns = [bands @ cosine_basis(_CEPSTRA).T, energy, centroid, flux, pitch.strength, pitch.voiced]
    octaves = np.where(pitch.voiced, np.log2(np.maximum(pitch.hz, 1) / 55), np.nan)
    return np.column_stack(columns), octaves


def _describe_sound(tracks: Floats, octaves: Floats) -> Floats:
    """Mean and spread of some frames, then those of pitch."""
    voiced = octaves[~np.isnan(octaves)]
    pitch = np.zeros(_PITCH_STATISTICS)
    if len(voiced) > 1:
        pitch[:] = voiced.mean(), voiced.std(), len(voiced) / len(octaves), np.abs(np.diff(voiced)).mean()
    return np.concatenate([tracks.mean(axis=0), tracks.std(axis=0), pitch])


class ClipSound(WeightFreeExtractor):
    """Spectrum, timbre, loudness, intonation and rhythm of the whole sound, independent of its level and length.

    See `avemo_harness.recognizers.features.sound`.
    """

    name = "clip-sound"
    version = "1"
    modality: Modality = "audio"
    width = 293

    def extract(self, streams: Recording, count: int, view: Modality) -> Features:
        del view
        found = described_sound(streams.require_sound(self.name))
        return np.tile(found.values.astype(np.float32), (count, 1))


class ClipFace(WeightFreeExtractor):
    """Shape of the face in the whole clip, its change since the first frame and its movement.

    The face is expected about the middle of the picture, as in `avemo_harness.recognizers.features.face`.
    """

    name = "clip-face"
    version = "1"
    modality: Modality = "video"
    width = _FACE_WIDTH

    def extract(self, streams: Recording, count: int, view: Modality) -> Features:
        del view
        found = recording_features(streams, "video").face
        if found is None:
            raise MediaError("clip-face: the recording has no video")
        return np.tile(found.values.astype(np.float32), (count, 1))
