"""Single turns on the report's page: every answer to each, how it was scored, and the judge's trajectories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from avemo_harness.benchmark.release import Release, Turn
from avemo_harness.benchmark.request import Item
from avemo_harness.benchmark.task import LETTERS, ChoiceOutput, LabelOutput, NumberOutput, SpokenOutput, TaskSpec
from avemo_harness.metrics.trajectory import Dimension, Trajectory
from avemo_harness.report.scored_run import ScoredRun
from avemo_harness.run.config import ReleaseRecord
from avemo_harness.run.store import RunStore, read_items
from avemo_harness.scorers.base import UNSCORED
from avemo_harness.text import publishable

Dataset = tuple[str, str, str]
"""Config, split and fingerprint of a release."""
EntryKey = tuple[Dataset, str, int, str]
"""Release, dialogue, turn and conflict pair ("" where there is none): what the page shows as one entry."""

MOST_TURNS = 5_000
TEXT_BUDGET = 4_000_000
"""Characters of all answers together; longer ones are cut, the run directory has them whole."""
_LEAST_CHARACTERS, _MOST_CHARACTERS = 200, 4_000
_DECIMALS = 3
_NAMED = (LabelOutput, ChoiceOutput, NumberOutput)
"""Outputs whose truth is a label, a letter or a number, and no text of a corpus."""
_SHOWN_OF_FINGERPRINT = 12


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the page's browser: a user's turn, or a conflict pair, with what its recordings are found by.

    Args:
        shown: the entry's JSON, without what is empty: ``key`` (unique on the page, and the end of its address),
            ``group``, ``dialogue``, ``turn``, ``gold`` (not of a conflict, which has ``heard`` and ``seen``), ``said``
            (the user's words), ``answers``, and the judge's trajectories ``user`` and ``reply``.
        pair: id of the conflict pair; "" where there is none.
        speech: path of the spoken reply inside the run directory.
        interest: how much is amiss or in dispute; the recordings of the highest are embedded first.
    """

    shown: Mapping[str, Any]
    dataset: Dataset
    pair: str
    speech: str | None
    interest: int

    @property
    def key(self) -> str:
        return str(self.shown["key"])


def dataset_of(release: ReleaseRecord) -> Dataset:
    """The part of a release's record that tells it from the run's other releases."""
    return release.name, release.split, release.fingerprint


def shown_tasks(run: ScoredRun) -> list[dict[str, str]]:
    """The JSON of the tasks that were asked, in the order of the run; ``kind`` is that of their answers."""
    return [
        {
            "name": task.task,
            "group": task.group or task.task,
            "condition": task.condition.name,
            "kind": "speech" if isinstance(task.output, SpokenOutput) else task.output.type,
        }
        for task in run.asked
    ]


