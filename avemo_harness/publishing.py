"""What of a value may be given to others: no folders of the machine that it comes from, and no secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SECRET = re.compile(r"(?:^|_)(?:key|token|secret|password|authorization)$", re.IGNORECASE)
_LOCAL = re.compile(r"(?<![\w.:/\\~…-])(?:~|[A-Za-z]:)?[/\\](?:[^\s\"'=,;/\\]+[/\\])*([^\s\"'=,;/\\]+)[/\\]?")
_SPACED = r"(?:[^\s\"'=,;/\\]| (?![-/\\~]))+"
_WHOLE = re.compile(rf"(?:~|[A-Za-z]:)?[/\\](?:{_SPACED}[/\\])*({_SPACED})[/\\]?")
"""A text that is one path, whose parts may hold spaces; what follows an option or a second path is not."""
_LOGIN = re.compile(r"(?<=://)[^/?#\s\"<>]*@")
_QUERY = re.compile(r"(://[^?#\s\"<>]*)[?#][^\s\"<>]*")


def publishable(value: Any) -> Any:
    """A value without what is nobody's business: of local paths the last part stays, of addresses neither user nor
    query, of secrets nothing.

    >>> publishable({"source": "/home/ann/corpora/ravdess", "api_key": "xyz", "url": "http://me:pw@host/v1?token=xyz"})
    {'source': '…/ravdess', 'api_key': '(left out)', 'url': 'http://host/v1'}
    """
    if isinstance(value, Mapping):
        return {
            key: "(left out)" if one and _SECRET.search(str(key)) else publishable(one) for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [publishable(one) for one in value]
    if isinstance(value, str):
        whole = _WHOLE.fullmatch(value)
        return f"…/{whole[1]}" if whole else _LOCAL.sub(r"…/\1", _QUERY.sub(r"\1", _LOGIN.sub("", value)))
    return value
