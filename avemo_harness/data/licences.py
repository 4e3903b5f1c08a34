"""Redistribution and derivatives under a licence, by its name."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"^\s*https?://(?:www\.)?creativecommons\.org/(?:licenses|publicdomain)/")
_NOISE = re.compile(r"\b(?:the|licen[cs]e|international|universal|unported|generic|version|v)\b")
_NAMES = (
    ("creative commons", "cc"),
    ("attribution", "by"),
    ("non commercial|noncommercial", "nc"),
    ("share alike|sharealike", "sa"),
    (r"no ?deriv\w*", "nd"),
    ("zero", "0"),
)
_SHARED = re.compile(
    r"(?:(?:cc )?by(?: nc)?(?: sa| nd)?|cc 0|public domain(?: mark| dedication)?|pddl|(?:open database )?odbl"
    r"|open database|odc (?:by|odbl)|cdla (?:permissive|sharing)|mit|apache|isc|zlib|unlicense|bsd(?: [234] clause)?"
    r"|[al]?gplv?|mpl)(?: \d[\d.]*)?"
)
"""Names, in the words of `_words`, of licences under which anybody may pass a work on: under the same licence, with its
owner named, for nothing, or unchanged, where they say so."""
_NO_DERIVATIVES = re.compile(r"\bnd\b|\bby(?:nc)?nd\b|\bccby(?:nc)?nd\b|no deriv|\bai ?face")


def may_be_shared(licence: str) -> bool:
    """Whether anybody may pass on a work of that licence; one that is not known does not say so.

    >>> [may_be_shared(name) for name in ("CC0-1.0", "cc_by_nc_sa_4.0", "research only", "unclear: two are named", "")]
    [True, True, False, False, False]
    """
    return bool(_SHARED.fullmatch(_words(licence)))


def forbids_derivatives(licence: str) -> bool:
    """Whether what is made of a work of that licence may not be passed on.

    >>> [forbids_derivatives(name) for name in ("CC BY-NC-ND 4.0", "CC BY-NC 4.0", "AI_Face EULA", "")]
    [True, False, True, False]
    """
    return bool(_NO_DERIVATIVES.search(_words(licence)))


def _words(licence: str) -> str:
    """A licence in small letters, with single blanks between words and numbers, in the shortest names.

    >>> _words("CC_BY-NC-ND4.0"), _words("Creative Commons Attribution-NonCommercial 4.0 International License")
    ('cc by nc nd 4.0', 'cc by nc 4.0')
    """
    text = re.sub(r"[^a-z0-9.]+", " ", _ADDRESS.sub("cc ", licence.casefold()))
    text = _NOISE.sub(" ", re.sub(r"(?<=[a-z])(?=\d)", " ", text))
    text = " ".join(word.strip(".") for word in text.split())
    for written, short in _NAMES:
        text = re.sub(rf"\b(?:{written})\b", short, text)
    return " ".join(text.split())
