"""A server on loopback that answers whatever a test tells it to, byte for byte."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "tiny-omni"


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as it came; a proxy gets whole addresses as paths."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def payload(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.body)
        return read


@dataclass(frozen=True)
class Reply:
    """An answer; a body in pieces is sent until it ends or the client goes away."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(content: object, status: int = 200, **headers: str) -> Reply:
    body = json.dumps(content, ensure_ascii=False).encode()
    return Reply(status, body, {"Content-Type": "application/json", **headers})


def completion(text: str | None = "happy", **usage: int) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"object": "chat.completion", "choices": [choice], "usage": usage}


def events(*parts: object, end: str = "\n\n", name: str = "") -> Reply:
    """A stream of server-sent events, ended as OpenAI's are."""
    named = f"event: {name}\n" if name else ""
    lines = [f"{named}data: {json.dumps(part, ensure_ascii=False)}{end}" for part in parts]
    return Reply(200, "".join([*lines, f"data: [DONE]{end}"]).encode(), {"Content-Type": "text/event-stream"})


def delta(text: str = "", reason: str | None = None) -> dict[str, Any]:
    """A piece of a streamed completion."""
    return {"choices": [{"index": 0, "delta": {"content": text} if text else {}, "finish_reason": reason}]}


@dataclass
class ReplyServer:
    """A server that runs in threads; `asked` are the requests that it got, in order."""

    port: int
    asked: list[ReceivedRequest] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def posted(self) -> list[dict[str, Any]]:
        return [one.payload for one in self.asked if one.method == "POST"]


def models_page(asked: ReceivedRequest) -> Reply:
    """The pages of a server that tells what it is."""
    if asked.path == "/v1/models":
        return as_json({"data": [{"id": MODEL, "owned_by": "vllm", "root": "/weights/tiny"}]})
    return as_json({"version": "0.33.0"}) if asked.path == "/version" else as_json({"detail": "Not Found"}, 404)


@contextmanager
def replying(reply: Callable[[ReceivedRequest], Reply], port: int = 0) -> Iterator[ReplyServer]:
    """Serve until the block ends.

    Args:
        port: 0 for any that is free.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *arguments: object) -> None:
            """Requests are kept in the server's own list."""

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.asked.append(asked := ReceivedRequest(self.command, self.path, headers, body))
            answer = reply(asked)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if isinstance(answer.body, bytes):
                self.send_header("Content-Length", str(len(answer.body)))
            else:
                self.close_connection = True
            self.end_headers()
            try:
                for piece in [answer.body] if isinstance(answer.body, bytes) else answer.body:
                    self.wfile.write(piece)
            except OSError:  # (the client has had enough)
                self.close_connection = True

        def do_POST(self) -> None:
            self.do_GET()

    class Http(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 256

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of clients that have gone away."""

    with Http(("127.0.0.1", port), Handler) as listening:
        server = ReplyServer(listening.server_address[1])
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()
