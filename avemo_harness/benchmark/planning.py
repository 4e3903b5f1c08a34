"""Plan the items of a task over a release: its questions, their true answers, and what is left out."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from avemo_harness.benchmark.release import ConflictPair, Dialogue, Release, Stream, Turn
from avemo_harness.benchmark.request import OTHER_VOTES, Item
from avemo_harness.benchmark.task import (
    LETTERS,
    OTHER_LABELS,
    ChoiceOutput,
    ClipTemplate,
    ConditionName,
    LabelOutput,
    NumberOutput,
    SpokenOutput,
    TaskSpec,
)
from avemo_harness.errors import ReleaseError
from avemo_harness.garbage import collection_paused
from avemo_harness.registry import hint


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


_Candidate = tuple[Item, str | None]
"""An item, and why it is not asked; None where it is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The items of a task over a whole split.

    Args:
        items: in release order.
        not_asked: how many further turns (or pairs) have no stream that the condition needs, or a label that the task
            leaves out, by what they lack or have.
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


def left_out_label(label: str) -> str:
    """The reason why a turn is not asked whose label is none of the task's."""
    return f"the label {label!r}, which the task leaves out"


def needed_streams(task: TaskSpec) -> frozenset[Stream]:
    """The streams that a turn must have to be asked about.

    A question that shows no clip needs none. A spoken reply answers what was said, so it needs the sound, and shows the
    face where there is one.
    """
    if not shows_clip(task):
        return frozenset()
    needed = NEEDED[task.condition.name]
    return needed - {"picture"} if isinstance(task.output, SpokenOutput) and "sound" in needed else needed


def shows_clip(task: TaskSpec) -> bool:
    """Tell whether a task's question shows the asked turn's recording."""
    return any(isinstance(block, ClipTemplate) for message in task.messages for block in message.content)


@collection_paused()
def plan_items(task: TaskSpec, release: Release, seed: int = 0) -> Plan:
    """List what a task asks of a release. No media is touched.

    A turn without a stream that its condition needs is not asked, where the release knows of it
    (`avemo_harness.benchmark.release_loader`), nor one whose label the task leaves out.

    Args:
        seed: of the order in which the options of a choice are shown.

    Raises:
        ReleaseError: the release has nothing to ask, a label that the task does not know, or a pair that does not fit.
    """
    if task.condition.name == "conflict":
        candidates = _plan_pairs(task, release)
    else:
        dialogues = release.dialogues
        candidates = [found for dialogue in dialogues for found in _plan_dialogue(task, release, dialogue, seed)]
    items = tuple(item for item, lacking in candidates if lacking is None)
    not_asked = Counter(lacking for _, lacking in candidates if lacking is not None)
    if not candidates:
        raise ReleaseError(
            f"{task.task}: {release.source} (config {release.name!r}, split {release.split!r}) holds nothing to ask; "
            + ("it has no conflict pairs" if task.condition.name == "conflict" else f"no user turn has {_truth(task)}")
        )
    return Plan(items, dict(sorted(not_asked.items())))


def _truth(task: TaskSpec) -> str:
    """Ground truth that the task needs of a turn, in words."""
    if isinstance(task.output, LabelOutput):
        return "a label"
    return "choices and an answer" if isinstance(task.output, ChoiceOutput) else "an answer"


def _lacking(turn: Turn, needed: frozenset[Stream]) -> str | None:
    """The needed stream that a turn is known to lack; None where it may be asked."""
    if not needed:
        return None
    if turn.clip is None:
        return NO_RECORDING
    lacking = set() if turn.clip.streams is None else needed - turn.clip.streams
    return NO_SOUND if "sound" in lacking else NO_FACE if lacking else None


def turn_item_id(dialogue_id: str, turn_index: int, rotation: int | None = None) -> str:
    """Name of the item about a turn; of a choice that is asked once for every rotation of its options, of one of these.

    >>> turn_item_id("d1", 2), turn_item_id("d1", 2, 1)
    ('d1/2', 'd1/2@1')
    """
    return f"{dialogue_id}/{turn_index}" + ("" if rotation is None else f"@{rotation}")


def rotated_turn(item_id: str) -> str | None:
    """The name of the turn that an item asks about, of a choice that is asked once for every rotation; else None.

    >>> rotated_turn("d1/2@1"), rotated_turn("me@home/2")
    ('d1/2', None)
    """
    turn, at, rotation = item_id.rpartition("@")
    return turn if at and rotation.isdecimal() else None


def item_ids_of_turn(dialogue: Dialogue, turn: Turn) -> list[str]:
    """Names of all items that a turn of the user may be asked by: its own, and one for each rotation of its options."""
    rotations: list[int | None] = [None, *range(len(turn.choices))]
    return [turn_item_id(dialogue.dialogue_id, turn.turn_index, rotation) for rotation in rotations]


