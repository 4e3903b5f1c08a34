"""Formats of files, told by how they begin, and of streams, told by their decoders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avemo_harness.errors import MediaError

if TYPE_CHECKING:
    from av.stream import Stream

MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
# Only formats that hold their own media, since playlists could name other files; told apart by how a file begins.
_OTHER_FORMATS = {
    b"\x1aE\xdf\xa3": "matroska,webm",
    b"RIFF": "avi,wav",
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"FLV\x01": "flv",
    b"ID3\x02": "mp3",
    b"ID3\x03": "mp3",
    b"ID3\x04": "mp3",
}
_NO_MEDIA = {
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x89PNG": "a PNG picture",
    b"GIF8": "a GIF picture",
    b"<!": "a web page",
    b"<h": "a web page",
    b"<?": "an XML file",
    b"%PDF": "a PDF file",
    b"PK\x03\x04": "a zip archive",
}
"""First bytes of files that are found in the place of clips, some of them after a failed download."""
_HARDWARE_ONLY = ("av1",)
"""Decoders of FFmpeg's own that need a GPU; those of the processor have other names, such as libdav1d."""


def formats_of(beginning: bytes) -> str:
    """FFmpeg's names of the formats that a file may have.

    Args:
        beginning: its first four bytes.

    Raises:
        MediaError: it begins like a file that is no clip.
    """
    for sign, what in _NO_MEDIA.items():
        if beginning.startswith(sign):
            raise MediaError(f"it is {what}, not a clip; restore the clip")
    return "mp3" if _is_mp3_frame(beginning) else _OTHER_FORMATS.get(beginning, MP4)


def codec_name(stream: Stream, stated: str | None) -> str:
    """FFmpeg's name of a stream's codec.

    Args:
        stated: the format that the container's header names, if it does.

    Raises:
        MediaError: there is no decoder for it here.
    """
    # PyAV gives no codec context where FFmpeg knows no decoder.
    context = stream.codec_context
    if context is None or context.codec.name in _HARDWARE_ONLY:
        named = stated if context is None else context.codec.canonical_name
        what, advice = ("sound", "aac") if stream.type == "audio" else ("video", "h264")
        raise MediaError(
            f"its {what} is in {'a format' if named is None else f'the format {named}'}, for which there is no decoder "
            f"here; re-encode it as {advice}"
        )
    return context.codec.canonical_name


def _is_mp3_frame(beginning: bytes) -> bool:
    """The frame header of ISO/IEC 11172-3: eleven bits set, two of the version, then layer III."""
    return len(beginning) > 1 and beginning[0] == 0xFF and beginning[1] & 0xE6 == 0xE2
