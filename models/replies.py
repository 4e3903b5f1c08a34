"""Answers that were given elsewhere, by whatever system: they are read from a folder and scored as a model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from avemo_harness import media
from avemo_harness.benchmark.request import Item, Request, Response, Speech
from avemo_harness.benchmark.task import LabelOutput, ModelOutput, SpokenOutput, TextOutput
from avemo_harness.errors import MediaError, MissingAnswerError, ModelError, SampleError, describe
from avemo_harness.files import read_file
from avemo_harness.models.answer_lines import ANSWERS, AnswerLine, Answers, item_names, masked_item_id, reason_of
from avemo_harness.models.base import Capabilities, ModelSetup, Output

VERSION = "1"
SHOWN = 3
"""Items of a kind that are named in the message."""


class Replies:
    """Answers that any system gave: a line an item, or sound files named by their items."""

    @dataclass(frozen=True, slots=True)
    class Arguments:
        """
        Args:
            path: folder of `answers.jsonl`, or of sound files that are named by their items: ``DIALOGUE/TURN.wav``.
            name: of the system that answered.
        """

        path: str
        name: str = "replies"

    capabilities = Capabilities(frozenset(get_args(Output)), largest_batch=16)

    def __init__(self, arguments: Arguments, setup: ModelSetup) -> None:
        folder = Path(arguments.path).expanduser()
        if not folder.is_dir():
            raise ModelError(f"replies: {folder}: there is no such folder; path=… is the one that holds {ANSWERS}")
        self._arguments, self._setup = arguments, setup
        self._names = item_names(setup.releases)
        self._answers = Answers(folder, self._names)

    def identity(self) -> Mapping[str, str]:
        return {"model": self._arguments.name, "version": VERSION, "answers": f"sha256:{self._answers.digest}"}

    def has_answer(self, item: Item, output: ModelOutput) -> bool:
        return any(line.error is None for line in self._answers.of(item, output))

    def expect(self, items: Sequence[tuple[Item, ModelOutput]]) -> None:
        """Say in one message how many items have an answer, and name those that have none or several, and unknown ones.

        Raises:
            ModelError: no item has one.
        """
        found = {f"{item.task} {self._shown(item)}": self._answers.of(item, output) for item, output in items}
        answered = [name for name, lines in found.items() if lines]
        if not answered:
            raise ModelError(f"{self._answers.folder}: no answer is to an item of these tasks; {self._why_none()}")
        tasks = {item.task for item, _ in items}
        others = [line.task for line in self._answers.lines if line.task not in (None, *tasks)]
        unknown = [line for line in self._answers.unknown if line.task in (None, *tasks)]
        facts = [
            f"{len(answered)} of {len(found)} items have an answer",
            _named("without one", [name for name, lines in found.items() if not lines]),
            _named("with several, none where they differ", [name for name, lines in found.items() if len(lines) > 1]),
            _named("for unknown items", [f"{x.item}, {x.where}" for x in unknown]),
            _named("for tasks that are not asked", sorted(set(filter(None, others))), len(others)),
        ]
        self._setup.say(f"{self._arguments.name}: {'; '.join(filter(None, facts))}")

    def _why_none(self) -> str:
        """A sentence on the first answer that does not fit, where none does."""
        lines = self._answers.lines
        first = next((line for line in lines if line.error is None), None)
        if first is None:
            return f"each of {len(lines)} lines is an error, the first, {lines[0].where}: {lines[0].error!r}"
        if first.item in self._names:
            about = first.task or first.condition
            of = f" of {about!r}" if about else ""
            return (
                f"{first.where} is to item {first.item!r}{of}; tasks ask under other names, or want another kind of "
                "answer: words are read as a label only where the line names its `task`"
            )
        turn = min((name for name in self._names if "/" in name), default="")
        return f"{first.where} names item {first.item!r}, and items are called such as {turn!r}"

    def _shown(self, item: Item) -> str:
        """The name of an item in the user's files."""
        return masked_item_id(item) if self._answers.are_masked else item.item_id

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Response:
        assert request.item is not None
        try:
            return self._response(self._line_of(request.item, request.output), request.output)
        except SampleError as error:
            return Response(error=describe(error))

    def _line_of(self, item: Item, output: ModelOutput) -> AnswerLine:
        lines = self._answers.of(item, output)
        if not lines:
            others = self._answers.about(item)
            hint = f"; {others[0].where} holds no {_wanted(output)}" if others else ""
            raise MissingAnswerError(f"there is no answer to {self._shown(item)!r}{hint}")
        if len(set(map(self._answers.content_of, lines))) > 1:
            places = " and ".join(line.where for line in lines)
            raise MissingAnswerError(f"{places} answer {self._shown(item)!r} differently; leave one of them")
        return lines[0]

    def _response(self, line: AnswerLine, output: ModelOutput) -> Response:
        if line.error is not None:
            raise MissingAnswerError(f"{line.where}: {line.error}")
        if isinstance(output, LabelOutput):
            if output.method == "rank":
                return Response(
                    label_logprobs=line.label_logprobs, label_tokens=line.label_tokens, label_priors=line.label_priors
                )
            return Response(text=line.text if line.label is None else line.label, flags=tuple(line.flags))
        if isinstance(output, TextOutput):
            return Response(text=line.text, flags=tuple(line.flags))
        speech = None if line.speech is None else self._speech(line.speech)
        flags = dict.fromkeys([*line.flags, *([] if speech else ["no_speech"])])
        return Response(text=line.text, speech=speech, flags=tuple(flags))

    def _speech(self, path: str) -> Speech:
        try:
            data = read_file(self._answers.folder / path)
        except (OSError, ValueError) as error:
            raise MissingAnswerError(f"{path}: the speech cannot be read ({reason_of(error)})") from error
        try:
            return read_speech(data)
        except MediaError as error:
            raise MediaError(f"{path}: {error}") from error


def read_speech(data: bytes) -> Speech:
    """The sound of a file in any format, at its own rate (MediaError: it has none, or cannot be decoded)."""
    container = media.sound_container(data)
    if container in media.READABLE_SOUND:
        return Speech(*media.read_sound(data))
    if container is not None and container in media.BARE_SOUND:
        return Speech(*media.read_bare_sound(data, container))
    sound = media.probe(data).sound
    if sound is None:
        raise MediaError("it has no sound")
    return Speech(media.decode_sound(data, rate=sound.rate), sound.rate)


def _named(what: str, names: Sequence[str], count: int | None = None) -> str:
    """A count of things with the names of the first few; empty where there are none."""
    more = "; …" if len(names) > SHOWN else ""
    return f"{count or len(names)} {what} ({'; '.join(names[:SHOWN])}{more})" if names else ""


def _wanted(output: ModelOutput) -> str:
    if isinstance(output, SpokenOutput):
        return "`text` or `speech`"
    if isinstance(output, TextOutput):
        return "`text`"
    return "`label_logprobs`" if output.method == "rank" else "`label`, nor `text` with its `task`"
