"""`avemo-eval run`: evaluate a model on tasks, with a progress bar; print the table."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo_harness.cli.options import (
    DATA_OPTIONS,
    Command,
    add_grader_options,
    add_overrides,
    given_options,
    named_grader,
)
from avemo_harness.cli.output import end_on_signals, rank, say, show
from avemo_harness.errors import UsageError

if TYPE_CHECKING:
    from tqdm import tqdm

    from avemo_harness.benchmark.request import ItemKey, StoredResponse
    from avemo_harness.models.base import BatchSize
    from avemo_harness.run.config import RunConfig
    from avemo_harness.run.prepare import MakeModel, PreparedRun

PLAIN_LINE_INTERVAL_S = 10.0


class Progress:
    """Counts what is stored, and how many of the labels and letters were right so far."""

    def __init__(self, run: PreparedRun, bar: tqdm[None] | None) -> None:
        self._run, self._bar = run, bar
        self._questions = {question.item_key: question for unit in run.units for question in unit.questions}
        self._done: set[ItemKey] = set()
        self._errors: set[ItemKey] = set()
        self._right = self._labelled = 0
        self._started = self._said = time.monotonic()

    def stored(self, records: Sequence[StoredResponse]) -> None:
        for record in records:
            self._count(record)
        if self._bar is not None:
            self._bar.n = len(self._done)
            self._bar.set_postfix_str(self._state(), refresh=False)
            self._bar.update(0)
        elif time.monotonic() - self._said > PLAIN_LINE_INTERVAL_S:
            self._said = time.monotonic()
            rate = len(self._done) / max(self._said - self._started, 1e-9)
            print(f"{len(self._done)}/{self._run.n_items} items, {rate:.1f}/s, {self._state()}", file=sys.stderr)

    def waiting(self, units: int) -> None:
        """Say that other workers are asking what is left."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"{self._state()}, {units} with other workers")

    def _count(self, record: StoredResponse) -> None:
        # A run may hold answers to a task of a collection whose data are gone again.
        if record.item_key not in self._questions:
            return
        self._done.add(record.item_key)
        if record.error is not None:
            self._errors.add(record.item_key)
            return
        self._errors.discard(record.item_key)
        # They take half a second to import, which `run --help` does not wait for.
        from avemo_harness.benchmark.task import ChoiceOutput, LabelOutput
        from avemo_harness.scorers.answer_choices import read_named

        item, output = (question := self._questions[record.item_key]).item, question.builder.task.output
        if isinstance(output, LabelOutput | ChoiceOutput) and item.gold is not None:
            parsed = read_named(record, output, item)
            self._labelled += 1
            self._right += parsed.label == item.gold

    def _state(self) -> str:
        score = f"accuracy so far {self._right / self._labelled:.2f}, " if self._labelled else ""
        return f"{score}{len(self._errors)} errors"


@contextmanager
def make_progress(run: PreparedRun) -> Iterator[Progress]:
    if not sys.stderr.isatty():
        yield Progress(run, None)
        return
    from tqdm import tqdm

    with tqdm(total=run.n_items, unit="item", desc=run.folder.name[:40], dynamic_ncols=True) as bar:
        yield Progress(run, bar)


