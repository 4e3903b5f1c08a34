"""Speed of Qwen2.5-Omni against its model card's way, by batch size. Run by hand.

Usage: qwen_omni.py (--full | --tiny) [--dialogues N] [--turns N] [--minutes M] [--out FILE]

`--full`: the 7B architecture in bfloat16 and clips of 640 x 480 pixels, on the GPU; `--tiny`: a tiny one in float32 and
tiny clips, on one CPU thread. Weights are random, so only speed means anything, and how far answers differ between
batch sizes. The card's way is its processor and `generate`, one question after the other and in batches; clips are
decoded once for it, so that ratios are a little in its favour. Labels, rankings and replies are asked at every batch
size; rankings in the card's way are a whole reading a label, as evaluation harnesses do. A line a measurement, in JSON
with `--out`, as soon as it is there; what no longer fits into the minutes is left out and said. The tables of phases
come last.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.gpu_use import Use, describe_machine, peak_gib, watched
from support.published_qwen import SMALL, PublishedQwen
from support.synthetic_release import write_synthetic_release
from support.tiny_qwen_omni import build, full_size

from avemo_harness import media
from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.benchmark.request import ItemKey, Request, StoredResponse
from avemo_harness.models.base import ModelSetup
from avemo_harness.models.qwen_omni import QwenOmni
from avemo_harness.models.qwen_talker import RATE_HZ
from avemo_harness.phases import PhaseClock
from avemo_harness.report.timing import format_timing
from avemo_harness.run.config import RunConfig
from avemo_harness.run.prepare import PreparedRun, prepare
from avemo_harness.run.store import RunStore
from avemo_harness.torch_setup import repair_torchvision

LABELS = ("multiturn_synthetic_full_av", "multiturn_synthetic_audio_only", "multiturn_synthetic_video_only")
RANKED = ("multiturn_synthetic_full_av_ranked",)
REPLIES = ("multiturn_synthetic_reply",)
PIXELS = {"min_pixels": 128 * 28 * 28, "max_pixels": 768 * 28 * 28}
CODES = 150
"""Speech codes of a reply: three seconds; random weights seldom end by themselves."""
ENDED_S = 25.0
"""Shortest time left in which a measurement is begun."""


@dataclass(frozen=True)
class Size:
    """Extent of a measurement.

    Args:
        batches: of labels and rankings; those of replies take longest.
        card_batches: of the card's way.
        card_items: questions that the card's way is asked at most: labels, rankings, replies.
    """

    batches: tuple[int, ...]
    reply_batches: tuple[int, ...]
    card_batches: tuple[int, ...]
    card_items: tuple[int, int, int]
    pixels: dict[str, int]
    codes: int


FULL = Size((1, 2, 4, 8, 16, 32), (1, 8, 32), (1, 4, 8), (8, 2, 2), PIXELS, CODES)
TINY = Size((1, 2), (1, 2), (1, 2), (2, 1, 1), SMALL, 30)


@dataclass
class Measurement:
    """Runs what fits into the time, and keeps what came out.

    Args:
        out: takes each line as JSON; None for none.
        loaded: the model; None for one that each run loads from the checkpoint.
    """

    folder: Path
    size: Size
    release: Path
    checkpoint: Path
    loaded: Any
    ends: float
    out: Path | None
    rows: list[dict[str, Any]] = field(default_factory=list)

    def say(self, **line: Any) -> None:
        line = {"t": round(time.perf_counter() - STARTED, 1), **line}
        self.rows.append(line)
        print(" ".join(f"{name}={value}" for name, value in line.items()), flush=True)
        if self.out is not None:
            with open(self.out, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def attempt(self, what: str, measure: Callable[[], Any]) -> Any:
        """Measure if there is time; one failure, such as a lack of memory, does not end the others."""
        if self.ends - time.perf_counter() < ENDED_S:
            self.say(left_out=what)
            return None
        try:
            return measure()
        except Exception as error:
            traceback.print_exc()
            self.say(failed=what, error=f"{type(error).__name__}: {error}"[:300])
            return None

    def model(self, *, shared: bool = True) -> QwenOmni:
        given = QwenOmni.Arguments(
            pretrained=str(self.checkpoint),
            shared_context=shared,
            talker_max_new_tokens=self.size.codes,
            **self.size.pixels,
        )
        model = QwenOmni(given, ModelSetup())
        if self.loaded is not None:
            model.__dict__["_loaded"] = self.loaded
        model._network  # noqa: B018  (loads it, which is no part of what is measured)
        return model

    def prepared(self, tasks: Sequence[str], name: str, batch: int, *, shared: bool = True) -> PreparedRun:
        """A run of as many dialogues as fill a batch, and of two at least."""
        limit = max(2, -(-batch // len(tasks)))
        config = RunConfig(model="qwen2.5-omni", tasks=tuple(tasks), dataset=str(self.release), limit=limit)
        return prepare(config, output_path=self.folder / name, model=self.model(shared=shared))

    def product(
        self, what: str, tasks: Sequence[str], batch: int, *, shared: bool = True, wait: bool = False
    ) -> dict[ItemKey, StoredResponse]:
        """Ask tasks through a whole run, preparation and storing included; returns its answers by item."""
        name = f"{what}-{batch}-{shared}-{wait}".replace(" ", "-")
        run = self.prepared(tasks, name, batch, shared=shared)
        with watched() as use:
            run.ask(batch_size=batch, clock=PhaseClock(wait_for_device=wait))
        store = RunStore(run.folder)
        store.refresh()
        thinker = run.model._network  # type: ignore[attr-defined]  # (of QwenOmni, not of every model)
        self.told(
            f"product{'' if shared else ', nothing shared'}",
            what,
            batch,
            len(store.answers),
            use,
            errors=len(store.errors),
            speech_s=round(sum(answer.speech_samples or 0 for answer in store.answers.values()) / RATE_HZ, 1),
            tokens_read=thinker.tokens_read,
            streams=thinker.encoder.streams_encoded,
            encoder_passes=thinker.encoder.passes,
        )
        if wait:
            print(format_timing(run.folder), flush=True)
        return dict(store.answers)

    def told(self, way: str, what: str, batch: int, items: int, use: Use, **more: Any) -> None:
        rate = round(items / use.seconds, 3)
        named = {"busy": use.busy, "peak_gib": peak_gib()}
        self.say(way=way, what=what, batch=batch, items=items, s=round(use.seconds, 2), per_s=rate, **named, **more)

    def card(
        self, what: str, requests: Sequence[Request], batch: int, answer: Callable[[list[Request]], list[Any]]
    ) -> None:
        """Ask the card's way, batch by batch; of replies it gives numbers of samples."""
        left = iter(requests)
        answers: list[Any] = []
        with watched() as use:
            while rows := list(islice(left, batch)):
                answers += answer(rows)
        speech = {"speech_s": round(sum(answers) / RATE_HZ, 1)} if what == "replies" else {}
        self.told("card", what, batch, len(requests), use, **speech)


