"""The grading stage: a model grades answers by the rubric of their task."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from avemo_harness.benchmark.planning import items_to_answer_first
from avemo_harness.benchmark.release import Dialogue, Release
from avemo_harness.benchmark.request import Item, Message, Request, Response, StoredResponse, Text, request_key
from avemo_harness.benchmark.request_builder import history_words, question_words
from avemo_harness.benchmark.task import SpokenOutput, TaskSpec, TextOutput
from avemo_harness.benchmark.template import fill
from avemo_harness.errors import GenerationError, ModelError, StoreError, UsageError, describe
from avemo_harness.files import exclusive_lock
from avemo_harness.models import load_class, load_model
from avemo_harness.models.base import AnswersByItem, ModelSetup, OmniModel
from avemo_harness.registry import typed_arguments
from avemo_harness.run.answers import FailureStreak, checked_response, submit
from avemo_harness.run.config import COMMAND_LINE_ONLY, read_run, refuse_arguments_of_file
from avemo_harness.run.gradings import (
    Grade,
    Gradings,
    SampleKey,
    answer_digest,
    choose_grader,
    chosen_gradings,
    grade_row,
)
from avemo_harness.run.loop import LOOK_S, Pace
from avemo_harness.run.store import RunStore, read_items
from avemo_harness.scorers import is_graded
from avemo_harness.scorers.answers import without_thoughts
from avemo_harness.scorers.base import Grader
from avemo_harness.scorers.grades import GradeError, read_grade
from avemo_harness.scorers.metric import RUBRIC
from avemo_harness.scorers.rubric import Rubric
from avemo_harness.text import Notify, storable

_SAID_EVERY = 160
_UNASKED: Mapping[str, Any] = {"probe": False, "choices": False, "api_key_env": "", "total_s": 300.0}
"""Arguments of a grader that nobody gave: it sees and ranks nothing, gets a key only where a command names it, and is
waited for less long than the model, since its grades may come later."""


class Releases(Protocol):
    """Loads what a run's tasks ask about."""

    def load(self, task: TaskSpec) -> Release: ...


@dataclass(frozen=True, slots=True)
class NamedGrader:
    """The grader that a command names.

    Args:
        name: None for the run's own: the one that graded before, or the task's.
        arguments: of the model; of the run's own they join, and win over, those that are there.
    """

    name: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GradedTask:
    """A task with its rubric, and the model that grades its answers."""

    spec: TaskSpec
    rubric: Rubric
    model: str
    arguments: Mapping[str, Any]

    @property
    def kept_arguments(self) -> dict[str, Any]:
        """The model's arguments without those that decide about secrets and code here, which only a command may."""
        return {name: value for name, value in self.arguments.items() if name not in COMMAND_LINE_ONLY}


def graded_tasks(folder: Path, named: NamedGrader) -> list[GradedTask]:
    """The tasks of a run whose answers a model grades, with the model of each. No model is made or asked.

    Raises:
        UsageError: there is no such model, it gives no text, or arguments that only a command may give stand in a file.
        StoreError: the run is damaged.
    """
    record = read_run(folder)
    chosen = chosen_gradings(folder) if named.name is None else {}
    return [
        _graded_task(task, named, chosen.get(task.task))
        for task in record.tasks
        if is_graded(task) and task.task not in record.skipped
    ]


def _graded_task(task: TaskSpec, named: NamedGrader, chosen: Gradings | None) -> GradedTask:
    parameters = next(scorer.parameters for scorer in task.scorers if scorer.name == RUBRIC)
    rubric = typed_arguments(RUBRIC, Rubric, parameters)
    if named.name is not None:
        name, given, where = named.name, {}, ""
    elif chosen is not None:
        name, given, where = chosen.grader.name, dict(chosen.grader.arguments), f"{chosen.folder / 'gradings'}"
    else:
        name, given, where = rubric.grader, dict(rubric.grader_args), f"task {task.task}, grader_args"
    model_class = load_class(name)
    if "text" not in model_class.capabilities.outputs or isinstance(model_class, AnswersByItem):
        raise UsageError(f"{where or '--grader'}: {name} gives no text to a question, so it cannot grade; name another")
    refuse_arguments_of_file(where, name, given, f"--grader {name} --grader_args")
    known = {argument.name for argument in fields(model_class.Arguments)}
    unasked = {argument: value for argument, value in _UNASKED.items() if argument in known}
    arguments = {**unasked, **given, **named.arguments}
    typed_arguments(name, model_class.Arguments, arguments, ModelError)
    return GradedTask(task, rubric, name, arguments)


