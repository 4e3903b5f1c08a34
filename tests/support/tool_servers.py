"""A server on loopback that writes, speaks and fails as the tools of a build do.

It speaks OpenAI's ``/v1/chat/completions`` and ``/v1/audio/speech`` and the forms of CosyVoice's FastAPI server, as
their public descriptions say, and refuses what they refuse.
"""

from __future__ import annotations

import email
import json
import re
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import numpy as np
from support.clips import melody

from avemo_harness import media

Fault = Literal[
    "429", "500", "html 502", "400", "401", "slow", "no answer", "cut", "cut stream", "no json", "json", "half a sample"
]

RATE = 24_000
DATED_MODEL = "tiny-writer-2025-08-07"
KEY = "sk-loopback-0123456789"
SLOW_S = 1.2


@dataclass(frozen=True)
class ReceivedRequest:
    """A request: its path, headers in small letters, and what it carried, files as bytes."""

    path: str
    headers: Mapping[str, str]
    content: dict[str, Any]


Author = Callable[[dict[str, Any]], object]
"""Text that a chat model writes for a request."""


def write_well(request: dict[str, Any]) -> object:
    """A transcript or styles as they are asked for, found out from the prompt as a model would."""
    prompt = request["messages"][1]["content"]
    turns = int(re.search(r"(\d) utterances", prompt)[1])  # type: ignore[index]  # (a prompt says it)
    roles = ["user", "assistant"] * 3
    if request["response_format"]["json_schema"]["name"] == "transcript":
        thing = re.search(r"life: the ([^,]+),", prompt)[1]  # type: ignore[index]  # (a prompt says it)
        return {"turns": [{"role": roles[i], "text": f"Sentence {i} is about the {thing}."} for i in range(turns)]}
    given = {int(index): emotion for index, emotion in re.findall(r"utterance (\d): (\w+)", prompt)}
    return {"turns": [{"emotion": given.get(i + 1, "neutral"), "style": f"in style {i}"} for i in range(turns)]}


@dataclass
class ToolServer:
    """A server that runs in threads.

    Args:
        url: without ``/v1``.
        faults: what goes wrong with the next requests, one each; later ones are answered well.
        author: of the chat model's answers.
        sound: what is said whenever speech is asked for.
        rate_header: of CosyVoice's answers; None to send none, as some of its revisions do.
        retry_after: header of the answers with status 429.
    """

    url: str
    faults: deque[Fault] = field(default_factory=deque)
    author: Author = write_well
    sound: np.ndarray = field(default_factory=lambda: melody(1.0, RATE))
    rate_header: int | None = None
    retry_after: str = "0"
    asked: list[ReceivedRequest] = field(default_factory=list)

    def pcm(self) -> bytes:
        """The sound as bare samples."""
        return media.write_wave(self.sound, RATE)[44:]

    def endless_wave(self) -> bytes:
        """The sound as a WAV file of unknown length, as servers write it that do not wait for the end."""
        wave = bytearray(media.write_wave(self.sound, RATE))
        struct.pack_into("<I", wave, 4, 0xFFFFFFFF)
        struct.pack_into("<I", wave, 40, 0xFFFFFFFF)
        return bytes(wave)


