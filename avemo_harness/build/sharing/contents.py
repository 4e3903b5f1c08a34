"""What a folder holds that is to be shared: its rows, where its clips are, and its records. All of it is verified."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from avemo_harness.benchmark.release import Release
from avemo_harness.build.checks.material import Material, clips_of, configs_of, load_splits
from avemo_harness.build.checks.rows import SchemaDetails, check_schema
from avemo_harness.build.checks.survey import ClipFacts, ClipProblem, fetch
from avemo_harness.build.sharing.records import Records, read_records
from avemo_harness.errors import ReleaseError

Holding = Literal["embedded", "beside", "elsewhere", "none"]
"""Clips are in the Parquet files; in files of the folder that the rows name; in files that are not here; or there are
none."""


@dataclass(frozen=True)
class Contents:
    """A release to be shared.

    Args:
        configs: what was read, by config and data set split.
        holding: where the clips are.
        absent: how many clips are named and not here.
    """

    folder: Path
    configs: Mapping[str, Mapping[str, Release]]
    holding: Holding
    absent: int
    records: Records

    @property
    def releases(self) -> Iterator[Release]:
        """Every split of every config."""
        for splits in self.configs.values():
            yield from splits.values()


def read_contents(folder: Path) -> Contents:
    """Read a release and compare every clip with its digest.

    Raises:
        ReleaseError: it fails the schema check, or a record is damaged.
    """
    configs, clips, absent = {}, 0, 0
    for config, splits in configs_of(folder, None).items():
        configs[config] = load_splits(folder, config, splits, None)
        details = _checked(folder, config, configs[config])
        clips, absent = clips + details.clips, absent + details.absent
    return Contents(folder, configs, _holding(folder, clips, absent), absent, read_records(folder))


def _checked(folder: Path, config: str, releases: Mapping[str, Release]) -> SchemaDetails:
    found: dict[str, ClipFacts | ClipProblem] = {}
    for clip in [one for some in clips_of(releases) for one in some]:
        data = fetch(clip)
        found[clip.sha256] = data if isinstance(data, ClipProblem) else ClipFacts(None, None, None)
    finding = check_schema(Material(config, releases, found))
    if finding.verdict == "fail":
        raise ReleaseError(
            f"{folder}: config {config!r} fails the schema check ({finding.summary}), and nothing is uploaded; "
            "`avemo-eval data check` tells more"
        )
    assert isinstance(finding.details, SchemaDetails)
    return finding.details


def _holding(folder: Path, clips: int, absent: int) -> Holding:
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
    """Whether a Parquet file holds bytes that are no text, in whatever column: a recording may be among them."""
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
    """Whether a column of a row group has a value; one without statistics is taken to have some."""
    statistics = getattr(chunk, "statistics", None)
    if statistics is None or not statistics.has_null_count:
        return True
    return bool(statistics.num_values > 0)
