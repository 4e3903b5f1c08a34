"""Conflict pairs: voice of one recording, face of another by the same speaker, of opposite emotion."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from avemo_harness import media
from avemo_harness.benchmark.planning import map_label
from avemo_harness.benchmark.release import (
    CONFLICT,
    ConflictPair,
    Dialogue,
    Release,
    Turn,
    labels_of_users,
    make_release,
)
from avemo_harness.benchmark.release_loader import ReleaseOptions, load_release, local_splits
from avemo_harness.benchmark.release_sources import hub_errors, resolve_commit
from avemo_harness.benchmark.release_writer import write_pairs
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.data.matching import FORBIDDEN, match_bipartite, match_graph
from avemo_harness.errors import ReleaseError, StorageError, UsageError
from avemo_harness.files import new_folder, write_atomically
from avemo_harness.options import option
from avemo_harness.registry import hint

Polarity = Literal["valence", "strict", "any"]
"""valence: happy with sad or angry, whose valence has the other sign; strict: happy with sad, where arousal has it
too; any: all unequal labels."""

MatchedBy = Literal["speaker", "transcript"]
"""Common to both recordings: the speaker alone, or also what is said and everything said before."""

Opposites = Collection[frozenset[str]]
"""Pairs of labels, each of two, that a conflict may join."""

MAX_GAP_S = 1.0
"""Largest difference in duration of a pair, in seconds."""

_MAX_EDGES = 50_000
OPPOSITES = {"valence": ("sad", "angry"), "strict": ("sad",)}
"""Emotions that happy is paired with."""
_TICKS = 1_000_000


@dataclass(frozen=True, slots=True)
class PairCandidate:
    """A labelled turn of the user with sound and face.

    Args:
        duration_s: of its clip, in seconds.
        shared: what else than the speaker must be equal for two recordings to be paired.
        clip: digest of its clip; turns of one clip are one recording. None where it is not known.
    """

    dialogue_id: str
    turn: int
    speaker_id: str
    emotion: str
    duration_s: float
    shared: str = ""
    clip: str | None = None


def pair_opposites(
    recordings: Iterable[PairCandidate], polarity: Polarity | Opposites = "valence"
) -> list[ConflictPair]:
    """Pair recordings; the same recordings in any order give the same pairs. Of turns of one clip, as dialogues with a
    common beginning have them, the first by id stands for all.

    Args:
        polarity: of the benchmark's labels, or the pairs of labels that are opposites.

    Raises:
        UsageError: any two labels, or such as have no two sides, may be paired, and a speaker has too many recordings
            for it.

    >>> one, other = PairCandidate("d1", 0, "Ann", "happy", 2.0), PairCandidate("d2", 2, "Ann", "angry", 2.5)
    >>> [pair.pair_id for pair in pair_opposites([other, one])]
    ['d1.0+d2.2', 'd2.2+d1.0']
    """
    groups: dict[tuple[str, str], list[PairCandidate]] = defaultdict(list)
    for one in sorted(recordings, key=lambda one: (one.speaker_id, one.shared, one.dialogue_id, one.turn)):
        groups[one.speaker_id, one.shared].append(one)
    pairs: list[ConflictPair] = []
    for group in map(_deduplicate_clips, groups.values()):
        if polarity == "any":
            matched = _match_any(group, lambda one, other: one != other)
        elif isinstance(polarity, str):
            matched = _match_sides(group, ["happy"], OPPOSITES[polarity])
        else:
            matched = _match_labels(group, polarity)
        for one, other in matched:
            pairs += in_both_orders(one, other)
    return pairs


def in_both_orders(one: PairCandidate, other: PairCandidate) -> tuple[ConflictPair, ConflictPair]:
    """The voice of one recording with the face of the other, then the other way round."""
    return _pair(audio=one, video=other), _pair(audio=other, video=one)


def find_candidates(
    dialogues: Iterable[Dialogue], sharing: MatchedBy | Literal["history"], measure: Callable[[Turn], float | None]
) -> Iterator[PairCandidate]:
    """The turns that can be paired: labelled ones of the user whose clip has sound and video.

    Args:
        sharing: `history`: the speaker, and everything said before.
        measure: the duration of a turn's clip in seconds; None where it lacks sound or video.
    """
    for dialogue in dialogues:
        for turn in dialogue.turns:
            if turn.role != "user" or turn.emotion is None or turn.clip is None:
                continue
            duration_s = measure(turn)
            if duration_s is not None:
                shared = "" if sharing == "speaker" else _transcript(dialogue, turn, sharing == "transcript")
                yield PairCandidate(
                    dialogue_id=dialogue.dialogue_id,
                    turn=turn.turn_index,
                    speaker_id=turn.speaker_id,
                    emotion=turn.emotion,
                    duration_s=duration_s,
                    shared=shared,
                    clip=turn.clip.sha256,
                )


def measure_clip(turn: Turn) -> float | None:
    """The duration that the release gives of a turn, else that of its clip; None where that lacks sound or video.

    Raises:
        MediaError: the clip is missing or cannot be read.
    """
    assert turn.clip is not None
    info = media.probe(turn.clip.read())
    if info.sound is None or info.video is None:
        return None
    return info.duration_s if turn.duration_s is None else turn.duration_s


def _transcript(dialogue: Dialogue, asked: Turn, with_text: bool) -> str:
    """The history of roles, texts and clips before a turn, and its own text where that counts."""
    history = [
        (turn.role, turn.text, turn.clip.sha256 if turn.clip else None) for turn in dialogue.turns[: asked.turn_index]
    ]
    return repr((asked.text, history)) if with_text else repr(history)


def _deduplicate_clips(group: Sequence[PairCandidate]) -> list[PairCandidate]:
    first: dict[str | tuple[str, int], PairCandidate] = {}
    for one in group:
        first.setdefault(one.clip or (one.dialogue_id, one.turn), one)
    return list(first.values())


_Matches = list[tuple[PairCandidate, PairCandidate]]


def _match_labels(group: Sequence[PairCandidate], opposites: Opposites) -> _Matches:
    """Match along pairs of labels: as two sides where each label has one, which any number of recordings allows."""
    sides = _two_sides(opposites)
    if sides is None:
        return _match_any(group, lambda one, other: frozenset((one, other)) in opposites)
    return _match_sides(group, *sides, opposites)


def _two_sides(opposites: Opposites) -> tuple[list[str], list[str]] | None:
    """The labels in two sides so that each pair joins one of either; None where three or more go round in a ring.

    >>> _two_sides([frozenset(("joy", "fear")), frozenset(("joy", "anger"))])
    (['anger', 'fear'], ['joy'])
    """
    side: dict[str, int] = {}
    labels = sorted(frozenset().union(*opposites))
    for label in labels:
        waiting = [] if label in side else [label]
        side.setdefault(label, 0)
        while waiting:
            one = waiting.pop()
            for other in (other for pair in opposites if one in pair for other in pair - {one}):
                if other not in side:
                    side[other] = 1 - side[one]
                    waiting.append(other)
                elif side[other] == side[one]:
                    return None
    return [label for label in labels if side[label] == 0], [label for label in labels if side[label] == 1]


def _match_sides(
    group: Sequence[PairCandidate], left: Sequence[str], right: Sequence[str], opposites: Opposites | None = None
) -> _Matches:
    """Match recordings of the labels on either side; where `opposites` are given, only of labels that are a pair."""
    ones = [one for one in group if one.emotion in left]
    others = [one for one in group if one.emotion in right]
    gaps = np.abs(
        np.array([one.duration_s for one in ones])[:, None] - np.array([one.duration_s for one in others])[None]
    )
    allowed = gaps <= MAX_GAP_S
    if opposites is not None:
        paired = [[frozenset((one.emotion, other.emotion)) in opposites for other in others] for one in ones]
        allowed &= np.array(paired, dtype=np.bool_).reshape(allowed.shape)
    costs = np.where(allowed, np.round(gaps * _TICKS), FORBIDDEN).astype(np.int64)
    return [(ones[i], others[j]) for i, j in match_bipartite(costs)]


def _match_any(group: Sequence[PairCandidate], allowed: Callable[[str, str], bool]) -> _Matches:
    edges, costs = [], []
    for i, one in enumerate(group):
        for j, other in enumerate(group[:i]):
            gap_s = abs(one.duration_s - other.duration_s)
            if allowed(one.emotion, other.emotion) and gap_s <= MAX_GAP_S:
                edges.append((j, i))
                costs.append(round(gap_s * _TICKS))
    if len(edges) > _MAX_EDGES:
        raise UsageError(
            f"speaker {group[0].speaker_id!r} has {len(group)} recordings, too many to pair any two labels of; "
            "choose the polarity valence or strict, or opposites that have two sides"
        )
    return [(group[j], group[i]) for j, i in match_graph(len(group), edges, costs)]


def _pair(audio: PairCandidate, video: PairCandidate) -> ConflictPair:
    return ConflictPair(
        pair_id=f"{audio.dialogue_id}.{audio.turn}+{video.dialogue_id}.{video.turn}",
        audio_dialogue_id=audio.dialogue_id,
        audio_turn=audio.turn,
        video_dialogue_id=video.dialogue_id,
        video_turn=video.turn,
        audio_emotion=audio.emotion,
        video_emotion=video.emotion,
        speaker_id=audio.speaker_id,
    )


def with_pairs_of_task(task: TaskSpec, release: Release, measured: Path) -> Release:
    """A release with the conflict pairs that a task's `opposites` make of it; the same where it has pairs already.

    Args:
        measured: file that keeps the durations of its clips, which are opened once.

    Raises:
        MediaError: a clip is missing or damaged.
        UsageError: a speaker has too many recordings (`pair_opposites`).
    """
    if release.pairs or not task.opposites:
        return release
    own: dict[str, list[str]] = defaultdict(list)
    for emotion in labels_of_users([release]):
        if (label := map_label(task, emotion, release.source)) is not None:
            own[label].append(emotion)
    opposites = {frozenset((a, b)) for one, other in task.opposites for a in own[one] for b in own[other]}
    labels = frozenset[str]().union(*opposites)
    known = _read_durations(measured)
    found: dict[str, float | None] = {}

    def measure(turn: Turn) -> float | None:
        if turn.clip is None or turn.emotion not in labels:
            return None
        digest = turn.clip.sha256
        if digest not in found:
            found[digest] = known[digest] if digest in known else measure_clip(turn)
        return found[digest]

    sharing: Literal["history", "speaker"] = "history" if task.context.turns == "history" else "speaker"
    pairs = pair_opposites(find_candidates(release.dialogues, sharing, measure), opposites)
    if found.keys() - known.keys():
        write_atomically(measured, json.dumps(known | found, sort_keys=True) + "\n")
    return make_release(release.source, release.name, release.split, release.commit, release.dialogues, pairs)


def _read_durations(file: Path) -> dict[str, float | None]:
    """Durations that an earlier run measured; none where the file is missing or damaged, since it can be made again."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return {str(digest): None if length is None else float(length) for digest, length in values.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