STARTED = time.perf_counter()


def measure(run: Measurement) -> None:
    """Labels, rankings and replies in the card's way and ours; differences; phases."""
    import torch

    size = run.size
    labels, rankings, replies = size.card_items
    run.attempt("warm-up", lambda: run.product("warm-up", LABELS, size.batches[-1]))
    card = PublishedQwen(run.checkpoint, run.loaded, size.pixels)
    with torch.inference_mode():
        for batch in size.card_batches:
            asked = _requests(run, LABELS[:1], max(labels, batch))
            run.attempt(f"card, labels, {batch}", partial(run.card, "labels", asked, batch, card.label_texts))
        asked = _requests(run, RANKED, rankings)
        run.attempt("card, rankings", partial(run.card, "rankings", asked, 1, partial(_read_each_label, card)))
        asked = _requests(run, REPLIES, replies)
        speak = partial(_speak, card, size.codes)
        run.attempt("card, replies", partial(run.card, "replies", asked, 1, speak))
    answers: dict[tuple[str, int], dict[ItemKey, StoredResponse]] = {}
    # The largest and the smallest come first: if the time runs out, the curve lacks its middle.
    for batch in sorted(size.batches, key=lambda n: (n not in (size.batches[0], size.batches[-1]), n)):
        for what, tasks in (("labels", LABELS), ("rankings", RANKED), ("replies", REPLIES)):
            if what == "replies" and batch not in size.reply_batches:
                continue
            found = run.attempt(f"{what}, {batch}", partial(run.product, what, tasks, batch))
            if found is not None:
                answers[what, batch] = found
    middle = size.batches[len(size.batches) // 2]
    run.attempt("labels, nothing shared", lambda: run.product("labels", LABELS, middle, shared=False))
    for what in ("labels", "rankings", "replies"):
        for batch in size.batches[1:]:
            if (what, 1) in answers and (what, batch) in answers:
                run.say(differences=what, batch=batch, **_differences(answers[what, 1], answers[what, batch]))
    for what, tasks in (("labels", LABELS), ("replies", REPLIES)):
        run.attempt(f"phases of {what}", partial(run.product, f"{what} by phase", tasks, middle, wait=True))
    print(table(run.rows))


def _requests(run: Measurement, tasks: Sequence[str], most: int) -> list[Request]:
    prepared = run.prepared(tasks, f"asked-{tasks[0]}-{most}", most)
    questions = (question for unit in prepared.units for question in unit.questions)
    return [question.builder.request(question.item, {}) for question in islice(questions, most)]


def _read_each_label(card: PublishedQwen, requests: Sequence[Request]) -> list[list[float]]:
    scores = []
    for request in requests:
        labels = request.output.labels  # type: ignore[union-attr]  # (tasks of labels alone)
        scores.append([float(card.logits(request, label)[-1].float().logsumexp(0)) for label in labels])
    return scores


def _speak(card: PublishedQwen, codes: int, requests: Sequence[Request]) -> list[int]:
    """Samples of each reply."""
    spoken = []
    for request in requests:
        try:
            spoken.append(card.speech(request, codes).numel())
        except RuntimeError as error:
            # Where the talker ends at once, the published code breaks, and the vocoder is not asked.
            if "CUDA" in str(error):
                raise
            spoken.append(0)
    return spoken


def _differences(one: dict[ItemKey, StoredResponse], other: dict[ItemKey, StoredResponse]) -> dict[str, Any]:
    """Answers to the same questions that differ between two batch sizes, and the most by which scores of labels do."""
    pairs = [(one[item], other[item]) for item in one if item in other]
    scores = [
        abs(a.label_logprobs[label] - b.label_logprobs[label])
        for a, b in pairs
        if a.label_logprobs and b.label_logprobs
        for label in a.label_logprobs
    ]
    firsts = [(_first(a), _first(b)) for a, b in pairs if a.label_logprobs and b.label_logprobs]
    return {
        "of": len(pairs),
        "texts": sum(a.text != b.text for a, b in pairs),
        "speech": sum(a.speech_sha256 != b.speech_sha256 for a, b in pairs),
        "first_labels": sum(a != b for a, b in firsts),
        "most_nats": round(max(scores, default=0.0), 4),
    }


def _first(response: StoredResponse) -> str:
    scores = response.label_logprobs or {}
    return max(scores, key=lambda label: scores[label])


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Questions a second, and as multiples of the card's way one by one."""
    from avemo_harness.text import aligned

    known = [row for row in rows if "way" in row and row["what"] in ("labels", "rankings", "replies")]
    card = {row["what"]: row["per_s"] for row in known if row["way"] == "card" and row["batch"] == 1}
    lines = [["asked", "way", "batch", "/s", "card's way x", "busy", "peak GiB"]]
    for row in sorted(known, key=lambda row: (row["what"], row["way"], row["batch"])):
        ratio = f"{row['per_s'] / card[row['what']]:.2f}" if card.get(row["what"]) else ""
        busy = "" if row["busy"] is None else f"{row['busy']:.0%}"
        numbers = [str(row["batch"]), f"{row['per_s']:.2f}", ratio, busy, f"{row['peak_gib']:.1f}"]
        lines.append([row["what"], row["way"], *numbers])
    return "\n".join(aligned(lines))


def big_clip(seed: int) -> bytes:
    """A clip of 640 x 480 pixels and three to six seconds, whose blocks and bar differ from clip to clip."""
    import numpy as np
    from support.clips import melody

    width, height, seconds = 640, 480, 3.5 + 1.5 * (seed % 3)
    blocks = np.random.default_rng(seed).random((height // 16, width // 16, 3)) * 200
    still = blocks.astype(np.uint8).repeat(16, 0).repeat(16, 1)

    def frames() -> Iterator[Any]:
        for i in range(round(25 * seconds)):
            frame = still.copy()
            left = (5 * i + 7 * seed) % (width - 32)
            frame[:, left : left + 32] = (250, 30, 60)
            yield frame

    return media.encode_clip(frames(), melody(seconds, seed=seed))


def _made_at_once(dialogues: int, turns: int) -> Callable[[float, int], bytes]:
    """Gives the `big_clip` of every seed of a release, all of them made in several threads."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        clips = list(pool.map(big_clip, range(4 * dialogues + turns + 10 * len(EMOTIONS))))
    return lambda seconds, seed: clips[seed]


@contextmanager
def _own_cache(folder: Path) -> Iterator[None]:
    """Keep what the measurement makes out of the user's cache."""
    before = os.environ.get("AVEMO_CACHE")
    os.environ["AVEMO_CACHE"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["AVEMO_CACHE"]
        else:
            os.environ["AVEMO_CACHE"] = before


def main(words: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Measure as the command line says; returns the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--full", action="store_true")
    which.add_argument("--tiny", action="store_true")
    parser.add_argument("--dialogues", type=int, default=0)
    parser.add_argument("--turns", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=7.0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(words)
    repair_torchvision()
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    ends = time.perf_counter() + 60 * args.minutes
    if args.tiny:
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name, _own_cache(Path(name) / "cache"):
        folder = Path(name)
        checkpoint = folder / "checkpoint"
        loaded = full_size(checkpoint) if args.full else None
        if loaded is None:
            build(checkpoint)
        # Of each dialogue there are two versions, so that sixteen fill a batch of 32 questions.
        dialogues, turns = args.dialogues or (16 if args.full else 1), args.turns or (3 if args.full else 2)
        made = {"make": _made_at_once(dialogues, turns)} if args.full else {}
        release = write_synthetic_release(folder / "release", dialogues, turns, **made)
        size = FULL if args.full else TINY
        run = Measurement(folder, size, release, checkpoint, loaded, ends, args.out)
        run.say(**describe_machine())
        measure(run)
    return run.rows


if __name__ == "__main__":
    main()
