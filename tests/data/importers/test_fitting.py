"""Imported clips work under every condition: it is proven of each, and what does not fit is encoded anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.clips import make_clip, melody, pattern, positions
from support.flash import flash_clip
from support.imports import import_corpus
from support.people_clips import (
    browser_recording,
    clip_without_edit_list,
    flash_and_click,
    odd_clip,
    piped_wave,
    prores_clip,
    recorded,
    turned_clip,
    uneven_clip,
)

from avemo_harness import media
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.release_loader import load_release, streams_of
from avemo_harness.data.importers.recordings import fit_conditions
from avemo_harness.errors import MediaError

CONFIG = "singleturn_synthetic"


def av1_clip() -> bytes:
    return recorded([pattern(index) for index in range(10)], melody(0.4), codecs=("libsvtav1", "aac"))


def silent_clip() -> bytes:
    return media.remove_sound(make_clip(0.4))


def silent_flash_clip() -> bytes:
    return recorded([pattern(index) for index in range(10)], codecs=("flv", "aac"), container="flv")


def pcm_clip() -> bytes:
    """Of QuickTime, with sound that is not compressed."""
    return recorded(
        [pattern(index) for index in range(10)], melody(0.4), codecs=("libx264", "pcm_s16be"), container="mov"
    )


def mp3_clip() -> bytes:
    """With sound that is padded at both ends."""
    pictures = [pattern(index) for index in range(50)]
    return recorded(pictures, melody(2.0, 48_000), rate=48_000, codecs=("libx264", "libmp3lame"))


def fragmented_clip() -> bytes:
    """Of a browser that streams MP4, whose header announces no frame."""
    options = {"movflags": "frag_keyframe+empty_moov+delay_moov"}
    return recorded([pattern(index) for index in range(50)], melody(2.0), options=options)


def uneven_browser_recording() -> bytes:
    """Of a browser that left out frames, without a duration."""
    ticks = [tick for tick in range(50) if tick % 7 not in (1, 2)]
    pictures = [pattern(tick) for tick in ticks]
    codecs, options = ("libvpx", "libopus"), {"live": "1"}
    sound = melody(2.0, 48_000)
    return recorded(pictures, sound, ticks=ticks, rate=48_000, codecs=codecs, container="webm", options=options)


def piped_sound() -> bytes:
    return piped_wave(media.write_wave(melody(0.4), 16_000), 0xFFFF_FFFF, 0xFFFF_FFFF)


AS_THEY_ARE: dict[str, Callable[[], bytes]] = {
    "plain.mp4": lambda: make_clip(0.4),
    "av1.mp4": av1_clip,
    "odd.mp4": odd_clip,
    "silent.mp4": silent_clip,
    "uneven.mp4": uneven_clip,
    "no_edit_list.mp4": clip_without_edit_list,
    "late.mp4": lambda: flash_and_click(0.36),
    "pcm.mov": pcm_clip,
    "mp3.mp4": mp3_clip,
    "fragments.mp4": fragmented_clip,
    "voice.wav": lambda: media.write_wave(melody(0.4), 16_000),
    "voice.m4a": lambda: media.encode_sound(melody(0.4)),
}
ANEW: dict[str, Callable[[], bytes]] = {
    "prores.mov": prores_clip,
    "uneven.webm": uneven_browser_recording,
    "turned.mp4": lambda: turned_clip(90),
    "browser.webm": lambda: browser_recording(0.4),
    "browser.mp4": lambda: browser_recording(0.4),
    "flash.flv": lambda: flash_clip(0.4),
    "silent.flv": silent_flash_clip,
    "piped.wav": piped_sound,
}


def imported_clip(name: str, data: bytes, tmp_path: Path) -> Clip:
    """The clip of a corpus of one, as a task reads it."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / name).write_bytes(data)
    (corpus / "clips.csv").write_text(f"path,emotion,speaker\n{name},happy,Ann\n")
    import_corpus("folder", corpus, tmp_path / "out", clips="inside")
    (dialogue,) = load_release(str(tmp_path / "out"), CONFIG).dialogues
    clip = dialogue.turns[0].clip
    assert clip is not None
    return clip


