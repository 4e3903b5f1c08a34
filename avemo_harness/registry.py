"""Registries: built-in names and entry points of packages, typed arguments, name suggestions."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from avemo_harness.errors import AvemoError, SampleError, StoreError, UsageError, first_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from _typeshed import DataclassInstance

SIMILARITY_CUTOFF = 0.6
MAX_COMPARED_LENGTH = 60
"""Characters of a wrong name that are compared: comparing takes time that grows with the square of its length."""


def nearest(word: str, known: Iterable[str], count: int = 1) -> list[str]:
    """Known names similar to a word (difflib), the most similar first, then those that it begins; at most `count`.

    >>> nearest("basline", ["baseline", "random"]), nearest("multi", ["multiturn_synthetic", "demo"])
    (['baseline'], ['multiturn_synthetic'])
    """
    names = sorted(set(known))
    alike = get_close_matches(word[:MAX_COMPARED_LENGTH], names, n=count, cutoff=SIMILARITY_CUTOFF)
    begun = [name for name in names if word and name.startswith(word)]
    return list(dict.fromkeys([*alike, *begun]))[:count]


def hint(word: str, known: Iterable[str]) -> str:
    """End of a message about a wrong name: the nearest known one, else all of them, else nothing.

    >>> hint("randon", ["baseline", "random"]), hint("xyz", ["baseline", "random"]), hint("xyz", [])
    ("; nearest: 'random'", '; known: baseline, random', '')
    """
    names = list(known)
    close = nearest(word, names)
    if close:
        return f"; nearest: {close[0]!r}"
    return f"; known: {', '.join(names)}" if names else ""


Arguments = TypeVar("Arguments", bound="DataclassInstance")


def parse_arguments(text: str) -> dict[str, str]:
    """Split ``key=value,key2=value2``.

    Raises:
        UsageError: a part has no ``=``, or a key comes twice.

    >>> parse_arguments("label=sad,seed=3")
    {'label': 'sad', 'seed': '3'}
    """
    arguments: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise UsageError(f"{part!r}: arguments are written key=value,key=value")
        if key in arguments:
            raise UsageError(f"argument {key!r} is given twice")
        arguments[key] = value
    return arguments


def describe_arguments(arguments: type[Any]) -> str:
    """The arguments of a dataclass with their defaults, ``key=value,…``; those without a default in capitals.

    >>> @dataclasses.dataclass
    ... class Example:
    ...     path: str
    ...     seed: int = 3
    >>> describe_arguments(Example)
    'path=PATH,seed=3'
    """
    parts = []
    for argument in dataclasses.fields(arguments):
        default = argument.name.upper() if argument.default is dataclasses.MISSING else argument.default
        if argument.default_factory is not dataclasses.MISSING:
            default = argument.default_factory()
        parts.append(f"{argument.name}={default}")
    return ",".join(parts)


def first_sentence(text: str) -> str:
    """The first sentence of a docstring, in one line; empty where there is none.

    >>> first_sentence("Splits a text at\\ncommas. The rest of it.")
    'Splits a text at commas.'
    """
    paragraph = " ".join(inspect.cleandoc(text).partition("\n\n")[0].split())
    found = re.match(r".+?[.!?](?=\s|$)", paragraph)
    return found[0] if found else paragraph


def typed_arguments(
    name: str, arguments: type[Arguments], given: Mapping[str, Any], error: type[UsageError] = UsageError
) -> Arguments:
    """Make a dataclass of arguments; strings are converted to the declared types.

    Args:
        name: of their owner, for the message.

    Raises:
        UsageError: of the given type: an argument that there is not, one that is missing, or a value of the wrong type.
    """
    for _, problem in argument_problems(name, arguments, given):
        raise error(problem)
    from pydantic import TypeAdapter

    types = get_type_hints(arguments)
    return arguments(**{key: TypeAdapter(types[key]).validate_python(value) for key, value in given.items()})


def argument_problems(
    name: str, arguments: type[Any] | None, given: Mapping[str, Any]
) -> Iterator[tuple[str | None, str]]:
    """Whatever keeps arguments from being a dataclass: each with its key, None for one that is missing.

    Args:
        name: of their owner, for the sentences.
        arguments: the dataclass; None where the owner takes none.
    """
    from pydantic import TypeAdapter, ValidationError

    types = get_type_hints(arguments) if arguments is not None else {}
    declared = dataclasses.fields(arguments) if arguments is not None else ()
    known = [argument.name for argument in declared]
    for key, value in given.items():
        if key not in known:
            yield key, f"{name} takes no argument {key!r}{hint(key, known) or '; it takes none'}"
            continue
        try:
            TypeAdapter(types[key]).validate_python(value)
        except ValidationError as wrong:
            reason = wrong.errors(include_url=False)[0]["msg"]
            yield key, f"{name}: argument {key}={value!r}: {reason}"
    for argument in declared:
        if argument.name not in given and argument.default is argument.default_factory is dataclasses.MISSING:
            yield None, f"{name} needs {argument.name}=…"


Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of plug-in.

    Args:
        noun: its name in messages; the group of entry points is ``avemo_harness.<noun>s``.
        error: raised for whatever is wrong with one.
        needs: attributes that the object of an entry must have, each with a test of its value.
    """

    noun: str
    error: type[UsageError]
    needs: Mapping[str, Callable[[Any], bool]] = field(default_factory=dict)

    @property
    def group(self) -> str:
        return f"avemo_harness.{self.noun}s"


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point of an installed package."""

    kind: Kind
    entry: EntryPoint

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def package(self) -> str:
        """Name and version of the distribution that offers it."""
        dist = self.entry.dist
        return f"{dist.metadata['Name']} {dist.version}" if dist else "of unknown name"

    def problem(self, what: str) -> UsageError:
        """An error that names the entry, its package, the problem and the mend."""
        return self.kind.error(self._sentence(what))

    def _sentence(self, what: str) -> str:
        return (
            f"{self.kind.noun} {self.name!r} of the installed package {self.package} (entry point "
            f"{self.entry.value!r}): {what}; repair that package or uninstall it"
        )

    @contextmanager
    def running(self, what: str) -> Iterator[None]:
        """Run code of the package.

        Args:
            what: names the code in the message, such as ``its identity()``.

        Raises:
            UsageError: of the kind's type: the code raised anything but a UsageError or StoreError of its own.
        """
        try:
            yield
        except (UsageError, StoreError):
            raise
        except (Exception, SystemExit) as error:
            raise self.problem(f"{what} failed ({_type_and_message(error)})") from error

    def read(self, what: str, get: Callable[[], Value], fits: Callable[[Any], bool], expected: str) -> Value:
        """Read an attribute or an answer of an object of the package.

        Raises:
            UsageError: of the kind's type: reading it fails, or it is not what was expected.
        """
        with self.running(what):
            value = get()
            good = fits(value)
        if not good:
            raise self.problem(f"expected {expected} of {what}, found {type(value).__name__}")
        return value

    @contextmanager
    def running_on_sample(self, what: str, error_type: type[SampleError]) -> Iterator[None]:
        """Run code of the package on one sample, whose failure is that sample's.

        Raises:
            SampleError: of that type: the code raised anything but an error of the tree.
        """
        try:
            yield
        except AvemoError:
            raise
        except (Exception, SystemExit) as error:
            raise error_type(self._sentence(f"{what} failed ({_type_and_message(error)})")) from error

    def load(self) -> Any:
        """Import the object of the entry and check that it has what its kind needs.

        Raises:
            UsageError: of the kind's type: it cannot be imported, or something is missing.
        """
        try:
            found = self.entry.load()
        except (Exception, SystemExit) as error:  # importing runs the package's own code, which may raise anything
            raise self.problem(f"it cannot be imported ({_type_and_message(error)})") from error
        with self.running("looking at it"):
            lacking = [name for name, fits in self.kind.needs.items() if not fits(getattr(found, name, None))]
        if lacking:
            article = "an" if self.kind.noun[0] in "aeiou" else "a"
            raise self.problem(f"it lacks what {article} {self.kind.noun} needs: {', '.join(lacking)}")
        return found

    def described(self) -> tuple[str, str]:
        """The first sentence of the entry's object, and its arguments as `describe_arguments` writes them.

        They are read from its source, so that none of its code is run; empty where that does not tell them.
        """
        module, _, name = self.entry.value.partition(":")
        for path in _source_files(module.strip()):
            try:
                body = ast.parse(path.read_text(encoding="utf-8")).body
            except (OSError, SyntaxError, ValueError):
                continue  # importing it, when it is used, will say what is wrong
            if (found := _definition(body, name.strip())) is not None:
                return first_sentence(ast.get_docstring(found) or ""), _arguments_in(found, body)
        return "", ""

    def folder(self) -> Path:
        """The folder of the package that the entry names; none of its code is run.

        Raises:
            UsageError: of the kind's type: there is no such package or folder.
        """
        top, *inner = self.entry.value.split(".")
        try:
            spec = find_spec(top)
        except (ImportError, ValueError):
            spec = None
        for location in (spec.submodule_search_locations or ()) if spec else ():
            folder = Path(location, *inner)
            if folder.is_dir():
                return folder
        raise self.problem("there is no folder of a package of that name")


_Definition = ast.ClassDef | ast.FunctionDef


def _source_files(module: str) -> list[Path]:
    """The files that may be a module's source; nothing is imported."""
    top, *inner = module.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if not inner and spec.origin is not None:
        return [Path(spec.origin)]
    paths = [Path(location, *inner) for location in spec.submodule_search_locations or ()]
    return [file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]


