"""From a task YAML to a checked task: inheritance by `extends`, and every problem of a file at once."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from avemo_harness.benchmark.columns import is_hub_id
from avemo_harness.benchmark.group import GroupSpec
from avemo_harness.benchmark.task import ScorerMetrics, TaskSpec
from avemo_harness.benchmark.yaml_file import Document, KeyPath, Problem, key_name, read_yaml
from avemo_harness.errors import TaskError
from avemo_harness.registry import hint, nearest

MAX_PARENTS = 10
MAX_LISTED = 50
MAX_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Task:
    """A checked task, the digest of its resolved content, and where each value came from."""

    spec: TaskSpec
    digest: str
    document: Document

    @property
    def name(self) -> str:
        return self.spec.task


def load_task_file(file: Path, scorers: ScorerMetrics) -> Task:
    """Read and check one task YAML.

    Args:
        scorers: known scorers and their metrics, to check the names a task uses.

    Raises:
        TaskError: lists every problem of the file with file, line, key and, for a wrong name, the nearest valid one.
    """
    document = resolve_parents(file)
    spec = validated(TaskSpec, document, scorers)
    # The digest is of what is written, so that a task is the same wherever its folder lies.
    return Task(_with_whole_path(spec, document), spec_digest(spec), document)


def _with_whole_path(spec: TaskSpec, document: Document) -> TaskSpec:
    """The task whose table's path, where it is one, is found from any working directory."""
    path = spec.dataset.path
    if path is None or spec.dataset.columns is None or spec.dataset.corpus is not None:
        return spec
    file, _ = document.origin(("dataset", "path"))
    found = os.path.abspath(os.path.join(file.parent, os.path.expanduser(path)))
    if is_hub_id(path) and not os.path.exists(found):
        return spec
    return spec.model_copy(update={"dataset": spec.dataset.model_copy(update={"path": found})})


def load_group_file(file: Path, scorers: ScorerMetrics) -> GroupSpec:
    """Read and check one group YAML; raises as `load_task_file` does."""
    document = resolve_parents(file)
    return validated(GroupSpec, document, _scorers_of_columns(document, scorers))


def spec_digest(spec: TaskSpec) -> str:
    """Content hash of a task: equal for equal resolved content, whatever files it was spread over."""
    content = spec.model_dump(mode="json", exclude={"group"})
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def resolve_parents(file: Path) -> Document:
    """Read a YAML and merge it over its chain of `extends` parents.

    Mappings merge key by key; anything else replaces the parent's value. A child's `null` takes away the key that it
    inherits, its `{}` all keys of a mapping; a `null` where nothing is inherited stays, for the schema to judge.

    Raises:
        TaskError: a parent is missing, or the chain is a cycle or too long.
    """
    chain = [(file, read_yaml(file))]
    seen = {file.resolve()}
    while "extends" in chain[-1][1].values:
        child, document = chain[-1]
        line = document.origin(("extends",))[1]
        parent_name = document.values.pop("extends")
        if not isinstance(parent_name, str):
            raise TaskError(f"{child}:{line}: extends: must be the path of one YAML file")
        parent = child.parent / parent_name
        # Unlike `Path.is_file`, this takes any text for a path.
        if not os.path.isfile(parent):
            raise TaskError(f"{child}:{line}: extends: no file {_shown(parent_name)}{_nearest_file(parent)}")
        if len(chain) > MAX_PARENTS:
            raise TaskError(f"{child}:{line}: extends: a chain of more than {MAX_PARENTS} parents")
        if parent.resolve() in seen:
            raise TaskError(f"{child}:{line}: extends: {parent_name!r} leads back to a file that extends this one")
        seen.add(parent.resolve())
        chain.append((parent, read_yaml(parent)))
    merged = chain[-1][1]
    for _, child_document in reversed(chain[:-1]):
        merged = _merge(merged, child_document)
    return merged


