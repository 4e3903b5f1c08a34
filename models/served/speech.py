"""Speech of chat completions: base64 in whatever pieces, decoded by what it holds and not by what was asked for."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.benchmark.request import Speech
from avemo_harness.errors import GenerationError, MediaError
from avemo_harness.http_errors import AnswerError

_SPACE = re.compile(r"\s+")
_DATA_URL = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)
_URL_SAFE = str.maketrans("-_", "+/")


def decode_base64(pieces: Sequence[Any]) -> tuple[bytes, ...]:
    """Decode pieces of sound: base64 or data URLs, also in lines; some servers cut one base64 wherever it suits them.

    Raises:
        AnswerError: the base64 is cut off.
        GenerationError: it is something else.
    """
    if not all(isinstance(piece, str) for piece in pieces):
        raise GenerationError("the server gave speech that is no base64 but something else")
    texts = [_SPACE.sub("", piece) for piece in pieces]
    if texts and texts[0].startswith("data:") and "," not in texts[0]:
        texts = ["".join(texts)]
    texts = [_DATA_URL.sub("", text, count=1).translate(_URL_SAFE) for text in texts]
    if any(len(text) % 4 for text in texts):
        texts = ["".join(texts)]
    try:
        return tuple(base64.b64decode(text, validate=True) for text in texts)
    except (binascii.Error, ValueError) as error:
        foreign = re.search(r"[^A-Za-z0-9+/=]", "".join(texts))
        if foreign:
            raise GenerationError(f"the server gave speech that is no base64: {texts[0][:40]!r}") from error
        raise AnswerError(f"speech whose base64 is cut off ({error})") from error


def speech_of(sound: Sequence[bytes], bare_rate_hz: int | None) -> Speech | None:
    """The speech of an answer; None where it has none.

    Args:
        sound: pieces in order: whole files, or one file that was cut anywhere. A WAV file may go on in bare samples.
        bare_rate_hz: of bare 16-bit samples; None where none were asked for, so that no other bytes pass for them.

    Raises:
        AnswerError: it is cut off, or of several rates.
        GenerationError: no container that is read, and no bare samples either.
    """
    files = _files(sound)
    if not any(files):
        return None
    try:
        parts = [_read(pieces, bare_rate_hz) for pieces in files]
    except media.IncompleteSoundError as error:
        raise AnswerError(f"speech that cannot be read: {error}") from error
    except MediaError as error:
        raise GenerationError(f"the server gave speech that cannot be read: {error}") from error
    rates = {rate for _, rate in parts}
    if len(rates) > 1:
        raise AnswerError(f"speech of several rates: {sorted(rates)}")
    samples = np.concatenate([part for part, _ in parts])
    return Speech(samples, rates.pop()) if len(samples) else None


def _files(sound: Sequence[bytes]) -> list[list[bytes]]:
    """Pieces by the file that they belong to."""
    files: list[list[bytes]] = []
    for piece in filter(None, sound):
        if not files or media.begins_sound_file(piece):
            files.append([])
        files[-1].append(piece)
    return files


def _read(pieces: Sequence[bytes], bare_rate_hz: int | None) -> tuple[NDArray[np.float32], int]:
    whole = b"".join(pieces)
    container = media.sound_container(whole)
    if container == "WAV" and len(pieces) > 1:
        size = media.known_size(pieces[0])
        if size is not None and size <= len(pieces[0]):  # the first piece says that it is all
            whole = media.with_more_samples(pieces[0], b"".join(pieces[1:]))
    if container is not None:
        return media.read_sound(whole)
    if _are_floats(whole):
        raise GenerationError("the server gave speech as bare 32-bit floats; ask for wav, or for 16-bit samples")
    if bare_rate_hz is None:
        raise GenerationError(
            f"the server gave speech in no known container (it begins with {whole[:12]!r}); if these are bare 16-bit "
            "samples, give speech_format=pcm16, or bare_wav where they must be asked for as wav"
        )
    if len(whole) % 2:
        raise media.IncompleteSoundError(f"{len(whole)} bytes are no 16-bit samples: half of one is missing")
    return media.read_pcm16(whole), bare_rate_hz


def _are_floats(data: bytes) -> bool:
    """True where bytes are sound as 32-bit floats.

    Sound in 16 bits has small negative samples, and two of those make no float of ordinary size.
    """
    if len(data) < 400 or len(data) % 4:
        return False
    values = np.abs(np.frombuffer(data, "<f4"))
    return bool(np.isfinite(values).all() and values.max() <= 4 and np.median(values) > 1e-5)
