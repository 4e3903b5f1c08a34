"""Text templates of tasks: sandboxed Jinja2 in which an undefined name is an error."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from avemo_harness.benchmark.release import Dialogue, Turn
from avemo_harness.errors import TaskError

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

NAMES = frozenset({"turn", "dialogue", "labels"})
"""What a template may use: the asked turn, its dialogue, the task's labels."""


@cache
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)


@cache
def _compiled(text: str) -> Template:
    return _environment().from_string(text)


def template_problem(text: str) -> str | None:
    """Say what is wrong with a template, None where nothing is.

    >>> template_problem("How does {{ speaker }} feel?")
    "template uses unknown name 'speaker'; known: dialogue, labels, turn"
    """
    if "{" not in text:
        return None
    from jinja2 import TemplateSyntaxError, meta

    try:
        used = meta.find_undeclared_variables(_environment().parse(text))
    except TemplateSyntaxError as error:
        return f"template: {error.message} (line {error.lineno} of the text)"
    unknown = sorted(used - NAMES)
    if unknown:
        return f"template uses unknown name {unknown[0]!r}; known: {', '.join(sorted(NAMES))}"
    return None


def render(text: str, turn: Turn, dialogue: Dialogue, labels: tuple[str, ...]) -> str:
    """Fill a template in for one asked turn.

    Raises:
        TaskError: the template asks for something that the turn or dialogue does not have.
    """
    if "{" not in text:
        return text
    from jinja2 import TemplateError

    try:
        return _compiled(text).render(turn=turn, dialogue=dialogue, labels=labels)
    except TemplateError as error:
        raise TaskError(f"template {text[:60]!r}: {error}") from error
