"""Speech over OpenAI's protocol: what is sent, what is read, and what is refused as no speech."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.clips import melody
from support.tool_servers import KEY, RATE, ToolServer
from support.utterances import LINE, UTTERANCE

from avemo_harness.data.pipeline.speech import OpenAISpeech
from avemo_harness.errors import BuildError, UsageError


def speaker(server: ToolServer, **changes: Any) -> OpenAISpeech:
    return OpenAISpeech(OpenAISpeech.Arguments(base_url=f"{server.url}/v1", model="tiny-tts", attempts=2, **changes))


def test_text_voice_and_style_are_sent(server: ToolServer) -> None:
    speaker(server).speak(UTTERANCE)
    assert server.asked[0].content == {
        "model": "tiny-tts",
        "input": "I left the key on the shelf.",
        "voice": "vivian",
        "instructions": "bright and quick",
        "response_format": "wav",
    }


def test_voice_and_instructions_may_be_put_together(server: ToolServer) -> None:
    voices = {"voice": "{gender}-{speaker}", "instructions": "Speak {style}; you are {emotion}. {{sic}}"}
    speaker(server, **voices, language="English", speed=1.1, send_seed=True).speak(UTTERANCE)
    sent = server.asked[0].content
    assert sent["voice"] == "female-speaker03"
    assert sent["instructions"] == "Speak bright and quick; you are happy. {sic}"
    assert (sent["language"], sent["speed"], sent["seed"]) == ("English", 1.1, 11)


def test_what_a_model_wrote_is_no_template(server: ToolServer) -> None:
    speaker(server).speak(replace(UTTERANCE, line=replace(LINE, style="like {voice} {0.__class__}")))
    assert server.asked[0].content["instructions"] == "like {voice} {0.__class__}"


@pytest.mark.parametrize("response_format", ["wav", "pcm"])
def test_the_sound_is_read_whole(server: ToolServer, response_format: str) -> None:
    sound = speaker(server, response_format=response_format).speak(UTTERANCE)
    assert sound.rate_hz == RATE
    assert sound.duration_s == 1.0
    assert np.abs(sound.samples - server.sound).max() < 1e-4


@pytest.mark.parametrize("response_format", ["wav", "pcm"])
@pytest.mark.parametrize("fault", ["429", "500", "cut", "cut stream", "json", "no json", "half a sample"])
def test_a_server_that_fails_once_is_asked_again(server: ToolServer, response_format: str, fault: Any) -> None:
    server.faults.append(fault)
    assert speaker(server, response_format=response_format).speak(UTTERANCE).duration_s == 1.0
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("response_format", "fault", "said"),
    [
        ("pcm", "half a sample", "47999 bytes are no 16-bit samples: half of one is missing"),
        ("pcm", "json", 'no sound but \'{"error"'),
        ("pcm", "no json", "no 16-bit samples but a file that begins with b'<html>Pl'"),
        ("wav", "json", 'no sound but \'{"error"'),
        ("wav", "no json", "no WAV file: it begins with b'<html>Please'"),
    ],
)
def test_what_is_no_sound_is_an_error(server: ToolServer, response_format: str, fault: Any, said: str) -> None:
    server.faults.extend([fault] * 2)
    with pytest.raises(BuildError) as error:
        speaker(server, response_format=response_format).speak(UTTERANCE)
    where = f"single-0003, turn 0: {server.url}/v1/audio/speech"
    assert str(error.value).startswith(f"{where}: not answered in 2 attempts; the last one: it answered {said}")


@pytest.mark.parametrize("response_format", ["wav", "pcm"])
@pytest.mark.parametrize(
    ("sound", "said"),
    [
        (np.zeros(RATE), "silence where speech was expected"),
        (melody(0.2, RATE), "0.20 s of sound for 28 characters: it is cut off"),
        (np.zeros(0), "0.00 s of sound for 28 characters"),
        (melody(121.0, RATE), "121 s of sound for 28 characters, at most 120 s fit"),
    ],
)
def test_sound_that_is_no_speech_is_an_error(
    server: ToolServer, response_format: str, sound: np.ndarray, said: str
) -> None:
    server.sound = sound
    with pytest.raises(BuildError, match=said):
        speaker(server, response_format=response_format).speak(UTTERANCE)


def test_bare_samples_have_the_rate_that_is_declared(server: ToolServer) -> None:
    sound = speaker(server, response_format="pcm", sample_rate=16_000).speak(UTTERANCE)
    assert (sound.rate_hz, sound.duration_s) == (16_000, 1.5)


def test_a_voice_that_there_is_not_is_told(server: ToolServer) -> None:
    server.faults.append("400")
    with pytest.raises(BuildError, match=r"/audio/speech: the server answered 400: Unknown voice see the manual$"):
        speaker(server).speak(UTTERANCE)
    with pytest.raises(BuildError, match=r"400: Missing required parameter: 'voice'.$"):
        speaker(server, voice="").speak(UTTERANCE)


@pytest.mark.parametrize(
    ("voice", "said"),
    [
        ("{vioce}", "voice: '{vioce}' has no valid placeholder {vioce}; nearest: 'voice'"),
        ("{voice!r}", "voice: '{voice!r}' has no valid placeholder {voice}"),
        ("{voice", "voice: '{voice' has a brace too many or too few"),
    ],
)
def test_a_wrong_placeholder_is_told_before_anything_is_made(server: ToolServer, voice: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        speaker(server, voice=voice)
    assert str(error.value).startswith(said)


def test_the_identity_tells_what_decides_the_sound_and_no_key(
    server: ToolServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEECH_KEY", KEY)
    plain, keyed = speaker(server).identity(), speaker(server, api_key_env="SPEECH_KEY", timeout_s=5).identity()
    assert plain == keyed
    assert server.url not in str(keyed)
    for change in ({"voice": "alloy"}, {"speed": 1.2}, {"version": "2"}, {"response_format": "pcm"}):
        assert speaker(server, **change).identity() != plain
