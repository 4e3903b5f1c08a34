"""Check every clip of a corpus and write it as a release: Parquet files, card, import record."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from avemo_harness import media
from avemo_harness.benchmark.release import CONFLICT, Clip, ConflictPair, Dialogue, SplitCounts, Turn
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.data.conflict_pairs import find_candidates, pair_opposites
from avemo_harness.data.importers.base import ClipSource, FoundCorpus, FoundDialogue, ImportedCorpus
from avemo_harness.data.importers.recordings import VoicedVideo, fit_conditions
from avemo_harness.data.sharing.records import GENERATED, IMPORT_RECORD
from avemo_harness.errors import MediaError, ReleaseError, UsageError
from avemo_harness.files import new_folder, require_new_folder, write_atomically
from avemo_harness.recognizers.recordings import Part, left_out

OnDamage = Literal["refuse", "leave out"]
MEDIA = "media"
"""The folder of a release in which clips are kept that had to be made."""

_TELL_EVERY = 200
_CALLED = re.compile("^clip sha256:[0-9a-f]+…: ")
"""Beginning of the errors of `media` that have only a clip's bytes."""


@dataclass(frozen=True, slots=True)
class _CheckedClip:
    clip: Clip
    duration_s: float
    has_sound: bool
    has_video: bool
    path: str
    encoded_anew: bool = False
    lost_face: bool = False


def check_corpus(found: FoundCorpus, folder: Path, on_damage: OnDamage, say: Callable[[str], None]) -> ImportedCorpus:
    """Read every clip, prove that every condition can be made of it, and put the corpus together.

    Clips that can be read in place again are. If one of them cannot, because it was made of files, was encoded anew or
    came out of an archive or from the Hub, all are kept in ``<folder>/media`` under their digests.

    Raises:
        MediaError: a clip is damaged and `on_damage` is to refuse; the message names the file.
        ReleaseError: an archive is damaged, the Hub cannot be reached, or no dialogue is left.
    """
    recordings = [clip for dialogue in found.dialogues for clip in dialogue.recordings]
    rank = {name: index for index, name in enumerate(found.names)}
    recordings.sort(key=lambda clip: (rank.get(clip.name, -1), clip.name))
    checked, bad_files = _check_all(recordings, folder, on_damage, say)
    whole = [dialogue for dialogue in found.dialogues if dialogue.is_usable(checked)]
    if not whole:
        raise ReleaseError("no dialogue is left, the clips of all are damaged; restore the corpus")
    dialogues = _by_part(found, whole, checked)
    return ImportedCorpus(
        found=replace(
            found,
            dropped=(*found.dropped, *left_out(_damaged(found, whole, checked))),
            notes=(*found.notes, *_notes(checked.values())),
        ),
        dialogues=dialogues,
        pairs=_pairs(dialogues, checked.values()),
        paths={one.clip.sha256: one.path for one in checked.values()},
        checked=len(recordings),
        bad_files=dict(sorted(bad_files.items())),
    )


def count_reasons(bad_files: Mapping[str, str]) -> list[tuple[str, int]]:
    """Count unusable files by reason, the most frequent first; numbers in it are left open.

    >>> count_reasons({"a.mp4": "lasts 3.5 s", "b.mp4": "lasts 12 s"})
    [('lasts … s', 2)]
    """
    return Counter(re.sub(r"\d+(?:\.\d+)?", "…", reason) for reason in bad_files.values()).most_common()


def _damaged(found: FoundCorpus, kept: Sequence[FoundDialogue], checked: Collection[str]) -> dict[str, int]:
    """Counts of what damaged clips leave out."""
    lost = sum(clip.name not in checked for dialogue in kept for clip in dialogue.recordings)
    return {
        "dialogues with a damaged clip": len(found.dialogues) - len(kept),
        "utterances with a damaged clip, whose words stand in their conversation": lost,
    }


