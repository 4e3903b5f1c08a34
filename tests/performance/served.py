"""Requests a second to a server on loopback, and memory over many of them.

    OMP_NUM_THREADS=1 python tests/performance/served.py [REQUESTS]

The server runs in a process of its own and answers at once. The bound is the same client asking the same server without
the run directory: what storing, claiming and planning cost beside it.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from support.chat_server import MODEL, ChatServer, running
from support.questions import ask_in_words
from support.releases import write_text_release, write_text_task

from avemo_harness.models.base import ModelSetup
from avemo_harness.models.served.openai import OpenAi
from avemo_harness.run.config import RunConfig
from avemo_harness.run.prepare import prepare

sys.path.insert(0, str(Path(__file__).parents[1]))


CONCURRENT = 64


def serve(port: multiprocessing.Queue[int]) -> None:
    with running(ChatServer(keep_payloads=False)) as server:
        port.put(server.port)
        time.sleep(3600)


def arguments(port: int) -> dict[str, object]:
    return {"base_url": f"http://127.0.0.1:{port}/v1", "model": MODEL}


def alone(port: int, requests: int) -> float:
    """Requests a second of the client by itself."""
    model = OpenAi(OpenAi.Arguments(**arguments(port)), ModelSetup())  # type: ignore[arg-type]  # (of these types)
    model.identity()
    asked = [ask_in_words(f"How does the speaker of sentence {number} feel?") for number in range(requests)]
    begun = time.perf_counter()
    for start in range(0, requests, CONCURRENT):
        model.generate(asked[start : start + CONCURRENT])
    return requests / (time.perf_counter() - begun)


class Watch:
    """Notes the process's memory as answers are stored."""

    def __init__(self) -> None:
        self.stored_so_far = 0
        self.resident: list[tuple[int, float]] = []

    def stored(self, records: object) -> None:
        self.stored_so_far += len(records)  # type: ignore[arg-type]  # (a sequence)
        if not self.resident or self.stored_so_far >= self.resident[-1][0] + 1000:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.resident.append((self.stored_so_far, pages * resource.getpagesize() / 2**20))

    def waiting(self, units: int) -> None:
        del units


def whole(port: int, folder: Path, requests: int) -> tuple[float, Watch]:
    """Requests a second of a run, and its memory on the way."""
    task = write_text_task(folder / "text.yaml", write_text_release(folder / "data", dialogues=requests // 5, turns=5))
    prepared = prepare(RunConfig("openai", (str(task),), model_args=arguments(port)), output_path=folder / "run")
    watch, begun = Watch(), time.perf_counter()
    prepared.ask(batch_size=CONCURRENT, listener=watch)
    return prepared.n_items / (time.perf_counter() - begun), watch


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    context = multiprocessing.get_context("spawn")
    ports = context.Queue()
    server = context.Process(target=serve, args=(ports,), daemon=True)
    server.start()
    port = ports.get()
    bound = statistics.median(alone(port, 1_000) for _ in range(3))
    with tempfile.TemporaryDirectory() as folder:
        rate, watch = whole(port, Path(folder), requests)
    print(f"client alone     {bound:7.0f} requests a second (median of 3 x 1,000, {CONCURRENT} at once)")
    print(f"whole run        {rate:7.0f} requests a second over {requests:,} ({rate / bound:.2f} of the client alone)")
    for count, mebibytes in watch.resident[:: max(1, len(watch.resident) // 8)]:
        print(f"  {count:7,} stored  {mebibytes:7.1f} MiB resident")
    server.terminate()


if __name__ == "__main__":
    main()
