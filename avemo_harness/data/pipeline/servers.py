"""Servers of tools: requests with retries, and JSON chat completions that are checked and repaired."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from avemo_harness.errors import BuildError, MediaError, UsageError
from avemo_harness.http import Bounds, Client, EventLoop, read_key
from avemo_harness.http_answers import AnswerError, RequestError, parse_json, read_body, shown_url

if TYPE_CHECKING:
    import httpx

BOUNDS = Bounds(attempts=5, timeout_s=600.0, silence_s=120.0, connect_s=10.0)
_NOT_IDENTITY = ("base_url", "api_key_env", "attempts", "timeout_s")
"""Arguments that decide where an answer comes from and when, but not which it is."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Answer:
    """Headers, by names in small letters, and body of a server's answer."""

    headers: Mapping[str, str]
    body: bytes


def json_body(content: Mapping[str, object]) -> dict[str, Any]:
    """A body of JSON, as httpx takes it."""
    return {"content": json.dumps(content).encode(), "headers": {"Content-Type": "application/json"}}


def form_body(fields: Mapping[str, str], wave_files: Mapping[str, bytes]) -> dict[str, Any]:
    """A multipart form of texts and WAV files, as httpx takes it."""
    # A field without a file name makes the form multipart also where there is no file.
    texts = {name: (None, value) for name, value in fields.items()}
    return {"files": {**texts, **{name: (f"{name}.wav", data, "audio/wav") for name, data in wave_files.items()}}}


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

    def ask(self, unit: str, path: str, body: Mapping[str, Any], read: Callable[[Answer], Result]) -> Result:
        """Send a request until it is answered.

        Args:
            unit: for messages.
            path: below `base_url`.
            body: of `json_body` or `form_body`.
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
            return self._loop.submit(self._http.post(path, body, read_whole)).result()
        except RequestError as error:
            where = shown_url(self._http.servers[0].url) + path
            raise (UsageError if error.scope == "run" else BuildError)(f"{unit}: {where}: {error}") from error


@dataclass(frozen=True, kw_only=True)
class ServerArguments:
    """Arguments of every backend that asks a server.

    Args:
        base_url: what its paths are added to.
        attempts: for each request.
        timeout_s: between two pieces of an answer.
    """

    base_url: str
    attempts: int = 5
    timeout_s: float = 120.0

    def server(self, api_key_env: str = "") -> Server:
        """The server; raises a UsageError where it cannot be asked like this."""
        return Server(self.base_url, api_key_env, replace(BOUNDS, attempts=self.attempts, silence_s=self.timeout_s))

    def identity(self) -> dict[str, str]:
        """The arguments that may change an answer, as text."""
        return {name: str(value) for name, value in asdict(self).items() if name not in _NOT_IDENTITY}


REPAIRS = 3
"""Corrections that a model may make of one answer."""


class InvalidAnswerError(Exception):
    """A model's answer is not as it was asked for; `problems` are sentences addressed to the model."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class ChatCompletion(Generic[Result]):
    """A usable answer of a model.

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
        system: prompt of every conversation.
        temperature: None for the server's own.
    """

    server: Server
    name: str
    system: str
    temperature: float | None

    def ask(
        self,
        unit: str,
        prompt: str,
        schema: tuple[str, Mapping[str, object]],
        seed: int | None,
        read: Callable[[Any], Result],
    ) -> ChatCompletion[Result]:
        """Ask until the answer is usable.

        Args:
            unit: for messages.
            schema: name and JSON schema of the answer.
            seed: None to send none.
            read: makes something of the parsed JSON; raises an InvalidAnswerError where it is not as asked for.

        Raises:
            BuildError: the server fails, or the model wrote nothing usable even when told what was wrong.
        """
        optional = {"temperature": self.temperature, "seed": seed}
        settings = {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": schema[0], "strict": True, "schema": schema[1]},
            },
            **{name: value for name, value in optional.items() if value is not None},
        }
        messages = [{"role": "system", "content": self.system}, {"role": "user", "content": prompt}]
        last = ""
        for _ in range(1 + REPAIRS):
            body = json_body({"model": self.name, "messages": messages, **settings})
            text, model = self.server.ask(unit, "/chat/completions", body, _completion)
            try:
                content = _parse_answer(text)
                return ChatCompletion(read(content), content, model)
            except InvalidAnswerError as error:
                last = str(error)
                wrong = "\n".join(f"- {problem}" for problem in error.problems)
                repair = f"This cannot be used:\n{wrong}\nWrite the whole answer again with these points corrected."
                messages += [{"role": "assistant", "content": text}, {"role": "user", "content": repair}]
        raise BuildError(f"{unit}: {self.name} wrote nothing usable in {1 + REPAIRS} attempts; the last: {last}")


def _completion(answer: Answer) -> tuple[str, str]:
    """Text and model's name of a completion; a refusal is text like any other."""
    completion = parse_json(answer.body)
    try:
        choice = completion["choices"][0]
        message, model = choice["message"], completion.get("model")
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
