"""Verified contents of a release folder: rows, location of clips, records, tasks for leaderboards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from avemo_harness.benchmark.release import Release
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.data.checks.rows import check_schema
from avemo_harness.data.checks.survey import (
    ClipFacts,
    ClipProblem,
    SurveyedConfig,
    clips_of,
    configs_of,
    fetch_clip,
    load_splits,
)
from avemo_harness.data.sharing.records import Records, read_records
from avemo_harness.errors import ReleaseError

ClipLocation = Literal["embedded", "beside", "elsewhere", "none"]
"""Clips are in the Parquet files; in files of the folder that the rows name; in files that are not here; or there are
none."""


@dataclass(frozen=True)
class ReleaseContents:
    """A release to be shared.

    Args:
        configs: what was read, by config and data set split.
        holding: where the clips are.
        absent: how many clips are named and not here.
    """

    folder: Path
    configs: Mapping[str, Mapping[str, Release]]
    holding: ClipLocation
    absent: int
    records: Records

    @property
    def releases(self) -> Iterator[Release]:
        """Every split of every config."""
        for splits in self.configs.values():
            yield from splits.values()


def read_contents(folder: Path) -> ReleaseContents:
    """Read a release and compare every clip with its digest.

    Raises:
        ReleaseError: it fails the schema check, or a record is damaged.
    """
    configs, clips, absent = {}, 0, 0
    for config, splits in configs_of(folder, None).items():
        configs[config] = load_splits(folder, config, splits, None)
        details = _check_config(folder, config, configs[config])
        clips, absent = clips + details["clips"], absent + details["absent"]
    return ReleaseContents(folder, configs, _clip_location(folder, clips, absent), absent, read_records(folder))


def _check_config(folder: Path, config: str, releases: Mapping[str, Release]) -> Mapping[str, int]:
    found: dict[str, ClipFacts | ClipProblem] = {}
    for clip in [one for some in clips_of(releases) for one in some]:
        data = fetch_clip(clip)
        found[clip.sha256] = data if isinstance(data, ClipProblem) else ClipFacts(None, None, None)
    finding = check_schema(SurveyedConfig(config, releases, found))
    if finding.verdict == "fail":
        raise ReleaseError(
            f"{folder}: config {config!r} fails the schema check ({finding.summary}), and nothing is uploaded; "
            "`avemo-eval data check` tells more"
        )
    return finding.details


def _clip_location(folder: Path, clips: int, absent: int) -> ClipLocation:
    if any(holds_bytes(file) for file in parquet_files(folder)):
        return "embedded"
    if clips == 0:
        return "none"
    return "elsewhere" if absent == clips else "beside"


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a release, but for hidden ones."""
    found = sorted(folder.rglob("*.parquet"))
    return [file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts)]


def holds_bytes(file: Path) -> bool:
    """True where a column of a Parquet file holds bytes that are no text: a recording may be among them."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as parquet:
        columns = [parquet.schema.column(i) for i in range(len(parquet.schema))]
        binary = [
            i
            for i, column in enumerate(columns)
            if column.physical_type.endswith("BYTE_ARRAY") and column.logical_type.type == "NONE"
        ]
        groups = [parquet.metadata.row_group(g) for g in range(parquet.num_row_groups)]
    return any(_has_values(group.column(i)) for group in groups for i in binary)


def _has_values(chunk: object) -> bool:
    """True where a column of a row group has a value; one without statistics is taken to have some."""
    statistics = getattr(chunk, "statistics", None)
    if statistics is None or not statistics.has_null_count:
        return True
    return bool(statistics.num_values > 0)


LEADERBOARD_FILE = "eval.yaml"
FRAMEWORK = "avemo-harness"


def tasks_of(contents: ReleaseContents, known: Sequence[TaskSpec]) -> list[TaskSpec]:
    """The tasks that can be asked of a release and have one figure that stands for them."""
    return [spec for spec in known if spec.headline is not None and _can_be_asked(contents, spec)]


def _can_be_asked(contents: ReleaseContents, spec: TaskSpec) -> bool:
    release = contents.configs.get(spec.dataset.name, {}).get(spec.dataset.split)
    if release is None or spec.dataset.path is not None or spec.dataset.corpus is not None:
        return False
    return bool(release.pairs) or spec.condition.name != "conflict"


def leaderboard_file(title: str, description: str, tasks: Sequence[TaskSpec]) -> str:
    """The file's text; one leaderboard a task, of its headline metric. There must be a task."""
    values = {
        "name": title,
        "description": description,
        "evaluation_framework": FRAMEWORK,
        "tasks": [{"id": spec.task, "config": spec.dataset.name, "split": spec.dataset.split} for spec in tasks],
    }
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)
