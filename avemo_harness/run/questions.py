"""Questions of a run: what its tasks plan of their releases, what is asked for now, and what is claimed together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.planning import (
    Asking,
    Plan,
    describe_not_asked,
    plan_items,
    turn_item_id,
    turns_to_answer_first,
)
from avemo_harness.benchmark.release import Release
from avemo_harness.benchmark.request import Item
from avemo_harness.benchmark.task import LabelOutput, TaskSpec
from avemo_harness.benchmark.task_file import Task
from avemo_harness.errors import UsageError
from avemo_harness.models.base import Capabilities, Output
from avemo_harness.run.config import RunConfig, RunRecord
from avemo_harness.run.selection import Selection


@dataclass(frozen=True, slots=True)
class Question:
    """An item with what turns it into a request."""

    asking: Asking
    item: Item

    @property
    def place(self) -> tuple[str, str]:
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
        if reason := _not_asked(task.spec, release, capabilities, config):
            skipped[task.name] = reason
            continue
        plan = plan_items(task.spec, release)
        if capabilities.needs_reference:
            plan = _with_reply(plan, task.spec, release, config)
        if plan.items:
            plans[task.name] = plan
        else:
            skipped[task.name] = describe_not_asked(plan.not_asked, task.spec.condition.name)
    return plans, skipped


def _not_asked(task: TaskSpec, release: Release, capabilities: Capabilities, config: RunConfig) -> str | None:
    """Why a task is outside what the release has, the model can do or the run wants; None where it is asked."""
    if task.condition.name == "conflict" and not release.pairs:
        return f"the release has no conflict pairs (config {release.name}_conflict)"
    needed = output_kind(task)
    if needed not in capabilities.outputs:
        return f"the model gives no {needed.replace('_', ' ')}"
    if config.skip_speech and needed == "spoken_response":
        return "spoken replies are left out (--skip_speech)"
    return None


def output_kind(task: TaskSpec) -> Output:
    """The kind of answer that a task needs of a model."""
    if isinstance(task.output, LabelOutput):
        return "label_ranking" if task.output.method == "rank" else "label_text"
    return "spoken_response"


def _with_reply(plan: Plan, task: TaskSpec, release: Release, config: RunConfig) -> Plan:
    """The part of a plan whose turns the release itself answers."""
    kept = replace(plan, items=tuple(item for item in plan.items if _has_reply(release, item)))
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
        _refuse_holes(task.spec, releases[task.name], selected[task.name])
    return selected


def _refuse_holes(task: TaskSpec, release: Release, items: Sequence[Item]) -> None:
    """Refuse to ask about a turn without the turns before it, where the model's replies to those are its history."""
    asked = {item.item_id for item in items}
    for item in items:
        for turn in turns_to_answer_first(task, release, item):
            if turn_item_id(item.dialogue_id, turn) not in asked:
                raise UsageError(
                    f"{task.task}: {item.item_id} needs the model's reply to turn {turn}, which --ids or --where leave "
                    "out; choose whole dialogues"
                )


def _has_reply(release: Release, item: Item) -> bool:
    turns = release.dialogue(item.dialogue_id).turns
    return item.turn_index + 1 < len(turns) and turns[item.turn_index + 1].role == "assistant"


def group_into_units(
    tasks: Sequence[Task],
    releases: Mapping[str, Release],
    items: Mapping[str, Sequence[Item]],
    record: RunRecord,
    conditions: ConditionCache,
) -> tuple[Unit, ...]:
    """Group the questions of a run into what is claimed together: a dialogue under a condition.

    Long dialogues come first, so that those asked side by side are equally long, and what does not fit into memory is
    met early; the conditions of a dialogue follow each other, since they share streams.
    """
    questions: dict[str, list[Question]] = {}
    for task in sorted(tasks, key=lambda task: not isinstance(task.spec.output, LabelOutput)):
        asking = Asking(
            task=task.spec,
            release=releases[task.name],
            conditions=conditions,
            generation=record.config.generation_of(task.spec),
            identity=record.identity,
            seed=record.config.seed,
        )
        for item in items[task.name]:
            questions.setdefault(item.unit, []).append(Question(asking, item))
    units = [
        Unit(name, tuple(sorted(group, key=lambda question: question.item.turn_index)))
        for name, group in questions.items()
    ]
    return tuple(
        sorted(units, key=lambda unit: (-unit.questions[-1].item.turn_index, unit.questions[0].item.dialogue_id))
    )