def check_rubrics(folder: Path, named: NamedGrader, releases: Releases) -> None:
    """Fill every task's rubric in for its first item, before anything is asked.

    Raises:
        UsageError: as of `graded_tasks`; or a rubric asks for a column that the data set lacks.
    """
    for task in graded_tasks(folder, named):
        if items := read_items(folder, task.spec.task):
            _grader_prompt(task, releases.load(task.spec), items[0], "", {})


def grade_answers(
    folder: Path,
    named: NamedGrader,
    releases: Releases,
    say: Notify,
    *,
    at_once: int | None = None,
    device: str | None = None,
    max_errors: int = 0,
) -> list[Grader]:
    """Grade every answer that its grader has not graded yet, and score the run by these graders from now on.

    Equal questions with equal answers are asked once. What was graded before a kill is kept; what could not be graded
    is asked again. One process grades, others wait for it.

    Args:
        at_once: requests under way, or given to the grader, at once; by default what the model declares.
        device: where a neural model runs.
        max_errors: answers that may fail alike one after the other before the grading is ended; 20 may in any case.

    Returns:
        Who graded, by digest once each.

    Raises:
        UsageError: a grader cannot work; what others graded is kept.
        StoreError: the run directory is damaged or cannot be written.
    """
    tasks = graded_tasks(folder, named)
    if not tasks:
        return []
    waiting = partial(say, "another process is grading this run; waiting for it")
    graders: dict[str, Grader] = {}
    problems: dict[str, UsageError] = {}
    with exclusive_lock(folder / "claims" / ".grading", waiting):
        store = RunStore(folder)
        store.refresh()
        opened = _Opened(say, device)
        for task in tasks:
            try:
                model = opened.model(task)
                grading = _Grading(folder, store, task, model, describe_grader(task, model), releases.load(task.spec))
                grading.grade(say, at_once, FailureStreak(max_errors))
                graders[grading.grader.digest] = grading.grader
            except UsageError as error:
                problems.setdefault(str(error), error)
    if problems:
        raise UsageError("; ".join(problems)) from next(iter(problems.values()))
    return list(graders.values())


def grade_if_possible(
    folder: Path,
    named: NamedGrader,
    releases: Releases,
    say: Notify,
    *,
    at_once: int | None = None,
    device: str | None = None,
    max_errors: int = 0,
) -> str | None:
    """Grade what has no grade yet; say in a sentence how to grade later where the grader cannot work.

    Raises:
        StoreError: the run directory is damaged or cannot be written.
    """
    if not _lacks_grades(folder, named):
        # A run that is complete needs no grader that answers.
        return None
    try:
        grade_answers(folder, named, releases, say, at_once=at_once, device=device, max_errors=max_errors)
    except UsageError as error:
        return (
            f'answers stay without a grade, their columns "—" or provisional: {error}; `avemo-eval grade {folder}` '
            "grades them later and asks the model nothing again (--grader_args api_key_env=VARIABLE names the variable "
            "of a key)"
        )
    return None


def _lacks_grades(folder: Path, named: NamedGrader) -> bool:
    """True where an answer has no grade, or another grader is asked for than the one that graded."""
    chosen = chosen_gradings(folder)
    store = RunStore(folder)
    store.refresh()
    for task in graded_tasks(folder, named):
        gradings = chosen.get(task.spec.task)
        asked_for = (task.model, task.kept_arguments)
        if gradings is None or (gradings.grader.name, gradings.grader.arguments) != asked_for:
            return True
        graded = gradings.of_answers(task.spec.task, store.answers, task.rubric.samples)
        answered = [
            key for key, answer in store.answers.items() if key[0] == task.spec.task and answer.text is not None
        ]
        if any(key not in graded or graded[key].grade is None for key in answered):
            return True
    return False


