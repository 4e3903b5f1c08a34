"""The recordings of a report: small ones inside the page, or all of them in a folder beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from avemo_harness import media
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Clip, Release
from avemo_harness.errors import MediaError
from avemo_harness.files import prune_files, write_atomically
from avemo_harness.report.html.turns import Dataset, Entry

Speaker = Literal["user", "reply"]
MediaLocation = Literal["none", "inside", "beside"]
"""Of the recordings, seen from their page."""

MOST_TURNS_EMBEDDED = 40
MOST_BYTES_EMBEDDED = 5_000_000
"""Of the page, so of the base64 text."""
FOLDER = "media"
"""Of a bundle, beside its page."""

_CACHE_BYTES = 2**28


@dataclass(frozen=True, slots=True)
class _Form:
    """An encoding: pixels of the longer side at most, frames and samples a second."""

    longest_side: int
    fps: int
    rate: int
    quality: media.Quality


_SMALL = _Form(160, 10, 16_000, media.SMALL)
_WHOLE = _Form(1280, 25, 48_000, media.FINE)

Kind = Literal["video", "audio"]


Recording = Mapping[str, str]
"""The JSON of a recording: its ``kind``, and its ``url``, a ``data:`` one or a path beside the page."""


@dataclass(frozen=True, slots=True)
class Recordings:
    """The recordings of a page, by the key of their turn.

    Args:
        location: of all of them.
        notes: why some or all are not there, in sentences.
    """

    users: Mapping[str, Recording] = field(default_factory=dict)
    replies: Mapping[str, Recording] = field(default_factory=dict)
    location: MediaLocation = "none"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the recordings of a run are.

    Args:
        run: the run directory.
        releases: those at hand.
        conditions: makes the clips of conflict pairs.
        cache: a folder for small copies, which later reports use again.
        withheld: by speaker, in a sentence, why no page that people send around may hold the recordings.
    """

    run: Path
    releases: Mapping[Dataset, Release]
    conditions: ConditionCache
    cache: Path
    withheld: Mapping[Speaker, str] = field(default_factory=dict)

    def user(self, entry: Entry) -> bytes | None:
        """The clip of a user's turn; of a conflict pair the sound of one with the face of the other.

        Raises:
            MediaError: a clip is missing or damaged.
        """
        release = self.releases.get(entry.dataset)
        clip = None if release is None else self._clip(release, entry)
        return None if clip is None else clip.read()

    def reply(self, entry: Entry) -> bytes | None:
        """The spoken reply.

        Raises:
            MediaError: its file is missing.
        """
        if entry.speech is None:
            return None
        path = self.run / entry.speech
        try:
            return path.read_bytes()
        except OSError as error:
            raise MediaError(f"{path}: cannot be read ({error.strerror})") from error

    def _clip(self, release: Release, entry: Entry) -> Clip | None:
        if not entry.pair:
            return release.dialogue(entry.shown["dialogue"]).turns[int(entry.shown["turn"])].clip
        pair = release.pair(entry.pair)
        heard, seen = release.turn(pair.audio).clip, release.turn(pair.video).clip
        return self.conditions.conflict(heard, seen) if heard and seen else None


def embed(entries: Sequence[Entry], sources: Sources) -> Recordings:
    """Small copies inside the page, those of the most interesting turns first, within bounds."""
    shared = replace(sources, releases={}) if "user" in sources.withheld else sources
    if "reply" in sources.withheld:
        entries = [replace(entry, speech=None) for entry in entries]
    recorded = [entry for entry in entries if entry.speech or entry.dataset in shared.releases]
    chosen = sorted(recorded, key=lambda entry: -entry.interest)[:MOST_TURNS_EMBEDDED]
    unreadable: list[str] = []
    kept: dict[str, Mapping[Speaker, Recording]] = {}
    spent = 0

    def url_of(data: bytes, kind: Kind) -> str:
        return f"data:{kind}/mp4;base64,{base64.b64encode(_small(data, shared.cache)).decode()}"

    for key, made in _read_all(chosen, shared, url_of, unreadable):
        size = sum(len(recording["url"]) for recording in made.values())
        if made and spent + size <= MOST_BYTES_EMBEDDED:
            spent += size
            kept[key] = made
    prune_files(sources.cache.glob("*/*.mp4"), _CACHE_BYTES)
    whole = "avemo-eval report RUN --bundle DIR makes a page with all recordings"
    notes = []
    if sources.withheld:
        notes.append(f"{'; '.join(sources.withheld.values())}; {whole}, for yourself")
    if len(kept) < len(recorded):
        first = (
            f"{len(kept):,} of {len(recorded):,} turns can be played here, those with errors and disputed answers first"
        )
        notes.append(f"{first}; {whole}")
    return _recordings("inside", kept, [*notes, *_damage(unreadable)])


