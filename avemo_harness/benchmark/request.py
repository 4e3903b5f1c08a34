"""Items, requests with their keys, and responses: the interface between a task and a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

from avemo_harness.benchmark.release import Clip

if TYPE_CHECKING:
    import numpy as np

    from avemo_harness.benchmark.task import ConditionName, GenerationSpec, ModelOutput

ItemKey = tuple[str, str]
"""Task and item id: names an item in a run."""

KEY_SCHEMA = 1
"""Raised when the meaning of a request key changes, so that old answers are not taken for new ones."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a task: a user turn, or a conflict pair.

    Args:
        unit: dialogue and condition; the items of a unit are asked together, in turn order.
        cluster: what the item is resampled with; its dialogue, the dialogues that conflict pairs join, or its speaker.
        gold: the turn's label, the letter of the right option, or the true answer; None for a conflict, whose two
            labels stand apart, and for replies.
        order: of a choice, the options by their places in the data set, as they are shown; else empty.
        choices: the texts of the options in that order; empty for one that is a recording.
        votes: how many raters who were shown the same gave each of the task's labels, and, as `OTHER_VOTES`, anything
            else; those that some rater gave.
    """

    task: str
    item_id: str
    unit: str
    cluster: str
    dialogue_id: str
    turn_index: int
    condition: ConditionName
    gold: str | None = None
    audio_label: str | None = None
    video_label: str | None = None
    order: tuple[int, ...] = ()
    choices: tuple[str, ...] = ()
    votes: tuple[tuple[str, int], ...] = ()

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Item:
        """Read a stored item (TypeError: a field is missing or unknown)."""
        lists = {name: tuple(values[name]) for name in ("order", "choices") if name in values}
        if "votes" in values:
            lists["votes"] = tuple((label, raters) for label, raters in values["votes"])
        return cls(**{**values, **lists}) if lists else cls(**values)

    def to_json(self) -> dict[str, Any]:
        """The stored item; without an order and choices, and without votes, where it has none."""
        stored = dict(zip(_ITEM_FIELDS, _item_values(self), strict=True))
        if self.order:
            stored |= {"order": self.order, "choices": self.choices}
        return {**stored, "votes": self.votes} if self.votes else stored

    def without_labels(self) -> Item:
        """The item as a model may see it."""
        return replace(self, gold=None, audio_label=None, video_label=None, votes=())


OTHER_VOTES = ""
"""Stands among the votes of an item for those that are for none of the task's labels."""

_ITEM_FIELDS = tuple(part.name for part in fields(Item) if part.name not in ("order", "choices", "votes"))
_item_values = attrgetter(*_ITEM_FIELDS)


@dataclass(frozen=True, slots=True)
class Text:
    """A text block of a message."""

    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message: text and clips in order. Clips are those after the task's condition."""

    role: Literal["user", "assistant"]
    content: tuple[Text | Clip, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One question with its own message list, so that media of one sample can never reach another.

    Args:
        key: digest of everything that may change the answer (`request_key`).
        dialogue_id, turn_index: where the question stands in the release; labels are never in a request.
        item: what asks it, without labels; only for a model whose answers are kept by item.
        schema: JSON schema of the text that is asked for, for models that can hold an answer to it; part of no key.
    """

    key: str
    dialogue_id: str
    turn_index: int
    messages: tuple[Message, ...]
    output: ModelOutput
    generation: GenerationSpec
    item: Item | None = None
    schema: Mapping[str, Any] | None = None

    @property
    def seed(self) -> int:
        """For every random draw that answering needs; made from the key."""
        return int(self.key[:15], 16)

    @property
    def asked_clip(self) -> Clip | None:
        """The clip that the question is about: the last one of the last message."""
        clips = [block for block in self.messages[-1].content if isinstance(block, Clip)]
        return clips[-1] if clips else None


def request_key(
    identity: Mapping[str, str],
    messages: tuple[Message, ...],
    output: ModelOutput,
    generation: GenerationSpec,
    seed: int,
    item: Item | None = None,
) -> str:
    """Digest over the model's identity, the rendered messages with each clip's content hash, and the settings.

    No name of a task, file or dialogue is in it: tasks that ask the same thing share an answer, models never do. Only
    answers that are kept by item, of which two may differ though they are to the same question, are shared by none:
    there `item` is given.
    """
    content: dict[str, Any] = {
        "schema": KEY_SCHEMA,
        "model": dict(identity),
        "messages": [[message.role, [_block_content(block) for block in message.content]] for message in messages],
        "output": output.model_dump(mode="json", exclude={"synonyms", "rank_by"}),
        "generation": generation.model_dump(mode="json"),
        "seed": seed,
    }
    if item is not None:
        content["item"] = [item.task, item.item_id]
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _block_content(block: Text | Clip) -> dict[str, str]:
    return {"text": block.text} if isinstance(block, Text) else {"clip": block.sha256}


FLAGS = {
    "truncated": "the text reached the limit of new tokens before its end",
    "repeating": "the text ends in a loop",
    "empty_text": "the model said nothing",
    "no_speech": "the model was to speak and gave no sound",
    "speech_truncated": "the speech reached its limit before its end",
}
"""Oddities of an answer that is kept as it is."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Spoken answer: mono float samples in [-1, 1] at `rate_hz`."""

    samples: np.ndarray
    rate_hz: int


@dataclass(frozen=True, slots=True)
class Response:
    """A model's answer, or the error that kept it from answering.

    Args:
        text: generated text; None where only labels were ranked, or where there is an error.
        label_logprobs: natural-log probability of each label's text, summed over its tokens, for `output.method: rank`.
        label_tokens: number of tokens of each label, where the model has tokens.
        label_priors: the same log-probabilities when the question is asked without any clip or history.
        flags: oddities of the answer, of `FLAGS`; it is kept and scored as it is.
        error: reason for having no answer. An error never becomes an empty answer.
    """

    text: str | None = None
    label_logprobs: Mapping[str, float] | None = None
    label_tokens: Mapping[str, int] | None = None
    label_priors: Mapping[str, float] | None = None
    speech: Speech | None = None
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    flags: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse(Response):
    """A response to one item as a run keeps it; the samples of its speech lie in a file.

    Args:
        item: the item's id.
        key: of the request; None where none could be made.
        speech_path: inside the run directory.
    """

    task: str
    item: str
    key: str | None = None
    speech_path: str | None = None
    speech_sha256: str | None = None
    speech_samples: int | None = None

    @property
    def item_key(self) -> ItemKey:
        return (self.task, self.item)
