"""Servers and bounds for backends that ask servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.tool_servers import ToolServer, serve_tools
from support.waiting import pass_over


@pytest.fixture
def server() -> Iterator[ToolServer]:
    with serve_tools() as tools:
        yield tools


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between attempts are as many as ever, but not waited for."""
    monkeypatch.setattr("avemo_harness.http.sleep", pass_over)
