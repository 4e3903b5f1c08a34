"""Small studies for tests: planned as any other, with made-up files or none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from avemo_harness.human.plan import token_digest
from avemo_harness.human.sessions import checks_needed, plan_sessions
from avemo_harness.human.study import (
    MEDIA,
    DeviceCheck,
    ExclusionRules,
    ItemKey,
    Kind,
    Lesson,
    RatedSystem,
    Segment,
    Study,
    StudyItem,
    StudyKey,
    write_study,
)

SYSTEMS = ("calm", "loud")


def tokens_of(study: Study) -> list[str]:
    """The invitations of a study made here."""
    return [f"token{number}" for number in range(len(study.invitations))]


def write_small_study(
    folder: Path,
    *,
    dialogues: int = 4,
    raters_an_item: int = 5,
    seconds: float = 0.01,
    lease_minutes: float = 30.0,
    runs: Mapping[str, Path] | None = None,
    clip: bytes | None = None,
    turns: int = 1,
    lessons: bool = False,
) -> Study:
    """Write a study of two systems.

    Args:
        seconds: how long each item's file is said to be.
        runs: the run directory of each system.
        clip: what every file holds; None lets them hold their own names.
        turns: of the user in each dialogue.
        lessons: the first item of the training shows its words and explains its rating.
    """
    rng = np.random.default_rng(0)
    media = folder / MEDIA
    media.mkdir(parents=True, exist_ok=True)
    items: list[StudyItem] = []
    keys: dict[str, ItemKey] = {}

    def file() -> str:
        name = rng.bytes(16).hex()
        (media / f"{name}.mp4").write_bytes(clip or name.encode() * 100)
        return name

    def add(kind: Kind, dialogue: str, system: str, expected: Mapping[str, int]) -> str:
        speakers: tuple[Literal["user", "reply"], ...] = ("user", "reply") * turns
        segments = tuple(Segment(speaker, file(), seconds) for speaker in speakers)
        item = StudyItem(rng.bytes(8).hex(), kind, segments, expected)
        items.append(item)
        keys[item.item_id] = ItemKey(dialogue, system, (0,))
        return item.item_id

    rated = [[add("rated", f"d{number}", system, {}) for system in SYSTEMS] for number in range(dialogues)]
    checks = checks_needed(dialogues)
    golds = [add("gold", f"d{number}", "calm", {"rr": 1}) for number in range(checks + 1)]
    traps = [add("trap", f"d{number}", "calm", dict.fromkeys(("er", "en", "rr"), 4)) for number in range(checks + 1)]
    lengths = {item.item_id: item.seconds for item in items}
    sessions = plan_sessions(rated, golds[1:], traps[1:], lengths, raters_an_item, seed=0)
    study = Study(
        title="How well do replies fit?",
        consent=("You will hear replies.",),
        preset="default",
        seed=0,
        raters_an_item=raters_an_item,
        lease_minutes=lease_minutes,
        rules=ExclusionRules(),
        items=tuple(items),
        training=(golds[0], traps[0]),
        sessions=sessions,
        device_checks=(DeviceCheck(file(), 7, 3), DeviceCheck(file(), 5, 2)),
        invitations=tuple(token_digest(f"token{number}") for number in range(2 * len(sessions))),
        lessons={golds[0]: Lesson({"rr": "It answers another."}, ("My train is late.", "Fine!"))} if lessons else {},
    )
    systems = tuple(RatedSystem(name, f"model-{name}", str((runs or {}).get(name, folder)), "demo") for name in SYSTEMS)
    write_study(folder, study, StudyKey("demo_reply", {}, systems, keys, {}))
    return study
