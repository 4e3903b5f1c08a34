"""Train, evaluate or apply a recogniser of emotion: the judge of spoken replies.

avemo-eval recognizer train    --corpus recola:DIR --out my_judge
avemo-eval recognizer evaluate --corpus recola:DIR --figure figure2.svg
avemo-eval recognizer predict  my_judge CLIP ...
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from avemo_harness.cli.processes import rank

if TYPE_CHECKING:
    from avemo_harness.benchmark.release import Clip
    from avemo_harness.recognizers.continuous.experiment import Method
    from avemo_harness.recognizers.continuous.recognizer import ContinuousRecognizer
    from avemo_harness.recognizers.corpora.base import Corpus
    from avemo_harness.recognizers.splits import SplitName

DEFAULT_EXTRACTORS = ("builtin-sound", "builtin-face")


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
            help="features of its input, may be repeated; see `avemo-eval ls extractors` "
            f"(default: {' and '.join(DEFAULT_EXTRACTORS)})",
        )
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
        help="how training and test are kept apart (default: both where the corpus has official parts)",
    )
    evaluate.add_argument("--folds", type=int, default=5, help="of the subject-wise split")
    evaluate.add_argument("--recognizer", type=Path, metavar="DIR", help="test this one instead of training any")
    evaluate.add_argument("--figure", type=Path, metavar="FILE.svg", help="draw ratings and predictions")
    evaluate.add_argument("--out", type=Path, metavar="FILE.json", help="write figures and folds")
    predict.add_argument("recognizer", type=Path, metavar="DIR", help="folder of a trained recogniser")
    predict.add_argument("clips", type=Path, nargs="+", metavar="CLIP", help="sound or video files")
    predict.add_argument(
        "--view", choices=("both", "audio", "video"), help="what it is shown (default: all that the clip has)"
    )


def execute(args: argparse.Namespace) -> int:
    """Do one of the three; returns the exit code."""
    if args.action == "predict":
        return _predict(args)
    corpus = _open_corpus(args.corpus)
    return _train(args, corpus) if args.action == "train" else _evaluate(args, corpus)


def _train(args: argparse.Namespace, corpus: Corpus) -> int:
    from avemo_harness.recognizers.checkpoint_folder import require_new_folder
    from avemo_harness.recognizers.continuous.checkpoint import save_checkpoint
    from avemo_harness.recognizers.continuous.experiment import train_on

    require_new_folder(args.out)
    recognizer = train_on(corpus, _method(args, corpus))
    if rank() == 0:
        save_checkpoint(recognizer, _extractor_specs(args), args.out)
        print("\n".join(recognizer.card.lines()))
        print(f"kept in {args.out}; avemo-eval judge RUN --recognizer {args.out}")
    return 0


def _evaluate(args: argparse.Namespace, corpus: Corpus) -> int:
    from avemo_harness.recognizers.continuous import experiment, tables

    if args.recognizer is not None:
        recognizer = _load(args.recognizer)
        print("\n".join(recognizer.card.lines()))
        results = [experiment.evaluate_trained(recognizer, corpus)]
    else:
        method = _method(args, corpus)
        results = [experiment.evaluate_split(corpus, split, method) for split in _splits(args, corpus)]
    if rank() != 0:
        return 0
    print("\n".join(tables.modalities_table(results)))
    for result in results:
        if result.split == "subject-wise":
            print("\n" + "\n".join(tables.systems_table(result)))
    if args.figure is not None:
        from avemo_harness.recognizers.continuous.figure import draw_figure, largest_range

        _write(args.figure, draw_figure(largest_range(results[0].predicted)))
    if args.out is not None:
        _write(args.out, json.dumps(experiment.as_json(corpus, results), indent=1, allow_nan=False) + "\n")
    return 0


def _predict(args: argparse.Namespace) -> int:
    from avemo_harness.errors import UsageError
    from avemo_harness.recognizers.streams import Streams

    recognizer = _load(args.recognizer)
    for path in args.clips:
        streams = Streams.of(_read_clip(path))
        view = args.view or streams.views[0]
        if view not in streams.views:
            raise UsageError(f"{path}: it has no {view} to show; it has {', '.join(streams.views)}")
        found = recognizer.trajectory(streams, view)
        columns = {name: found.column(name).round(4).tolist() for name in found.columns}
        print(json.dumps({"clip": str(path), "view": view, "rate_hz": found.rate_hz, **columns}))
    return 0


def _open_corpus(spec: str) -> Corpus:
    from dataclasses import replace

    from avemo_harness import paths
    from avemo_harness.recognizers.corpora import open_corpus

    if spec == "demo":
        from avemo_harness.build.demo import demo_release

        folder = demo_release(paths.cache_dir(), _say)
        corpus = replace(open_corpus(f"release:{folder},config=demo"), name="the built-in demo")
    else:
        corpus = open_corpus(spec)
    for dropped in corpus.dropped:
        _say(f"left out {dropped.count}: {dropped.reason}")
    return corpus


def _method(args: argparse.Namespace, corpus: Corpus) -> Method:
    from avemo_harness import paths
    from avemo_harness.errors import UsageError
    from avemo_harness.recognizers.continuous.experiment import Method
    from avemo_harness.recognizers.continuous.training import Settings
    from avemo_harness.recognizers.extractors import make_extractor
    from avemo_harness.recognizers.feature_cache import FeatureCache
    from avemo_harness.recognizers.feature_set import FeatureSet

    given = args.delay_s or ("auto" if corpus.rated_live else "0")
    try:
        delay_s = None if given == "auto" else float(given)
    except ValueError as error:
        raise UsageError(f"--delay_s {given}: expected seconds or auto") from error
    extractors = tuple(make_extractor(spec) for spec in _extractor_specs(args))
    features = FeatureSet(extractors, FeatureCache(paths.cache_dir() / "features"))
    return Method(features, Settings(seed=args.seed), delay_s, getattr(args, "folds", 1), _say)


def _extractor_specs(args: argparse.Namespace) -> tuple[str, ...]:
    return tuple(args.extractor or DEFAULT_EXTRACTORS)


def _splits(args: argparse.Namespace, corpus: Corpus) -> tuple[SplitName, ...]:
    if args.split in ("subject-wise", "official"):
        return (args.split,)
    has_parts = any(one.part == "train" for one in corpus.rated)
    return ("subject-wise", "official") if has_parts or args.split == "both" else ("subject-wise",)


def _load(folder: Path) -> ContinuousRecognizer:
    from avemo_harness import paths
    from avemo_harness.recognizers.continuous.checkpoint import load_checkpoint

    return load_checkpoint(folder, paths.cache_dir())


def _read_clip(path: Path) -> Clip:
    from avemo_harness.benchmark.release import Clip
    from avemo_harness.errors import UsageError

    try:
        return Clip.from_bytes(path.read_bytes(), str(path))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error


def _write(path: Path, text: str) -> None:
    from avemo_harness.paths import write_atomically

    write_atomically(path, text)
    _say(f"wrote {path}")


def _say(sentence: str) -> None:
    if rank() == 0:
        print(sentence, file=sys.stderr, flush=True)
