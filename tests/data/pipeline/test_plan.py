"""What a release is to consist of: balanced, without telling ids, with takes that share all but their last emotion."""

from __future__ import annotations

from collections import Counter, defaultdict

from avemo_harness.data.pipeline.builtin import BuiltinWriter
from avemo_harness.data.pipeline.config import BuildConfig, SplitConfig, SplitsConfig
from avemo_harness.data.pipeline.plan import MULTI, SINGLE, PlannedDialogue, plan_release
from avemo_harness.data.synthesis.sentences import find_leaks

CONFIG = BuildConfig()
WRITER = BuiltinWriter(BuiltinWriter.Arguments())


def by_story(planned: tuple[PlannedDialogue, ...]) -> dict[str, list[PlannedDialogue]]:
    stories: dict[str, list[PlannedDialogue]] = defaultdict(list)
    for one in planned:
        stories[one.story].append(one)
    return stories


def test_the_default_has_the_sizes_that_it_says() -> None:
    plan = plan_release(CONFIG, ())
    assert {split: len(planned) for split, planned in plan.items()} == {SINGLE: 200, MULTI: 60}
    assert {one.request.turns for one in plan[MULTI]} == {3, 4, 5}


def test_equal_configurations_give_equal_plans_and_other_seeds_others() -> None:
    assert plan_release(CONFIG, ()) == plan_release(BuildConfig(), ())
    assert plan_release(CONFIG, ()) != plan_release(BuildConfig(seed=1), ())


def test_every_story_is_told_in_the_four_emotions_by_one_speaker() -> None:
    for planned in plan_release(CONFIG, ()).values():
        for takes in by_story(planned).values():
            assert Counter(one.request.emotions[-1] for one in takes) == Counter(["neutral", "happy", "angry", "sad"])
            assert len({(one.speaker, one.request.emotions[:-1], one.request.turns) for one in takes}) == 1


def test_takes_have_the_same_words_and_words_tell_no_emotion() -> None:
    for planned in plan_release(CONFIG, ()).values():
        for takes in by_story(planned).values():
            scripts = [WRITER.write(one.request) for one in takes]
            assert len({tuple(line.text for line in script.lines) for script in scripts}) == 1
            assert all(not find_leaks(line.text) for line in scripts[0].lines)
            users = [[line.emotion for line in script.lines if line.role == "user"] for script in scripts]
            assert [tuple(emotions) for emotions in users] == [one.request.emotions for one in takes]


def test_ids_tell_nothing_of_the_emotion() -> None:
    planned = plan_release(CONFIG, ())[SINGLE]
    assert [one.dialogue_id for one in planned] == sorted(one.dialogue_id for one in planned)
    first, second = (Counter(one.request.emotions[-1] for one in part) for part in (planned[:100], planned[100:]))
    assert max(abs(first[emotion] - second[emotion]) for emotion in first) < 25
    assert len({one.story for one in planned[:8]}) > 4


def test_an_empty_split_is_left_out() -> None:
    none, some = SplitConfig(dialogues=0, conflict_pairs=0), SplitConfig(dialogues=8, conflict_pairs=2)
    config = BuildConfig(splits=SplitsConfig(singleturn_synthetic=some, multiturn_synthetic=none))
    assert {split: len(planned) for split, planned in plan_release(config, ()).items()} == {
        SINGLE: 8,
        MULTI: 0,
    }
