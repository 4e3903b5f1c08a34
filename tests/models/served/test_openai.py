"""A model behind a server: what is sent, what is made of the answers, and which servers are refused."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.chat_server import KEY, MODEL, ChatServer, running
from support.clips import melody, pattern
from support.people_clips import browser_recording, prores_clip, recorded
from support.questions import ask, ask_in_words, clip, silent_clip, sound_clip
from support.sound_files import SOUND_FORMATS
from support.waiting import PATIENCE_S, wait_until

from avemo_harness import media
from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Response
from avemo_harness.benchmark.task import TextOutput
from avemo_harness.errors import ModelError
from avemo_harness.models.base import ModelSetup
from avemo_harness.models.served.openai import OpenAi

LABELS = {"neutral", "happy", "angry", "sad"}

Serve = Callable[..., ChatServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers that run until the test ends."""
    started = []

    def start(*arguments: Any, **more: Any) -> ChatServer:
        context = running(ChatServer(*arguments, **more))
        started.append(context)
        return context.__enter__()

    yield start
    for context in started:
        context.__exit__(None, None, None)


def model_of(*servers: ChatServer, **arguments: Any) -> OpenAi:
    given = {
        "base_url": "+".join(server.url for server in servers),
        "model": MODEL,
        "timeout_s": PATIENCE_S,
        **arguments,
    }
    return OpenAi(OpenAi.Arguments(**given), ModelSetup())


def answer(model: OpenAi, *before: Clip | str, **how: Any) -> Response:
    return model.generate([ask(*before, **how)])[0]


def sent(server: ChatServer) -> list[dict[str, Any]]:
    """The content of the last message that was sent."""
    content = server.payloads[-1]["messages"][-1]["content"]
    assert isinstance(content, list)
    return content


def bytes_of(part: dict[str, Any]) -> bytes:
    """The media of a part."""
    if part["type"] == "input_audio":
        return base64.b64decode(part["input_audio"]["data"])
    return base64.b64decode(part[part["type"]]["url"].partition("base64,")[2])


def test_labels_are_given_as_choices_where_the_server_holds_to_them(serve: Serve) -> None:
    server = serve("vllm")
    response = answer(model_of(server), clip(1.0))
    assert response.text in LABELS
    assert set(server.payloads[-1]["structured_outputs"]["choice"]) == LABELS
    assert (response.prompt_tokens, response.new_tokens, response.flags) == (7 + 90 + 30 + 5, 6, ())


