"""The items of a study before their files: replies of runs, gold items, traps and worked examples."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avemo_harness.benchmark.release import Dialogue, Release
from avemo_harness.benchmark.task import SpokenOutput, TaskSpec
from avemo_harness.data.synthesis.affect import Speaker
from avemo_harness.data.synthesis.clips import ClipSpec, make_clip, make_speech
from avemo_harness.data.synthesis.face import FPS
from avemo_harness.data.synthesis.voice import RATE
from avemo_harness.errors import UsageError
from avemo_harness.human.study import SCALE_NAMES, SCALES_VERSION, Kind
from avemo_harness.media import Samples
from avemo_harness.metrics.raters import HIGHEST, LOWEST
from avemo_harness.registry import hint
from avemo_harness.run.config import RunRecord, read_run
from avemo_harness.run.store import RunStore, read_items


@dataclass(frozen=True, slots=True)
class System:
    """A run whose replies are rated.

    Args:
        label: how the study calls it; of several runs of one model each needs its own.
        replies: spoken replies by dialogue and user turn, as files.
    """

    label: str
    folder: Path
    run: RunRecord
    task: TaskSpec
    replies: Mapping[tuple[str, int], Path]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A dialogue to rate, with the user turns that are shown: the first ones, as far as every system replied."""

    dialogue: Dialogue
    turns: tuple[int, ...]


def open_systems(runs: Sequence[str], task: str | None) -> list[System]:
    """Open runs, each written ``FOLDER`` or ``LABEL=FOLDER``.

    Args:
        task: the task whose replies are rated; None where each run has but one that asks for speech.

    Raises:
        UsageError: a folder is no run, asks for no speech or for another release, or two systems share a label.
        StoreError: a run is damaged.
    """
    systems = [_open(written, task) for written in runs]
    labels = Counter(system.label for system in systems)
    for label, count in labels.items():
        if count > 1:
            raise UsageError(f"{count} runs are called {label!r}; give each its own name: LABEL=FOLDER")
    if len({system.folder.resolve() for system in systems}) < len(systems):
        raise UsageError("one run is given twice; its replies would be rated against themselves")
    first = systems[0]
    for system in systems[1:]:
        if system.task.task != first.task.task:
            raise UsageError(
                f"{first.folder} is rated on {first.task.task}, {system.folder} on {system.task.task}; "
                "choose one that both have with --task"
            )
        if release_of(system) != release_of(first):
            raise UsageError(f"{system.folder} was asked of another release than {first.folder}; run both on one")
    return systems


def release_of(system: System) -> Mapping[str, str]:
    """The source, config, split and fingerprint of what a system was asked about."""
    release = system.run.release_of(system.task)
    return {name: getattr(release, name) for name in ("source", "name", "split", "fingerprint")}


def _open(written: str, task: str | None) -> System:
    label, equals, path = written.partition("=")
    folder = Path(path if equals else written)
    run = read_run(folder)
    chosen = _spoken_task(folder, run, task)
    store = RunStore(folder)
    store.refresh()
    replies = {
        (item.dialogue_id, item.turn_index): folder / record.speech_path
        for item in read_items(folder, chosen.task)
        if (record := store.answers.get((chosen.task, item.item_id))) is not None and record.speech_path is not None
    }
    if not replies:
        raise UsageError(f"{folder}: {chosen.task} has no spoken reply yet; finish the run first")
    return System(label if equals else run.shown_model, folder, run, chosen, replies)


def _spoken_task(folder: Path, run: RunRecord, name: str | None) -> TaskSpec:
    spoken = {
        task.task: task for task in run.tasks if isinstance(task.output, SpokenOutput) and task.task not in run.skipped
    }
    if not spoken:
        raise UsageError(f"{folder}: none of its tasks asks for spoken replies, so there is nothing to rate")
    if name is None and len(spoken) > 1:
        raise UsageError(f"{folder}: several tasks ask for spoken replies: {', '.join(spoken)}; choose with --task")
    if name is not None and name not in spoken:
        raise UsageError(f"{folder}: has no spoken replies to {name!r}{hint(name, spoken)}")
    return spoken[name] if name is not None else next(iter(spoken.values()))


def eligible_dialogues(
    systems: Sequence[System], release: Release, most_turns: int
) -> tuple[list[Candidate], Mapping[str, int]]:
    """The dialogues of a release that every system answered aloud, in its order.

    Returns:
        The candidates, and why dialogues or turns are left out, with counts.
    """
    candidates: list[Candidate] = []
    left_out: Counter[str] = Counter()
    for dialogue in release.dialogues:
        users = [turn for turn in dialogue.turns if turn.role == "user"]
        turns: list[int] = []
        for turn in users[:most_turns]:
            silent = [one.label for one in systems if (dialogue.dialogue_id, turn.turn_index) not in one.replies]
            if silent or turn.clip is None:
                left_out.update([f"turns without a spoken reply of {label}" for label in silent] or ["turns unseen"])
                break
            turns.append(turn.turn_index)
        left_out["turns beyond the most that are shown"] += max(0, len(users) - most_turns)
        if turns:
            candidates.append(Candidate(dialogue, tuple(turns)))
        else:
            left_out["dialogues whose first turn is left out"] += 1
    return candidates, {reason: count for reason, count in sorted(left_out.items()) if count}


