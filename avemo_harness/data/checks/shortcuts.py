"""Shortcuts: emotions predicted from duration, loudness, noise or first frame alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness.data.checks.findings import LEAST_SHARE, Finding, Verdict
from avemo_harness.data.checks.survey import ConditionTraces, LabelledClip, SurveyedConfig
from avemo_harness.metrics.classification import Floats
from avemo_harness.recognizers.heads.logistic import group_folds

CONFIDENCE = 0.99
"""Of the chance band. Blind guesses lie above it about once in a hundred releases, as those of one classifier are more
alike than independent ones; up to five times where clips of a speaker are very much alike."""
LEAST_SPEAKERS = 5
"""With fewer, the likeness of a speaker's clips cannot be known, and blind guesses would lie above the band far more
often."""

_LEAST_SPREAD = 1e-6
_JITTER = 1e-3
_LEAST_SEEN = 2
"""Clips of an emotion that a covariance can be learned from."""


@dataclass(frozen=True, slots=True)
class Guess:
    """Accuracy at emotions of a classifier that never saw the speaker.

    Args:
        accuracy: mean over the emotions of the share that is guessed right, in [0, 1].
        chance: what guessing blindly gives.
        chance_high: the upper end of the chance band.
        n: clips.
    """

    accuracy: float
    chance: float
    chance_high: float
    n: int
    speakers: int

    @property
    def tells(self) -> bool:
        """True where the accuracy lies above the chance band."""
        return self.accuracy > self.chance_high

    @property
    def decides(self) -> bool:
        """True where the clips suffice for an accuracy of 1 to lie above the chance band."""
        return self.chance_high < 1

    def __str__(self) -> str:
        return f"{self.accuracy:.2f} (chance {self.chance:.2f}, up to {self.chance_high:.2f})"


def guess_emotions(rows: Floats, emotions: Sequence[str], speakers: Sequence[str]) -> Guess | None:
    """Guess each clip's emotion by linear discriminant analysis of other speakers' clips.

    The covariance is shrunken (Ledoit and Wolf 2004) and every emotion is as probable as any other beforehand, so that
    frequent ones are no safer guess. Emotions of fewer than two speakers are left out. The chance band is the
    binomial's, of as many independent clips as the emotions' frequencies and the likeness of a speaker's clips leave.

    Args:
        rows: (n, width).

    Returns:
        None where fewer than two emotions or `LEAST_SPEAKERS` are left.
    """
    speakers_of = {
        name: {speaker for label, speaker in zip(emotions, speakers, strict=True) if label == name}
        for name in sorted(set(emotions))
    }
    labels = [name for name, heard in speakers_of.items() if len(heard) > 1]
    kept = np.array([label in labels for label in emotions], dtype=bool)
    groups = [speaker for speaker, keep in zip(speakers, kept, strict=True) if keep]
    if len(labels) < 2 or len(set(groups)) < LEAST_SPEAKERS:
        return None
    truth = np.array([labels.index(label) for label, keep in zip(emotions, kept, strict=True) if keep])
    values = rows[kept]
    values = values[:, values.std(axis=0) > _LEAST_SPREAD]
    right = _held_out_hits(values, truth, group_folds(groups, seed=0))
    return None if right is None else assess(right, truth, groups, 1 / len(labels))


def too_few_caveat(speakers: Sequence[str]) -> str:
    """The sentence where there is no guess; `speakers` are those of each clip."""
    given = f"{len(speakers):,} clips of {len(set(speakers))} speakers"
    return f"{given} are too few: it takes {LEAST_SPEAKERS} speakers, and each emotion needs those of several"


def planted(rows: Floats, emotions: Sequence[str]) -> Floats:
    """The rows with a leak put in: each emotion lies one standard deviation further than the one before."""
    labels = sorted(set(emotions))
    steps = np.array([labels.index(label) for label in emotions], dtype=np.float64)
    leaky: Floats = rows + steps[:, None] * rows.std(axis=0)
    return leaky


def _held_out_hits(values: Floats, truth: NDArray[np.intp], folds: NDArray[np.intp]) -> NDArray[np.bool_] | None:
    """Hits by clip, bool (n,); None where a fold leaves too little of an emotion."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    labels = len(set(truth.tolist()))
    if values.shape[1] == 0:
        return np.asarray(truth == 0)  # nothing differs between clips, so that every guess is the same
    right = np.zeros(len(values), dtype=bool)
    # Numbers that are the same for every clip of an emotion would leave no covariance to divide by.
    jitter = _JITTER * np.random.default_rng(0).standard_normal(values.shape)
    for fold in np.unique(folds):
        held_out = folds == fold
        seen = values[~held_out]
        if np.bincount(truth[~held_out], minlength=labels).min() < _LEAST_SEEN:
            return None
        spread = seen.std(axis=0)
        spread = np.where(spread > _LEAST_SPREAD, spread, 1.0)
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=np.full(labels, 1 / labels))
        model.fit((seen - seen.mean(axis=0)) / spread + jitter[~held_out], truth[~held_out])
        right[held_out] = model.predict((values[held_out] - seen.mean(axis=0)) / spread) == truth[held_out]
    return right


def assess(right: NDArray[np.bool_], truth: NDArray[np.intp], groups: Sequence[str], chance: float) -> Guess:
    """Macro-averaged recall against guessing blindly, with the chance band of a binomial of the effective sample size.

    Args:
        right: which clips were guessed right, (n,).
        truth: index of each clip's emotion among all that occur, (n,); each of them occurs.
        groups: speaker of each clip; of fewer than `LEAST_SPEAKERS`, all clips are taken to be independent.
        chance: how often guessing blindly is right, in [0, 1].
    """
    from scipy.stats import binom

    counts = np.bincount(truth)
    labels = len(counts)
    recalls = np.bincount(truth, weights=right) / counts
    accuracy = float(recalls.mean())
    weights = 1 / (labels * counts[truth])
    effective = 1 / float((weights**2).sum()) / _design_effect(right - recalls[truth], weights, groups)
    trials = max(1, round(effective))
    high = float(binom.ppf((1 + CONFIDENCE) / 2, trials, chance)) / trials
    return Guess(accuracy, chance, high, len(truth), len(set(groups)))


