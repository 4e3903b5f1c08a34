"""`avemo-eval recognizer`: train, evaluate or apply a recogniser of labels or of trajectories."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from avemo_harness.cli.choices import show_unjudged_runs
from avemo_harness.cli.options import Command
from avemo_harness.cli.output import rank, say
from avemo_harness.errors import UsageError
from avemo_harness.files import cache_dir, require_new_folder, write_atomically
from avemo_harness.recognizers.anchors import ANCHORS_EXAMPLE

if TYPE_CHECKING:
    from avemo_harness.benchmark.release import Release
    from avemo_harness.recognizers.features.feature_set import FeatureSet
    from avemo_harness.recognizers.heads import trajectory_evaluation
    from avemo_harness.recognizers.heads.labels import LabelSettings
    from avemo_harness.recognizers.heads.training import Method
    from avemo_harness.recognizers.heads.trajectory import TrajectorySettings
    from avemo_harness.recognizers.judging import TrajectoryJudge
    from avemo_harness.recognizers.placement import Placement
    from avemo_harness.recognizers.recordings import Corpus, Dropped, Modality, Part, Recording, SplitName

EXTRACTORS = {"continuous": ("builtin-sound", "builtin-face"), "categorical": ("clip-sound", "clip-face")}
"""Of each kind of recogniser, where none are given."""


def make_features(specs: Sequence[str]) -> FeatureSet:
    from avemo_harness.recognizers.features import make_extractor
    from avemo_harness.recognizers.features.feature_set import FeatureCache, FeatureSet

    return FeatureSet(tuple(make_extractor(spec) for spec in specs), FeatureCache(cache_dir() / "features"))


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


def train(args: argparse.Namespace, corpus: Corpus, kind: str) -> None:
    from avemo_harness.recognizers.checkpoint import NOT_EMPTY, save_recognizer
    from avemo_harness.recognizers.heads.label_evaluation import train_categorical
    from avemo_harness.recognizers.heads.trajectory_evaluation import train_on

    require_new_folder(args.out, NOT_EMPTY)
    recognizer = (
        train_on(corpus, _trajectory_method(args), _delay_s(args, corpus))
        if kind == "continuous"
        else train_categorical(corpus, _label_method(args))
    )
    if rank() == 0:
        save_recognizer(recognizer, args.extractor or EXTRACTORS[kind], args.out)
        print("\n".join(recognizer.card.lines()))
        advice = f"; avemo-eval judge RUN --recognizer {args.out}" if kind == "continuous" else ""
        print(f"kept in {args.out}{advice}")
        if kind == "continuous":
            print(f"for every later run: {shlex.join(['avemo-eval', 'judge', 'use', str(args.out)])}")
            show_unjudged_runs(str(args.out))


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


def evaluate_labels(args: argparse.Namespace, corpus: Corpus) -> None:
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
        method = _label_method(args)
        normalise = within_speakers if args.normalise == "speaker" else as_they_are
        found = tuple(evaluation for split in splits for evaluation in evaluations[split](corpus, method, normalise))
    if rank() != 0:
        return
    print("\n".join(recognition_table(found)))
    if args.out is not None:
        write_json(args.out, {"corpus": corpus.name, "recognitions": [asdict(recognition) for recognition in found]})


def _label_method(args: argparse.Namespace) -> Method[LabelSettings]:
    from avemo_harness.recognizers.heads.labels import LabelSettings
    from avemo_harness.recognizers.heads.training import Method

    return Method(make_features(args.extractor or EXTRACTORS["categorical"]), LabelSettings(seed=args.seed), say)


def evaluate_trajectories(args: argparse.Namespace, corpus: Corpus) -> None:
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
        method, delay_s = _trajectory_method(args), _delay_s(args, corpus)
        splits = chosen_splits(args.split, (recording.part for recording in corpus.rated))
        evaluate = partial(trajectory_evaluation.evaluate_split, method=method, delay_s=delay_s, n_folds=args.folds)
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
    """The judge of that name or folder; the embedded one is trained on the demo where it is not there yet."""
    from avemo_harness.benchmark.release_loader import load_release
    from avemo_harness.recognizers.judging import JudgeSetup, open_judge

    def demo_training() -> Release:
        from avemo_harness.data.synthesis.demo import demo_release

        return load_release(str(demo_release(cache_dir(), say)), "demo", "train")

    return open_judge(name, JudgeSetup(demo_training, cache_dir(), say))


def _trajectory_method(args: argparse.Namespace) -> Method[TrajectorySettings]:
    from avemo_harness.recognizers.heads.training import Method
    from avemo_harness.recognizers.heads.trajectory import TrajectorySettings

    return Method(make_features(args.extractor or EXTRACTORS["continuous"]), TrajectorySettings(seed=args.seed), say)


def _delay_s(args: argparse.Namespace, corpus: Corpus) -> float | None:
    """By how much ratings are moved earlier, in seconds; None to estimate it."""
    if args.delay_s and corpus.placement is not None:
        raise UsageError("--delay_s moves ratings that came late, and labels stand still; leave it out")
    given = args.delay_s or ("auto" if corpus.rated_live else "0")
    try:
        return None if given == "auto" else float(given)
    except ValueError as error:
        raise UsageError(f"--delay_s {given}: expected seconds or auto") from error


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
        learning.add_argument(
            "--corpus",
            required=True,
            action="append",
            metavar="NAME:PATH",
            help="what to learn from: demo, or one of `avemo-eval ls corpora` with its path and ,key=value arguments "
            "(labelled-clips: the table that `data import folder` reads); with --kind continuous it may be repeated: "
            "each corpus then counts as much as any other",
        )
        learning.add_argument(
            "--extractor",
            action="append",
            metavar="NAME[:key=value,…]",
            help="features of its input, may be repeated; see `avemo-eval ls extractors` (default: the built-in ones)",
        )
        learning.add_argument(
            "--kind",
            choices=EXTRACTORS,
            help="continuous: a judge of valence and arousal, from ratings over time or from labels by their anchors; "
            "categorical: a recogniser of labels (default: continuous where the corpus has ratings over time)",
        )
        learning.add_argument(
            "--anchors",
            metavar=ANCHORS_EXAMPLE,
            help="valence and arousal, 0 to 1, that stand for labels in place of the shipped ones, which cards name",
        )
        learning.add_argument(
            "--intensities",
            metavar="low=0.75,high=1.25",
            help="factors on the distance from neutral where a corpus tells the intensity of its labels (low, medium, "
            "high)",
        )
        learning.add_argument(
            "--delay_s",
            metavar="SECONDS",
            help="by how much ratings are moved earlier; `auto` searches it on training recordings "
            "(default: auto where raters followed live, else 0)",
        )
        learning.add_argument("--seed", type=int, default=0, help="of every draw")
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
    corpora = [_open_corpus(spec) for spec in args.corpus]
    kind = args.kind or _kind_of_judge(args) or _kind_of_corpora(corpora)
    corpus = _to_follow(args, corpora) if kind == "continuous" else _to_label(args, corpora)
    if args.action == "train":
        train(args, corpus, kind)
    elif kind == "continuous":
        evaluate_trajectories(args, corpus)
    else:
        evaluate_labels(args, corpus)
    return 0


def _kind_of_judge(args: argparse.Namespace) -> str | None:
    """The kind of the recogniser to evaluate; None where one is to be trained."""
    from avemo_harness.recognizers.judging import judge_folder

    name = getattr(args, "recognizer", None)
    if name is None:
        return None
    folder = judge_folder(name)
    return "continuous" if folder is None else _kind_of_folder(folder)


def _kind_of_corpora(corpora: Sequence[Corpus]) -> str:
    """Continuous where some have ratings over time, else categorical, which is said."""
    if any(corpus.rated for corpus in corpora):
        return "continuous"
    names = " and ".join(corpus.name for corpus in corpora)
    say(f"{names}: labels without ratings over time, for a recogniser of labels; a judge: --kind continuous")
    return "categorical"


def _to_follow(args: argparse.Namespace, corpora: Sequence[Corpus]) -> Corpus:
    """The corpora as one; what has labels alone gets trajectories by anchors, where there are any to go by."""
    from avemo_harness.recognizers.corpora.combining import join_corpora, rate_labels

    placement, asked = _placement(args), bool(args.anchors or args.intensities)
    if placement is None:
        return join_corpora(corpora)
    joined = join_corpora(
        [corpus if corpus.rated and not asked else rate_labels(corpus, placement) for corpus in corpora]
    )
    _say_dropped(joined, {dropped for corpus in corpora for dropped in corpus.dropped})
    if unused := set(placement.replaced) - {recording.label for recording in joined.labelled} - {"neutral"}:
        say(f"no recording has the label {' or '.join(sorted(unused))}: its anchor changes nothing")
    return joined


def _placement(args: argparse.Namespace) -> Placement | None:
    """The anchors that are asked for, or those of the judge that is evaluated, which may have none."""
    from avemo_harness.recognizers.anchors import parse_anchors
    from avemo_harness.recognizers.checkpoint import load_trajectory_recognizer
    from avemo_harness.recognizers.judging import judge_folder
    from avemo_harness.recognizers.placement import Placement, parse_intensities

    name = getattr(args, "recognizer", None)
    if name is None or args.anchors or args.intensities:
        return Placement(parse_anchors(args.anchors), parse_intensities(args.intensities))
    folder = judge_folder(name)
    if folder is None or not folder.is_dir():
        return None
    return load_trajectory_recognizer(folder, cache_dir()).card.placement


def _to_label(args: argparse.Namespace, corpora: Sequence[Corpus]) -> Corpus:
    if args.anchors or args.intensities:
        raise UsageError("--anchors and --intensities make trajectories of labels; give --kind continuous with them")
    if len(corpora) > 1:
        raise UsageError("a recogniser of labels learns from one corpus; leave the others out, or --kind continuous")
    return corpora[0]


def _kind_of_folder(folder: Path) -> str:
    from avemo_harness.recognizers.checkpoint import checkpoint_errors, read_config
    from avemo_harness.recognizers.heads.labels import LABEL_FORMAT
    from avemo_harness.recognizers.heads.trajectory import TRAJECTORY_FORMAT

    with checkpoint_errors(folder):
        config = read_config(folder, [TRAJECTORY_FORMAT, LABEL_FORMAT])
    return "continuous" if config["format"] == TRAJECTORY_FORMAT else "categorical"


def _open_corpus(spec: str) -> Corpus:
    from dataclasses import replace

    from avemo_harness.recognizers.card import DEMO_CORPUS
    from avemo_harness.recognizers.corpora import open_corpus

    if spec == "demo":
        from avemo_harness.data.synthesis.demo import demo_release

        folder = demo_release(cache_dir(), say)
        corpus = replace(open_corpus(f"release:{folder},config=demo"), name=DEMO_CORPUS)
    else:
        corpus = open_corpus(spec)
    _say_dropped(corpus)
    return corpus


def _say_dropped(corpus: Corpus, said: Collection[Dropped] = ()) -> None:
    for dropped in corpus.dropped:
        if dropped not in said:
            say(f"left out {dropped.count}: {dropped.reason}")


COMMANDS = {"recognizer": Command(RECOGNIZER_HELP, add_recognizer_arguments, execute_recognizer)}
