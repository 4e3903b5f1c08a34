"""The judge of a run's replies: the one that is named, remembered or usual, and the ways to one where there is none."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from avemo_harness import files
from avemo_harness.benchmark.origin import is_builtin
from avemo_harness.benchmark.release import Release
from avemo_harness.benchmark.release_loader import has_split
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.errors import StoreError, UsageError
from avemo_harness.recognizers import EMBEDDED, JUDGE_REGISTRY, JUDGES, JUDGES_OF_PEOPLE
from avemo_harness.recognizers.judging import check_judge, judge_folder
from avemo_harness.run.config import RunRecord, read_run
from avemo_harness.run.judging import Judgements, chosen_judgements
from avemo_harness.run.store import RunStore
from avemo_harness.scorers import is_judged

REMEMBERED = "judge"
"""The file in the configuration folder that `avemo-eval judge use` writes."""
VARIABLE = "AVEMO_JUDGE"
TRAINED = "my_judge"
"""The folder that advice trains a judge into."""


@dataclass(frozen=True, slots=True)
class JudgeChoice:
    """The judge of a run.

    Args:
        name: as `avemo_harness.recognizers.judging.open_judge` takes it; None where there is none.
        tasks: whose replies it judges.
        unjudged: tasks whose replies stay unjudged until somebody names a judge.
        corpus: the train part of a release of these tasks, as ``--corpus`` takes it; empty where there is none.
    """

    name: str | None
    tasks: tuple[str, ...]
    unjudged: tuple[str, ...] = ()
    corpus: str = ""

    @property
    def advice(self) -> str:
        """The ways to a judge of the replies that have none; empty where all have one."""
        if not self.unjudged:
            return ""
        lines = [
            f"no judge is named for the spoken replies to {', '.join(self.unjudged)}: they are kept, and their columns "
            'stay "—", since the embedded judge knows the built-in voice and face alone.',
            f"Name a judge by --recognizer JUDGE, {VARIABLE} or, for good, `avemo-eval judge use JUDGE`: the same "
            "command then fills the columns and asks the model nothing again. JUDGE may be",
            *(f"  {way}" for way in ways_to_a_judge()),
        ]
        if self.corpus:
            lines.append(
                "The release has a train part, of which a judge can learn without having met who is asked about:"
            )
            lines.append(f"  {self.training}")
        return "\n".join(lines)

    @property
    def training(self) -> str:
        """The command that trains a judge on the release's own train part; empty where it has none."""
        words = ["recognizer", "train", "--kind", "continuous", "--corpus", self.corpus, "--out", TRAINED]
        return shlex.join(["avemo-eval", *words]) if self.corpus else ""


def ways_to_a_judge() -> Iterator[str]:
    """Each judge that may be named, in a line: its spec, what it hears, what it costs, and its licence."""
    for name in JUDGES:
        if name in JUDGES_OF_PEOPLE:
            yield JUDGES_OF_PEOPLE[name]
    yield (
        "DIR of `avemo-eval recognizer train --corpus CORPUS --kind continuous --out DIR`: hears and sees what the "
        "corpus has (`avemo-eval ls corpora`); no download, the licence of the corpus"
    )
    for plugin in JUDGE_REGISTRY.added():
        yield f"{plugin.name}: of the installed package {plugin.package}, which says what it hears and costs"
    yield (
        f"{EMBEDDED}: hears and sees, trained on drawn faces and made voices; no download; its scores of people carry "
        "the mark D and are to be held against nothing"
    )


