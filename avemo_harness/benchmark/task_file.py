"""From a task YAML to a checked task: inheritance by `extends`, and every problem of a file at once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from avemo_harness.benchmark.task import GroupSpec, TaskSpec, TextTemplate
from avemo_harness.benchmark.template import template_problem
from avemo_harness.benchmark.yaml_file import Document, KeyPath, Problem, key_name, read_yaml
from avemo_harness.errors import TaskError

ScorerMetrics = Mapping[str, frozenset[str]]
"""The metrics that each registered scorer can report."""

MAX_PARENTS = 10


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
    spec, problems = _validate(TaskSpec, document)
    if spec is not None:
        problems += _semantic_problems(spec, document, scorers)
    _raise_if_any([*document.problems, *problems])
    assert spec is not None
    return Task(spec, spec_digest(spec), document)


def load_group_file(file: Path, scorers: ScorerMetrics) -> GroupSpec:
    """Read and check one group YAML; raises as `load_task_file` does."""
    document = resolve_parents(file)
    spec, problems = _validate(GroupSpec, document)
    if spec is not None:
        known = sorted(set().union(*scorers.values()))
        for i, column in enumerate(spec.columns):
            if column.metric not in known:
                problems.append(_unknown(document, ("columns", i, "metric"), "metric", column.metric, known))
    _raise_if_any([*document.problems, *problems])
    assert spec is not None
    return spec


def spec_digest(spec: TaskSpec) -> str:
    """Content hash of a task: equal for equal resolved content, whatever files it was spread over."""
    content = spec.model_dump(mode="json", exclude={"group"})
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def resolve_parents(file: Path) -> Document:
    """Read a YAML and merge it over its chain of `extends` parents.

    Mappings merge key by key; anything else replaces the parent's value.

    Raises:
        TaskError: a parent is missing or the chain is a cycle.
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
        if not parent.is_file():
            raise TaskError(f"{child}:{line}: extends: no file {parent_name!r}{_nearest_file(parent)}")
        if parent.resolve() in seen or len(seen) > MAX_PARENTS:
            raise TaskError(f"{child}:{line}: extends: {parent_name!r} leads back to a file that extends this one")
        seen.add(parent.resolve())
        chain.append((parent, read_yaml(parent)))
    merged = chain[-1][1]
    for _, child_document in reversed(chain[:-1]):
        merged = _merge(merged, child_document)
    return merged


def _nearest_file(missing: Path) -> str:
    folder = missing.parent
    names = sorted(path.name for path in folder.glob("*.yaml")) if folder.is_dir() else []
    close = get_close_matches(missing.name, names, n=1)
    return f"; nearest: {close[0]!r}" if close else f" in {folder}"


def _merge(parent: Document, child: Document) -> Document:
    origins = dict(parent.origins)

    def merge(base: dict[str, Any], over: dict[str, Any], path: KeyPath) -> dict[str, Any]:
        merged = dict(base)
        for key, value in over.items():
            here = (*path, key)
            if isinstance(value, dict) and isinstance(base.get(key), dict):
                merged[key] = merge(base[key], value, here)
            else:
                for old in [old for old in origins if old[: len(here)] == here]:
                    del origins[old]
                merged[key] = value
        return merged

    values = merge(parent.values, child.values, ())
    return Document(values, {**origins, **child.origins}, (*parent.problems, *child.problems))


SpecT = TypeVar("SpecT", bound=BaseModel)


def _validate(model: type[SpecT], document: Document) -> tuple[SpecT | None, list[Problem]]:
    try:
        return model.model_validate(document.values), []
    except ValidationError as error:
        return None, [_problem(detail, model, document) for detail in error.errors(include_url=False)]


def _problem(detail: Any, model: type[BaseModel], document: Document) -> Problem:
    path = _key_path(document.values, detail["loc"])
    file, line = document.origin(path)
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        message = "unknown key" + _nearest(str(path[-1]), _valid_keys(model, document.values, path[:-1]))
    elif kind == "missing":
        message = f"required key {detail['loc'][-1]!r} is missing"
    elif kind in ("literal_error", "union_tag_invalid"):
        expected = re.findall(r"'([^']*)'", str(context.get("expected", context.get("expected_tags"))))
        found = context.get("tag", detail["input"])
        message = f"{found!r} is not one of {', '.join(expected)}" + _nearest(str(found), expected)
    elif kind == "value_error":
        message = str(context["error"])
    else:
        message = detail["msg"][0].lower() + detail["msg"][1:]
        if not isinstance(detail["input"], dict | list):
            message += f", found {detail['input']!r}"
    return Problem(file, line, key_name(path), message)


def _key_path(values: Any, loc: Sequence[str | int]) -> KeyPath:
    """The part of a pydantic location that stands in the YAML (a location also names union members)."""
    path: list[str | int] = []
    for part in loc:
        inside = isinstance(values, dict) and part in values
        at = isinstance(values, list) and isinstance(part, int) and part < len(values)
        if inside or at:
            values = values[part]
            path.append(part)
    return tuple(path)


def _valid_keys(model: type[BaseModel], values: Any, path: KeyPath) -> list[str]:
    """The keys that the schema knows at a place in the document."""
    schema = model.model_json_schema()
    node: dict[str, Any] = schema
    for part in path:
        node = _follow(schema, node, values)
        node = node.get("items", {}) if isinstance(part, int) else node.get("properties", {}).get(part, {})
        values = values[part]
    return list(_follow(schema, node, values).get("properties", {}))


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


def _nearest(word: str, known: Sequence[str]) -> str:
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; nearest: {close[0]!r}" if close else (f"; known: {', '.join(known)}" if known else "")


def _semantic_problems(spec: TaskSpec, document: Document, scorers: ScorerMetrics) -> list[Problem]:
    problems = []
    for i, scorer in enumerate(spec.scorers):
        if scorer.name not in scorers:
            problems.append(_unknown(document, ("scorers", i, "name"), "scorer", scorer.name, sorted(scorers)))
            continue
        for j, metric in enumerate(scorer.metrics):
            if metric not in scorers[scorer.name]:
                known = sorted(scorers[scorer.name])
                problems.append(_unknown(document, ("scorers", i, "metrics", j), "metric", metric, known))
    reported = [metric for scorer in spec.scorers for metric in scorer.metrics]
    if spec.headline is not None and spec.headline not in reported:
        message = f"{spec.headline!r} is not among the scorers' metrics ({', '.join(reported)})"
        problems.append(Problem(*document.origin(("headline",)), "headline", message))
    for i, message_template in enumerate(spec.messages):
        for j, block in enumerate(message_template.content):
            if isinstance(block, TextTemplate) and (wrong := template_problem(block.text)):
                path = ("messages", i, "content", j, "text")
                problems.append(Problem(*document.origin(path), key_name(path), wrong))
    return problems


def _unknown(document: Document, path: KeyPath, kind: str, found: str, known: Sequence[str]) -> Problem:
    message = f"unknown {kind} {found!r}" + _nearest(found, known)
    return Problem(*document.origin(path), key_name(path), message)


def _raise_if_any(problems: Sequence[Problem]) -> None:
    if problems:
        ordered = sorted(problems, key=lambda problem: (str(problem.file), problem.line, problem.key))
        raise TaskError("\n".join(str(problem) for problem in ordered))


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
