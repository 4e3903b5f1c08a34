"""The questions of a task as a model would get them, printed, and their clips as files to play."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo_harness.cli.output import show

if TYPE_CHECKING:
    from avemo_harness.benchmark.release import Clip
    from avemo_harness.benchmark.request import Request


def print_questions(task: str, count: int, data: Mapping[str, Any], *, save: Path | None = None) -> None:
    """Print what any model would be asked: the messages are the same for all.

    Args:
        task: its name, or the path of its YAML.
        count: how many questions are printed.
        data: options on tasks, releases and questions, by the names of `avemo_harness.run.config.RunConfig`.
        save: folder for the clips of these questions.

    Raises:
        AvemoError: the task or what it asks about is not in order.
    """
    from avemo_harness.run.config import RunConfig
    from avemo_harness.run.prepare import prepare
    from avemo_harness.run.requests import Anyone

    asked = {"model": "requests", "tasks": [task], **data}
    config = RunConfig.from_mapping(asked, "command line")
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(config, output_path=folder, model=Anyone())
        questions = [question for unit in prepared.units for question in unit.questions]
        for question in questions[:count]:
            request = question.builder.request(question.item)
            show(f"\n{question.item.item_id}  gold: {question.item.gold or '-'}")
            _print_messages(request, None if save is None else save / _file_name(question.item.item_id))


def _file_name(item_id: str) -> str:
    """An item's name as the beginning of a file's.

    >>> _file_name("d1/2"), _file_name("../a b")
    ('d1-2', '..-a_b')
    """
    return re.sub(r"[^\w.@-]", "_", item_id.replace("/", "-"))[:80]


def _print_messages(request: Request, save: Path | None) -> None:
    """Print messages.

    Args:
        save: the beginning of the paths of its clips; None keeps none.
    """
    from avemo_harness.benchmark.request import Text

    number = 0
    for message in request.messages:
        for block in message.content:
            if isinstance(block, Text):
                text = block.text.removeprefix("\n")
                show(f"  {message.role:<9} {text}")
                continue
            number += 1
            saved = "" if save is None else f" -> {_save(block, save, number)}"
            show(f"  {message.role:<9} {_clip_facts(block)}{saved}")


def _clip_facts(clip: Clip) -> str:
    from avemo_harness import media

    info = media.probe(clip.read())
    parts = [f"clip {clip.sha256[:12]}", clip.name]
    if info.video:
        parts.append(f"{info.video.width}x{info.video.height}, {info.video.fps:g} fps, {info.video.duration_s:.2f} s")
    if info.sound:
        parts.append(f"sound {info.sound.rate} Hz, {info.sound.duration_s:.2f} s")
    return f"[{'; '.join(parts)}]"


_ENDINGS = {"WAV": "wav", "RF64": "wav", "W64": "w64", "MP4": "mp4", "WebM": "mkv"}
"""Endings of files by their containers, where these are no lower-case ones of their names."""


def _save(clip: Clip, beginning: Path, number: int) -> Path:
    from avemo_harness import media
    from avemo_harness.files import write_atomically

    data = clip.read()
    container = media.sound_container(data)
    ending = "avi" if container is None else _ENDINGS.get(container, container.lower())
    path = beginning.with_name(f"{beginning.name}-{number}.{ending}")
    write_atomically(path, data)
    return path
