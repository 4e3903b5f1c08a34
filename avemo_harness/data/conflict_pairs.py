"""Conflict pairs: voice of one recording, face of another by the same speaker, of opposite emotion."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.benchmark.release import CONFLICT, ConflictPair, Dialogue, Turn
from avemo_harness.benchmark.release_loader import ReleaseOptions, load_release, local_splits
from avemo_harness.benchmark.release_sources import hub_errors, resolve_commit
from avemo_harness.benchmark.release_writer import write_pairs
from avemo_harness.errors import ReleaseError, StorageError, UsageError
from avemo_harness.files import new_folder
from avemo_harness.options import option
from avemo_harness.registry import hint

Costs = NDArray[np.int64]
FORBIDDEN = -1
"""The cost of a pair that must not be."""


def match_bipartite(costs: Costs) -> list[tuple[int, int]]:
    """Pair rows with columns, each at most once.

    Args:
        costs: [n, m], whole numbers of at least 0, or `FORBIDDEN`.

    Returns:
        (row, column) of each pair, by row. Equal costs give equal pairs.

    >>> match_bipartite(np.array([[1, 5], [2, FORBIDDEN]]))
    [(0, 1), (1, 0)]
    """
    from scipy.optimize import linear_sum_assignment

    if not costs.size:
        return []
    # One forbidden pair costs more than any matching without it, so as few as possible are taken. Sums of whole
    # numbers below 2**53 are exact in floating point.
    too_much = (int(costs.max(initial=0)) + 1) * (min(costs.shape) + 1)
    rows, columns = linear_sum_assignment(np.where(costs == FORBIDDEN, too_much, costs))
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if costs[i, j] != FORBIDDEN]


def match_graph(count: int, edges: Sequence[tuple[int, int]], costs: Sequence[int]) -> list[tuple[int, int]]:
    """Pair things with one another along `edges`, each thing at most once.

    Args:
        count: of the things, which are numbered from 0.
        edges: the pairs that may be.
        costs: of each edge, whole numbers of at least 0.

    Returns:
        The pairs, in the order of `edges`.

    Raises:
        RuntimeError: the solver gave up.

    >>> match_graph(4, [(0, 1), (1, 2), (2, 3)], [5, 0, 5])
    [(0, 1), (2, 3)]
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array

    if not edges:
        return []
    ends = np.array(edges).ravel()
    edge_index = np.repeat(np.arange(len(edges)), 2)
    once = LinearConstraint(coo_array((np.ones(len(ends)), (ends, edge_index)), shape=(count, len(edges))), 0, 1)
    each = np.ones(len(edges))
    exactly = {"mip_rel_gap": 0.0}

    def solve(goal: NDArray[np.float64], constraints: list[LinearConstraint]) -> NDArray[np.float64]:
        found = milp(goal, integrality=each, bounds=Bounds(0, 1), constraints=constraints, options=exactly)
        if found.x is None:
            raise RuntimeError(f"no matching of {count} things along {len(edges)} edges ({found.message})")
        taken: NDArray[np.float64] = np.round(found.x)
        return taken

    most = solve(-each, [once]).sum()
    taken = solve(np.array(costs, dtype=np.float64), [once, LinearConstraint(each[None], most, most)])
    return [edge for edge, chosen in zip(edges, taken, strict=True) if chosen]


Polarity = Literal["valence", "strict", "any"]
"""valence: happy with sad or angry, whose valence has the other sign; strict: happy with sad, where arousal has it
too; any: all unequal labels."""

MatchedBy = Literal["speaker", "transcript"]
"""Common to both recordings: the speaker alone, or also what is said and everything said before."""

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


def pair_opposites(recordings: Iterable[PairCandidate], polarity: Polarity = "valence") -> list[ConflictPair]:
    """Pair recordings; the same recordings in any order give the same pairs. Of turns of one clip, as dialogues with a
    common beginning have them, the first by id stands for all.

    Raises:
        UsageError: `any` was asked for and a speaker has too many recordings for it.

    >>> one, other = PairCandidate("d1", 0, "Ann", "happy", 2.0), PairCandidate("d2", 2, "Ann", "angry", 2.5)
    >>> [pair.pair_id for pair in pair_opposites([other, one])]
    ['d1.0+d2.2', 'd2.2+d1.0']
    """
    groups: dict[tuple[str, str], list[PairCandidate]] = defaultdict(list)
    for one in sorted(recordings, key=lambda one: (one.speaker_id, one.shared, one.dialogue_id, one.turn)):
        groups[one.speaker_id, one.shared].append(one)
    pairs: list[ConflictPair] = []
    for group in map(_deduplicate_clips, groups.values()):
        matched = _match_any(group) if polarity == "any" else _match_opposites(group, OPPOSITES[polarity])
        for one, other in matched:
            pairs += in_both_orders(one, other)
    return pairs


def in_both_orders(one: PairCandidate, other: PairCandidate) -> tuple[ConflictPair, ConflictPair]:
    """The voice of one recording with the face of the other, then the other way round."""
    return _pair(audio=one, video=other), _pair(audio=other, video=one)


def find_candidates(
    dialogues: Iterable[Dialogue], sharing: MatchedBy, measure: Callable[[Turn], float | None]
) -> Iterator[PairCandidate]:
    """The turns that can be paired: labelled ones of the user whose clip has sound and video.

    Args:
        measure: the duration of a turn's clip in seconds; None where it lacks sound or video.
    """
    for dialogue in dialogues:
        for turn in dialogue.turns:
            if turn.role != "user" or turn.emotion is None or turn.clip is None:
                continue
            duration_s = measure(turn)
            if duration_s is not None:
                shared = _transcript(dialogue, turn) if sharing == "transcript" else ""
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


def _transcript(dialogue: Dialogue, asked: Turn) -> str:
    """Text of a turn with the history of roles, texts and clips."""
    history = [
        (turn.role, turn.text, turn.clip.sha256 if turn.clip else None) for turn in dialogue.turns[: asked.turn_index]
    ]
    return repr((asked.text, history))


def _deduplicate_clips(group: Sequence[PairCandidate]) -> list[PairCandidate]:
    first: dict[str | tuple[str, int], PairCandidate] = {}
    for one in group:
        first.setdefault(one.clip or (one.dialogue_id, one.turn), one)
    return list(first.values())


def _match_opposites(
    group: Sequence[PairCandidate], opposites: Sequence[str]
) -> list[tuple[PairCandidate, PairCandidate]]:
    happy = [one for one in group if one.emotion == "happy"]
    opposed = [one for one in group if one.emotion in opposites]
    gaps = np.abs(
        np.array([one.duration_s for one in happy])[:, None] - np.array([one.duration_s for one in opposed])[None]
    )
    costs = np.where(gaps <= MAX_GAP_S, np.round(gaps * _TICKS), FORBIDDEN).astype(np.int64)
    return [(happy[i], opposed[j]) for i, j in match_bipartite(costs)]


def _match_any(group: Sequence[PairCandidate]) -> list[tuple[PairCandidate, PairCandidate]]:
    edges, costs = [], []
    for i, one in enumerate(group):
        for j, other in enumerate(group[:i]):
            gap_s = abs(one.duration_s - other.duration_s)
            if one.emotion != other.emotion and gap_s <= MAX_GAP_S:
                edges.append((j, i))
                costs.append(round(gap_s * _TICKS))
    if len(edges) > _MAX_EDGES:
        raise UsageError(
            f"speaker {group[0].speaker_id!r} has {len(group)} recordings, too many to pair any two labels of; "
            "choose the polarity valence or strict"
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
