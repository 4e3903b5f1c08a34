"""Tasks asked of releases whose clips are no media, and what a model is then shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.planning import plan_items
from avemo_harness.benchmark.release import Clip, ConflictPair, Dialogue, Release, Turn, make_release
from avemo_harness.benchmark.request import Request, Text
from avemo_harness.benchmark.request_builder import RequestBuilder
from avemo_harness.benchmark.task import GenerationSpec, TaskSpec


class PlainConditions:
    """Conditions of clips that are no media: the condition's name before the clip's bytes."""

    def full_av(self, clip: Clip) -> Clip:
        return clip

    def audio_only(self, clip: Clip) -> Clip:
        return Clip.from_bytes(b"sound of " + clip.read())

    def video_only(self, clip: Clip, noise: str) -> Clip:
        return Clip.from_bytes(f"{noise} over ".encode() + clip.read())

    def conflict(self, audio: Clip, video: Clip) -> Clip:
        return Clip.from_bytes(b"sound of " + audio.read() + b", face of " + video.read())

    def shown(self, clip: Clip, condition: str, noise: str) -> Clip:
        if condition == "audio_only":
            return self.audio_only(clip)
        return self.video_only(clip, noise) if condition == "video_only" else clip


def clip(content: str) -> Clip:
    return Clip.from_bytes(content.encode())


def make_dialogue(name: str, said: str | None = None, emotions: Sequence[str | None] = ("happy", "sad")) -> Dialogue:
    """User turns at 0, 2, …, the assistant's between them; `said` is what clips and texts are made from."""
    said = said or name
    turns: list[Turn] = []
    for number, emotion in enumerate(emotions):
        if number:
            turns.append(Turn(2 * number - 1, "assistant", "bot", f"answer {number} of {said}"))
        index = 2 * number
        turns.append(Turn(index, "user", "ann", f"{said} {index}", emotion, "warmly", clip(f"{said}/{index}")))
    return Dialogue(name, "test", "en", "CC0-1.0", tuple(turns))


def make_task(**changes: Any) -> TaskSpec:
    content = [{"type": "clip"}, {"type": "text", "text": "How does the speaker feel: {{ labels | join(', ') }}?"}]
    values: dict[str, Any] = {
        "task": "feeling",
        "version": 1,
        "dataset": {"name": "real"},
        "condition": "full_av",
        "messages": [{"role": "user", "content": content}],
        "output": {"type": "label", "labels": ["neutral", "happy", "angry", "sad"]},
    }
    return TaskSpec.model_validate({**values, **changes})


def release_of(*dialogues: Dialogue, pairs: Sequence[ConflictPair] = ()) -> Release:
    return make_release("data", "real", "test", None, dialogues, pairs)


def pair(name: str, audio: tuple[str, int, str], video: tuple[str, int, str]) -> ConflictPair:
    return ConflictPair(name, audio[0], audio[1], video[0], video[1], audio[2], video[2], "ann")


@dataclass(frozen=True)
class PlannedTask:
    """A task and a release, whose questions are asked of a model."""

    release: Release = field(default_factory=lambda: release_of(make_dialogue("d1")))
    task: TaskSpec = field(default_factory=make_task)
    generation: GenerationSpec = field(default_factory=GenerationSpec)
    identity: tuple[tuple[str, str], ...] = (("model", "random"), ("version", "1"))
    seed: int = 0

    def requests(self) -> list[Request]:
        conditions = cast(ConditionCache, PlainConditions())
        asking = RequestBuilder(self.task, self.release, conditions, self.generation, dict(self.identity), self.seed)
        return [asking.request(item) for item in plan_items(self.task, self.release).items]


def shown(request: Request) -> list[tuple[str, str]]:
    """Roles and words of a request; clips are shown as their bytes."""
    return [
        (message.role, block.text if isinstance(block, Text) else block.read().decode())
        for message in request.messages
        for block in message.content
    ]


QUESTION = ("user", "How does the speaker feel: neutral, happy, angry, sad?")
CONFLICT = make_task(condition="conflict")
ALONE = make_task(condition="conflict", context={"turns": "none"})
