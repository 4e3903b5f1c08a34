"""Train, evaluate or apply a recogniser of emotion: the judge of spoken replies.

avemo-eval recognizer train    --corpus recola:DIR --out my_judge
avemo-eval recognizer evaluate --corpus recola:DIR --figure figure2.svg
avemo-eval recognizer predict  my_judge CLIP ...
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from avemo_harness.recognizers.corpora.base import Corpus

KINDS = ("continuous", "categorical")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the three actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="{train,evaluate,predict}")
    train = actions.add_parser("train", help="train one and keep it in a folder")
    evaluate = actions.add_parser("evaluate", help="train and test by split, or test one that is trained")
    predict = actions.add_parser("predict", help="print what a trained one follows in clips, a JSON line each")
    for one in (train, evaluate):
        one.add_argument(
            "--corpus",
            required=True,
            metavar="NAME:PATH",
            help="what to learn from: demo, or one of `avemo-eval ls corpora` with its path and ,key=value arguments",
        )
        one.add_argument(
            "--extractor",
            action="append",
            metavar="NAME[:key=value,…]",
            help="features of its input, may be repeated; see `avemo-eval ls extractors` (default: the built-in ones)",
        )
        one.add_argument("--kind", choices=KINDS, help="(default: continuous where the corpus has ratings over time)")
        one.add_argument(
            "--delay_s",
            metavar="SECONDS",
            help="by how much ratings are moved earlier; `auto` searches it on training recordings "
            "(default: auto where raters followed live, else 0)",
        )
        one.add_argument("--seed", type=int, default=0, help="of every draw")
    train.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder for the recogniser")
    evaluate.add_argument(
        "--split",
        choices=("subject-wise", "official", "both"),
        help="how training and test are kept apart (default: both where the corpus has official parts); for labels, "
        "subject-wise leaves one speaker out",
    )
    evaluate.add_argument("--folds", type=int, default=5, help="of the subject-wise split of ratings")
    evaluate.add_argument(
        "--normalise",
        choices=("none", "speaker"),
        default="none",
        help="speaker: for labels, standardise features within each speaker's recordings, evaluated ones included",
    )
    evaluate.add_argument("--recognizer", type=Path, metavar="DIR", help="test this one instead of training any")
    evaluate.add_argument("--figure", type=Path, metavar="FILE.svg", help="draw ratings over time and predictions")
    evaluate.add_argument("--out", type=Path, metavar="FILE.json", help="write figures and folds")
    predict.add_argument("recognizer", type=Path, metavar="DIR", help="folder of a trained recogniser")
    predict.add_argument("clips", type=Path, nargs="+", metavar="CLIP", help="sound or video files")
    predict.add_argument(
        "--view", choices=("both", "audio", "video"), help="what it is shown (default: all that the clip has)"
    )


def execute(args: argparse.Namespace) -> int:
    """Do one of the three; returns the exit code."""
    if args.action == "predict":
        _of_kind(_kind_of_folder(args.recognizer)).predict(args)
        return 0
    corpus = _open_corpus(args.corpus)
    command = _of_kind(args.kind or ("continuous" if corpus.rated else "categorical"))
    if args.action == "train":
        command.train(args, corpus)
    else:
        command.evaluate(args, corpus)
    return 0


def _of_kind(kind: str) -> ModuleType:
    from importlib import import_module

    return import_module(f"avemo_harness.cli.recognizer_{kind}")


def _kind_of_folder(folder: Path) -> str:
    from avemo_harness.recognizers.categorical.recognizer import FORMAT as CATEGORICAL
    from avemo_harness.recognizers.checkpoint_folder import read_config, reading
    from avemo_harness.recognizers.continuous.recognizer import FORMAT as CONTINUOUS

    with reading(folder):
        config = read_config(folder, [CONTINUOUS, CATEGORICAL])
    return "continuous" if config["format"] == CONTINUOUS else "categorical"


def _open_corpus(spec: str) -> Corpus:
    from dataclasses import replace

    from avemo_harness import paths
    from avemo_harness.cli.recognizer_options import say
    from avemo_harness.recognizers.corpora import open_corpus

    if spec == "demo":
        from avemo_harness.build.demo import demo_release

        folder = demo_release(paths.cache_dir(), say)
        corpus = replace(open_corpus(f"release:{folder},config=demo"), name="the built-in demo")
    else:
        corpus = open_corpus(spec)
    for dropped in corpus.dropped:
        say(f"left out {dropped.count}: {dropped.reason}")
    return corpus
