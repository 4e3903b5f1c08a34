"""The order in which a run over a part takes its dialogues: every prefix keeps the split's shares of labels."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from avemo_harness.benchmark.release import Release

_TIE = 1e-12
"""Distances of shares that differ by less are rounding."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A dialogue or conflict pair that may be drawn.

    Args:
        name: unique.
        labels: of every question it brings.
        speaker: whose recordings it holds.
    """

    name: str
    labels: tuple[str, ...]
    speaker: str


def dialogue_order(release: Release, seed: int) -> list[str]:
    """The ids of all dialogues of a split in sampling order, the same for every task and condition."""
    candidates = []
    for dialogue in release.dialogues:
        labels = [turn.emotion for turn in dialogue.turns if turn.role == "user" and turn.emotion is not None]
        candidates.append(Candidate(dialogue.dialogue_id, tuple(labels), dialogue.turns[0].speaker_id))
    return sampling_order(candidates, seed)


def pair_order(release: Release, seed: int) -> list[str]:
    """The ids of all conflict pairs of a split in sampling order; a pair's label is which emotion is heard and seen."""
    pairs = (
        Candidate(pair.pair_id, (f"{pair.audio_emotion} {pair.video_emotion}",), pair.speaker_id)
        for pair in release.pairs
    )
    return sampling_order(pairs, seed)


def sampling_order(candidates: Iterable[Candidate], seed: int) -> list[str]:
    """Order candidates so that every prefix is balanced.

    Greedily, the next one is whichever brings the cumulative shares of labels nearest those of all candidates (sum of
    absolute differences), then the one whose speaker was taken least, then the one of the smallest seeded hash of its
    name. Candidates without labels come last.

    Returns:
        Their names. The order depends on the candidates and the seed alone, not on the order in which they are given.

    >>> four = [Candidate(f"{label}{i}", (label,), "ann") for label in ("happy", "sad") for i in (1, 2)]
    >>> sorted(name[:-1] for name in sampling_order(four, seed=0)[:2])
    ['happy', 'sad']
    """
    every = list(candidates)
    used: Counter[str] = Counter()
    labelled = _Pool([one for one in every if one.labels], seed, used)
    unlabelled = _Pool([one for one in every if not one.labels], seed, used)
    return [*labelled.drain(), *unlabelled.drain()]


class _Pool:
    """Candidates not drawn yet, in classes of equal label counts; members of a class differ by speaker alone."""

    def __init__(self, candidates: Sequence[Candidate], seed: int, used: Counter[str]) -> None:
        import numpy as np

        self._used = used
        labels = sorted({label for one in candidates for label in one.labels})
        classes: dict[tuple[int, ...], dict[str, list[tuple[str, str]]]] = {}
        for one in candidates:
            counts = Counter(one.labels)
            by_speaker = classes.setdefault(tuple(counts[label] for label in labels), {})
            by_speaker.setdefault(one.speaker, []).append((_hash(seed, one.name), one.name))
        for by_speaker in classes.values():
            for members in by_speaker.values():
                members.sort(reverse=True)
        keys = sorted(classes)
        self._classes = [classes[key] for key in keys]
        self._counts = np.array(keys, dtype=np.int64).reshape(len(keys), len(labels))
        sizes = np.array([sum(map(len, of_class.values())) for of_class in self._classes], dtype=np.int64)
        totals = sizes @ self._counts if len(keys) else np.zeros(len(labels), dtype=np.int64)
        self._target = totals / max(1, int(totals.sum()))

    def drain(self) -> list[str]:
        """Draw all, one after the other."""
        import numpy as np

        drawn: list[str] = []
        taken = np.zeros(self._counts.shape[1], dtype=np.int64)
        live = list(range(len(self._classes)))
        while live:
            sums = taken + self._counts[live]
            shares = sums / np.maximum(1, sums.sum(axis=1, keepdims=True))
            distances = np.abs(shares - self._target).sum(axis=1)
            nearest = np.flatnonzero(distances <= distances.min() + _TIE)
            chosen, speaker = min(
                ((live[i], speaker) for i in nearest for speaker in self._classes[live[i]]),
                key=lambda one: (self._used[one[1]], self._classes[one[0]][one[1]][-1]),
            )
            members = self._classes[chosen][speaker]
            drawn.append(members.pop()[1])
            taken = taken + self._counts[chosen]
            self._used[speaker] += 1
            if not members:
                del self._classes[chosen][speaker]
            if not self._classes[chosen]:
                live.remove(chosen)
        return drawn


def _hash(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()
