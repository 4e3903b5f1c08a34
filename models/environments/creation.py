"""Making a private environment, step by step, so that an interrupted attempt is continued and not begun anew."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from avemo_harness import files
from avemo_harness.errors import StoreError, UsageError
from avemo_harness.files import exclusive_lock
from avemo_harness.models.environments.recipes import Environment, Recipe, is_hashed, pin_of
from avemo_harness.text import Notify

LAST_LINES = 4
"""Lines of a failed command's output that its error quotes."""
PYTHONS = ((3, 11), (3, 12))
"""First and last version of Python that the pinned packages have wheels for."""
WORTH_SAYING = ("Downloading ", "Building wheel", "Installing collected")
WHEELS_OF_TORCH = "https://download.pytorch.org/whl/"
"""The index of builds with a tag, a folder for each. Their hashes are not known; no other index is asked with it."""

_LOOK = """
import json, platform, sys
from importlib import import_module
from importlib.metadata import version
modules, packages = json.loads(sys.argv[1])
for module in modules:
    import_module(module)
found = {package: version(package) for package in packages}
print(json.dumps({"packages": found, "python": platform.python_version()}))
"""


class _CommandError(Exception):
    """A command failed; the message is what it wrote last."""


@dataclass(frozen=True, slots=True)
class _Command:
    """Words, and environment variables beside those of this process."""

    words: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Step:
    """One step: the first of its commands that succeeds is enough.

    Args:
        files: written into the environment's folder before it, by their names.
    """

    name: str
    what: str
    commands: tuple[_Command, ...]
    files: Mapping[str, str] = field(default_factory=dict)


def create(environment: Environment, say: Notify = lambda line: None, base: Path | None = None) -> None:
    """Make an environment, or what is missing of it; one that is ready is left as it is.

    Args:
        base: interpreter to make it of; by default the one that runs this.

    Raises:
        UsageError: a package cannot be installed, or the interpreter is not one that the packages run on.
        StoreError: the folder cannot be written.
    """
    name = environment.recipe.name
    with exclusive_lock(environment.lock, lambda: say(f"another process is making {name}: waiting for it")):
        if environment.state() == "ready":
            say(f"{name} is ready in {environment.folder}")
            return
        base = base or Path(sys.executable)
        _check_python(base)
        done = _prepared(environment, say)
        steps = _steps(environment, base)
        for number, step in enumerate(steps, start=1):
            if step.name not in done:
                say(f"[{number}/{len(steps) + 1}] {step.what}")
                _take(environment, step, say)
                done.append(step.name)
                files.write_atomically(_journal(environment), json.dumps([environment.recipe.digest, done]))
        say(f"[{len(steps) + 1}/{len(steps) + 1}] checking")
        _finish(environment)
        say(f"{name} is ready in {environment.folder}")


