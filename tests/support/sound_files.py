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
    return file.getvalue()
