"""LiteLLM's proxy before a server: which answers of `openai` come back through it as the server itself gives them.

    python tests/performance/gateway.py

It is installed into a virtual environment that is deleted in the end (about 600 MB); the servers behind it are the
tests' own, on loopback. Labels, rankings and spoken replies are asked for over every route and of its server directly.

A row is a task over a route: items, errors, replies without sound, answers that are equal to the direct ones in words,
log-probabilities, counts, flags and sound. Then the route: fields that reach the server when it is asked directly and
not through the gateway, which drops them or refuses their requests; fields that the client left out because they were
refused; and other statuses than 200. WRONG ends the rows that must be equal and are not; a route whose gateway or
server lets no speech through owes its replies nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.chat_server import MODEL, ChatServer
from support.chat_server import running as running_here
from support.foreign_servers import ROOT, ForeignServer, free_port, make_environment, running
from support.synthetic_release import CONFIG, write_synthetic_release
from support.whole_runs import responses_of

from avemo_harness import media

KEY = "sk-gateway-0123456789-0123456789-0123456789"
REPLY = f"{CONFIG}_reply"
TASKS = (f"{CONFIG}_full_av", f"{CONFIG}_full_av_ranked", REPLY)
UNKNOWN = ("structured_outputs", "modalities", "seed")
"""Fields that the strict server refuses."""

Answers = Mapping[tuple[str, str], Mapping[str, Any]]
"""Stored lines by task and item."""


@dataclass(frozen=True, slots=True)
class Route:
    """A model of the gateway.

    Args:
        provider: whose dialect LiteLLM takes the server for, which decides what it lets through and tells of errors.
        strict: the server behind it refuses `UNKNOWN`.
        speaks: spoken replies are let through.
        settings: of LiteLLM, for this model.
        arguments: of `openai`.
    """

    name: str
    provider: str
    strict: bool = False
    speaks: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)
    arguments: str = "speech=true"


ROUTES = (
    Route("vllm", "hosted_vllm"),
    Route("vllm-streams", "hosted_vllm", arguments="speech=true,stream=true"),
    Route("openai", "openai"),
    Route("openai-streams", "openai", arguments="speech=true,stream=true"),
    Route("xai", "xai", speaks=False),  # (refuses `modalities`)
    Route("xai-drops", "xai", speaks=False, settings={"drop_params": True}),
    Route("vllm-strict", "hosted_vllm", strict=True, speaks=False),  # (quotes the server's 422)
    Route("openai-strict", "openai", strict=True, speaks=False),  # (tells its number alone)
)


@dataclass(frozen=True, slots=True)
class RouteAnswers:
    """A run.

    Args:
        fields: of the requests that arrived at the server and were not refused.
        said: sentences of the client on fields.
    """

    answers: Answers
    fields: frozenset[str]
    said: tuple[str, ...]


def main() -> None:
    """Ask over every route, print the table, and fail where an answer is wrong."""
    plain, strict = ChatServer("vllm"), ChatServer("vllm", unknown=UNKNOWN)
    with tempfile.TemporaryDirectory() as name, running_here(plain), running_here(strict):
        folder = Path(name)
        release = write_synthetic_release(folder / "release")
        print(f"{'route':<16}{'task':<34}{'items':>6}{'errors':>8}{'silent':>8}{'equal':>7}", flush=True)
        wrong = 0
        servers = {route.name: strict if route.strict else plain for route in ROUTES}
        with litellm(folder, {route.name: _behind(route, servers[route.name]) for route in ROUTES}) as gateway:
            for route in ROUTES:
                server = servers[route.name]
                direct = ask(server, server.url, MODEL, route, release, folder / f"{route.name}-direct")
                before = len(gateway.log.read_bytes())
                through = ask(server, gateway.url, route.name, route, release, folder / route.name)
                statuses = _statuses(gateway.log.read_bytes()[before:].decode("utf-8", "replace"))
                wrong += sum(print_row(route, task, direct, through) for task in TASKS)
                print_route(direct, through, statuses)
        print(f"{wrong} rows WRONG")
    sys.exit(bool(wrong))


@contextmanager
def litellm(folder: Path, routes: Mapping[str, Mapping[str, Any]]) -> Iterator[ForeignServer]:
    """The gateway on loopback until the block ends."""
    python = make_environment(folder / "venv", ["litellm[proxy]"])
    config, port = folder / "gateway.yaml", free_port()
    models = [{"model_name": name, "litellm_params": behind} for name, behind in routes.items()]
    config.write_text(json.dumps({"model_list": models}), encoding="utf-8")
    arguments = ("--config", str(config), "--host", "127.0.0.1", "--port", str(port))
    settings = {"LITELLM_MASTER_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    command, url = [str(python.with_name("litellm")), *arguments], f"http://127.0.0.1:{port}"
    with running(command, settings, url, "/health/liveliness", folder / "gateway.log") as gateway:
        yield gateway


def _behind(route: Route, server: ChatServer) -> dict[str, Any]:
    return {"model": f"{route.provider}/{MODEL}", "api_base": server.url, "api_key": "none", **route.settings}


def ask(server: ChatServer, url: str, model: str, route: Route, release: Path, output: Path) -> RouteAnswers:
    """Run the command; errors are counted, not fatal."""
    server.payloads.clear()
    given = f"base_url={url},model={model},{route.arguments}"
    words = [sys.executable, "-m", "avemo_harness", "--model", "openai", "--model_args", given]
    more = ["--tasks", ",".join(TASKS), "--dataset", str(release), "--output_path", str(output), "--max_errors", "1000"]
    settings = {**os.environ, "OPENAI_API_KEY": KEY, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*words, *more], capture_output=True, text=True, check=False, env=settings)
    assert done.returncode == 0, done.stderr
    answers = {(line["task"], line["item"]): _comparable(line, output) for line in responses_of(output)}
    said = dict.fromkeys(re.findall(r"does not know (.+): asking without", done.stderr))
    return RouteAnswers(answers, frozenset(name for payload in server.payloads for name in payload), tuple(said))


def _comparable(line: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A stored line without what names its run; the samples in place of the sound file."""
    kept = {name: value for name, value in line.items() if name not in ("key", "sum")}
    if "speech" in line:
        samples, rate = media.read_sound_file(folder / line["speech"])
        kept["speech"] = (rate, hashlib.sha256(samples.tobytes()).hexdigest())
    return kept