@dataclass
class _Opened:
    """Graders that were made for this grading, by name and arguments."""

    say: Notify
    device: str | None
    _models: dict[str, OmniModel] = field(default_factory=dict)

    def model(self, task: GradedTask) -> OmniModel:
        known_as = json.dumps([task.model, dict(task.arguments)], sort_keys=True, default=str)
        if known_as not in self._models:
            setup = ModelSetup(say=self.say, device=self.device, outputs=frozenset({"text"}))
            self._models[known_as] = load_model(task.model, task.arguments, setup)
        return self._models[known_as]


def describe_grader(task: GradedTask, model: OmniModel) -> Grader:
    """A grader as a run keeps it."""
    identity = dict(model.identity())
    content = json.dumps([identity, task.rubric.digest], sort_keys=True)
    return Grader(
        name=task.model,
        identity=identity,
        rubric=task.rubric.digest,
        digest=hashlib.sha256(content.encode()).hexdigest(),
        arguments=task.kept_arguments,
    )


def _grader_prompt(task: GradedTask, release: Release, item: Item, answer: str, own_replies: Mapping[int, str]) -> str:
    """Prompt of a grader: the filled rubric and the form of its answer."""
    dialogue = release.dialogue(item.dialogue_id)
    values = {
        "question": question_words(task.spec, release, item),
        "answer": answer,
        "reference": _reference(task.spec, dialogue, item),
        "history": history_words(task.spec, release, item, own_replies),
        "row": dialogue.turns[item.turn_index].row,
    }
    return f"{fill(task.rubric.rubric, values).strip()}\n\n{task.rubric.demand}"


def _reference(task: TaskSpec, dialogue: Dialogue, item: Item) -> str:
    """The true answer, or the data set's own reply to the asked turn; empty where there is none."""
    if item.gold is not None or not isinstance(task.output, SpokenOutput):
        return item.gold or ""
    following = dialogue.turns[item.turn_index + 1 : item.turn_index + 2]
    return next((turn.text for turn in following if turn.role == "assistant"), "")