POSITIVE, NEGATIVE = frozenset({"happy"}), frozenset({"angry", "sad"})
MOST_TO_MATCH = 200
"""Dialogues among which replies are exchanged; more would only take longer."""
_OPPOSITE, _UNFIT = 0.0, 1e6
_ANOTHERS = "The reply was given to another conversation. It may sound kind, but it is no answer to this person."


@dataclass(frozen=True, slots=True)
class ItemSpec:
    """An item to be made.

    Args:
        system: whose replies; of gold items that were put together, how.
        replies: a file for every shown turn.
        beeps: heard behind the last reply of a trap.
        why: by scale, why that rating is expected, for the training.
    """

    kind: Kind
    candidate: Candidate
    system: str
    replies: tuple[Path, ...]
    expected: Mapping[str, int] = field(default_factory=dict)
    beeps: int = 0
    why: Mapping[str, str] = field(default_factory=dict)


def rated_item(system: System, candidate: Candidate) -> ItemSpec:
    """The item that asks for a rating of a system's replies to a dialogue."""
    return ItemSpec("rated", candidate, system.label, _replies(system, candidate))


def traps(system: System, candidates: Sequence[Candidate], count: int, rng: np.random.Generator) -> Iterator[ItemSpec]:
    """Items that end in beeps: whoever listens to the end gives that many points on every scale."""
    for number in range(count):
        candidate = candidates[number % len(candidates)]
        beeps = int(rng.integers(LOWEST, HIGHEST + 1))
        yield ItemSpec(
            "trap", candidate, system.label, _replies(system, candidate), dict.fromkeys(SCALE_NAMES, beeps), beeps
        )


def mismatched_golds(system: System, candidates: Sequence[Candidate], count: int) -> Iterator[ItemSpec]:
    """Items whose replies belong to another dialogue: of relevance 1, or 2 where general words may fit by chance.

    A dialogue gives its clips to one item and its replies to one item, and no two of the dialogues have a sentence in
    common, so that nobody knows a gold item by what was in another. The replies are to the opposite feeling where
    labels tell and there is one; else kind words for anybody may fit in general, which is no miss. Nothing is taken to
    be of relevance 5, not even a release's own answers: people rate those from 2.9 to 4.4 (arXiv 2510.07355, Table 2),
    so that whoever disagrees may well be right.

    Args:
        candidates: the ones to take first stand first.

    Returns:
        That many, or fewer where there are not enough dialogues of different words.
    """
    from scipy.optimize import linear_sum_assignment

    pool = _without_shared_sentences(candidates)[:MOST_TO_MATCH]
    asked = pool[:count]
    unlike = np.array([[_match_cost(one, other) for other in pool] for one in asked]).reshape(len(asked), len(pool))
    # The first candidates also lend their replies first, among those that fit equally well.
    for row, column in zip(*linear_sum_assignment(unlike + np.linspace(0, 0.5, len(pool))), strict=True):
        if unlike[row, column] < _UNFIT:
            other = pool[column]
            replies = _replies(system, other)
            swapped = tuple(replies[turn % len(replies)] for turn in range(len(asked[row].turns)))
            source = f"replies to dialogue {other.dialogue.dialogue_id}"
            opposite = _match_cost(asked[row], other) == _OPPOSITE
            expected = {"rr": LOWEST if opposite else LOWEST + 1}
            yield ItemSpec("gold", asked[row], source, swapped, expected, why={"rr": _ANOTHERS})


def read_golds(path: Path, systems: Sequence[System], candidates: Sequence[Candidate]) -> list[ItemSpec]:
    """Gold items that experts rated: a JSON line each with ``dialogue``, ``system``, ``scales`` and some of er, en, rr.

    Raises:
        UsageError: a line is not of that form, names a dialogue or a system that the study does not have, or was rated
            on another wording of the scales.
    """
    by_label = {system.label: system for system in systems}
    by_id = {candidate.dialogue.dialogue_id: candidate for candidate in candidates}
    golds = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            expected = {name: int(row[name]) for name in SCALE_NAMES if row.get(name) is not None}
            candidate, system = by_id[row["dialogue"]], by_label[row["system"]]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{path}:{number}: expected {{dialogue, system, scales, er, en, rr}} of the study's dialogues and "
                f"systems, found {line[:80]!r}"
            ) from error
        if row.get("scales") != SCALES_VERSION:
            raise UsageError(
                f"{path}:{number}: was rated on the scales {row.get('scales')!r}, the study asks on "
                f"{SCALES_VERSION!r}; let the experts rate on those and say so in every line"
            )
        if not expected or not all(LOWEST <= value <= HIGHEST for value in expected.values()):
            raise UsageError(f"{path}:{number}: expected ratings from {LOWEST} to {HIGHEST}, found {expected}")
        golds.append(ItemSpec("gold", candidate, system.label, _replies(system, candidate), expected))
    return golds


