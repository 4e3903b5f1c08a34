"""Read a YAML file into plain values with the line of every key, within limits of size and depth."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from avemo_harness.errors import TaskError

MAX_BYTES = 32 * 1024
MAX_DEPTH = 24
MAX_ALIASES = 50
MAX_VALUES = 2_000
MAX_KEY = 100

KeyPath = tuple[str | int, ...]
"""Path of a value in a document: mapping keys and list positions from the top."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file."""

    file: Path
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        where = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}: {where}{self.message}"


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML mapping, the file and line that each of its values comes from, and what was wrong on the way.

    Args:
        removed: keys that a child's `null` took away from its parent, with the file and line of that null.
    """

    values: dict[str, Any]
    origins: dict[KeyPath, tuple[Path, int]]
    problems: tuple[Problem, ...] = ()
    removed: dict[KeyPath, tuple[Path, int]] = field(default_factory=dict)

    def origin(self, path: KeyPath) -> tuple[Path, int]:
        """File and line of the value at `path`, or of the nearest enclosing one."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.origins:
                return self.origins[path[:end]]
        raise KeyError(path)


def key_name(path: KeyPath) -> str:
    """Spell a key path.

    >>> key_name(("messages", 0, "role"))
    'messages[0].role'
    """
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).lstrip(".")


def read_yaml(file: Path) -> Document:
    """Read a YAML mapping.

    Duplicate keys and values of unsupported types are collected in the document's `problems`, so that they can be
    reported together with what a schema finds.

    Raises:
        TaskError: the file is missing, no YAML, no mapping, or exceeds a limit.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise TaskError(f"{file}: cannot be read ({error.strerror})") from error
    if len(data) > MAX_BYTES:
        raise TaskError(f"{file}:1: the file has more than the {MAX_BYTES:,} bytes that a task may have")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise TaskError(f"{file}:{line}: the file is not UTF-8 text ({error.reason} at byte {error.start})") from error
    root = _compose(text, file)
    if not isinstance(root, yaml.MappingNode) or root.tag != _TAG + "map":
        raise TaskError(f"{file}:1: the file must hold a mapping of keys to values")
    reader = _Reader(file)
    return Document(reader.mapping(root, (), 1), reader.origins, tuple(reader.problems))


def _compose(text: str, file: Path) -> yaml.Node | None:
    try:
        return _Composer(text, file).get_single_node()
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise TaskError(f"{file}:{line}: not valid YAML: character {error.character:#06x} is not allowed") from error
    except yaml.MarkedYAMLError as error:
        mark, start = error.problem_mark or error.context_mark, error.context_mark
        line = mark.line + 1 if mark else 1
        since = f" (from line {start.line + 1})" if start and start.line + 1 != line else ""
        what = ", ".join(part for part in (error.context and error.context + since, error.problem) if part)
        raise TaskError(f"{file}:{line}: not valid YAML: {what}") from error
    except (ValueError, OverflowError) as error:
        # PyYAML lets these pass for an escape beyond Unicode and for a version of thousands of digits.
        raise TaskError(f"{file}:1: not valid YAML: {error}") from error


class _Composer(yaml.SafeLoader):
    """Composes nodes, counting depth, aliases and nodes before they can do harm."""

    def __init__(self, text: str, file: Path) -> None:
        super().__init__(text)
        self._file, self._depth, self._aliases, self._nodes = file, 0, 0, 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # (PyYAML's stubs leave it untyped)
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            self._aliases += 1
            if self._aliases > MAX_ALIASES:
                raise TaskError(f"{self._file}:{line}: more than {MAX_ALIASES} aliases")
        self._nodes += 1
        # Every value has at most one key; the document itself is one more.
        if self._nodes > 2 * MAX_VALUES + 1:
            raise TaskError(f"{self._file}:{line}: more than {MAX_VALUES:,} values")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TaskError(f"{self._file}:{line}: nested deeper than {MAX_DEPTH} levels")
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


_TAG = "tag:yaml.org,2002:"
_TEXTS = {_TAG + name for name in ("str", "timestamp", "merge", "value")}
_SCALARS = _TEXTS | {_TAG + name for name in ("int", "float", "bool", "null")}


@dataclass
class _Reader:
    """Builds plain values from nodes. Expanded aliases count as often as they are used."""

    file: Path
    origins: dict[KeyPath, tuple[Path, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    count: int = 0

    def mapping(self, node: yaml.MappingNode, path: KeyPath, line: int) -> dict[str, Any]:
        self.origins[path] = (self.file, line)
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                self._refuse(path, key_line, "keys must be plain words")
            elif len(key) > MAX_KEY:
                self._refuse(path, key_line, f"a key may have {MAX_KEY} characters")
            elif key in values:
                first = self.origins[path + (key,)][1]  # noqa: RUF005  (a star in an index needs Python 3.11)
                self._refuse((*path, key), key_line, f"duplicate key, already given in line {first}")
            else:
                values[key] = self.value(value_node, (*path, key), key_line)
        return values

    def value(self, node: yaml.Node, path: KeyPath, line: int) -> Any:
        self.count += 1
        if self.count > MAX_VALUES or len(path) > MAX_DEPTH:
            raise TaskError(f"{self.file}:{line}: more than {MAX_VALUES:,} values, aliases expanded")
        self.origins[path] = (self.file, line)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self.mapping(node, path, line)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [
                self.value(item, (*path, position), item.start_mark.line + 1)
                for position, item in enumerate(node.value)
            ]
        if node.tag in _SCALARS:
            # JSON, which is YAML, may spell a character beyond U+FFFF by the two halves of a pair.
            node.value = node.value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
            if any("\ud800" <= character <= "\udfff" for character in node.value):
                self._refuse(path, line, "half of a surrogate pair is no character; write the character itself")
                return None
            return _construct(node)
        self._refuse(path, line, f"tag {node.tag!r} is not allowed; only plain values are")
        return None

    def _refuse(self, path: KeyPath, line: int, message: str) -> None:
        self.problems.append(Problem(self.file, line, key_name(path), message))


_CONSTRUCTOR = yaml.constructor.SafeConstructor()


def _construct(node: yaml.Node) -> Any:
    """The value of a scalar; its text where that is not what its tag says, or a number beyond 64 bits."""
    if node.tag in _TEXTS:
        return node.value
    try:
        value = _CONSTRUCTOR.construct_object(node)
        return node.value if isinstance(value, int) and value.bit_length() > 63 else value
    except (ValueError, LookupError):
        return node.value
    finally:
        _CONSTRUCTOR.constructed_objects.clear()
