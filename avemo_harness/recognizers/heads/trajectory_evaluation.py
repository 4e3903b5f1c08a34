"""Train and evaluate trajectory recognisers under a split: the paper's Tables 3 and 4, Figure 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from avemo_harness.errors import UsageError
from avemo_harness.metrics.agreement import (
    concordance,
    concordance_with_labels,
    correlation,
    root_mean_square_error,
    series_moments,
)
from avemo_harness.metrics.bootstrap import ClusterBootstrap
from avemo_harness.metrics.classification import Floats
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.recognizers.card import Agreement, Discrimination
from avemo_harness.recognizers.discrimination import measure_discrimination
from avemo_harness.recognizers.features.base import RATE_HZ
from avemo_harness.recognizers.features.feature_set import FeatureSet, fit_scaling
from avemo_harness.recognizers.heads.averaging import averaged_network
from avemo_harness.recognizers.heads.training import Method
from avemo_harness.recognizers.heads.trajectory import (
    DIMENSIONS,
    ContinuousRecognizer,
    TrajectorySettings,
    balance_text,
    calibrated_on,
    fingerprint,
    make_examples,
    train_recognizer,
)
from avemo_harness.recognizers.recordings import (
    MODALITIES,
    Corpus,
    Fold,
    LabelledRecording,
    Modality,
    RatedRecording,
    SplitName,
    by_corpus,
    official_fold,
    subject_wise_folds,
    training_fold,
    validation_folds,
)

_LONGEST_DELAY_S = 6.0
_RIDGE = 10.0
_DELAY_FOLDS = 3
_MEMBERS = 4


def shift_ratings(recording: RatedRecording, delay_s: float) -> RatedRecording:
    """The recording with its ratings moved earlier, rounded to half seconds; as many are lost at the end."""
    steps = round(delay_s * RATE_HZ)
    trajectory = recording.trajectory
    return replace(recording, trajectory=replace(trajectory, values=trajectory.values[steps:]))


def estimate_annotation_delay(recordings: Sequence[RatedRecording], features: FeatureSet) -> float:
    """The delay in seconds, up to 6, at which ratings are best predicted from the rows of the same time.

    Judged by ridge regression from the largest view, over folds of groups, mean CCC of valence and arousal. All delays
    are compared on equally many values. Search on training recordings only.

    Raises:
        MediaError: a recording cannot be read.
    """
    most = round(_LONGEST_DELAY_S * RATE_HZ)
    usable = [one for one in recordings if len(one.trajectory) > 2 * most and one.streams.views]
    if len({one.group for one in usable}) < 2:
        return 0.0
    rows, rated, groups = [], [], []
    for one in usable:
        count = len(one.trajectory) - most
        rows.append(features.rows(one.streams, len(one.trajectory), one.streams.views[0])[:count])
        values = np.column_stack([one.trajectory.column(name) for name in DIMENSIONS])
        rated.append(np.concatenate([values[lag : lag + count] for lag in range(most + 1)], axis=1))
        groups += [one.group] * count
    truth = np.concatenate(rated)
    predicted = _predict_held_out(np.concatenate(rows).astype(np.float64), truth, groups)
    moments = np.stack([series_moments(predicted[:, i], truth[:, i]) for i in range(truth.shape[1])])
    scores = np.nanmean(concordance(moments).reshape(most + 1, len(DIMENSIONS)), axis=1)
    return float(np.argmax(scores) / RATE_HZ)


def _predict_held_out(rows: Floats, rated: Floats, groups: Sequence[str]) -> Floats:
    """Ridge regression of every column of ratings, rows of a fold predicted from those of the others: (N, columns)."""
    _, members = np.unique(np.array(groups, dtype=np.str_), return_inverse=True)
    folds = members % _DELAY_FOLDS
    predicted = np.zeros_like(rated)
    for fold in np.unique(folds):
        learned = folds != fold
        mean, deviation = rows[learned].mean(axis=0), rows[learned].std(axis=0) + 1e-6
        scaled, centre = (rows - mean) / deviation, rated[learned].mean(axis=0)
        x = scaled[learned]
        weights = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ (rated[learned] - centre))
        predicted[~learned] = scaled[~learned] @ weights + centre
    return predicted


def predict(recognizer: ContinuousRecognizer, recordings: Sequence[RatedRecording]) -> list[dict[Modality, Floats]]:
    """The trajectories of each recording under each of its views: (T, 2), as many values as it has ratings.

    Raises:
        MediaError: a recording cannot be read.
    """
    found = []
    for one in recordings:
        rows = recognizer.features.views(one.streams, len(one.trajectory))
        found.append({view: recognizer.predict(of_view, view).values for view, of_view in rows.items()})
    return found


def agreements(
    recordings: Sequence[RatedRecording], predicted: Sequence[Mapping[Modality, Floats]], part: str
) -> tuple[Agreement, ...]:
    """Agreement of predicted trajectories with the ratings; a recording counts where it has the view.

    Args:
        part: what the recordings are called on the card.
    """
    found = []
    for view in MODALITIES:
        for column, dimension in enumerate(DIMENSIONS):
            moments = [
                series_moments(values[view][:, column], one.trajectory.column(dimension))
                for one, values in zip(recordings, predicted, strict=True)
                if view in values
            ]
            if not moments:
                continue
            table = np.stack(moments)
            total, of_recordings = table.sum(axis=0), concordance_with_labels(table)
            estimate = ClusterBootstrap(table).estimate(concordance, low=-1.0)
            found.append(
                Agreement(
                    part=part,
                    view=view,
                    dimension=dimension,
                    ccc=estimate.value,
                    ccc_low=estimate.ci_low,
                    ccc_high=estimate.ci_high,
                    ccc_of_recordings=_mean(of_recordings),
                    rmse=_mean(root_mean_square_error(total[None])),
                    pearson=_mean(correlation(total[None])),
                    n_recordings=len(moments),
                    n_values=int(total[0]),
                    n_constant=int(np.isnan(of_recordings).sum()),
                )
            )
    return tuple(found)


def _mean(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


TrajectoryMethod = Method[TrajectorySettings]


@dataclass(frozen=True, slots=True, eq=False)
class TrajectoryPrediction:
    """An evaluated recording, its ratings moved as for training, and what was predicted under each view: (T, 2)."""

    recording: RatedRecording
    fold: int
    values: Mapping[Modality, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class SplitResult:
    """Held-out evaluation of recognisers.

    Args:
        split: what the recordings are called.
        delays_s: by how much ratings were moved, fold by fold.
        discrimination: in a cross-validation, of pairs within each fold.
    """

    split: str
    agreements: tuple[Agreement, ...]
    predicted: tuple[TrajectoryPrediction, ...]
    delays_s: tuple[float, ...]
    discrimination: tuple[Discrimination, ...] = ()


def evaluate_split(
    corpus: Corpus, split: SplitName, method: TrajectoryMethod, delay_s: float | None = 0.0, n_folds: int = 5
) -> SplitResult:
    """Train on each fold and evaluate what it left out; agreement is over all folds together.

    Args:
        delay_s: by how much ratings are moved earlier; None searches it on each fold's training recordings.
        n_folds: of the subject-wise split.

    Raises:
        UsageError: the corpus has no official parts, or too few groups.
        MediaError: a recording cannot be read.
    """
    seed = method.settings.seed
    official = split == "official"
    folds = (official_fold(corpus.rated, seed),) if official else subject_wise_folds(corpus.rated, n_folds, seed)
    predicted: list[TrajectoryPrediction] = []
    delays = []
    for number, fold in enumerate(folds):
        if len(folds) > 1:
            method.say(f"fold {number + 1} of {len(folds)}")
        recognizer, _ = _train(fold, corpus, method, delay_s)
        predicted += _predictions(recognizer, fold.test, number)
        delays.append(recognizer.card.training.delay_s)
    return split_result(split, predicted, delays, corpus)


def evaluate_trained(recognizer: ContinuousRecognizer, corpus: Corpus) -> SplitResult:
    """Evaluate a recogniser on a corpus' test part, or all of it where it has none, ratings moved as in its training.

    Recordings that have a label and no ratings count for what it tells apart alone. Whether it was trained on these
    recordings is not known here; its card names its training data.

    Raises:
        UsageError: there is nothing rated or labelled.
        MediaError: a recording cannot be read.
    """
    rated, labelled, part = recordings_to_evaluate(corpus)
    followed = [{view: recognizer.trajectory(one.streams, view) for view in one.streams.views} for one in labelled]
    predicted = _predictions(recognizer, rated, 0)
    delays = [recognizer.card.training.delay_s] if rated else []
    return split_result(part, predicted, delays, corpus, labelled, followed)


def recordings_to_evaluate(corpus: Corpus) -> tuple[Sequence[RatedRecording], Sequence[LabelledRecording], str]:
    """Rated recordings, those that are labelled alone, and what they are called: the test part, or all of them.

    Raises:
        UsageError: there is nothing rated or labelled.
    """
    if not corpus.rated and not corpus.labelled:
        raise UsageError(f"{corpus.name}: none of its recordings is rated or labelled")
    known = {one.recording_id for one in corpus.rated}
    alone = [one for one in corpus.labelled if one.recording_id not in known]
    rated = [one for one in corpus.rated if one.part == "test"]
    labelled = [one for one in alone if one.part == "test"]
    if rated or labelled:
        return rated, labelled, "test part"
    return corpus.rated, alone, "all recordings"


def train_on(corpus: Corpus, method: TrajectoryMethod, delay_s: float | None = 0.0) -> ContinuousRecognizer:
    """Train one recogniser; its card tells how it agrees with the ratings of recordings that it was not trained on.

    Raises:
        UsageError: too few groups.
        MediaError: a recording cannot be read.
    """
    fold = training_fold(corpus.rated, method.settings.seed)
    if left := len(corpus.rated) - sum(map(len, (fold.training, fold.validation, fold.test))):
        method.say(f"neither learned from nor tested: {left} recordings of a part with speakers of another part")
    recognizer, validated = _train(fold, corpus, method, delay_s)
    if recognizer.card.no_calibration:
        method.say(
            f"the recogniser has no calibration: {recognizer.card.no_calibration}; it judges under every profile but "
            "`calibrated`"
        )
    tested = _predictions(recognizer, fold.test, 0)
    found = [
        result
        for part, predicted in (("validation", validated), ("test", tested))
        if predicted
        for result in _results_by_corpus(part, predicted, corpus)
    ]
    card = replace(
        recognizer.card,
        agreements=tuple(one for result in found for one in result.agreements),
        discrimination=tuple(one for result in found for one in result.discrimination),
        placement=corpus.placement,
        embedded=corpus.is_builtin,
    )
    return replace(recognizer, card=card)


def _results_by_corpus(part: str, predicted: Sequence[TrajectoryPrediction], corpus: Corpus) -> list[SplitResult]:
    """The result of all recordings, after that of each corpus where several were joined."""
    names = by_corpus([one.recording for one in predicted])
    found = [
        split_result(f"{part} of {name}", [one for one in predicted if one.recording.corpus == name], (), corpus)
        for name in (names if len(names) > 1 else ())
    ]
    return [*found, split_result(part, predicted, (), corpus)]


def _train(
    fold: Fold, corpus: Corpus, method: TrajectoryMethod, delay_s: float | None
) -> tuple[ContinuousRecognizer, list[TrajectoryPrediction]]:
    """Train on a fold; also what is predicted for those who stopped the training, by what they stopped.

    What a network learns of labels hangs on its seed and on who is held out. So there are several, each validated on
    other speakers, unless the corpus says who is to validate.
    """
    if corpus.placement is not None and not any(one.part == "validation" for one in fold.validation):
        return _train_members((*fold.training, *fold.validation), corpus, method)
    recognizer = train_fold(fold, corpus, method, delay_s)
    return recognizer, _predictions(recognizer, fold.validation, 0)


def _train_members(
    learned: Sequence[RatedRecording], corpus: Corpus, method: TrajectoryMethod
) -> tuple[ContinuousRecognizer, list[TrajectoryPrediction]]:
    """Networks that are each validated on other speakers, as one recogniser; and what each predicts for its own."""
    features, settings, say = method.features, method.settings, method.say
    folds = validation_folds(learned, _MEMBERS, settings.seed)
    scaling = fit_scaling([one.rows for one in make_examples(learned, features, say)], features.column_mask)
    members: list[ContinuousRecognizer] = []
    predicted: list[TrajectoryPrediction] = []
    for number, fold in enumerate(folds):
        say(f"network {number + 1} of {len(folds)}")
        seeded = replace(settings, seed=settings.seed + number)
        parts = (fold.training, fold.validation)
        members.append(train_recognizer(*parts, features, corpus.name, seeded, say, scaling))
        predicted += _predictions(members[-1], fold.validation, number)
    training = replace(
        members[0].card.training,
        fingerprint=fingerprint(learned),
        split=f"{len(members)} networks, each validated on other speakers{balance_text(learned)}",
    )
    whole = replace(
        members[0],
        weights=averaged_network([member.weights for member in members]),
        calibration=None,
        card=replace(members[0].card, training=training, no_calibration=None),
    )
    heard = [Trajectory(next(iter(one.values.values())), DIMENSIONS, "unit", RATE_HZ) for one in predicted]
    return calibrated_on(whole, heard, "predictions"), predicted


def train_fold(fold: Fold, corpus: Corpus, method: TrajectoryMethod, delay_s: float | None) -> ContinuousRecognizer:
    """Train on a fold's training part; the card tells by what delay its ratings were moved."""
    if delay_s is None:
        delay_s = estimate_annotation_delay(fold.training, method.features)
    training, validation = ([shift_ratings(one, delay_s) for one in part] for part in (fold.training, fold.validation))
    trained = train_recognizer(training, validation, method.features, corpus.name, method.settings, method.say)
    card = replace(trained.card, training=replace(trained.card.training, delay_s=delay_s))
    return replace(trained, card=card)


