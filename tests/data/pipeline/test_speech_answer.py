"""Bare samples and what servers say of them in headers."""

from __future__ import annotations

import numpy as np
import pytest
from support.clips import melody

from avemo_harness import media
from avemo_harness.data.pipeline.servers import Answer
from avemo_harness.data.pipeline.speech import read_pcm_answer, read_wave_answer
from avemo_harness.errors import MediaError
from avemo_harness.http_answers import AnswerError

SOUND = melody(1.0, 24_000)
WAVE = media.write_wave(SOUND, 24_000)
PCM = WAVE[44:]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/octet-stream"},
        {"x-sample-rate": "24000"},
        {"X-Custom-Header-sampleRate": "24000"},
        {"content-type": "audio/L16; rate=24000; channels=1"},
    ],
)
def test_a_stated_rate_that_agrees_is_content(headers: dict[str, str]) -> None:
    assert read_pcm_answer(Answer(headers, PCM), 24_000, "Hello.").duration_s == 1.0


@pytest.mark.parametrize(
    "headers",
    [{"x-sample-rate": "22050"}, {"x-custom-header-samplerate": "22050"}, {"content-type": "audio/pcm;rate=22050"}],
)
def test_a_stated_rate_that_does_not_agree_is_an_error(headers: dict[str, str]) -> None:
    with pytest.raises(AnswerError, match="sound of 22050 samples a second, sample_rate declares 24000"):
        read_pcm_answer(Answer(headers, PCM), 24_000, "Hello.")


def test_a_file_where_bare_samples_were_asked_for_is_read_as_one() -> None:
    assert read_pcm_answer(Answer({}, WAVE), 24_000, "Hello.").duration_s == 1.0
    with pytest.raises(AnswerError, match="sound of 24000 samples a second, sample_rate declares 16000"):
        read_pcm_answer(Answer({}, WAVE), 16_000, "Hello.")


@pytest.mark.parametrize("start", [b"ID3\x04", b"OggS", b"fLaC"])
def test_other_formats_are_not_taken_for_samples(start: bytes) -> None:
    with pytest.raises(AnswerError, match="no 16-bit samples but a file"):
        read_pcm_answer(Answer({}, start + PCM), 24_000, "Hello.")


def test_samples_may_begin_like_text() -> None:
    assert read_pcm_answer(Answer({}, b"{\0" + PCM), 24_000, "Hello.").rate_hz == 24_000


def test_text_is_not_taken_for_samples() -> None:
    busy = Answer({"content-type": "text/plain; charset=utf-8"}, b"busy")
    for answer in (Answer({}, b'{"detail": "x"}  '), busy, Answer({}, b"[" * 100_000)):
        with pytest.raises(AnswerError, match="no sound but"):
            read_pcm_answer(answer, 24_000, "Hello.")


def test_samples_that_are_no_numbers_are_an_error() -> None:
    import io

    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.full(24_000, np.nan, dtype=np.float32), 24_000, format="WAV", subtype="FLOAT")
    with pytest.raises(MediaError, match="samples that are no numbers"):
        read_wave_answer(Answer({}, file.getvalue()), "Hello.")