def require_every_condition(clip: Clip, folder: Path) -> None:
    """Ask for all that the clip's streams allow, and decode it."""
    cache = ConditionCache(folder)
    other = Clip.from_bytes(make_clip(0.4, seed=3), "other")
    streams = streams_of(clip)
    made = [clip]
    if "sound" in streams:
        made += [cache.audio_only(clip), cache.conflict(clip, other)]
    if "picture" in streams:
        made += [cache.video_only(clip), cache.conflict(other, clip)]
    for one in made:
        media.check_whole(one.read())


@pytest.mark.parametrize("name", AS_THEY_ARE)
def test_a_clip_that_fits_is_imported_as_it_is(name: str, tmp_path: Path) -> None:
    data = AS_THEY_ARE[name]()
    clip = imported_clip(name, data, tmp_path)
    assert clip.read() == data
    require_every_condition(clip, tmp_path / "cache")


@pytest.mark.parametrize("name", ANEW)
def test_a_clip_that_does_not_fit_is_encoded_anew(name: str, tmp_path: Path) -> None:
    data = ANEW[name]()
    clip = imported_clip(name, data, tmp_path)
    assert clip.read() != data
    assert streams_of(clip) == streams_of(Clip.from_bytes(data))
    assert media.probe(clip.read()).duration_s == pytest.approx(media.probe(data).duration_s, abs=0.07)
    require_every_condition(clip, tmp_path / "cache")


def test_a_turned_clip_is_upright_after_its_import(tmp_path: Path) -> None:
    frames = media.decode_frames(imported_clip("turned.mp4", turned_clip(90), tmp_path).read()).pixels
    assert frames.shape == (10, 96, 64, 3)
    assert frames[:, :, :28].mean() > 230
    assert frames[:, :, 36:].mean() < 25


def test_what_is_encoded_anew_keeps_its_pictures_and_its_clock() -> None:
    assert positions(media.decode_frames(fit_conditions(prores_clip(1.0)))) == list(range(25))
    late = recorded(
        [np.full((64, 96, 3), 255 * (index == 20), np.uint8) for index in range(40)],
        melody(1.6),
        from_s=(0.4, 0.0),
        codecs=("prores_ks", "aac"),
        container="mov",
    )
    brightness = media.decode_frames(fit_conditions(late), fps=25.0).pixels.mean(axis=(1, 2, 3))
    assert brightness.argmax() == pytest.approx(20, abs=1)


def test_one_clip_that_is_encoded_anew_has_all_kept_beside_the_release(tmp_path: Path) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    corpus.mkdir()
    clips = {"a.mp4": make_clip(0.4), "b.mp4": turned_clip(90), "c.mp4": make_clip(0.4, seed=5)}
    for name, data in clips.items():
        (corpus / name).write_bytes(data)
    rows = "\n".join(f"{name},happy,Ann" for name in clips)
    (corpus / "clips.csv").write_text(f"path,emotion,speaker\n{rows}\n")
    imported = import_corpus("folder", corpus, out)
    assert (
        "1 clips were encoded anew, since not every condition can be made of them as they are" in imported.found.notes
    )
    read = [dialogue.turns[0].clip for dialogue in load_release(str(out), CONFIG).dialogues]
    found = [clip.read() for clip in read if clip is not None]
    assert [found[0], found[2]] == [clips["a.mp4"], clips["c.mp4"]]
    assert found[1] == fit_conditions(clips["b.mp4"])


@pytest.mark.parametrize("kept", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("make", [prores_clip, lambda: turned_clip(90), lambda: make_clip(0.4)])
def test_a_cut_clip_is_not_mended_by_encoding_it_anew(make: Callable[[], bytes], kept: float) -> None:
    data = make()
    with pytest.raises(MediaError):
        fit_conditions(data[: int(kept * len(data))])


def case_media() -> list[Path]:
    """Clips of cases that failed once, beside the folder of real media."""
    folder = Path(os.environ.get("AVEMO_TEST_MEDIA", "nowhere")).parent / "cases" / "media"
    return sorted(folder.glob("*.*"))


@pytest.mark.skipif(not case_media(), reason="no folder cases/media beside the one that AVEMO_TEST_MEDIA names")
@pytest.mark.parametrize("path", case_media(), ids=lambda path: path.name)
def test_clips_that_failed_once_are_imported_and_work(path: Path, tmp_path: Path) -> None:
    require_every_condition(imported_clip(path.name, path.read_bytes(), tmp_path), tmp_path / "cache")
