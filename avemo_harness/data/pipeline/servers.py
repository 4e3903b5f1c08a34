"""Servers of tools: requests with retries, and JSON chat completions that are checked and repaired."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from avemo_harness.errors import BuildError, MediaError, UsageError
from avemo_harness.http import Bounds, Client, EventLoop, read_key
from avemo_harness.http_answers import AnswerError, RequestError, parse_json, read_body, shown_url

if TYPE_CHECKING:
    import httpx

BOUNDS = Bounds(attempts=5, timeout_s=600.0, silence_s=120.0, connect_s=10.0)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class JsonRequest:
    """A path below the server's URL, and what is sent to it as JSON."""

    path: str
    content: Mapping[str, object]

    def body(self) -> dict[str, Any]:
        """How httpx takes it."""
        return {"content": json.dumps(self.content).encode(), "headers": {"Content-Type": "application/json"}}


@dataclass(frozen=True, slots=True)
class FormRequest:
    """A path below the server's URL, and the fields and WAV files that are sent to it as a multipart form."""

    path: str
    fields: Mapping[str, str]
    files: Mapping[str, bytes] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """How httpx takes it; a field without a file name makes the form multipart also where there is no file."""
        fields = {name: (None, value) for name, value in self.fields.items()}
        files = {name: (f"{name}.wav", data, "audio/wav") for name, data in self.files.items()}
        return {"files": {**fields, **files}}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; names of headers in small letters."""

    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            AnswerError: it is none.
        """
        return parse_json(self.body)


class Server:
    """A server of a tool. May be used by several threads.

    Args:
        base_url: what the paths of requests are added to, such as ``http://127.0.0.1:8000/v1``.
        api_key_env: the environment variable that holds the key, sent as a bearer token; empty for none.

    Raises:
        UsageError: the URL is none, the variable is not set, httpx is not installed, or a variable of proxies or
            certificates cannot be used.
    """

    def __init__(self, base_url: str, api_key_env: str = "", bounds: Bounds = BOUNDS) -> None:
        key = read_key(api_key_env) if api_key_env else None
        if api_key_env and key is None:
            raise UsageError(
                f"api_key_env: the environment variable {api_key_env} is not set; export it, or leave it out"
            )
        self._http = Client([base_url], key, bounds)
        self._loop = EventLoop()

    def ask(self, unit: str, request: JsonRequest | FormRequest, read: Callable[[Answer], Result]) -> Result:
        """Send a request until it is answered.

        Args:
            unit: what it is for, in messages.
            read: makes something of an answer; raises an AnswerError or a MediaError where another attempt may give a
                better one.

        Raises:
            BuildError: the server refuses the request, or no attempt was answered well.
            UsageError: it would refuse every request, or is gone.
        """

        async def read_whole(response: httpx.Response) -> Result:
            answer = Answer(dict(response.headers), await read_body(response, self._http.bounds.max_bytes))
            try:
                return read(answer)
            except AnswerError as error:
                raise AnswerError(f"it answered {error}", error.scope) from error
            except MediaError as error:
                raise AnswerError(f"it answered {error}") from error

        try:
            return self._loop.submit(self._http.post(request.path, request.body(), read_whole)).result()
        except RequestError as error:
            where = shown_url(self._http.servers[0].url) + request.path
            raise (UsageError if error.scope == "run" else BuildError)(f"{unit}: {where}: {error}") from error


REPAIRS = 3
"""How often a model may correct what it wrote."""


class InvalidAnswerError(Exception):
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
class ChatCompletion(Generic[Result]):
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

    def ask(self, unit: str, question: Question, read: Callable[[Any], Result]) -> ChatCompletion[Result]:
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
                content = _parse_answer(text)
                return ChatCompletion(read(content), content, model)
            except InvalidAnswerError as error:
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


def _parse_answer(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidAnswerError([f"the answer is not JSON ({error})"]) from error