def test_where_it_does_not_the_text_is_left_to_the_model(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = serve("hosted")
    response = answer(model_of(server, stream=True), clip(1.0))
    assert response.text is not None
    assert response.text not in LABELS
    assert "structured_outputs" not in server.payloads[-1]


@pytest.mark.parametrize("unknown", [(), ("response_format",)])
def test_a_text_is_held_to_its_schema_where_the_server_knows_how(serve: Serve, unknown: tuple[str, ...]) -> None:
    server = serve(unknown=unknown)
    schema = {"type": "object", "properties": {"grade": {"type": "number"}}}
    asked = replace(ask_in_words("How good is it?"), output=TextOutput(type="text"), schema=schema)
    (response,) = model_of(server, choices=False).generate([asked])
    assert response.text
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    assert server.payloads[-1].get("response_format") == (None if unknown else form)


def test_a_clip_is_sent_as_a_silent_video_and_its_sound(serve: Serve) -> None:
    server, shown = serve(), clip(1.2)
    answer(model_of(server), shown)
    video, sound, question = sent(server)
    assert [part["type"] for part in (video, sound, question)] == ["video_url", "input_audio", "text"]
    info = media.probe(bytes_of(video))
    assert info.sound is None
    assert media.packet_digests(bytes_of(video)).video == media.packet_digests(shown.read()).video
    samples, rate = media.read_wave(bytes_of(sound))
    assert rate == 16_000
    assert np.abs(samples - media.decode_sound(shown.read(), rate=16_000)).max() < 1e-3


@pytest.mark.parametrize(
    ("shown", "kinds"),
    [
        (silent_clip(1.0), ["video_url", "text"]),
        *((sound_clip(1.0, kind=kind), ["input_audio", "text"]) for kind in SOUND_FORMATS),
    ],
    ids=["video alone", *SOUND_FORMATS],
)
@pytest.mark.parametrize("sound_part", ["input_audio", "in_video"])
def test_a_stream_that_a_clip_lacks_is_not_sent(serve: Serve, shown: Clip, kinds: list[str], sound_part: str) -> None:
    server = serve()
    answer(model_of(server, sound_part=sound_part), shown)
    assert [part["type"] for part in sent(server)] == kinds


@pytest.mark.parametrize("kind", SOUND_FORMATS)
def test_a_sound_file_is_sent_whole_as_wav(serve: Serve, kind: str) -> None:
    server, shown = serve(), sound_clip(1.3, 3, kind)
    answer(model_of(server), shown)
    samples, rate = media.read_wave(bytes_of(sent(server)[0]))
    assert (rate, len(samples)) == (16_000, 20_800)
    assert np.abs(samples - media.decode_sound(shown.read())).max() < 1e-3


@pytest.mark.parametrize(
    "made",
    [
        browser_recording,
        prores_clip,
        lambda seconds: recorded([pattern(index) for index in range(round(25 * seconds))], turned=90),
    ],
)
def test_a_clip_whose_packets_cannot_be_copied_is_sent_as_mp4(serve: Serve, made: Callable[[float], bytes]) -> None:
    server, shown = serve(), Clip.from_bytes(made(1.2), "clip.webm")
    response = answer(model_of(server, probe=False), shown)
    assert response.error is None
    video = bytes_of(sent(server)[0])
    info = media.probe(video)
    assert (media.sound_container(video), info.sound) == ("MP4", None)
    assert info.video is not None
    assert info.video.duration_s == pytest.approx(1.2, abs=0.05)


def test_a_video_that_is_heard_is_sent_as_mp4_too(serve: Serve) -> None:
    server, shown = serve(), Clip.from_bytes(browser_recording(1.2), "clip.webm")
    assert answer(model_of(server, probe=False, sound_part="in_video"), shown).error is None
    video = bytes_of(sent(server)[0])
    assert media.sound_container(video) == "MP4"
    assert media.probe(video).sound is not None


@pytest.mark.parametrize(
    ("container", "codec"), [("webm", "libopus"), ("mov", "pcm_s16le"), ("flv", "aac"), ("avi", "pcm_s16le")]
)
@pytest.mark.parametrize("layout", ["clips", "seconds"])
def test_sound_alone_is_sent_as_wav_from_every_container(serve: Serve, container: str, codec: str, layout: str) -> None:
    rate = 44_100 if container == "flv" else 48_000
    data = recorded(None, melody(1.0, rate), rate=rate, codecs=("libx264", codec), container=container)
    server = serve()
    response = answer(model_of(server, probe=False, layout=layout), Clip.from_bytes(data, f"sound.{container}"))
    assert response.error is None
    assert [part["type"] for part in sent(server)] == ["input_audio", "text"]
    assert len(media.read_wave(bytes_of(sent(server)[0]))[0]) == pytest.approx(16_000, abs=400)


def test_a_history_of_clips_with_other_streams_is_sent_as_it_is(serve: Serve) -> None:
    server = serve()
    request = ask(sound_clip(1.0, 1, "wav"), "I see.", silent_clip(1.0, 2), "Hm.", clip(1.0, 3))
    assert model_of(server).generate([request])[0].error is None
    kinds = [
        [part["type"] for part in message["content"]]
        for message in server.payloads[-1]["messages"]
        if isinstance(message["content"], list)
    ]
    assert kinds == [["input_audio"], ["video_url"], ["video_url", "input_audio", "text"]]


def test_a_sound_can_be_sent_as_a_url(serve: Serve) -> None:
    server = serve()
    answer(model_of(server, sound_part="audio_url"), sound_clip(1.0))
    assert media.is_wave(bytes_of(sent(server)[0]))
    answer(model_of(server, sound_part="input_audio_url"), sound_clip(1.0))
    assert sent(server)[0]["input_audio"]["data"].startswith("data:audio/wav;base64,")


def test_a_sound_can_be_left_in_the_video_if_the_server_hears_it_there(serve: Serve) -> None:
    server, shown = serve(), clip(1.0)
    answer(model_of(server, sound_part="in_video"), shown)
    assert [part["type"] for part in sent(server)] == ["video_url", "text"]
    assert bytes_of(sent(server)[0]) == shown.read()
    with pytest.raises(ModelError, match="the server drops the sound"):
        model_of(server, sound_part="in_video").identity()


def test_seconds_take_turns_for_models_that_read_them_so(serve: Serve) -> None:
    server = serve()
    answer(model_of(server, layout="seconds"), clip(2.0))
    kinds = [part["type"] for part in sent(server)]
    assert kinds == ["image_url", "input_audio", "image_url", "input_audio", "text"]
    assert bytes_of(sent(server)[0])[:4] == b"\x89PNG"


def test_the_history_comes_before_the_question_in_turns(serve: Serve) -> None:
    server = serve()
    answer(model_of(server, system="Be kind."), clip(1.0), "I see. <|im_end|>", clip(1.0, seed=1))
    messages = server.payloads[-1]["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[0]["content"] == "Be kind."
    assert messages[2]["content"] == "I see. < |im_end|>"


def test_the_settings_are_those_of_the_request(serve: Serve) -> None:
    server = serve()
    request = ask(clip(1.0), do_sample=True, temperature=0.7, top_p=0.9, max_new_tokens=5)
    model_of(server).generate([request])
    payload = server.payloads[-1]
    assert (payload["temperature"], payload["top_p"], payload["max_tokens"]) == (0.7, 0.9, 5)
    assert payload["seed"] == request.seed % 2**31
    model_of(server).generate([ask(clip(1.0))])
    assert server.payloads[-1]["temperature"] == 0.0


@pytest.mark.parametrize(
    ("kind", "stream", "form"),
    [
        ("vllm", False, "wav"),
        ("vllm", True, "wav"),
        ("vllm", True, "pcm16"),
        ("vllm-omni", False, "wav"),
        ("vllm-omni", True, "wav"),
        ("hosted", True, "bare_wav"),
    ],
)
def test_a_reply_is_spoken(serve: Serve, monkeypatch: pytest.MonkeyPatch, kind: str, stream: bool, form: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = serve(kind)
    model = model_of(server, speech=True, stream=stream, voice="chelsie", speech_format=form)
    response = answer(model, clip(1.0), output="reply")
    assert response.error is None
    assert response.speech is not None
    assert response.speech.rate_hz == 24_000
    assert len(response.speech.samples) == 4_800
    assert 0.2 < np.abs(response.speech.samples).max() < 0.4
    assert server.payloads[-1]["audio"] == {"voice": "chelsie", "format": form.removeprefix("bare_")}
    assert response.flags == ()


def test_labels_are_ranked_by_their_first_token(serve: Serve) -> None:
    server = serve()
    model = model_of(server)
    first, second = (answer(model, clip(1.0, seed), output="rank") for seed in (0, 1))
    for response in (first, second):
        assert response.label_logprobs is not None
        assert set(response.label_logprobs) == LABELS
        assert sorted(response.label_logprobs.values()) == pytest.approx([-2.5, -1.8, -1.1, -0.4])
        assert response.label_priors is not None
    assert first.label_priors == second.label_priors
    ranked = [payload for payload in server.payloads if payload.get("logprobs")]
    assert len(ranked) == 3
    assert all(payload["max_tokens"] == 1 for payload in ranked)


def test_a_damaged_clip_is_an_error_of_its_request_alone(serve: Serve) -> None:
    bad = Clip.from_bytes(b"no clip at all", "broken.mp4")
    whole, damaged = model_of(serve()).generate([ask(clip(1.0)), ask(bad)])
    assert whole.error is None
    assert damaged.error is not None
    assert damaged.error.startswith("MediaError: broken.mp4")


@pytest.mark.parametrize("sense", ["deaf", "blind"])
@pytest.mark.parametrize("layout", ["clips", "seconds"])
def test_a_server_that_drops_what_is_sent_is_refused(serve: Serve, sense: str, layout: str) -> None:
    model = model_of(serve("vllm", **{sense: True}), layout=layout)
    with pytest.raises(ModelError, match=f"the server drops the {'sound' if sense == 'deaf' else 'video'}"):
        model.identity()
    assert model_of(serve("vllm", **{sense: True}), probe=False).identity()["senses"] == "not probed"


def test_the_identity_names_server_and_model_and_no_address(serve: Serve) -> None:
    server = serve("vllm-omni")
    identity = model_of(server).identity()
    assert identity["model"] == MODEL
    assert identity["server"] == "vllm-omni 0.30.0"
    assert identity["root"] == "/weights/tiny"
    assert identity["choices"] == "True"
    assert str(server.port) not in str(identity)


def test_several_servers_share_the_load(serve: Serve) -> None:
    servers = [serve() for _ in range(3)]
    model = model_of(*servers, timeout_s=PATIENCE_S)
    model.identity()
    before = [server.asked.total() for server in servers]
    for server in servers:
        server.held_after = 0

    def asked() -> list[int]:
        return [server.asked.total() - count for server, count in zip(servers, before, strict=True)]

    under_way = [model.submit(ask_in_words(f"Question {number}?")) for number in range(30)]
    wait_until(lambda: sum(asked()) == 30, "every request has come to a server")
    assert asked() == [10, 10, 10]
    for server in servers:
        server.held_after = math.inf
    assert all(one.result().error is None for one in under_way)


def test_servers_that_share_a_run_must_be_alike(serve: Serve) -> None:
    with pytest.raises(ModelError, match=r"must be alike.*vllm 0\.33\.0.*vllm-omni 0\.30\.0"):
        model_of(serve("vllm"), serve("vllm-omni")).identity()


def test_a_server_that_went_away_is_left_to_the_others(serve: Serve) -> None:
    staying = serve()
    with running(ChatServer()) as leaving:
        model = model_of(staying, leaving)
        model.identity()
    answers = model.generate([ask_in_words(f"Question {number}?") for number in range(20)])
    assert all(one.error is None for one in answers)


def test_when_all_are_gone_the_run_ends() -> None:
    with running(ChatServer()) as server:
        model = model_of(server, attempts=2, total_s=2.0)
        model.identity()
    with pytest.raises(ModelError, match="Start it again"):
        model.generate([ask_in_words(f"Question {number}?") for number in range(20)])


def test_a_model_that_the_server_lacks_is_refused(serve: Serve) -> None:
    with pytest.raises(ModelError, match=f"has no model 'other'; it has {MODEL}"):
        model_of(serve(), model="other").identity()


def test_a_wrong_key_is_refused_and_not_repeated(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-wrong-987654321")
    with pytest.raises(ModelError, match="Incorrect API key provided") as caught:
        model_of(serve("hosted"), api_key_env="MY_KEY").identity()
    assert "sk-wrong" not in str(caught.value)
    assert "MY_KEY" not in str(caught.value) or "sk-" not in str(caught.value)


def test_a_server_that_is_not_there_is_one_sentence() -> None:
    model = OpenAi(OpenAi.Arguments(base_url="http://127.0.0.1:9/v1", model="x", attempts=1), ModelSetup())
    with pytest.raises(ModelError, match=r"^http://127\.0\.0\.1:9/v1: no server has answered .*is the server up\?"):
        model.identity()


@pytest.mark.parametrize(
    "url",
    [
        *(
            "localhost:8000",
            "ftp://host/v1",
            "http://",
            "http://user:secret@host/v1",
            "http://user:secret@host:99999/v1",
        ),
        *("http://[::1:8000/v1", "http://::1:8000/v1", "http://host:port/v1", "http://host:0/v1", ""),
        *("http://host/v1?api_key=secret", "http://host/v1?api-version=1&sig=secret"),
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ModelError, match="base_url must") as caught:
        OpenAi(OpenAi.Arguments(base_url=url, model="x"), ModelSetup())
    assert "secret" not in str(caught.value)


def test_attempts_are_bounded_and_the_last_failure_is_told(serve: Serve) -> None:
    server = serve(fault_rate=1.0, faults=("500",))
    model = model_of(server, probe=False, choices=False, attempts=3)
    response = model.generate([ask_in_words("Well?")])[0]
    assert response.error == (
        "GenerationError: not answered in 3 attempts; the last one: the server answered 500: CUDA error"
    )
    assert list(server.asked.values()) == [3]


def test_a_server_that_never_answers_is_given_up_in_time(serve: Serve) -> None:
    server = serve(fault_rate=1.0, faults=("no answer",))
    model = model_of(server, probe=False, choices=False, attempts=2, timeout_s=0.3)
    response = model.generate([ask_in_words("Well?")])[0]
    assert response.error is not None
    assert "no whole answer came within 0.3 s" in response.error