def list_entries(run: ScoredRun, releases: Mapping[Dataset, Release], masked: Collection[Dataset] = ()) -> list[Entry]:
    """Every turn and pair that was asked about, in the order of the tasks and their items.

    Args:
        releases: those at hand, for the users' words.
        masked: releases whose dialogues and pairs are called by numbers, and of which no text is shown.

    Raises:
        StoreError: the run directory is damaged.
    """
    store = RunStore(run.folder)
    store.refresh()
    asked: dict[EntryKey, list[tuple[int, TaskSpec, Item]]] = {}
    for number, task in enumerate(run.asked):
        dataset = dataset_of(run.record.release_of(task))
        for item in read_items(run.folder, task.task):
            pair = item.item_id if item.condition == "conflict" else ""
            asked.setdefault((dataset, item.dialogue_id, item.turn_index, pair), []).append((number, task, item))
    answers = sum(map(len, asked.values()))
    reader = _Reader(
        run=run,
        store=store,
        releases=releases,
        longest=min(_MOST_CHARACTERS, max(_LEAST_CHARACTERS, TEXT_BUDGET // max(answers, 1))),
        prefixes=_prefixes(dataset for dataset, *_ in asked),
        masked={dataset: _numbers(asked, dataset) for dataset in masked},
    )
    return [reader.entry(key, items) for key, items in asked.items()]


def _numbers(asked: Iterable[EntryKey], dataset: Dataset) -> dict[str, str]:
    """Numbers of a release's dialogues and pairs, from 1 on in the order in which they were asked."""
    names = dict.fromkeys(pair or dialogue for of, dialogue, _, pair in asked if of == dataset)
    return {name: str(number) for number, name in enumerate(names, 1)}


def most_interesting(entries: Sequence[Entry], count: int) -> list[Entry]:
    """That many entries, those with failures and disputes first, in the order in which they came."""
    ranked = sorted(range(len(entries)), key=lambda i: (-entries[i].interest, i))
    return [entries[i] for i in sorted(ranked[:count])]


def _prefixes(datasets: Iterable[Dataset]) -> dict[Dataset, str]:
    """Prefixes that tell turns of equal ids apart: config and split, and the fingerprint where these are equal too.

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


@dataclass(frozen=True, slots=True)
class _Reader:
    """Puts together what a run says of a turn.

    Args:
        longest: characters that are shown of a text.
        prefixes: of the turns' keys, by release.
        masked: by release, the numbers that stand for names of its dialogues and pairs; of others names are shown.
    """

    run: ScoredRun
    store: RunStore
    releases: Mapping[Dataset, Release]
    longest: int
    prefixes: Mapping[Dataset, str]
    masked: Mapping[Dataset, Mapping[str, str]]

    def entry(self, key: EntryKey, asked: Sequence[tuple[int, TaskSpec, Item]]) -> Entry:
        """A turn, or a pair, from the tasks that asked about it with their numbers."""
        dataset, dialogue, turn, pair = key
        _, task, item = asked[0]
        items = [(item.task, item.item_id) for _, _, item in asked]
        judged = [self.run.judged[item_key] for item_key in items if item_key in self.run.judged]
        spoken = (
            stored.speech_path
            for item_key in items
            if (stored := self.store.answers.get(item_key)) and stored.speech_path
        )
        release = self.releases.get(dataset)
        asked_turn = release.dialogue(dialogue).turns[turn] if release else None
        masked = dataset in self.masked
        numbers = self.masked.get(dataset, {})
        shown_pair, shown_dialogue = numbers.get(pair, pair), numbers.get(dialogue, "" if masked else dialogue)
        answers = [self._answer(number, item, masked) for number, _, item in asked]
        shown = {
            "key": self.prefixes[dataset] + (shown_pair or f"{shown_dialogue}/{turn}"),
            "group": task.group or task.task,
            "dialogue": shown_dialogue,
            "turn": turn,
            **_present(
                gold=None if pair else _gold(asked, asked_turn, masked),
                heard=item.audio_label,
                seen=item.video_label,
                said=asked_turn.text[: self.longest] if asked_turn else "",
            ),
            "answers": answers,
            **_present(
                user=_curve(judgement.user for judgement in judged),
                reply=_curve(judgement.reply for judgement in judged),
            ),
        }
        speech = None if masked and self.run.record.answers_from_release else next(spoken, None)
        return Entry(shown, dataset, pair, speech, _interest(answers))

    def _answer(self, number: int, item: Item, masked: bool) -> dict[str, Any]:
        """The JSON of an answer: by the number of its task, what the model gave, and how it was read and scored.

        Args:
            masked: texts of the release, and the names of its files, are not shown.
        """
        key = (item.task, item.item_id)
        record = self.store.answers.get(key) or self.store.errors.get(key)
        line = self.run.lines.get(item.task, {}).get(item.item_id)
        said = "" if record is None else record.error or record.text or _ranking(record.label_logprobs or {})
        hidden = record.error if masked and record is not None else None
        if masked and record is not None and (record.error or self.run.record.answers_from_release):
            # An error may name a file, and the reference's replies are the release's own.
            said = record.error.partition(":")[0] if record.error else ""
        text = publishable(said) if record and record.error else said
        unread = "missing" if record is None else "error" if record.error else "answered"
        more = len(text) - self.longest
        # Of a choice they only count for its metrics, and its options are shown.
        values = line.values if line and not item.order else {}
        return {
            "task": number,
            "verdict": line.verdict if line else unread,
            **_present(
                label=line.label if line else None,
                truth=item.gold if item.order else None,
                options=[
                    _option(letter, "(not shown)" if masked and words else words)
                    for letter, words in zip(LETTERS, item.choices, strict=False)
                ],
                text=text if more <= 0 else f"{text[: self.longest]} … ({more} more characters)",
                why=publishable(line.why) if line and line.why not in (said, hidden) else "",
                flags=record.flags if record else (),
                values={name: None if value is None else round(value, _DECIMALS) for name, value in values.items()},
            ),
        }


def _present(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value}


def _option(letter: str, words: str) -> str:
    """An option as the question showed it; a recording by its letter alone."""
    return f"{letter}. {words[:_LEAST_CHARACTERS] or '(recording)'}"


def _ranking(logprobs: Mapping[str, float]) -> str:
    """The labels from the most to the least probable.

    >>> _ranking({"sad": -4.0, "happy": -0.51})
    'log-probabilities: happy -0.51, sad -4.00'
    """
    ranked = sorted(logprobs.items(), key=lambda scored: -scored[1])
    return "log-probabilities: " + ", ".join(f"{label} {value:.2f}" for label, value in ranked) if ranked else ""


def _gold(asked: Sequence[tuple[int, TaskSpec, Item]], turn: Turn | None, masked: bool) -> str | None:
    """The truth, of a choice the right option's text; tasks that ask for replies do not have it, the release does.

    Args:
        masked: of a choice, and of free text, nothing is shown but the letter.
    """
    if masked:
        return next((item.gold for _, task, item in asked if isinstance(task.output, _NAMED)), None)
    known = (_truth(item) for _, _, item in asked if item.gold is not None)
    return next(known, turn.emotion if turn else None)


def _truth(item: Item) -> str | None:
    if not item.order or item.gold is None:
        return item.gold
    return item.choices[LETTERS.index(item.gold)] or f"option {item.order[LETTERS.index(item.gold)] + 1}"


def _curve(judged: Iterable[Trajectory | None]) -> dict[str, Any] | None:
    """The JSON of the first trajectory that has values, on the unit scale."""
    trajectory = next((trajectory for trajectory in judged if trajectory is not None and len(trajectory)), None)
    if trajectory is None or not {"valence", "arousal"} <= set(trajectory.columns):
        return None
    unit = trajectory.on("unit")
    columns: tuple[Dimension, ...] = ("valence", "arousal")
    return {"rate_hz": unit.rate_hz, **{name: unit.column(name).round(_DECIMALS).tolist() for name in columns}}


def _interest(answers: Sequence[Mapping[str, Any]]) -> int:
    verdicts: list[str] = [answer["verdict"] for answer in answers]
    labels = {answer["label"] for answer in answers if "label" in answer}
    flags = [flag for answer in answers for flag in answer.get("flags", ())]
    amiss = sum(verdict in UNSCORED or verdict == "unspoken" for verdict in verdicts)
    return 4 * amiss + 2 * max(len(labels) - 1, 0) + verdicts.count("wrong") + len(flags)
