"""Sound files of the formats that people keep recordings in."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from support.clips import RATE

from avemo_harness import media

SOUND_FORMATS = ("flac", "m4a", "mp3", "ogg", "wav")


def sound_file(kind: str, samples: NDArray[np.float32]) -> bytes:
    """Mono sound at 16 kHz in one of `SOUND_FORMATS`."""
    if kind == "m4a":
        return media.encode_sound(samples, RATE)
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format=kind.upper())
    return _same_serial_number(file) if kind == "ogg" else file.getvalue()


def _same_serial_number(file: io.BytesIO) -> bytes:
    """An Ogg stream with its packets as they are: soundfile draws a serial number for each, so that no two are equal."""
    import av

    file.seek(0)
    made = io.BytesIO()
    with av.open(file) as source, av.open(made, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    return made.getvalue()
