"""Making a private environment, step by step, so that an interrupted attempt is continued and not begun anew."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from avemo_harness import paths
from avemo_harness.errors import StoreError, UsageError
from avemo_harness.locks import one_at_a_time
from avemo_harness.models.environments.places import Environment

Say = Callable[[str], None]
"""Takes a line for the user: what is done now."""

LAST_LINES = 4
"""Of what a failed command wrote, how many its error quotes."""
PYTHONS = ((3, 10), (3, 12))
"""Between which versions the pinned packages have wheels."""
WORTH_SAYING = ("Downloading ", "Building wheel", "Installing collected")
WHEELS_OF_TORCH = "https://download.pytorch.org/whl/"

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
class _Step:
    """One step: the first of its commands that succeeds is enough."""

    name: str
    what: str
    commands: tuple[tuple[str, ...], ...]


def create(environment: Environment, say: Say = lambda line: None, base: Path | None = None) -> None:
    """Make an environment, or what is missing of it; one that is ready is left as it is.

    Args:
        base: interpreter to make it of; by default the one that runs this.

    Raises:
        UsageError: a package cannot be installed, or the interpreter is not one that the packages run on.
        StoreError: the folder cannot be written.
    """
    name = environment.recipe.name
    with one_at_a_time(environment.lock, lambda: say(f"another process is making {name}: waiting for it")):
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
                paths.write_atomically(_journal(environment), json.dumps([environment.recipe.digest, done]))
        say(f"[{len(steps) + 1}/{len(steps) + 1}] checking")
        _finish(environment)
        say(f"{name} is ready in {environment.folder}")


def _prepared(environment: Environment, say: Say) -> list[str]:
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
    venv = (str(base), "-m", "venv", "--without-pip", "--clear", str(environment.folder / "venv"))
    steps = [_Step("venv", f"making a virtual environment in {environment.folder}", (venv,))]
    if recipe.builds or recipe.packages:
        steps.append(_Step("pip", "putting pip into it", ((python, "-m", "ensurepip"),)))
    pip = (python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off")
    if recipe.builds:
        command = (*pip, *recipe.builds)
        more = [("--extra-index-url", WHEELS_OF_TORCH + tag) for tag in _tags(recipe.builds)]
        commands = (command, *((*command, *place) for place in more))
        steps.append(_Step("builds", f"installing {', '.join(recipe.builds)}", commands))
    if recipe.packages:
        # The builds are named again, so that no package replaces them.
        command = (*pip, *recipe.builds, *recipe.packages)
        steps.append(_Step("packages", f"installing {len(recipe.packages)} packages and what they need", (command,)))
    return steps


def _tags(builds: Sequence[str]) -> list[str]:
    """Which builds of torch these are, such as ``cu130``; builds with such a tag may be found with its makers only.

    >>> _tags(["torch==2.13.0+cu130", "torchvision==0.28.0"])
    ['cu130']
    """
    return sorted({build.partition("+")[2] for build in builds if "+" in build})


def _take(environment: Environment, step: _Step, say: Say) -> None:
    for command in step.commands[:-1]:
        try:
            _run(environment, command, say)
            return
        except _CommandError:
            continue  # (what matters is how the last one fails)
    try:
        _run(environment, step.commands[-1], say)
    except _CommandError as error:
        name = environment.recipe.name
        raise UsageError(
            f"{name}: {step.what} failed: {error} (all of it is in {_log(environment)}); "
            f"`avemo-eval env create {name}` tries again from there"
        ) from error


def _finish(environment: Environment) -> None:
    """See that the packages can be imported, and write down which they are."""
    recipe = environment.recipe
    wanted = json.dumps([recipe.modules, recipe.distributions])
    try:
        told = _run(environment, (str(environment.python), "-c", _LOOK, wanted), lambda line: None)
    except _CommandError as error:
        raise UsageError(
            f"{recipe.name}: its packages are installed and do not work: {error}; make it anew: "
            f"`avemo-eval env remove {recipe.name}`, then create"
        ) from error
    found = json.loads(told)
    environment.finish(found["packages"], found["python"])


def _run(environment: Environment, command: Sequence[str], say: Say) -> str:
    """Run a command of the environment to its end; returns its last line.

    Raises:
        _CommandError: it failed.
    """
    last: list[str] = []
    with open(_log(environment), "a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(command)}\n")
        for line in _lines(command, environment.folder):
            log.write(line + "\n")
            if line.strip():
                last = [*last, line.strip()][-LAST_LINES:]
            if line.strip().startswith(WORTH_SAYING):
                say(f"  {line.strip()[:110]}")
    return last[-1] if last else ""


def _lines(command: Sequence[str], folder: Path) -> Iterator[str]:
    """What a command writes, line by line; the command ends with the reading."""
    settings = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON")
        and name not in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV")
    }
    settings |= {"PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1", "PIP_USER": "0"}
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise _CommandError(f"{command[0]} cannot be run ({error.strerror})") from error
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
        told = subprocess.run([str(base), "-c", code], capture_output=True, text=True, check=True).stdout.split()
        found = (int(told[0]), int(told[1]))
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError) as error:
        raise UsageError(f"{base}: not a Python interpreter; give another one with --python") from error
    if not PYTHONS[0] <= found <= PYTHONS[1]:
        first, last = (".".join(map(str, one)) for one in PYTHONS)
        raise UsageError(
            f"the pinned packages run on Python {first} to {last}, and {base} is {found[0]}.{found[1]}; name another "
            "interpreter with --python"
        )


def _journal(environment: Environment) -> Path:
    return environment.folder / "steps.json"


def _log(environment: Environment) -> Path:
    return environment.folder / "install.log"
