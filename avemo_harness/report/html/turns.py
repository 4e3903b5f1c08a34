"""What the report's page shows of single turns: every answer to each, how it was scored, and what the judge heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from avemo_harness.benchmark.release import Release, Turn
from avemo_harness.benchmark.request import Item
from avemo_harness.benchmark.task import LabelOutput, TaskSpec
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.report.scored_run import ScoredRun
from avemo_harness.run.config import ReleaseRecord
from avemo_harness.run.store import RunStore, read_items
from avemo_harness.text import publishable

Dataset = tuple[str, str, str]
"""Config, split and fingerprint of a release."""
Place = tuple[Dataset, str, int, str]
"""Release, dialogue, turn and conflict pair ("" where there is none): what the page shows as one entry."""

MOST_TURNS = 5_000
TEXT_BUDGET = 4_000_000
"""Characters of all answers together; longer ones are cut, the run directory has them whole."""
_LEAST_CHARACTERS, _MOST_CHARACTERS = 200, 4_000
_AMISS = frozenset({"error", "missing", "unjudged", "unspoken"})
_DECIMALS = 3
_SHOWN_OF_FINGERPRINT = 12


@dataclass(frozen=True, slots=True)
class ShownTask:
    """A task that was asked; `kind` says what its answers are."""

    name: str
    group: str
    condition: str
    kind: Literal["label", "speech"]


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """One answer.

    Args:
        task: position among the page's tasks.
        text: what the model wrote or how it ranked the labels, or the error.
        why: the rule that read it.
    """

    task: int
    verdict: str
    label: str | None
    text: str
    why: str
    flags: tuple[str, ...]
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Curve:
    """A trajectory on the unit scale, `rate_hz` values a second."""

    rate_hz: float
    valence: tuple[float, ...]
    arousal: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """One entry of the browser: a user's turn, or a conflict pair, with all that was answered.

    Args:
        key: unique on the page, and the end of its address.
        gold: the label; None for a conflict, which has `heard` and `seen`.
        said: the user's words, where the release is at hand.
        user, reply: what the judge made of the turn and of the spoken reply.
    """

    key: str
    group: str
    dialogue: str
    turn: int
    gold: str | None
    heard: str | None
    seen: str | None
    said: str
    answers: tuple[ShownAnswer, ...]
    user: Curve | None
    reply: Curve | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A turn with what its recordings are found by.

    Args:
        pair: id of the conflict pair; "" where there is none.
        speech: path of the spoken reply inside the run directory.
        interest: how much is amiss or in dispute; the recordings of the highest are embedded first.
    """

    shown: ShownTurn
    dataset: Dataset
    pair: str
    speech: str | None
    interest: int


def dataset_of(release: ReleaseRecord) -> Dataset:
    """What tells a release, as a run records it, from the run's others."""
    return release.name, release.split, release.fingerprint


def shown_tasks(run: ScoredRun) -> list[ShownTask]:
    """The tasks that were asked, in the order of the run."""
    return [
        ShownTask(
            task.task,
            task.group or task.task,
            task.condition.name,
            "label" if isinstance(task.output, LabelOutput) else "speech",
        )
        for task in _asked(run)
    ]


