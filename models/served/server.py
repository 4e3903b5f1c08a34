"""What a server is, and whether it really sees and hears what is sent to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from avemo_harness import media
from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Message, Text
from avemo_harness.errors import GenerationError, ModelError
from avemo_harness.http_addresses import shown_address
from avemo_harness.models.perception import SOUND_RATE
from avemo_harness.models.served.answers import Told
from avemo_harness.models.served.client import Client
from avemo_harness.models.served.messages import Messenger

VERSION_PATHS = ("/version", "/server_info", "/get_server_info")
CHOICE = "quartz-lantern"
"""Nothing that a model says by itself."""
QUESTION = "Describe what you see and hear in at most three words."
SENSES = {
    "video": "Is there a picture, and of which colour? Answer in at most three words.",
    "sound": "Is there a sound, and of which kind? Answer in at most three words.",
}
"""Questions that single out what is sent, where it is counted and yet the answer stays the same."""


@dataclass(frozen=True, slots=True)
class Server:
    """What answers behind a URL.

    Args:
        name: of the software with its version, or of the host where it tells none.
        root: what the model is called where the server took it from; its own name where the server does not say.
    """

    name: str
    root: str


async def identify(client: Client, urls: Sequence[str], model: str, ready_s: float) -> Server:
    """Ask all servers what they are.

    Args:
        ready_s: for which each is waited for while it is starting.

    Raises:
        ModelError: one is not reached or lacks the model, or they are not alike.
    """
    found = {url: await _identify_one(client, url, model, ready_s) for url in urls}
    servers = set(found.values())
    if len(servers) > 1:
        told = "; ".join(f"{shown_address(url)}: {server.name}, {server.root}" for url, server in found.items())
        raise ModelError(f"servers that share a run must be alike: {told}")
    return servers.pop()


async def _identify_one(client: Client, url: str, model: str, ready_s: float) -> Server:
    listed = await client.get(url, "/v1/models", ready_s)
    models = [one for one in _list(listed) if isinstance(one, dict)]
    known = {str(one.get("id")): one for one in models}
    if known and model not in known:
        raise ModelError(f"{shown_address(url)} has no model {model!r}; it has {', '.join(sorted(known)[:10])}")
    about = known.get(model, {})
    host, owner = urlsplit(url).hostname or url, str(about.get("owned_by") or "")
    for path in VERSION_PATHS:
        told = await client.get(url, path)
        if isinstance(told, dict) and told.get("version"):
            return Server(f"{owner or 'server'} {told['version']}", str(about.get("root") or model))
    return Server(f"{host} {owner}".strip(), str(about.get("root") or model))


def _list(listed: Any) -> list[Any]:
    data = listed.get("data") if isinstance(listed, dict) else None
    return data if isinstance(data, list) else []


async def takes_choices(client: Client, request: Mapping[str, Any]) -> bool:
    """Whether the server holds an answer to given choices; some ignore what they do not know.

    Args:
        request: a chat completion without messages.
    """
    messages = [{"role": "user", "content": "Say hello."}]
    asked = {**request, "messages": messages, "max_tokens": 32, "structured_outputs": {"choice": [CHOICE]}}
    try:
        return await client.complete(asked, lambda told: (told.text or "").strip() == CHOICE)
    except GenerationError:
        return False


async def check_senses(client: Client, request: Mapping[str, Any], messenger: Messenger) -> None:
    """Refuse a server to which a face or a voice makes no difference.

    Args:
        request: a chat completion without messages.

    Raises:
        ModelError: it is blind or deaf, or does not take what is sent.
    """

    async def ask(question: str, *clips: Clip) -> Told:
        return await _told(client, request, messenger, clips, question)

    silent, loud = _clips()
    after = await ask(QUESTION)
    for sense, without, clip in (("video", (), silent), ("sound", (silent,), loud)):
        before, after = after, await ask(QUESTION, clip)
        noticed = before.text != after.text
        # Counts alone prove nothing: a server may count words only, or count a place that it leaves empty.
        if noticed and _count_alike(before, after):
            noticed = (await ask(QUESTION, *without)).text == before.text
        elif not noticed and _count_apart(before, after):
            question = SENSES[sense]
            noticed = not after.text or (await ask(question, *without)).text != (await ask(question, clip)).text
        if not noticed:
            raise ModelError(
                f"the server drops the {sense}: with it and without it, it counts {after.prompt_tokens} and "
                f"{before.prompt_tokens} tokens and answers {after.text!r}; serve the model so that it takes {sense}, "
                "or give probe=false"
            )


def _clips() -> tuple[Clip, Clip]:
    """A second of a red square: alone, and with a tone."""
    frames = np.zeros((26, 64, 64, 3), np.uint8)
    frames[:, 16:48, 16:48] = (200, 40, 40)
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(SOUND_RATE) / SOUND_RATE)).astype(np.float32)
    loud = media.encode_clip(frames, tone, fps=25, rate=SOUND_RATE)
    return Clip.from_bytes(media.remove_sound(loud)), Clip.from_bytes(loud)


async def _told(
    client: Client, request: Mapping[str, Any], messenger: Messenger, clips: tuple[Clip, ...], question: str
) -> Told:
    messages = messenger.messages([Message("user", (*clips, Text(question)))])
    try:
        return await client.complete({**request, "messages": messages, "max_tokens": 16}, lambda told: told)
    except GenerationError as error:
        content = messages[-1]["content"]
        kinds = ", ".join(part["type"] for part in content) if isinstance(content, list) else "text"
        raise ModelError(f"the server does not take a message of {kinds}: {error}") from error


def _count_alike(one: Told, other: Told) -> bool:
    return one.prompt_tokens is not None and one.prompt_tokens == other.prompt_tokens


def _count_apart(one: Told, other: Told) -> bool:
    return None not in (one.prompt_tokens, other.prompt_tokens) and one.prompt_tokens != other.prompt_tokens
