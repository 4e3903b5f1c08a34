"""Dialogues of a language model: checked, repaired, and the same words in every take of a topic."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.tool_servers import DATED_MODEL, KEY, ToolServer, write_well

from avemo_harness.data.pipeline.backends import ScriptRequest
from avemo_harness.data.pipeline.writer import OpenAIWriter
from avemo_harness.errors import BuildError

BRIEF = ScriptRequest("multi-0007", turns=3, emotions=("happy", "sad"), topic=4, take=0, language="en", seed=7)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVEMO_CACHE", str(tmp_path / "cache"))


def writer(server: ToolServer, **changes: Any) -> OpenAIWriter:
    return OpenAIWriter(OpenAIWriter.Arguments(base_url=f"{server.url}/v1", model="tiny-writer", **changes))


def asked_for(server: ToolServer, name: str) -> list[dict[str, Any]]:
    """The requests for a transcript or for styles so far."""
    requests = [one.content for one in server.asked]
    return [one for one in requests if one["response_format"]["json_schema"]["name"] == name]


def spoil_first(spoil: Callable[[Any], object], name: str = "transcript", times: int = 1) -> Callable[..., object]:
    """An author whose first answers are spoiled."""
    left = [times]

    def write(request: dict[str, Any]) -> object:
        told = write_well(request)
        if request["response_format"]["json_schema"]["name"] == name and left[0] > 0:
            left[0] -= 1
            return spoil(told)
        return told

    return write


def with_text(turn: int, text: str) -> Callable[[Any], object]:
    def spoil(told: Any) -> object:
        told["turns"][turn]["text"] = text
        return told

    return spoil


def test_a_dialogue_is_as_the_brief_says(server: ToolServer) -> None:
    script = writer(server).write(BRIEF)
    assert [line.role for line in script.lines] == ["user", "assistant", "user"]
    assert [line.emotion for line in script.lines] == ["happy", "neutral", "sad"]
    assert [line.style for line in script.lines] == ["in style 0", "in style 1", "in style 2"]
    assert len({line.text for line in script.lines}) == 3


def test_takes_of_a_topic_are_the_same_words(server: ToolServer) -> None:
    backend = writer(server)
    takes = [
        replace(BRIEF, script_id=f"take-{take}", take=take, seed=take, emotions=emotions)
        for take, emotions in enumerate([("happy", "sad"), ("angry", "neutral"), ("sad", "happy")])
    ]
    with ThreadPoolExecutor(3) as pool:
        scripts = list(pool.map(backend.write, takes))
    assert len({tuple(line.text for line in script.lines) for script in scripts}) == 1
    assert [script.lines[0].emotion for script in scripts] == ["happy", "angry", "sad"]
    assert len(asked_for(server, "transcript")) == 1
    assert len(asked_for(server, "styles")) == 3


def test_takes_are_the_same_words_also_after_an_interruption(server: ToolServer) -> None:
    first = writer(server).write(BRIEF)
    server.author = spoil_first(with_text(0, "Other words of a server that remembers nothing."), times=9)
    again = writer(server).write(replace(BRIEF, take=1))
    assert [line.text for line in again.lines] == [line.text for line in first.lines]
    assert again.written_by == DATED_MODEL


def test_a_damaged_note_of_the_words_is_made_again(server: ToolServer, tmp_path: Path) -> None:
    first = writer(server).write(BRIEF)
    (note,) = (tmp_path / "cache" / "transcripts").glob("*.json")
    note.write_text('{"model": "x", "told": {"turns": []}}')
    assert writer(server).write(BRIEF) == first


@pytest.mark.parametrize("change", [{"topic": 5}, {"language": "de"}, {"turns": 5, "emotions": ("sad",) * 3}])
def test_other_topics_lengths_and_languages_have_words_of_their_own(server: ToolServer, change: dict[str, Any]) -> None:
    backend = writer(server)
    backend.write(BRIEF)
    backend.write(replace(BRIEF, **change))
    first, second = asked_for(server, "transcript")
    assert first["messages"] != second["messages"]


def test_the_prompt_for_the_words_does_not_depend_on_the_emotions(server: ToolServer) -> None:
    writer(server, longest_text=100).write(BRIEF)
    writer(server, longest_text=100, temperature=0.5).write(replace(BRIEF, emotions=("angry", "angry"), seed=9))
    first, second = asked_for(server, "transcript")
    assert first["messages"] == second["messages"]


def test_the_form_of_the_answer_is_asked_for_strictly(server: ToolServer) -> None:
    writer(server, temperature=None).write(BRIEF)
    request = server.asked[0].content
    assert request["response_format"]["type"] == "json_schema"
    assert request["response_format"]["json_schema"]["strict"] is True
    assert request["model"] == "tiny-writer"
    assert "temperature" not in request
    assert "seed" not in request


def test_a_seed_is_sent_on_request(server: ToolServer) -> None:
    writer(server, send_seed=True).write(BRIEF)
    seeds = [one.content["seed"] for one in server.asked]
    writer(server, send_seed=True).write(replace(BRIEF, topic=5, take=1))
    others = [one.content["seed"] for one in server.asked[2:]]
    assert not set(seeds) & set(others)
    assert all(0 <= seed < 2**31 for seed in seeds)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("I am furious about the key.", "utterance 1 tells an emotion by the word 'furious'"),
        ("", "utterance 1 has no words"),
        ("?!", "utterance 1 has no words"),
        ("word " * 60, "utterance 1 has 299 characters, at most 200 are allowed"),
        ("[laughs] The key is there.", "utterance 1 has signs that are not spoken"),
        ("The key is there 😀.", "utterance 1 has signs that are not spoken"),
        ("half of a pair \ud83d", "utterance 1 has signs that are not spoken"),
        ("sentence 2 is about the blue box!", "utterance 3 repeats utterance 1"),
    ],
)
def test_a_text_that_cannot_be_used_is_repaired(server: ToolServer, text: str, complaint: str) -> None:
    def spoil(told: Any) -> object:
        told["turns"][0]["text"] = text
        told["turns"][2]["text"] = "Sentence 2 is about the blue box."
        return told

    server.author = spoil_first(spoil)
    script = writer(server).write(BRIEF)
    assert script.lines[0].text.startswith("Sentence 0 is about the ")
    first, second = asked_for(server, "transcript")
    assert second["messages"][:2] == first["messages"]
    assert json.loads(second["messages"][2]["content"])["turns"][0]["text"] == text, "what was wrong is quoted"
    assert f"- {complaint}" in second["messages"][3]["content"]


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda told: "Sure! Here it is:", "the answer is not JSON"),
        (lambda told: '{"turns": ' + "[" * 100_000, "the answer is not JSON"),
        (lambda told: [], 'the answer must be an object with a list "turns"'),
        (lambda told: {"turns": told["turns"][:2]}, "there are 2 utterances, 3 were asked for"),
        (
            lambda told: {"turns": [*told["turns"][:2], {"role": "user"}]},
            "utterance 3 must be an object with the texts",
        ),
        (lambda told: {"turns": told["turns"][1:] + told["turns"][:1]}, "utterance 1 must be the user's"),
    ],
)
def test_a_transcript_of_another_form_is_repaired(
    server: ToolServer, spoil: Callable[[Any], object], complaint: str
) -> None:
    server.author = spoil_first(spoil)
    assert len(writer(server).write(BRIEF).lines) == 3
    assert complaint in asked_for(server, "transcript")[1]["messages"][3]["content"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"emotion": "sad"}, "the emotion of utterance 1 must be happy, not sad"),
        ({"style": " "}, "the style of utterance 1 is empty"),
        ({"style": "so " * 99}, "the style of utterance 1 must be one line of at most 200 characters"),
    ],
)
def test_styles_that_do_not_fit_are_repaired(server: ToolServer, change: dict[str, str], complaint: str) -> None:
    server.author = spoil_first(lambda told: {"turns": [told["turns"][0] | change, *told["turns"][1:]]}, "styles")
    assert writer(server).write(BRIEF).lines[0].emotion == "happy"
    assert complaint in asked_for(server, "styles")[1]["messages"][3]["content"]


def test_words_of_another_language_are_looked_for_as_well(server: ToolServer) -> None:
    server.author = spoil_first(with_text(0, "Ich war froh."))
    writer(server, leak_words={"happy": ("froh*",)}).write(replace(BRIEF, language="de"))
    assert "by the word 'froh'" in asked_for(server, "transcript")[1]["messages"][3]["content"]


def test_a_model_that_cannot_be_put_right_is_an_error_and_nothing_is_kept(server: ToolServer, tmp_path: Path) -> None:
    server.author = spoil_first(with_text(2, "I cried."), times=9)
    with pytest.raises(
        BuildError, match=r"^multi-0007: tiny-writer .* in 4 attempts; the last: .*by the word 'cried'$"
    ):
        writer(server).write(BRIEF)
    assert len(server.asked) == 4
    assert not list((tmp_path / "cache").rglob("*.json"))


def test_an_answer_that_is_no_completion_is_an_error(server: ToolServer) -> None:
    server.faults.extend(["json"] * 3)
    with pytest.raises(BuildError, match="in 3 attempts; the last one: it answered JSON that is no chat completion"):
        writer(server, attempts=3).write(BRIEF)


def test_the_identity_tells_what_decides_the_words_and_no_key(
    server: ToolServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRITER_KEY", KEY)
    plain, keyed = writer(server).identity(), writer(server, api_key_env="WRITER_KEY").identity()
    assert plain == keyed
    assert plain["model"] == "tiny-writer"
    assert KEY not in str(keyed)
    assert server.url not in str(keyed)
    for change in ({"seed": 1}, {"temperature": 0.0}, {"leak_words": {"sad": ("triste",)}}, {"longest_text": 90}):
        assert writer(server, **change).identity() != plain
