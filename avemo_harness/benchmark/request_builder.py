"""Build the request of an item: render its messages, and make its clips under the task's condition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.planning import choice_orders, shows_clip
from avemo_harness.benchmark.release import Clip, Dialogue, Release, Turn
from avemo_harness.benchmark.request import Item, Message, Request, Text, request_key
from avemo_harness.benchmark.task import (
    LETTERS,
    ChoiceOutput,
    ChoicesTemplate,
    GenerationSpec,
    LabelOutput,
    ModelOutput,
    NumberOutput,
    TaskSpec,
    TextOutput,
    TextTemplate,
)
from avemo_harness.benchmark.template import render
from avemo_harness.errors import MediaError


def output_of(task: TaskSpec, item: Item) -> ModelOutput:
    """Output that a request asks of a model: of a choice, one of the letters of the item's options."""
    output = task.output
    if isinstance(output, ChoiceOutput):
        return LabelOutput(type="label", labels=tuple(LETTERS[: len(item.order)]), method=output.method)
    return TextOutput(type="text") if isinstance(output, NumberOutput) else output


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
        history = self._history(dialogue, turn, own_replies or {})
        question = self._question(dialogue, turn, clip, item.order)
        if self.task.context.user_as == "clip":
            messages = (*history, *question)
        else:
            messages = tuple(_joined([*history, *_named(turn, question)]))
        named = item.without_labels() if self.by_item else None
        output = output_of(self.task, item)
        key = request_key(self.identity, messages, output, self.generation, self.seed, named)
        return Request(key, item.dialogue_id, item.turn_index, messages, output, self.generation, named)

    def _turn(self, item: Item) -> tuple[Dialogue, Turn, Clip | None]:
        dialogue = self.release.dialogue(item.dialogue_id)
        turn = dialogue.turns[item.turn_index]
        if turn.clip is None or not shows_clip(self.task):
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
        if self.task.context.turns == "questions":
            yield from self._answered(dialogue, own_replies)
            return
        for turn in dialogue.turns[: asked.turn_index]:
            if turn.role == "user":
                said = Message("user", (self._said(turn),))
                yield from [said] if self.task.context.user_as == "clip" else _named(turn, [said])
                if turn.turn_index in own_replies:
                    yield Message("assistant", (Text(own_replies[turn.turn_index]),))
            elif not self.task.context.needs_own_replies:
                yield Message("assistant", (Text(turn.text),))

    def _answered(self, dialogue: Dialogue, own_replies: Mapping[int, str]) -> Iterable[Message]:
        """The task's questions about earlier turns with the model's own answers."""
        for index, answer in sorted(own_replies.items()):
            turn = dialogue.turns[index]
            clip = None if turn.clip is None or not shows_clip(self.task) else self._conditioned(turn.clip)
            ((_, order),) = choice_orders(self.task, dialogue, turn, self.seed)
            yield from self._question(dialogue, turn, clip, order)
            yield Message("assistant", (Text(answer),))

    def _said(self, turn: Turn) -> Text | Clip:
        """An earlier turn of the user: its words, or its streams, under the task's condition where that is for all."""
        if turn.clip is None or self.task.context.user_as == "transcript":
            return Text(turn.text)
        condition = self.task.condition
        everywhere = condition.applies_to == "user_turns"
        return self.conditions.shown(turn.clip, condition.name, condition.noise) if everywhere else turn.clip

    def _question(
        self, dialogue: Dialogue, turn: Turn, clip: Clip | None, order: tuple[int, ...] = ()
    ) -> Iterable[Message]:
        labels = _named_labels(self.task, order)
        for template in self.task.messages:
            content: list[Text | Clip] = []
            apart = False  # a text behind options
            for block in template.content:
                if isinstance(block, TextTemplate):
                    text = render(block.text, turn, dialogue, labels)
                    content += _on_own_line(content, [Text(text)]) if apart else [Text(text)]
                elif isinstance(block, ChoicesTemplate):
                    content += _on_own_line(content, list(self._options(turn, order)))
                elif clip is not None:
                    content.append(clip)
                else:
                    raise MediaError(f"dialogue {dialogue.dialogue_id}, turn {turn.turn_index}: the turn has no clip")
                apart = isinstance(block, ChoicesTemplate)
            yield Message(template.role, tuple(content))

    def _options(self, turn: Turn, order: tuple[int, ...]) -> Iterable[Text | Clip]:
        """The options behind their letters: texts as lines of one block, recordings each as a block of its own."""
        lettered = _lettered(turn, order)
        texts = _lines_of_options(lettered)
        if texts:
            yield Text("\n".join(texts))
        condition = self.task.condition
        for letter, option in lettered:
            if isinstance(option, Clip):
                yield Text(f"{letter}.")
                yield self.conditions.shown(option, condition.name, condition.noise)


