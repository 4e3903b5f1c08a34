"""Variables of the environment in a configuration, ``${NAME}``: tools get their values, records keep their names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_SHORTEST = 8
"""Characters of a value that is hidden: shorter ones hold no key, and stand in many a text by chance."""


def find_variables(text: str) -> list[str]:
    """The names in a text.

    >>> find_variables("${HOST}:${PORT}/v1")
    ['HOST', 'PORT']
    """
    return _VARIABLE.findall(text)


def fill_variables(text: str) -> str:
    """A text with values in place of names; a name that is not set stays."""
    return _VARIABLE.sub(lambda found: os.environ.get(found[1], found[0]), text)


def hide_variables(text: str, names: Iterable[str]) -> str:
    """A text with these names in place of their values, as far as those are long enough to be keys."""
    values = {os.environ.get(name, ""): name for name in names}
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _SHORTEST:
            text = text.replace(value, f"${{{values[value]}}}")
    return text
