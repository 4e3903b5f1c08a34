"""A study on disk: `plan.json` for the server, `key.json` with the systems, the scales, private files."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from avemo_harness.errors import StorageError, StoreError, UsageError
from avemo_harness.files import write_atomically
from avemo_harness.report.scored_run import BENCHMARK_SCALES, FIRST_SCALES

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
_OTHERS = 0o077


def make_private_folder(folder: Path) -> None:
    """Make a folder that its owner alone can enter, whatever the umask; one that is there stays as it is.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(PRIVATE_FOLDER)
        folder.chmod(PRIVATE_FOLDER)  # the umask may have taken bits of the owner's
    except FileExistsError:
        pass
    except OSError as error:
        raise StorageError(folder, "made", error) from error


def write_privately(path: Path, content: str) -> None:
    """Write a file of a study atomically; at no moment can others read it.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    make_private_folder(path.parent)
    write_atomically(path, content, mode=PRIVATE_FILE)


def permissions_warning(folder: Path) -> str | None:
    """A sentence with the remedy where others on this machine may enter a study's folder or read a file in it."""
    if not folder.is_dir():
        return None
    wide = [path.name for path in sorted(folder.iterdir()) if path.is_file() and _readable_by_others(path)]
    if not wide and not _readable_by_others(folder):
        return None
    what = f"read {', '.join(wide)}" if wide else "enter it"
    return (
        f"{folder}: other users of this machine may {what}: a study holds expected answers, invitations and ratings; "
        f"keep it to yourself with: chmod -R go-rwx {shlex.quote(str(folder))}"
    )


def _readable_by_others(path: Path) -> bool:
    return bool(path.stat().st_mode & _OTHERS)


SCALES_VERSION = BENCHMARK_SCALES
"""The wording of `SCALES`."""
_VERSION = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


@dataclass(frozen=True, slots=True)
class Scale:
    """One five-point scale.

    Args:
        name: as in the table and in files, in lower case.
        question: what the rater is asked.
        anchors: what each point from 1 to 5 means.
    """

    name: str
    title: str
    question: str
    anchors: tuple[str, str, str, str, str]


SCALES = (
    Scale(
        "er",
        "Emotional rationality",
        "How right is the reply's feeling for this person now? Understanding counts, sounding alike does not: anger "
        "that answers anger is no 5.",
        (
            "Hurtful or out of place, such as cheer at a loss",
            "Misses how the person feels, or only echoes it",
            "Does no harm, but shows little insight",
            "Understands, with a tone that is slightly off",
            "Understands, with the tone that helps right now",
        ),
    ),
    Scale(
        "en",
        "Emotional naturalness",
        "How natural and smooth is the feeling in the reply's voice? Judge the voice alone, not what it says.",
        (
            "Robotic, or a feeling that is plainly put on",
            "Mostly mechanical or forced",
            "Natural in parts, stiff or overdone in others",
            "Natural, with small slips",
            "Natural and smooth, as a person speaks",
        ),
    ),
    Scale(
        "rr",
        "Response relevance",
        "How well do the words meet this person's needs, for comfort and in the matter itself? Kind words that would "
        "suit anybody are no 5.",
        (
            "Nothing to do with it, or against the person",
            "Touches the subject, but meets no need",
            "Fits, but in general: would suit many others",
            "Meets the main need, using some of what was said",
            "Specific, detailed help that uses what was said",
        ),
    ),
)
SCALE_NAMES = tuple(scale.name for scale in SCALES)


def checked_version(name: str, where: str) -> str:
    """The name of a wording of the scales, as it may be stored.

    Args:
        where: what the name was found in, for the error.

    Raises:
        UsageError: it is no such name.
    """
    if not _VERSION.fullmatch(name):
        raise UsageError(
            f"{where}: expected the name of the scales' wording in small letters, digits, '.', '_' and '-', such as "
            f"{SCALES_VERSION}, found {name[:60]!r}"
        )
    return name


PLAN_SCHEMA, KEY_SCHEMA = 2, 1
_FIRST_PLAN = 1
"""The plans of this schema name no version of their scales, and explain no rating."""
PLAN, KEY, MEDIA = "plan.json", "key.json", "media"
Kind = Literal["rated", "gold", "trap", "example"]
"""Examples are rated in the training alone."""


@dataclass(frozen=True, slots=True)
class ExclusionRules:
    """Exclusion criteria for raters, fixed before anyone rates.

    Args:
        failed_traps: traps a rater may fail.
        gold_distance: points from the expected rating at which a gold item is missed.
        missed_golds: gold items a rater may miss.
        unrated: items that a rater may leave out since something does not work.
        straight_line: ratings from which on a rater who gave nothing but one and the same is left out.
        least_time: a rater's median time on an item as a share of its length.
    """

    failed_traps: int = 0
    gold_distance: int = 2
    missed_golds: int = 1
    unrated: int = 3
    straight_line: int = 10
    least_time: float = 1.0


@dataclass(frozen=True, slots=True)
class Segment:
    """One utterance of an item: who speaks, and the file that is played (`media/<id>.mp4`)."""

    speaker: Literal["user", "reply"]
    media: str
    seconds: float


