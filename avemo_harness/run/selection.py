"""Select the items of a run (plans, stratified sampling, ids and filters) and group them into units."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.planning import (
    Plan,
    describe_not_asked,
    item_ids_of_turn,
    items_to_answer_first,
    plan_items,
    rotated_turn,
)
from avemo_harness.benchmark.release import Dialogue, Release, Turn
from avemo_harness.benchmark.request import Item, ItemKey
from avemo_harness.benchmark.request_builder import RequestBuilder
from avemo_harness.benchmark.task import ChoiceOutput, LabelOutput, SpokenOutput, TaskSpec
from avemo_harness.benchmark.task_file import Task
from avemo_harness.errors import UsageError
from avemo_harness.garbage import collection_paused
from avemo_harness.models.base import Capabilities, Output
from avemo_harness.registry import hint
from avemo_harness.run.config import RunConfig, RunRecord

_TIE = 1e-12
"""Distances of shares that differ by less are rounding."""


@dataclass(frozen=True, slots=True)
class SamplingUnit:
    """A dialogue or conflict pair that may be drawn.

    Args:
        name: unique.
        labels: of every question it brings.
        speaker: whose recordings it holds.
    """

    name: str
    labels: tuple[str, ...]
    speaker: str


def dialogue_order(release: Release, seed: int) -> list[str]:
    """The ids of all dialogues of a split in sampling order, the same for every task and condition."""
    candidates = []
    for dialogue in release.dialogues:
        labels = [turn.emotion for turn in dialogue.turns if turn.role == "user" and turn.emotion is not None]
        candidates.append(SamplingUnit(dialogue.dialogue_id, tuple(labels), dialogue.turns[0].speaker_id))
    return sampling_order(candidates, seed)


def pair_order(release: Release, seed: int) -> list[str]:
    """The ids of all conflict pairs of a split in sampling order; a pair's label is which emotion is heard and seen."""
    pairs = (
        SamplingUnit(pair.pair_id, (f"{pair.audio_emotion} {pair.video_emotion}",), pair.speaker_id)
        for pair in release.pairs
    )
    return sampling_order(pairs, seed)


def sampling_order(candidates: Iterable[SamplingUnit], seed: int) -> list[str]:
    """Order candidates so that every prefix is balanced.

    Greedily, the next one is whichever brings the cumulative shares of labels nearest those of all candidates (sum of
    absolute differences), then the one whose speaker was taken least, then the one of the smallest seeded hash of its
    name. Candidates without labels come last.

    Returns:
        Their names. The order depends on the candidates and the seed alone, not on the order in which they are given.

    >>> four = [SamplingUnit(f"{label}{i}", (label,), "ann") for label in ("happy", "sad") for i in (1, 2)]
    >>> sorted(name[:-1] for name in sampling_order(four, seed=0)[:2])
    ['happy', 'sad']
    """
    pool = list(candidates)
    used: Counter[str] = Counter()
    labelled = _drawn([candidate for candidate in pool if candidate.labels], seed, used)
    return [*labelled, *_drawn([candidate for candidate in pool if not candidate.labels], seed, used)]


def _drawn(candidates: Sequence[SamplingUnit], seed: int, used: Counter[str]) -> list[str]:
    """Draw all candidates, one after the other.

    Args:
        used: how often each speaker was drawn; counted on.
    """
    import numpy as np

    labels = sorted({label for candidate in candidates for label in candidate.labels})
    by_counts = _classes(candidates, labels, seed)
    classes = [by_counts[key] for key in sorted(by_counts)]
    counts = np.array(sorted(by_counts), dtype=np.int64).reshape(len(classes), len(labels))
    sizes = np.array([sum(map(len, of_class.values())) for of_class in classes], dtype=np.int64)
    totals = sizes @ counts if classes else np.zeros(len(labels), dtype=np.int64)
    target = totals / max(1, int(totals.sum()))
    drawn: list[str] = []
    taken = np.zeros(len(labels), dtype=np.int64)
    live = list(range(len(classes)))
    while live:
        sums = taken + counts[live]
        shares = sums / np.maximum(1, sums.sum(axis=1, keepdims=True))
        distances = np.abs(shares - target).sum(axis=1)
        nearest = np.flatnonzero(distances <= distances.min() + _TIE)
        chosen, speaker = min(
            ((live[i], speaker) for i in nearest for speaker in classes[live[i]]),
            key=lambda drawable: (used[drawable[1]], classes[drawable[0]][drawable[1]][-1]),
        )
        members = classes[chosen][speaker]
        drawn.append(members.pop()[1])
        taken = taken + counts[chosen]
        used[speaker] += 1
        if not members:
            del classes[chosen][speaker]
        if not classes[chosen]:
            live.remove(chosen)
    return drawn