def _nearest_file(missing: Path) -> str:
    folder = missing.parent
    names = [path.name for path in folder.glob("*.yaml")] if os.path.isdir(folder) else []
    close = nearest(missing.name, names)
    return f"; nearest: {close[0]!r}" if close else f" in {folder}"


def _merge(parent: Document, child: Document) -> Document:
    replaced: set[KeyPath] = set()
    removed: dict[KeyPath, tuple[Path, int]] = {}

    def merge(base: dict[str, Any], over: dict[str, Any], path: KeyPath) -> dict[str, Any]:
        merged = dict(base)
        for key, value in over.items():
            here = (*path, key)
            inherited = base.get(key)
            # Merging an empty mapping would change nothing, so it stands for a mapping without the parent's keys.
            if isinstance(value, dict) and isinstance(inherited, dict) and value:
                merged[key] = merge(inherited, value, here)
                continue
            replaced.add(here)
            if value is None and key in base:
                del merged[key]
                removed[here] = child.origins[here]
                continue
            merged[key] = value
            if value == {} and isinstance(inherited, dict):
                removed.update({(*here, lost): child.origins[here] for lost in inherited})
        return merged

    values = merge(parent.values, child.values, ())
    kept = {path: origin for path, origin in parent.origins.items() if not _lies_in(path, replaced)}
    own = {path: origin for path, origin in child.origins.items() if path not in removed}
    gone = {
        path: origin
        for path, origin in parent.removed.items()
        if path not in child.origins and not _lies_in(path, replaced)
    }
    return Document(values, {**kept, **own}, (*parent.problems, *child.problems), {**gone, **removed})


def _lies_in(path: KeyPath, paths: Collection[KeyPath]) -> bool:
    """True where a key, or one that encloses it, is among the paths; the document itself is no key."""
    return any(path[:end] in paths for end in range(1, len(path) + 1))


def _scorers_of_columns(document: Document, scorers: ScorerMetrics) -> ScorerMetrics:
    """The scorers up to the last one that reports a column's metric.

    Looking at the metrics of a scorer may import an installed package, and those come last.
    """
    columns = document.values.get("columns")
    named = (
        [column.get("metric") for column in columns if isinstance(column, dict)] if isinstance(columns, list) else []
    )
    wanted = {name for name in named if isinstance(name, str)}
    found: dict[str, frozenset[str]] = {}
    for name in scorers:
        found[name] = scorers[name]
        wanted -= found[name]
        if not wanted:
            break
    return found


SpecT = TypeVar("SpecT", bound=BaseModel)


def validated(model: type[SpecT], document: Document, scorers: ScorerMetrics | None) -> SpecT:
    """A document as a schema has it; raises a TaskError that lists everything that is wrong."""
    problems = list(document.problems)
    said = {(problem.file, problem.line, problem.key) for problem in problems}
    try:
        spec = model.model_validate(document.values, context=scorers)
    except ValidationError as error:
        details = error.errors(include_url=False)
        found = [problem for detail in details for problem in _problems(detail, model, document)]
        problems += [problem for problem in found if (problem.file, problem.line, problem.key) not in said]
    if problems:
        raise TaskError(_listing(problems))
    return spec


def _listing(problems: Sequence[Problem]) -> str:
    ordered = sorted(problems, key=lambda problem: (str(problem.file), problem.line, problem.key))
    lines = [str(problem) for problem in ordered[:MAX_LISTED]]
    if len(ordered) > MAX_LISTED:
        lines.append(f"{ordered[MAX_LISTED].file}: and {len(ordered) - MAX_LISTED:,} problems more")
    return "\n".join(lines)


_EXPECTED = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "string_pattern_mismatch": "must consist of lower-case letters, digits and underscores",
    "too_short": "must have {min_length} entries or more",
    "string_too_short": "must not be empty",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "finite_number": "must be a finite number",
}
"""Sentences for errors of pydantic, by their type; the braces are of its context."""