@dataclass(frozen=True, slots=True)
class PairingRules:
    """Rules for pairing recordings; those without `sharing` go by the name of the config, as its help says."""

    polarity: Polarity = field(
        default="valence",
        metadata=option("valence: happy with sad or angry; strict: happy with sad; any: all unequal labels"),
    )
    sharing: MatchedBy | None = field(
        default=None,
        metadata=option(
            "what both clips have in common: the speaker, or also what is said and what was said before "
            "(default: transcript for configs that end in _synthetic, else speaker)"
        ),
    )
    media_root: Path | None = field(
        default=None, metadata=option("folder of clips that are named by path", metavar="DIR")
    )


def choose_config(folder: Path, named: str | None) -> str:
    """The config to pair: the one that is named, or the only one there is.

    Raises:
        ReleaseError: there is no such config, or several and none is named.
        UsageError: it has conflict pairs already.
    """
    configs = local_splits(folder)
    talks = [config for config in configs if not config.endswith(CONFLICT)]
    if named is None and len(talks) != 1:
        raise ReleaseError(f"{folder}: it has the configs {', '.join(talks) or '(none)'}; name one with --config")
    chosen = named or talks[0]
    if chosen not in talks:
        raise ReleaseError(f"{folder}: there is no config {chosen!r}{hint(chosen, talks)}")
    if chosen + CONFLICT in configs or (folder / (chosen + CONFLICT)).exists():
        raise UsageError(
            f"{folder}: config {chosen + CONFLICT} is there already and is not overwritten; delete it first, from the "
            "README too"
        )
    return chosen