def _classes(
    candidates: Sequence[SamplingUnit], labels: Sequence[str], seed: int
) -> dict[tuple[int, ...], dict[str, list[tuple[str, str]]]]:
    """Candidates by how often they bring each label, then by speaker: hashes and names, the smallest hash last."""
    classes: dict[tuple[int, ...], dict[str, list[tuple[str, str]]]] = {}
    for candidate in candidates:
        brought = Counter(candidate.labels)
        by_speaker = classes.setdefault(tuple(brought[label] for label in labels), {})
        hashed = hashlib.sha256(f"{seed} {candidate.name}".encode()).hexdigest()
        by_speaker.setdefault(candidate.speaker, []).append((hashed, candidate.name))
    for by_speaker in classes.values():
        for members in by_speaker.values():
            members.sort(reverse=True)
    return classes


Property = Callable[[Dialogue, Turn], str]

PROPERTIES: dict[str, Property] = {
    "emotion": lambda dialogue, turn: str(turn.emotion),
    "speaker_id": lambda dialogue, turn: turn.speaker_id,
    "turn_index": lambda dialogue, turn: str(turn.turn_index),
    "language": lambda dialogue, turn: dialogue.language,
    "source": lambda dialogue, turn: dialogue.source,
}
"""Properties that `--where` compares; for a conflict pair, of the turn whose sound is heard."""


@dataclass(frozen=True)
class Selection:
    """The part of one release that a run's ``limit``, ``ids`` and ``where`` name.

    The limit counts dialogues, in one sampling order per split and seed, so that every condition is asked about the
    same ones; conflict pairs have an order of their own. A smaller limit is a prefix of a larger one.

    Raises:
        UsageError: an unknown property, or a limit that is no count or share.
    """

    release: Release
    config: RunConfig

    def __post_init__(self) -> None:
        limit = self.config.limit
        if limit is not None and (not 0 < limit < math.inf or (limit >= 1 and limit != int(limit))):
            raise UsageError(f"--limit must be a count of dialogues or a share between 0 and 1, found {limit:g}")
        for condition in self.config.where:
            name, equals, _ = condition.partition("=")
            if not equals or name not in PROPERTIES:
                raise UsageError(f"--where {condition!r}: write FIELD=VALUE{hint(name, PROPERTIES)}")

    def of(self, items: Sequence[Item]) -> list[Item]:
        """The selected ones among a task's items, in their order."""
        kept = [item for item in items if self._is_wanted(item.dialogue_id, item.turn_index, *_names_of(item))]
        if self.config.limit is None:
            return kept
        return [
            item
            for item in kept
            if (item.item_id in self._pairs if item.condition == "conflict" else item.dialogue_id in self._dialogues)
        ]

    def unknown_ids(self) -> list[str]:
        """The ``ids`` that are no dialogue, pair or user turn of the release."""
        if not self.config.ids:
            return []
        known = {pair.pair_id for pair in self.release.pairs}
        for dialogue in self.release.dialogues:
            known |= {dialogue.dialogue_id}
            known |= {name for turn in dialogue.turns for name in item_ids_of_turn(dialogue, turn)}
        return [name for name in self.config.ids if name not in known]

    @cached_property
    def _dialogues(self) -> frozenset[str]:
        """The dialogues within the limit, of those with a turn of the user that is wanted."""
        wanted = [
            name
            for name in dialogue_order(self.release, self.config.seed)
            if any(
                turn.role == "user" and self._is_wanted(name, turn.turn_index, *item_ids_of_turn(dialogue, turn))
                for dialogue in [self.release.dialogue(name)]
                for turn in dialogue.turns
            )
        ]
        return frozenset(wanted[: self._count(len(wanted))])

    @cached_property
    def _pairs(self) -> frozenset[str]:
        """The conflict pairs within the limit, of those that are wanted."""
        pairs = map(self.release.pair, pair_order(self.release, self.config.seed))
        wanted = [pair.pair_id for pair in pairs if self._is_wanted(*pair.audio, pair.pair_id)]
        return frozenset(wanted[: self._count(len(wanted))])

    def _count(self, available: int) -> int:
        limit = self.config.limit or 0.0
        # 0.07 of 100 is a little more than 7 in binary.
        return int(limit) if limit >= 1 else max(1, math.ceil(limit * available - 1e-9))

    def _is_wanted(self, dialogue_id: str, turn_index: int, *names: str) -> bool:
        if self.config.ids and not {*names, dialogue_id} & set(self.config.ids):
            return False
        dialogue = self.release.dialogue(dialogue_id)
        return all(
            PROPERTIES[name](dialogue, dialogue.turns[turn_index]) == value
            for name, _, value in (condition.partition("=") for condition in self.config.where)
        )