def _replies(system: System, candidate: Candidate) -> tuple[Path, ...]:
    return tuple(system.replies[candidate.dialogue.dialogue_id, turn] for turn in candidate.turns)


def _match_cost(asked: Candidate, other: Candidate) -> float:
    """Cost of showing replies to `other` as replies that do not fit `asked`: 0 where the feelings are opposite."""
    if asked is other:
        return _UNFIT
    here, there = _feeling(asked), _feeling(other)
    if (here in POSITIVE and there in NEGATIVE) or (here in NEGATIVE and there in POSITIVE):
        return _OPPOSITE
    return 1.0 if here != there else 2.0


def _without_shared_sentences(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates but for those in which something is said that was said in one before."""
    chosen: list[Candidate] = []
    said: set[str] = set()
    for one in candidates:
        if not _words(one) & said:
            chosen.append(one)
            said |= _words(one)
    return chosen


def _words(candidate: Candidate) -> set[str]:
    """Sentences of the user in the turns that are shown; a release may have one sentence in several emotions."""
    return {candidate.dialogue.turns[turn].text.casefold().strip() for turn in candidate.turns} - {""}


def _feeling(candidate: Candidate) -> str | None:
    return candidate.dialogue.turns[candidate.turns[0]].emotion


_PERSON, _ASSISTANT = Speaker.draw("person", 4), Speaker.draw("assistant", 7)
_SIDE = 240
_WORD_S, _PAUSE_S = 0.32, 0.8
"""Seconds of a word, and of the silence around a sentence."""


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """Words, and the emotion that they are said with: neutral, happy, angry or sad."""

    words: str
    emotion: str
    intensity: float = 1.0


@dataclass(frozen=True, slots=True)
class Example:
    """An exchange whose rating is known.

    Args:
        name: as the study's key names it; raters do not see it.
        expected: from 1 to 5, on the scales that it teaches.
        why: by scale, what a rater is told after rating it.
    """

    name: str
    person: ScriptLine
    reply: ScriptLine
    expected: Mapping[str, int]
    why: Mapping[str, str]

    @property
    def words(self) -> tuple[str, str]:
        """Words of the person and of the reply."""
        return self.person.words, self.reply.words


_TRAIN = ScriptLine(
    "They cancelled my train again, without a word! I stood on that platform for two hours, and now my interview is "
    "gone!",
    "angry",
)
_TEST = ScriptLine(
    "I failed my driving test this morning, for the third time. I need the licence for my new job in June.", "sad"
)
EXAMPLES = (
    Example(
        "mirrored anger",
        _TRAIN,
        ScriptLine("That is outrageous! I am furious too! Those people are useless, all of them!", "angry"),
        {"er": 2},
        {
            "er": "The reply is as angry as the person. It matches, and it stirs the anger up: it does not show that "
            "it understands what was lost, and it calms nothing. Matching alone is never a 5 here."
        },
    ),
    Example(
        "kind platitude",
        _TEST,
        ScriptLine("Oh, I am so sorry to hear that. Stay positive, everything will be fine in the end!", "sad", 0.5),
        {"rr": 3},
        {
            "rr": "Kind, and it fits. But the same words would suit any bad news: nothing of the test, the new job or "
            "June is in them, and nothing helps. Kind words for anybody stay in the middle of this scale."
        },
    ),
    Example(
        "understanding of anger",
        _TRAIN,
        ScriptLine(
            "Two hours on that platform, nobody tells you anything, and then the interview is gone. Of course you are "
            "angry. Shall we write to them right now and ask for another day?",
            "neutral",
        ),
        {"er": 5},
        {
            "er": "The voice does not share the anger, and that is right: it stays calm, says that it understands what "
            "happened, and leads to what can still be saved. That helps an angry person most."
        },
    ),
    Example(
        "specific help",
        _TEST,
        ScriptLine(
            "A third time, with the new job so close, that hurts. June still leaves time: book the next test today, "
            "and two lessons on just what went wrong. I can also help you to tell your employer.",
            "sad",
            0.4,
        ),
        {"rr": 5},
        {
            "rr": "This takes up the test, the job and June, and says what to do next. Compare it with the kind words "
            "from before: help that is specific to this person is what the upper end of this scale is for."
        },
    ),
)


def person_clip(example: Example) -> bytes:
    """The person's face and voice: MP4, h264 and AAC. The same in every plan."""
    return make_clip(_spec(example.person, _PERSON))


def reply_speech(example: Example) -> tuple[Samples, int]:
    """The reply's voice, float32 mono, and its samples a second."""
    return make_speech(_spec(example.reply, _ASSISTANT)).samples, RATE


def _spec(line: ScriptLine, speaker: Speaker) -> ClipSpec:
    frames = round((len(line.words.split()) * _WORD_S + _PAUSE_S) * FPS)
    return ClipSpec(line.words, speaker, line.emotion, frames, line.intensity, line.intensity, seed=1, side=_SIDE)
