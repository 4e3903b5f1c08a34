"""Feature extractors by name, imported only when asked for."""

from __future__ import annotations