def _names_of(item: Item) -> list[str]:
    """The names by which `--ids` selects an item: its own, and of a rotation that of its turn."""
    turn = rotated_turn(item.item_id) if item.order else None
    return [item.item_id, *([turn] if turn else [])]


@dataclass(frozen=True, slots=True)
class Question:
    """An item with the builder of its request."""

    builder: RequestBuilder
    item: Item

    @property
    def item_key(self) -> ItemKey:
        return (self.item.task, self.item.item_id)


@dataclass(frozen=True, slots=True)
class Unit:
    """Questions that are claimed together: those of one dialogue under one condition.

    Args:
        questions: in turn order; about one turn, those for labels come before those for replies.
    """

    name: str
    questions: tuple[Question, ...]


def plan_tasks(
    tasks: Sequence[Task], releases: Mapping[str, Release], capabilities: Capabilities, config: RunConfig
) -> tuple[dict[str, Plan], dict[str, str]]:
    """Plan every task on the whole of its split.

    Args:
        releases: by task.

    Returns:
        The plans of the tasks that are asked, and why the others are not, both by task.

    Raises:
        ReleaseError: a release has nothing to ask, or does not fit a task.
        UsageError: the model answers with replies of the release, which holds none.
    """
    plans: dict[str, Plan] = {}
    skipped: dict[str, str] = {}
    for task in tasks:
        release = releases[task.name]
        if reason := _skip_reason(task.spec, release, capabilities, config):
            skipped[task.name] = reason
            continue
        plan = plan_items(task.spec, release, config.seed)
        if capabilities.needs_reference:
            plan = _with_reply(plan, task.spec, release, config)
        if plan.items:
            plans[task.name] = plan
        else:
            skipped[task.name] = describe_not_asked(plan.not_asked, task.spec.condition.name)
    return plans, skipped


def _skip_reason(task: TaskSpec, release: Release, capabilities: Capabilities, config: RunConfig) -> str | None:
    """Why a task is outside what the release has, the model can do or the run wants; None where it is asked."""
    if task.condition.name == "conflict" and not release.pairs:
        return f"the release has no conflict pairs (config {release.name}_conflict)"
    needed = output_kind(task)
    if needed not in capabilities.outputs:
        return f"the model gives no {needed.replace('_', ' ')}"
    if isinstance(task.output, ChoiceOutput) and not capabilities.chooses:
        return "the model names labels, and no letters of options"
    if config.skip_speech and needed == "spoken_response":
        return "spoken replies are left out (--skip_speech)"
    return None


