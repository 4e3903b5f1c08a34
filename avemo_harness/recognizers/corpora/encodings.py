"""Text in the encodings that spreadsheets and other systems leave it in."""

from __future__ import annotations

import codecs
import re
import unicodedata

from avemo_harness.errors import ReleaseError

# UTF-32 first: its mark of little-endian order begins like that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How files of Excel begin, new and old."""
_PARQUET = b"PAR1"
_C1 = re.compile("[\x80-\x9f]")


def decode_text(data: bytes, where: str) -> str:
    """Text in UTF-8, in UTF-16 or UTF-32 (with their marks, or UTF-16 without), or else in Windows' code page 1252.

    Also where somebody took one of UTF-8 and 1252 for the other on the way.

    Args:
        where: file, for the message.

    Raises:
        ReleaseError: it is no text, or not in the encoding that its mark names.

    >>> [decode_text("it’s".encode(name), "") for name in ("utf-8-sig", "cp1252", "utf-16")]
    ['it’s', 'it’s', 'it’s']
    >>> decode_text("it\\x92s".encode(), "")
    'it’s'
    """
    if data.startswith(_WORKBOOKS):
        raise ReleaseError(f"{where}: expected text, found an Excel workbook or an archive; save the table as CSV")
    if data.startswith(_PARQUET):
        raise ReleaseError(f"{where}: expected text, found a Parquet file; save the table as CSV")
    encoding = _wide_encoding(data)
    try:
        text = data.decode(encoding or "utf-8-sig")
    except UnicodeDecodeError as error:
        if encoding is not None:
            raise ReleaseError(f"{where}: begins as {encoding} and is not ({error}); save it as UTF-8") from error
        text = data.decode("cp1252", errors="replace")
    if "\0" in text:
        raise ReleaseError(f"{where}: expected text, found bytes of 0 in it; save the table as CSV in UTF-8")
    # Control characters of that range do not occur in text: they are bytes of 1252 that were read as Latin-1.
    return _C1.sub(lambda found: found[0].encode("latin-1").decode("cp1252", errors="replace"), text)


def path_spellings(path: str) -> tuple[str, ...]:
    """How a path may be meant: as it is, with the slashes of Windows, and with accents composed (NFC) or not (NFD).

    >>> path_spellings("a\\\\b.wav")
    ('a\\\\b.wav', 'a/b.wav')
    """
    slashed = path.replace("\\", "/")
    composed, decomposed = (unicodedata.normalize(form, slashed) for form in ("NFC", "NFD"))
    return tuple(dict.fromkeys((path, slashed, composed, decomposed)))


def _wide_encoding(data: bytes) -> str | None:
    """The encoding of two or four bytes a character; None for all others."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    # The first characters of a table are ASCII: every other byte is 0.
    if data[1:8:2] == b"\0\0\0\0":
        return "utf-16-le"
    return "utf-16-be" if data[0:8:2] == b"\0\0\0\0" else None