@contextmanager
def serve_tools() -> Iterator[ToolServer]:
    """Serve until the block ends."""
    with _Http(("127.0.0.1", 0), _Handler) as http:
        server = ToolServer(f"http://127.0.0.1:{http.server_address[1]}")
        http.RequestHandlerClass = type("_BoundHandler", (_Handler,), {"tools": server})
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    # Answers that a client no longer waits for are not waited for.
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that have gone away."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    tools: ToolServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: object) -> None:
        """Requests are kept in the server's own list."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        content = _content(headers.get("content-type", ""), body)
        self.tools.asked.append(ReceivedRequest(self.path, headers, content))
        if self.tools.faults:
            self._fail(self.tools.faults.popleft())
        elif self.path == "/v1/chat/completions":
            self._chat(content)
        elif self.path == "/v1/audio/speech":
            self._speech(content)
        elif self.path.startswith("/inference_"):
            self._cosyvoice(content)
        else:
            self._json(404, {"detail": "Not Found"})

    def _chat(self, content: dict[str, Any]) -> None:
        problem = _schema_problem(content["response_format"]["json_schema"]["schema"])
        if problem:
            self._json(400, {"error": {"message": f"Invalid schema for response_format: {problem}"}})
            return
        written = self.tools.author(content)
        text = written if isinstance(written, str) else json.dumps(written)
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self._json(200, {"id": "chat-1", "object": "chat.completion", "model": DATED_MODEL, "choices": [choice]})

    def _speech(self, content: dict[str, Any]) -> None:
        missing = [name for name in ("model", "input", "voice") if not content.get(name)]
        if missing:
            self._json(400, {"error": {"message": f"Missing required parameter: '{missing[0]}'."}})
        elif content.get("response_format") == "pcm":
            self._stream(self.tools.pcm(), {"Content-Type": "audio/pcm"})
        else:
            self._stream(self.tools.endless_wave(), {"Content-Type": "audio/wav"})

    def _cosyvoice(self, content: dict[str, Any]) -> None:
        needed = {
            "/inference_sft": ("tts_text", "spk_id"),
            "/inference_zero_shot": ("tts_text", "prompt_text", "prompt_wav"),
            "/inference_instruct2": ("tts_text", "instruct_text", "prompt_wav"),
        }[self.path]
        missing = [{"type": "missing", "loc": ["body", name]} for name in needed if name not in content]
        if missing:
            self._json(422, {"detail": missing})
            return
        rate = self.tools.rate_header
        self._stream(self.tools.pcm(), {"X-Custom-Header-sampleRate": str(rate)} if rate else {})

    def _fail(self, fault: Fault) -> None:
        if fault == "slow":
            time.sleep(SLOW_S)
        if fault in ("slow", "no answer"):
            self.close_connection = True
        elif fault == "429":
            self._json(429, {"error": {"message": "Rate limit reached"}}, {"Retry-After": self.tools.retry_after})
        elif fault == "500":
            self._json(500, {"detail": "CUDA out of memory"})
        elif fault == "html 502":
            self._send(502, b"<h1>Bad gateway</h1>\n<p>nginx</p>", {"Content-Type": "text/html"})
        elif fault == "400":
            self._json(400, {"error": {"message": "Unknown voice\nsee the manual"}})
        elif fault == "401":
            self._json(401, {"error": {"message": f"Incorrect API key provided: {self._given_key()}"}})
        elif fault == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(self.tools.pcm()[:1000])
            self.close_connection = True
        elif fault == "cut stream":
            self._begin_stream({})
            self._chunk(self.tools.pcm()[:1000])
            self.close_connection = True
        elif fault == "no json":
            self._send(200, b"<html>Please log in</html>", {})
        elif fault == "json":
            self._json(200, {"error": {"message": "the model is loading"}})
        else:
            self._stream(self.tools.pcm()[:-1], {})

    def _given_key(self) -> str:
        return (self.headers.get("Authorization") or "none").removeprefix("Bearer ")

    def _json(self, status: int, content: object, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, data: bytes, headers: Mapping[str, str]) -> None:
        """Send data in pieces that end in the middle of samples."""
        self._begin_stream(headers)
        for start in range(0, len(data), 4093):
            self._chunk(data[start : start + 4093])
        self._chunk(b"")

    def _begin_stream(self, headers: Mapping[str, str]) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


def _content(kind: str, body: bytes) -> dict[str, Any]:
    """The body of a request: JSON, or the fields and files of a multipart form."""
    if kind.startswith("application/json"):
        told: dict[str, Any] = json.loads(body)
        return told
    if not kind.startswith("multipart/form-data"):
        return {}
    form = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    content: dict[str, Any] = {}
    for part in form.get_payload():
        data = part.get_payload(decode=True)
        name = part.get_param("name", header="content-disposition")
        content[name] = data if part.get_filename() else data.decode()
    return content


def _schema_problem(schema: Mapping[str, Any]) -> str:
    """Parts of a schema that strict structured output does not take: objects that allow or leave out properties."""
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return "'additionalProperties' is required to be supplied and to be false"
        if set(schema["required"]) != set(schema["properties"]):
            return "'required' must list every property"
        return next(filter(None, map(_schema_problem, schema["properties"].values())), "")
    return _schema_problem(schema["items"]) if schema.get("type") == "array" else ""
