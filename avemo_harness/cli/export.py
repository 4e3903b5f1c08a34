"""Write a run's results for the Hub, for papers and for other tools, or log them to an experiment tracker.

eval-results     .eval_results/*.yaml of the model's repository: one headline value a task
model-index      the front matter of a model card
every-eval-ever  one record of the Every Eval Ever schema
csv              a line for each metric
latex            the benchmark's table with the published rows and this run's
"""

from __future__ import annotations

import argparse
from pathlib import Path

from avemo_harness.errors import UsageError
from avemo_harness.report.exports import FORMATS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `export`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    parser.add_argument("--format", choices=tuple(FORMATS), help="what to write")
    parser.add_argument("-o", "--output_path", type=Path, metavar="DIR", help="where to; RUN/export by default")
    parser.add_argument("--allow_partial", action="store_true", help="also of a run that is not complete; it says so")
    parser.add_argument("--model_id", metavar="OWNER/NAME", help="the model on the Hub")
    parser.add_argument("--dataset_id", metavar="OWNER/NAME", help="the release on the Hub, if the run read a copy")
    parser.add_argument("--source_url", metavar="URL", help="where the run directory can be looked at")
    for tracker in ("trackio", "wandb"):
        parser.add_argument(f"--{tracker}", metavar="PROJECT", help=f"log the metrics to a project of {tracker}")


def execute(args: argparse.Namespace) -> int:
    """Write the files, log to the trackers; returns the exit code."""
    from importlib import import_module

    from avemo_harness.paths import write_atomically
    from avemo_harness.report.exports.exported import Publication, refuse_unfinished
    from avemo_harness.report.exports.trackers import log_to
    from avemo_harness.report.results_file import read_finished_run

    if not (args.format or args.trackio or args.wandb):
        raise UsageError(f"say what to export: --format {'|'.join(FORMATS)}, --trackio PROJECT or --wandb PROJECT")
    run = read_finished_run(args.run)
    if not args.allow_partial:
        refuse_unfinished(run)
    if args.format:
        module, _, function = FORMATS[args.format].partition(":")
        make = getattr(import_module(module), function)
        publication = Publication(args.model_id, args.dataset_id, args.source_url)
        for name, text in make(run, publication).items():
            path = (args.output_path or args.run / "export") / name
            write_atomically(path, text)
            print(path)
    if args.trackio:
        log_to("trackio", args.trackio, args.run.resolve().name, run)
    if args.wandb:
        log_to("wandb", args.wandb, args.run.resolve().name, run)
    return 0
