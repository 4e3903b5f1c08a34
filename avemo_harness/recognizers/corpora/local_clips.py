"""Files of a corpus as clips, with their digests and streams cached by size and modification time."""

from __future__ import annotations

import hashlib
import io
import json
import wave
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

from avemo_harness import files, media
from avemo_harness.benchmark.release import Clip
from avemo_harness.errors import MediaError, StoreError
from avemo_harness.files import check_file, read_file, sha256_of
from avemo_harness.recognizers.recordings import Recording


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """Cached facts of a file, or of a stretch of one, valid while its size and modification time stay the same.

    Args:
        changed_ns: when the file was last changed.
        sha256: of the clip's bytes.
        duration_s: as the header says.
        sound, video: whether it has them.
    """

    size: int
    changed_ns: int
    sha256: str
    duration_s: float
    sound: bool
    video: bool


class LocalClips:
    """Clips below a folder. A context: what was found out is written to the cache at its end, also after an error.

    >>> with LocalClips(Path("corpus")) as clips:  # doctest: +SKIP
    ...     streams = clips.streams(Path("corpus/audio/P16.wav"))
    """

    def __init__(self, folder: Path) -> None:
        name = hashlib.sha256(str(folder.expanduser().resolve()).encode()).hexdigest()[:32]
        self._remembered = files.cache_dir() / "corpora" / f"{name}.jsonl"
        self._facts = _read_facts(self._remembered)
        self._learned = 0

    def __enter__(self) -> LocalClips:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._learned:
            lines = (json.dumps([key, *astuple(facts)]) for key, facts in self._facts.items())
            # A full disk costs time and no result.
            with suppress(StoreError):
                files.write_atomically(self._remembered, "".join(f"{line}\n" for line in lines))

    def streams(self, path: Path) -> Recording:
        """The streams of a file.

        Raises:
            MediaError: it cannot be read.
        """
        facts = self._facts_of(path, str(path), partial(_look_at, path))
        clip = Clip(facts.sha256, str(path), partial(_read, path))
        return Recording(clip if facts.sound else None, clip if facts.video else None, facts.duration_s)

    def stretch(self, path: Path, start_s: float, end_s: float) -> Recording:
        """The streams of a stretch of a PCM wav file; it ends early where the file does.

        Raises:
            MediaError: it cannot be read, or has nothing there.
        """
        cut = partial(_cut_wav, path, start_s, end_s)
        name = f"{path} from {start_s:.3f} s to {end_s:.3f} s"
        facts = self._facts_of(path, name, partial(_look_at_bytes, cut))
        return Recording(Clip(facts.sha256, name, cut), None, facts.duration_s)

    def joined(self, sound: Path, face: Path | None) -> Recording:
        """The sound of one file with the face of another, or without one.

        Raises:
            MediaError: a file cannot be read, or does not hold the stream that is wanted of it.
        """
        voice = self.streams(sound)
        if voice.sound is None:
            raise MediaError(f"{sound}: it has no sound; give a file with sound")
        if face is None:
            return Recording(voice.sound, None, voice.duration_s)
        video = self.streams(face)
        if video.face is None:
            raise MediaError(f"{face}: it has no video; give a file with video")
        return Recording(voice.sound, video.face, max(voice.duration_s, video.duration_s))

    def _facts_of(self, path: Path, key: str, look: Callable[[], tuple[str, media.MediaInfo]]) -> ClipFacts:
        try:
            stat = path.stat()
            check_file(path)
        except OSError as error:
            raise MediaError(f"{path}: cannot be read ({error.strerror}); put the file there") from error
        known = self._facts.get(key)
        if known is None or (known.size, known.changed_ns) != (stat.st_size, stat.st_mtime_ns):
            digest, info = look()
            known = ClipFacts(
                stat.st_size, stat.st_mtime_ns, digest, info.duration_s, info.sound is not None, info.video is not None
            )
            self._facts[key] = known
            self._learned += 1
        return known


def _read_facts(path: Path) -> dict[str, ClipFacts]:
    """The cached facts; none where the file is missing or damaged."""
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return {key: ClipFacts(*facts) for key, *facts in rows}
    except (OSError, ValueError, TypeError):
        return {}


def _look_at(path: Path) -> tuple[str, media.MediaInfo]:
    info = media.probe(path)  # first, since it is quick to refuse what is no clip
    return sha256_of(path), info


def _look_at_bytes(make: Callable[[], bytes]) -> tuple[str, media.MediaInfo]:
    data = make()
    return hashlib.sha256(data).hexdigest(), media.probe(data)


def _read(path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({error.strerror}); put the file back") from error


def _cut_wav(path: Path, start_s: float, end_s: float) -> bytes:
    """A stretch of a PCM wav file as a wav file of its own, its samples unchanged."""
    try:
        with wave.open(str(path), "rb") as source:
            rate, length = source.getframerate(), source.getnframes()
            start, end = round(start_s * rate), min(round(end_s * rate), length)
            if not 0 <= start < end:
                raise MediaError(f"{path}: nothing from {start_s:g} s to {end_s:g} s, it lasts {length / rate:g} s")
            source.setpos(start)
            parameters, samples = source.getparams(), source.readframes(end - start)
    except (OSError, EOFError, wave.Error) as error:
        raise MediaError(f"{path}: not a PCM wav file that can be cut ({error}); convert it to 16-bit PCM") from error
    stretch = io.BytesIO()
    with wave.open(stretch, "wb") as target:
        target.setparams(parameters)
        target.writeframes(samples)
    return stretch.getvalue()
