"""CosyVoice's server: its forms, its bare samples, and the rate that it may or may not tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import melody
from support.tool_servers import RATE, ToolServer
from support.utterances import LINE, UTTERANCE

from avemo_harness import media
from avemo_harness.data.pipeline.speech import CosyVoice
from avemo_harness.errors import BuildError, UsageError


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    folder = tmp_path / "voices [a]"
    folder.mkdir()
    (folder / "vivian.wav").write_bytes(media.write_wave(melody(0.5), 16_000))
    (folder / "vivian.txt").write_text("What the voice says.\n")
    return folder


def speaker(server: ToolServer, voices: Path, **changes: Any) -> CosyVoice:
    prompt = str(voices / "{voice}.wav")
    return CosyVoice(CosyVoice.Arguments(**{"base_url": server.url, "prompt_wav": prompt, "attempts": 2, **changes}))


def test_the_style_is_sent_with_a_reference_recording(server: ToolServer, voices: Path) -> None:
    speaker(server, voices, instruct_text="{style}<|endofprompt|>").speak(UTTERANCE)
    assert server.asked[0].path == "/inference_instruct2"
    assert server.asked[0].content == {
        "tts_text": "I left the key on the shelf.",
        "instruct_text": "bright and quick<|endofprompt|>",
        "prompt_wav": (voices / "vivian.wav").read_bytes(),
    }


def test_a_reference_recording_goes_with_its_words_where_only_it_can_show_the_style(
    server: ToolServer, voices: Path
) -> None:
    speaker(server, voices, mode="zero_shot").speak(UTTERANCE)
    assert server.asked[0].path == "/inference_zero_shot"
    assert server.asked[0].content["prompt_text"] == "What the voice says."


def test_a_fixed_voice_needs_no_recording(server: ToolServer, voices: Path) -> None:
    speaker(server, voices, mode="sft", prompt_wav="", speaker="english_{gender}").speak(UTTERANCE)
    assert server.asked[0].path == "/inference_sft"
    assert server.asked[0].content == {"tts_text": "I left the key on the shelf.", "spk_id": "english_female"}
    assert server.asked[0].headers["content-type"].startswith("multipart/form-data; boundary=")


@pytest.mark.parametrize("rate_header", [None, RATE])
def test_bare_samples_are_read_at_the_declared_rate(server: ToolServer, voices: Path, rate_header: int | None) -> None:
    server.rate_header = rate_header
    sound = speaker(server, voices).speak(UTTERANCE)
    assert sound.rate_hz == RATE
    assert np.abs(sound.samples - server.sound).max() < 1e-4


def test_a_server_of_another_rate_is_an_error(server: ToolServer, voices: Path) -> None:
    server.rate_header = 22_050
    with pytest.raises(BuildError, match="sound of 22050 samples a second, sample_rate declares 24000"):
        speaker(server, voices).speak(UTTERANCE)


@pytest.mark.parametrize("fault", ["500", "cut stream", "half a sample", "json"])
def test_a_server_that_fails_once_is_asked_again_with_the_whole_form(
    server: ToolServer, voices: Path, fault: Any
) -> None:
    server.faults.append(fault)
    assert speaker(server, voices).speak(UTTERANCE).duration_s == 1.0
    assert server.asked[0].content == server.asked[1].content


def test_a_server_of_an_older_revision_tells_what_it_lacks(server: ToolServer, voices: Path) -> None:
    server.faults.append("400")
    with pytest.raises(BuildError, match=r"^single-0003, turn 0: http://[\d.:]+/inference_instruct2: .* 400: Unknown"):
        speaker(server, voices).speak(UTTERANCE)


def test_a_missing_reference_recording_is_an_error_of_the_utterance(server: ToolServer, voices: Path) -> None:
    stranger = replace(UTTERANCE, speaker=replace(UTTERANCE.speaker, voice="nobody"))
    with pytest.raises(BuildError, match=r"^single-0003, turn 0: .*nobody\.wav: the reference recording cannot be"):
        speaker(server, voices).speak(stranger)
    assert not server.asked


def test_a_mode_without_its_reference_recording_is_refused_at_once(server: ToolServer, voices: Path) -> None:
    with pytest.raises(UsageError, match="prompt_wav: the mode instruct2 needs a reference recording"):
        speaker(server, voices, prompt_wav="")


def test_the_identity_changes_with_the_reference_recordings(server: ToolServer, voices: Path) -> None:
    backend = speaker(server, voices)
    before = backend.identity()
    assert server.url not in str(before)
    assert speaker(server, voices, timeout_s=1.0).identity() == before
    (voices / "vivian.wav").write_bytes(media.write_wave(melody(0.6), 16_000))
    assert backend.identity() != before


def test_the_words_of_a_recording_are_part_of_the_identity_where_they_are_sent(
    server: ToolServer, voices: Path
) -> None:
    backends = {mode: speaker(server, voices, mode=mode) for mode in ("zero_shot", "instruct2")}
    before = {mode: backend.identity() for mode, backend in backends.items()}
    (voices / "vivian.txt").write_text("Something else.\n")
    assert backends["zero_shot"].identity() != before["zero_shot"]
    assert backends["instruct2"].identity() == before["instruct2"]


def test_a_path_that_no_recording_has_is_refused_at_once(server: ToolServer, voices: Path) -> None:
    with pytest.raises(UsageError, match=r"prompt_wav: there is no file .*\{voice\}\.flac; correct the path"):
        speaker(server, voices, prompt_wav=str(voices / "{voice}.flac"))


def test_text_that_looks_like_a_form_stays_text(server: ToolServer, voices: Path) -> None:
    text = 'a "quoted" line; name="x"\r\n--boundary äöü 你好'
    speaker(server, voices).speak(replace(UTTERANCE, line=replace(LINE, text=text)))
    assert server.asked[0].content["tts_text"] == text
