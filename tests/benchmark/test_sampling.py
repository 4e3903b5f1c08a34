"""The order of a split's dialogues: any prefix has the split's shares of labels, and speakers take turns."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.run.selection import Candidate, sampling_order

LABELS = ("neutral", "happy", "angry", "sad")

candidates = st.lists(
    st.tuples(st.lists(st.sampled_from(LABELS), max_size=5), st.sampled_from("abc")), min_size=1, max_size=40
).map(
    lambda drawn: [Candidate(f"d{i}", tuple(labels), speaker) for i, (labels, speaker) in enumerate(drawn)],
)


@given(candidates, st.integers(0, 3))
def test_every_candidate_is_drawn_once(every: list[Candidate], seed: int) -> None:
    order = sampling_order(every, seed)
    assert sorted(order) == sorted(one.name for one in every)


@given(candidates, st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_order_in_which_candidates_are_given_does_not_matter(
    every: list[Candidate], seed: int, random: object
) -> None:
    shuffled = list(every)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis types its generator as Random
    assert sampling_order(shuffled, seed) == sampling_order(every, seed)


@given(
    st.dictionaries(st.sampled_from(LABELS), st.integers(1, 30), min_size=1),
    st.integers(1, 60),
)
def test_a_prefix_of_single_turns_has_the_shares_of_labels_within_one_each(counts: dict[str, int], limit: int) -> None:
    every = [Candidate(f"{label}{i}", (label,), f"s{i % 5}") for label, count in counts.items() for i in range(count)]
    kept = sampling_order(every, 0)[:limit]
    drawn = Counter(name.rstrip("0123456789") for name in kept)
    for label, count in counts.items():
        assert abs(drawn[label] - count * len(kept) / len(every)) <= 1


def test_speakers_take_turns_where_labels_leave_a_choice() -> None:
    every = [Candidate(f"{who}{i}{label}", (label,), who) for who in "abcd" for i in range(4) for label in LABELS]
    speakers = Counter(name[0] for name in sampling_order(every, 0)[:16])
    assert speakers == {"a": 4, "b": 4, "c": 4, "d": 4}


def test_the_nearest_shares_decide_before_the_speaker() -> None:
    every = [
        Candidate("1", ("happy", "sad"), "ann"),
        Candidate("2", ("happy", "sad"), "ann"),
        Candidate("3", ("happy", "happy"), "bob"),
        Candidate("4", ("sad", "sad"), "eve"),
    ]
    assert set(sampling_order(every, 0)[:2]) == {"1", "2"}


def test_candidates_without_labels_come_last() -> None:
    every = [Candidate("bare", (), "ann"), Candidate("sad", ("sad",), "bob"), Candidate("happy", ("happy",), "bob")]
    assert sampling_order(every, 0)[-1] == "bare"


def test_another_seed_gives_another_order() -> None:
    every = [Candidate(f"d{i}", ("sad",), f"s{i}") for i in range(20)]
    assert len({tuple(sampling_order(every, seed)) for seed in range(4)}) == 4
