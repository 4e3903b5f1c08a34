"""Every clip of a corpus is made, decoded to the end and measured once; then its dialogues are put together."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from avemo_harness import media
from avemo_harness.benchmark.release import Clip, ConflictPair, Dialogue, Turn
from avemo_harness.build.conflicts import find_recordings, pair_opposites
from avemo_harness.build.importers.base import Found, FoundDialogue, Imported, Recording
from avemo_harness.build.importers.recordings import fit_conditions
from avemo_harness.build.importers.voiced import VoicedVideo
from avemo_harness.errors import MediaError, ReleaseError
from avemo_harness.paths import write_atomically
from avemo_harness.recognizers.corpora.base import Part
from avemo_harness.recognizers.corpora.tally import left_out

OnDamage = Literal["refuse", "leave out"]
MEDIA = "media"
"""The folder of a release in which clips are kept that had to be made."""

_TELL_EVERY = 200
_CALLED = re.compile("^clip sha256:[0-9a-f]+…: ")
"""Beginning of the errors of `media` that have only a clip's bytes."""


@dataclass(frozen=True, slots=True)
class _Checked:
    clip: Clip
    duration_s: float
    has_sound: bool
    has_video: bool
    path: str
    encoded_anew: bool = False
    lost_face: bool = False


def check_corpus(found: Found, folder: Path, on_damage: OnDamage, say: Callable[[str], None]) -> Imported:
    """Read every clip, prove that every condition can be made of it, and put the corpus together.

    Clips that can be read in place again are. If one of them cannot, because it was made of files, was encoded anew or
    came out of an archive or from the Hub, all are kept in ``<folder>/media`` under their digests.

    Raises:
        MediaError: a clip is damaged and `on_damage` is to refuse; the message names the file.
        ReleaseError: an archive is damaged, the Hub cannot be reached, or no dialogue is left.
    """
    recordings = [turn.recording for dialogue in found.dialogues for turn in dialogue.turns]
    recordings.sort(key=lambda one: (found.order.get(one.name, -1), one.name))
    checked, bad_files = _check_all(recordings, folder, on_damage, say)
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
        notes=(*found.notes, *_streams_note(checked.values()), *_encoding_note(checked.values())),
        paths={one.clip.sha256: one.path for one in checked.values()},
        checked=len(recordings),
        bad_files=dict(sorted(bad_files.items())),
    )


def count_reasons(bad_files: Mapping[str, str]) -> list[tuple[str, int]]:
    """How many files cannot be used for each reason, the most frequent first; numbers in it are left open.

    >>> count_reasons({"a.mp4": "lasts 3.5 s", "b.mp4": "lasts 12 s"})
    [('lasts … s', 2)]
    """
    return Counter(re.sub(r"\d+(?:\.\d+)?", "…", reason) for reason in bad_files.values()).most_common()


def _check_all(
    recordings: Sequence[Recording], folder: Path, on_damage: OnDamage, say: Callable[[str], None]
) -> tuple[dict[str, _Checked], dict[str, str]]:
    """The clips that can be used, and why others cannot, by name."""
    keep = not all(one.readable_in_place for one in recordings)
    checked: dict[str, _Checked] = {}
    bad_files: dict[str, str] = {}
    for place, one in enumerate(recordings, 1):
        try:
            found, data = _check(one)
        except MediaError as error:
            if on_damage == "refuse":
                raise _naming(one, error) from error
            bad_files[one.name] = _CALLED.sub("", str(error).removeprefix(f"{one.name}: "))
            say(f"left out: {_naming(one, error)}")
        else:
            if found.encoded_anew and not keep:
                keep = True
                for earlier in (earlier for earlier in recordings[: place - 1] if earlier.name in checked):
                    checked[earlier.name] = _kept(earlier, checked[earlier.name], folder, earlier.make())
            checked[one.name] = _kept(one, found, folder, data) if keep else found
        if place % _TELL_EVERY == 0 or place == len(recordings):
            say(f"{place:,} of {len(recordings):,} clips checked")
    return checked, bad_files


def _check(one: Recording) -> tuple[_Checked, bytes]:
    made = one.make()
    data = fit_conditions(made)
    info = media.probe(data)
    clip = Clip(hashlib.sha256(data).hexdigest(), one.name, one.make)
    has_sound, has_video = info.sound is not None, info.video is not None
    lost_face = isinstance(one, VoicedVideo) and one.is_silent and not has_video
    return _Checked(clip, info.duration_s, has_sound, has_video, one.name, data != made, lost_face), data


def _kept(one: Recording, checked: _Checked, folder: Path, data: bytes) -> _Checked:
    """The clip with its bytes in the release's folder."""
    digest = checked.clip.sha256
    ending = ".mp4" if checked.encoded_anew and not media.is_wave(data) else one.ending
    path = f"{MEDIA}/{digest[:2]}/{digest}{ending}"
    write_atomically(folder / path, data)
    return replace(checked, clip=replace(checked.clip, fetch=partial(_read_kept, folder / path)), path=path)


def _naming(one: Recording, error: MediaError) -> MediaError:
    return error if one.name in str(error) else MediaError(f"{one.name}: {error}")


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


def _encoding_note(checked: Iterable[_Checked]) -> list[str]:
    count = sum(one.encoded_anew for one in checked)
    if not count:
        return []
    return [f"{count:,} clips were encoded anew, since not every condition can be made of them as they are"]


def _streams_note(checked: Collection[_Checked]) -> list[str]:
    counts = Counter((one.has_sound, one.has_video) for one in checked)
    lacking = {"face": counts[True, False], "sound": counts[False, True]}
    notes = [
        f"{count:,} clips have no {what}; tasks that need it cannot ask about them"
        for what, count in lacking.items()
        if count
    ]
    if lost := sum(one.lost_face for one in checked):
        notes.append(
            f"{lost:,} silent videos are longer or shorter than the files with their sound; that sound stands alone"
        )
    return notes