def _problems(detail: Any, model: type[BaseModel], document: Document) -> Iterator[Problem]:
    if detail["type"] != "problems_below":
        yield _problem(detail, model, document)
        return
    path = _key_path(document.values, detail["loc"])
    for below, message in detail["ctx"]["problems"]:
        key = (*path, *below)
        yield Problem(*document.origin(key), key_name(key), message)


def _problem(detail: Any, model: type[BaseModel], document: Document) -> Problem:
    path = _key_path(document.values, detail["loc"])
    file, line = document.origin(path)
    kind, context, found = detail["type"], detail.get("ctx", {}), detail["input"]
    if kind == "extra_forbidden":
        message = "unknown key" + hint(str(path[-1]), _valid_keys(model, document.values, path[:-1]))
    elif kind in ("missing", "union_tag_not_found"):
        missing = detail["loc"][-1] if kind == "missing" else "type"
        message = f"required key {missing!r} is missing"
        if (*path, missing) in document.removed:
            path = (*path, missing)
            file, line = document.removed[path]
            message = "this key is required and cannot be taken away: give it a value"
    elif kind in ("literal_error", "union_tag_invalid"):
        expected = re.findall(r"'([^']*)'", str(context.get("expected", context.get("expected_tags"))))
        word = found["type"] if kind == "union_tag_invalid" else found
        close = nearest(str(word), expected)
        message = f"{_shown(word)} is not one of {', '.join(expected)}" + (f"; nearest: {close[0]!r}" if close else "")
    elif kind == "unknown_name":
        name = context["found"]
        message = f"unknown {context['kind']} {_shown(name)}" + hint(name, context["known"])
    elif kind == "value_error":
        message = str(context["error"])
    else:
        message = _EXPECTED[kind].format(**context) if kind in _EXPECTED else detail["msg"]
        if not isinstance(found, dict | list | tuple):
            message += f", found {_shown(found)}"
    return Problem(file, line, key_name(path), message)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _key_path(values: Any, loc: Sequence[str | int]) -> KeyPath:
    """The part of a pydantic location that stands in the YAML (a location also names union members)."""
    path: list[str | int] = []
    for position, part in enumerate(loc):
        # The member's name, its type, comes once, before the member's own keys.
        tag = isinstance(values, dict) and values.get("type") == part and loc[position - 1] != part
        if tag and position < len(loc) - 1:
            continue
        inside = isinstance(values, dict) and part in values
        at = isinstance(values, list) and isinstance(part, int) and part < len(values)
        if inside or at:
            values = values[part]
            path.append(part)
    return tuple(path)


def _valid_keys(model: type[BaseModel], values: Any, path: KeyPath) -> list[str]:
    """The keys that the schema knows at a path of the document."""
    schema = _schema(model)
    node = schema
    for part in path:
        node = _follow(schema, node, values)
        node = node.get("items", {}) if isinstance(part, int) else node.get("properties", {}).get(part, {})
        values = values[part]
    return list(_follow(schema, node, values).get("properties", {}))


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _follow(schema: dict[str, Any], node: dict[str, Any], values: Any) -> dict[str, Any]:
    mapping = node.get("discriminator", {}).get("mapping")
    if mapping and isinstance(values, dict):
        node = {"$ref": mapping.get(values.get("type"), "")}
    for option in node.get("anyOf", []):
        if "$ref" in option:
            node = option
    if node.get("$ref"):
        found: dict[str, Any] = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
        return found
    return node


def editor_schema() -> dict[str, Any]:
    """JSON Schema of a task YAML for editors. Nothing is required, since a parent may give it."""
    schema = TaskSpec.model_json_schema()
    schema.pop("required", None)
    extends = {"type": "string", "description": "Path of the YAML file that this one is merged over."}
    schema["properties"] = {"extends": extends, **schema["properties"]}
    condition = schema["properties"]["condition"]
    names = schema["$defs"]["ConditionSpec"]["properties"]["name"]
    schema["properties"]["condition"] = {"anyOf": [condition, names]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
