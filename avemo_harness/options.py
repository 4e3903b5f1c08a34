"""Fields of dataclasses that users give as options: their help and spelling, beside their name, type and default."""

from __future__ import annotations

from typing import Any


def option(
    help: str, *, name: str | None = None, metavar: str | None = None, separator: str | None = None
) -> dict[str, Any]:
    """The metadata of a field that is an option, for ``field(default=…, metadata=option("…"))``.

    Args:
        help: for the help page, which shows the default where it is something; ``%%`` is a percent sign.
        name: the option is ``--name``; the field's name where it is None.
        metavar: stands for the value on the help page; the field's name in capitals where it is None.
        separator: between the values of a tuple in one text; without one the option is repeated for each value.
    """
    return {"help": help, "name": name, "metavar": metavar, "separator": separator}