def _design_effect(residuals: Floats, weights: Floats, groups: Sequence[str]) -> float:
    """Design effect: by how much likeness within speakers raises the variance of the accuracy; 1 where unknown."""
    names, speaker_index = np.unique(groups, return_inverse=True)
    if len(names) < LEAST_SPEAKERS:
        return 1.0
    alone = float(((weights * residuals) ** 2).sum())
    together = (
        float((np.bincount(speaker_index, weights=weights * residuals) ** 2).sum()) * len(names) / (len(names) - 1)
    )
    return max(1.0, together / alone) if alone > 0 else 1.0


def check_durations(material: SurveyedConfig) -> Finding:
    """Seconds by emotion."""
    clips = list(material.labelled())
    lengths = [max(clip.facts.sound_s or 0.0, clip.facts.video_s or 0.0) for clip in clips]
    return _check_shortcut(material, "durations", "s", clips, lengths)


def check_loudness(material: SurveyedConfig) -> Finding:
    """Levels of speech by emotion."""
    clips = [clip for clip in material.labelled() if clip.facts.level_dbfs is not None]
    return _check_shortcut(material, "loudness", "dBFS", clips, [clip.facts.level_dbfs or 0.0 for clip in clips])


def _check_shortcut(
    material: SurveyedConfig, name: str, unit: str, clips: Sequence[LabelledClip], values: Sequence[float]
) -> Finding:
    """Guess emotions from one number a clip; the control has a difference of one standard deviation put in."""
    emotions, speakers = [clip.emotion for clip in clips], [clip.speaker for clip in clips]
    table = [
        _spread(label, [value for emotion, value in zip(emotions, values, strict=True) if emotion == label])
        for label in material.labels
        if label in emotions
    ]
    guess = control = None
    if values:
        rows = np.array(values, dtype=np.float64)[:, None]
        guess = guess_emotions(rows, emotions, speakers)
        control = guess_emotions(planted(rows, emotions), emotions, speakers)
    verdict, summary = _judge_guess(
        material, speakers, guess, control, "warn", "are too few to notice a difference of a standard deviation"
    )
    if table:
        summary = ", ".join(f"{row['emotion']} {row['mean']:.1f}" for row in table) + f" {unit}: {summary}"
    details = {"unit": unit, "table": table, "guess": guess, "control": control}
    return Finding(name, material.config, verdict, summary, details)


def _judge_guess(
    material: SurveyedConfig,
    speakers: Sequence[str],
    guess: Guess | None,
    control: Guess | None,
    if_guessed: Verdict,
    if_control_fails: str,
) -> tuple[Verdict, str]:
    """The verdict on a guess and its reason; unless the positive control is guessed, nothing is known.

    Args:
        speakers: of each clip that was measured.
    """
    if guess is None or control is None:
        return "cannot tell", too_few_caveat(speakers)
    if guess.tells:
        return if_guessed, f"the emotion is guessed from it: {guess}"
    if not control.tells:
        return "cannot tell", f"{guess.n:,} clips {if_control_fails}"
    total = len(speakers) + material.unread()
    if guess.n < LEAST_SHARE * total:  # which says nothing of all
        return "cannot tell", f"{guess.n:,} of {total:,} clips could be measured, fewer than {LEAST_SHARE:.0%}"
    return "pass", f"guessed with {guess}"


def _spread(label: str, values: Sequence[float]) -> dict[str, Any]:
    return {
        "emotion": label,
        "n": len(values),
        "mean": round(float(np.mean(values)), 3),
        "deviation": round(float(np.std(values)), 3),
        "least": round(min(values), 3),
        "most": round(max(values), 3),
    }


def check_noise(material: SurveyedConfig) -> Finding:
    """Leakage of emotion through the noise that replaces speech under video_only; the control is the voice itself."""
    return _check_leak(material, "noise alone", "the voice", lambda traces: (traces.noise, traces.voice))


def check_first_frame(material: SurveyedConfig) -> Finding:
    """Leakage of emotion through the frame that audio_only repeats; the control is the frame in the clip's middle."""
    return _check_leak(
        material, "first frame alone", "a frame in the middle", lambda traces: (traces.still, traces.later_frame)
    )


def _check_leak(
    material: SurveyedConfig, name: str, control_name: str, rows_of: Callable[[ConditionTraces], tuple[Floats, Floats]]
) -> Finding:
    clips = [(clip, clip.facts.traces) for clip in material.labelled() if clip.facts.traces is not None]
    emotions, speakers = [clip.emotion for clip, _ in clips], [clip.speaker for clip, _ in clips]
    left = control = None
    if clips:
        rows, control_rows = zip(*(rows_of(traces) for _, traces in clips), strict=True)
        left = guess_emotions(np.stack(rows), emotions, speakers)
        control = guess_emotions(np.stack(control_rows), emotions, speakers)
    blind = f"do not even tell it from {control_name}: {control}"
    verdict, summary = _judge_guess(material, speakers, left, control, "fail", blind)
    if verdict == "pass" and control is not None:
        summary += f"; from {control_name} with {control.accuracy:.2f}"
    return Finding(name, material.config, verdict, summary, {"left": left, "control": control})
