"""Plan the items of a task over a release, and build the request of an item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Clip, ConflictPair, Dialogue, Release, Stream, Turn
from avemo_harness.benchmark.request import Item, Message, Request, Text, request_key
from avemo_harness.benchmark.task import (
    ClipTemplate,
    ConditionName,
    GenerationSpec,
    LabelOutput,
    SpokenOutput,
    TaskSpec,
    TextTemplate,
)
from avemo_harness.benchmark.template import render
from avemo_harness.errors import MediaError, ReleaseError


def connected_components(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Connected components of a graph, given by its edges: for each name the smallest name of its component.

    >>> connected_components([("b", "a"), ("c", "b"), ("x", "y")])
    {'b': 'a', 'a': 'a', 'c': 'a', 'x': 'x', 'y': 'x'}
    """
    leader: dict[str, str] = {}  # a union-find forest; the smaller name leads, in whatever order the edges come

    def find(name: str) -> str:
        while leader.setdefault(name, name) != name:
            name = leader[name]
        return name

    for left, right in pairs:
        first, second = sorted((find(left), find(right)))
        leader[second] = first
    return {name: find(name) for name in list(leader)}


NEEDED: Mapping[ConditionName, frozenset[Stream]] = {
    "full_av": frozenset({"sound", "picture"}),
    "audio_only": frozenset({"sound"}),
    "video_only": frozenset({"picture"}),
    "conflict": frozenset({"sound", "picture"}),
}
"""The streams that a condition needs of a clip; of a conflict pair, the sound of one and the picture of the other."""

NO_RECORDING, NO_SOUND, NO_FACE = "no recording", "no sound", "no face"
"""Reasons why a turn is not asked."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The items of a task over a whole split.

    Args:
        items: in release order.
        not_asked: how many further turns (or pairs) lack a stream that the condition needs, by what they lack.
    """

    items: tuple[Item, ...]
    not_asked: Mapping[str, int] = field(default_factory=dict)


def describe_not_asked(not_asked: Mapping[str, int], condition: str) -> str:
    """The counts of `Plan.not_asked` in words.

    >>> describe_not_asked({"no face": 12, "no sound": 1}, "full_av")
    '12 turns have no face, 1 turn has no sound'
    """
    unit = "pair" if condition == "conflict" else "turn"
    return ", ".join(
        f"{count:,} {unit} has {lacking}" if count == 1 else f"{count:,} {unit}s have {lacking}"
        for lacking, count in not_asked.items()
    )


def needed_streams(task: TaskSpec) -> frozenset[Stream]:
    """The streams that a turn must have to be asked about.

    A question that shows no clip needs none. A spoken reply answers what was said, so it needs the sound, and shows the
    face where there is one.
    """
    if not _shows_clip(task):
        return frozenset()
    needed = NEEDED[task.condition.name]
    return needed - {"picture"} if isinstance(task.output, SpokenOutput) and "sound" in needed else needed


def _shows_clip(task: TaskSpec) -> bool:
    return any(isinstance(block, ClipTemplate) for message in task.messages for block in message.content)


def plan_items(task: TaskSpec, release: Release) -> Plan:
    """List what a task asks of a release. No media is touched.

    A turn without a stream that its condition needs is not asked, where the release knows of it
    (`avemo_harness.benchmark.release_loader`).

    Raises:
        ReleaseError: the release has nothing to ask, a label that the task does not know, or a pair that does not fit.
    """
    if task.condition.name == "conflict":
        candidates = _plan_pairs(task, release)
    else:
        candidates = [pair for dialogue in release.dialogues for pair in _plan_dialogue(task, release, dialogue)]
    items = tuple(item for item, lacking in candidates if lacking is None)
    not_asked = Counter(lacking for _, lacking in candidates if lacking is not None)
    if not candidates:
        raise ReleaseError(
            f"{task.task}: {release.source} (config {release.name!r}, split {release.split!r}) holds nothing to ask; "
            + ("it has no conflict pairs" if task.condition.name == "conflict" else "no user turn has a label")
        )
    return Plan(items, dict(sorted(not_asked.items())))


def _lacking(turn: Turn, needed: frozenset[Stream]) -> str | None:
    """The needed stream that a turn is known to lack; None where it may be asked."""
    if not needed:
        return None
    if turn.clip is None:
        return NO_RECORDING
    lacking = set() if turn.clip.streams is None else needed - turn.clip.streams
    return NO_SOUND if "sound" in lacking else NO_FACE if lacking else None


