"""Which streams the clips of a release have: by its columns, else probed once and remembered by content."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from avemo_harness import media
from avemo_harness.benchmark.release import Clip, Dialogue, Release, Turn
from avemo_harness.errors import MediaError
from avemo_harness.paths import write_atomically

_SAID_ABOVE = 200
"""Clips above which probing takes long enough to be announced."""

Streams = tuple[bool, bool]
"""Whether a clip has sound, and whether it has a moving picture."""


def probe_streams(clip: Clip) -> Streams | None:
    """Whether a clip has sound and picture, from its header; None where it cannot be read.

    An unreadable clip is not this function's error: it stays with the item that shows it.
    """
    try:
        info = media.probe(clip.read())
    except MediaError:
        return None
    return info.sound is not None, info.video is not None


def turn_streams(turn: Turn) -> Streams | None:
    """The streams of a turn's clip, probed where its release does not say; None without a readable clip."""
    if turn.clip is None:
        return None
    if turn.has_sound is not None and turn.has_picture is not None:
        return turn.has_sound, turn.has_picture
    return probe_streams(turn.clip)


def with_known_streams(release: Release, cache: Path, say: Callable[[str], None]) -> Release:
    """The same release with `has_sound` and `has_picture` of every turn whose clip can be read.

    Args:
        cache: folder with a file a release of what was probed, by digest of the clip.
        say: takes a sentence for the user before something slow.
    """
    unknown = {turn.clip.sha256: turn.clip for turn in _turns_without_streams(release.dialogues) if turn.clip}
    if not unknown:
        return release
    file = cache / f"{release.fingerprint}.json"
    known = _read(file)
    fresh = {digest: clip for digest, clip in unknown.items() if digest not in known}
    if len(fresh) > _SAID_ABOVE:
        say(f"looking for sound and picture in {len(fresh):,} clips of {release.source}, once")
    probed = {digest: streams for digest, clip in fresh.items() if (streams := probe_streams(clip)) is not None}
    if probed:
        known = {**known, **probed}
        write_atomically(file, json.dumps({digest: list(streams) for digest, streams in sorted(known.items())}) + "\n")
    return replace(release, dialogues=tuple(_completed(dialogue, known) for dialogue in release.dialogues))


def _turns_without_streams(dialogues: Iterable[Dialogue]) -> Iterable[Turn]:
    for dialogue in dialogues:
        for turn in dialogue.turns:
            if turn.clip is not None and (turn.has_sound is None or turn.has_picture is None):
                yield turn


def _read(file: Path) -> dict[str, Streams]:
    """What an earlier run probed; nothing where the file is missing or damaged, since it can be made again."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return {str(digest): (bool(sound), bool(picture)) for digest, (sound, picture) in values.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _completed(dialogue: Dialogue, known: Mapping[str, Streams]) -> Dialogue:
    turns = tuple(
        replace(turn, has_sound=known[turn.clip.sha256][0], has_picture=known[turn.clip.sha256][1])
        if turn.clip is not None and turn.clip.sha256 in known
        else turn
        for turn in dialogue.turns
    )
    return replace(dialogue, turns=turns)