def output_kind(task: TaskSpec) -> Output:
    """The kind of answer that a task needs of a model."""
    if isinstance(task.output, LabelOutput | ChoiceOutput):
        return "label_ranking" if task.output.method == "rank" else "label_text"
    return "spoken_response" if isinstance(task.output, SpokenOutput) else "text"


def _with_reply(plan: Plan, task: TaskSpec, release: Release, config: RunConfig) -> Plan:
    """The part of a plan whose turns the release itself answers."""
    answered = (item for item in plan.items if release.dialogue(item.dialogue_id).is_answered(item.turn_index))
    kept = replace(plan, items=tuple(answered))
    if plan.items and not kept.items:
        raise UsageError(f"{task.task}: the release holds no reply that {config.model} could give")
    return kept


def select_items(
    tasks: Sequence[Task], releases: Mapping[str, Release], plans: Mapping[str, Plan], config: RunConfig
) -> dict[str, list[Item]]:
    """The items of each task that are asked for now.

    Raises:
        UsageError: an id that no release has, a property or a limit that cannot be understood, or nothing is left.
    """
    by_release = {id(release): Selection(release, config) for release in releases.values()}
    unknown = [set(selection.unknown_ids()) for selection in by_release.values()]
    if nowhere := sorted(set.intersection(*unknown)) if unknown else []:
        raise UsageError(f"--ids: no dialogue, pair or user turn is called {nowhere[0]!r}")
    selected = {task.name: by_release[id(releases[task.name])].of(plans[task.name].items) for task in tasks}
    if tasks and not any(selected.values()):
        available = sum(len(plan.items) for plan in plans.values())
        raise UsageError(f"--ids, --where and --limit leave nothing to ask of {available} items")
    for task in tasks:
        _require_whole_histories(task.spec, releases[task.name], selected[task.name])
    return selected


def _require_whole_histories(task: TaskSpec, release: Release, items: Sequence[Item]) -> None:
    """Refuse to ask about a turn without the turns before it, where the model's replies to those are its history."""
    if not task.context.needs_own_replies:
        return
    asked = {item.item_id for item in items}
    for item in items:
        for turn, item_id in items_to_answer_first(task, release, item).items():
            if item_id not in asked:
                raise UsageError(
                    f"{task.task}: {item.item_id} needs the model's reply to turn {turn}, which --ids or --where leave "
                    "out; choose whole dialogues"
                )


@collection_paused()
def group_into_units(
    tasks: Sequence[Task],
    releases: Mapping[str, Release],
    items: Mapping[str, Sequence[Item]],
    record: RunRecord,
    conditions: ConditionCache,
    by_item: bool = False,
) -> tuple[Unit, ...]:
    """Group the questions of a run into what is claimed together: a dialogue under a condition.

    Long dialogues come first, so that those asked side by side are equally long, and what does not fit into memory is
    met early; the conditions of a dialogue follow each other, since they share streams.

    Args:
        by_item: as in `RequestBuilder`.
    """
    questions: dict[str, list[Question]] = {}
    for task in sorted(tasks, key=lambda task: isinstance(task.spec.output, SpokenOutput)):
        builder = RequestBuilder(
            task=task.spec,
            release=releases[task.name],
            conditions=conditions,
            generation=record.config.generation_of(task.spec),
            identity=record.identity,
            seed=record.config.seed,
            by_item=by_item,
        )
        for item in items[task.name]:
            questions.setdefault(item.unit, []).append(Question(builder, item))
    units = [
        Unit(name, tuple(sorted(group, key=lambda question: question.item.turn_index)))
        for name, group in questions.items()
    ]
    return tuple(
        sorted(units, key=lambda unit: (-unit.questions[-1].item.turn_index, unit.questions[0].item.dialogue_id))
    )
