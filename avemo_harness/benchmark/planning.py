"""From a task and a release to items, and from an item to the request that asks it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.linking import linked
from avemo_harness.benchmark.release import Clip, ConflictPair, Dialogue, Release, Turn
from avemo_harness.benchmark.request import Item, Message, Request, Text, request_key
from avemo_harness.benchmark.task import ConditionSpec, GenerationSpec, LabelOutput, TaskSpec, TextTemplate
from avemo_harness.benchmark.template import render
from avemo_harness.errors import MediaError, ReleaseError


def plan_items(task: TaskSpec, release: Release) -> list[Item]:
    """List what a task asks of a release, in release order. No media is touched.

    Raises:
        ReleaseError: the release has nothing to ask, a label that the task does not know, or a pair that does not fit.
    """
    if task.condition.name == "conflict":
        items = _plan_pairs(task, release)
    else:
        items = [item for dialogue in release.dialogues for item in _plan_dialogue(task, release, dialogue)]
    if not items:
        raise ReleaseError(
            f"{task.task}: {release.source} (config {release.name!r}, split {release.split!r}) holds nothing to ask; "
            + ("it has no conflict pairs" if task.condition.name == "conflict" else "no user turn has a label")
        )
    return items


def turn_item_id(dialogue_id: str, turn_index: int) -> str:
    """The id of the item that asks about a turn."""
    return f"{dialogue_id}/{turn_index}"


def _plan_dialogue(task: TaskSpec, release: Release, dialogue: Dialogue) -> Iterable[Item]:
    for turn in dialogue.turns:
        if turn.role != "user" or (isinstance(task.output, LabelOutput) and turn.emotion is None):
            continue
        yield Item(
            task=task.task,
            item_id=turn_item_id(dialogue.dialogue_id, turn.turn_index),
            unit=f"{release.name}/{release.split}/{task.condition.name}/{dialogue.dialogue_id}",
            cluster=dialogue.dialogue_id,
            dialogue_id=dialogue.dialogue_id,
            turn_index=turn.turn_index,
            condition=task.condition.name,
            gold=_known_label(task, turn.emotion, dialogue.dialogue_id),
        )


def _plan_pairs(task: TaskSpec, release: Release) -> list[Item]:
    dialogues = {dialogue.dialogue_id: dialogue for dialogue in release.dialogues}
    # Pairs that share a dialogue must be resampled together.
    clusters = linked((pair.audio_dialogue_id, pair.video_dialogue_id) for pair in release.pairs)
    items = []
    for pair in release.pairs:
        _check_pair(pair, dialogues, history=task.context.turns == "history", where=release.source)
        items.append(
            Item(
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
        )
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
    for dialogue_id, index, emotion in (
        (pair.audio_dialogue_id, pair.audio_turn, pair.audio_emotion),
        (pair.video_dialogue_id, pair.video_turn, pair.video_emotion),
    ):
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
    if history and [_said(turn) for turn in audio] != [_said(turn) for turn in video]:
        raise ReleaseError(
            f"{where}: its dialogues differ before the asked turn, so neither is the pair's history; "
            "ask it with `context: {turns: none}`"
        )


def _said(turn: Turn) -> tuple[str, str, str | None]:
    return (turn.role, turn.text, turn.clip.sha256 if turn.clip else None)


def turns_to_answer_first(task: TaskSpec, release: Release, item: Item) -> tuple[int, ...]:
    """The user turns before an item's, where the model's own replies to them stand in its history; else none."""
    if not task.context.needs_own_replies:
        return ()
    turns = release.dialogue(item.dialogue_id).turns[: item.turn_index]
    return tuple(turn.turn_index for turn in turns if turn.role == "user")


@dataclass(frozen=True, slots=True)
class Asking:
    """What turns an item into a request: the task, its release, and whom it is asked of.

    Args:
        generation: the task's settings with the caller's overrides.
        identity: the model's identity, part of every key.
    """

    task: TaskSpec
    release: Release
    conditions: ConditionCache
    generation: GenerationSpec
    identity: Mapping[str, str]
    seed: int

    def request(self, item: Item, own_replies: Mapping[int, str] | None = None) -> Request:
        """Render the messages of an item and make its clips.

        Args:
            own_replies: what the model replied to each of `turns_to_answer_first`, by turn.

        Raises:
            MediaError: a clip is missing or damaged.
        """
        if item.condition == "conflict":
            dialogue, turn, clip = self._conflict(item)
        else:
            dialogue, turn, clip = self._turn(item)
        messages = (*self._history(dialogue, turn, own_replies or {}), *self._question(dialogue, turn, clip))
        key = request_key(self.identity, messages, self.task.output, self.generation, self.seed)
        return Request(key, item.dialogue_id, item.turn_index, messages, self.task.output, self.generation)

    def _turn(self, item: Item) -> tuple[Dialogue, Turn, Clip | None]:
        dialogue = self.release.dialogue(item.dialogue_id)
        turn = dialogue.turns[item.turn_index]
        return dialogue, turn, self._conditioned(turn.clip, self.task.condition) if turn.clip else None

    def _conflict(self, item: Item) -> tuple[Dialogue, Turn, Clip | None]:
        pair = self.release.pair(item.item_id)
        dialogue = self.release.dialogue(pair.audio_dialogue_id)
        audio = dialogue.turns[pair.audio_turn]
        video = self.release.dialogue(pair.video_dialogue_id).turns[pair.video_turn]
        if audio.clip is None or video.clip is None:
            raise MediaError(f"pair {pair.pair_id}: both turns need a clip")
        return dialogue, audio, self.conditions.conflict(audio.clip, video.clip)

    def _conditioned(self, clip: Clip, condition: ConditionSpec) -> Clip:
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
                if self.task.context.needs_own_replies:
                    yield Message("assistant", (Text(own_replies[turn.turn_index]),))
            elif not self.task.context.needs_own_replies:
                yield Message("assistant", (Text(turn.text),))

    def _said(self, turn: Turn) -> Message:
        """An earlier turn of the user, under the task's condition where that is for all turns."""
        if turn.clip is None:
            return Message("user", (Text(turn.text),))
        everywhere = self.task.condition.applies_to == "user_turns"
        return Message("user", (self._conditioned(turn.clip, self.task.condition) if everywhere else turn.clip,))

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
