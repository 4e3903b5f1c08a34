"""`avemo-eval plan`: what a run would ask, and what it would cost, before it is begun."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from avemo_harness.cli.options import DATA_OPTIONS, Command, add_options, add_overrides, given_options
from avemo_harness.cli.output import end_on_signals, say, show
from avemo_harness.errors import UsageError

if TYPE_CHECKING:
    from avemo_harness.run.forecast import Forecast, Range

PLAN_HELP = """Say what a run would ask and cost: items, clips, seconds of media, tokens, hours, disk and memory.

avemo-eval plan --tasks TASKS                       what is asked, and what its clips cost
avemo-eval plan --tasks TASKS --model MODEL         also hours and tokens, by asking it a few of the items

Estimates rest on a few items, and their ranges on how these differ. No run directory is made and no answer is kept.
"""


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    from avemo_harness.run.config import RunConfig

    add_options(parser, RunConfig, "tasks")
    add_overrides(parser, RunConfig, "model", "model_args", "include_path", "generation")
    parser.add_argument("--probe", type=int, default=8, metavar="N", help="items that are tried")
    parser.add_argument("--batch_size", type=int, metavar="N", help="requests given to the model at once")
    parser.add_argument("--device", help="where a neural model runs, e.g. cuda:0")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to a JSON file")
    add_overrides(parser.add_argument_group("of which data"), RunConfig, *DATA_OPTIONS, "skip_speech")


def execute_plan(args: argparse.Namespace) -> int:
    for name in ("probe", "batch_size"):
        if (number := getattr(args, name)) is not None and number < 1:
            raise UsageError(f"--{name} must be a whole number from 1 on; found {number}")
    if args.device and not args.model:
        raise UsageError("--device is for a model; name it with --model, or leave --device out")
    from avemo_harness.files import write_atomically
    from avemo_harness.run.config import RunConfig
    from avemo_harness.run.forecast import forecast
    from avemo_harness.run.requests import Anyone

    end_on_signals()
    config = RunConfig.from_mapping({"model": "plan", **given_options(args, RunConfig)}, "command line")
    found = forecast(
        config,
        model=None if args.model else Anyone(),
        probed=args.probe,
        batch_size=args.batch_size,
        device=args.device,
        say=say,
    )
    show("\n".join(lines_of(found)))
    if args.json:
        write_atomically(args.json, found.to_json())
    return 0


def lines_of(found: Forecast) -> list[str]:
    """A forecast in words, a fact a line."""
    from avemo_harness.text import aligned

    media = [_range(task.media_s, _duration) for task in found.tasks]
    table = [["task", "items", "media shown"]]
    table += [[task.task, f"{task.items:,}", text] for task, text in zip(found.tasks, media, strict=True)]
    basis = f"from {found.probed} probed items"
    lines = [*aligned(table), ""]
    lines += [f"{task}: not asked ({reason})" for task, reason in found.skipped.items()]
    lines.append(f"asked     {found.items:,} items about {found.dialogues:,} dialogues")
    if found.clips:
        unknown = f", and {found.clips_unknown:,} of unknown length" if found.clips_unknown else ""
        lines.append(f"clips     {found.clips:,}, {_duration(found.clips_s)} by the release{unknown}")
    lines += [f"tokens    {line}" for line in _tokens(found)]
    if found.model_s is not None and found.loading_s is not None:
        lines.append(
            f"time      {_range(found.model_s, _duration)} of {found.model} on this machine, {basis}; "
            f"{_duration(found.loading_s)} until its first answer"
        )
    making = _range(found.prepare_s, _duration)
    lines.append(f"making    {making} of one core for the clips' conditions, beside the model, {basis}")
    lines.append(f"disk      {_range(found.disk_bytes, _bytes)}, {basis}")
    gpu = f", {found.gpu_peak_mib:,.0f} MiB on the GPU" if found.gpu_peak_mib else ""
    lines.append(f"memory    {found.peak_mib:,.0f} MiB{gpu} at most so far")
    if found.model is None:
        lines.append("hours and tokens depend on the model: name it with --model")
    for failure in found.failed[:3]:
        lines.append(f"failed    {failure}")
    if found.failed:
        lines.append(f"{len(found.failed)} of the probed items failed")
    return lines


def _tokens(found: Forecast) -> list[str]:
    if found.model is None:
        return []
    if found.prompt_tokens is None:
        return ["not told by the model"]
    new = f", {_range(found.new_tokens, _count)} answered" if found.new_tokens else ""
    return [f"{_range(found.prompt_tokens, _count)} asked{new}, by the model's own counts of the probed items"]


def _range(found: Range | None, shown: Callable[[float], str]) -> str:
    if found is None:
        return "unknown"
    text, low, high = (shown(value) for value in (found.estimate, found.low, found.high))
    return text if low == high else f"about {text} ({low} to {high})"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _duration(seconds: float) -> str:
    """Seconds in the unit that one reads.

    >>> _duration(12.34), _duration(600), _duration(9000)
    ('12.3 s', '10.0 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7_200 else f"{seconds / 3_600:,.1f} h"


def _bytes(count: float) -> str:
    return f"{count / 2**20:,.1f} MiB" if count < 2**30 else f"{count / 2**30:,.1f} GiB"


COMMANDS = {"plan": Command(PLAN_HELP, add_plan_arguments, execute_plan)}
