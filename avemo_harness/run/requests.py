"""Write the questions of a run into a folder, so that any system can answer them elsewhere."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from avemo_harness.benchmark.request import Request, Response
from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.data.sharing.assets import may_be_shared
from avemo_harness.errors import SampleError, UsageError, describe
from avemo_harness.files import new_folder, require_new_folder
from avemo_harness.models.answer_lines import ANSWERS, CLIPS, masked, masked_item_id
from avemo_harness.models.base import Capabilities, Output
from avemo_harness.models.served.messages import Messenger, SoundPart
from avemo_harness.run.config import RunConfig
from avemo_harness.run.prepare import PreparedRun, prepare
from avemo_harness.run.selection import Question, output_kind
from avemo_harness.text import Notify

REQUESTS = "requests.jsonl"
SAID_EVERY = 200
"""Requests after which the user is told how far it is."""
_SUFFIXES = {"video/mp4": ".mp4", "audio/wav": ".wav", "image/png": ".png"}
_WANTED: Mapping[Output, str] = {
    "label_text": "label",
    "label_ranking": "label_logprobs",
    "spoken_response": "speech",
    "text": "text",
}
"""The field of an answer that each kind of output asks for."""

README = f"""\
# Questions to answer

`{REQUESTS}` has a question a line, each to be answered by itself:

- `messages`: what is asked, in the form of OpenAI's chat completions. Clips are files of `{CLIPS}/`; their paths,
  relative to this folder, stand where data URLs or base64 would. Earlier turns of the dialogue come first.
- `output`: what is wanted. `label`: one of `labels`, of a choice the letters of its options; `label_logprobs`: the
  natural-log probability of each of them; `speech`: a spoken reply, with its words; `text`: words, or a number.
- `generation`: how long an answer may be, and whether it is sampled.

Answers go into `{ANSWERS}` in this folder, a JSON object a line, with the question's `item` and `task`:

    {{"item": "…", "task": "…", "label": "sad"}}
    {{"item": "…", "task": "…", "label_logprobs": {{"sad": -0.1, "happy": -2.3}}}}
    {{"item": "…", "task": "…", "text": "Oh no.", "speech": "speech/1.wav"}}
    {{"item": "…", "task": "…", "text": "3.5"}}
    {{"item": "…", "task": "…", "error": "the server refused"}}

`speech` is the path of a sound file in any usual format, relative to this folder. `text` instead of `label` is read as
a model's answer. Equal `key`s ask the same.
"""


@dataclass(frozen=True, slots=True)
class WrittenRequests:
    """Counts of what was written.

    Args:
        failed: items that cannot be asked, with the reason.
        skipped: tasks that are not asked, with the reason.
        licences: of dialogues that may not be passed on to everybody.
    """

    items: int
    tasks: int
    clips: int
    failed: Sequence[str]
    skipped: Mapping[str, str]
    licences: Sequence[str]


class Anyone:
    """Stands for whoever will answer: every kind of question is planned, and none is asked."""

    capabilities = Capabilities(frozenset(get_args(Output)))

    def identity(self) -> Mapping[str, str]:
        return {"model": "requests"}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        raise NotImplementedError


@dataclass
class _ClipFiles:
    """Files that messages name, each once, by their content."""

    folder: Path
    written: set[str] = field(default_factory=set)

    def link(self, kind: str, data: bytes) -> str:
        """Write a file; its path as messages name it."""
        name = f"{CLIPS}/{hashlib.sha256(data).hexdigest()}{_SUFFIXES[kind]}"
        if name not in self.written:
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_bytes(data)
            self.written.add(name)
        return name


def write_requests(
    config: RunConfig, folder: Path, say: Notify, sound_part: SoundPart = "input_audio"
) -> WrittenRequests:
    """Write what a model would be asked, whole or not at all: `requests.jsonl`, its clips, and a page on both.

    Nothing in it tells a label: dialogues and pairs have names that tell nothing, clips those of their content, and
    lines stand in the order of these names.

    Args:
        folder: a new or an empty one.
        sound_part: how a clip's sound is given, as `models/served/messages.py` has it.

    Raises:
        UsageError: the folder holds something, a task needs the model's own replies, or nothing can be asked.
        StorageError: the folder cannot be written.
    """
    require_new_folder(folder)
    with tempfile.TemporaryDirectory() as scratch:
        prepared = prepare(config, output_path=Path(scratch) / "run", model=Anyone(), say=say)
        _refuse_own_replies(prepared)
        questions = [question for unit in prepared.units for question in unit.questions]
        say(f"writing {len(questions)} requests to {folder}")
        with new_folder(folder) as partial:
            clips, failed = _ClipFiles(partial), list[str]()
            messenger = Messenger("", "clips", sound_part, clips.link)
            lines = list(_lines(sorted(questions, key=_order), messenger, failed, say))
            if not lines:
                reason = [*failed, *prepared.record.skipped.values()][0]
                raise UsageError(f"none of {len(questions)} items can be asked: {reason}")
            (partial / REQUESTS).write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="ascii")
            (partial / "README.md").write_text(README, encoding="utf-8")
    return WrittenRequests(
        items=len(lines),
        tasks=len({line["task"] for line in lines}),
        clips=len(clips.written),
        failed=failed,
        skipped=prepared.record.skipped,
        licences=sorted(_closed_licences(questions) | _restricted_licences(prepared)),
    )


def _refuse_own_replies(prepared: PreparedRun) -> None:
    for task in prepared.record.tasks:
        if task.task not in prepared.record.skipped and task.context.needs_own_replies:
            raise UsageError(
                f"{task.task}: its histories hold the model's own replies, so its questions cannot be written before "
                "they are answered; name tasks whose histories are the release's, or ask the system with --model openai"
            )


def _order(question: Question) -> tuple[str, int, str, str]:
    item = question.item
    return masked(item.dialogue_id), item.turn_index, item.task, masked_item_id(item)


def _lines(
    questions: Sequence[Question], messenger: Messenger, failed: list[str], say: Notify
) -> Iterator[dict[str, Any]]:
    """The line of each question that can be asked; of the others, names and reasons are appended to `failed`."""
    for number, question in enumerate(questions):
        if number and number % SAID_EVERY == 0:
            say(f"{number} of {len(questions)} requests written")
        item, task = question.item, question.builder.task
        try:
            request = question.builder.request(item)
            messages = messenger.messages(request.messages)
        except SampleError as error:
            failed.append(f"{item.task} {item.item_id}: {describe(error)}")
            continue
        yield {
            "item": masked_item_id(item),
            "task": item.task,
            "dialogue": masked(item.dialogue_id),
            "turn": item.turn_index,
            "condition": item.condition,
            "key": request.key,
            "output": _WANTED[output_kind(task)],
            **({"labels": list(request.output.labels)} if isinstance(request.output, LabelOutput) else {}),
            "generation": request.generation.model_dump(mode="json", exclude_none=True),
            "messages": messages,
        }


def _restricted_licences(prepared: PreparedRun) -> set[str]:
    """Licences of the benchmarks that are asked about whose recordings, texts and ids are not passed on."""
    groups = (group.benchmark for group in prepared.record.groups)
    return {benchmark.licence for benchmark in groups if benchmark is not None and benchmark.restricted}


def _closed_licences(questions: Sequence[Question]) -> set[str]:
    """Licences of the dialogues that are asked about, of those that do not let everybody pass them on."""
    dialogues = (question.builder.release.dialogue(question.item.dialogue_id) for question in questions)
    return {dialogue.licence for dialogue in dialogues if not may_be_shared(dialogue.licence)}
