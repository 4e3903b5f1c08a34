"""What speech tools give: samples with or without a header, which must be speech."""

from __future__ import annotations

import json
import re

import numpy as np

from avemo_harness import media
from avemo_harness.build.pipeline.backends import Sound
from avemo_harness.build.pipeline.tool_server import Answer
from avemo_harness.errors import MediaError
from avemo_harness.http_errors import AnswerError
from avemo_harness.media import Samples

SILENCE = 1e-3
"""Peak below which sound is taken for silence: -60 dBFS."""
FASTEST = 60
"""Characters a second that no voice can say; twice as many as a hurried one does."""
LONGEST_S = 120.0
_OTHER_FORMATS = (b"ID3", b"OggS", b"fLaC", b"<!DOC", b"<html")


def checked_speech(samples: Samples, rate_hz: int, text: str) -> Sound:
    """Samples as sound, where they can be the speech of a text.

    Raises:
        MediaError: there are none, they are not finite, silent, or of a length that the text cannot have.
    """
    if not np.isfinite(samples).all():
        raise MediaError("sound with samples that are no numbers")
    sound = Sound(samples, rate_hz)
    if sound.duration_s * FASTEST < len(text):
        raise MediaError(f"{sound.duration_s:.2f} s of sound for {len(text)} characters: it is cut off")
    if sound.duration_s > LONGEST_S:
        raise MediaError(f"{sound.duration_s:.0f} s of sound for {len(text)} characters, at most {LONGEST_S:g} s fit")
    if not len(samples) or np.abs(samples).max() < SILENCE:
        raise MediaError("silence where speech was expected")
    return sound


def read_wave_answer(answer: Answer, text: str) -> Sound:
    """The speech of an answer that is a WAV file.

    Raises:
        AnswerError, MediaError: it is none, is cut off, or is no speech.
    """
    _refuse_text(answer)
    samples, rate_hz = media.read_wave(answer.body)
    return checked_speech(samples, rate_hz, text)


def read_pcm_answer(answer: Answer, rate_hz: int, text: str) -> Sound:
    """The speech of an answer that is bare 16-bit samples; a WAV file of the same rate is as good.

    Args:
        rate_hz: as declared; bare samples do not tell it.

    Raises:
        AnswerError, MediaError: it is something else, half a sample is missing, its rate is another, or it is
            no speech.
    """
    _refuse_text(answer)
    stated = _stated_rate(answer)
    if media.is_wave(answer.body):
        samples, stated = media.read_wave(answer.body)
    elif answer.body.startswith(_OTHER_FORMATS):
        raise AnswerError(f"no 16-bit samples but a file that begins with {answer.body[:8]!r}")
    else:
        samples = media.read_pcm16(answer.body)
    if stated not in (None, rate_hz):
        raise AnswerError(f"sound of {stated} samples a second, sample_rate declares {rate_hz}")
    return checked_speech(samples, rate_hz, text)


def _stated_rate(answer: Answer) -> int | None:
    """The rate in ``X-Custom-Header-sampleRate`` (CosyVoice), ``X-Sample-Rate`` or ``audio/L16;rate=…``."""
    for name, value in answer.headers.items():
        if name.lower().replace("-", "").endswith("samplerate") and value.isascii() and value.isdigit():
            return int(value)
    found = re.search(r"\brate=(\d{4,6})\b", answer.headers.get("content-type", ""))
    return int(found[1]) if found else None


def _refuse_text(answer: Answer) -> None:
    """Refuse what servers say in words under the status of success."""
    kind = answer.headers.get("content-type", "").split(";")[0].strip().lower()
    is_text = kind.startswith("text/") or kind == "application/json"
    if not is_text and answer.body[:1] in (b"{", b"["):
        try:
            is_text = isinstance(json.loads(answer.body), dict | list)
        except ValueError:  # samples may begin like that
            is_text = False
        except RecursionError:  # brackets alone, thousands of them
            is_text = True
    if is_text:
        shown = answer.body[:120].decode(errors="replace")
        raise AnswerError(f"no sound but {shown!r}")
