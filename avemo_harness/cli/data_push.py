"""Share a release on the Hugging Face Hub, with its card and leaderboards.

  avemo-eval data push my_release OWNER/NAME --revision_tag v1
  avemo-eval data push my_release OWNER/NAME --ids_only          rows and digests, no clips

Every row and clip is checked first, and what must not be passed on is refused. The folder stays as it is. Log in with
`hf auth login` before.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from avemo_harness.cli.output import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `data push`."""
    parser.add_argument("release", type=Path, metavar="DIR", help="folder of the release")
    parser.add_argument("repo", metavar="OWNER/NAME", help="data set on the Hub; made where there is none")
    parser.add_argument("--revision_tag", metavar="TAG", help="name for the commit, such as v1")
    parser.add_argument("--private", action="store_true", help="nobody else may see it")
    parser.add_argument("--ids_only", action="store_true", help="ids, texts, labels and digests, but no clips")
    parser.add_argument(
        "--acknowledge_restricted",
        action="store_true",
        help="you have made sure that you may share what is restricted",
    )


def execute(args: argparse.Namespace) -> int:
    """Push; print the commit and the command that runs it."""
    from avemo_harness.benchmark.task_library import TaskLibrary
    from avemo_harness.build.push import Terms, push_release
    from avemo_harness.build.sharing.repository import Target
    from avemo_harness.errors import UsageError
    from avemo_harness.scorers import METRICS

    folder = args.release.expanduser()
    if not folder.is_dir():
        raise UsageError(f"{folder}: expected the folder of a release; check the path")
    target = Target(args.repo, args.revision_tag, args.private)
    terms = Terms("ids" if args.ids_only else "whole", args.acknowledge_restricted)
    tasks = [task.spec for task in TaskLibrary(METRICS).load(["*"])]
    pushed = push_release(folder, target, terms, tasks, say)
    print(f"{pushed.files} files, {pushed.size / 1e6:,.1f} MB: {pushed.url}")
    print(f"commit {pushed.commit}" + (f", tagged {target.tag}" if target.tag else ""))
    media = " --media_root DIR" if pushed.needs_media else ""
    names = ",".join(pushed.tasks) or "TASKS"
    print(f"avemo-eval --model MODEL --tasks {names} --dataset {target.repo} --revision {pushed.commit}{media}")
    return 0