def print_row(route: Route, task: str, direct: RouteAnswers, through: RouteAnswers) -> bool:
    """Print a task over a route; True where an answer must be equal to the direct one and is not."""
    lines = {item: line for (name, item), line in through.answers.items() if name == task}
    expected = {item: line for (name, item), line in direct.answers.items() if name == task}
    errors = [line["error"] for line in lines.values() if "error" in line]
    silent = sum("no_speech" in line.get("flags", ()) for line in lines.values())
    equal = sum("error" not in line and line == expected.get(item) for item, line in lines.items())
    must = route.speaks or task != REPLY
    wrong = must and not equal == len(lines) == len(expected) > 0
    row = f"{route.name:<16}{task:<34}{len(lines):>6}{len(errors):>8}{silent:>8}{equal:>7}"
    print(row + ("  WRONG" if wrong else ""))
    for error, count in Counter(errors).most_common(2):
        print(f"{'':<16}  {count} x {error[:150]}")
    return wrong


def print_route(direct: RouteAnswers, through: RouteAnswers, statuses: Mapping[str, int]) -> None:
    """Print what became of fields on a route."""
    left_out = {name for names in through.said for name in names.split(", ")}
    missing = direct.fields - through.fields - left_out
    refused = ", ".join(f"{status} x {count}" for status, count in statuses.items() if status != "200") or "-"
    fields = f"not let through: {_listed(missing)}; left out: {_listed(left_out)}"
    print(f"{'':<16}  {fields}; refusals: {refused}", flush=True)


def _statuses(log: str) -> Counter[str]:
    return Counter(re.findall(r'"POST /v1/chat/completions HTTP/1\.1" (\d+)', log))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "-"


if __name__ == "__main__":
    main()
