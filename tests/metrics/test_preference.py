"""AAR, VAR and OLR share out the conflict items."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.metrics.preference import AUDIO, OTHER, VIDEO, preference_counts, preference_rate

LABELS = ["neutral", "happy", "angry", "sad"]
pairs = st.permutations(LABELS).map(lambda order: (order[0], order[1]))
answers = st.one_of(st.none(), st.sampled_from(LABELS))


@given(st.lists(st.tuples(answers, pairs), min_size=1, max_size=50))
def test_the_three_rates_sum_to_one(items: list[tuple[str | None, tuple[str, str]]]) -> None:
    counts = preference_counts([a for a, _ in items], [p[0] for _, p in items], [p[1] for _, p in items])
    rates = [float(preference_rate(counts, which)) for which in (AUDIO, VIDEO, OTHER)]
    assert sum(rates) == pytest.approx(1.0, abs=1e-12)
    assert all(0.0 <= rate <= 1.0 for rate in rates)


@given(st.lists(st.tuples(answers, pairs), min_size=1, max_size=50))
def test_swapping_the_streams_swaps_the_two_rates(items: list[tuple[str | None, tuple[str, str]]]) -> None:
    given_answers, audio, video = [a for a, _ in items], [p[0] for _, p in items], [p[1] for _, p in items]
    straight = preference_counts(given_answers, audio, video)
    swapped = preference_counts(given_answers, video, audio)
    assert straight[[AUDIO, VIDEO, OTHER]].tolist() == swapped[[VIDEO, AUDIO, OTHER]].tolist()


def test_an_item_whose_labels_agree_is_refused() -> None:
    with pytest.raises(ValueError, match="two labels that differ"):
        preference_counts(["sad"], ["sad"], ["sad"])
