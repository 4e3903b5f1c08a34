"""Releases as a corpus: turns whose valence and arousal are known, or whose emotion is labelled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avemo_harness.benchmark.origin import is_builtin
from avemo_harness.benchmark.release import Dialogue, Release, Turn
from avemo_harness.benchmark.release_loader import ReleaseOptions, has_split, load_release
from avemo_harness.errors import ReleaseError
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.recognizers.features.base import RATE_HZ
from avemo_harness.recognizers.recordings import Corpus, LabelledRecording, Part, RatedRecording, Recording

PARTS: tuple[Part, ...] = ("train", "test")
"""The data set splits of a release that are read, as parts of the same name."""


@dataclass(frozen=True, slots=True)
class ReleaseArguments:
    """
    Args:
        path: folder or Hub id of a release.
        config: which of its configs.
        media_root: folder of the clips that it names by path; its own if not given.
    """

    path: str
    config: str
    media_root: Path | None = None


def read_release(arguments: ReleaseArguments) -> Corpus:
    """The turns of a release's train and test splits, those of them that it has.

    Raises:
        ReleaseError: the release cannot be read, or none of its turns is rated or labelled.
        MediaError: a clip cannot be read.
    """
    path, config = arguments.path, arguments.config
    options = ReleaseOptions(media_root=arguments.media_root)
    releases: dict[Part, Release] = {"test": load_release(path, config, "test", options)}
    if has_split(releases["test"], path, "train"):
        releases["train"] = load_release(path, config, "train", options)
    rated = [replace(one, part=part) for part in PARTS if part in releases for one in rated_turns(releases[part])]
    labelled = [replace(one, part=part) for part in PARTS if part in releases for one in labelled_turns(releases[part])]
    if not rated and not labelled:
        raise ReleaseError(f"{path}: config {config!r} has no turn with a clip and with a label or 2 Hz ratings")
    made = all(map(is_builtin, releases.values()))
    return Corpus(f"{config} of {path}", tuple(rated), tuple(labelled), is_builtin=made)


def rated_turns(release: Release) -> list[RatedRecording]:
    """Every turn that has a clip, valence and arousal at two values a second, in release order; no part is given.

    Raises:
        MediaError: a clip cannot be read.
    """
    return list(_rated_turns(release))


def _rated_turns(release: Release) -> Iterator[RatedRecording]:
    for dialogue in release.dialogues:
        for turn in dialogue.turns:
            if turn.clip is None or not turn.valence or len(turn.valence) != len(turn.arousal):
                continue
            if turn.va_rate_hz == RATE_HZ:
                yield _recording(dialogue, turn)


def _recording(dialogue: Dialogue, turn: Turn) -> RatedRecording:
    assert turn.clip is not None
    values = np.column_stack([turn.valence, turn.arousal]).astype(np.float64)
    return RatedRecording(
        recording_id=f"{dialogue.dialogue_id}/{turn.turn_index}",
        speaker=turn.speaker_id,
        group=turn.speaker_id,
        part=None,
        streams=Recording.of(turn.clip),
        trajectory=Trajectory(values, ("valence", "arousal"), "unit", RATE_HZ),
    )


def labelled_turns(release: Release) -> list[LabelledRecording]:
    """Every user turn that has a clip and a label, in release order; no part is given.

    Raises:
        MediaError: a clip cannot be read.
    """
    return [
        LabelledRecording(
            recording_id=f"{dialogue.dialogue_id}/{turn.turn_index}",
            speaker=turn.speaker_id,
            face=turn.speaker_id,
            label=turn.emotion,
            part=None,
            dialogue=dialogue.dialogue_id,
            streams=Recording.of(turn.clip),
        )
        for dialogue in release.dialogues
        for turn in dialogue.turns
        if turn.role == "user" and turn.clip is not None and turn.emotion is not None
    ]
