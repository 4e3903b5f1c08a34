"""Dialogues written by a language model on a server that speaks OpenAI's chat protocol."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from avemo_harness import paths
from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.build.pipeline.backends import Brief, Line, Script
from avemo_harness.build.pipeline.chat import ChatModel, Question, UnfitError
from avemo_harness.build.pipeline.script_text import (
    LONGEST_STYLE,
    STYLES_SCHEMA,
    TRANSCRIPT_SCHEMA,
    TextRules,
    read_styles,
    read_transcript,
    role_of,
)
from avemo_harness.build.pipeline.tool_server import BOUNDS, Server
from avemo_harness.build.situations import Situation
from avemo_harness.locks import one_at_a_time

PROMPTS_VERSION = 1
"""Raised whenever equal briefs begin to ask for something else."""

_SYSTEM = "You write conversations that actors speak. Answer with JSON alone."
_TRANSCRIPT_PROMPT = """\
Write a conversation of {turns} utterances between a person and an assistant, in the language of the code "{language}".
It is about these things of the person's life: the {thing}, the {place}, the {person}, and {day}.
- The utterances take turns. The person, role "user", speaks first; the assistant, role "assistant", answers.
- Each is one or two short sentences of everyday speech, {longest} characters at most, and holds spoken words alone.
- It must be natural to say each of them in a {emotions} voice: say what happened, not how anybody takes it.
- No word names or describes an emotion, a mood or a way of speaking.
- No utterance repeats another one."""
_STYLES_PROMPT = """\
Actors speak this conversation:
{transcript}
Write for each of the {turns} utterances, in order, its emotion and its style: one English phrase of at most {longest}
characters that tells a speech synthesiser how to speak it (tone, pitch, pace, loudness), such as "bright and quick, the
pitch rising".
The emotions of the user's utterances are given: {given}.
For the assistant's choose the one of {emotions} that suits what they answer to."""


@dataclass(frozen=True, slots=True)
class _Transcript:
    """The words of a dialogue, one text for each turn, and the model that wrote them."""

    texts: tuple[str, ...]
    model: str


class OpenAIWriter:
    """Asks for the words of a topic once, and for the emotions and styles of every take of it.

    Words are kept in the cache under everything that they were asked with: settings, topic, turns and language. While
    the cache is there, briefs of equal topic, turns and language get equal words, whatever the server does, in any
    order, in any thread or process, and after an interruption. Without it they are as equal as the server's answers to
    equal requests. Styles are asked again each time.
    """

    @dataclass(frozen=True)
    class Arguments:
        """Where the model is and how it is asked.

        Args:
            base_url: up to and with ``/v1``.
            model: as the server calls it.
            api_key_env: the environment variable that holds the key; empty for none.
            temperature: None for the server's own, as models that take none need it.
            seed: decides what topics are about; sent, in parts, only if `send_seed`, since not every server takes it.
            longest_text: characters of an utterance.
            leak_words: by emotion, added to the English ones; a star stands for any ending.
            attempts, timeout_s: for each request.
        """

        base_url: str
        model: str
        api_key_env: str = ""
        temperature: float | None = 0.7
        seed: int = 0
        send_seed: bool = False
        longest_text: int = 200
        leak_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
        attempts: int = 5
        timeout_s: float = 120.0

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        bounds = replace(BOUNDS, attempts=arguments.attempts, silence_s=arguments.timeout_s)
        server = Server(arguments.base_url, arguments.api_key_env, bounds)
        self._model = ChatModel(server, arguments.model, arguments.temperature)
        self._rules = TextRules(arguments.longest_text, arguments.leak_words)

    def identity(self) -> Mapping[str, str]:
        """The model and how it is asked; not where it is."""
        arguments = self._arguments
        return {
            "tool": "openai",
            "model": arguments.model,
            "temperature": str(arguments.temperature),
            "seed": str(arguments.seed),
            "send_seed": str(arguments.send_seed),
            "longest_text": str(arguments.longest_text),
            "leak_words": json.dumps({key: list(words) for key, words in sorted(arguments.leak_words.items())}),
            "prompts": str(PROMPTS_VERSION),
        }

    def write(self, brief: Brief) -> Script:
        """The dialogue of a brief; raises a BuildError where the model fails."""
        transcript = self._transcript(brief)
        spoken = "\n".join(f"{turn + 1}. {role_of(turn)}: {text}" for turn, text in enumerate(transcript.texts))
        given = (f"utterance {2 * place + 1}: {emotion}" for place, emotion in enumerate(brief.emotions))
        prompt = _STYLES_PROMPT.format(
            transcript=spoken,
            turns=brief.turns,
            longest=LONGEST_STYLE,
            given=", ".join(given),
            emotions=", ".join(EMOTIONS),
        )
        question = self._question(prompt, "styles", STYLES_SCHEMA, f"styles {brief.seed} {brief.take}")
        styles = self._model.ask(brief.script_id, question, lambda told: read_styles(told, brief.turns, brief.emotions))
        lines = tuple(
            Line(role_of(turn), text, emotion, style)
            for turn, (text, (emotion, style)) in enumerate(zip(transcript.texts, styles.result, strict=True))
        )
        return Script(lines, written_by=transcript.model)

    def _transcript(self, brief: Brief) -> _Transcript:
        asked = {**self.identity(), "topic": brief.topic, "turns": brief.turns, "language": brief.language}
        key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        path = paths.cache_dir() / "transcripts" / f"{key}.json"
        with one_at_a_time(path.with_suffix(".lock"), lambda: None):
            return self._kept(path, brief) or self._asked(path, brief)

    def _kept(self, path: Path, brief: Brief) -> _Transcript | None:
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            return _Transcript(self._read(kept["told"], brief), str(kept["model"]))
        except (OSError, ValueError, TypeError, LookupError, UnfitError):  # not there, or not by this version
            return None

    def _asked(self, path: Path, brief: Brief) -> _Transcript:
        situation = Situation.draw(np.random.default_rng([self._arguments.seed, brief.topic]))
        prompt = _TRANSCRIPT_PROMPT.format(
            turns=brief.turns,
            language=brief.language,
            thing=situation.thing,
            place=situation.place,
            person=situation.person,
            day=situation.day,
            longest=self._rules.longest,
            emotions=" or ".join(EMOTIONS),
        )
        question = self._question(prompt, "transcript", TRANSCRIPT_SCHEMA, f"transcript {brief.topic}")
        told = self._model.ask(brief.script_id, question, lambda content: self._read(content, brief))
        paths.write_atomically(path, json.dumps({"model": told.model, "told": told.content}))
        return _Transcript(told.result, told.model)

    def _read(self, told: Any, brief: Brief) -> tuple[str, ...]:
        return read_transcript(told, brief.turns, self._rules)

    def _question(self, prompt: str, name: str, schema: Mapping[str, object], part: str) -> Question:
        arguments = self._arguments
        digest = hashlib.sha256(f"{arguments.seed} {part}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big") >> 1 if arguments.send_seed else None
        return Question(_SYSTEM, prompt, name, schema, seed)
