"""The parts of a corpus' official split, under the names that corpora give them."""

from __future__ import annotations

import re

from avemo_harness.errors import ReleaseError
from avemo_harness.recognizers.corpora.base import Part

_NAMES: tuple[tuple[str, Part], ...] = (
    (r"train(ing)?", "train"),
    (r"dev(elopment)?|val(id(ation)?)?", "validation"),
    (r"test ?\d?", "test"),
)


def parse_part(text: str, where: str) -> Part:
    """The part of that name.

    Args:
        where: file and line, for the message.

    Raises:
        ReleaseError: no part is called so.

    >>> parse_part("Development", "partitions.txt:3"), parse_part("Test1", "partitions.txt:4")
    ('validation', 'test')
    """
    for pattern, part in _NAMES:
        if re.fullmatch(pattern, text.strip(), re.IGNORECASE):
            return part
    raise ReleaseError(f"{where}: expected one of the parts train, validation, test, found {text!r}; correct the line")
