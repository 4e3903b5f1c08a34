"""Text templates of tasks: sandboxed Jinja2 in which an undefined name is an error."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from avemo_harness.benchmark.release import Dialogue, Turn
from avemo_harness.errors import TaskError

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.nodes import Node
    from jinja2.sandbox import SandboxedEnvironment

NAMES: dict[str, frozenset[str]] = {
    "turn": frozenset({"text", "turn_index"}),
    "dialogue": frozenset({"language"}),
    "labels": frozenset(),
    "row": frozenset(),
}
"""Names that a template may use, with the properties of the asked turn and its dialogue: none tells the emotion.

Of `row` any column may be used but those that hold the label, the answer, the reply or recordings.
"""
_ANY_PROPERTY = frozenset({"row"})

RUBRIC_NAMES = ("question", "answer", "reference", "history", "row")
"""Names that the rubric of a grader may use: of an item all that is text, the true answer too."""

FILTERS = frozenset({"capitalize", "first", "join", "last", "length", "lower", "replace", "title", "trim", "upper"})
MAX_DEPTH = 20


@cache
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)


@cache
def _compiled(text: str) -> Template:
    return _environment().from_string(text)


def row_template_problem(text: str) -> str | None:
    """Say what is wrong with a column that is made by a template over `row`, None where nothing is."""
    return template_problem(text, ("row",))


def template_problem(text: str, names: Collection[str] = tuple(NAMES)) -> str | None:
    """Say what is wrong with a template, None where nothing is.

    Args:
        names: those that it may use.

    >>> template_problem("How does {{ speaker }} feel?")
    "template uses unknown name 'speaker'; known: dialogue, labels, row, turn"
    """
    if "{" not in text:
        return None
    from jinja2 import TemplateSyntaxError, meta, nodes

    # Nothing is called and nothing repeated at will, so that no template computes without end.
    refused = (nodes.Stmt, nodes.Call, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow)
    statements = (nodes.Output, nodes.For, nodes.If)
    try:
        tree = _environment().parse(text)
        for node in tree.find_all(nodes.Node):
            if isinstance(node, refused) and not isinstance(node, statements):
                return f"template: {type(node).__name__.lower()} is not allowed (line {node.lineno} of the text)"
            if isinstance(node, nodes.Filter) and node.name not in FILTERS:
                return f"template uses unknown filter {node.name!r}; known: {', '.join(sorted(FILTERS))}"
        if _depth(tree) > MAX_DEPTH:
            return f"template: nested deeper than {MAX_DEPTH} levels"
        unknown = sorted(meta.find_undeclared_variables(tree) - set(names))
    except TemplateSyntaxError as error:
        return f"template: {error.message} (line {error.lineno} of the text)"
    except RecursionError:
        return f"template: nested deeper than {MAX_DEPTH} levels"
    if unknown:
        return f"template uses unknown name {unknown[0]!r}; known: {', '.join(sorted(names))}"
    for access in tree.find_all(nodes.Getattr):
        owner = access.node.name if isinstance(access.node, nodes.Name) else ""
        if owner in NAMES.keys() - _ANY_PROPERTY and access.attr not in NAMES[owner]:
            known = ", ".join(sorted(NAMES[owner])) or "none"
            return f"template uses {owner}.{access.attr}, which it may not see; known: {known}"
    return None


def row_names(text: str) -> frozenset[str]:
    """The columns that a template uses.

    >>> sorted(row_names("{{ row.a | lower }} {{ row['b c'] }}"))
    ['a', 'b c']
    """
    if "{" not in text:
        return frozenset()
    from jinja2 import nodes

    tree = _environment().parse(text)
    used = [access.attr for access in tree.find_all(nodes.Getattr) if _is_row(access.node)]
    for item in tree.find_all(nodes.Getitem):
        if _is_row(item.node) and isinstance(item.arg, nodes.Const):
            used.append(str(item.arg.value))
    return frozenset(used)


def _is_row(node: Node) -> bool:
    from jinja2 import nodes

    return isinstance(node, nodes.Name) and node.name == "row"


def _depth(node: Node) -> int:
    return 1 + max(map(_depth, node.iter_child_nodes()), default=0)


def render(text: str, turn: Turn, dialogue: Dialogue, labels: tuple[str, ...]) -> str:
    """Fill a template in for one asked turn.

    Raises:
        TaskError: the template asks for something that the turn or dialogue does not have, or fails otherwise.
    """
    return fill(
        text,
        {
            "turn": {name: getattr(turn, name) for name in NAMES["turn"]},
            "dialogue": {name: getattr(dialogue, name) for name in NAMES["dialogue"]},
            "labels": labels,
            "row": turn.row,
        },
    )


def render_row(text: str, row: Mapping[str, Any]) -> str:
    """Fill a template in from a row of a table, such as one that makes a column.

    Raises:
        TaskError: it asks for a column that the row does not have, or fails otherwise.
    """
    return fill(text, {"row": row})


def fill(text: str, values: Mapping[str, Any]) -> str:
    """Fill a template in with a value for each of its names.

    Raises:
        TaskError: it asks for something that the values do not have, or fails otherwise.
    """
    if "{" not in text:
        return text
    try:
        return _compiled(text).render(values)
    # A template is its author's program: it can raise anything.
    except Exception as error:
        raise TaskError(f"template {text[:60]!r}: {error}") from error
