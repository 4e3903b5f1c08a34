"""Print a task: its resolved settings, where each came from, and the messages that a model gets."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo_harness.cli.data_options import add_data_options, data_values
from avemo_harness.cli.output import show

if TYPE_CHECKING:
    from avemo_harness.benchmark.release import Clip
    from avemo_harness.benchmark.request import Request
    from avemo_harness.benchmark.task_file import Task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `show`."""
    parser.add_argument("task", help="a task's name or the path of its YAML")
    parser.add_argument("--resolved", action="store_true", help="say which file and line each value comes from")
    parser.add_argument("--n", type=int, default=0, metavar="N", help="print the messages of the first N questions")
    parser.add_argument(
        "--include_path", action="append", default=[], metavar="DIR", help="a folder with more task YAMLs"
    )
    add_data_options(parser.add_argument_group("which questions"))


def execute(args: argparse.Namespace) -> int:
    """Print the task."""
    from avemo_harness.benchmark.task_library import TaskLibrary
    from avemo_harness.scorers import METRICS

    for task in TaskLibrary(METRICS, [Path(folder) for folder in args.include_path]).load([args.task]):
        print(f"{task.name}  version {task.spec.version}  digest {task.digest[:12]}")
        if args.resolved:
            _print_origins(task)
        elif not args.n:
            print(json.dumps(task.spec.model_dump(mode="json", exclude_none=True), indent=1, ensure_ascii=False))
    if args.n:
        _print_questions(args)
    return 0


def _print_origins(task: Task) -> None:
    from avemo_harness.benchmark.yaml_file import key_name

    leaves = _leaves(task.document.values, ())
    rows = [
        (key_name(path), json.dumps(value, ensure_ascii=False), task.document.origin(path)) for path, value in leaves
    ]
    rows += [(key_name(path), "taken away", origin) for path, origin in task.document.removed.items()]
    width = max(len(name) for name, _, _ in rows)
    for name, value, (file, line) in rows:
        print(f"{name:<{width}}  {value}  ({file.name}:{line})")


def _leaves(values: Any, path: tuple[str | int, ...]) -> list[tuple[tuple[str | int, ...], Any]]:
    if isinstance(values, dict):
        return [leaf for key, value in values.items() for leaf in _leaves(value, (*path, key))]
    # A list of plain words, such as synonyms, is one value.
    if isinstance(values, list) and any(isinstance(value, dict | list) for value in values):
        return [leaf for key, value in enumerate(values) for leaf in _leaves(value, (*path, key))]
    return [(path, values)]


def _print_questions(args: argparse.Namespace) -> None:
    """Print what a model that looks at nothing would be asked: the messages are the same for all models."""
    import tempfile

    from avemo_harness.evaluation import prepare
    from avemo_harness.run.config import RunConfig

    asked = {"model": "random", "tasks": [args.task], "include_path": args.include_path, **data_values(args)}
    config = RunConfig.from_mapping(asked, "command line")
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(config, output_path=folder)
        questions = [question for unit in prepared.units for question in unit.questions]
        for question in questions[: args.n]:
            request = question.asking.request(question.item)
            show(f"\n{question.item.item_id}  gold: {question.item.gold or '-'}")
            _print_messages(request)


def _print_messages(request: Request) -> None:
    from avemo_harness.benchmark.request import Text

    for message in request.messages:
        for block in message.content:
            what = block.text if isinstance(block, Text) else _clip_facts(block)
            show(f"  {message.role:<9} {what}")


def _clip_facts(clip: Clip) -> str:
    from avemo_harness import media

    info = media.probe(clip.read())
    parts = [f"clip {clip.sha256[:12]}"]
    if info.video:
        parts.append(f"{info.video.width}x{info.video.height}, {info.video.fps:g} fps, {info.video.duration_s:.2f} s")
    if info.sound:
        parts.append(f"sound {info.sound.rate} Hz, {info.sound.duration_s:.2f} s")
    return f"[{'; '.join(parts)}]"
