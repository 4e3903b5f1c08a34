"""People's ratings of a run's answers on the scale of their task's rubric, as the run directory keeps them.

Kept are means over raters, by the content of the answer: a rating of another answer to the same item does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from avemo_harness.benchmark.request import ItemKey, StoredResponse
from avemo_harness.errors import StoreError
from avemo_harness.files import read_whole, write_atomically
from avemo_harness.run.gradings import answer_digest
from avemo_harness.run.json_files import checked_lines, parse_line


@dataclass(frozen=True, slots=True)
class RatedAnswer:
    """An answer and what people gave it.

    Args:
        answer: digest of its text.
        rating: the mean over raters.
    """

    task: str
    item: str
    answer: str
    rating: float
    raters: int


def ratings_path(folder: Path) -> Path:
    """The file of a run's ratings."""
    return folder / "human" / "ratings.jsonl"


def write_ratings(folder: Path, rated: Iterable[RatedAnswer]) -> None:
    """Keep ratings; those of the same tasks that were there give way to them."""
    new = sorted(rated, key=lambda one: (one.task, one.item))
    replaced = {one.task for one in new}
    kept = [one for one in _read(folder) if one.task not in replaced]
    write_atomically(ratings_path(folder), checked_lines(asdict(one) for one in [*kept, *new]))


def read_ratings(folder: Path, answers: Mapping[ItemKey, StoredResponse]) -> dict[ItemKey, float]:
    """People's mean ratings of the answers that the run holds; nothing where nobody rated any.

    Raises:
        StoreError: the file is damaged.
    """
    found = {}
    for one in _read(folder):
        response = answers.get((one.task, one.item))
        if response is not None and response.text is not None and answer_digest(response.text) == one.answer:
            found[one.task, one.item] = one.rating
    return found


def _read(folder: Path) -> list[RatedAnswer]:
    path = ratings_path(folder)
    if not path.exists():
        return []
    try:
        return [RatedAnswer(**parse_line(line)) for line in read_whole(path).splitlines()]
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"{path}: damaged ({error}); remove it, and take them in again: avemo-eval human import {folder} FILE"
        ) from error
