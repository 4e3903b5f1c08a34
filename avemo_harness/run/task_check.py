"""Check what a task would ask of its data: labels, options, templates and recordings, with every problem at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from avemo_harness import files, media
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.planning import (
    NO_FACE,
    NO_SOUND,
    choice_orders,
    describe_not_asked,
    map_label,
    needed_streams,
    plan_items,
)
from avemo_harness.benchmark.release import Clip, Release, Turn
from avemo_harness.benchmark.release_loader import ReleaseOptions, known_streams
from avemo_harness.benchmark.request import Item
from avemo_harness.benchmark.request_builder import RequestBuilder
from avemo_harness.benchmark.table_media import ClipMaker, MediaReader
from avemo_harness.benchmark.table_rows import RowReader
from avemo_harness.benchmark.table_sources import find_table
from avemo_harness.benchmark.task import ChoiceOutput, LabelOutput, TaskSpec
from avemo_harness.errors import MediaError, ReleaseError, SampleError, TaskError
from avemo_harness.run.releases import RunReleases

MAX_ROWS = 100_000
"""Rows of a table that are read, without their recordings."""
MAX_QUESTIONS = 50
"""Questions that are made whole, recordings decoded."""


@dataclass(frozen=True, slots=True)
class TaskCheck:
    """Problems and counts of a task's data.

    Args:
        problems: sentences; what is counted below holds where there are none.
        items: how many questions there would be.
        not_asked: how many turns would not be asked about, by the reason.
        answers: how often each true answer occurs, of labels and letters.
        made: questions that were made whole.
    """

    problems: tuple[str, ...]
    items: int = 0
    not_asked: Mapping[str, int] = field(default_factory=dict)
    answers: Mapping[str, int] = field(default_factory=dict)
    made: int = 0


def check_task(task: TaskSpec, releases: RunReleases) -> TaskCheck:
    """Read the rows of a task's data, and make its first questions.

    Args:
        releases: those of a config that names the data to read, where the task does not.
    """
    try:
        release = _read(task, releases)
    except ReleaseError as error:
        return TaskCheck(tuple(str(error).splitlines()))
    problems = [*_label_problems(task, release), *_option_problems(task, release)]
    if problems:
        return TaskCheck(tuple(problems))
    try:
        plan = plan_items(task, release)
    except ReleaseError as error:
        return TaskCheck((str(error),))
    if not plan.items:
        return TaskCheck((_nothing_to_ask(task, plan.not_asked),))
    first = plan.items[:MAX_QUESTIONS]
    lacking = {item.item_id: stream for item in first if (stream := _lacking_stream(task, release, item)) is not None}
    counts = Counter(plan.not_asked) + Counter(lacking.values())
    if len(lacking) == len(first):
        return TaskCheck((_nothing_to_ask(task, counts),))
    made = [item for item in first if item.item_id not in lacking]
    problems = list(dict.fromkeys(_question_problems(task, release, made)))
    answers = Counter(item.gold for item in plan.items if item.gold is not None)
    counted = answers if isinstance(task.output, LabelOutput | ChoiceOutput) else {}
    return TaskCheck(tuple(problems), len(plan.items) - len(lacking), counts, counted, len(made))


def _read(task: TaskSpec, releases: RunReleases) -> Release:
    """The release of a task; of a table its rows alone, whose recordings are read when they are asked for."""
    columns = task.dataset.columns
    if columns is None or task.condition.name == "conflict":
        return releases.load(task)
    config = releases.config
    root = Path(config.media_root) if config.media_root else None
    options = ReleaseOptions(config.revision or task.dataset.revision, root, streaming=True)
    source = find_table(task.dataset, options)
    reader = RowReader(
        source.name, columns, MediaReader(source.folder), licence=source.licence, language=source.language
    )
    rows = list(islice(source.rows(), MAX_ROWS + 1))
    reader.read(rows[:MAX_ROWS], cut=len(rows) > MAX_ROWS)
    cache = files.cache_dir()
    spool = cache / "clips" if source.commit is not None else None
    dialogues = reader.dialogues(ClipMaker(cache / "digests" / "unread.json", True, spool, releases.say))
    # A fingerprint would read every recording.
    return Release(source.name, task.dataset.name, task.dataset.split, source.commit, tuple(dialogues), (), "")


def _asked_turns(release: Release) -> Iterator[tuple[str, Turn]]:
    for dialogue in release.dialogues:
        for turn in dialogue.turns:
            if turn.role == "user":
                where = f"dialogue {dialogue.dialogue_id!r}, turn {turn.turn_index}"
                yield (where if turn.clip is None else turn.clip.name), turn


def _label_problems(task: TaskSpec, release: Release) -> Iterator[str]:
    """Labels that the task does not name, each once, with how often and where it first occurs."""
    if not isinstance(task.output, LabelOutput):
        return
    unknown: dict[str, list[str]] = {}
    for where, turn in _asked_turns(release):
        if turn.emotion is not None:
            try:
                map_label(task, turn.emotion, where)
            except ReleaseError as error:
                unknown.setdefault(turn.emotion, []).append(str(error))
    for sentences in unknown.values():
        more = len(sentences) - 1
        yield sentences[0] + (f" ({more:,} more row{'s' if more > 1 else ''} like it)" if more else "")


def _option_problems(task: TaskSpec, release: Release) -> Iterator[str]:
    if not isinstance(task.output, ChoiceOutput):
        return
    for dialogue in release.dialogues:
        for turn in dialogue.turns:
            if turn.role == "user" and turn.choices:
                try:
                    choice_orders(task, dialogue, turn, 0)
                except ReleaseError as error:
                    yield str(error)


def _lacking_stream(task: TaskSpec, release: Release, item: Item) -> str | None:
    """The stream that the condition needs and the asked recording does not have, in words; None where it has all."""
    needed = needed_streams(task)
    clip = release.dialogue(item.dialogue_id).turns[item.turn_index].clip
    if item.condition == "conflict" or not needed or clip is None or (streams := known_streams(clip)) is None:
        return None
    lacking = needed - streams
    return NO_SOUND if "sound" in lacking else NO_FACE if lacking else None


def _nothing_to_ask(task: TaskSpec, not_asked: Mapping[str, int]) -> str:
    return (
        f"{task.task}: nothing would be asked: {describe_not_asked(not_asked, task.condition.name)}; the condition is "
        f"{task.condition.name}, so name another by `condition:`, or other columns or labels"
    )


def _question_problems(task: TaskSpec, release: Release, items: Sequence[Item]) -> Iterator[str]:
    """Problems of recordings, their streams and templates, from building the requests."""
    conditions = ConditionCache(files.cache_dir() / "conditions")
    builder = RequestBuilder(task, release, conditions, task.generation, {}, 0)
    decoded: set[str] = set()
    for item in items:
        try:
            request = builder.request(item)
            for clip in (block for message in request.messages for block in message.content if isinstance(block, Clip)):
                if clip.sha256 not in decoded:
                    _decode(clip)
                    decoded.add(clip.sha256)
        except (SampleError, TaskError) as error:
            yield f"{item.item_id}: {error}"


def _decode(clip: Clip) -> None:
    try:
        media.check_whole(clip.read())
    except MediaError as error:
        raise MediaError(str(error) if clip.name in str(error) else f"{clip.name}: {error}") from error
