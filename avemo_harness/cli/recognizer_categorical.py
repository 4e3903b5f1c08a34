"""`avemo-eval recognizer` for labels of whole recordings."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from avemo_harness.cli.processes import rank
from avemo_harness.cli.recognizer_options import chosen_splits, make_features, say, shown_clips, write_json

if TYPE_CHECKING:
    from avemo_harness.recognizers.categorical.experiment import Method
    from avemo_harness.recognizers.corpora.base import Corpus

DEFAULT_EXTRACTORS = ("clip-sound", "clip-face")


def train(args: argparse.Namespace, corpus: Corpus) -> None:
    """Train one, keep it, print its card."""
    from avemo_harness.recognizers.categorical.checkpoint import save_categorical
    from avemo_harness.recognizers.categorical.experiment import train_categorical
    from avemo_harness.recognizers.checkpoint_folder import require_new_folder

    require_new_folder(args.out)
    recognizer = train_categorical(corpus, _method(args))
    if rank() == 0:
        save_categorical(recognizer, args.extractor or DEFAULT_EXTRACTORS, args.out)
        print("\n".join(recognizer.card.lines()))
        print(f"kept in {args.out}")


def evaluate(args: argparse.Namespace, corpus: Corpus) -> None:
    """Print Table 1; write the figures where asked."""
    from avemo_harness import paths
    from avemo_harness.errors import UsageError
    from avemo_harness.recognizers.categorical import experiment
    from avemo_harness.recognizers.categorical.checkpoint import load_categorical
    from avemo_harness.recognizers.categorical.evaluation import evaluate_categorical
    from avemo_harness.recognizers.categorical.tables import recognition_table

    if args.figure is not None:
        raise UsageError("--figure draws ratings over time; leave it out for labels")
    if args.recognizer is not None:
        recognizer = load_categorical(args.recognizer, paths.cache_dir())
        print("\n".join(recognizer.card.lines()))
        found = evaluate_categorical(recognizer, corpus.labelled)
    else:
        evaluations = {"official": experiment.evaluate_official, "subject-wise": experiment.leave_one_speaker_out}
        splits, method = chosen_splits(args.split, (one.part for one in corpus.labelled)), _method(args)
        found = tuple(one for split in splits for one in evaluations[split](corpus, method))
    if rank() != 0:
        return
    print("\n".join(recognition_table(found)))
    if args.out is not None:
        write_json(args.out, {"corpus": corpus.name, "recognitions": [asdict(one) for one in found]})


def predict(args: argparse.Namespace) -> None:
    """Print how probable each label is for each clip."""
    import numpy as np

    from avemo_harness import paths
    from avemo_harness.recognizers.categorical.checkpoint import load_categorical

    recognizer = load_categorical(args.recognizer, paths.cache_dir())
    for path, streams, view in shown_clips(args):
        found = np.exp(recognizer.log_probabilities(streams, view)).round(4).tolist()
        print(json.dumps({"clip": str(path), "view": view, **dict(zip(recognizer.labels, found, strict=True))}))


def _method(args: argparse.Namespace) -> Method:
    from avemo_harness.recognizers.categorical.examples import as_they_are, within_speakers
    from avemo_harness.recognizers.categorical.experiment import Method
    from avemo_harness.recognizers.categorical.training import Settings

    normalise = within_speakers if getattr(args, "normalise", "none") == "speaker" else as_they_are
    return Method(make_features(args.extractor or DEFAULT_EXTRACTORS), Settings(seed=args.seed), normalise, say)
