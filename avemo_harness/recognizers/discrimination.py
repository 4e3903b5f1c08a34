"""Discrimination by a judge's trajectories: emotions of speakers, extreme turns, movement, view by view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from avemo_harness.metrics.discrimination import ecs_auc_estimate, extreme_share, mean_movement
from avemo_harness.metrics.profiles import AV_EMO, Profile
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.recognizers.card import Discrimination
from avemo_harness.recognizers.recordings import (
    MODALITIES,
    LabelledRecording,
    Modality,
    RatedRecording,
    cut_into_turns,
)


def measure_discrimination(
    recordings: Sequence[RatedRecording | LabelledRecording],
    predicted: Sequence[Mapping[Modality, Trajectory]],
    labels: Mapping[str, str],
    part: str,
    judges: Sequence[int] | None = None,
    profile: Profile = AV_EMO,
) -> tuple[Discrimination, ...]:
    """Measure each view; a recording counts where it has the view, and for the AUC where it also has a label.

    Args:
        predicted: trajectories of the recordings, by view.
        labels: emotion by recording id, of those that have one.
        part: what the recordings are called on the card.
        judges: which recogniser predicted each recording, in a cross-validation; see `ecs_auc_estimate`.
        profile: of ECS, of extreme turns, and of the dimensions whose movement is measured.
    """
    numbers = [0] * len(recordings) if judges is None else judges
    found = []
    for view in MODALITIES:
        shown = [
            (one, values[view], number)
            for one, values, number in zip(recordings, predicted, numbers, strict=True)
            if view in values
        ]
        if not shown:
            continue
        speakers = [one.speaker for one, _, _ in shown]
        turns = [(turn, one.speaker) for one, trajectory, _ in shown for turn in cut_into_turns(trajectory)]
        labelled = [
            (labels[one.recording_id], one, values, n) for one, values, n in shown if one.recording_id in labels
        ]
        auc, n_pairs = ecs_auc_estimate(
            [values for _, _, values, _ in labelled],
            [label for label, _, _, _ in labelled],
            [one.speaker for _, one, _, _ in labelled],
            profile,
            [number for _, _, _, number in labelled],
        )
        found.append(
            Discrimination(
                part=part,
                view=view,
                profile=profile.name,
                auc=auc,
                extreme_share=extreme_share([turn for turn, _ in turns], [speaker for _, speaker in turns], profile),
                movement={
                    name: mean_movement([values for _, values, _ in shown], speakers, name)
                    for name in profile.stability
                },
                n_recordings=len(shown),
                n_speakers=len(set(speakers)),
                n_labelled=len(labelled),
                n_pairs=n_pairs,
            )
        )
    return tuple(found)