def _plan_dialogue(task: TaskSpec, release: Release, dialogue: Dialogue, seed: int) -> Iterable[_Candidate]:
    needed = needed_streams(task)
    for turn in (turn for turn in dialogue.turns if _may_be_asked(task, turn, dialogue)):
        name = f"{release.source}: dialogue {dialogue.dialogue_id!r}, turn {turn.turn_index}"
        gold, left_out = _gold(task, turn, name)
        for rotation, order in choice_orders(task, dialogue, turn, seed):
            item = Item(
                task=task.task,
                item_id=turn_item_id(dialogue.dialogue_id, turn.turn_index, rotation),
                unit=f"{release.name}/{release.split}/{task.condition.name}/{dialogue.dialogue_id}",
                cluster=dialogue.dialogue_id if task.clusters == "dialogue" else turn.speaker_id,
                dialogue_id=dialogue.dialogue_id,
                turn_index=turn.turn_index,
                condition=task.condition.name,
                gold=LETTERS[order.index(int(gold))] if order and gold is not None else gold,
                order=order,
                choices=tuple(x if isinstance(x := turn.choices[index], str) else "" for index in order),
                votes=_votes(task, turn, needed),
            )
            yield item, left_out or _lacking(turn, needed)


def _votes(task: TaskSpec, turn: Turn, needed: frozenset[Stream]) -> tuple[tuple[str, int], ...]:
    """The votes of raters who were shown what a task shows, by the task's labels in their order.

    Those for anything else stand last, below no name: they are raters, too, who did not agree with any label.

    Args:
        needed: streams of the turn's clip that the task shows.
    """
    if not turn.votes or not isinstance(task.output, LabelOutput):
        return ()
    shown = "both" if len(needed) == 2 else next(iter(needed), None)
    known = {label: label for label in task.output.labels} | task.label_map
    raters = Counter[str]()
    for vote in turn.votes:
        if vote.shown == shown:
            raters[known.get(vote.label) or OTHER_VOTES] += vote.raters
    return tuple((label, raters[label]) for label in (*task.output.labels, OTHER_VOTES) if raters[label])


def _may_be_asked(task: TaskSpec, turn: Turn, dialogue: Dialogue) -> bool:
    """True for the turns that are the task's unit and have the truth that it needs."""
    if turn.role != "user" or not _has_truth(task, turn):
        return False
    later = dialogue.turns[turn.turn_index + 1 :]
    return task.unit == "user_turn" or all(other.role != "user" for other in later)


def _has_truth(task: TaskSpec, turn: Turn) -> bool:
    """True where a turn has what its answers are held against; replies and free text need nothing."""
    if isinstance(task.output, LabelOutput):
        return turn.emotion is not None
    if isinstance(task.output, ChoiceOutput):
        return bool(turn.choices) and turn.answer is not None
    return turn.answer is not None if isinstance(task.output, NumberOutput) else True


def _gold(task: TaskSpec, turn: Turn, where: str) -> tuple[str | None, str | None]:
    """The true answer of a turn, and why it is left out all the same."""
    if isinstance(task.output, LabelOutput):
        label = map_label(task, turn.emotion or "", where)
        return label, None if label is not None else left_out_label(turn.emotion or "")
    if isinstance(task.output, ChoiceOutput):
        _require(
            task,
            turn.answer in [str(index) for index in range(len(turn.choices))],
            where,
            "the place of one of its choices",
            turn,
        )
    if isinstance(task.output, NumberOutput):
        _require(task, is_number(turn.answer), where, "a finite number", turn)
    return (None if isinstance(task.output, SpokenOutput) else turn.answer), None


def _require(task: TaskSpec, fits: bool, where: str, expected: str, turn: Turn) -> None:
    if not fits:
        raise ReleaseError(f"{task.task}: {where}: the true answer must be {expected}, found {turn.answer!r}")


def is_number(text: str | None) -> bool:
    """Tell whether a text is a finite number."""
    try:
        return math.isfinite(float(text or ""))
    except ValueError:
        return False


def map_label(task: TaskSpec, label: str, where: str) -> str | None:
    """The task's label for one of the data set's; None where the task leaves it out.

    Of a release, labels that the task does not know are left out; of a table, its `label_map` has to say so.

    Raises:
        ReleaseError: a label of a table is neither one of the task's nor in its `label_map`.
    """
    assert isinstance(task.output, LabelOutput)
    if label in task.label_map:
        return task.label_map[label]
    if label in task.output.labels:
        return label
    if task.dataset.columns is None or OTHER_LABELS in task.label_map:
        return None
    known = (*task.output.labels, *task.label_map)
    raise ReleaseError(
        f"{task.task}: {where} is labelled {label!r}, which is neither among the task's labels nor in its label_map"
        f"{hint(label, known)}; name it there, with null to leave it out"
    )