def _prepared(environment: Environment, say: Notify) -> list[str]:
    """The steps that an interrupted attempt has done; what cannot be continued is deleted."""
    try:
        digest, done = json.loads(_journal(environment).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        digest, done = None, []
    name = environment.recipe.name
    if digest == environment.recipe.digest and os.access(environment.python, os.X_OK):
        say(f"{name}: continuing where an earlier attempt stopped")
        _drop_half_installed(environment)
        return [str(step) for step in done]
    if environment.folder.exists():
        say(f"{name}: what is there was made for other packages, or hardly begun: making it anew")
        environment.clear()
    try:
        environment.folder.mkdir(parents=True)
    except OSError as error:
        raise StoreError(f"{environment.folder}: cannot be made ({error.strerror}); set AVEMO_CACHE") from error
    return []


def _drop_half_installed(environment: Environment) -> None:
    """Forget packages whose installation was interrupted: pip would take them for installed.

    Its last word about a package that it has installed is the file INSTALLER.
    """
    for described in environment.folder.glob("venv/lib/python*/site-packages/*.dist-info"):
        if not (described / "INSTALLER").exists():
            shutil.rmtree(described)


def _steps(environment: Environment, base: Path) -> list[_Step]:
    recipe, python = environment.recipe, str(environment.python)
    venv = _Command((str(base), "-m", "venv", "--without-pip", "--clear", str(environment.folder / "venv")))
    steps = [_Step("venv", f"making a virtual environment in {environment.folder}", (venv,))]
    if recipe.builds or recipe.lock:
        steps.append(_Step("pip", "putting pip into it", (_Command((python, "-m", "ensurepip")),)))
    steps += _steps_of_builds(recipe, python)
    setuptools = [line for line in recipe.lock if line.startswith("setuptools==")]
    if setuptools:
        steps.append(_hashed("setuptools", "installing setuptools", python, ["--only-binary :all:", *setuptools]))
    if recipe.lock:
        number = sum(not line.startswith("-") for line in recipe.lock)
        steps.append(_hashed("packages", f"installing {number} packages by their hashes", python, recipe.lock))
    return steps


def _steps_of_builds(recipe: Recipe, python: str) -> list[_Step]:
    """Steps for torch and its libraries: those with hashes, and the rest by the index that has them.

    Libraries without hashes come from where torch comes from.
    """
    steps = []
    pins = [*recipe.builds, *recipe.libraries]
    hashed = [pin for pin in pins if is_hashed(pin)]
    if hashed:
        steps.append(_hashed("hashed builds", f"installing {_shown(hashed)}", python, hashed))
    (first, *_) = (*map(_tag, recipe.builds), "")
    by_tag: dict[str, list[str]] = {}
    for pin in pins:
        if not is_hashed(pin):
            by_tag.setdefault(_tag(pin) or (first if pin in recipe.libraries else ""), []).append(pin)
    for tag, group in by_tag.items():
        words = (*_pip(python), "--only-binary", ":all:", *group)
        commands: tuple[_Command, ...] = (_Command(words),)
        if tag:
            # The further indexes that a user has configured are named again by pip unless they are set to this one.
            index = WHEELS_OF_TORCH + tag
            alone = _Command((*words, "--index-url", index), {"PIP_EXTRA_INDEX_URL": index})
            commands = (alone, *commands)
        steps.append(_Step(f"builds {tag}".strip(), f"installing {_shown(group)}", commands))
    return steps


def _pip(python: str) -> tuple[str, ...]:
    """Install what is named and nothing else."""
    quiet = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off")
    return (python, "-m", "pip", "install", *quiet, "--no-deps")


def _hashed(name: str, what: str, python: str, lines: Sequence[str]) -> _Step:
    """Install from the user's own index files that have one of the hashes, and no other."""
    file = f"{name.replace(' ', '-')}.txt"
    # Packages without a wheel are built with the setuptools that is locked, not with the newest that an index has.
    how = ("--require-hashes", "--use-pep517", "--no-build-isolation")
    return _Step(name, what, (_Command((*_pip(python), *how, "-r", file)),), {file: "\n".join(lines) + "\n"})


def _shown(pins: Sequence[str]) -> str:
    return ", ".join(map(pin_of, pins))


def _tag(pin: str) -> str:
    """Tag of a build of torch (`cpu`, `cu130`), empty for those of PyPI, which have none.

    >>> _tag("torch==2.13.0+cu130"), _tag("torchvision==0.28.0")
    ('cu130', '')
    """
    return pin_of(pin).partition("+")[2]


def _take(environment: Environment, step: _Step, say: Notify) -> None:
    for name, text in step.files.items():
        files.write_atomically(environment.folder / name, text)
    failures = []
    for command in step.commands:
        try:
            _run(environment, command, say)
            return
        except _CommandError as error:
            failures.append(error)
    name = environment.recipe.name
    raise UsageError(
        f"{name}: {step.what} failed: {'; then: '.join(map(str, failures))} (all of it is in {_log(environment)}); "
        f"`avemo-eval env create {name}` tries again from there"
    ) from failures[-1]


def _finish(environment: Environment) -> None:
    """See that the packages can be imported, and write down which they are."""
    recipe = environment.recipe
    wanted = json.dumps([recipe.modules, recipe.distributions])
    try:
        line = _run(environment, _Command((str(environment.python), "-c", _LOOK, wanted)), lambda line: None)
    except _CommandError as error:
        raise UsageError(
            f"{recipe.name}: its packages are installed and do not work: {error}; make it anew: "
            f"`avemo-eval env remove {recipe.name}`, then create"
        ) from error
    found = json.loads(line)
    environment.finish(found["packages"], found["python"])


def _run(environment: Environment, command: _Command, say: Notify) -> str:
    """Run a command of the environment to its end; returns its last line (_CommandError: it failed)."""
    last: list[str] = []
    with open(_log(environment), "a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(command.words)}\n")
        for line in _lines(command, environment.folder):
            log.write(line + "\n")
            if line.strip():
                last = [*last, line.strip()][-LAST_LINES:]
            if line.strip().startswith(WORTH_SAYING):
                say(f"  {line.strip()[:110]}")
    return last[-1] if last else ""


def _lines(command: _Command, folder: Path) -> Iterator[str]:
    """The output of a command, line by line; the command ends with the reading."""
    settings = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON")
        and name not in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV")
    }
    settings |= {"PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1", "PIP_USER": "0", **command.settings}
    try:
        process = subprocess.Popen(
            command.words,
            cwd=folder,
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise _CommandError(f"{command.words[0]} cannot be run ({error.strerror})") from error
    last: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            last = [*last, line.strip()][-LAST_LINES:] if line.strip() else last
            yield line.rstrip("\n")
        status = process.wait()
    finally:
        process.kill()
        process.wait()
    if status:
        raise _CommandError(" / ".join(last) or f"exit status {status}")


def _check_python(base: Path) -> None:
    code = "import sys; print(*sys.version_info[:2])"
    try:
        output = subprocess.run([str(base), "-c", code], capture_output=True, text=True, check=True).stdout.split()
        found = (int(output[0]), int(output[1]))
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError) as error:
        raise UsageError(f"{base}: not a Python interpreter; give another one with --python") from error
    if not PYTHONS[0] <= found <= PYTHONS[1]:
        first, last = (".".join(map(str, version)) for version in PYTHONS)
        raise UsageError(
            f"the pinned packages run on Python {first} to {last}, and {base} is {found[0]}.{found[1]}; name another "
            "interpreter with --python"
        )


def _journal(environment: Environment) -> Path:
    return environment.folder / "steps.json"


def _log(environment: Environment) -> Path:
    return environment.folder / "install.log"
