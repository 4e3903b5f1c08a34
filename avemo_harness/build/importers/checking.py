"""Every clip of a corpus is made, decoded to the end and measured once; then its dialogues are put together."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from avemo_harness import media
from avemo_harness.benchmark.release import Clip, ConflictPair, Dialogue, Turn
from avemo_harness.build.conflicts import find_recordings, pair_opposites
from avemo_harness.build.importers.base import Found, FoundDialogue, Imported, Recording
from avemo_harness.errors import MediaError, ReleaseError
from avemo_harness.paths import write_atomically
from avemo_harness.recognizers.corpora.base import Part
from avemo_harness.recognizers.corpora.tally import left_out

OnDamage = Literal["refuse", "leave out"]
MEDIA = "media"
"""The folder of a release in which clips are kept that had to be made."""

_TELL_EVERY = 200
_LOOK = (16, 16)


@dataclass(frozen=True, slots=True)
class _Checked:
    clip: Clip
    duration_s: float
    has_sound: bool
    has_video: bool
    path: str


def check_corpus(found: Found, folder: Path, on_damage: OnDamage, say: Callable[[str], None]) -> Imported:
    """Read every clip and put the corpus together.

    Clips that can be read in place again are. If one of them cannot, because it was made of files or came out of an
    archive or from the Hub, all are kept in ``<folder>/media`` under their digests.

    Raises:
        MediaError: a clip is damaged and `on_damage` is to refuse; the message names the file.
        ReleaseError: an archive is damaged, the Hub cannot be reached, or no dialogue is left.
    """
    recordings = [turn.recording for dialogue in found.dialogues for turn in dialogue.turns]
    recordings.sort(key=lambda one: (found.order.get(one.name, -1), one.name))
    in_place = all(one.readable_in_place for one in recordings)
    checked: dict[str, _Checked] = {}
    damaged = []
    for place, one in enumerate(recordings, 1):
        try:
            checked[one.name] = _check(one, None if in_place else folder)
        except MediaError as error:
            if on_damage == "refuse":
                raise _naming(one, error) from error
            damaged.append(one.name)
            say(f"left out: {_naming(one, error)}")
        if place % _TELL_EVERY == 0 or place == len(recordings):
            say(f"{place:,} of {len(recordings):,} clips checked")
    whole = [one for one in found.dialogues if all(turn.recording.name in checked for turn in one.turns)]
    if not whole:
        raise ReleaseError("no dialogue is left, the clips of all are damaged; restore the corpus")
    dropped = (*found.dropped, *left_out({"dialogues with a damaged clip": len(found.dialogues) - len(whole)}))
    dialogues = _by_part(found, whole, checked)
    return Imported(
        about=found.about,
        config=found.config,
        dialogues=dialogues,
        pairs=_pairs(dialogues, checked.values()),
        dropped=dropped,
        tables=found.tables,
        notes=(*found.notes, *_streams_note(checked.values())),
        paths={one.clip.sha256: one.path for one in checked.values()},
        damaged=tuple(sorted(damaged)),
    )


def _naming(one: Recording, error: MediaError) -> MediaError:
    return error if one.name in str(error) else MediaError(f"{one.name}: {error}")


def _check(one: Recording, keep: Path | None) -> _Checked:
    data = one.make()
    info = media.probe(data)
    if info.sound is not None:
        media.decode_sound(data)
    if info.video is not None:
        # One small frame a second is kept; all are decoded.
        media.decode_frames(data, fps=1.0, size=_LOOK)
    digest = hashlib.sha256(data).hexdigest()
    path, fetch = one.name, one.make
    if keep is not None:
        path = f"{MEDIA}/{digest[:2]}/{digest}{one.ending}"
        write_atomically(keep / path, data)
        fetch = partial(_read_kept, keep / path)
    clip = Clip(digest, one.name, fetch)
    return _Checked(clip, info.duration_s, info.sound is not None, info.video is not None, path)


def _read_kept(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MediaError(f"{path}: the clip is gone ({error.strerror}); import the corpus again") from error


def _by_part(
    found: Found, whole: Iterable[FoundDialogue], checked: Mapping[str, _Checked]
) -> dict[Part, tuple[Dialogue, ...]]:
    made = [(one.part, _dialogue(found, one, checked)) for one in whole]
    by_part = {
        part: sorted((dialogue for of, dialogue in made if of == part), key=lambda one: one.dialogue_id)
        for part in get_args(Part)
    }
    return {part: tuple(dialogues) for part, dialogues in by_part.items() if dialogues}


def _dialogue(found: Found, one: FoundDialogue, checked: Mapping[str, _Checked]) -> Dialogue:
    turns = tuple(
        Turn(
            turn_index=place,
            role=turn.role,
            speaker_id=turn.speaker_id,
            text=turn.text,
            emotion=turn.emotion,
            clip=checked[turn.recording.name].clip,
            duration_s=checked[turn.recording.name].duration_s,
        )
        for place, turn in enumerate(one.turns)
    )
    return Dialogue(one.dialogue_id, found.about.name, found.about.language, found.about.licence, turns)


def _pairs(
    dialogues: Mapping[Part, tuple[Dialogue, ...]], checked: Iterable[_Checked]
) -> dict[Part, tuple[ConflictPair, ...]]:
    both = {one.clip.sha256 for one in checked if one.has_sound and one.has_video}

    def measure(turn: Turn) -> float | None:
        return turn.duration_s if turn.clip is not None and turn.clip.sha256 in both else None

    found = {part: pair_opposites(find_recordings(those, "speaker", measure)) for part, those in dialogues.items()}
    return {part: tuple(pairs) for part, pairs in found.items() if pairs}


def _streams_note(checked: Iterable[_Checked]) -> list[str]:
    counts = Counter((one.has_sound, one.has_video) for one in checked)
    lacking = {"face": counts[True, False], "sound": counts[False, True]}
    return [
        f"{count:,} clips have no {what}; tasks that need it cannot ask about them"
        for what, count in lacking.items()
        if count
    ]
