"""Speech tools as commands."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import pretend_tool
from support.clips import melody
from support.utterances import UTTERANCE

from avemo_harness import media
from avemo_harness.data.pipeline.speech import CommandSpeech
from avemo_harness.errors import BuildError, UsageError

SPOKEN = melody(1.2, 22_050)
WAVE = media.write_wave(SPOKEN, 22_050)
NAMES = {"neutral": "calm", "happy": "joy", "angry": "fury", "sad": "grief"}


@pytest.fixture
def stock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "good").write_bytes(WAVE)
    monkeypatch.setenv("STOCK", str(tmp_path))
    return tmp_path


def speech(what: str = "good", *more: str, **changes: Any) -> CommandSpeech:
    argv = (sys.executable, pretend_tool.__file__, what, "{out.wav}", "{text}", *more)
    return CommandSpeech(
        CommandSpeech.Arguments(**{"tool": "Pretend", "version": "1", "argv": argv, "env": ("STOCK",), **changes})
    )


def flac() -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, SPOKEN, 22_050, format="FLAC")
    return file.getvalue()


@pytest.mark.parametrize("made", [WAVE, flac()], ids=["wav", "flac"])
def test_the_sound_is_read(stock: Path, made: bytes) -> None:
    (stock / "good").write_bytes(made)
    sound = speech().speak(UTTERANCE)
    assert (sound.rate_hz, sound.duration_s) == (22_050, 1.2)
    assert np.abs(sound.samples - SPOKEN).max() < 1e-3


def test_the_tool_is_told_text_voice_and_style(stock: Path) -> None:
    speech("good", "-v", "{voice}", "{gender}", "{emotion}", "{style}", "{seed}", emotions=NAMES).speak(UTTERANCE)
    told = json.loads((stock / "seen.json").read_text())["argv"]
    assert told == ["I left the key on the shelf.", "-v", "vivian", "female", "joy", "bright and quick", "11"]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (WAVE[:-1000], r"what Pretend made cannot be used: the WAV file is cut off"),
        (media.write_wave(np.zeros(22_050), 22_050), "silence where speech was expected"),
        (media.write_wave(SPOKEN[:4000], 22_050), r"0\.18 s of sound for 28 characters: it is cut off"),
        (b"text", "what Pretend made cannot be used"),
        (b"", "what Pretend made cannot be used"),
    ],
)
def test_what_is_no_speech_is_refused(stock: Path, made: bytes, said: str) -> None:
    (stock / "good").write_bytes(made)
    with pytest.raises(BuildError, match=f"^single-0003, turn 0: .*{said}"):
        speech().speak(UTTERANCE)


def test_a_tool_that_fails_is_an_error_of_the_unit(stock: Path) -> None:
    with pytest.raises(BuildError, match=r"^single-0003, turn 0: Pretend: \S+ ended with status 3"):
        speech("fail").speak(UTTERANCE)


def test_a_tool_that_is_not_told_the_words_is_refused(stock: Path) -> None:
    with pytest.raises(UsageError, match=r"argv: nothing takes \{text\}, the words to be spoken"):
        speech(argv=(sys.executable, "{out.wav}"))