@dataclass(frozen=True)
class _Grading:
    """The grading of one task's answers by one grader."""

    folder: Path
    store: RunStore
    task: GradedTask
    model: OmniModel
    grader: Grader
    release: Release

    def grade(self, say: Notify, at_once: int | None, failures: FailureStreak) -> None:
        """Grade what is not graded yet.

        Raises:
            UsageError: the grader cannot work, or too many answers in a row failed alike.
        """
        name = self.task.spec.task
        gradings = Gradings(self.folder, self.grader)
        gradings.write_grader()
        if name not in chosen_gradings(self.folder):
            # Where it is the first grader, whatever it has graded counts from now on, be it cut short or not.
            choose_grader(self.folder, name, self.grader)
        known = gradings.read()
        by_key = {grade.key: grade for grade in known.values() if grade.grade is not None}
        waiting: dict[str, list[SampleKey]] = {}
        requests: dict[str, Request] = {}
        rows = []
        for sample, request in self._requests(known):
            if (same := by_key.get(request.key)) is not None:
                rows.append(grade_row(sample, same))
            else:
                requests[request.key] = request
                waiting.setdefault(request.key, []).append(sample)
        writer = gradings.writer()
        try:
            writer.append(rows)
            if requests:
                say(f"grading {sum(map(len, waiting.values()))} answers to {name} with {self.grader.shown}")
            done = 0
            for graded in self._asked(list(requests.values()), at_once):
                writer.append(grade_row(sample, grade) for key, grade in graded for sample in waiting[key])
                failures.add(_records(graded, waiting))
                before, done = done, done + len(graded)
                if done // _SAID_EVERY > before // _SAID_EVERY and done < len(requests):
                    say(f"{done} of {len(requests)} answers graded")
        finally:
            writer.close()
        choose_grader(self.folder, name, self.grader)

    def _requests(self, known: Mapping[SampleKey, Grade]) -> Iterator[tuple[SampleKey, Request]]:
        """A request for each sample of each answer that has no grade."""
        task, rubric = self.task, self.task.rubric
        for item in read_items(self.folder, task.spec.task):
            response = self.store.answers.get((item.task, item.item_id))
            if response is None or response.text is None:
                continue
            digest = answer_digest(response.text)
            missing = [
                number
                for number in range(rubric.samples)
                if (grade := known.get((*response.item_key, digest, number))) is None or grade.grade is None
            ]
            if missing:
                told = _grader_prompt(task, self.release, item, _words(response.text), self._own_replies(item))
                messages = (Message("user", (Text(told),)),)
                for number in missing:
                    key = request_key(self.grader.identity, messages, _TEXT, rubric.generation, number)
                    asked = Request(key, item.dialogue_id, item.turn_index, messages, _TEXT, rubric.generation)
                    yield (*response.item_key, digest, number), replace(asked, schema=rubric.schema)

    def _own_replies(self, item: Item) -> dict[int, str]:
        needed = items_to_answer_first(self.task.spec, self.release, item)
        replies = {turn: self.store.answers.get((item.task, item_id)) for turn, item_id in needed.items()}
        return {turn: _words(reply.text) for turn, reply in replies.items() if reply and reply.text is not None}

    def _asked(self, requests: Sequence[Request], at_once: int | None) -> Iterator[list[tuple[str, Grade]]]:
        """Grades by the key of their request, those together that came together.

        Raises:
            UsageError: the grader cannot work; what came beside it was given before.
        """
        capabilities = self.model.capabilities
        usual = at_once or capabilities.usual_batch or capabilities.largest_batch
        pace = Pace.of(self.model, min(usual, capabilities.largest_batch))
        upcoming = iter(requests)
        under_way: dict[Future[Response], Request] = {}
        while True:
            while len(under_way) < pace.lanes and (step := list(islice(upcoming, pace.step))):
                under_way.update(zip(submit(self.model, step), step, strict=True))
            if not under_way:
                return
            wait(under_way, timeout=LOOK_S, return_when=FIRST_COMPLETED)
            end: UsageError | None = None
            graded = []
            for answered in [future for future in under_way if future.done()]:
                request = under_way.pop(answered)
                try:
                    graded.append((request.key, self._grade(request, answered)))
                except UsageError as error:
                    end = end or error
            yield graded
            if end is not None:
                raise end

    def _grade(self, request: Request, answered: Future[Response]) -> Grade:
        """The grade in an answer of the grader; whatever is wrong with it costs that answer's grade.

        Raises:
            UsageError: the grader itself cannot work.
        """
        low, high = self.task.rubric.scale
        try:
            response = checked_response(answered.result(), request)
            if response.error is not None or response.text is None:
                raise GenerationError(response.error or "the grader gave no text")
            if "truncated" in response.flags and "{" not in response.text:  # its last number may lack digits
                raise GenerationError("the grader's answer reached its limit; give the rubric more max_new_tokens")
            grade, reason = read_grade(response.text, low, high)
        except (UsageError, StoreError):
            raise
        except (GradeError, GenerationError) as error:
            return Grade(request.key, None, error=storable(str(error)))
        except Exception as error:  # a model may raise anything
            return Grade(request.key, None, error=storable(describe(error)))
        return Grade(request.key, grade, storable(reason))


def _words(text: str) -> str:
    """An answer as others read it: without the thoughts before it."""
    return without_thoughts(text)[0].strip()


def _records(graded: Sequence[tuple[str, Grade]], waiting: Mapping[str, Sequence[SampleKey]]) -> list[StoredResponse]:
    """Grades as answers to the first item of each, for the streak of like failures."""
    records = []
    for key, grade in graded:
        task, item, *_ = waiting[key][0]
        records.append(StoredResponse(task=task, item=item, key=key, text=grade.reason, error=grade.error))
    return records


_TEXT = TextOutput(type="text")