def as_json(corpus: Corpus, results: Sequence[SplitResult]) -> dict[str, Any]:
    """The figures of an evaluation, which fold each recording was evaluated in, and where labels lie, JSON-ready."""
    placement = {"placement": asdict(corpus.placement)} if corpus.placement else {}
    return {
        "corpus": corpus.name,
        **placement,
        "splits": [
            {
                "split": result.split,
                "delays_s": list(result.delays_s),
                "agreements": [asdict(one) for one in result.agreements],
                "discrimination": [asdict(one) for one in result.discrimination],
                "folds": {one.recording.recording_id: one.fold for one in result.predicted},
            }
            for result in results
        ],
    }


def _predictions(
    recognizer: ContinuousRecognizer, test: Sequence[RatedRecording], fold: int
) -> list[TrajectoryPrediction]:
    moved = [shift_ratings(one, recognizer.card.training.delay_s) for one in test]
    found = predict(recognizer, moved)
    return [TrajectoryPrediction(one, fold, values) for one, values in zip(moved, found, strict=True)]


def split_result(
    split: str,
    predicted: Sequence[TrajectoryPrediction],
    delays_s: Sequence[float],
    corpus: Corpus,
    labelled: Sequence[LabelledRecording] = (),
    followed: Sequence[Mapping[Modality, Trajectory]] = (),
) -> SplitResult:
    """Agreement with ratings and discrimination of labels, of recordings that are called by the name of a split.

    Args:
        corpus: which knows the labels of the recordings.
        labelled, followed: recordings that are not rated, and their trajectories by view.
    """
    rated = [one.recording for one in predicted]
    trajectories = [
        {view: Trajectory(values, DIMENSIONS, "unit", RATE_HZ) for view, values in one.values.items()}
        for one in predicted
    ]
    discrimination = measure_discrimination(
        [*rated, *labelled],
        [*trajectories, *followed],
        {one.recording_id: one.label for one in corpus.labelled},
        split,
        [*(one.fold for one in predicted), *(0 for _ in labelled)],
    )
    found = agreements(rated, [one.values for one in predicted], split)
    return SplitResult(split, found, tuple(predicted), tuple(delays_s), discrimination)
