"""Asking a language model for JSON of a given form, and telling it what is wrong until it is right.

The protocol is OpenAI's ``POST /v1/chat/completions`` with ``response_format: json_schema``, as vLLM, SGLang, llama.cpp
and hosted services also speak it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from avemo_harness.build.pipeline.tool_server import Answer, JsonRequest, Server
from avemo_harness.errors import BuildError
from avemo_harness.http_errors import AnswerError

REPAIRS = 3
"""How often a model may correct what it wrote."""

Result = TypeVar("Result")


class UnfitError(Exception):
    """What a model wrote is not what it was asked for.

    Args:
        problems: a sentence each, addressed to the model.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is asked.

    Args:
        name: of the JSON schema.
        seed: None to send none.
    """

    system: str
    user: str
    name: str
    schema: Mapping[str, object]
    seed: int | None


@dataclass(frozen=True, slots=True)
class Told(Generic[Result]):
    """What a model answered.

    Args:
        result: what was made of it.
        content: the JSON as it was parsed.
        model: what the server calls the model, often with a date.
    """

    result: Result
    content: Any
    model: str


@dataclass(frozen=True, slots=True)
class ChatModel:
    """A model on a server.

    Args:
        temperature: None for the server's own.
    """

    server: Server
    name: str
    temperature: float | None

    def ask(self, unit: str, question: Question, read: Callable[[Any], Result]) -> Told[Result]:
        """Ask until the answer is usable.

        Args:
            unit: what it is for, in messages.
            read: makes something of the parsed JSON; raises an UnfitError where it is not as asked for.

        Raises:
            BuildError: the server fails, or the model wrote nothing usable even when told what was wrong.
        """
        messages = [{"role": "system", "content": question.system}, {"role": "user", "content": question.user}]
        last = ""
        for _ in range(1 + REPAIRS):
            text, model = self.server.ask(unit, self._request(messages, question), _completion)
            try:
                content = _parsed(text)
                return Told(read(content), content, model)
            except UnfitError as error:
                last = str(error)
                wrong = "\n".join(f"- {problem}" for problem in error.problems)
                repair = f"This cannot be used:\n{wrong}\nWrite the whole answer again with these points corrected."
                messages += [{"role": "assistant", "content": text}, {"role": "user", "content": repair}]
        raise BuildError(f"{unit}: {self.name} wrote nothing usable in {1 + REPAIRS} attempts; the last: {last}")

    def _request(self, messages: list[dict[str, str]], question: Question) -> JsonRequest:
        content: dict[str, object] = {
            "model": self.name,
            "messages": messages,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": question.name, "strict": True, "schema": question.schema},
            },
        }
        if self.temperature is not None:
            content["temperature"] = self.temperature
        if question.seed is not None:
            content["seed"] = question.seed
        return JsonRequest("/chat/completions", content)


def _completion(answer: Answer) -> tuple[str, str]:
    """Text and model's name of a completion; a refusal is text like any other."""
    told = answer.json()
    try:
        choice = told["choices"][0]
        message, model = choice["message"], told.get("model")
        text = message.get("content") or message.get("refusal") or ""
        cut = choice.get("finish_reason") == "length"
    except (TypeError, LookupError, AttributeError) as error:
        raise AnswerError("JSON that is no chat completion") from error
    if not isinstance(text, str) or not text:
        raise AnswerError("a chat completion without text")
    if cut:
        raise AnswerError("a chat completion that is cut off at the server's limit of tokens")
    return text, model if isinstance(model, str) else ""


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnfitError([f"the answer is not JSON ({error})"]) from error
