"""Files in the place of clips, and clips that this machine cannot decode, are named for what they are."""

from __future__ import annotations

from types import SimpleNamespace

import av
import pytest
from support.clips import make_clip

from avemo_harness import media
from avemo_harness.errors import MediaError
from avemo_harness.media.formats import codec_name


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (b"\xff\xd8\xff\xe0" + bytes(500), "it is a JPEG picture"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "it is a PNG picture"),
        (b"GIF89a" + bytes(500), "it is a GIF picture"),
        (b"<!DOCTYPE html><html>Not found</html>", "it is a web page"),
        (b"PK\x03\x04" + bytes(500), "it is a zip archive"),
    ],
)
def test_what_is_no_clip_is_named(data: bytes, said: str) -> None:
    with pytest.raises(MediaError, match=f"{said}.*; restore the clip"):
        media.probe(data)


def test_a_recording_that_was_broken_off_has_no_header() -> None:
    clip = make_clip(0.4)
    with pytest.raises(MediaError, match="it has no header: its recording was broken off"):
        media.probe(clip[: clip.index(b"moov") - 8])


def test_a_format_without_a_decoder_is_named() -> None:
    clip = make_clip(0.4)
    at = clip.index(b"avc1", clip.index(b"stsd"))
    with pytest.raises(MediaError, match="its video is in the format wxyz, for which there is no decoder here"):
        media.probe(clip[:at] + b"wxyz" + clip[at + 4 :])


def test_av1_that_only_a_gpu_could_decode_is_named() -> None:
    if "av1" not in av.codecs_available:
        pytest.skip("this FFmpeg has no decoder of that kind")
    stream = SimpleNamespace(type="video", codec_context=SimpleNamespace(codec=av.Codec("av1", "r")))
    with pytest.raises(MediaError, match="its video is in the format av1, for which there is no decoder here"):
        codec_name(stream, None)  # type: ignore[arg-type]  # as PyAV gives it where FFmpeg has neither dav1d nor aom
