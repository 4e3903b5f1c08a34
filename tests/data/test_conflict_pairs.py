"""Conflict pairs: every rule holds, no more could be made, and a release gets them whole or not at all."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from pathlib import Path

import pytest
from huggingface_hub import constants
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clips import make_clip
from support.real_release import real_dialogues

from avemo_harness import media
from avemo_harness.benchmark.release import EMOTIONS, Clip, ConflictPair, Dialogue, Turn
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.cli import main
from avemo_harness.data.conflict_pairs import (
    MAX_GAP_S,
    Opposites,
    PairCandidate,
    Polarity,
    fetch_release,
    find_candidates,
    measure_clip,
    pair_opposites,
)
from avemo_harness.errors import ReleaseError, UsageError

POLARITIES: tuple[Polarity, ...] = ("valence", "strict", "any")
recordings = st.lists(
    st.tuples(st.sampled_from("AB"), st.sampled_from(EMOTIONS), st.integers(0, 8), st.sampled_from("xy")), max_size=9
).map(
    lambda rows: [
        PairCandidate(f"d{index}", index % 3, speaker, emotion, 1 + quarters / 4, shared)
        for index, (speaker, emotion, quarters, shared) in enumerate(rows)
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
    """The number of pairs that can be made, and the least sum of gaps (negative), by trying everything."""
    if len(left) < 2:
        return 0, 0.0
    first, rest = left[0], left[1:]
    best = best_by_trying(rest, polarity)
    for index, other in enumerate(rest):
        if may_pair(first, other, polarity):
            count, gain = best_by_trying(rest[:index] + rest[index + 1 :], polarity)
            best = max(best, (count + 1, gain - abs(first.duration_s - other.duration_s)))
    return best


def check_rules(pairs: list[ConflictPair], known: dict[tuple[str, int], PairCandidate], polarity: Polarity) -> None:
    sides = [(p.audio, p.video) for p in pairs]
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
    gaps = sum(abs(known[p.audio].duration_s - known[p.video].duration_s) for p in pairs)
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
    many = [PairCandidate(f"d{index}", 0, "Ann", EMOTIONS[index % 2], 2.0) for index in range(500)]
    with pytest.raises(UsageError, match="valence or strict"):
        pair_opposites(many, "any")


@settings(max_examples=80)
@given(recordings)
def test_opposites_that_are_named_pair_as_the_polarity_of_the_same_labels_does(
    given_recordings: list[PairCandidate],
) -> None:
    both = {frozenset(("happy", "sad")), frozenset(("happy", "angry"))}
    polarities: list[tuple[Polarity, Opposites]] = [("valence", both), ("strict", {frozenset(("happy", "sad"))})]
    for polarity, named in polarities:
        by_name, by_polarity = pair_opposites(given_recordings, named), pair_opposites(given_recordings, polarity)
        assert len(by_name) == len(by_polarity)
        check_rules(by_name, {(one.dialogue_id, one.turn): one for one in given_recordings}, polarity)


def test_labels_that_go_round_in_a_ring_are_paired_too() -> None:
    ring = {frozenset(("joy", "fear")), frozenset(("fear", "anger")), frozenset(("anger", "joy"))}
    three = [PairCandidate(name, 0, "Ann", name, 2.0) for name in ("joy", "fear", "anger")]
    assert len(pair_opposites(three, ring)) == 2
    assert not pair_opposites([three[0], PairCandidate("again", 0, "Ann", "joy", 2.0)], ring)


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


def write_talks(folder: Path, config: str) -> Path:
    """Two speakers, each with one sentence in all emotions and another one happily, in two splits."""

    def dialogue(split: str, speaker: str, emotion: str, text: str, seed: int) -> Dialogue:
        clip = Clip.from_bytes(make_clip(0.4, seed))
        turn = Turn(0, "user", speaker, text, emotion, clip=clip, duration_s=0.4)
        return Dialogue(f"{split}-{speaker}-{emotion}-{len(text)}", "test", "en", "CC0-1.0", (turn,))

    splits = {
        split: [
            *(dialogue(split, speaker, emotion, "It is late.", n) for n, emotion in enumerate(EMOTIONS)),
            dialogue(split, speaker, "happy", "Here I am now.", 5),
        ]
        for split, speaker in (("train", "Ann"), ("test", "Bob"))
    }
    write_release(folder, config, splits)
    return folder


def run(*arguments: str | Path) -> int:
    return main(["data", "conflicts", *map(str, arguments)])


def pair_ids(folder: Path, config: str, split: str) -> list[str]:
    return [pair.pair_id for pair in load_release(str(folder), config, split).pairs]


def test_real_recordings_of_a_speaker_are_paired_whatever_is_said(tmp_path: Path) -> None:
    folder = write_talks(tmp_path / "release", "multiturn_real")
    assert run(folder, "--out", tmp_path / "paired") == 0
    assert len(pair_ids(tmp_path / "paired", "multiturn_real", "test")) == 4
    assert len(pair_ids(tmp_path / "paired", "multiturn_real", "train")) == 4
    before, after = (load_release(str(one), "multiturn_real") for one in (folder, tmp_path / "paired"))
    assert before.dialogues == after.dialogues
    assert not before.pairs


def test_synthetic_recordings_are_paired_where_they_say_the_same(tmp_path: Path) -> None:
    folder = write_talks(tmp_path / "release", "singleturn_synthetic")
    assert run(folder, "--in_place") == 0
    pairs = load_release(str(folder), "singleturn_synthetic").pairs
    assert len(pairs) == 2
    assert {pair.audio_dialogue_id.rsplit("-", 1)[1] for pair in pairs} == {"11"}


@pytest.mark.parametrize(("polarity", "count"), [("valence", 4), ("strict", 2), ("any", 4)])
def test_the_polarity_can_be_chosen(polarity: str, count: int, tmp_path: Path) -> None:
    folder = write_talks(tmp_path / "release", "multiturn_real")
    assert run(folder, "--in_place", "--polarity", polarity) == 0
    assert len(pair_ids(folder, "multiturn_real", "test")) == count


def test_pairs_that_are_there_are_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_talks(tmp_path / "release", "multiturn_real")
    assert run(folder, "--in_place") == 0
    pairs = pair_ids(folder, "multiturn_real", "test")
    assert run(folder, "--in_place") == 2
    assert "config multiturn_real_conflict is there already" in capsys.readouterr().err
    assert pair_ids(folder, "multiturn_real", "test") == pairs


def test_a_release_without_opposites_is_an_error_and_stays_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turn = Turn(0, "user", "Ann", "Hi.", "happy", clip=Clip.from_bytes(make_clip(0.4)))
    write_release(tmp_path / "release", "talks", {"test": [Dialogue("d", "", "en", "", (turn,))]})
    files = sorted(tmp_path.rglob("*"))
    assert run(tmp_path / "release", "--in_place") == 2
    assert "nothing in config 'talks' can be paired" in capsys.readouterr().err
    assert run(tmp_path / "release", "--out", tmp_path / "paired") == 2
    assert sorted(tmp_path.rglob("*")) == files


def test_the_config_must_be_clear(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_talks(tmp_path / "release", "multiturn_real")
    write_talks(folder, "multiturn_synthetic")
    assert run(folder, "--in_place") == 2
    assert "it has the configs multiturn_real, multiturn_synthetic; name one with --config" in capsys.readouterr().err
    assert run(folder, "--in_place", "--config", "multiturn_reel") == 2
    assert "no config 'multiturn_reel'; nearest: 'multiturn_real'" in capsys.readouterr().err
    assert run(folder, "--in_place", "--config", "multiturn_real") == 0


def test_a_copy_goes_to_a_new_folder_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_talks(tmp_path / "release", "multiturn_real")
    assert run(folder, "--out", folder) == 2
    assert "is there already and is not overwritten" in capsys.readouterr().err
    assert run("owner/name", "--in_place") == 2
    assert "--in_place needs the folder of a release" in capsys.readouterr().err


def test_a_release_that_the_hub_does_not_give_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ReleaseError, match=r"^lab/release: cannot be read from the Hub \(.*download it and name its f"):
        fetch_release("lab/release", "0" * 40)