def _definition(body: Sequence[ast.stmt], name: str) -> _Definition | None:
    return next((one for one in body if isinstance(one, _Definition) and one.name == name), None)


def _arguments_in(found: _Definition, body: Sequence[ast.stmt]) -> str:
    """The fields of the dataclass `Arguments` of a class, defined in it or named there and defined in its module."""
    arguments = _definition(found.body, "Arguments")
    for line in found.body:
        if (
            isinstance(line, ast.Assign)
            and isinstance(line.value, ast.Name)
            and "Arguments" in map(ast.unparse, line.targets)
        ):
            arguments = _definition(body, line.value.id)
    if arguments is None:
        return ""
    parts = []
    for line in arguments.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            name, value = line.target.id, line.value
            default = ast.unparse(value) if value is not None else name.upper()
            text = value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else default
            parts.append(f"{name}={text}")
    return ",".join(parts)


def load_object(address: str) -> Any:
    """Import the object at ``module:attribute``."""
    module, _, attribute = address.partition(":")
    return getattr(import_module(module), attribute)


def _type_and_message(error: BaseException) -> str:
    return f"{type(error).__name__}: {first_line(error)}"


def is_json_mapping(value: Any) -> bool:
    """True for a mapping that JSON can hold.

    Raises:
        ValueError, TypeError: it is a mapping, but something in it is not JSON.
    """
    return isinstance(value, Mapping) and bool(json.dumps(dict(value), allow_nan=False))