def bundle(entries: Sequence[Entry], sources: Sources, folder: Path) -> Recordings:
    """Every recording as a file of `folder`/media, named by its content; the page beside it finds them there.

    Raises:
        StoreError: the folder cannot be written.
    """
    unreadable: list[str] = []
    made = dict(_read_all(entries, sources, lambda data, _: _keep(data, folder), unreadable))
    return _recordings("beside", made, _damage(unreadable))


def _read_all(
    entries: Sequence[Entry], sources: Sources, url_of: Callable[[bytes, Kind], str], unreadable: list[str]
) -> Iterator[tuple[str, dict[Speaker, Recording]]]:
    """The recordings of each turn by speaker; those that cannot be read are left out, and named in `unreadable`."""
    readers: dict[Speaker, Callable[[Entry], bytes | None]] = {"user": sources.user, "reply": sources.reply}
    for entry in entries:
        made: dict[Speaker, Recording] = {}
        for speaker, read in readers.items():
            try:
                data = read(entry)
                if data is not None:
                    kind: Kind = "video" if media.probe(data).video else "audio"
                    made[speaker] = {"kind": kind, "url": url_of(data, kind)}
            except MediaError as error:
                unreadable.append(f"{entry.key} ({speaker}): {error}")
        yield entry.key, made


def _damage(unreadable: Sequence[str]) -> Iterator[str]:
    if unreadable:
        more = f"; and {len(unreadable) - 1:,} more" if len(unreadable) > 1 else ""
        yield f"recordings that cannot be read are left out: {unreadable[0]}{more}"


def _recordings(
    location: MediaLocation, made: Mapping[str, Mapping[Speaker, Recording]], notes: Iterable[str]
) -> Recordings:
    users = {key: by_speaker["user"] for key, by_speaker in made.items() if "user" in by_speaker}
    replies = {key: by_speaker["reply"] for key, by_speaker in made.items() if "reply" in by_speaker}
    return Recordings(users, replies, location, tuple(notes))


def _small(data: bytes, cache: Path) -> bytes:
    """A small copy, which is kept for later reports."""
    name = hashlib.sha256(repr(_SMALL).encode() + data).hexdigest()
    path = cache / name[:2] / f"{name}.mp4"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        small = _encoded(data, _SMALL)
        write_atomically(path, small)
        return small


def _encoded(data: bytes, form: _Form) -> bytes:
    info = media.probe(data)
    if info.sound is None:
        sound = np.zeros(max(1, round(info.duration_s * form.rate)), np.float32)
    else:
        sound = media.decode_sound(data, rate=form.rate)
    if info.video is None:
        return media.encode_sound(sound, form.rate, form.quality)
    width, height = info.video.width, info.video.height
    scale = min(1.0, form.longest_side / max(width, height))
    size = (max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2)))
    frames = media.decode_frames(data, fps=form.fps, size=size)
    return media.encode_clip(frames.pixels, sound, fps=form.fps, rate=form.rate, quality=form.quality)


def _keep(data: bytes, folder: Path) -> str:
    """Write a recording as it is, where browsers play it, else encoded anew; its path beside the page."""
    playable, suffix = _playable(data)
    name = f"{FOLDER}/{hashlib.sha256(playable).hexdigest()[:32]}.{suffix}"
    if not (folder / name).exists():
        write_atomically(folder / name, playable)
    return name


def _playable(data: bytes) -> tuple[bytes, str]:
    """A form that browsers play, and its suffix: the recording itself where they play it."""
    if data[:4] == b"fLaC":
        return data, "flac"
    info = media.probe(data)
    if data[4:8] == b"ftyp" and (info.video is None or info.video.codec == "h264"):
        return data, "mp4"
    return _encoded(data, _WHOLE), "mp4"