def _named_labels(task: TaskSpec, order: tuple[int, ...]) -> tuple[str, ...]:
    return task.output.labels if isinstance(task.output, LabelOutput) else tuple(LETTERS[: len(order)])


def _lettered(turn: Turn, order: tuple[int, ...]) -> list[tuple[str, str | Clip]]:
    return [(letter, turn.choices[index]) for letter, index in zip(LETTERS, order, strict=False)]


def _lines_of_options(lettered: Iterable[tuple[str, str | Clip]]) -> list[str]:
    return [f"{letter}. {option}" for letter, option in lettered if isinstance(option, str)]


def question_words(task: TaskSpec, release: Release, item: Item) -> str:
    """The texts of an item's question, without recordings; where it has none, the words of the asked turn.

    Raises:
        TaskError: a template fails.
    """
    dialogue = release.dialogue(item.dialogue_id)
    turn = dialogue.turns[item.turn_index]
    parts: list[str] = []
    for block in (block for message in task.messages for block in message.content):
        if isinstance(block, TextTemplate):
            parts.append(render(block.text, turn, dialogue, _named_labels(task, item.order)))
        elif isinstance(block, ChoicesTemplate):
            parts += _lines_of_options(_lettered(turn, item.order))
    return "\n".join(parts) or turn.text


def history_words(task: TaskSpec, release: Release, item: Item, own_replies: Mapping[int, str]) -> str:
    """Transcript of the history, a line a turn; empty for a task that is asked without one.

    Args:
        own_replies: the model's replies to earlier user turns, by turn, where these are the task's history.
    """
    if task.context.turns == "none":
        return ""
    lines = []
    for turn in release.dialogue(item.dialogue_id).turns[: item.turn_index]:
        if turn.role == "user":
            own = own_replies.get(turn.turn_index)
            name = "user" if task.context.user_as == "clip" else turn.speaker_id
            lines += [f"{name}: {turn.text}", *([] if own is None else [f"assistant: {own}"])]
        elif not task.context.needs_own_replies:
            lines.append(f"assistant: {turn.text}")
    return "\n".join(lines)


def _on_own_line(before: Sequence[Text | Clip], added: list[Text | Clip]) -> list[Text | Clip]:
    """Blocks behind others, begun on a line of their own where text meets text: templates of models join the two."""
    first = added[0] if added else None
    if before and isinstance(before[-1], Text) and isinstance(first, Text) and not before[-1].text.endswith("\n"):
        return [Text(f"\n{first.text}"), *added[1:]]
    return added


def _named(turn: Turn, messages: Iterable[Message]) -> Iterator[Message]:
    """Words of a turn, or the question about it, behind its speaker's name."""
    for number, message in enumerate(messages):
        name = () if number else (Text(f"{turn.speaker_id}: "),)
        yield Message(message.role, (*name, *message.content))


def _joined(messages: Iterable[Message]) -> Iterator[Message]:
    """Messages of one role in a row as one, a line each, and texts in a row as one: templates of many models want
    roles that take turns."""
    for role, group in groupby(messages, key=lambda message: message.role):
        content: list[Text | Clip] = []
        for message in group:
            if content:
                _append(content, Text("\n"))
            for block in message.content:
                _append(content, block)
        yield Message(role, tuple(content))


def _append(content: list[Text | Clip], block: Text | Clip) -> None:
    last = content[-1] if content else None
    if isinstance(block, Text) and isinstance(last, Text):
        content[-1] = Text(last.text + block.text)
    else:
        content.append(block)