RUN_HELP = """Evaluate a model on tasks, print the table, and keep everything in a run directory.

The same command continues an interrupted run; several processes given the same command share its work, be they started
one by one or by `accelerate launch -m avemo_harness`. Of those that a launcher started, only the first one speaks.
"""


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    from avemo_harness.models.cluster.options import RayOptions
    from avemo_harness.run.config import RunConfig

    what = parser.add_argument_group("what is asked")
    add_overrides(what, RunConfig, "model", "model_args", "tasks", "include_path", "generation")
    what.add_argument(
        "--config", type=Path, metavar="FILE", help="options from a YAML or JSON file, or from a saved run.json"
    )
    add_overrides(parser.add_argument_group("of which data"), RunConfig, *DATA_OPTIONS, "skip_speech")
    how = parser.add_argument_group("how")
    how.add_argument("--batch_size", metavar="N", help="requests given to the model at once; auto: as many as fit")
    how.add_argument(
        "--num_concurrent", metavar="N", help="requests under way at once, of a model or grader behind a server"
    )
    how.add_argument("--device", help="where a neural model runs, e.g. cuda:0")
    how.add_argument(
        "--executor",
        choices=("local", "ray"),
        default="local",
        help="where the model runs: in this process, or on workers of a Ray cluster (default: local)",
    )
    add_overrides(how, RayOptions, "ray_address", "workers", "gpus_per_worker")
    how.add_argument(
        "--recognizer",
        metavar="JUDGE",
        help="judges spoken replies, as of `avemo-eval judge` (default: the one that judged this run before, "
        "AVEMO_JUDGE, `avemo-eval judge use`; of the built-in voice and face the embedded one)",
    )
    add_grader_options(how)
    how.add_argument("--output_path", type=Path, metavar="DIR", help="run directory (default: runs/<what is asked>)")
    how.add_argument(
        "--max_errors",
        type=int,
        default=0,
        metavar="N",
        help="failed items that still count as success; 20 in a row that fail alike end the run unless N is more",
    )
    how.add_argument(
        "--log_samples",
        action="store_true",
        help="accepted for habit: every sample is always kept in the run directory",
    )

    how.add_argument(
        "--timing",
        action="store_true",
        help="print where the time of the run went, by phase; a GPU is waited for as each phase ends, which costs a "
        "little. The run directory's timing.json has the phases in any case",
    )


def execute_run(args: argparse.Namespace) -> int:
    batch_size = _batch_size(args)
    on_cluster = _on_cluster(args, batch_size)
    config = _config(args)
    _refuse_cheaply(config, args.recognizer)
    from avemo_harness.models import load_model
    from avemo_harness.models.base import Closeable
    from avemo_harness.phases import PhaseClock
    from avemo_harness.report.html.page import write_report
    from avemo_harness.report.results import score_run
    from avemo_harness.report.scored_run import read_people
    from avemo_harness.report.summary import format_results
    from avemo_harness.report.timing import format_timing
    from avemo_harness.run.answers import describe_failures, read_errors
    from avemo_harness.run.config import read_run
    from avemo_harness.run.grading import check_rubrics, grade_if_possible
    from avemo_harness.run.prepare import find_judge, judge_replies, prepare

    end_on_signals()
    is_main = rank() == 0
    make_model = on_cluster or load_model
    prepared = prepare(config, output_path=args.output_path, device=args.device, make_model=make_model, say=say)
    choice = find_judge(prepared.folder, args.recognizer, prepared.releases)
    if choice.advice:
        say(choice.advice)
    grader = named_grader(args)
    check_rubrics(prepared.folder, grader, prepared.releases)
    closing_model = closing(prepared.model) if isinstance(prepared.model, Closeable) else nullcontext()
    with closing_model, make_progress(prepared) if is_main else nullcontext() as progress:
        of_model = None if on_cluster else batch_size  # each worker of a cluster is given its own
        clock = PhaseClock(wait_for_device=args.timing)
        prepared.ask(batch_size=of_model, max_errors=args.max_errors, listener=progress, clock=clock)
    folder, releases = prepared.folder, prepared.releases
    # The questions of a large release take as much memory as its scores, for which they are not needed.
    del prepared, progress, closing_model
    judge_replies(folder, args.recognizer, releases, device=args.device)
    if problem := grade_if_possible(
        folder,
        grader,
        releases,
        say,
        at_once=batch_size if args.num_concurrent and isinstance(batch_size, int) else None,
        device=args.device,
        max_errors=args.max_errors,
    ):
        say(problem)
    # Every process scores: whichever is the last to find nothing left has seen all answers, and equal answers give
    # equal bytes.
    result = score_run(folder)
    if not is_main:
        # A launcher stops all processes once one ends with an error, so the one that prints the table tells of it.
        return 0
    show(format_results(result, read_people(folder), read_run(folder)))
    for sentence in describe_failures(read_errors(folder)):
        say(sentence)
    if args.timing:
        show("\n" + format_timing(folder))
    print(f"\nrun directory: {folder}")
    print(f"report: {write_report(folder, releases=releases, say=say)}")
    if choice.training:
        print(f"a judge for the replies: {choice.training}")
    return 1 if result.n_errors > args.max_errors else 0


