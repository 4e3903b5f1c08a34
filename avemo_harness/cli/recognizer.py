"""`avemo-eval recognizer`: train, evaluate or apply a recogniser of labels or of trajectories."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from avemo_harness.cli.choices import show_unjudged_runs
from avemo_harness.cli.learning import (
    Kind,
    LearningOptions,
    corpus_to_follow,
    corpus_to_label,
    delay_s,
    kind_of_corpora,
    label_method,
    open_corpus,
    trajectory_method,
)
from avemo_harness.cli.options import Command, add_options, read_options
from avemo_harness.cli.output import rank, say
from avemo_harness.errors import UsageError
from avemo_harness.files import cache_dir, require_new_folder, write_atomically

if TYPE_CHECKING:
    from avemo_harness.benchmark.release import Release
    from avemo_harness.recognizers.heads import trajectory_evaluation
    from avemo_harness.recognizers.judging import TrajectoryJudge
    from avemo_harness.recognizers.recordings import Corpus, Modality, Part, Recording, SplitName


def chosen_splits(asked: str | None, parts: Iterable[Part | None]) -> tuple[SplitName, ...]:
    """The splits to evaluate: those asked for, else both where some recordings are of a train part."""
    from avemo_harness.recognizers.recordings import SplitName

    names: tuple[SplitName, ...] = get_args(SplitName)
    if asked in names:
        return tuple(name for name in names if name == asked)
    both = asked == "both" or "train" in set(parts)
    return ("subject-wise", "official") if both else ("subject-wise",)


def read_clips(args: argparse.Namespace) -> Iterator[tuple[Path, Recording, Modality]]:
    """Read the clips of `predict`, each with the streams that the recogniser gets of it.

    Raises:
        UsageError: a file cannot be read, or lacks a stream that was asked for.
        MediaError: it is no recording.
    """
    from avemo_harness.benchmark.release import Clip
    from avemo_harness.recognizers.recordings import Recording

    for path in args.clips:
        try:
            streams = Recording.of(Clip.from_bytes(path.read_bytes(), str(path)))
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
        view = args.view or streams.views[0]
        if view not in streams.views:
            raise UsageError(f"{path}: it has no {view} to show; it has {', '.join(streams.views)}")
        yield path, streams, view


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    write_file(path, json.dumps(values, indent=1, allow_nan=False) + "\n")


def write_figure(path: Path, result: trajectory_evaluation.SplitResult) -> None:
    from avemo_harness.recognizers.recordings import MODALITY_NAMES
    from avemo_harness.report.figures import draw_ratings

    recordings = [
        (
            predicted.recording.recording_id,
            predicted.recording.trajectory,
            {MODALITY_NAMES[view]: values for view, values in predicted.values.items()},
        )
        for predicted in result.predicted
    ]
    write_file(path, draw_ratings(recordings))


def write_file(path: Path, text: str | bytes) -> None:
    write_atomically(path, text)
    say(f"wrote {path}")


def train(options: LearningOptions, corpus: Corpus, kind: Kind, out: Path) -> None:
    from avemo_harness.recognizers.checkpoint import NOT_EMPTY, save_recognizer
    from avemo_harness.recognizers.heads.label_evaluation import train_categorical
    from avemo_harness.recognizers.heads.trajectory_evaluation import train_on

    require_new_folder(out, NOT_EMPTY)
    recognizer = (
        train_on(corpus, trajectory_method(options), delay_s(options, corpus))
        if kind == "continuous"
        else train_categorical(corpus, label_method(options))
    )
    if rank() == 0:
        save_recognizer(recognizer, options.extractors(kind), out)
        print("\n".join(recognizer.card.lines()))
        advice = f"; avemo-eval judge RUN --recognizer {out}" if kind == "continuous" else ""
        print(f"kept in {out}{advice}")
        if kind == "continuous":
            print(f"for every later run: {shlex.join(['avemo-eval', 'judge', 'use', str(out)])}")
            show_unjudged_runs(str(out))


def predict(args: argparse.Namespace) -> None:
    """Print the probability of each label, or the trajectory, for each clip."""
    import numpy as np

    from avemo_harness.recognizers.checkpoint import load_label_recognizer, load_trajectory_recognizer

    values: dict[str, Any]
    if _kind_of_folder(args.recognizer) == "continuous":
        judge = load_trajectory_recognizer(args.recognizer, cache_dir())
        for path, streams, view in read_clips(args):
            found = judge.trajectory(streams, view)
            values = {name: found.column(name).round(4).tolist() for name in found.columns}
            print(json.dumps({"clip": str(path), "view": view, "rate_hz": found.rate_hz, **values}))
    else:
        recognizer = load_label_recognizer(args.recognizer, cache_dir())
        for path, streams, view in read_clips(args):
            shares = np.exp(recognizer.log_probabilities(streams, view)).round(4).tolist()
            print(json.dumps({"clip": str(path), "view": view, **dict(zip(recognizer.labels, shares, strict=True))}))


def evaluate_labels(args: argparse.Namespace, options: LearningOptions, corpus: Corpus) -> None:
    """Print Table 1 of the paper for a corpus; ``--out`` gets the same numbers as JSON."""
    from avemo_harness.recognizers.checkpoint import load_label_recognizer
    from avemo_harness.recognizers.heads import label_evaluation
    from avemo_harness.recognizers.heads.label_evaluation import evaluate_categorical
    from avemo_harness.recognizers.heads.labels import as_they_are, within_speakers
    from avemo_harness.recognizers.tables import recognition_table

    if args.figure is not None:
        raise UsageError("--figure draws ratings over time; leave it out for labels")
    if args.recognizer is not None:
        recognizer = load_label_recognizer(Path(args.recognizer).expanduser(), cache_dir())
        print("\n".join(recognizer.card.lines()))
        found = evaluate_categorical(recognizer, corpus.labelled)
    else:
        evaluations = {
            "official": label_evaluation.evaluate_official,
            "subject-wise": label_evaluation.leave_one_speaker_out,
        }
        splits = chosen_splits(args.split, (recording.part for recording in corpus.labelled))
        method = label_method(options)
        normalise = within_speakers if args.normalise == "speaker" else as_they_are
        found = tuple(evaluation for split in splits for evaluation in evaluations[split](corpus, method, normalise))
    if rank() != 0:
        return
    print("\n".join(recognition_table(found)))
    if args.out is not None:
        write_json(args.out, {"corpus": corpus.name, "recognitions": [asdict(recognition) for recognition in found]})


def evaluate_trajectories(args: argparse.Namespace, options: LearningOptions, corpus: Corpus) -> None:
    """Print Tables 3 and 4 of the paper for a corpus, and what is told apart; ``--figure`` gets its Figure 2."""
    from avemo_harness.recognizers import tables
    from avemo_harness.recognizers.heads import trajectory_evaluation
    from avemo_harness.recognizers.heads.trajectory import ContinuousRecognizer
    from avemo_harness.recognizers.judge_evaluation import evaluate_judge

    if args.figure is not None:
        if not corpus.rated:
            raise UsageError(f"--figure draws ratings over time, and {corpus.name} has none; leave it out")
        from avemo_harness.report.figures import require_matplotlib

        require_matplotlib()
    if args.recognizer is not None:
        judge = _open_judge(args.recognizer)
        print("\n".join(map(str, judge.card_values.get("lines", ()))))
        if isinstance(judge, ContinuousRecognizer):
            results = [trajectory_evaluation.evaluate_trained(judge, corpus)]
        else:
            results = [evaluate_judge(judge, corpus, say)]
    else:
        splits = chosen_splits(args.split, (recording.part for recording in corpus.rated))
        evaluate = partial(
            trajectory_evaluation.evaluate_split,
            method=trajectory_method(options),
            delay_s=delay_s(options, corpus),
            n_folds=args.folds,
        )
        results = [evaluate(corpus, split) for split in splits]
    if rank() != 0:
        return
    rated = [result for result in results if result.predicted]
    parts = [tables.modalities_table(rated)] if rated else []
    parts += [tables.systems_table(result) for result in rated if result.split == "subject-wise"]
    print("\n\n".join("\n".join(part) for part in [*parts, tables.discrimination_table(results)] if part))
    if corpus.placement is not None:
        print("\n" + "\n".join(corpus.placement.lines()))
    if args.figure is not None:
        write_figure(args.figure, results[0])
    if args.out is not None:
        write_json(args.out, trajectory_evaluation.as_json(corpus, results))


def _open_judge(name: str) -> TrajectoryJudge:
    """The judge of that name or folder; the embedded one comes trained on the demo."""
    from avemo_harness.benchmark.release_loader import load_release
    from avemo_harness.recognizers.judging import JudgeSetup, open_judge

    def demo_training() -> Release:
        from avemo_harness.data.synthesis.demo import demo_release

        return load_release(str(demo_release(cache_dir(), say, ["train"])), "demo", "train")

    def demo_digest() -> str:
        from avemo_harness.data.synthesis.demo import training_digest

        return training_digest()

    return open_judge(name, JudgeSetup(demo_training, cache_dir(), say, demo_digest=demo_digest))


RECOGNIZER_HELP = """Train, evaluate or apply a recogniser of emotion: the judge of spoken replies.