def with_labels_of(task: TaskSpec, release: Release) -> Release:
    """A release to learn the task's labels from; the same where all of its labels are the task's already.

    Turns whose label the task leaves out, or does not know, have none.
    """
    labels = _labels_by_emotion(task)
    emotions = {turn.emotion for dialogue in release.dialogues for turn in dialogue.turns if turn.emotion is not None}
    if keeps_labels(task, emotions):
        return release
    dialogues = tuple(
        replace(dialogue, turns=tuple(replace(turn, emotion=labels.get(turn.emotion or "")) for turn in dialogue.turns))
        for dialogue in release.dialogues
    )
    # By the words alone: a digest of the rows would read every recording of a streamed release.
    words = sorted((emotion, labels.get(emotion)) for emotion in emotions)
    digest = hashlib.sha256(f"{release.fingerprint} {words}".encode()).hexdigest()
    return replace(release, dialogues=dialogues, pairs=(), fingerprint=digest)


def keeps_labels(task: TaskSpec, emotions: Iterable[str]) -> bool:
    """True where each of these emotions is the task's label of that name."""
    labels = _labels_by_emotion(task)
    return all(labels.get(emotion) == emotion for emotion in emotions)


def _labels_by_emotion(task: TaskSpec) -> dict[str, str | None]:
    assert isinstance(task.output, LabelOutput)
    return {label: label for label in task.output.labels} | task.label_map


def choice_orders(
    task: TaskSpec, dialogue: Dialogue, turn: Turn, seed: int
) -> list[tuple[int | None, tuple[int, ...]]]:
    """The orders in which the options of a turn are shown; where there are several, each with its number.

    Of a task that is no choice it is one, and empty.

    Raises:
        ReleaseError: there are fewer than two options, or more than letters.
    """
    if not isinstance(task.output, ChoiceOutput):
        return [(None, ())]
    count = len(turn.choices)
    if not 2 <= count <= len(LETTERS):
        where = f"dialogue {dialogue.dialogue_id!r}, turn {turn.turn_index}"
        raise ReleaseError(f"{task.task}: {where}: a choice has 2 to {len(LETTERS)} options, found {count}")
    given = list(range(count))
    if task.output.order == "shuffled":
        # Of the item and the seed alone, so that no other item and no limit changes what is asked.
        item_id = turn_item_id(dialogue.dialogue_id, turn.turn_index)
        given.sort(key=lambda index: hashlib.sha256(f"{seed} {item_id} {index}".encode()).digest())
    if task.output.order != "rotations":
        return [(None, tuple(given))]
    return [(start, (*given[start:], *given[:start])) for start in range(count)]


def _plan_pairs(task: TaskSpec, release: Release) -> list[_Candidate]:
    dialogues = {dialogue.dialogue_id: dialogue for dialogue in release.dialogues}
    # Pairs that share a dialogue must be resampled together.
    clusters = connected_components((pair.audio_dialogue_id, pair.video_dialogue_id) for pair in release.pairs)
    needed = needed_streams(task)
    items = []
    for pair in release.pairs:
        _check_pair(pair, dialogues, history=task.context.turns == "history", where=release.source)
        emotions = (pair.audio_emotion, pair.video_emotion)
        labels = [_pair_label(task, emotion, f"pair {pair.pair_id!r}") for emotion in emotions]
        unknown = [emotion for emotion, label in zip(emotions, labels, strict=True) if label is None]
        item = Item(
            task=task.task,
            item_id=pair.pair_id,
            unit=f"{release.name}/{release.split}/conflict/{pair.pair_id}",
            cluster=clusters[pair.audio_dialogue_id],
            dialogue_id=pair.audio_dialogue_id,
            turn_index=pair.audio_turn,
            condition="conflict",
            audio_label=labels[0],
            video_label=labels[1],
        )
        audio, video = release.turn(pair.audio), release.turn(pair.video)
        lacking = _lacking(audio, needed & {"sound"}) or _lacking(video, needed & {"picture"})
        left_out = left_out_label(unknown[0]) if unknown and isinstance(task.output, LabelOutput) else None
        items.append((item, left_out or lacking))
    return items


def _pair_label(task: TaskSpec, emotion: str, where: str) -> str | None:
    return map_label(task, emotion, where) if isinstance(task.output, LabelOutput) else None


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

    A turn that is not asked, since it lacks a stream or a truth, has no reply.
    """
    if not task.context.needs_own_replies:
        return {}
    dialogue = release.dialogue(item.dialogue_id)
    turns = dialogue.turns[: item.turn_index]
    asked = [turn.turn_index for turn in turns if _is_asked(task, turn, dialogue)]
    return {turn: turn_item_id(item.dialogue_id, turn) for turn in asked}


def _is_asked(task: TaskSpec, turn: Turn, dialogue: Dialogue) -> bool:
    if not _may_be_asked(task, turn, dialogue) or _lacking(turn, needed_streams(task)) is not None:
        return False
    return _gold(task, turn, f"dialogue {dialogue.dialogue_id!r}, turn {turn.turn_index}")[1] is None
