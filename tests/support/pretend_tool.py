"""Run as a program: a tool that writes a file from stock, or fails in one of the ways that tools fail.

    pretend_tool.py WHAT OUTPUT [anything that a real tool would take…]

The stock is the folder named by the environment variable STOCK. It imports nothing but the standard library, so that
it starts fast.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ASLEEP_S = 900
SLEEPER = f"import time; time.sleep({ASLEEP_S})"


def main() -> int:
    what, output = sys.argv[1], Path(sys.argv[2])
    stock = Path(os.environ["STOCK"])
    (stock / "seen.json").write_text(json.dumps({"argv": sys.argv[3:], "environment": dict(os.environ)}))
    for taken in filter(os.path.isfile, sys.argv[3:]):
        shutil.copy(taken, stock / f"taken {Path(taken).name}")
    if what == "nothing":
        return 0
    if what == "fail":
        print("loading the model\rloading the model… done", flush=True)
        print("RuntimeError: CUDA out of memory", file=sys.stderr)
        return 3
    if what == "die":
        os.abort()
    if what == "chatter":
        while True:
            sys.stdout.write("again and again\n" * 4096)
    if what == "hang":
        child = subprocess.Popen([sys.executable, "-c", SLEEPER])
        (stock / "pids").write_text(f"{os.getpid()} {child.pid}")
        print("step 1 of 2", flush=True)
        time.sleep(ASLEEP_S)
    if what == "leave children":
        # They keep the output open, and one is in a process group of its own.
        near = subprocess.Popen([sys.executable, "-c", SLEEPER])
        far = subprocess.Popen([sys.executable, "-c", SLEEPER], preexec_fn=lambda: os.setpgid(0, 0))
        (stock / "pids").write_text(f"{near.pid} {far.pid}")
        what = "good"
    if what == "leave a daemon":
        daemon = subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True)
        (stock / "pids").write_text(str(daemon.pid))
        what = "good"
    if output.suffix == "":
        output.mkdir(exist_ok=True)
        output = output / "2025_01_01.mp4"
    if what == "two files":
        shutil.copy(stock / "good", output.with_name("another.mp4"))
        what = "good"
    output.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(stock / what, output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
