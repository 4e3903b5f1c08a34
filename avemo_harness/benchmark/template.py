"""Text templates of tasks: sandboxed Jinja2 in which an undefined name is an error."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from avemo_harness.benchmark.release import Dialogue, Turn
from avemo_harness.errors import TaskError

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

NAMES: dict[str, frozenset[str]] = {
    "turn": frozenset({"text", "turn_index"}),
    "dialogue": frozenset({"language"}),
    "labels": frozenset(),
}
"""What a template may use, and of the asked turn and its dialogue which properties: none that tells the emotion."""


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
    from jinja2 import TemplateSyntaxError, meta, nodes

    try:
        tree = _environment().parse(text)
    except TemplateSyntaxError as error:
        return f"template: {error.message} (line {error.lineno} of the text)"
    unknown = sorted(meta.find_undeclared_variables(tree) - set(NAMES))
    if unknown:
        return f"template uses unknown name {unknown[0]!r}; known: {', '.join(sorted(NAMES))}"
    for access in tree.find_all(nodes.Getattr):
        owner = access.node.name if isinstance(access.node, nodes.Name) else ""
        if owner in NAMES and access.attr not in NAMES[owner]:
            known = ", ".join(sorted(NAMES[owner])) or "none"
            return f"template uses {owner}.{access.attr}, which it may not see; known: {known}"
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
        return _compiled(text).render(
            turn={name: getattr(turn, name) for name in NAMES["turn"]},
            dialogue={name: getattr(dialogue, name) for name in NAMES["dialogue"]},
            labels=labels,
        )
    except TemplateError as error:
        raise TaskError(f"template {text[:60]!r}: {error}") from error
