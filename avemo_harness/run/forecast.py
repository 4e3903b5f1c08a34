"""Forecast of what a run asks and costs, counted from its plan and measured on a few of its questions."""

from __future__ import annotations

import json
import math
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from avemo_harness import media
from avemo_harness.benchmark.planning import items_to_answer_first
from avemo_harness.benchmark.release import Clip, Release
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.errors import SampleError, UsageError, describe
from avemo_harness.metrics.bootstrap import t_quantile
from avemo_harness.models.base import BatchSize, OmniModel, batch_size_of
from avemo_harness.run.answers import checked_response, submit
from avemo_harness.run.config import RunConfig
from avemo_harness.run.prepare import PreparedRun, prepare
from avemo_harness.run.requests import Anyone
from avemo_harness.run.selection import Question
from avemo_harness.text import Notify

PROBED = 8
"""Items that are looked at, or asked, unless more are wanted."""
PROBE_SEED = 1
LINES_BYTES = 1_000
"""Of an item in a run directory: its lines among items, responses and scores."""
STAND_IN = "I understand how you feel, and I am here to listen."
"""Stands for the model's own earlier replies, where they are part of a question."""


@dataclass(frozen=True, slots=True)
class Range:
    """An estimate with the ends between which it lies in about 95 of 100 cases, by the spread of what was probed."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TaskForecast:
    """Questions of one task.

    Args:
        items: questions.
        media_s: seconds of recordings that all of them show, earlier turns of a dialogue included; a range from the
            probed items.
    """

    task: str
    items: int
    media_s: Range | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """Questions and costs of a run.

    Args:
        skipped: tasks that are not asked, with the reason.
        dialogues: distinct ones.
        clips: distinct recordings of asked turns and of the turns before them.
        clips_s: their seconds, where the release says how long they are; `clips_unknown` of them are of unknown length.
        probed: items that the estimates rest on.
        failed: probed items that could not be asked, with the reason.
        prompt_tokens, new_tokens: of all items by the model's own counts; None where it gives none, or was not asked.
        loading_s: seconds until the first answer; None where nothing was asked.
        model_s: seconds in which the model answers everything, by those that the probed items took.
        prepare_s: seconds of one core in which clips are put under their conditions; beside the model.
        disk_bytes: of conditions in the cache, and of the run directory.
        peak_mib: the most memory of this process so far; with the model that of its weights too, on the CPU.
        gpu_peak_mib: the most that PyTorch has held on the GPU; None where it was not used.
    """

    model: str | None
    tasks: Sequence[TaskForecast]
    skipped: dict[str, str]
    items: int
    dialogues: int
    clips: int
    clips_s: float
    clips_unknown: int
    probed: int
    failed: Sequence[str]
    prompt_tokens: Range | None = None
    new_tokens: Range | None = None
    loading_s: float | None = None
    model_s: Range | None = None
    prepare_s: Range | None = None
    disk_bytes: Range | None = None
    peak_mib: float = 0.0
    gpu_peak_mib: float | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


@dataclass
class _Probe:
    """Costs of a probed item.

    Args:
        cpu_s: seconds in which its request was made, on one core.
        media_s: seconds of recordings that it shows.
        derived_bytes: of the asked clip, where its condition makes another one of it, which is kept in the cache.
        model_s: its share of the time that the model took; None where it was not asked.
    """

    task: str
    request: Request
    cpu_s: float
    media_s: float
    derived_bytes: int
    model_s: float | None = None
    response: Response | None = None
    speech_bytes: int = 0


def forecast(
    config: RunConfig,
    *,
    model: OmniModel | None = None,
    probed: int = PROBED,
    batch_size: BatchSize = None,
    device: str | None = None,
    say: Notify = lambda sentence: None,
) -> Forecast:
    """Plan a run and try a few of its questions. No run directory is made, and no answer is kept.

    Args:
        config: of the run.
        model: in place of the one that the config names; of `Anyone` nothing is asked.
        probed: items that are tried, of every task its share and one at least; the same ones each time.
        batch_size: as of the run.

    Raises:
        UsageError: as of the run itself; or none of the probed items can be asked.
    """
    with tempfile.TemporaryDirectory() as scratch:
        prepared = prepare(config, output_path=Path(scratch) / "run", device=device, model=model, say=say)
        questions = [question for unit in prepared.units for question in unit.questions]
        drawn = _drawn(questions, probed)
        asks = not isinstance(prepared.model, Anyone)
        say(f"probing {len(drawn)} of {len(questions):,} items" + (f" with {config.model}" if asks else ""))
        probes, failed = _made(drawn)
        if drawn and not probes:
            raise UsageError(f"none of {len(drawn)} probed items can be asked: {failed[0]}")
        loading_s = None
        if asks:
            loading_s = _load(prepared.model, probes[0].request)
            failed += _ask(prepared.model, probes, batch_size_of(batch_size, prepared.model.capabilities))
        return _put_together(prepared, questions, probes, failed, loading_s)


def _drawn(questions: Sequence[Question], number: int) -> list[Question]:
    """A sample of each task in proportion to its items, and one at least, in a seeded order."""
    drawn: list[Question] = []
    for task, of_task in _by_task(questions).items():
        share = max(1, round(number * len(of_task) / len(questions)))
        drawn += random.Random(f"{PROBE_SEED} {task}").sample(of_task, min(share, len(of_task)))
    return drawn


def _by_task(questions: Sequence[Question]) -> dict[str, list[Question]]:
    by_task: dict[str, list[Question]] = {}
    for question in questions:
        by_task.setdefault(question.item.task, []).append(question)
    return by_task


def _made(questions: Sequence[Question]) -> tuple[list[_Probe], list[str]]:
    """The requests of questions with what making them took; and why others have none."""
    probes, failed = [], []
    for question in questions:
        item, builder = question.item, question.builder
        earlier = items_to_answer_first(builder.task, builder.release, item)
        started = time.process_time()
        try:
            request = builder.request(item, dict.fromkeys(earlier, STAND_IN))
            clips = [block for message in request.messages for block in message.content if isinstance(block, Clip)]
            seconds = sum(media.probe(clip.read()).duration_s for clip in clips)
        except SampleError as error:
            failed.append(f"{item.task} {item.item_id}: {describe(error)}")
            continue
        cpu_s = time.process_time() - started
        asked = request.asked_clip
        derived = len(asked.read()) if asked is not None and item.condition != "full_av" else 0
        probes.append(_Probe(item.task, request, cpu_s, seconds, derived))
    return probes, failed


def _load(model: OmniModel, request: Request) -> float:
    """Seconds in which the model answers its first request, for which it loads its weights."""
    started = time.perf_counter()
    for answered in submit(model, [request]):
        answered.exception()
    return time.perf_counter() - started


def _ask(model: OmniModel, probes: Sequence[_Probe], batch_size: int) -> list[str]:
    """Ask the probed items as a run does, task by task; returns why some have no answer."""
    failed = []
    for _, of_task in groupby(probes, key=lambda probe: probe.task):
        left = list(of_task)
        while batch := left[:batch_size]:
            del left[:batch_size]
            started = time.perf_counter()
            answers = submit(model, [probe.request for probe in batch])
            wait(answers)
            seconds = (time.perf_counter() - started) / len(batch)
            for probe, answered in zip(batch, answers, strict=True):
                probe.model_s = seconds
                try:
                    probe.response = checked_response(answered.result(), probe.request)
                except SampleError as error:
                    probe.response = Response(error=describe(error))
                if probe.response.error is not None:
                    failed.append(f"{probe.task}: {probe.response.error}")
                elif speech := probe.response.speech:
                    probe.speech_bytes = len(media.encode_flac(speech.samples, speech.rate_hz))
    return failed


def _put_together(
    prepared: PreparedRun,
    questions: Sequence[Question],
    probes: Sequence[_Probe],
    failed: Sequence[str],
    loading_s: float | None,
) -> Forecast:
    numbers = {task: len(of_task) for task, of_task in _by_task(questions).items()}
    clips = _clips(questions)
    known = [seconds for seconds in clips.values() if seconds is not None]

    def total(values: Callable[[_Probe], float | None], of: Mapping[str, int] = numbers) -> Range | None:
        return total_of([(probe.task, value) for probe in probes if (value := values(probe)) is not None], of)

    return Forecast(
        model=None if loading_s is None else prepared.record.shown_model,
        tasks=[TaskForecast(name, count, total(lambda p: p.media_s, {name: count})) for name, count in numbers.items()],
        skipped=dict(prepared.record.skipped),
        items=len(questions),
        dialogues=len({(id(q.builder.release), q.item.dialogue_id) for q in questions}),
        clips=len(clips),
        clips_s=sum(known),
        clips_unknown=len(clips) - len(known),
        probed=len(probes) + sum(1 for _ in failed if loading_s is None),
        failed=failed,
        prompt_tokens=total(lambda probe: probe.response.prompt_tokens if probe.response else None),
        new_tokens=total(lambda probe: probe.response.new_tokens if probe.response else None),
        loading_s=loading_s,
        model_s=total(lambda probe: probe.model_s),
        prepare_s=total(lambda probe: probe.cpu_s),
        disk_bytes=total(lambda probe: LINES_BYTES + probe.derived_bytes + probe.speech_bytes),
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        gpu_peak_mib=_gpu_peak_mib(),
    )


def _clips(questions: Sequence[Question]) -> dict[str, float | None]:
    """Seconds of the distinct recordings of asked turns and of those before them; None where the release is silent."""
    clips: dict[str, float | None] = {}
    last: dict[tuple[int, str], tuple[Release, int]] = {}
    for question in questions:
        item, release = question.item, question.builder.release
        key = (id(release), item.dialogue_id)
        last[key] = (release, max(item.turn_index, last[key][1] if key in last else 0))
    for (_, dialogue_id), (release, turn_index) in last.items():
        for turn in release.dialogue(dialogue_id).turns[: turn_index + 1]:
            if turn.clip is not None:
                clips.setdefault(turn.clip.sha256, turn.duration_s)
    return clips


def total_of(probed: Sequence[tuple[str, float]], numbers: Mapping[str, int]) -> Range | None:
    """The total over all items, from values of a few: a stratified estimate with the quantile of Student's t.

    Cochran, Sampling Techniques (1977), section 5.4; a task varies at least as all do, since two
    items of it may be alike by chance.

    Args:
        probed: tasks with the values of probed items.
        numbers: items of each task that is summed.

    Returns:
        None where nothing was probed of a task.

    >>> total_of([("a", 1.0), ("a", 1.0)], {"a": 100})
    Range(estimate=100.0, low=100.0, high=100.0)
    """
    by_task = {task: [value for name, value in probed if name == task] for task in numbers}
    if not numbers or not all(by_task.values()):
        return None
    pooled = statistics.stdev(value for _, value in probed) if len(probed) > 1 else None
    estimate, variance = 0.0, 0.0
    for task, values in by_task.items():
        number, count = numbers[task], len(values)
        mean = statistics.mean(values)
        spread = mean if pooled is None else max(pooled, statistics.stdev(values) if count > 1 else 0.0)
        estimate += number * mean
        variance += number**2 * spread**2 / count * max(0.0, 1 - count / number)
    half = t_quantile(max(2, len(probed))) * math.sqrt(variance)
    return Range(estimate, max(0.0, estimate - half), estimate + half)


def _gpu_peak_mib() -> float | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return float(torch.cuda.max_memory_allocated() / 2**20) or None