def installed(kind: Kind) -> list[Plugin]:
    """The plug-ins of a kind, by name and package; nothing of theirs is imported."""
    from importlib.metadata import entry_points

    offers = [Plugin(kind, entry) for entry in entry_points(group=kind.group)]
    return sorted(offers, key=lambda offer: (offer.name, offer.package))


@dataclass(frozen=True, slots=True)
class Registry:
    """The objects of a kind by name: those built in (``module:attribute``), then those of installed packages."""

    kind: Kind
    built_in: Mapping[str, str]

    def added(self) -> list[Plugin]:
        """Plug-ins of installed packages, except those under a built-in name."""
        return [offer for offer in installed(self.kind) if offer.name not in self.built_in]

    def names(self) -> list[str]:
        return list(dict.fromkeys([*self.built_in, *(offer.name for offer in self.added())]))

    def plugin(self, name: str) -> Plugin | None:
        """The plug-in of a name; None where it is built in or nobody offers it.

        Raises:
            UsageError: of the kind's type: several packages offer it.
        """
        offers = [] if name in self.built_in else [offer for offer in self.added() if offer.name == name]
        if len(offers) > 1:
            packages = " and ".join(offer.package for offer in offers)
            raise self.kind.error(
                f"{self.kind.noun} {name!r} is offered by several installed packages, {packages}; uninstall all but one"
            )
        return offers[0] if offers else None

    def check(self, name: str) -> None:
        """Refuse a name that nobody offers (the kind's error), without importing anything."""
        if name not in self.built_in and self.plugin(name) is None:
            raise self._unknown(name)

    def load(self, name: str) -> Any:
        """Import the object of a name.

        Raises:
            UsageError: of the kind's type: nobody offers it, several packages do, or a plug-in is broken.
        """
        if name in self.built_in:
            return load_object(self.built_in[name])
        plugin = self.plugin(name)
        if plugin is None:
            raise self._unknown(name)
        return plugin.load()

    def _unknown(self, name: str) -> UsageError:
        return self.kind.error(f"unknown {self.kind.noun} {name!r}{hint(name, self.names())}")