def _on_cluster(args: argparse.Namespace, batch_size: BatchSize) -> MakeModel | None:
    """Function that makes the model on a cluster; None where it runs in this process."""
    from functools import partial

    from avemo_harness.models.cluster.options import RayOptions

    given = given_options(args, RayOptions)
    if args.executor == "local":
        for name in given:
            raise UsageError(f"--{name} is for --executor ray")
        return None
    if args.num_concurrent:
        raise UsageError("--num_concurrent is for models behind a server, which --executor ray does not run")
    options = RayOptions(**given)
    from avemo_harness.models.cluster.pool import RayPool

    return partial(RayPool, options=options, batch_size=batch_size)


def _refuse_cheaply(config: RunConfig, judge: str | None) -> None:
    """Refuse names of tasks, a model or a judge that nothing has, and arguments, before a run's packages are imported.

    Raises:
        UsageError: of the kind and with the message that preparing the run would end with.
    """
    from avemo_harness.benchmark.task_library import TaskLibrary
    from avemo_harness.models import REGISTRY, check_arguments
    from avemo_harness.scorers import METRICS

    library = TaskLibrary(METRICS, [Path(folder) for folder in config.include_path])
    for name in config.tasks:
        library.files_of(name)
    REGISTRY.check(config.model)
    if judge is not None:
        from avemo_harness.recognizers.judging import check_judge

        check_judge(judge)
    check_arguments(config.model, config.model_args)


def _batch_size(args: argparse.Namespace) -> BatchSize:
    """Requests given to the model at once, or of a model behind a server, requests under way at once."""
    given = {name: getattr(args, name) for name in ("batch_size", "num_concurrent") if getattr(args, name) is not None}
    if len(given) > 1:
        raise UsageError("--num_concurrent is for models behind a server and --batch_size for others; give one of them")
    for name, text in given.items():
        if text == "auto" and name == "batch_size":
            return "auto"
        if not text.isdecimal() or int(text) < 1:
            auto = ", or auto" if name == "batch_size" else ""
            raise UsageError(f"--{name} must be a whole number from 1 on{auto}; found {text!r}")
        return int(text)
    return None


def _config(args: argparse.Namespace) -> RunConfig:
    """The run's config: the file's values, overridden by flags."""
    from avemo_harness.run.config import RunConfig, refuse_arguments_of_file

    given = given_options(args, RunConfig)
    values = {**(_read_options_file(args.config) if args.config else {}), **given}
    if args.config and "model_args" not in given:
        refuse_arguments_of_file(str(args.config), values.get("model", ""), values.get("model_args", {}))
    for required in ("model", "tasks"):
        if not values.get(required):
            raise UsageError(f"--{required} is needed: avemo-eval --model MODEL --tasks TASKS (see `avemo-eval ls`)")
    return RunConfig.from_mapping(values, str(args.config or "command line"))


def _read_options_file(path: Path) -> dict[str, Any]:
    import yaml

    from avemo_harness.run.config import RunConfig

    language = "JSON" if path.suffix == ".json" else "YAML"
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if language == "JSON" else yaml.safe_load(text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: not valid {language} ({' '.join(str(error).split())})") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path}: must hold a mapping of option names to values")
    config = RunConfig.from_mapping({"model": "", "tasks": (), **values.get("config", values)}, str(path))
    named = values.get("config", values)
    return {field.name: getattr(config, field.name) for field in fields(config) if field.name in named}


COMMANDS = {"run": Command(RUN_HELP, add_run_arguments, execute_run)}