def choose_judge(
    folder: Path, named: str | None, releases: Mapping[str, Release], media_root: str | None = None
) -> JudgeChoice:
    """Find who judges a run: the judge `named`, else the run's own, the variable's, the remembered, the embedded one.

    The embedded judge is the usual one of the built-in voice and face alone; other tasks have none then.

    Args:
        folder: the run directory.
        releases: by task, of the tasks whose replies are to be judged.
        media_root: folder of the clips that the releases name by path, if not their own.

    Raises:
        UsageError: there is no such judge; the message says where it is named.
        StoreError: the run's judge cannot be read.
    """
    tasks = tuple(releases)
    if not tasks:
        return JudgeChoice(None, ())
    of_people = tuple(task for task, release in releases.items() if not is_builtin(release))
    for source, name in _candidates(folder, named, of_people):
        if name:
            _check(source, name)
            return JudgeChoice(name, tasks)
    usual = tuple(task for task in tasks if task not in of_people)
    return JudgeChoice(
        EMBEDDED if usual else None, usual, of_people, _train_part((releases[task] for task in of_people), media_root)
    )


def _train_part(releases: Iterable[Release], media_root: str | None) -> str:
    """The first train part of local releases, as ``--corpus`` takes it; a Hub's would have to be asked for."""
    for release in releases:
        values = [release.source, f"config={release.name}", *([f"media_root={media_root}"] if media_root else [])]
        if "," in "".join(values):  # what a corpus takes is split at commas
            continue
        if Path(release.source).is_dir() and has_split(release, release.source, "train"):
            return f"release:{','.join(values)}"
    return ""


def _candidates(folder: Path, named: str | None, of_people: tuple[str, ...]) -> Iterator[tuple[str, str | None]]:
    """Places that may name a judge, in order of precedence, with the judge that each names."""
    yield "", named
    before = chosen_judgements(folder)
    if before is not None and not _was_usual(before, of_people):
        yield f"{folder}, which it judged before", before.judge.name
    yield VARIABLE, os.environ.get(VARIABLE)
    yield "avemo-eval judge use", remembered_judge()


def _was_usual(judgements: Judgements, of_people: tuple[str, ...]) -> bool:
    """Tell whether a run's judge is the embedded one, which nobody named for the tasks that it left out."""
    if not (judgements.judge.name == EMBEDDED and of_people):
        return False
    return not any(task in of_people for task, _ in judgements.read())


def _check(source: str, name: str) -> None:
    try:
        check_judge(name)
    except UsageError as error:
        raise UsageError(f"{source}: {error}" if source else str(error)) from error


def holds_replies(folder: Path) -> bool:
    """Tell whether a run holds an answer that a recogniser has to judge."""
    tasks = {task.task for task in judged_tasks(read_run(folder))}
    store = RunStore(folder)
    store.refresh()
    return any(task in tasks for task, _ in store.answers)


def judged_tasks(record: RunRecord) -> list[TaskSpec]:
    """The asked tasks of a run whose replies are scored by a judge."""
    return [task for task in record.tasks if is_judged(task) and task.task not in record.skipped]


def unjudged_runs(parent: Path) -> Iterator[Path]:
    """The runs in a folder whose replies no judge was ever chosen for, in the order of their names."""
    for record in sorted(parent.glob("*/run.json")):
        try:
            if chosen_judgements(record.parent) is None and holds_replies(record.parent):
                yield record.parent
        except (StoreError, UsageError):  # a damaged run, or another version's, says so where it is asked for by name
            continue


def remembered_judge() -> str | None:
    """The judge that `avemo-eval judge use` remembered, if any."""
    return files.read_choice(REMEMBERED)


def remember_judge(name: str) -> Path:
    """Remember a judge for later commands; returns the file that holds it.

    Folders are remembered by their whole path, those of arguments (``pretrained=./weights``) too.

    Raises:
        UsageError: there is no such judge.
    """
    check_judge(name)
    folder = judge_folder(name)
    if folder is not None:
        return files.remember_choice(REMEMBERED, str(folder.resolve()))
    judge, colon, given = name.partition(":")
    return files.remember_choice(REMEMBERED, judge + colon + ",".join(map(_with_whole_path, given.split(","))))


def _with_whole_path(argument: str) -> str:
    """An argument ``key=value`` whose value is a folder here, by its whole path."""
    key, equals, value = argument.partition("=")
    folder = Path(value).expanduser()
    return f"{key}{equals}{folder.resolve()}" if "/" in value and folder.exists() else argument