def _check_all(
    recordings: Sequence[ClipSource], folder: Path, on_damage: OnDamage, say: Callable[[str], None]
) -> tuple[dict[str, _CheckedClip], dict[str, str]]:
    """The clips that can be used, and why others cannot, by name."""
    keep = not all(one.readable_in_place for one in recordings)
    checked: dict[str, _CheckedClip] = {}
    bad_files: dict[str, str] = {}
    for count, one in enumerate(recordings, 1):
        try:
            found, data = _check(one)
        except MediaError as error:
            if on_damage == "refuse":
                raise _with_file_name(one, error) from error
            bad_files[one.name] = _CALLED.sub("", str(error).removeprefix(f"{one.name}: "))
            say(f"left out: {_with_file_name(one, error)}")
        else:
            if found.encoded_anew and not keep:
                keep = True
                for earlier in (earlier for earlier in recordings[: count - 1] if earlier.name in checked):
                    checked[earlier.name] = _store_clip(earlier, checked[earlier.name], folder, earlier.make())
            checked[one.name] = _store_clip(one, found, folder, data) if keep else found
        if count % _TELL_EVERY == 0 or count == len(recordings):
            say(f"{count:,} of {len(recordings):,} clips checked")
    return checked, bad_files


def _check(one: ClipSource) -> tuple[_CheckedClip, bytes]:
    made = one.make()
    data = fit_conditions(made)
    info = media.probe(data)
    clip = Clip(hashlib.sha256(data).hexdigest(), one.name, one.make)
    has_sound, has_video = info.sound is not None, info.video is not None
    lost_face = isinstance(one, VoicedVideo) and one.is_silent() and not has_video
    return _CheckedClip(clip, info.duration_s, has_sound, has_video, one.name, data != made, lost_face), data


def _store_clip(one: ClipSource, checked: _CheckedClip, folder: Path, data: bytes) -> _CheckedClip:
    digest = checked.clip.sha256
    ending = ".mp4" if checked.encoded_anew and not media.is_wave(data) else one.ending
    path = f"{MEDIA}/{digest[:2]}/{digest}{ending}"
    write_atomically(folder / path, data)
    return replace(checked, clip=replace(checked.clip, fetch=partial(_read_stored, folder / path)), path=path)


def _with_file_name(one: ClipSource, error: MediaError) -> MediaError:
    return error if one.name in str(error) else MediaError(f"{one.name}: {error}")