avemo-eval recognizer train    --corpus recola:DIR --out my_judge
avemo-eval recognizer train    --kind continuous --corpus ravdess:DIR --corpus crema-d:DIR --out my_judge
avemo-eval recognizer evaluate --corpus recola:DIR --figure figure2.svg
avemo-eval recognizer predict  my_judge CLIP ...
"""


def add_recognizer_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="{train,evaluate,predict}")
    train = actions.add_parser("train", help="train one and keep it in a folder")
    evaluate = actions.add_parser("evaluate", help="train and test by split, or test one that is trained")
    predict = actions.add_parser("predict", help="print what a trained one follows in clips, a JSON line each")
    for learning in (train, evaluate):
        add_options(learning, LearningOptions)
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
    evaluate.add_argument(
        "--recognizer",
        metavar="NAME_OR_DIR",
        help="test this one instead of training any: the folder of one, or a judge of `avemo-eval ls judges`",
    )
    evaluate.add_argument("--figure", type=Path, metavar="FILE.svg", help="draw ratings over time and predictions")
    evaluate.add_argument("--out", type=Path, metavar="FILE.json", help="write figures and folds")
    predict.add_argument("recognizer", type=Path, metavar="DIR", help="folder of a trained recogniser")
    predict.add_argument("clips", type=Path, nargs="+", metavar="CLIP", help="sound or video files")
    predict.add_argument(
        "--view", choices=("both", "audio", "video"), help="what it is shown (default: all that the clip has)"
    )


def execute_recognizer(args: argparse.Namespace) -> int:
    if args.action == "predict":
        predict(args)
        return 0
    options = read_options(args, LearningOptions)
    judge: str | None = args.recognizer if args.action == "evaluate" else None
    corpora = [open_corpus(spec) for spec in options.corpus]
    kind = options.kind or _kind_of_judge(judge) or kind_of_corpora(corpora)
    continuous = kind == "continuous"
    corpus = corpus_to_follow(options, judge, corpora) if continuous else corpus_to_label(options, corpora)
    if args.action == "train":
        train(options, corpus, kind, args.out)
    elif continuous:
        evaluate_trajectories(args, options, corpus)
    else:
        evaluate_labels(args, options, corpus)
    return 0


def _kind_of_judge(name: str | None) -> Kind | None:
    """The kind of the recogniser to evaluate; None where one is to be trained."""
    from avemo_harness.recognizers.judging import judge_folder

    if name is None:
        return None
    folder = judge_folder(name)
    return "continuous" if folder is None else _kind_of_folder(folder)


def _kind_of_folder(folder: Path) -> Kind:
    from avemo_harness.recognizers.checkpoint import checkpoint_errors, read_config
    from avemo_harness.recognizers.heads.labels import LABEL_FORMAT
    from avemo_harness.recognizers.heads.trajectory import TRAJECTORY_FORMAT

    with checkpoint_errors(folder):
        config = read_config(folder, [TRAJECTORY_FORMAT, LABEL_FORMAT])
    return "continuous" if config["format"] == TRAJECTORY_FORMAT else "categorical"


COMMANDS = {"recognizer": Command(RECOGNIZER_HELP, add_recognizer_arguments, execute_recognizer)}
