"""LiteLLM's proxy before a server: requests of `openai` arrive through it, and their answers come back.

    python tests/performance/gateway.py

It is installed into a virtual environment that is deleted in the end (about 600 MB); the server behind it is the
tests' own, on loopback. The whole split is asked, spoken replies included, whole and as streams.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.chat_server import MODEL, ChatServer
from support.chat_server import running as running_here
from support.foreign_servers import ROOT, free_port, make_environment, running
from support.synthetic_release import CONFIG, write_synthetic_release
from support.whole_runs import check_everything_was_answered, results_of

KEY = "sk-gateway-0123456789-0123456789-0123456789"


def main() -> None:
    """Ask a whole split through the gateway, and print the tables and the number of requests that arrived."""
    with tempfile.TemporaryDirectory() as name, running_here(ChatServer("vllm")) as server:
        folder = Path(name)
        release = write_synthetic_release(folder / "release")
        python = make_environment(folder / "venv", ["litellm[proxy]"])
        config, port = folder / "gateway.yaml", free_port()
        behind = {"model": f"hosted_vllm/{MODEL}", "api_base": server.url, "api_key": "none"}
        config.write_text(json.dumps({"model_list": [{"model_name": MODEL, "litellm_params": behind}]}))
        command = [
            str(python.with_name("litellm")),
            "--config",
            str(config),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        settings = {"LITELLM_MASTER_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        url = f"http://127.0.0.1:{port}"
        with running(command, settings, url, "/health/liveliness", folder / "gateway.log") as gateway:
            for arguments in ("speech=true", "speech=true,stream=true"):
                output = folder / arguments
                ask(f"base_url={gateway.url},model={MODEL},{arguments}", release, output)
                check_everything_was_answered(output, CONFIG)
                print(arguments, results_of(output)["identity"])
        asked = server.payloads
        print(f"{len(asked)} requests arrived, {sum('modalities' in payload for payload in asked)} with modalities")


def ask(arguments: str, release: Path, output: Path) -> None:
    """Run the command on the whole split; its table is printed."""
    words = [sys.executable, "-m", "avemo_harness", "--model", "openai", "--model_args", arguments, "--tasks", CONFIG]
    settings = {**os.environ, "OPENAI_API_KEY": KEY, "PYTHONPATH": str(ROOT)}
    subprocess.run([*words, "--dataset", str(release), "--output_path", str(output)], check=True, env=settings)


if __name__ == "__main__":
    main()
