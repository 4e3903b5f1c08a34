"""Make, import, check and share releases, and choose the one that the benchmark's tasks are asked of."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from avemo_harness.cli.signals import end_on_signals

ACTIONS = {
    "use": "remember a release for later commands",
    "build": "make a release: write, speak, animate, package",
    "import": "make a release of a corpus that you have",
    "conflicts": "pair clips whose sound and face disagree",
    "check": "look for mistakes and leaks, and verify labels",
    "push": "share a release on the Hugging Face Hub",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions of `data`, each with its own options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar=f"{{{','.join(ACTIONS)}}}")
    for name, about in ACTIONS.items():
        module = _module(name)
        one = actions.add_parser(name, help=about, description=module.__doc__, formatter_class=parser.formatter_class)
        module.add_arguments(one)


def execute(args: argparse.Namespace) -> int:
    """Do one of them; returns the exit code."""
    end_on_signals()
    code: int = _module(args.action).execute(args)
    return code


def _module(action: str) -> Any:
    return import_module(f"avemo_harness.cli.data_{action}")
