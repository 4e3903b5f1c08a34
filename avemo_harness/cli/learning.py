"""Corpora, features and methods that `avemo-eval recognizer` trains and evaluates with, by its options."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from avemo_harness.cli.output import say
from avemo_harness.errors import UsageError
from avemo_harness.files import cache_dir
from avemo_harness.options import option
from avemo_harness.recognizers.anchors import ANCHORS_EXAMPLE

if TYPE_CHECKING:
    from avemo_harness.recognizers.features.feature_set import FeatureSet
    from avemo_harness.recognizers.heads.labels import LabelSettings
    from avemo_harness.recognizers.heads.training import Method
    from avemo_harness.recognizers.heads.trajectory import TrajectorySettings
    from avemo_harness.recognizers.placement import Placement
    from avemo_harness.recognizers.recordings import Corpus, Dropped

Kind = Literal["continuous", "categorical"]
EXTRACTORS: dict[Kind, tuple[str, ...]] = {
    "continuous": ("builtin-sound", "builtin-face"),
    "categorical": ("clip-sound", "clip-face"),
}
"""Of each kind of recogniser, where none are given."""


@dataclass(frozen=True, slots=True)
class LearningOptions:
    """Options of `recognizer train` and `recognizer evaluate`."""

    corpus: tuple[str, ...] = field(
        metadata=option(
            "what to learn from: demo, or one of `avemo-eval ls corpora` with its path and ,key=value arguments "
            "(labelled-clips: the table that `data import folder` reads); with --kind continuous it may be repeated: "
            "each corpus then counts as much as any other",
            metavar="NAME:PATH",
        )
    )
    extractor: tuple[str, ...] = field(
        default=(),
        metadata=option(
            "features of its input, may be repeated; see `avemo-eval ls extractors` (default: the built-in ones)",
            metavar="NAME[:key=value,…]",
        ),
    )
    kind: Kind | None = field(
        default=None,
        metadata=option(
            "continuous: a judge of valence and arousal, from ratings over time or from labels by their anchors; "
            "categorical: a recogniser of labels (default: continuous where the corpus has ratings over time)"
        ),
    )
    anchors: str | None = field(
        default=None,
        metadata=option(
            "valence and arousal, 0 to 1, that stand for labels in place of the shipped ones, which cards name",
            metavar=ANCHORS_EXAMPLE,
        ),
    )
    intensities: str | None = field(
        default=None,
        metadata=option(
            "factors on the distance from neutral where a corpus tells the intensity of its labels (low, medium, high)",
            metavar="low=0.75,high=1.25",
        ),
    )
    delay_s: str | None = field(
        default=None,
        metadata=option(
            "by how much ratings are moved earlier; `auto` searches it on training recordings "
            "(default: auto where raters followed live, else 0)",
            metavar="SECONDS",
        ),
    )
    seed: int = field(default=0, metadata=option("of every draw"))

    def extractors(self, kind: Kind) -> tuple[str, ...]:
        return self.extractor or EXTRACTORS[kind]


def _make_features(specs: Sequence[str]) -> FeatureSet:
    from avemo_harness.recognizers.features import make_extractor
    from avemo_harness.recognizers.features.feature_set import FeatureCache, FeatureSet

    return FeatureSet(tuple(make_extractor(spec) for spec in specs), FeatureCache(cache_dir() / "features"))


def label_method(options: LearningOptions) -> Method[LabelSettings]:
    from avemo_harness.recognizers.heads.labels import LabelSettings
    from avemo_harness.recognizers.heads.training import Method

    return Method(_make_features(options.extractors("categorical")), LabelSettings(seed=options.seed), say)


def trajectory_method(options: LearningOptions) -> Method[TrajectorySettings]:
    from avemo_harness.recognizers.heads.training import Method
    from avemo_harness.recognizers.heads.trajectory import TrajectorySettings

    return Method(_make_features(options.extractors("continuous")), TrajectorySettings(seed=options.seed), say)


def delay_s(options: LearningOptions, corpus: Corpus) -> float | None:
    """By how much ratings are moved earlier, in seconds; None to estimate it."""
    if options.delay_s and corpus.placement is not None:
        raise UsageError("--delay_s moves ratings that came late, and labels stand still; leave it out")
    given = options.delay_s or ("auto" if corpus.rated_live else "0")
    try:
        return None if given == "auto" else float(given)
    except ValueError as error:
        raise UsageError(f"--delay_s {given}: expected seconds or auto") from error


def open_corpus(spec: str) -> Corpus:
    from avemo_harness.recognizers import corpora
    from avemo_harness.recognizers.card import DEMO_CORPUS

    if spec == "demo":
        from avemo_harness.data.synthesis.demo import demo_release

        folder = demo_release(cache_dir(), say)
        corpus = replace(corpora.open_corpus(f"release:{folder},config=demo"), name=DEMO_CORPUS)
    else:
        corpus = corpora.open_corpus(spec)
    _say_dropped(corpus)
    return corpus


def _say_dropped(corpus: Corpus, said: Collection[Dropped] = ()) -> None:
    for dropped in corpus.dropped:
        if dropped not in said:
            say(f"left out {dropped.count}: {dropped.reason}")


def kind_of_corpora(corpora: Sequence[Corpus]) -> Kind:
    """Continuous where some have ratings over time, else categorical, which is said."""
    if any(corpus.rated for corpus in corpora):
        return "continuous"
    names = " and ".join(corpus.name for corpus in corpora)
    say(f"{names}: labels without ratings over time, for a recogniser of labels; a judge: --kind continuous")
    return "categorical"


def corpus_to_follow(options: LearningOptions, judge: str | None, corpora: Sequence[Corpus]) -> Corpus:
    """The corpora as one; what has labels alone gets trajectories by anchors, where there are any to go by."""
    from avemo_harness.recognizers.corpora.combining import join_corpora, rate_labels

    placement, asked = _placement(options, judge), bool(options.anchors or options.intensities)
    if placement is None:
        return join_corpora(corpora)
    joined = join_corpora(
        [corpus if corpus.rated and not asked else rate_labels(corpus, placement) for corpus in corpora]
    )
    _say_dropped(joined, {dropped for corpus in corpora for dropped in corpus.dropped})
    if unused := set(placement.replaced) - {recording.label for recording in joined.labelled} - {"neutral"}:
        say(f"no recording has the label {' or '.join(sorted(unused))}: its anchor changes nothing")
    return joined


def _placement(options: LearningOptions, judge: str | None) -> Placement | None:
    """The anchors that are asked for, or those of the judge that is evaluated, which may have none."""
    from avemo_harness.recognizers.anchors import parse_anchors
    from avemo_harness.recognizers.checkpoint import load_trajectory_recognizer
    from avemo_harness.recognizers.judging import judge_folder
    from avemo_harness.recognizers.placement import Placement, parse_intensities

    if judge is None or options.anchors or options.intensities:
        return Placement(parse_anchors(options.anchors), parse_intensities(options.intensities))
    folder = judge_folder(judge)
    if folder is None or not folder.is_dir():
        return None
    return load_trajectory_recognizer(folder, cache_dir()).card.placement


def corpus_to_label(options: LearningOptions, corpora: Sequence[Corpus]) -> Corpus:
    if options.anchors or options.intensities:
        raise UsageError("--anchors and --intensities make trajectories of labels; give --kind continuous with them")
    if len(corpora) > 1:
        raise UsageError("a recogniser of labels learns from one corpus; leave the others out, or --kind continuous")
    return corpora[0]