def list_entries(run: ScoredRun, releases: Mapping[Dataset, Release]) -> list[Entry]:
    """Every turn and pair that was asked about, in the order of the tasks and their items.

    Args:
        releases: those at hand, for the users' words.

    Raises:
        StoreError: the run directory is damaged.
    """
    store = RunStore(run.folder)
    store.refresh()
    places: dict[Place, list[tuple[int, TaskSpec, Item]]] = {}
    for number, task in enumerate(_asked(run)):
        dataset = dataset_of(run.record.release_of(task))
        for item in read_items(run.folder, task.task):
            pair = item.item_id if item.condition == "conflict" else ""
            places.setdefault((dataset, item.dialogue_id, item.turn_index, pair), []).append((number, task, item))
    answers = sum(map(len, places.values()))
    reader = _Reader(
        run=run,
        store=store,
        releases=releases,
        longest=min(_MOST_CHARACTERS, max(_LEAST_CHARACTERS, TEXT_BUDGET // max(answers, 1))),
        prefixes=_prefixes(dataset for dataset, *_ in places),
    )
    return [reader.entry(place, asked) for place, asked in places.items()]


def most_interesting(entries: Sequence[Entry], count: int) -> list[Entry]:
    """That many entries, those with failures and disputes first, in the order in which they came."""
    ranked = sorted(range(len(entries)), key=lambda i: (-entries[i].interest, i))
    return [entries[i] for i in sorted(ranked[:count])]


def _prefixes(datasets: Iterable[Dataset]) -> dict[Dataset, str]:
    """What tells turns of equal ids apart: config and split, and the fingerprint where these are equal too.

    >>> _prefixes([("demo", "test", "6c1f"), ("demo", "train", "90aa")])[("demo", "test", "6c1f")]
    'demo/test/'
    """
    distinct = list(dict.fromkeys(datasets))
    if len(distinct) == 1:
        return {distinct[0]: ""}
    alike = Counter((name, split) for name, split, _ in distinct)
    return {
        (name, split, content): f"{name}/{split}/{content[:_SHOWN_OF_FINGERPRINT]}/"
        if alike[name, split] > 1
        else f"{name}/{split}/"
        for name, split, content in distinct
    }


def _asked(run: ScoredRun) -> list[TaskSpec]:
    return [task for task in run.record.tasks if task.task not in run.record.skipped]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Puts together what a run says of a turn.

    Args:
        longest: characters that are shown of a text.
        prefixes: of the turns' keys, by release.
    """

    run: ScoredRun
    store: RunStore
    releases: Mapping[Dataset, Release]
    longest: int
    prefixes: Mapping[Dataset, str]

    def entry(self, place: Place, asked: Sequence[tuple[int, TaskSpec, Item]]) -> Entry:
        """A turn, or a pair, from the tasks that asked about it with their numbers."""
        dataset, dialogue, turn, pair = place
        _, task, item = asked[0]
        items = [(item.task, item.item_id) for _, _, item in asked]
        judged = [self.run.judged[one] for one in items if one in self.run.judged]
        spoken = (stored.speech_path for one in items if (stored := self.store.answers.get(one)) and stored.speech_path)
        release = self.releases.get(dataset)
        asked_turn = release.dialogue(dialogue).turns[turn] if release else None
        name = pair or f"{dialogue}/{turn}"
        answers = tuple(self._answer(number, item) for number, _, item in asked)
        shown = ShownTurn(
            key=self.prefixes[dataset] + name,
            group=task.group or task.task,
            dialogue=dialogue,
            turn=turn,
            gold=None if pair else _gold(asked, asked_turn),
            heard=item.audio_label,
            seen=item.video_label,
            said=asked_turn.text[: self.longest] if asked_turn else "",
            answers=answers,
            user=_curve(one.user for one in judged),
            reply=_curve(one.reply for one in judged),
        )
        return Entry(shown, dataset, pair, next(spoken, None), _interest(answers))

    def _answer(self, number: int, item: Item) -> ShownAnswer:
        place = (item.task, item.item_id)
        record = self.store.answers.get(place) or self.store.errors.get(place)
        line = self.run.items.get(item.task, {}).get(item.item_id)
        said = "" if record is None else record.error or record.text or _ranking(record.label_logprobs or {})
        text = publishable(said) if record and record.error else said
        unread = "missing" if record is None else "error" if record.error else "answered"
        more = len(text) - self.longest
        return ShownAnswer(
            task=number,
            verdict=line.verdict if line else unread,
            label=line.label if line else None,
            text=text if more <= 0 else f"{text[: self.longest]} … ({more} more characters)",
            why=publishable(line.why) if line and line.why != said else "",
            flags=record.flags if record else (),
            values=line.values if line else {},
        )


def _ranking(logprobs: Mapping[str, float]) -> str:
    """The labels from the most to the least probable.

    >>> _ranking({"sad": -4.0, "happy": -0.51})
    'log-probabilities: happy -0.51, sad -4.00'
    """
    ranked = sorted(logprobs.items(), key=lambda one: -one[1])
    return "log-probabilities: " + ", ".join(f"{label} {value:.2f}" for label, value in ranked) if ranked else ""


def _gold(asked: Sequence[tuple[int, TaskSpec, Item]], turn: Turn | None) -> str | None:
    """The label; tasks that ask for replies do not have it, the release does."""
    known = (item.gold for _, _, item in asked if item.gold is not None)
    return next(known, turn.emotion if turn else None)


def _curve(judged: Iterable[Trajectory | None]) -> Curve | None:
    trajectory = next((one for one in judged if one is not None and len(one)), None)
    if trajectory is None or not {"valence", "arousal"} <= set(trajectory.columns):
        return None
    unit = trajectory.on("unit")
    valence, arousal = (tuple(unit.column(name).round(_DECIMALS).tolist()) for name in ("valence", "arousal"))
    return Curve(unit.rate_hz, valence, arousal)


def _interest(answers: Sequence[ShownAnswer]) -> int:
    labels = {one.label for one in answers if one.label is not None}
    amiss = sum(one.verdict in _AMISS for one in answers)
    wrong = sum(one.verdict == "wrong" for one in answers)
    return 4 * amiss + 2 * max(len(labels) - 1, 0) + wrong + sum(len(one.flags) for one in answers)