def _read_stored(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MediaError(f"{path}: the clip is gone ({error.strerror}); import the corpus again") from error


def _by_part(
    found: FoundCorpus, whole: Iterable[FoundDialogue], checked: Mapping[str, _CheckedClip]
) -> dict[Part, tuple[Dialogue, ...]]:
    made = [(one.part, _dialogue(found, one, checked)) for one in whole]
    by_part = {
        part: sorted((dialogue for of, dialogue in made if of == part), key=lambda one: one.dialogue_id)
        for part in get_args(Part)
    }
    return {part: tuple(dialogues) for part, dialogues in by_part.items() if dialogues}


def _dialogue(found: FoundCorpus, one: FoundDialogue, checked: Mapping[str, _CheckedClip]) -> Dialogue:
    turns = []
    for index, turn in enumerate(one.turns):
        usable = None if turn.recording is None else checked.get(turn.recording.name)
        turns.append(
            Turn(
                turn_index=index,
                role=turn.role,
                speaker_id=turn.speaker_id,
                text=turn.text,
                emotion=turn.emotion,
                clip=usable.clip if usable else None,
                duration_s=usable.duration_s if usable else None,
                votes=turn.votes,
            )
        )
    return Dialogue(one.dialogue_id, found.about.name, found.about.language, found.about.licence, tuple(turns))


def _pairs(
    dialogues: Mapping[Part, tuple[Dialogue, ...]], checked: Iterable[_CheckedClip]
) -> dict[Part, tuple[ConflictPair, ...]]:
    both = {one.clip.sha256 for one in checked if one.has_sound and one.has_video}

    def measure(turn: Turn) -> float | None:
        return turn.duration_s if turn.clip is not None and turn.clip.sha256 in both else None

    found = {part: pair_opposites(find_candidates(those, "speaker", measure)) for part, those in dialogues.items()}
    return {part: tuple(pairs) for part, pairs in found.items() if pairs}


def _notes(clips: Collection[_CheckedClip]) -> Iterator[str]:
    counts = Counter((clip.has_sound, clip.has_video) for clip in clips)
    for lacking, count in (("face", counts[True, False]), ("sound", counts[False, True])):
        if count:
            yield f"{count:,} clips have no {lacking}; tasks that need it cannot ask about them"
    if count := sum(clip.lost_face for clip in clips):
        yield f"{count:,} silent videos are longer or shorter than the files with their sound; that sound stands alone"
    if count := sum(clip.encoded_anew for clip in clips):
        yield f"{count:,} clips were encoded anew, since not every condition can be made of them as they are"


ClipStorage = Literal["embedded", "named", "kept"]
"""embedded: the Parquet files hold the clips; named: they hold paths below the corpus' folder, which readers give as
``media_root``; kept: they hold paths of files in ``media/`` beside them."""


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """Provenance of an import, and the format of its release.

    Args:
        source: where the corpus lies, as the user named it.
        commit: that of the Hub, None for what is local.
        options: the importer's own, as they were given.
        clips: inside the Parquet files, or outside of them.
        on_damage: what happens when a clip cannot be decoded.
        config: None means the importer's.
    """

    importer: str
    source: str
    commit: str | None
    options: Mapping[str, str]
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


def write_import(found: FoundCorpus, out: Path, settings: ImportSettings, say: Callable[[str], None]) -> ImportedCorpus:
    """Check every clip and write the release; nothing is in the folder `out` before all of it is.

    Raises:
        UsageError: the folder holds something.
        MediaError: a clip is damaged.
        ReleaseError: the corpus cannot be read.
        StorageError: the folder cannot be written.
    """
    out = out.expanduser()
    require_new_folder(out)
    with new_folder(out) as folder:
        imported = check_corpus(found, folder, settings.on_damage, say)
        if settings.clips == "inside":
            holding: ClipStorage = "embedded"
        else:
            holding = "kept" if (folder / MEDIA).is_dir() else "named"
        config = settings.config or found.config
        _write_parquet(folder, config, imported, holding)
        record = _record(imported, settings, holding, config)
        (folder / IMPORT_RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        with open(folder / "README.md", "a", encoding="utf-8") as readme:
            readme.write(_card(imported.found, holding))
    return imported


def _write_parquet(folder: Path, config: str, imported: ImportedCorpus, holding: ClipStorage) -> None:
    def path_of(clip: Clip) -> str:
        return imported.paths[clip.sha256]

    write_release(
        folder,
        config,
        {str(part): dialogues for part, dialogues in imported.dialogues.items()},
        {str(part): pairs for part, pairs in imported.pairs.items()},
        None if holding == "embedded" else path_of,
        has_votes=any(turn.votes for found in imported.found.dialogues for turn in found.turns),
    )
    if holding == "embedded":
        shutil.rmtree(folder / MEDIA, ignore_errors=True)


def _record(imported: ImportedCorpus, settings: ImportSettings, holding: ClipStorage, config: str) -> dict[str, Any]:
    found, about = imported.found, imported.found.about
    return {
        "importer": settings.importer,
        "corpus": about.name,
        "source": settings.source,
        "revision": settings.commit,
        "options": dict(settings.options),
        "config": config,
        "homepage": about.homepage,
        "citation": about.citation,
        "licence": about.licence,
        "redistributable": about.redistributable,
        "no_derivatives": about.no_derivatives,
        "clips": holding,
        "label_map": dict(about.label_map),
        "dropped": [asdict(dropped) for dropped in found.dropped],
        "damaged": list(imported.bad_files),
        "bad_files": dict(imported.bad_files),
        "clips_checked": imported.checked,
        "notes": list(found.notes),
        "splits": {part: _split_counts(dialogues) for part, dialogues in imported.dialogues.items()},
        "conflict_pairs": {part: len(pairs) for part, pairs in imported.pairs.items()},
        "read": [asdict(table) for table in found.tables],
    }


def _split_counts(dialogues: Sequence[Dialogue]) -> dict[str, Any]:
    counts = SplitCounts.of(dialogues)
    return {
        "dialogues": counts.dialogues,
        "user_turns": counts.user_turns,
        "speakers": counts.speakers,
        "emotions": dict(sorted((str(emotion), count) for emotion, count in counts.emotions.items())),
    }


def _card(found: FoundCorpus, holding: ClipStorage) -> str:
    about = found.about
    where = {
        "embedded": "The Parquet files hold the clips.",
        "named": "Clips are named by their paths below the corpus' folder: give that as `--media_root`.",
        "kept": f"Clips lie in `{MEDIA}/`.",
    }[holding]
    if not about.redistributable:
        where += " They are for your own use and must not be passed on; ids, labels and digests may."
    labels = ", ".join(f"{own} → {label}" for own, label in about.label_map.items())
    dropped = "".join(f"\n- {one.count:,}: {one.reason}" for one in found.dropped) or "\n- nothing"
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
