"""Plan a study from runs, and extend a running one where items would end with too few raters."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avemo_harness.benchmark.release import Clip, Release
from avemo_harness.errors import StorageError, UsageError
from avemo_harness.human.analysis import exclusions, raters_of_items
from avemo_harness.human.items import (
    EXAMPLES,
    Candidate,
    Example,
    ItemSpec,
    System,
    eligible_dialogues,
    mismatched_golds,
    person_clip,
    rated_item,
    read_golds,
    release_of,
    reply_speech,
    traps,
)
from avemo_harness.human.media import StudyMedia
from avemo_harness.human.ratings import CollectedRating, RatingsFile, read_collection
from avemo_harness.human.sessions import checks_needed, plan_sessions, sessions_of
from avemo_harness.human.settings import LEAST_RATERS, PRESETS, StudyPlan, consent_text
from avemo_harness.human.study import (
    PLAN,
    DeviceCheck,
    ExclusionRules,
    ItemKey,
    Kind,
    Lesson,
    RatedSystem,
    Segment,
    Session,
    Study,
    StudyItem,
    StudyKey,
    write_privately,
    write_study,
)

TRAINING_GOLDS, TRAINING_TRAPS = 2, 1
"""Beside the examples. At most, of golds; a release of few dialogues gives fewer."""
INVITATIONS = "invitations.txt"
SPARE_INVITATIONS = 2.0
"""Invitations for every session: people stop, or fail the training."""


def make_study(
    folder: Path, systems: Sequence[System], release: Release, plan: StudyPlan, say: Callable[[str], None]
) -> Study:
    """Plan a study and write its folder: plan, key, media and invitations.

    Raises:
        UsageError: the folder holds a study, the runs have too little in common, or no consent can be read.
        MediaError: a clip or a reply cannot be read.
    """
    consent = consent_text(plan.consent)
    if (folder / PLAN).exists():
        raise UsageError(f"{folder}: holds a study already; name a new folder")
    if plan.raters_an_item < LEAST_RATERS:
        raise UsageError(f"{plan.raters_an_item} raters an item are too few; ask for {LEAST_RATERS} or more")
    if release.fingerprint != release_of(systems[0])["fingerprint"]:
        raise UsageError(f"{release.source}: is not the release that the runs were asked about; give that one")
    if (why := systems[0].run.restriction_of(systems[0].task)) is not None:
        say(f"{why}; let only people rate who may have these recordings, and serve the study to nobody else")
    rng = np.random.default_rng(plan.seed)
    candidates, left_out = eligible_dialogues(systems, release, plan.most_turns)
    chosen, others = _choose(candidates, plan.dialogues or PRESETS[plan.preset], rng)
    checks, training = _checks(systems, chosen, others, plan, rng)
    rated = [rated_item(system, candidate) for candidate in chosen for system in systems]

    total = len(rated) + len(checks) + len(EXAMPLES) + len(training)
    made = _Items(StudyMedia(folder), rng, say, total)
    ids = [made.add(spec) for spec in rated]
    check_ids = [made.add(spec) for spec in checks]
    training_ids = [*(made.add_example(one) for one in EXAMPLES), *(made.add(spec) for spec in training)]
    sessions = plan_sessions(
        rated=[ids[start : start + len(systems)] for start in range(0, len(ids), len(systems))],
        golds=[one for one, spec in zip(check_ids, checks, strict=True) if spec.kind == "gold"],
        traps=[one for one, spec in zip(check_ids, checks, strict=True) if spec.kind == "trap"],
        seconds={item.item_id: item.seconds for item in made.items},
        raters_an_item=plan.raters_an_item,
        seed=plan.seed,
    )
    tokens = [secrets.token_hex(16) for _ in range(round(SPARE_INVITATIONS * len(sessions)))]
    study = Study(
        title=plan.title,
        consent=consent,
        preset=plan.preset,
        seed=plan.seed,
        raters_an_item=plan.raters_an_item,
        lease_minutes=plan.lease_minutes,
        rules=ExclusionRules(),
        items=tuple(sorted(made.items, key=lambda item: item.item_id)),
        training=tuple(training_ids),
        sessions=sessions,
        device_checks=_device_checks(made.media, rng),
        invitations=tuple(token_digest(token) for token in tokens),
        lessons={item: made.lessons[item] for item in training_ids if item in made.lessons},
    )
    key = StudyKey(
        task=systems[0].task.task,
        release=release_of(systems[0]),
        systems=tuple(
            RatedSystem(one.label, one.run.shown_model, str(one.folder.resolve()), one.task.group) for one in systems
        ),
        items=made.keys,
        left_out=left_out,
    )
    write_privately(folder / INVITATIONS, "\n".join(tokens) + "\n")
    write_study(folder, study, key)
    return study


def token_digest(token: str) -> str:
    """SHA-256 of a token: only this is stored."""
    return hashlib.sha256(token.encode()).hexdigest()


def _choose(
    candidates: Sequence[Candidate], number: int, rng: np.random.Generator
) -> tuple[list[Candidate], list[Candidate]]:
    """That many dialogues, drawn in turn from those that begin with each emotion; and the others."""
    if len(candidates) < max(number, 2):
        raise UsageError(
            f"{len(candidates)} dialogues have spoken replies of every system, {max(number, 2)} are asked for; "
            "ask for fewer with --dialogues, or finish the runs"
        )
    groups: dict[str, list[Candidate]] = {}
    for index in rng.permutation(len(candidates)):
        one = candidates[index]
        groups.setdefault(str(one.dialogue.turns[one.turns[0]].emotion), []).append(one)
    drawn: list[Candidate] = []
    while any(groups.values()):
        drawn += [groups[name].pop() for name in sorted(groups) if groups[name]]
    return drawn[:number], drawn[number:]


def _checks(
    systems: Sequence[System],
    chosen: Sequence[Candidate],
    others: Sequence[Candidate],
    plan: StudyPlan,
    rng: np.random.Generator,
) -> tuple[list[ItemSpec], list[ItemSpec]]:
    """Gold items and traps of the sessions, and those of the training; dialogues that are not rated serve first."""
    number = checks_needed(len(chosen))
    speaking = systems[int(rng.integers(len(systems)))]
    if plan.golds is None:
        golds = list(mismatched_golds(speaking, [*others, *chosen], number + TRAINING_GOLDS))
        if len(golds) <= number:
            raise UsageError(
                f"{len(golds)} gold items can be put together from dialogues of different words, the study needs "
                f"{number + 1} or more; rate fewer with --dialogues, or name items that experts rated with --gold"
            )
    else:
        golds = read_golds(plan.golds, systems, [*chosen, *others])
        if len(golds) < number + TRAINING_GOLDS:
            raise UsageError(
                f"{plan.golds}: {len(golds)} gold items, the study needs {number + TRAINING_GOLDS}; add some"
            )
    source = [*reversed(others), *reversed(chosen)]
    listened = list(traps(speaking, source, number + TRAINING_TRAPS, rng))
    training = [*golds[number : number + TRAINING_GOLDS], *listened[:TRAINING_TRAPS]]
    return [*golds[:number], *listened[TRAINING_TRAPS:]], training


def _device_checks(media: StudyMedia, rng: np.random.Generator) -> tuple[DeviceCheck, ...]:
    digits = rng.choice(np.arange(1, 10), size=3, replace=False)
    beeps = rng.choice(np.arange(2, 6), size=3, replace=False)
    return tuple(media.device_check(int(digit), int(count)) for digit, count in zip(digits, beeps, strict=True))


class _Items:
    """Makes items from recipes, under ids that say nothing."""

    def __init__(self, media: StudyMedia, rng: np.random.Generator, say: Callable[[str], None], total: int) -> None:
        self.media = media
        self.items: list[StudyItem] = []
        self.keys: dict[str, ItemKey] = {}
        self.lessons: dict[str, Lesson] = {}
        self._rng = rng
        self._say = say
        self._total = total

    def add(self, spec: ItemSpec) -> str:
        item_id = self._add(spec.kind, self._segments(spec), spec.expected)
        self.keys[item_id] = ItemKey(spec.candidate.dialogue.dialogue_id, spec.system, spec.candidate.turns)
        if spec.why:
            self.lessons[item_id] = Lesson(spec.why)
        return item_id

    def add_example(self, example: Example) -> str:
        """Add an exchange of the built-in voice and face."""
        person = self.media.user(Clip.from_bytes(person_clip(example)))
        reply = self.media.voice(*reply_speech(example))
        item_id = self._add("example", (person, reply), example.expected)
        self.keys[item_id] = ItemKey(f"example: {example.name}", "built-in voice", (0,))
        self.lessons[item_id] = Lesson(example.why, example.words)
        return item_id

    def _add(self, kind: Kind, segments: Iterable[Segment], expected: Mapping[str, int]) -> str:
        item_id = self._rng.bytes(8).hex()
        self.items.append(StudyItem(item_id, kind, tuple(segments), dict(expected)))
        if len(self.items) % 25 == 0 or len(self.items) == self._total:
            self._say(f"{len(self.items)}/{self._total} items made")
        return item_id

    def _segments(self, spec: ItemSpec) -> Iterator[Segment]:
        for turn, reply in zip(spec.candidate.turns, spec.replies, strict=True):
            clip = spec.candidate.dialogue.turns[turn].clip
            assert clip is not None  # a candidate's turns have clips
            yield self.media.user(clip)
            last = turn == spec.candidate.turns[-1]
            yield self.media.reply(reply, spec.beeps if last else 0)


@dataclass(frozen=True, slots=True)
class Extension:
    """Sessions and invitations added to a study.

    Args:
        lacking: rated items that would have ended with too few raters.
    """

    lacking: int
    sessions: int
    invitations: int


def extend_study(folder: Path, study: Study, invitations: int | None) -> Extension:
    """Add the sessions that give every item its raters again, and invitations; the server may be running.

    Args:
        invitations: None takes two for each added session.

    Raises:
        UsageError: nothing was collected yet.
        StoreError: `ratings.sqlite` or `invitations.txt` cannot be read or written.
    """
    collected = read_collection(folder, study).ratings
    ratings = [one for one in collected if one.scales == study.scales_version]
    with closing(RatingsFile(folder, study.digest())) as file, file.transaction() as db:
        lacking = missing_raters(study, ratings, _open_items(db, study))
        copies = greedy_cover(study.sessions, lacking)
        first = len(sessions_of(db, study))
        db.executemany("INSERT INTO extra_sessions VALUES (?, ?)", enumerate(copies, first))
        wanted = round(SPARE_INVITATIONS * len(copies)) if invitations is None else invitations
        tokens = [secrets.token_hex(16) for _ in range(wanted)]
        (added,) = db.execute("SELECT COUNT(*) FROM extra_invitations").fetchone()
        rows = ((token_digest(token), number) for number, token in enumerate(tokens, len(study.invitations) + added))
        db.executemany("INSERT INTO extra_invitations VALUES (?, ?)", rows)
        if tokens:
            _append(folder / INVITATIONS, tokens)
    return Extension(len(lacking), len(copies), len(tokens))


def missing_raters(study: Study, ratings: Sequence[CollectedRating], still_open: Mapping[str, int]) -> dict[str, int]:
    """Count the raters that rated items will lack, of those that will lack some.

    Args:
        still_open: places in sessions that wait for a rating, by item.
    """
    excluded = exclusions(ratings, study.rules)
    have = raters_of_items(study, (one for one in ratings if one.rater not in excluded))
    missing = {item: study.raters_an_item - number - still_open.get(item, 0) for item, number in have.items()}
    return {item: number for item, number in missing.items() if number > 0}


def greedy_cover(sessions: Iterable[Session], lacking: Mapping[str, int]) -> list[int]:
    """Greedy set cover: numbers of sessions that, held once more, give every item what it lacks; most first."""
    gives = [{one.item for one in session.showings if not one.repeat} for session in sessions]
    left = Counter(lacking)
    chosen: list[int] = []
    while +left:
        best = max(range(len(gives)), key=lambda number: (sum(left[item] > 0 for item in gives[number]), -number))
        left.subtract(gives[best])
        chosen.append(best)
    return chosen


def _open_items(db: sqlite3.Connection, study: Study) -> Counter[str]:
    """Places that wait for a first rating, by item."""
    rated = {(row["session"], row["position"]) for row in db.execute("SELECT session, position FROM ratings")}
    return Counter(
        showing.item
        for number, session in sessions_of(db, study).items()
        for position, showing in enumerate(session.showings)
        if not showing.repeat and (number, position) not in rated
    )


def _append(path: Path, tokens: Iterable[str]) -> None:
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
    except OSError as error:
        raise StorageError(path, "read", error) from error
    write_privately(path, before + "".join(f"{token}\n" for token in tokens))
