"""Servers on loopback that speak OpenAI's chat protocol as vLLM, vLLM-Omni and hosted APIs do, and fail on purpose.

Answers depend on what is asked alone. A request is known by its body, so that attempts can be counted.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import math
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from avemo_harness import media

Kind = Literal["vllm", "vllm-omni", "hosted"]
Fault = Literal["429", "500", "no answer", "cut", "truncated wav", "no json", "error in the body"]

MODEL = "tiny-omni"
KEY = "sk-loopback-0123456789"
FAULTS: tuple[Fault, ...] = ("429", "500", "no answer", "cut", "truncated wav", "no json", "error in the body")
WORDS = ("I hear you.", "That sounds hard.", "Tell me more about it.", "What happened then?")
RATE = 24_000
HEEDED = ("structured_outputs", "max_tokens")
"""Fields beside the messages on which answers depend: the others change nothing in how they are found."""
BLIND_PARTS, DEAF_PARTS = ("video_url", "image_url"), ("input_audio", "audio_url")


@dataclass
class ChatServer:
    """A server that runs in a thread.

    Args:
        kind: what it behaves like. The hosted one answers in streams only, and wants the key.
        fault_rate: share of attempts that fail on purpose; which ones depends on the request and the attempt alone.
        deaf, blind: sound or video is dropped without a word.
        unknown: fields that are refused as FastAPI refuses them; such requests are neither counted nor kept.
        held_after: how many completions may be asked for before none is answered any more.
    """

    kind: Kind = "vllm"
    fault_rate: float = 0.0
    faults: tuple[Fault, ...] = FAULTS
    deaf: bool = False
    blind: bool = False
    unknown: tuple[str, ...] = ()
    held_after: float = math.inf
    port: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    payloads: list[dict[str, Any]] = field(default_factory=list)
    keep_payloads: bool = True
    most_at_once: int = 0
    busy: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while line := await reader.readline():
                method, path, _ = line.decode().split(" ", 2)
                headers = await _headers(reader)
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                if not await self._answer(writer, method, path, headers, body):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # (the client, or this server, went away)
        finally:
            writer.close()

    async def _answer(
        self, writer: asyncio.StreamWriter, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> bool:
        """Answer one request; False where the connection is to be closed."""
        if self.kind == "hosted" and headers.get("authorization") != f"Bearer {KEY}":
            given = headers.get("authorization", "none").removeprefix("Bearer ")
            return await _send(writer, 401, {"error": {"message": f"Incorrect API key provided: {given}"}})
        if method == "GET":
            return await _send(writer, *self._page(path))
        if path != "/v1/chat/completions":
            return await _send(writer, 404, {"detail": "Not Found"})
        self.busy += 1
        self.most_at_once = max(self.most_at_once, self.busy)
        try:
            return await self._completion(writer, body)
        finally:
            self.busy -= 1

    def _page(self, path: str) -> tuple[int, Any]:
        if path == "/v1/models":
            owner = {"vllm": "vllm", "vllm-omni": "vllm-omni", "hosted": "system"}[self.kind]
            root = {} if self.kind == "hosted" else {"root": "/weights/tiny"}
            return 200, {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": owner, **root}]}
        if path == "/version" and self.kind != "hosted":
            return 200, {"version": "0.33.0" if self.kind == "vllm" else "0.30.0"}
        return 404, {"detail": "Not Found"}

    async def _completion(self, writer: asyncio.StreamWriter, body: bytes) -> bool:
        payload = json.loads(body)
        if extra := [name for name in self.unknown if name in payload]:
            return await _send(writer, 422, {"detail": [_forbidden(name, payload[name]) for name in extra]})
        digest = hashlib.sha256(body).hexdigest()
        self.asked[digest] += 1
        if self.keep_payloads:
            self.payloads.append(payload)
        while self.asked.total() > self.held_after:
            await asyncio.sleep(0.01)
        if self.kind == "hosted" and not payload.get("stream"):
            return await _send(writer, 400, {"error": {"message": "only streams are supported"}})
        told = self._told(payload)
        fault = self._fault(digest, self.asked[digest])
        if fault is not None:
            self.failed[fault] += 1
            return await self._fail(writer, fault, payload, told)
        self.answered[digest] += 1
        if payload.get("stream"):
            return await _send_events(writer, self._events(told))
        return await _send(writer, 200, self._whole(told))

    def _fault(self, digest: str, attempt: int) -> Fault | None:
        draw = int(hashlib.sha256(f"{digest} {attempt}".encode()).hexdigest()[:12], 16)
        return self.faults[draw % len(self.faults)] if draw / 16**12 < self.fault_rate else None

    async def _fail(self, writer: asyncio.StreamWriter, fault: Fault, payload: Any, told: dict[str, Any]) -> bool:
        if fault == "429":
            return await _send(writer, 429, {"error": {"message": "slow down"}}, {"Retry-After": "0.02"})
        if fault == "500":
            return await _send(writer, 500, {"error": {"message": "CUDA error"}})
        if fault == "no answer":
            await asyncio.sleep(3600)
        if fault == "error in the body":
            return await _send(writer, 200, {"error": {"message": "engine dead", "code": 500}})
        if fault == "no json":
            return await _send(writer, 200, "<html>bad gateway</html>")
        if fault == "truncated wav" and told["sound"]:
            told = {**told, "sound": told["sound"][: len(told["sound"]) // 2 | 1]}
            whole = self._events(told) if payload.get("stream") else None
            if whole is None:
                return await _send(writer, 200, self._whole(told))
            return await _send_events(writer, whole)
        # Cut: half of the answer, then silence.
        data = json.dumps(self._whole(told)).encode()
        if payload.get("stream"):
            lines = b"".join(f"data: {json.dumps(event)}\n\n".encode() for event in self._events(told)[:1])
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + lines)
        else:
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[: len(data) // 2])
        await writer.drain()
        return False

    def _perceived(self, payload: dict[str, Any]) -> str:
        """A request without what is dropped, on which answers cannot depend."""
        dropped = {*(DEAF_PARTS if self.deaf else ()), *(BLIND_PARTS if self.blind else ())}
        parts = [part for one in payload["messages"] for part in _parts(one["content"]) if part["type"] not in dropped]
        heeded = {name: payload.get(name) for name in HEEDED}
        return json.dumps({**heeded, "messages": [_without_sound(part) for part in parts]}, sort_keys=True)

    def _told(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The reply, and its counts of tokens."""
        number = int(hashlib.sha256(self._perceived(payload).encode()).hexdigest()[:8], 16)
        choices = payload.get("structured_outputs", {}).get("choice") if self.kind != "hosted" else None
        text = choices[number % len(choices)] if choices else WORDS[number % len(WORDS)]
        parts = [part for message in payload["messages"] for part in _parts(message["content"])]
        kinds = Counter(part["type"] for part in parts)
        videos = 0 if self.blind else sum(kinds[kind] for kind in BLIND_PARTS)
        sounds = 0 if self.deaf else sum(kinds[kind] for kind in DEAF_PARTS)
        if not choices and (videos or sounds):
            text = f"{videos} videos, {sounds} sounds. {text}"
        sound = b""
        if "audio" in payload.get("modalities", ()):
            time = np.arange(RATE // 5) / RATE
            tone = np.sin(2 * math.pi * (200 + number % 200) * time).astype(np.float32) * 0.3
            sound = media.write_wave(tone, RATE)
        return {
            "text": text,
            "sound": sound,
            "format": payload.get("audio", {}).get("format"),
            "usage": {"prompt_tokens": 7 * kinds["text"] + 90 * videos + 30 * sounds + 5, "completion_tokens": 6},
            "logprobs": _logprobs(number) if payload.get("logprobs") else None,
        }

    def _whole(self, told: dict[str, Any]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": told["text"]}
        choices = [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": told["logprobs"]}]
        if told["sound"]:
            audio = {"id": "a", "data": base64.b64encode(told["sound"]).decode(), "expires_at": 0, "transcript": ""}
            spoken = {"role": "assistant", "content": None, "audio": audio}
            if self.kind == "vllm-omni":
                # Older releases give a second choice of the same index.
                choices.append({"index": 0, "message": spoken, "finish_reason": "stop", "logprobs": None})
            else:
                message["audio"] = audio
        return {"id": "c", "object": "chat.completion", "model": MODEL, "choices": choices, "usage": told["usage"]}

    def _events(self, told: dict[str, Any]) -> list[dict[str, Any]]:
        def event(delta: dict[str, Any], reason: str | None = None, **more: Any) -> dict[str, Any]:
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            return {"id": "c", "object": "chat.completion.chunk", "choices": [choice], **more}

        middle = len(told["text"]) // 2
        events = [
            event({"role": "assistant", "content": told["text"][:middle]}),
            event({"content": told["text"][middle:]}),
        ]
        events[0]["choices"][0]["logprobs"] = told["logprobs"]
        if told["sound"] and self.kind == "vllm-omni":
            events.append(event({"content": base64.b64encode(told["sound"]).decode()}, modality="audio"))
        elif told["sound"]:
            # One string of base64, cut wherever it suits; Alibaba's streams lack the header, whatever was asked for.
            is_bare = self.kind == "hosted" or told["format"] == "pcm16"
            data = base64.b64encode(told["sound"][44 if is_bare else 0 :]).decode()
            pieces = [data[start : start + 1001] for start in range(0, len(data), 1001)]
            events += [event({"audio": {"data": piece}}) for piece in pieces]
        return [*events, event({}, "stop"), {"id": "c", "choices": [], "usage": told["usage"]}]


def _forbidden(name: str, value: Any) -> dict[str, Any]:
    return {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted", "input": value}


def _parts(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _without_sound(part: dict[str, Any]) -> dict[str, Any]:
    """A part as a server takes it that hears no sound in a video."""
    if part["type"] != "video_url":
        return part
    data = base64.b64decode(part["video_url"]["url"].partition("base64,")[2])
    return {"type": "video_url", "digest": media.packet_digests(data).video}


def _logprobs(number: int) -> dict[str, Any]:
    tokens = ["neutral", "happ", "ang", "sad"]
    order = [tokens[(number + i) % 4] for i in range(4)]
    listed = [{"token": token, "logprob": -0.4 - 0.7 * index, "bytes": None} for index, token in enumerate(order)]
    return {"content": [{**listed[0], "top_logprobs": listed}]}


async def _headers(reader: asyncio.StreamReader) -> dict[str, str]:
    headers = {}
    while (line := (await reader.readline()).decode("latin-1").strip()) != "":
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


async def _send(writer: asyncio.StreamWriter, status: int, content: Any, headers: dict[str, str] | None = None) -> bool:
    body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
    lines = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body)
    await writer.drain()
    return True


async def _send_events(writer: asyncio.StreamWriter, events: list[dict[str, Any]]) -> bool:
    lines = [f"data: {json.dumps(event)}\n\n" for event in events] + ["data: [DONE]\n\n"]
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    for line in lines:
        writer.write(line.encode())
        await writer.drain()
    return False


@contextmanager
def running(server: ChatServer) -> Iterator[ChatServer]:
    """A server until the block ends; `port` is chosen where it is 0."""
    loop, started = asyncio.new_event_loop(), threading.Event()

    async def start() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", server.port, limit=2**26)
        server.port = listening.sockets[0].getsockname()[1]
        started.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.create_task(start())
        loop.run_forever()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
