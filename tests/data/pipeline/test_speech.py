"""Speech by servers and commands: requests, answers, and what is refused as no speech."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import pretend_tool
from support.clips import melody
from support.tool_servers import KEY, RATE, ToolServer
from support.utterances import LINE, UTTERANCE

from avemo_harness import media
from avemo_harness.data.pipeline.servers import Answer
from avemo_harness.data.pipeline.speech import CommandSpeech, CosyVoice, OpenAISpeech, read_pcm_answer, read_wave_answer
from avemo_harness.errors import BuildError, MediaError, UsageError
from avemo_harness.http_answers import AnswerError


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


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    folder = tmp_path / "voices [a]"
    folder.mkdir()
    (folder / "vivian.wav").write_bytes(media.write_wave(melody(0.5), 16_000))
    (folder / "vivian.txt").write_text("What the voice says.\n")
    return folder


def cosyvoice(server: ToolServer, voices: Path, **changes: Any) -> CosyVoice:
    prompt = str(voices / "{voice}.wav")
    return CosyVoice(CosyVoice.Arguments(**{"base_url": server.url, "prompt_wav": prompt, "attempts": 2, **changes}))


def test_the_style_is_sent_with_a_reference_recording(server: ToolServer, voices: Path) -> None:
    cosyvoice(server, voices, instruct_text="{style}<|endofprompt|>").speak(UTTERANCE)
    assert server.asked[0].path == "/inference_instruct2"
    assert server.asked[0].content == {
        "tts_text": "I left the key on the shelf.",
        "instruct_text": "bright and quick<|endofprompt|>",
        "prompt_wav": (voices / "vivian.wav").read_bytes(),
    }


def test_a_reference_recording_goes_with_its_words_where_only_it_can_show_the_style(
    server: ToolServer, voices: Path
) -> None:
    cosyvoice(server, voices, mode="zero_shot").speak(UTTERANCE)
    assert server.asked[0].path == "/inference_zero_shot"
    assert server.asked[0].content["prompt_text"] == "What the voice says."


def test_a_fixed_voice_needs_no_recording(server: ToolServer, voices: Path) -> None:
    cosyvoice(server, voices, mode="sft", prompt_wav="", speaker="english_{gender}").speak(UTTERANCE)
    assert server.asked[0].path == "/inference_sft"
    assert server.asked[0].content == {"tts_text": "I left the key on the shelf.", "spk_id": "english_female"}
    assert server.asked[0].headers["content-type"].startswith("multipart/form-data; boundary=")


@pytest.mark.parametrize("rate_header", [None, RATE])
def test_bare_samples_are_read_at_the_declared_rate(server: ToolServer, voices: Path, rate_header: int | None) -> None:
    server.rate_header = rate_header
    sound = cosyvoice(server, voices).speak(UTTERANCE)
    assert sound.rate_hz == RATE
    assert np.abs(sound.samples - server.sound).max() < 1e-4


@pytest.mark.parametrize("fault", ["500", "cut stream", "half a sample", "json"])
def test_a_server_that_fails_once_is_asked_again_with_the_whole_form(
    server: ToolServer, voices: Path, fault: Any
) -> None:
    server.faults.append(fault)
    assert cosyvoice(server, voices).speak(UTTERANCE).duration_s == 1.0
    assert server.asked[0].content == server.asked[1].content


def test_a_missing_reference_recording_is_an_error_of_the_utterance(server: ToolServer, voices: Path) -> None:
    stranger = replace(UTTERANCE, speaker=replace(UTTERANCE.speaker, voice="nobody"))
    with pytest.raises(BuildError, match=r"^single-0003, turn 0: .*nobody\.wav: the reference recording cannot be"):
        cosyvoice(server, voices).speak(stranger)
    assert not server.asked


def test_a_mode_without_its_reference_recording_is_refused_at_once(server: ToolServer, voices: Path) -> None:
    with pytest.raises(UsageError, match="prompt_wav: the mode instruct2 needs a reference recording"):
        cosyvoice(server, voices, prompt_wav="")


def test_the_identity_changes_with_the_reference_recordings(server: ToolServer, voices: Path) -> None:
    backend = cosyvoice(server, voices)
    before = backend.identity()
    assert server.url not in str(before)
    assert cosyvoice(server, voices, timeout_s=1.0).identity() == before
    (voices / "vivian.wav").write_bytes(media.write_wave(melody(0.6), 16_000))
    assert backend.identity() != before


def test_the_words_of_a_recording_are_part_of_the_identity_where_they_are_sent(
    server: ToolServer, voices: Path
) -> None:
    backends = {mode: cosyvoice(server, voices, mode=mode) for mode in ("zero_shot", "instruct2")}
    before = {mode: backend.identity() for mode, backend in backends.items()}
    (voices / "vivian.txt").write_text("Something else.\n")
    assert backends["zero_shot"].identity() != before["zero_shot"]
    assert backends["instruct2"].identity() == before["instruct2"]


def test_a_path_that_no_recording_has_is_refused_at_once(server: ToolServer, voices: Path) -> None:
    with pytest.raises(UsageError, match=r"prompt_wav: there is no file .*\{voice\}\.flac; correct the path"):
        cosyvoice(server, voices, prompt_wav=str(voices / "{voice}.flac"))


def test_text_that_looks_like_a_form_stays_text(server: ToolServer, voices: Path) -> None:
    text = 'a "quoted" line; name="x"\r\n--boundary äöü 你好'
    cosyvoice(server, voices).speak(replace(UTTERANCE, line=replace(LINE, text=text)))
    assert server.asked[0].content["tts_text"] == text


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
        (b"text", "what Pretend made cannot be used"),
    ],
)
def test_what_is_no_speech_is_refused(stock: Path, made: bytes, said: str) -> None:
    (stock / "good").write_bytes(made)
    with pytest.raises(BuildError, match=f"^single-0003, turn 0: .*{said}"):
        speech().speak(UTTERANCE)


def test_a_tool_that_is_not_told_the_words_is_refused(stock: Path) -> None:
    with pytest.raises(UsageError, match=r"argv: nothing takes \{text\}, the words to be spoken"):
        speech(argv=(sys.executable, "{out.wav}"))


SOUND = melody(1.0, 24_000)
ANSWERED_WAVE = media.write_wave(SOUND, 24_000)
PCM = ANSWERED_WAVE[44:]


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
    assert read_pcm_answer(Answer({}, ANSWERED_WAVE), 24_000, "Hello.").duration_s == 1.0
    with pytest.raises(AnswerError, match="sound of 24000 samples a second, sample_rate declares 16000"):
        read_pcm_answer(Answer({}, ANSWERED_WAVE), 16_000, "Hello.")


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
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.full(24_000, np.nan, dtype=np.float32), 24_000, format="WAV", subtype="FLOAT")
    with pytest.raises(MediaError, match="samples that are no numbers"):
        read_wave_answer(Answer({}, file.getvalue()), "Hello.")
