"""The systems of a study, and the dialogues that all of them answered aloud."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avemo_harness.benchmark.release import Dialogue, Release
from avemo_harness.benchmark.task import SpokenOutput, TaskSpec
from avemo_harness.errors import UsageError
from avemo_harness.names import hint
from avemo_harness.run.config import RunRecord, read_run
from avemo_harness.run.store import RunStore


@dataclass(frozen=True, slots=True)
class System:
    """A run whose replies are rated.

    Args:
        label: how the study calls it; of several runs of one model each needs its own.
        replies: spoken replies by dialogue and user turn, as files.
    """

    label: str
    folder: Path
    run: RunRecord
    task: TaskSpec
    replies: Mapping[tuple[str, int], Path]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A dialogue to rate, with the user turns that are shown: the first ones, as far as every system replied."""

    dialogue: Dialogue
    turns: tuple[int, ...]


def open_systems(runs: Sequence[str], task: str | None) -> list[System]:
    """Open runs, each written ``FOLDER`` or ``LABEL=FOLDER``.

    Args:
        task: the task whose replies are rated; None where each run has but one that asks for speech.

    Raises:
        UsageError: a folder is no run, asks for no speech or for another release, or two systems share a label.
        StoreError: a run is damaged.
    """
    systems = [_open(written, task) for written in runs]
    labels = Counter(system.label for system in systems)
    for label, count in labels.items():
        if count > 1:
            raise UsageError(f"{count} runs are called {label!r}; give each its own name: LABEL=FOLDER")
    if len({system.folder.resolve() for system in systems}) < len(systems):
        raise UsageError("one run is given twice; its replies would be rated against themselves")
    first = systems[0]
    for system in systems[1:]:
        if system.task.task != first.task.task:
            raise UsageError(
                f"{first.folder} is rated on {first.task.task}, {system.folder} on {system.task.task}; "
                "choose one that both have with --task"
            )
        if release_of(system) != release_of(first):
            raise UsageError(f"{system.folder} was asked of another release than {first.folder}; run both on one")
    return systems


def release_of(system: System) -> Mapping[str, str]:
    """The source, config, split and fingerprint of what a system was asked about."""
    release = system.run.release_of(system.task)
    return {name: str(release[name]) for name in ("source", "name", "split", "fingerprint")}


def _open(written: str, task: str | None) -> System:
    label, equals, path = written.partition("=")
    folder = Path(path if equals else written)
    run = read_run(folder)
    chosen = _spoken_task(folder, run, task)
    store = RunStore(folder)
    store.refresh()
    replies = {
        (item.dialogue_id, item.turn_index): folder / record.speech
        for item in store.read_items(chosen.task)
        if (record := store.answers.get((chosen.task, item.item_id))) is not None and record.speech is not None
    }
    if not replies:
        raise UsageError(f"{folder}: {chosen.task} has no spoken reply yet; finish the run first")
    return System(label if equals else run.config.model, folder, run, chosen, replies)


def _spoken_task(folder: Path, run: RunRecord, name: str | None) -> TaskSpec:
    spoken = {
        task.task: task for task in run.tasks if isinstance(task.output, SpokenOutput) and task.task not in run.skipped
    }
    if not spoken:
        raise UsageError(f"{folder}: none of its tasks asks for spoken replies, so there is nothing to rate")
    if name is None and len(spoken) > 1:
        raise UsageError(f"{folder}: several tasks ask for spoken replies: {', '.join(spoken)}; choose with --task")
    if name is not None and name not in spoken:
        raise UsageError(f"{folder}: has no spoken replies to {name!r}{hint(name, spoken)}")
    return spoken[name] if name is not None else next(iter(spoken.values()))


def rateable(systems: Sequence[System], release: Release, most_turns: int) -> tuple[list[Candidate], Mapping[str, int]]:
    """The dialogues of a release that every system answered aloud, in its order.

    Returns:
        The candidates, and why dialogues or turns are left out, with counts.
    """
    candidates: list[Candidate] = []
    left_out: Counter[str] = Counter()
    for dialogue in release.dialogues:
        users = [turn for turn in dialogue.turns if turn.role == "user"]
        turns: list[int] = []
        for turn in users[:most_turns]:
            silent = [one.label for one in systems if (dialogue.dialogue_id, turn.turn_index) not in one.replies]
            if silent or turn.clip is None:
                left_out.update([f"turns without a spoken reply of {label}" for label in silent] or ["turns unseen"])
                break
            turns.append(turn.turn_index)
        left_out["turns beyond the most that are shown"] += max(0, len(users) - most_turns)
        if turns:
            candidates.append(Candidate(dialogue, tuple(turns)))
        else:
            left_out["dialogues whose first turn is left out"] += 1
    return candidates, {reason: count for reason, count in sorted(left_out.items()) if count}
