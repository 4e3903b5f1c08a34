"""Addresses of servers: read from what users give, and shown without the secrets that they may hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from avemo_harness.errors import UsageError, first_line

if TYPE_CHECKING:
    import httpx


def parse_url(text: str) -> httpx.URL:
    """The address of a server.

    Raises:
        UsageError: it is none, or httpx is not installed.
    """
    try:
        import httpx
    except ImportError as error:
        raise UsageError("a server cannot be asked without httpx; pip install 'avemo-harness[api]'") from error
    try:
        url = httpx.URL(text)
        url.host.encode("idna")
    except (httpx.InvalidURL, UnicodeError) as error:
        raise UsageError(f"base_url: no URL ({first_line(error)}); give one such as http://host:8000/v1") from error
    if url.port is not None and not 0 < url.port < 2**16:
        raise UsageError(f"base_url: {shown_url(url)} has no port of 1 to 65535; give one such as http://host:8000/v1")
    if url.scheme not in ("http", "https") or not url.host:
        raise UsageError(f"base_url: {shown_url(url)} is no http address; give one such as http://host:8000/v1")
    return url


def shown_url(url: httpx.URL) -> str:
    """An address without user, password and query, which may hold keys."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None)).rstrip("/")


def shown_address(text: str) -> str:
    """The same of an address that was given as text, which need not be one.

    >>> shown_address("http://me:secret@host:8000/v1?key=secret")
    'http://host:8000/v1'
    """
    return re.sub(r"//.*@", "//", re.split(r"[?#]", text)[0]).rstrip("/")
