"""Let people rate: the study's web pages, on this machine alone unless told otherwise."""

from __future__ import annotations

import argparse
from pathlib import Path

from avemo_harness.cli.output import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `human serve`."""
    parser.add_argument("study", type=Path, metavar="STUDY", help="the folder of a study")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at")
    parser.add_argument("--port", type=int, default=8765, help="the port to listen at")
    parser.add_argument("--url", help="the address that raters use, such as https://ratings.example.org")


def execute(args: argparse.Namespace) -> int:
    """Serve until interrupted; returns the exit code."""
    from avemo_harness.human.guards import bracketed, public_address
    from avemo_harness.human.planning import INVITATIONS
    from avemo_harness.human.scales import SCALES_VERSION
    from avemo_harness.human.server import require_packages, serve
    from avemo_harness.human.study import read_study

    require_packages()
    study = read_study(args.study)
    address = public_address(args.host, args.port, args.url)
    origin = args.url.rstrip("/") if args.url else f"http://{bracketed(args.host)}:{args.port}"
    if address.exposed:
        say(
            f"{origin} is not encrypted: whoever is on the way reads the invitations and ratings, and can rate in "
            "others' names; let a proxy with TLS stand before this server, and name it with --url https://..."
        )
    print(f"invitations: {origin}/join/TOKEN, one line of {args.study / INVITATIONS} a rater", flush=True)
    if study.scales_version != SCALES_VERSION:
        print(
            f"rated on the scales {study.scales_version}, as this study was planned: they stand under their own names, "
            "not as ER, EN and RR; plan a new study for those",
            flush=True,
        )
    print(f"{len(study.sessions)} sessions; Ctrl-C stops, the same command goes on", flush=True)
    serve(study, args.study, address, args.host, args.port)
    return 0
