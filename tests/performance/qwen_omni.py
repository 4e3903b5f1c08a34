"""Speed of Qwen2.5-Omni: with and without shared context, by batch size. Run by hand.

Usage: qwen_omni.py [--full] [--dialogues N] [--turns N]

Weights are random, so only speed means anything: with `--full` the 7B architecture in bfloat16 on the GPU, else a tiny
one in float32 on one CPU thread. Prints questions a second, streams encoded, prompt tokens read, peak memory, and the
share of time that the model waited for clips to be decoded. Ratios are against no shared context at batch size 1.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from support.synthetic_release import write_synthetic_release
from support.tiny_qwen_omni import build, full_size

from avemo_harness import evaluate
from avemo_harness.models.base import ModelSetup
from avemo_harness.models.inputs import ClipDecoder
from avemo_harness.models.qwen_omni import QwenOmni
from avemo_harness.torch_setup import repair_torchvision

sys.path.insert(0, str(Path(__file__).parents[1]))


TASKS = ["multiturn_synthetic", "multiturn_synthetic_full_av_ranked"]


class Waiting:
    """Adds up how long the asking thread spends in decoding; what other threads decode ahead costs it nothing."""

    def __init__(self) -> None:
        self.seconds = 0.0
        for name in ("frames", "sound"):
            self._watch(name)

    def _watch(self, name: str) -> None:
        method = getattr(ClipDecoder, name)

        def timed(decoder: ClipDecoder, clip: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return method(decoder, clip)
            started = time.perf_counter()
            try:
                return method(decoder, clip)
            finally:
                self.seconds += time.perf_counter() - started

        setattr(ClipDecoder, name, timed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--dialogues", type=int, default=4)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    repair_torchvision()
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(torch.get_num_threads() if args.full else 1)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint"
        loaded = full_size(checkpoint) if args.full else None
        if loaded is None:
            build(checkpoint)
        release = write_synthetic_release(Path(folder) / "release", args.dialogues, args.turns)
        waiting, texts = Waiting(), dict[tuple[bool, int], list[str]]()
        slowest: float | None = None
        for shared in (False, True):
            for batch in (1, 4, 16):
                seconds, waited, facts = [], [], ""
                for repeat in range(args.repeats):
                    model = _model(checkpoint, loaded, shared)
                    output = Path(folder) / f"{shared}-{batch}-{repeat}"
                    waiting.seconds = 0.0
                    model.generate([])
                    started = time.perf_counter()
                    result = evaluate(model, TASKS, dataset=str(release), output_path=output, batch_size=batch)
                    seconds.append(time.perf_counter() - started)
                    waited.append(waiting.seconds / seconds[-1])
                    items = sum(task.n_answered for task in result.tasks.values())
                    thinker = model._network
                    facts = f"{thinker.encoder.streams_encoded} streams, {thinker.tokens_read} tokens read"
                    texts[shared, batch] = _texts(output)
                median = statistics.median(seconds)
                slowest = slowest or median
                speed = f"{items / median:7.2f} questions/s ({slowest / median:5.2f} x)"
                waits = f"waited {statistics.median(waited):.1%}"
                print(f"shared={shared!s:5} batch={batch:2}: {speed}, {facts}, {waits}, {_memory()}", flush=True)
        for key, answers in texts.items():
            differing = sum(a != b for a, b in zip(answers, texts[False, 1], strict=True))
            print(f"shared={key[0]!s:5} batch={key[1]:2}: {differing} of {len(answers)} answers differ from the first")


def _model(checkpoint: Path, loaded: Any, shared: bool) -> QwenOmni:
    small = {} if loaded else {"min_pixels": 4 * 28 * 28, "max_pixels": 16 * 28 * 28}
    arguments = QwenOmni.Arguments(
        pretrained=str(checkpoint), shared_context=shared, talker_max_new_tokens=200, **small
    )
    model = QwenOmni(arguments, ModelSetup())
    if loaded is not None:
        model.__dict__["_loaded"] = loaded
    return model


def _texts(folder: Path) -> list[str]:
    import jsonlines

    lines = [line for path in (folder / "responses").glob("*.jsonl") for line in jsonlines.open(path)]
    lines.sort(key=lambda line: (line["task"], line["item"]))
    return [str(line.get("text") or line.get("label_logprobs")) for line in lines]


def _memory() -> str:
    import resource

    import torch

    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated() / 2**30
        torch.cuda.reset_peak_memory_stats()
        return f"peak {peak:.1f} GiB on the GPU"
    return f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"


if __name__ == "__main__":
    main()
