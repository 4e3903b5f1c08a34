"""Write a release without the dialogues whose labels are not confirmed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avemo_harness.benchmark.release import CONFLICT, make_release
from avemo_harness.benchmark.release_loader import local_files
from avemo_harness.data.checks.checking import REPORT_SCHEMA, CheckedConfig, CheckedRelease, fingerprints, run_checks
from avemo_harness.data.checks.findings import Rule
from avemo_harness.data.checks.survey import SurveyedConfig
from avemo_harness.data.checks.verification import Verification
from avemo_harness.data.sharing.records import CHECKS_RECORD
from avemo_harness.errors import UsageError
from avemo_harness.files import new_folder, require_new_folder

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class KeptSplit:
    """Counts of a data set split before and after."""

    config: str
    split: str
    dialogues: int
    dialogues_kept: int
    pairs: int
    pairs_kept: int


@dataclass(frozen=True, slots=True)
class Kept:
    """The rule and the counts, as the record has them.

    Args:
        by: who judged the labels.
        kept_of: fingerprints of the release that it was taken from, by ``config/split``.
    """

    rule: Rule
    by: str
    splits: tuple[KeptSplit, ...]
    kept_of: dict[str, str]


def write_kept(checked: CheckedRelease, out: Path) -> Kept:
    """Write the release that the rule keeps to a new folder, whole or not at all.

    Parquet files keep their names and columns, and the other files of the folder come along, but for clips that no
    kept dialogue has. ``checks.json`` holds the rule, the counts, what the checks find in the kept release, and what
    was found about the labels before.

    Raises:
        UsageError: the folder holds something, a config could not be checked, or nothing of a split would be left.
        StorageError: the folder cannot be written.
    """
    out = out.expanduser()
    require_new_folder(out)
    verified = [_verified(config, one) for config, one in checked.configs.items()]
    remaining = [_remaining(material, verification) for material, verification in verified]
    splits = tuple(
        one for (before, _), after in zip(verified, remaining, strict=True) for one in _counts(before, after)
    )
    kept = Kept(checked.options.rule, verified[0][1].by, splits, fingerprints(material for material, _ in verified))
    report = {
        "schema": REPORT_SCHEMA,
        "noise": checked.options.noise,
        "fingerprints": fingerprints(remaining),
        "findings": [
            finding.to_json()
            for material, (_, verification) in zip(remaining, verified, strict=True)
            for finding in (*run_checks(material), verification.finding)
        ],
        "kept": asdict(kept),
    }
    with new_folder(out) as folder:
        _copy(checked.folder, folder, remaining)
        (folder / CHECKS_RECORD).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return kept


def _verified(config: str, checked: CheckedConfig) -> tuple[SurveyedConfig, Verification]:
    if checked.material is None or checked.verification is None:
        why = next(one.summary for one in reversed(checked.findings) if one.verdict in ("fail", "cannot tell"))
        raise UsageError(f"config {config!r}: its labels could not be judged ({why}), and nothing is written")
    return checked.material, checked.verification


def _remaining(material: SurveyedConfig, verification: Verification) -> SurveyedConfig:
    """The config without the dialogues that are dropped, and without the pairs that need one of them."""
    releases = {}
    for split, release in material.releases.items():
        dialogues = [one for one in release.dialogues if (split, one.dialogue_id) not in verification.dropped]
        if not dialogues:
            raise UsageError(
                f"config {material.config!r}, split {split!r}: no dialogue has all its labels confirmed, and nothing "
                "is written; choose another --drop, or make more dialogues"
            )
        ids = {one.dialogue_id for one in dialogues}
        pairs = [one for one in release.pairs if {one.audio_dialogue_id, one.video_dialogue_id} <= ids]
        releases[split] = make_release(release.source, release.name, split, release.commit, dialogues, pairs)
    rows = [turn for release in releases.values() for dialogue in release.dialogues for turn in dialogue.turns]
    clips = {turn.clip.sha256: material.clips[turn.clip.sha256] for turn in rows if turn.clip is not None}
    return SurveyedConfig(material.config, releases, clips)


def _counts(before: SurveyedConfig, after: SurveyedConfig) -> Iterator[KeptSplit]:
    for split, release in before.releases.items():
        kept = after.releases[split]
        yield KeptSplit(
            config=before.config,
            split=split,
            dialogues=len(release.dialogues),
            dialogues_kept=len(kept.dialogues),
            pairs=len(release.pairs),
            pairs_kept=len(kept.pairs),
        )


def _copy(source: Path, out: Path, remaining: list[SurveyedConfig]) -> None:
    selections = _selections(source, remaining)
    kept_clips: set[str] = set()
    dropped_clips: set[str] = set()
    for file, selection in selections.items():
        target = out / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        for kept, dropped in _write_rows(file, target, *selection):
            kept_clips |= _clip_paths(kept)
            dropped_clips |= _clip_paths(dropped)
    left = {*selections, *(source / path for path in dropped_clips - kept_clips)}

    def left_out(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if Path(folder, name) in left]

    shutil.copytree(source, out, ignore=left_out, dirs_exist_ok=True)


def _selections(source: Path, remaining: list[SurveyedConfig]) -> dict[Path, tuple[str, set[str]]]:
    """The id column of each Parquet file, and the ids of the rows that are kept."""
    files = local_files(source)
    found = {}
    for material in remaining:
        for split, release in material.releases.items():
            dialogues = "dialogue_id", {dialogue.dialogue_id for dialogue in release.dialogues}
            pairs = "pair_id", {pair.pair_id for pair in release.pairs}
            found.update(dict.fromkeys(files[material.config][split], dialogues))
            found.update(dict.fromkeys(files.get(material.config + CONFLICT, {}).get(split, ()), pairs))
    return found


def _write_rows(file: Path, target: Path, column: str, ids: set[str]) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Copy the rows of those ids; yields the rows of each group that are kept, and those that are dropped."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted = pa.array(sorted(ids), pa.string())
    with pq.ParquetFile(file) as parquet, pq.ParquetWriter(target, parquet.schema_arrow, compression="none") as writer:
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group)
            chosen = pc.is_in(table[column], value_set=wanted)
            kept = table.filter(chosen)
            if len(kept):
                writer.write_table(kept)
            yield kept, table.filter(pc.invert(chosen))


def _clip_paths(table: pa.Table) -> set[str]:
    """Paths of clips that rows name; empty for rows that hold their clips, and for pairs."""
    import pyarrow as pa

    if "turns" not in table.column_names:
        return set()
    turn = table.schema.field("turns").type.value_type
    if turn.get_field_index("clip") < 0 or not pa.types.is_struct(turn.field("clip").type):
        return set()
    if turn.field("clip").type.get_field_index("path") < 0:
        return set()
    clips = [chunk.flatten().field("clip") for chunk in table["turns"].chunks]
    return {os.path.normpath(path) for clip in clips for path in clip.field("path").to_pylist() if path is not None}
