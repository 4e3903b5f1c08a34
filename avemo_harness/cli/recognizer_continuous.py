"""`avemo-eval recognizer` for valence and arousal over time."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from avemo_harness.cli.processes import rank
from avemo_harness.cli.recognizer_options import chosen_splits, make_features, say, shown_clips, write, write_json

if TYPE_CHECKING:
    from avemo_harness.recognizers.continuous.experiment import Method
    from avemo_harness.recognizers.corpora.base import Corpus

DEFAULT_EXTRACTORS = ("builtin-sound", "builtin-face")


def train(args: argparse.Namespace, corpus: Corpus) -> None:
    """Train one, keep it, print its card."""
    from avemo_harness.recognizers.checkpoint_folder import require_new_folder
    from avemo_harness.recognizers.continuous.checkpoint import save_checkpoint
    from avemo_harness.recognizers.continuous.experiment import train_on

    require_new_folder(args.out)
    recognizer = train_on(corpus, _method(args, corpus))
    if rank() == 0:
        save_checkpoint(recognizer, args.extractor or DEFAULT_EXTRACTORS, args.out)
        print("\n".join(recognizer.card.lines()))
        print(f"kept in {args.out}; avemo-eval judge RUN --recognizer {args.out}")


def evaluate(args: argparse.Namespace, corpus: Corpus) -> None:
    """Print Tables 3 and 4; write the figures and draw Figure 2 where asked."""
    from avemo_harness import paths
    from avemo_harness.recognizers.continuous import experiment, tables
    from avemo_harness.recognizers.continuous.checkpoint import load_checkpoint
    from avemo_harness.recognizers.continuous.figure import draw_figure, largest_range

    if args.recognizer is not None:
        recognizer = load_checkpoint(args.recognizer, paths.cache_dir())
        print("\n".join(recognizer.card.lines()))
        results = [experiment.evaluate_trained(recognizer, corpus)]
    else:
        method = _method(args, corpus)
        splits = chosen_splits(args.split, (one.part for one in corpus.rated))
        results = [experiment.evaluate_split(corpus, split, method) for split in splits]
    if rank() != 0:
        return
    print("\n".join(tables.modalities_table(results)))
    for result in results:
        if result.split == "subject-wise":
            print("\n" + "\n".join(tables.systems_table(result)))
    if args.figure is not None:
        write(args.figure, draw_figure(largest_range(results[0].predicted)))
    if args.out is not None:
        write_json(args.out, experiment.as_json(corpus, results))


def predict(args: argparse.Namespace) -> None:
    """Print the trajectory of each clip."""
    from avemo_harness import paths
    from avemo_harness.recognizers.continuous.checkpoint import load_checkpoint

    recognizer = load_checkpoint(args.recognizer, paths.cache_dir())
    for path, streams, view in shown_clips(args):
        found = recognizer.trajectory(streams, view)
        columns = {name: found.column(name).round(4).tolist() for name in found.columns}
        print(json.dumps({"clip": str(path), "view": view, "rate_hz": found.rate_hz, **columns}))


def _method(args: argparse.Namespace, corpus: Corpus) -> Method:
    from avemo_harness.errors import UsageError
    from avemo_harness.recognizers.continuous.experiment import FOLDS, Method
    from avemo_harness.recognizers.continuous.training import Settings

    given = args.delay_s or ("auto" if corpus.rated_live else "0")
    try:
        delay_s = None if given == "auto" else float(given)
    except ValueError as error:
        raise UsageError(f"--delay_s {given}: expected seconds or auto") from error
    features = make_features(args.extractor or DEFAULT_EXTRACTORS)
    return Method(features, Settings(seed=args.seed), delay_s, getattr(args, "folds", FOLDS), say)
