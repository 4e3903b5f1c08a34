"""Every rule of conflict pairs holds, and no more pairs could be made."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clips import make_clip
from support.real_release import real_dialogues

from avemo_harness import media
from avemo_harness.benchmark.release import EMOTIONS, Clip, ConflictPair, Dialogue, Turn
from avemo_harness.data.conflict_pairs import (
    MAX_GAP_S,
    PairCandidate,
    Polarity,
    find_candidates,
    measure_clip,
    pair_opposites,
)
from avemo_harness.errors import UsageError

POLARITIES: tuple[Polarity, ...] = ("valence", "strict", "any")
recordings = st.lists(
    st.tuples(st.sampled_from("AB"), st.sampled_from(EMOTIONS), st.integers(0, 8), st.sampled_from("xy")), max_size=9
).map(
    lambda rows: [
        PairCandidate(f"d{place}", place % 3, speaker, emotion, 1 + quarters / 4, shared)
        for place, (speaker, emotion, quarters, shared) in enumerate(rows)
    ]
)


def may_pair(one: PairCandidate, other: PairCandidate, polarity: Polarity) -> bool:
    opposite = {
        "valence": {frozenset(("happy", "sad")), frozenset(("happy", "angry"))},
        "strict": {frozenset(("happy", "sad"))},
        "any": {frozenset((a, b)) for a, b in permutations(EMOTIONS, 2)},
    }[polarity]
    return (
        (one.speaker_id, one.shared) == (other.speaker_id, other.shared)
        and frozenset((one.emotion, other.emotion)) in opposite
        and abs(one.duration_s - other.duration_s) <= MAX_GAP_S
    )


def best_by_trying(left: list[PairCandidate], polarity: Polarity) -> tuple[int, float]:
    """How many pairs can be made, and the least sum of gaps (negative), by trying everything."""
    if len(left) < 2:
        return 0, 0.0
    first, rest = left[0], left[1:]
    best = best_by_trying(rest, polarity)
    for place, other in enumerate(rest):
        if may_pair(first, other, polarity):
            count, gain = best_by_trying(rest[:place] + rest[place + 1 :], polarity)
            best = max(best, (count + 1, gain - abs(first.duration_s - other.duration_s)))
    return best


def check_rules(pairs: list[ConflictPair], known: dict[tuple[str, int], PairCandidate], polarity: Polarity) -> None:
    sides = [((p.audio_dialogue_id, p.audio_turn), (p.video_dialogue_id, p.video_turn)) for p in pairs]
    for pair, (audio, video) in zip(pairs, sides, strict=True):
        assert may_pair(known[audio], known[video], polarity)
        assert pair.audio_emotion == known[audio].emotion
        assert pair.video_emotion == known[video].emotion
        assert pair.speaker_id == known[audio].speaker_id == known[video].speaker_id
    assert set(sides) == {(video, audio) for audio, video in sides}, "every pair is there in both orders"
    assert max(Counter(audio for audio, _ in sides).values(), default=1) == 1
    assert max(Counter(video for _, video in sides).values(), default=1) == 1
    assert len({pair.pair_id for pair in pairs}) == len(pairs)


@settings(max_examples=80)
@given(recordings, st.sampled_from(POLARITIES), st.randoms(use_true_random=False))
def test_pairs_obey_every_rule_and_are_as_many_and_as_close_as_can_be(
    given_recordings: list[PairCandidate], polarity: Polarity, random: object
) -> None:
    pairs = pair_opposites(given_recordings, polarity)
    known = {(one.dialogue_id, one.turn): one for one in given_recordings}
    check_rules(pairs, known, polarity)
    gaps = sum(
        abs(known[p.audio_dialogue_id, p.audio_turn].duration_s - known[p.video_dialogue_id, p.video_turn].duration_s)
        for p in pairs
    )
    count, gain = best_by_trying(given_recordings, polarity)
    assert len(pairs) == 2 * count
    assert gaps == pytest.approx(-2 * gain)
    shuffled = list(given_recordings)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # (Hypothesis' random)
    assert pair_opposites(shuffled, polarity) == pairs


def test_a_happy_recording_goes_where_it_makes_room_for_another() -> None:
    # The first happy one is closest to the sad one, which is the only one that fits the second.
    found = pair_opposites(
        [
            PairCandidate("h1", 0, "Ann", "happy", 2.0),
            PairCandidate("h2", 0, "Ann", "happy", 3.0),
            PairCandidate("s", 0, "Ann", "sad", 2.1),
            PairCandidate("a", 0, "Ann", "angry", 1.2),
        ]
    )
    assert [pair.pair_id for pair in found] == ["h1.0+a.0", "a.0+h1.0", "h2.0+s.0", "s.0+h2.0"]


def test_durations_may_differ_by_one_second_and_no_more() -> None:
    happy = PairCandidate("h", 0, "Ann", "happy", 2.0)
    assert pair_opposites([happy, PairCandidate("s", 0, "Ann", "sad", 3.0)])
    assert not pair_opposites([happy, PairCandidate("s", 0, "Ann", "sad", 3.001)])


def test_pairing_any_labels_of_very_many_recordings_is_refused_with_a_way_out() -> None:
    many = [PairCandidate(f"d{place}", 0, "Ann", EMOTIONS[place % 2], 2.0) for place in range(500)]
    with pytest.raises(UsageError, match="valence or strict"):
        pair_opposites(many, "any")


def test_one_transcript_and_history_are_shared_where_asked_for() -> None:
    clip, reply = Clip.from_bytes(make_clip(1.0)), Turn(1, "assistant", "bot", "I see.")
    said = {emotion: Clip.from_bytes(make_clip(1.0, seed)) for seed, emotion in enumerate(EMOTIONS, 1)}

    def dialogue(name: str, emotion: str, opening: str) -> Dialogue:
        first = Turn(0, "user", "Ann", opening, "neutral", clip=clip, duration_s=1.0)
        second = Turn(2, "user", "Ann", "It is late.", emotion, clip=said[emotion], duration_s=1.0)
        return Dialogue(name, "test", "en", "CC0-1.0", (first, reply, second))

    dialogues = [dialogue("a", "happy", "Hello."), dialogue("b", "sad", "Bye."), dialogue("c", "angry", "Hello.")]
    by_transcript = pair_opposites(find_candidates(dialogues, "transcript", measure_clip))
    assert [pair.pair_id for pair in by_transcript] == ["a.2+c.2", "c.2+a.2"]
    by_speaker = pair_opposites(find_candidates(dialogues, "speaker", measure_clip), "strict")
    assert [pair.pair_id for pair in by_speaker] == ["a.2+b.2", "b.2+a.2"]


def test_turns_of_one_clip_are_one_recording_the_first_by_id() -> None:
    opening, happy, sad = (Clip.from_bytes(make_clip(1.0, seed)) for seed in range(3))

    def take(name: str, emotion: str, clip: Clip) -> Dialogue:
        first = Turn(0, "user", "Ann", "Hello.", "angry", clip=opening, duration_s=1.0)
        last = Turn(1, "user", "Ann", "It is late.", emotion, clip=clip, duration_s=1.0)
        return Dialogue(name, "test", "en", "CC0-1.0", (first, last))

    takes = [take("a", "happy", happy), take("b", "sad", sad), take("c", "happy", happy)]
    pairs = pair_opposites(find_candidates(takes, "speaker", measure_clip))
    assert [pair.pair_id for pair in pairs] == ["a.1+a.0", "a.0+a.1"]


def test_turns_without_a_label_a_face_or_a_clip_are_not_paired() -> None:
    voice = Clip.from_bytes(media.encode_sound(media.decode_sound(make_clip(1.0))))
    face = Clip.from_bytes(make_clip(1.0))
    turns = (
        Turn(0, "user", "Ann", "", "happy", clip=voice),
        Turn(1, "assistant", "Ann", "", "happy", clip=face),
        Turn(2, "user", "Ann", "", None, clip=face),
        Turn(3, "user", "Ann", "", "happy"),
        Turn(4, "user", "Ann", "", "happy", clip=face),
    )
    found = list(find_candidates([Dialogue("d", "", "en", "", turns)], "speaker", measure_clip))
    assert [one.turn for one in found] == [4]
    assert found[0].duration_s == pytest.approx(1.0, abs=0.05)


@pytest.mark.slow
def test_real_voices_and_faces_are_paired_by_the_rules(real_media: Path) -> None:
    dialogues = real_dialogues(real_media, "test", range(9, 11))
    found = list(find_candidates(dialogues, "speaker", measure_clip))
    for polarity in POLARITIES:
        pairs = pair_opposites(found, polarity)
        assert pairs
        check_rules(pairs, {(one.dialogue_id, one.turn): one for one in found}, polarity)
