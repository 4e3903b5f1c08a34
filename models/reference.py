"""Answers with the release's own next turn: the table's "Synthetic" and "Real" rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from avemo_harness import media
from avemo_harness.benchmark.release import Dialogue, Turn
from avemo_harness.benchmark.request import Request, Response, Speech
from avemo_harness.errors import ModelError
from avemo_harness.models.base import Capabilities, ModelSetup, NoArguments

SPEECH_RATE_HZ = 24_000


class Reference:
    """Replies as the release's assistant did, in text and sound. It names no emotions."""

    Arguments = NoArguments
    capabilities = Capabilities(outputs=frozenset({"spoken_response"}), largest_batch=16, needs_reference=True)

    def __init__(self, arguments: NoArguments, setup: ModelSetup) -> None:
        del arguments
        self._fingerprints = [release.fingerprint for release in setup.releases]
        self._dialogues: dict[str, Dialogue] = {}
        for dialogue in (dialogue for release in setup.releases for dialogue in release.dialogues):
            # A request says which dialogue it is about, and not of which release.
            if self._dialogues.setdefault(dialogue.dialogue_id, dialogue) != dialogue:
                raise ModelError(
                    f"reference: two of the tasks' releases have a dialogue {dialogue.dialogue_id!r}, and they differ; "
                    "make a run for each release"
                )

    def identity(self) -> Mapping[str, str]:
        return {"model": "reference", "version": "1", "releases": " ".join(sorted(self._fingerprints))}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        return [_spoken(self._next_turn(request)) for request in requests]

    def _next_turn(self, request: Request) -> Turn:
        return self._dialogues[request.dialogue_id].turns[request.turn_index + 1]


def _spoken(turn: Turn) -> Response:
    """The turn as a reply; in words alone where nothing of it was recorded, or no sound."""
    data = turn.clip.read() if turn.clip is not None else b""
    if not data or media.probe(data).sound is None:
        return Response(text=turn.text)
    samples = media.decode_sound(data, rate=SPEECH_RATE_HZ)
    return Response(text=turn.text, speech=Speech(samples, SPEECH_RATE_HZ))
