"""Gold items that are put together: replies that cannot fit the matter, none of them heard twice."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.benchmark.release import EMOTIONS, Dialogue, Turn
from avemo_harness.human.items import NEGATIVE, POSITIVE, Candidate, ItemSpec, System, mismatched_golds


def candidate(number: int, text: str, emotion: str, turns: int) -> Candidate:
    said = [Turn(2 * index, "user", "Ann", f"{text} {index}", emotion) for index in range(turns)]
    heard = [Turn(2 * index + 1, "assistant", "bot", "I see.") for index in range(turns)]
    both = tuple(turn for pair in zip(said, heard, strict=True) for turn in pair)
    return Candidate(Dialogue(f"d{number}", "", "en", "", both), tuple(turn.turn_index for turn in said))


def system_of(candidates: list[Candidate]) -> System:
    replies = {
        (one.dialogue.dialogue_id, turn): Path(f"{one.dialogue.dialogue_id}-{turn}")
        for one in candidates
        for turn in one.turns
    }
    return System("calm", Path(), None, None, replies)  # type: ignore[arg-type]  # run and task are not looked at


def gold_id(gold: ItemSpec) -> str:
    return gold.candidate.dialogue.dialogue_id


def are_opposite(one: str | None, other: str | None) -> bool:
    return (one in POSITIVE and other in NEGATIVE) or (one in NEGATIVE and other in POSITIVE)


pools = st.lists(st.tuples(st.sampled_from("pqrstuvw"), st.sampled_from(EMOTIONS), st.integers(1, 3)), max_size=14).map(
    lambda rows: [candidate(number, *row) for number, row in enumerate(rows)]
)


@given(pools, st.integers(1, 9))
def test_no_recording_serves_twice_and_no_reply_is_to_the_same_words(pool: list[Candidate], count: int) -> None:
    golds = list(mismatched_golds(system_of(pool), pool, count))
    assert len(golds) <= min(count, len(pool))
    assert len({gold.candidate.dialogue.dialogue_id for gold in golds}) == len(golds)
    donors = [{reply.name.partition("-")[0] for reply in gold.replies} for gold in golds]
    assert all(len(one) == 1 for one in donors)
    assert len(set.union(set(), *donors)) == len(golds)
    feeling = {one.dialogue.dialogue_id: one.dialogue.turns[0].emotion for one in pool}
    said = {one.dialogue.dialogue_id: {one.dialogue.turns[turn].text for turn in one.turns} for one in pool}
    asked = [said[gold.candidate.dialogue.dialogue_id] for gold in golds]
    assert len(set.union(set(), *asked)) == sum(map(len, asked)), "a sentence is in two of them"
    for gold, (donor,) in zip(golds, donors, strict=True):
        assert len(gold.replies) == len(gold.candidate.turns)
        assert not said[donor] & said[gold.candidate.dialogue.dialogue_id]
        assert gold.expected == {"rr": 1 if are_opposite(feeling[donor], feeling[gold_id(gold)]) else 2}


def test_replies_are_to_the_opposite_feeling_where_there_are_enough() -> None:
    pool = [
        candidate(number, f"story {number}", ("happy", "sad", "angry", "happy")[number % 4], 1) for number in range(40)
    ]
    feeling = {one.dialogue.dialogue_id: one.dialogue.turns[0].emotion for one in pool}
    golds = list(mismatched_golds(system_of(pool), pool, 8))
    assert len(golds) == 8
    for gold in golds:
        assert are_opposite(feeling[gold_id(gold)], feeling[gold.replies[0].name.partition("-")[0]])
        assert gold.expected == {"rr": 1}


def test_dialogues_of_the_same_words_alone_give_no_gold_item() -> None:
    pool = [candidate(number, "The train is late.", emotion, 1) for number, emotion in enumerate(EMOTIONS)]
    assert list(mismatched_golds(system_of(pool), pool, 3)) == []
