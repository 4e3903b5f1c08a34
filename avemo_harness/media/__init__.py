"""Clips in and out: decode, encode, remux, resample, noise; the only user of PyAV and soundfile."""

from __future__ import annotations

from avemo_harness.media.bare_sound import BARE_SOUND, read_bare_sound
from avemo_harness.media.decode import check_whole, decode_frames, decode_sound, probe
from avemo_harness.media.encode import encode_clip, encode_flac, encode_sound, read_sound_file
from avemo_harness.media.noise import NoiseKind, active_level, make_noise
from avemo_harness.media.rate import resample
from avemo_harness.media.reencode import even_sized, reencode
from avemo_harness.media.remux import (
    copy_streams,
    freeze_video,
    join_streams,
    packet_digests,
    remove_sound,
    replace_sound,
    stream_digests,
)
from avemo_harness.media.sound_bytes import READABLE_SOUND, begins_sound_file, read_sound, sound_container
from avemo_harness.media.stretch import stretch_frames, stretch_sound
from avemo_harness.media.types import (
    DEFAULT_LIMITS,
    FINE,
    SMALL,
    Frames,
    MediaInfo,
    MediaLimits,
    PacketDigests,
    Quality,
    Samples,
    SoundInfo,
    Source,
    StreamDigests,
    VideoInfo,
)
from avemo_harness.media.wave import (
    IncompleteSoundError,
    is_wave,
    known_size,
    read_pcm16,
    read_wave,
    with_known_sizes,
    with_more_samples,
    write_wave,
)

__all__ = [
    "BARE_SOUND",
    "DEFAULT_LIMITS",
    "FINE",
    "READABLE_SOUND",
    "SMALL",
    "Frames",
    "IncompleteSoundError",
    "MediaInfo",
    "MediaLimits",
    "NoiseKind",
    "PacketDigests",
    "Quality",
    "Samples",
    "SoundInfo",
    "Source",
    "StreamDigests",
    "VideoInfo",
    "active_level",
    "begins_sound_file",
    "check_whole",
    "copy_streams",
    "decode_frames",
    "decode_sound",
    "encode_clip",
    "encode_flac",
    "encode_sound",
    "even_sized",
    "freeze_video",
    "is_wave",
    "join_streams",
    "known_size",
    "make_noise",
    "packet_digests",
    "probe",
    "read_bare_sound",
    "read_pcm16",
    "read_sound",
    "read_sound_file",
    "read_wave",
    "reencode",
    "remove_sound",
    "replace_sound",
    "resample",
    "sound_container",
    "stream_digests",
    "stretch_frames",
    "stretch_sound",
    "with_known_sizes",
    "with_more_samples",
    "write_wave",
]