def pair_release(
    folder: Path, config: str, rules: PairingRules, say: Callable[[str], None]
) -> dict[str, list[ConflictPair]]:
    """The pairs of each split of a config that has some. Every clip whose label has an opposite is opened once.

    Raises:
        ReleaseError: the release cannot be read, or nothing in it can be paired.
        MediaError: a clip is missing or damaged.
    """
    sharing = rules.sharing or ("transcript" if config.endswith("_synthetic") else "speaker")

    def measure(turn: Turn) -> float | None:
        paired = turn.emotion != "neutral" or rules.polarity == "any"
        return measure_clip(turn) if paired else None

    found = {}
    for split in local_splits(folder)[config]:
        release = load_release(str(folder), config, split, ReleaseOptions(media_root=rules.media_root))
        pairs = pair_opposites(find_candidates(release.dialogues, sharing, measure), rules.polarity)
        say(f"{config}, {split}: {len(pairs):,} conflict pairs among {len(release.dialogues):,} dialogues")
        if pairs:
            found[split] = pairs
    if not found:
        raise ReleaseError(
            f"{folder}: nothing in config {config!r} can be paired: it needs opposite emotions of one speaker, "
            "in clips with sound and face whose durations differ by at most a second"
        )
    return found


def add_pairs(folder: Path, config: str, pairs: dict[str, list[ConflictPair]]) -> None:
    """Put a conflict config into a release; it is there whole or not at all.

    Raises:
        StorageError: the folder cannot be written.
    """
    name = config + CONFLICT
    try:
        with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=folder) as hidden:
            write_pairs(Path(hidden), config, pairs)
            (Path(hidden) / name).rename(folder / name)
        write_pairs(folder, config, {})
    except OSError as error:
        raise StorageError(folder, "written", error) from error


def fetch_release(release: str, revision: str | None) -> Path:
    """The folder of a release: its own, or for a Hub id a copy in the Hub's cache.

    Raises:
        ReleaseError: there is no such release, or the Hub cannot be reached.
    """
    folder = Path(release).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists() or release.count("/") != 1 or release.startswith("."):
        raise ReleaseError(f"{release}: expected the folder of a release, or a Hub id (owner/name); check the path")
    from huggingface_hub import HfApi

    commit = resolve_commit(release, revision)
    with hub_errors(release, "check the network or HF_ENDPOINT, or download it and name its folder"):
        return Path(HfApi().snapshot_download(release, repo_type="dataset", revision=commit))


def copy_release(folder: Path, out: Path) -> None:
    """Copy a release to a new folder, whole or not at all.

    Raises:
        StorageError: the folder cannot be written.
    """
    with new_folder(out) as copy:
        shutil.copytree(folder, copy, dirs_exist_ok=True)
