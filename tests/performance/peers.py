"""The same 1,000 questions of text, a model that answers at once, samples logged: this harness beside its peers.

Each peer is installed, in a version that is named, into a virtual environment of its own, once. One that cannot be is
left out with the reason. Every run is held to 1,000 scored samples.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from performance.startup import make_text_task
from performance.table import COMMAND, Row, median_costs

CACHE = Path(os.environ.get("AVEMO_PERFORMANCE_CACHE", Path.home() / ".cache" / "avemo-performance"))
NUMBERS, RUNS = (1, 1_000), 3
INSTALL_S = 900
LABELS = ("neutral", "happy", "angry", "sad")

LM_EVAL_TASK = """\
task: peer_text
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{label}}}}"
generation_kwargs: {{until: ["\\n"], max_gen_toks: 8}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""
LM_EVAL_OPTIONS = (
    "--model dummy --tasks peer_text --include_path FOLDER/lm --limit NUMBER --output_path out --log_samples"
)
INSPECT_SCRIPT = """\
import json, sys
from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelAPI, ModelOutput, modelapi
from inspect_ai.scorer import match
from inspect_ai.solver import generate

@modelapi(name="instant")
class Instant(ModelAPI):
    async def generate(self, input, tools, tool_choice, config):
        return ModelOutput.from_content("instant", "sad")

rows = [json.loads(line) for line in open(sys.argv[1])][: int(sys.argv[2])]
samples = [Sample(row["question"], target=row["label"]) for row in rows]
task = Task(dataset=MemoryDataset(samples), solver=generate(), scorer=match())
(log,) = eval(task, model="instant/any", log_dir="logs", display="none")
assert log.status == "success" and log.results.completed_samples == len(rows), log.error
"""


@dataclass(frozen=True)
class Peer:
    """A harness to hold this one against.

    Args:
        requirement: what pip installs.
        command: after the environment's Python; FOLDER, FILE and NUMBER stand for what they say.
        module: run with ``--help``; empty where it has no command to ask.
    """

    name: str
    requirement: str
    command: tuple[str, ...]
    module: str = ""


PEERS = (
    Peer(
        "lm-eval",
        "lm-eval==0.4.13",
        ("-m", "lm_eval", *LM_EVAL_OPTIONS.split()),
        "lm_eval",
    ),
    Peer("inspect_ai", "inspect_ai==0.3.285", ("FOLDER/inspect_run.py", "FILE", "NUMBER"), "inspect_ai"),
    Peer("lmms-eval", "lmms-eval==0.7.3", (), "lmms_eval"),
)


def rows() -> Iterator[Row]:
    """Whole runs of one item and of 1,000, and help, each with a peer in turn."""
    with tempfile.TemporaryDirectory() as folder:
        write_questions(Path(folder))
        for peer in PEERS:
            try:
                yield from _rows_of(peer, environment_of(peer), Path(folder))
            except (subprocess.SubprocessError, RuntimeError, OSError) as error:
                reason = " ".join(str(getattr(error, "stderr", None) or error).split())[-240:]
                print(f"{peer.name} is left out: {reason}", file=sys.stderr)


def write_questions(folder: Path) -> None:
    """The questions in the form that each harness takes."""
    for number in NUMBERS:
        (folder / str(number)).mkdir()
        make_text_task(folder / str(number), number)
    questions = folder / "questions.jsonl"
    asked = ({"question": f"How does sentence {i} feel?", "label": LABELS[i % 4]} for i in range(max(NUMBERS)))
    questions.write_text("".join(f"{json.dumps(row)}\n" for row in asked))
    (folder / "lm").mkdir()
    (folder / "lm" / "peer_text.yaml").write_text(LM_EVAL_TASK.format(file=questions))
    (folder / "inspect_run.py").write_text(INSPECT_SCRIPT)


def environment_of(peer: Peer) -> str:
    """The Python of a peer's environment, which is made where it is not there yet.

    Raises:
        subprocess.SubprocessError: pip cannot install it, or takes too long.
    """
    folder = CACHE / peer.requirement
    python, finished = folder / "bin" / "python", folder / "installed"
    if not finished.exists():
        print(f"installing {peer.requirement} into {folder} …", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", peer.requirement]
        subprocess.run(pip, check=True, capture_output=True, text=True, timeout=INSTALL_S)
        finished.touch()
    return str(python)


def _rows_of(peer: Peer, python: str, folder: Path) -> Iterator[Row]:
    taken = f"CPU, median of {RUNS}, in turn"
    ours, theirs = median_costs([[*COMMAND, "--help"], [python, "-m", peer.module, "--help"]], RUNS)
    yield Row("--help", ours.cpu_s, "s", theirs.cpu_s, peer.requirement, taken, 1.0, True)
    for number in NUMBERS if peer.command else ():
        words = {"FOLDER": str(folder), "FILE": str(folder / "questions.jsonl"), "NUMBER": str(number)}
        command = [python]
        for part in peer.command:
            for name, value in words.items():
                part = part.replace(name, value)
            command.append(part)
        task = folder / str(number) / "text.yaml"
        ours, theirs = median_costs([[*COMMAND, "--model", "random", "--tasks", str(task)], command], RUNS)
        name = f"{number:,} text item{'s' if number > 1 else ''}"
        clock = f"; {ours.wall_s:.1f} and {theirs.wall_s:.1f} s on the clock, {ours.peak_mib:.0f} and "
        clock += f"{theirs.peak_mib:.0f} MiB"
        yield Row(name, ours.cpu_s, "s", theirs.cpu_s, peer.requirement, taken + clock, 1.0, True)
