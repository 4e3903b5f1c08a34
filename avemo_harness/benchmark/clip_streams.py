"""Streams of the clips of a release: read from its columns, else probed once and cached by content."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from avemo_harness import media
from avemo_harness.benchmark.release import Clip, Dialogue, Release, Stream
from avemo_harness.errors import MediaError
from avemo_harness.paths import write_atomically

_SAID_ABOVE = 200
"""Clips above which probing takes long enough to be announced."""

Streams = frozenset[Stream]


def streams_of(clip: Clip) -> Streams:
    """The streams of a clip, at least one; where it does not say, from its header.

    Raises:
        MediaError: the clip is missing or damaged; the message names it.
    """
    if clip.streams is not None:
        return clip.streams
    try:
        info = media.probe(clip.read())
    except MediaError as error:
        raise MediaError(f"{clip.name}: {error}") from error
    found: dict[Stream, object] = {"sound": info.sound, "picture": info.video}
    return frozenset(stream for stream, facts in found.items() if facts is not None)


def known_streams(clip: Clip) -> Streams | None:
    """The streams of a clip; None where it cannot be read, which is the error of whatever item shows it."""
    try:
        return streams_of(clip)
    except MediaError:
        return None


def with_known_streams(release: Release, cache: Path, say: Callable[[str], None]) -> Release:
    """The same release whose clips say which streams they have, but for those that cannot be read.

    Args:
        cache: folder with a file a release of what was probed, by digest of the clip.
        say: takes a sentence for the user before something slow.
    """
    clips = (turn.clip for dialogue in release.dialogues for turn in dialogue.turns if turn.clip is not None)
    unknown = {clip.sha256: clip for clip in clips if clip.streams is None}
    if not unknown:
        return release
    file = cache / f"{release.fingerprint}.json"
    known = _read(file)
    fresh = {digest: clip for digest, clip in unknown.items() if digest not in known}
    if len(fresh) > _SAID_ABOVE:
        say(f"looking for sound and picture in {len(fresh):,} clips of {release.source}, once")
    probed = {digest: streams for digest, clip in fresh.items() if (streams := known_streams(clip)) is not None}
    if probed:
        known = {**known, **probed}
        content = {digest: sorted(streams) for digest, streams in sorted(known.items())}
        write_atomically(file, json.dumps(content) + "\n")
    return replace(release, dialogues=tuple(_completed(dialogue, known) for dialogue in release.dialogues))


def _read(file: Path) -> dict[str, Streams]:
    """Streams that an earlier run probed; none where the file is missing or damaged, since it can be made again."""
    try:
        values: dict[str, list[Stream]] = json.loads(file.read_text(encoding="utf-8"))
        known = {digest: frozenset(streams) for digest, streams in values.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return known if all(streams and streams <= {"sound", "picture"} for streams in known.values()) else {}


def _completed(dialogue: Dialogue, known: Mapping[str, Streams]) -> Dialogue:
    turns = tuple(
        replace(turn, clip=replace(turn.clip, streams=known[turn.clip.sha256]))
        if turn.clip is not None and turn.clip.sha256 in known
        else turn
        for turn in dialogue.turns
    )
    return replace(dialogue, turns=turns)