def turn_item_id(dialogue_id: str, turn_index: int) -> str:
    return f"{dialogue_id}/{turn_index}"


def _plan_dialogue(task: TaskSpec, release: Release, dialogue: Dialogue) -> Iterable[tuple[Item, str | None]]:
    """The items of a dialogue, each with the stream that it lacks."""
    needed = needed_streams(task)
    for turn in dialogue.turns:
        if turn.role != "user" or (isinstance(task.output, LabelOutput) and turn.emotion is None):
            continue
        item = Item(
            task=task.task,
            item_id=turn_item_id(dialogue.dialogue_id, turn.turn_index),
            unit=f"{release.name}/{release.split}/{task.condition.name}/{dialogue.dialogue_id}",
            cluster=dialogue.dialogue_id,
            dialogue_id=dialogue.dialogue_id,
            turn_index=turn.turn_index,
            condition=task.condition.name,
            gold=_known_label(task, turn.emotion, dialogue.dialogue_id),
        )
        yield item, _lacking(turn, needed)


def _plan_pairs(task: TaskSpec, release: Release) -> list[tuple[Item, str | None]]:
    """The items of all pairs, each with the stream that it lacks."""
    dialogues = {dialogue.dialogue_id: dialogue for dialogue in release.dialogues}
    # Pairs that share a dialogue must be resampled together.
    clusters = connected_components((pair.audio_dialogue_id, pair.video_dialogue_id) for pair in release.pairs)
    needed = needed_streams(task)
    items = []
    for pair in release.pairs:
        _check_pair(pair, dialogues, history=task.context.turns == "history", where=release.source)
        item = Item(
            task=task.task,
            item_id=pair.pair_id,
            unit=f"{release.name}/{release.split}/conflict/{pair.pair_id}",
            cluster=clusters[pair.audio_dialogue_id],
            dialogue_id=pair.audio_dialogue_id,
            turn_index=pair.audio_turn,
            condition="conflict",
            audio_label=_known_label(task, pair.audio_emotion, pair.pair_id),
            video_label=_known_label(task, pair.video_emotion, pair.pair_id),
        )
        audio, video = release.turn(pair.audio), release.turn(pair.video)
        items.append((item, _lacking(audio, needed & {"sound"}) or _lacking(video, needed & {"picture"})))
    return items


def _known_label(task: TaskSpec, label: str | None, where: str) -> str | None:
    if isinstance(task.output, LabelOutput) and label not in task.output.labels:
        known = ", ".join(task.output.labels)
        raise ReleaseError(
            f"{task.task}: {where} is labelled {label!r}, which is not among the task's labels ({known})"
        )
    return label if isinstance(task.output, LabelOutput) else None


def _check_pair(pair: ConflictPair, dialogues: Mapping[str, Dialogue], history: bool, where: str) -> None:
    """Refuse a pair whose sides do not exist, are labelled otherwise, or do not share the history to be shown."""
    where = f"{where}: pair {pair.pair_id!r}"
    for (dialogue_id, index), emotion in ((pair.audio, pair.audio_emotion), (pair.video, pair.video_emotion)):
        dialogue = dialogues.get(dialogue_id)
        if dialogue is None or not 0 <= index < len(dialogue.turns):
            raise ReleaseError(f"{where}: there is no turn {index} of dialogue {dialogue_id!r} in the release")
        if dialogue.turns[index].emotion != emotion:
            found = dialogue.turns[index].emotion
            raise ReleaseError(
                f"{where}: turn {index} of {dialogue_id!r} is labelled {found!r}, the pair says {emotion!r}"
            )
    audio = dialogues[pair.audio_dialogue_id].turns[: pair.audio_turn]
    video = dialogues[pair.video_dialogue_id].turns[: pair.video_turn]
    if history and [_turn_content(turn) for turn in audio] != [_turn_content(turn) for turn in video]:
        raise ReleaseError(
            f"{where}: its dialogues differ before the asked turn, so neither is the pair's history; "
            "ask it with `context: {turns: none}`"
        )


def _turn_content(turn: Turn) -> tuple[str, str, str | None]:
    return (turn.role, turn.text, turn.clip.sha256 if turn.clip else None)


