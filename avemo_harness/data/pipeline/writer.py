"""Dialogue backend: a language model writes emotion-neutral transcripts and emotional styles."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from avemo_harness import files
from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.data.pipeline.backends import Script, ScriptLine, ScriptRequest, seed_of
from avemo_harness.data.pipeline.servers import ChatCompletion, ChatModel, InvalidAnswerError, ServerArguments
from avemo_harness.data.synthesis.planning import role_of
from avemo_harness.data.synthesis.sentences import Situation, find_leaks
from avemo_harness.files import exclusive_lock

LONGEST_STYLE = 200
"""Characters of a style."""
_UNSPOKEN = frozenset("[](){}<>*_#|~\\=^`")
_TRANSCRIPT_KEYS = ("role", "text")
_STYLE_KEYS = ("emotion", "style")


def turns_schema(**properties: Sequence[str] | None) -> Mapping[str, object]:
    """The JSON schema of ``{"turns": [{…}, …]}`` with string properties; the values of one may be listed.

    >>> turns_schema(text=None)["required"]
    ['turns']
    """
    values = {
        name: {"type": "string", "enum": list(listed)} if listed else {"type": "string"}
        for name, listed in properties.items()
    }
    turn = {"type": "object", "properties": values, "required": list(values), "additionalProperties": False}
    return {
        "type": "object",
        "properties": {"turns": {"type": "array", "items": turn}},
        "required": ["turns"],
        "additionalProperties": False,
    }


TRANSCRIPT_SCHEMA = ("transcript", turns_schema(role=("user", "assistant"), text=None))
STYLES_SCHEMA = ("styles", turns_schema(emotion=EMOTIONS, style=None))


def read_transcript(content: Any, turns: int, longest: int, leak_words: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The texts of a transcript, ``{"turns": [{"role": …, "text": …}, …]}``, one for each turn.

    Args:
        longest: characters of an utterance.
        leak_words: by emotion, added to those of `LEAK_WORDS`.

    Raises:
        InvalidAnswerError: with everything that is wrong.
    """
    rows = _rows(content, turns, _TRANSCRIPT_KEYS)
    texts = [" ".join(row["text"].split()) for row in rows]
    problems = []
    for turn, (row, text) in enumerate(zip(rows, texts, strict=True)):
        if row["role"] != role_of(turn):
            problems.append(f"utterance {turn + 1} must be the {role_of(turn)}'s")
        problems += [f"utterance {turn + 1} {problem}" for problem in _text_problems(text, longest, leak_words)]
        said = [_folded(earlier) for earlier in texts[:turn]]
        if _folded(text) in said:
            problems.append(f"utterance {turn + 1} repeats utterance {said.index(_folded(text)) + 1}")
    if problems:
        raise InvalidAnswerError(problems)
    return tuple(texts)