@dataclass(frozen=True, slots=True)
class StudyItem:
    """A stimulus, rated as one: a dialogue with the replies of one system.

    Args:
        expected: of all but rated items, the rating expected on each scale that is checked.
    """

    item_id: str
    kind: Kind
    segments: tuple[Segment, ...]
    expected: Mapping[str, int] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Seconds to play it once."""
        return sum(segment.seconds for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Showing:
    """One place in a session: an item, which may be one that the rater has already rated."""

    item: str
    repeat: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """Items of one rater, in blocks with a pause between them."""

    blocks: tuple[tuple[Showing, ...], ...]

    @property
    def showings(self) -> tuple[Showing, ...]:
        return tuple(showing for block in self.blocks for showing in block)

    def block_of(self, position: int) -> int:
        """The number of the block that a place belongs to."""
        end = 0
        for number, block in enumerate(self.blocks):
            end += len(block)
            if position < end:
                return number
        raise IndexError(position)


@dataclass(frozen=True, slots=True)
class DeviceCheck:
    """A clip that shows a digit and gives some beeps: whoever names both sees and hears.

    What a rater names of a clip has the same form.
    """

    media: str
    digit: int
    beeps: int


@dataclass(frozen=True, slots=True)
class Lesson:
    """Lesson of a training item.

    Args:
        why: by scale, why its rating is expected; told once it is rated.
        words: of each segment, shown while it plays; none where the recordings have words of their own.
    """

    why: Mapping[str, str]
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Study:
    """The content of `plan.json`.

    Args:
        raters_an_item: ratings planned for every rated item, each by another rater.
        lease_minutes: time without any sign of a rater after which another may take the rest of the session.
        training: items rated with feedback before the session.
        consent: paragraphs that a rater agrees to before anything is asked.
        invitations: SHA-256 of every rater's token.
        scales_version: the name of the scales' wording; every rating is kept with it.
        lessons: by item, of those in the training.
    """

    title: str
    consent: tuple[str, ...]
    preset: str
    seed: int
    raters_an_item: int
    lease_minutes: float
    rules: ExclusionRules
    items: tuple[StudyItem, ...]
    training: tuple[str, ...]
    sessions: tuple[Session, ...]
    device_checks: tuple[DeviceCheck, ...]
    invitations: tuple[str, ...]
    scales: tuple[Scale, ...] = SCALES
    scales_version: str = SCALES_VERSION
    lessons: Mapping[str, Lesson] = field(default_factory=dict)
    schema_version: int = PLAN_SCHEMA

    def digest(self) -> str:
        """Short name of the plan; ratings are kept with it."""
        values = asdict(self)
        if self.schema_version == _FIRST_PLAN:  # Its ratings are kept under the digest of what it then had.
            del values["scales_version"], values["lessons"]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]

    def by_id(self) -> dict[str, StudyItem]:
        return {item.item_id: item for item in self.items}


@dataclass(frozen=True, slots=True)
class RatedSystem:
    """A system of the study: how it is called, and the run its replies come from."""

    label: str
    model: str
    run: str
    group: str | None


@dataclass(frozen=True, slots=True)
class ItemKey:
    """System and dialogue of an item."""

    dialogue: str
    system: str
    turns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StudyKey:
    """The content of `key.json`.

    Args:
        release: source, config, split and fingerprint of what the dialogues come from.
        items: by item id.
        left_out: why dialogues or turns of the runs are not in the study, with counts.
    """

    task: str
    release: Mapping[str, str]
    systems: tuple[RatedSystem, ...]
    items: Mapping[str, ItemKey]
    left_out: Mapping[str, int]
    schema_version: int = KEY_SCHEMA


def write_study(folder: Path, study: Study, key: StudyKey) -> None:
    """Write `plan.json` and `key.json`.

    Raises:
        StoreError: the folder cannot be written.
    """
    write_privately(folder / KEY, _json(key))
    write_privately(folder / PLAN, _json(study))


def read_study(folder: Path) -> Study:
    """Read a study's plan. One that names no version of its scales is worded in the first.

    Raises:
        UsageError: there is none.
        StoreError: it is damaged, or its scales are not worded as their version is.
    """
    values = {"scales_version": FIRST_SCALES, **_values(folder / PLAN)}
    study = _record(folder / PLAN, values, Study, (_FIRST_PLAN, PLAN_SCHEMA))
    if study.scales_version == SCALES_VERSION and study.scales != SCALES:
        raise StoreError(
            f"{folder / PLAN}: its scales are not worded as {SCALES_VERSION}; give scales_version a name of your own, "
            "under which its ratings then stand"
        )
    checked_version(study.scales_version, f"{folder / PLAN}: scales_version")
    known = study.by_id()
    for one in _named_items(study):
        if one not in known:
            raise StoreError(f"{folder / PLAN}: names item {one!r}, which it does not hold; plan the study anew")
    return study


def read_key(folder: Path) -> StudyKey:
    """Read whose replies a study's items hold.

    Raises:
        UsageError: there is no key.
        StoreError: it is damaged.
    """
    return _record(folder / KEY, _values(folder / KEY), StudyKey, (KEY_SCHEMA,))


def _named_items(study: Study) -> Iterator[str]:
    yield from study.training
    for session in study.sessions:
        yield from (showing.item for showing in session.showings)


def _json(record: Study | StudyKey) -> str:
    return json.dumps(asdict(record), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


Record = TypeVar("Record", Study, StudyKey)


def _values(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file; make a study with `avemo-eval human plan`") from error
    except OSError as error:
        raise StorageError(path, "read", error) from error
    except ValueError as error:
        raise StoreError(f"{path}: cannot be read ({error}); plan the study anew") from error
    if not isinstance(values, dict):
        raise StoreError(f"{path}: expected an object, found {type(values).__name__}; plan the study anew")
    return values


def _record(path: Path, values: Mapping[str, Any], kind: type[Record], schemas: tuple[int, ...]) -> Record:
    from pydantic import TypeAdapter, ValidationError

    try:
        record = TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StoreError(f"{path}: {where}: {first['msg']}; plan the study anew") from error
    if record.schema_version not in schemas:
        known = " and ".join(map(str, schemas))
        raise StoreError(f"{path}: schema {record.schema_version}, this version reads {known}")
    return record
