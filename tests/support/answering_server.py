"""A chat server on loopback whose every answer a test writes, whole or as the same answer in a stream."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.waiting import PATIENCE_S

from avemo_harness.models.base import ModelSetup
from avemo_harness.models.served.openai import OpenAi

MODEL = "tiny-omni"
USAGE = {"prompt_tokens": 9, "completion_tokens": 4}

Answer = Callable[[dict[str, Any]], tuple[int, Mapping[str, Any]]]
"""From a request to a status and a body."""


def choice(
    reason: Any = "stop", *, index: int = 0, more: Mapping[str, Any] | None = None, **message: Any
) -> dict[str, Any]:
    """A choice of a whole answer; `more` stands beside its message."""
    return {"index": index, "message": {"role": "assistant", **message}, "finish_reason": reason, **(more or {})}


def completion(*choices: Mapping[str, Any], usage: Any = USAGE) -> dict[str, Any]:
    """A whole answer."""
    return {"object": "chat.completion", "choices": list(choices), "usage": usage}


def events_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The same answer as a stream: texts and sound in pieces, reasons and errors at the end, and a ping."""
    events: list[dict[str, Any]] = [{"type": "ping"}]
    for one in body["choices"]:
        message, rest = one["message"], {k: v for k, v in one.items() if k not in ("index", "message", "finish_reason")}
        first = {"logprobs": rest.pop("logprobs")} if "logprobs" in rest else {}
        for delta in _deltas(message):
            events.append(_event(one["index"], delta, None, first))
            first = {}
        events.append(_event(one["index"], {}, one["finish_reason"], {**first, **rest}))
    return [*events, {"choices": None, "usage": body["usage"]}]


def _event(index: int, delta: Mapping[str, Any], reason: Any, more: Mapping[str, Any]) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": reason, **more}]}


def _deltas(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A message in pieces of seven characters, as servers cut what they stream."""
    yield {"role": message["role"]}
    for name, value in message.items():
        if name == "audio" and isinstance(value, Mapping) and isinstance(value.get("data"), str):
            yield from ({"audio": {"data": piece}} for piece in _cut(value["data"], 1001))
            yield {"audio": {key: told for key, told in value.items() if key != "data"}}
        elif name != "role" and isinstance(value, str):
            yield from ({name: piece} for piece in _cut(value, 7))
        elif name != "role":
            yield {name: value}


def _cut(text: str, length: int) -> list[str]:
    return [text[start : start + length] for start in range(0, len(text), length)] or [""]


@dataclass
class AnsweringServer:
    """The requests that a server was sent, and its address."""

    url: str = ""
    payloads: list[dict[str, Any]] = field(default_factory=list)

    @property
    def posts(self) -> int:
        return len(self.payloads)

    def model(self, **arguments: Any) -> OpenAi:
        """A model on the server, which is not probed."""
        given = {"probe": False, "choices": False, "attempts": 2, "timeout_s": PATIENCE_S, **arguments}
        return OpenAi(OpenAi.Arguments(base_url=self.url, model=MODEL, **given), ModelSetup())


@contextmanager
def answering(answer: Answer | Mapping[str, Any]) -> Iterator[AnsweringServer]:
    """A server until the block ends.

    Args:
        answer: the body of every answer, or a function from a request to a status and a body.
    """
    asked = AnsweringServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            listed = {"data": [{"id": MODEL, "owned_by": "tests"}]}
            self._send(200 if self.path == "/v1/models" else 404, listed)

        def do_POST(self) -> None:
            payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.payloads.append(payload)
            status, body = (200, answer) if isinstance(answer, Mapping) else answer(payload)
            if payload.get("stream") and status == 200 and "choices" in body:
                lines = [f"data: {json.dumps(event)}\n\n" for event in events_of(body)]
                self._send(200, "".join([*lines, "data: [DONE]\n\n"]), "text/event-stream")
            else:
                self._send(status, body)

        def _send(self, status: int, content: Any, kind: str = "application/json") -> None:
            data = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        asked.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield asked
        finally:
            server.shutdown()