def read_styles(content: Any, turns: int, wanted: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Emotion and style of each turn, from ``{"turns": [{"emotion": …, "style": …}, …]}``.

    Args:
        wanted: emotions of the user's turns, in order.

    Raises:
        InvalidAnswerError: with everything that is wrong.
    """
    rows = _rows(content, turns, _STYLE_KEYS)
    problems = []
    for turn, row in enumerate(rows):
        right = EMOTIONS if turn % 2 else (wanted[turn // 2],)
        style = row["style"].strip()
        if row["emotion"] not in right:
            problems.append(f"the emotion of utterance {turn + 1} must be {' or '.join(right)}, not {row['emotion']}")
        if not any(letter.isalpha() for letter in style):
            problems.append(f"the style of utterance {turn + 1} is empty")
        if len(style) > LONGEST_STYLE or not style.isprintable():
            problems.append(f"the style of utterance {turn + 1} must be one line of at most {LONGEST_STYLE} characters")
    if problems:
        raise InvalidAnswerError(problems)
    return tuple((row["emotion"], row["style"].strip()) for row in rows)


def _rows(content: Any, turns: int, keys: Sequence[str]) -> list[Mapping[str, str]]:
    rows = content.get("turns") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise InvalidAnswerError(['the answer must be an object with a list "turns"'])
    if len(rows) != turns:
        raise InvalidAnswerError([f"there are {len(rows)} utterances, {turns} were asked for"])
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in keys):
            raise InvalidAnswerError([f"utterance {number} must be an object with the texts {' and '.join(keys)}"])
    return rows


def _text_problems(text: str, longest: int, leak_words: Mapping[str, Sequence[str]]) -> list[str]:
    problems = []
    if not any(letter.isalpha() for letter in text):
        problems.append("has no words")
    if len(text) > longest:
        problems.append(f"has {len(text)} characters, at most {longest} are allowed")
    if not text.isprintable() or any(letter in _UNSPOKEN or unicodedata.category(letter) == "So" for letter in text):
        problems.append("has signs that are not spoken: give words only, no stage directions, markup or emoji")
    return problems + [f"tells an emotion by the word {word!r}" for _, word in find_leaks(text, leak_words)]


def _folded(text: str) -> str:
    """A text for comparing: letters and digits alone."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())


PROMPTS_VERSION = 1
"""Raised whenever equal requests begin to ask for something else."""

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


class OpenAIWriter:
    """Asks for the words of a topic once, and for the emotions and styles of every take of it.

    Words are kept in the cache under everything that they were asked with: settings, topic, turns and language. While
    the cache is there, requests of equal topic, turns and language get equal words, whatever the server does, in any
    order, in any thread or process, and after an interruption. Without it they are as equal as the server's answers to
    equal requests. Styles are asked again each time.
    """

    @dataclass(frozen=True)
    class Arguments(ServerArguments):
        """Server and model, `base_url` up to and with ``/v1``.

        Args:
            api_key_env: the environment variable that holds the key; empty for none.
            temperature: None for the server's own, and for models that take none.
            seed: decides what topics are about; sent, in parts, only if `send_seed`, since not every server takes it.
            longest_text: characters of an utterance.
            leak_words: by emotion, added to the English ones; a star stands for any ending.
        """

        model: str
        api_key_env: str = ""
        temperature: float | None = 0.7
        seed: int = 0
        send_seed: bool = False
        longest_text: int = 200
        leak_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        server = arguments.server(arguments.api_key_env)
        self._model = ChatModel(server, arguments.model, _SYSTEM, arguments.temperature)

    def identity(self) -> Mapping[str, str]:
        """The model, its settings and prompts; not the server's address."""
        leak_words = {emotion: list(words) for emotion, words in sorted(self._arguments.leak_words.items())}
        return {
            "tool": "openai",
            **self._arguments.identity(),
            "leak_words": json.dumps(leak_words),
            "prompts": str(PROMPTS_VERSION),
        }

    def write(self, request: ScriptRequest) -> Script:
        """Write a dialogue; raises a BuildError where the model fails."""
        texts, model = self._transcript(request)
        transcript = "\n".join(f"{turn + 1}. {role_of(turn)}: {text}" for turn, text in enumerate(texts))
        given = (f"utterance {2 * index + 1}: {emotion}" for index, emotion in enumerate(request.emotions))
        prompt = _STYLES_PROMPT.format(
            transcript=transcript,
            turns=request.turns,
            longest=LONGEST_STYLE,
            given=", ".join(given),
            emotions=", ".join(EMOTIONS),
        )
        styles = self._model.ask(
            request.script_id,
            prompt,
            STYLES_SCHEMA,
            self._seed(f"styles {request.seed} {request.take}"),
            lambda content: read_styles(content, request.turns, request.emotions),
        )
        lines = tuple(
            ScriptLine(role_of(turn), text, emotion, style)
            for turn, (text, (emotion, style)) in enumerate(zip(texts, styles.result, strict=True))
        )
        return Script(lines, written_by=model)

    def _transcript(self, request: ScriptRequest) -> tuple[tuple[str, ...], str]:
        """Texts of a topic, one for each turn, and the model that wrote them: from the cache, else asked for."""
        asked = {**self.identity(), "topic": request.topic, "turns": request.turns, "language": request.language}
        key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        path = files.cache_dir() / "transcripts" / f"{key}.json"
        with exclusive_lock(path.with_suffix(".lock"), lambda: None):
            try:
                kept = json.loads(path.read_text(encoding="utf-8"))
                return self._read_transcript(kept["told"], request), str(kept["model"])
            except (OSError, ValueError, TypeError, LookupError, InvalidAnswerError):
                pass  # not there, or not by this version
            written = self._ask_transcript(request)
            files.write_atomically(path, json.dumps({"model": written.model, "told": written.content}))
            return written.result, written.model

    def _ask_transcript(self, request: ScriptRequest) -> ChatCompletion[tuple[str, ...]]:
        situation = Situation.draw(np.random.default_rng([self._arguments.seed, request.topic]))
        prompt = _TRANSCRIPT_PROMPT.format(
            turns=request.turns,
            language=request.language,
            longest=self._arguments.longest_text,
            emotions=" or ".join(EMOTIONS),
            **asdict(situation),
        )
        return self._model.ask(
            request.script_id,
            prompt,
            TRANSCRIPT_SCHEMA,
            self._seed(f"transcript {request.topic}"),
            lambda content: self._read_transcript(content, request),
        )

    def _read_transcript(self, content: Any, request: ScriptRequest) -> tuple[str, ...]:
        arguments = self._arguments
        return read_transcript(content, request.turns, arguments.longest_text, arguments.leak_words)

    def _seed(self, part: str) -> int | None:
        """31 bits for a part of the work, where the server takes a seed."""
        return seed_of(f"{self._arguments.seed} {part}") >> 1 if self._arguments.send_seed else None