def items_to_answer_first(task: TaskSpec, release: Release, item: Item) -> dict[int, str]:
    """The ids of items about earlier user turns, by turn, where the model's own replies to them are the history.

    A turn that is not asked, since it lacks a stream, has no reply.
    """
    if not task.context.needs_own_replies:
        return {}
    needed = needed_streams(task)
    turns = release.dialogue(item.dialogue_id).turns[: item.turn_index]
    asked = [turn.turn_index for turn in turns if turn.role == "user" and _lacking(turn, needed) is None]
    return {turn: turn_item_id(item.dialogue_id, turn) for turn in asked}


@dataclass(frozen=True, slots=True)
class RequestBuilder:
    """Builds the request of an item of one task, release and model.

    Args:
        generation: the task's settings with the caller's overrides.
        identity: the model's identity, part of every key.
        by_item: the model's answers are kept by item, so requests name theirs (`Request.item`).
    """

    task: TaskSpec
    release: Release
    conditions: ConditionCache
    generation: GenerationSpec
    identity: Mapping[str, str]
    seed: int
    by_item: bool = False

    def request(self, item: Item, own_replies: Mapping[int, str] | None = None) -> Request:
        """Render the messages of an item and make its clips.

        Args:
            own_replies: the model's replies to the turns of `items_to_answer_first`, by turn.

        Raises:
            MediaError: a clip is missing or damaged.
        """
        if item.condition == "conflict":
            dialogue, turn, clip = self._conflict(item)
        else:
            dialogue, turn, clip = self._turn(item)
        messages = (*self._history(dialogue, turn, own_replies or {}), *self._question(dialogue, turn, clip))
        named = item.without_labels() if self.by_item else None
        key = request_key(self.identity, messages, self.task.output, self.generation, self.seed, named)
        return Request(key, item.dialogue_id, item.turn_index, messages, self.task.output, self.generation, named)

    def _turn(self, item: Item) -> tuple[Dialogue, Turn, Clip | None]:
        dialogue = self.release.dialogue(item.dialogue_id)
        turn = dialogue.turns[item.turn_index]
        if turn.clip is None or not _shows_clip(self.task):
            return dialogue, turn, None
        return dialogue, turn, self._conditioned(turn.clip)

    def _conflict(self, item: Item) -> tuple[Dialogue, Turn, Clip | None]:
        pair = self.release.pair(item.item_id)
        audio, video = self.release.turn(pair.audio), self.release.turn(pair.video)
        if audio.clip is None or video.clip is None:
            raise MediaError(f"pair {pair.pair_id}: both turns need a clip")
        return self.release.dialogue(pair.audio_dialogue_id), audio, self.conditions.conflict(audio.clip, video.clip)

    def _conditioned(self, clip: Clip) -> Clip:
        condition = self.task.condition
        if condition.name == "audio_only":
            return self.conditions.audio_only(clip)
        if condition.name == "video_only":
            return self.conditions.video_only(clip, condition.noise)
        return self.conditions.full_av(clip)

    def _history(self, dialogue: Dialogue, asked: Turn, own_replies: Mapping[int, str]) -> Iterable[Message]:
        if self.task.context.turns == "none":
            return
        for turn in dialogue.turns[: asked.turn_index]:
            if turn.role == "user":
                yield self._said(turn)
                if turn.turn_index in own_replies:
                    yield Message("assistant", (Text(own_replies[turn.turn_index]),))
            elif not self.task.context.needs_own_replies:
                yield Message("assistant", (Text(turn.text),))

    def _said(self, turn: Turn) -> Message:
        """An earlier turn of the user with its streams, under the task's condition where that is for all turns."""
        if turn.clip is None:
            return Message("user", (Text(turn.text),))
        condition = self.task.condition
        everywhere = condition.applies_to == "user_turns"
        shown = self.conditions.shown(turn.clip, condition.name, condition.noise) if everywhere else turn.clip
        return Message("user", (shown,))

    def _question(self, dialogue: Dialogue, turn: Turn, clip: Clip | None) -> Iterable[Message]:
        labels = self.task.output.labels if isinstance(self.task.output, LabelOutput) else ()
        for template in self.task.messages:
            content: list[Text | Clip] = []
            for block in template.content:
                if isinstance(block, TextTemplate):
                    content.append(Text(render(block.text, turn, dialogue, labels)))
                elif clip is not None:
                    content.append(clip)
                else:
                    raise MediaError(f"dialogue {dialogue.dialogue_id}, turn {turn.turn_index}: the turn has no clip")
            yield Message(template.role, tuple(content))
