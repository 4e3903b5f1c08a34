"""An imported corpus as a release: Parquet files, a card, and a record of what was read and left out."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from avemo_harness.benchmark.release import CONFLICT, Clip, Dialogue
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.build.importers.base import Found, Imported
from avemo_harness.build.importers.checking import MEDIA, OnDamage, check_corpus
from avemo_harness.build.sharing.readme import GENERATED
from avemo_harness.errors import StorageError, UsageError

RECORD = "import.json"

Holding = Literal["embedded", "named", "kept"]
"""embedded: the Parquet files hold the clips; named: they hold paths below the corpus' folder, which readers give as
``media_root``; kept: they hold paths of files in ``media/`` beside them."""


@dataclass(frozen=True, slots=True)
class Importing:
    """What is imported with what.

    Args:
        importer: its name.
        source: where the corpus lies, as the user named it.
        commit: that of the Hub, None for what is local.
        options: the importer's own, as they were given.
    """

    importer: str
    source: str
    commit: str | None
    options: dict[str, str]


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how the release is to be written.

    Args:
        out: a folder that there is not yet, or that is empty.
        clips: inside the Parquet files, or outside of them.
        on_damage: what happens when a clip cannot be decoded.
        config: None means the importer's.
    """

    out: Path
    clips: Literal["inside", "outside"]
    on_damage: OnDamage = "refuse"
    config: str | None = None


def require_config_name(name: str) -> None:
    """Refuse the name of a config that no task could read, or that belongs to conflict pairs.

    Raises:
        UsageError: it is such a name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name) or name.endswith(CONFLICT):
        raise UsageError(
            f"config {name!r}: expected letters, digits, _ and -, not ending in _conflict; choose another name"
        )


def require_new_folder(folder: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        UsageError: it does, or it is a file.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: is there already and is not overwritten; name a new folder, or delete it first")


def write_import(found: Found, importing: Importing, target: Target, say: Callable[[str], None]) -> Imported:
    """Check every clip and write the release; nothing is in `target.out` before all of it is.

    Raises:
        UsageError: the folder holds something.
        MediaError: a clip is damaged.
        ReleaseError: the corpus cannot be read.
        StorageError: the folder cannot be written.
    """
    out = target.out.expanduser()
    require_new_folder(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as place:
            folder = Path(place) / "release"
            folder.mkdir()
            imported = check_corpus(found, folder, target.on_damage, say)
            holding = _holding(folder, target)
            config = target.config or imported.config
            _write_parquet(folder, config, imported, holding)
            _write_record(folder, imported, _record(imported, importing, holding, config))
            folder.rename(out)
    except OSError as error:
        raise StorageError(out, "written", error) from error
    return imported


def _holding(folder: Path, target: Target) -> Holding:
    if target.clips == "inside":
        return "embedded"
    return "kept" if (folder / MEDIA).is_dir() else "named"


def _write_parquet(folder: Path, config: str, imported: Imported, holding: Holding) -> None:
    def path_of(clip: Clip) -> str:
        return imported.paths[clip.sha256]

    write_release(
        folder,
        config,
        {str(part): dialogues for part, dialogues in imported.dialogues.items()},
        {str(part): pairs for part, pairs in imported.pairs.items()},
        None if holding == "embedded" else path_of,
    )
    if holding == "embedded":
        shutil.rmtree(folder / MEDIA, ignore_errors=True)


def _record(imported: Imported, importing: Importing, holding: Holding, config: str) -> dict[str, Any]:
    about = imported.about
    return {
        "importer": importing.importer,
        "corpus": about.name,
        "source": importing.source,
        "revision": importing.commit,
        "options": importing.options,
        "config": config,
        "homepage": about.homepage,
        "citation": about.citation,
        "licence": about.licence,
        "redistributable": about.redistributable,
        "no_derivatives": about.no_derivatives,
        "clips": holding,
        "label_map": dict(about.label_map),
        "dropped": [asdict(one) for one in imported.dropped],
        "damaged": list(imported.damaged),
        "bad_files": dict(imported.bad_files),
        "clips_checked": imported.checked,
        "notes": list(imported.notes),
        "splits": {part: _counts(dialogues) for part, dialogues in imported.dialogues.items()},
        "conflict_pairs": {part: len(pairs) for part, pairs in imported.pairs.items()},
        "read": [asdict(one) for one in imported.tables],
    }


def _counts(dialogues: Sequence[Dialogue]) -> dict[str, Any]:
    asked = [turn for dialogue in dialogues for turn in dialogue.turns if turn.role == "user"]
    return {
        "dialogues": len(dialogues),
        "user_turns": len(asked),
        "speakers": len({turn.speaker_id for turn in asked}),
        "emotions": dict(sorted(Counter(str(turn.emotion) for turn in asked).items())),
    }


def _write_record(folder: Path, imported: Imported, record: dict[str, Any]) -> None:
    (folder / RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    readme = folder / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8") + _card(imported, record), encoding="utf-8")


def _card(imported: Imported, record: dict[str, Any]) -> str:
    about = imported.about
    where = {
        "embedded": "The Parquet files hold the clips.",
        "named": "Clips are named by their paths below the corpus' folder: give that as `--media_root`.",
        "kept": f"Clips lie in `{MEDIA}/`.",
    }[record["clips"]]
    if not about.redistributable:
        where += " They are for your own use and must not be passed on; ids, labels and digests may."
    labels = ", ".join(f"{own} → {label}" for own, label in about.label_map.items())
    dropped = "".join(f"\n- {one.count:,}: {one.reason}" for one in imported.dropped) or "\n- nothing"
    return f"""
{GENERATED}

# {about.name}, imported

{about.homepage}

Licence: {about.licence}. {where}

Labels: {labels}; others were left out.

Left out:
{dropped}

Cite: {about.citation}
"""
